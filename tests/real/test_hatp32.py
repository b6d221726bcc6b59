"""142 real frames of HAT-P-32 through the whole chain: the transit of HAT-P-32 b as a right answer looks.

Frames of 2017-12-20, local time with an offset in DATE-OBS, no WCS, drift of 275 px. Mid-transit was predicted at
BJD_TDB 2458107.7107; the star is at RA 31.0427 Dec +46.6878.
"""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.steps.ask import light_curve
from photodb.steps.astrometry import solve_astrometry
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.judge import FrameFilter
from photodb.steps.limits import SHIFT, Limits, ShiftLimits
from photodb.steps.refcat import load_refcat
from photodb.steps.run import RunSettings, run
from photodb.steps.suggest import auto_reasons
from photodb.steps.verify import verify_archive

from .transit import fit_transit

RA, DEC, MID_TRANSIT = 31.0427, 46.6878, 2458107.7107

pytestmark = [pytest.mark.real, pytest.mark.slow]


def separation_arcsec(source):
    return 3600 * np.hypot((source["ra"] - RA) * np.cos(np.radians(DEC)), source["dec"] - DEC)


@pytest.mark.parametrize(("catalogue", "limit_arcsec"), [("refcat", 2.0), ("built-in", 4.0)])
def test_the_whole_chain(database, data_dir, catalogue, limit_arcsec):
    folder = data_dir("hatp32")
    if catalogue == "refcat":
        load_refcat(database, data_dir("hatp32_refcat.csv"), "tycho")
    report = run(database, [folder], RunSettings(ingest=IngestSettings()))
    assert (report.ingest.n_accepted, report.ingest.n_rejected) == (142, 0)

    with database.begin() as conn:
        frames = conn.execute(
            text(
                "SELECT astrometry, pixel_scale, shift_rms, shift_n, reference_catalogue_id FROM frame ORDER BY mjd"
            )
        ).all()
    assert len(frames) == 142
    assert {f.astrometry for f in frames} <= {"catalogue", "frames"}
    assert all(5.155 < f.pixel_scale < 5.175 for f in frames)
    assert all(f.shift_n >= 100 and f.shift_rms < 0.08 for f in frames[1:])  # the first is the reference
    assert (frames[0].reference_catalogue_id is not None) == (catalogue == "refcat")

    answer = light_curve(database, RA, DEC)
    assert separation_arcsec(answer.source) < limit_arcsec
    points = answer.points
    assert len(points["mag"]) >= 138
    fit = fit_transit(
        np.asarray(points["bjd_tdb"]),
        np.asarray(points["mag"], float),
        np.asarray(points["airmass"], float),
        MID_TRANSIT,
    )
    assert 2.3 <= fit.depth_percent <= 2.9
    assert fit.rms_mmag <= 6.0
    assert abs(fit.mid_bjd - MID_TRANSIT) * 1440 < 10
    assert 2.5 < fit.duration_hours < 3.5

    suggested = auto_reasons(database, FrameFilter(), Limits(), lambda _: None)
    assert len(suggested) <= 3  # all are good, the worst is trailed
    assert auto_reasons(database, FrameFilter(), ShiftLimits(), lambda _: None, SHIFT) == {}

    again = run(database, [folder], RunSettings(ingest=IngestSettings()))
    assert again.idle and again.ingest.n_known == 142
    assert not verify_archive(database, deep=True).problems


def test_placed_by_a_catalogue_that_came_later(database, data_dir):
    """The built-in list of bright stars places the frames first; a deeper catalogue puts the target within 1 arcsec."""
    files = sorted(data_dir("hatp32").glob("*"))[:6]
    report = ingest(database, files, IngestSettings(jobs=0))
    assert report.n_accepted == len(files)
    load_refcat(database, data_dir("hatp32_refcat.csv"), "tycho")
    solved = solve_astrometry(database)
    assert (solved.n_placed, solved.failed) == (len(files), [])
    with database.begin() as conn:
        frames = conn.execute(text("SELECT reference_catalogue_id, pixel_scale, astrom_rms FROM frame")).all()
        source = conn.execute(
            text(
                "SELECT ra, dec FROM source WHERE n_detections > 2 "
                "ORDER BY abs(dec - :dec) + abs(ra - :ra) * 0.69 LIMIT 1"
            ),
            {"ra": RA, "dec": DEC},
        ).one()
    assert all(
        f.reference_catalogue_id and 5.155 < f.pixel_scale < 5.175 and f.astrom_rms < 1.5 for f in frames
    )
    assert separation_arcsec(dict(source._mapping)) < 1.0
    assert solve_astrometry(database).n_frames == 0
