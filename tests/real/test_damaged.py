"""Good frames among every odd file at hand, through the command itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import astropy.io.fits.tests
import pytest
from sqlalchemy import text

pytestmark = pytest.mark.real


def test_good_ones_in_bad_ones_with_a_reason(database, server, data_dir, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(data_dir("bad_fits"), folder / "shared")
    shutil.copytree(Path(astropy.io.fits.tests.__file__).parent / "data", folder / "astropy")
    good = sorted(data_dir("hatp32").iterdir())[:4]
    for path in good:
        shutil.copy(path, folder)
    url = server.url(database.conninfo["dbname"])
    command = [sys.executable, "-m", "photodb", "--archive", url, "ingest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    with database.begin() as conn:
        rows = conn.execute(text("SELECT path, status, reason, reason_code FROM frame")).all()
    accepted = {Path(r.path).name for r in rows if r.status == "accepted"}
    assert accepted == {p.name for p in good}
    rejected = [r for r in rows if r.status == "rejected"]
    assert len(rejected) > 45 and all(r.reason and r.reason_code for r in rejected)
    assert f"4 frames accepted, {len(rejected)} rejected" in done.stderr
