"""Places of real frames: SDSS against its catalogue, Las Cumbres against its own, HAT-P-32 against Tycho-2."""

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from photodb.core.match import mutual_nearest
from photodb.core.sky import project, separation_deg
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.refcat import load_refcat

pytestmark = pytest.mark.real

HATP32 = 31.0427, 46.6878


def ask(db, sql):
    with db.begin() as conn:
        return conn.execute(text(sql)).all()


def test_sdss_against_its_catalogue(database, data_dir):
    folder = data_dir("sdss_s82")
    load_refcat(database, folder / "stars.fits", "stripe82")
    report = ingest(database, [folder / "4192", folder / "6377"], IngestSettings(jobs=2, psf="none"))
    assert report.n_accepted == 10
    rows = ask(
        database,
        "SELECT f.path, b.name, f.astrometry, f.astrom_n, f.astrom_rms, "
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY sqrt(m.dra ^ 2 + m.ddec ^ 2)) AS residual "
        "FROM frame f JOIN band b USING (band_id) JOIN astrometric_match m USING (frame_id) "
        "WHERE m.used GROUP BY 1, 2, 3, 4, 5",
    )
    assert len(rows) == 10
    for row in rows:
        assert row.astrometry == "catalogue" and row.astrom_n >= 20, row
        assert row.residual <= 0.1, row


def test_the_up_frames_of_las_cumbres_lie_where_its_other_bands_put_them(database, data_dir):
    folder = data_dir("lco_kb82")
    ingest(database, [folder], IngestSettings(jobs=2, psf="none"))
    theirs = []
    for path in sorted(folder.glob("*.fz")):
        with fits.open(path) as file:
            if file[1].header["FILTER"] in ("gp", "rp") and file[1].header["WCSERR"] == 0:
                theirs.append(np.column_stack([file["CAT"].data["RA"], file["CAT"].data["DEC"]]))
    theirs = np.concatenate(theirs)
    up = ask(
        database,
        "SELECT frame_id FROM frame JOIN band b USING (band_id) WHERE b.name = 'up' AND status = 'accepted'",
    )
    assert len(up) == 3
    for (frame_id,) in up:
        rows = ask(
            database,
            "SELECT d.ra, d.dec FROM detection d JOIN astrometric_match m USING (frame_id, detection_id) "
            f"WHERE frame_id = {frame_id} AND used",
        )
        ours = np.array(rows, float)
        a, b = (np.column_stack(project(*p.T, *ours.mean(axis=0))) * 3600 for p in (theirs, ours))
        i, j = mutual_nearest(a, b, 3.0)
        off = b[j] - a[i]
        assert len(off) >= 6 and len(off) > 0.6 * len(ours), (len(off), len(ours))
        assert np.hypot(*np.median(off, axis=0)) < 0.5 and np.median(np.hypot(*off.T)) < 0.6


def test_hatp32_lies_where_it_is_on_every_frame(database, data_dir):
    """A sample over the night, with its drift of 275 px: scale 5.16, the star within an arcsecond."""
    load_refcat(database, data_dir("hatp32_refcat.csv"), "tycho")
    sample = sorted(data_dir("hatp32").iterdir())[::14]
    report = ingest(database, sample, IngestSettings(jobs=2, psf="none"))
    assert report.n_accepted == len(sample) >= 10
    frames = ask(database, "SELECT frame_id, astrometry, pixel_scale, astrom_n FROM frame ORDER BY mjd")
    for frame in frames:
        assert frame.astrometry == "catalogue" and frame.pixel_scale == pytest.approx(5.163, abs=0.01), frame
        assert frame.astrom_n >= 30
        places = np.array(
            ask(database, f"SELECT ra, dec FROM detection WHERE frame_id = {frame.frame_id}"), float
        )
        assert separation_deg(*places.T, *HATP32).min() * 3600 < 1.0, frame
