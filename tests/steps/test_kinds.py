"""Solutions of forced measurements: which kind of photometry, limits, and what is written of both."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.errors import UsageError
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.steps.ask import light_curve
from photodb.steps.solve import SolveSettings, solve
from photodb.steps.stats import stats
from photodb.steps.verify import verify_archive
from photodb.storage.bulk import copy_out
from tests.helpers import survey_archive

SURVEY = SurveySettings(
    n_frames=30, n_stars=300, n_cameras=1, variables=0.0, outliers=0.0, completeness=(0.8, 0.95), brightest=14.0,
    faintest=18.5,
)  # fmt: skip


@pytest.fixture
def filled(database):
    """An archive of detections and forced measurements; also the survey."""
    survey = simulate_survey(SURVEY, seed=11)
    keys = survey_archive.fill(database, survey)
    survey_archive.fill_forced(database, survey, keys)
    return survey, keys


def ask(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def test_the_better_kind_makes_the_light_curves(database, filled):
    _, keys = filled
    report = solve(database)
    assert report.n_points == keys.n_detections + 8 * 30
    assert set(report.photometry) >= {"psf", "aperture:1"} and sum(report.photometry.values()) == 300
    rows = ask(
        database,
        "SELECT k.photometry, k.reason, k.kinds, k.n_obs, (SELECT avg(mag) FROM detection d WHERE d.source_id = "
        "k.source_id), k.scatter FROM source_photometry k",
    )
    assert {tuple(r[2]) for r in rows} == {(1, -1, 0, 2)} and {r[1] for r in rows} <= {"neighbours", "own"}
    kind, mag = (np.array([r[i] for r in rows]) for i in (0, 4))
    middling = (mag > survey_archive.BRIGHT_INSTRUMENTAL + 0.3) & (mag < -7.0)
    assert (kind[middling] == -1).mean() > 0.95 and middling.sum() > 30
    assert (kind[mag < survey_archive.BRIGHT_INSTRUMENTAL - 0.3] == 1).mean() > 0.9
    assert not np.isin(kind, (0, 2))[mag < -6.5].any()
    assert not verify_archive(database, deep=True).problems
    # the chosen kinds leave the bright stars with the scatter of the better one, not with 20 mmag
    assert report.bright_scatter < 0.008
    one = solve(database, SolveSettings(photometry="psf", draft=True))
    assert one.bright_scatter > 0.012 and one.photometry["psf"] == one.n_points
    other = solve(database, SolveSettings(photometry="aperture:0", draft=True))
    assert other.photometry == {"aperture:0": other.n_points} and other.bright_scatter > 0.03
    assert not verify_archive(database, deep=True).problems


def test_relations_over_the_frame_are_stored_and_needed(database, filled):
    solve(database)
    rows = ask(
        database, "SELECT photometry, coefficients, n_stars FROM frame_photometry WHERE photometry = -1"
    )
    assert len(rows) == 30 and all(len(r[1]) == 6 and r[2] > 20 for r in rows)
    assert np.std([r[1][1] for r in rows]) == pytest.approx(0.02, rel=0.4)
    with database.begin() as conn:
        conn.execute(text("UPDATE frame_photometry SET coefficients[2] = coefficients[2] + 0.001"))
    assert [p.check for p in verify_archive(database, deep=True).problems] == ["calibrated = raw + terms"]


@pytest.mark.usefixtures("filled")
def test_limits_are_told_and_enter_nothing(database):
    report = solve(database)
    stats(database)
    dtype = [("mag", "f8"), ("limit", "f8"), ("flags", "i4"), ("detection", "i8"), ("source", "i8")]
    with database.begin() as conn:
        points = copy_out(
            conn, "SELECT mag, mag_limit, flags, detection_id, source_id FROM light_curve_point", dtype
        )
    unseen = points["detection"] < 0
    assert unseen.sum() == 240 and np.isfinite(points["limit"]).all()
    flags = points["flags"]
    assert ((flags[unseen] & int(Flag.FORCED)) != 0).all() and not (flags[~unseen] & int(Flag.FORCED)).any()
    faint = (flags & int(Flag.FAINT)) != 0
    assert faint[unseen].mean() > 0.98 and (~faint[~unseen]).mean() > 0.99
    negative = (flags & int(Flag.NEGATIVE)) != 0
    assert 0.3 < negative[unseen].mean() < 0.7
    assert np.isnan(points["mag"][negative]).all() and faint[negative].all()
    assert (points["mag"][faint & ~negative] > points["limit"][faint & ~negative]).all()
    counted = ask(database, "SELECT sum(n_obs), sum(n_used) FROM source_mag")[0]
    assert counted[0] <= (~faint).sum() and counted[1] == report.n_measurements
    # statistics see a limit as a point that is missing
    per_source = dict(ask(database, "SELECT source_id, n_obs FROM source_stat WHERE telescope_id = 0"))
    good = {
        int(s): int(((points["source"] == s) & ~faint).sum())
        for s in np.unique(points["source"][unseen])[:20]
    }
    assert all(per_source[s] == n for s, n in good.items())


def test_a_light_curve_tells_kind_and_limit(database, filled):
    _, keys = filled
    solve(database)
    row = ask(database, "SELECT source_id, frame_id FROM forced WHERE detection_id < 0 ORDER BY 1 LIMIT 1")[0]
    j = int(np.flatnonzero(keys.source_id == row[0])[0])
    points = light_curve(database, keys.ra[j], keys.dec[j]).points
    limit = points["frame_id"] == row[1]
    assert limit.sum() == 1 and points["detection_id"][limit] == -1 and not points["good"][limit]
    assert np.isfinite(points["mag_limit"]).all() and set(points["photometry"]) <= {
        "psf",
        "aperture:0",
        "aperture:1",
        "aperture:2",
    }
    assert points["x"][limit] == 100 and points["sky"][limit] == 100 and np.isnan(points["fwhm"][limit])
    raw = points["instrumental_mag"] + points["zero_point"]
    ok = np.isfinite(points["mag"])
    assert np.nanmax(np.abs(points["mag"] - raw)[ok]) < 0.2


def test_without_a_psf_apertures_serve(database):
    survey = simulate_survey(SURVEY, seed=3)
    keys = survey_archive.fill(database, survey)
    survey_archive.fill_forced(database, survey, keys, psf=False)
    for photometry in ("auto", "psf"):
        report = solve(database, SolveSettings(photometry=photometry))
        assert "psf" not in report.photometry and report.photometry["aperture:1"] > 0
        assert not verify_archive(database, deep=True).problems


def test_frames_with_and_without_forced_measurements_go_together(database, filled):
    _, keys = filled
    with database.begin() as conn:
        half = keys.frame_id[::2].tolist()
        conn.execute(text("DELETE FROM forced WHERE frame_id = ANY(:f)"), {"f": half})
        conn.execute(text("UPDATE frame SET n_forced = NULL WHERE frame_id = ANY(:f)"), {"f": half})
    report = solve(database)
    assert report.n_points == keys.n_detections + 8 * 15 and report.n_frames == 30
    kinds = dict(ask(database, "SELECT photometry, count(*) FROM light_curve_point GROUP BY 1"))
    assert kinds[-2] > 0.4 * keys.n_detections and len(kinds) >= 3
    assert not verify_archive(database, deep=True).problems


def test_kinds_that_are_none_are_refused():
    for photometry in ("psf:1", "aperture:x", "best", "aperture:-1"):
        with pytest.raises(UsageError, match="auto, psf, aperture or aperture:K"):
            SolveSettings(photometry=photometry)
