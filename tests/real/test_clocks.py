"""Real frames under a wrong site: HAT-P-32, whose header counts its longitude westward."""

import pytest
from sqlalchemy import text

from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope, camera_toml

pytestmark = [pytest.mark.real]


def test_a_longitude_that_counts_west_is_told(database, data_dir, tmp_path):
    files = sorted(data_dir("hatp32").glob("*.FITS"))
    told = tmp_path / "cecilia.toml"
    with_east = camera_toml(database, "Cecilia-Main")
    assert "-110.88" in with_east
    told.write_text(with_east.replace("-110.88", "110.88"))
    add_telescope(database, told)
    report = ingest(database, [files[0], files[60], files[140]], IngestSettings(jobs=0))
    assert report.n_accepted == 3
    assert len(report.clocks) == 1 and "longitude = -110.88" in report.clocks[0]
    with database.begin() as conn:
        rows = conn.execute(text("SELECT doubts & 3 <> 0 AS doubted, reason FROM frame")).all()
    assert all(r.doubted and "longitude = -110.88" in r.reason for r in rows)
