"""Frames of SDSS, Las Cumbres Observatory and Lowell: taken or refused with the true reason, and true to each other."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.solve import SolveSettings, solve

pytestmark = pytest.mark.real


def ask(db, sql):
    with db.begin() as conn:
        return conn.execute(text(sql)).all()


def test_lco(database, data_dir):
    report = ingest(database, [data_dir("lco_kb82")], IngestSettings(jobs=2))
    assert (report.n_accepted, report.n_rejected) == (12, 0)
    rows = ask(
        database,
        "SELECT b.name, count(*), min(n_detections), max(astrom_rms), avg(pixel_scale), max(abs(mjd_start - 57981.63)) "
        "FROM frame JOIN band b USING (band_id) WHERE status = 'accepted' GROUP BY 1 ORDER BY 1",
    )
    assert [r[:2] for r in rows] == [("gp", 3), ("rp", 3), ("up", 3), ("zs", 3)]
    assert all(r[4] == pytest.approx(1.1415, abs=0.001) and r[5] < 0.01 for r in rows)
    # the headers of the three up frames say WCSERR = 4; their dozen stars place them by the field's other frames
    up = ask(
        database,
        "SELECT astrometry, astrom_n >= 10, abs(f.rotation - 90.104) < 0.02, "
        "3600 * abs(f.ra - 80.8792) < 2.5 AND 3600 * abs(f.dec + 1.1728) < 2.5 "
        "FROM frame f JOIN band b USING (band_id) WHERE b.name = 'up'",
    )
    assert up == [("frames", True, True, True)] * 3


def test_sdss_epochs_agree(database, data_dir):
    folders = [data_dir("sdss_s82/4192"), data_dir("sdss_s82/6377")]
    report = ingest(database, folders, IngestSettings(jobs=2))
    assert report.n_accepted == 10
    assert {code for _, code, _ in report.rejected} == {"no_image"}  # the two tables tsField
    solve(database, SolveSettings())
    rows = ask(
        database,
        "SELECT band, source_id, max(mag) FILTER (WHERE mjd < 53000) - max(mag) FILTER (WHERE mjd > 53000) "
        "AS difference FROM calibrated WHERE mag_err < 0.03 AND flags & 511 = 0 GROUP BY 1, 2 HAVING count(*) = 2",
    )
    for band in "griz":
        difference = np.array([float(r.difference) for r in rows if r.band == band])
        assert len(difference) >= 40
        assert 1.4826 * np.median(np.abs(difference - np.median(difference))) < 0.03
        assert abs(np.median(difference)) < 0.01


def test_lowell_sets_calibration_frames_aside(database, data_dir):
    report = ingest(database, [data_dir("lowell_raw")], IngestSettings(jobs=2))
    assert (report.n_accepted, report.n_calibration, report.n_rejected) == (4, 6, 0)
    kinds = ask(database, "SELECT kind, count(*) FROM frame GROUP BY 1 ORDER BY 1")
    assert kinds == [("bias", 3), ("flat", 3), ("science", 4)]
    rows = ask(
        database,
        "SELECT nx, ny, n_detections > 500, shift_rms, fwhm FROM frame WHERE kind = 'science' ORDER BY mjd",
    )
    assert all(r[:3] == (1365, 1370, True) for r in rows)
    assert all(r.shift_rms < 0.15 for r in rows[1:])
