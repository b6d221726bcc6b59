"""Solving an archive: everything written, calibrated = raw + terms, published atomically."""

import dataclasses

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.flags import BAD, Flag
from photodb.core.terms import evaluate, scale_pixels
from photodb.errors import NothingMatched, SolveError, UsageError
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.steps import solutions
from photodb.steps import solve as solve_module
from photodb.steps.solve import SolveSettings, solve
from photodb.storage import solutions as solution_rows
from photodb.storage.bulk import copy_out
from photodb.storage.verify import CHECKS, calibration_problems, run_check
from tests.helpers import survey_archive

SURVEY = SurveySettings(n_frames=20, n_stars=250)


def count(db, query):
    with db.begin() as conn:
        return conn.scalar(text(query))


def sick(db):
    with db.begin() as conn:
        problems = [run_check(conn, check) for check in CHECKS]
        return [p for p in problems if p is not None] + calibration_problems(conn)


@pytest.fixture
def survey():
    return simulate_survey(SURVEY, seed=5)


@pytest.fixture
def flags(survey):
    flags = np.zeros(len(survey.measurements), dtype=np.int32)
    flags[3::50], flags[7::90], flags[11::300] = Flag.SATURATED, Flag.NEGATIVE, Flag.BLEND
    return flags


def test_everything_is_written_and_consistent(database, survey, flags):
    filled = survey_archive.fill(database, survey, flags=flags)
    report = solve(database)
    assert report.state == "published"
    assert report.n_frames == 20
    assert 0.9 < report.chi2_dof < 1.1
    assert report.n_points == filled.n_detections
    assert report.error_floor["big-ccd"] == pytest.approx(0.003, rel=0.5)
    assert report.error_floor["small-ccd"] == pytest.approx(0.005, rel=0.5)
    assert [c["name"] for c in report.components] == ["R simulated"]
    assert report.components[0]["telescopes"] == ["big", "small"]
    assert not sick(database)
    assert count(database, "SELECT count(*) FROM frame_term WHERE status = 'used'") == 20
    assert count(database, "SELECT count(*) FROM light_curve_point") == filled.n_detections
    assert count(database, "SELECT count(*) FROM calibrated") == filled.n_detections
    with_detections = np.unique(survey.measurements.star).size
    assert count(database, "SELECT count(*) FROM source_mag") == with_detections
    assert count(database, "SELECT n_measurements FROM solution") == report.n_measurements
    with database.begin() as conn:
        row = solution_rows.get(conn)
    assert row["state"] == "published"
    assert row["settings"]["solver"]["tukey_c"] == 5.0
    assert row["settings"]["fitted"]["floors"]["big-ccd"]["fitted"]


POINTS = """
SELECT p.mag, p.mag_err, p.err_photon, p.err_calibration, p.err_floor, p.bjd_tdb, p.mjd, p.flags, d.flags, d.mag,
       d.x, d.y,       p.frame_id, s.ra, s.dec, p.source_id
FROM light_curve_point p
JOIN detection d ON d.frame_id = p.frame_id AND d.cell = p.cell AND d.detection_id = p.detection_id
JOIN source s ON s.source_id = p.source_id
"""
POINT = [(n, "f8") for n in ("mag", "err", "photon", "calibration", "floor", "bjd", "mjd")]
POINT += [("flags", "i4"), ("raw_flags", "i4"), ("raw", "f8"), ("x", "f8"), ("y", "f8"), ("frame_id", "i8")]
POINT += [("ra", "f8"), ("dec", "f8"), ("source_id", "i8")]


def test_points_are_raw_plus_terms_with_an_error_budget(database, survey, flags):
    survey_archive.fill(database, survey, flags=flags)
    solve(database, SolveSettings(order=1))
    with database.begin() as conn:
        points = copy_out(conn, POINTS, POINT)
        terms = conn.execute(
            text("SELECT frame_id, zero_point, coefficients FROM frame_term ORDER BY 1")
        ).all()
    coefficients = np.array([[t.zero_point, *t.coefficients] for t in terms])
    assert coefficients.shape == (20, 3)
    frame = np.searchsorted([t.frame_id for t in terms], points["frame_id"])
    x, y = scale_pixels(points["x"], survey_archive.NX), scale_pixels(points["y"], survey_archive.NY)
    expected = points["raw"] + evaluate(coefficients, frame, x, y)
    np.testing.assert_allclose(points["mag"], expected, atol=2e-6)
    finite = np.isfinite(points["raw"])
    budget = np.sqrt(points["photon"] ** 2 + points["calibration"] ** 2 + points["floor"] ** 2)
    np.testing.assert_allclose(points["err"][finite], budget[finite], rtol=1e-5)
    assert (points["calibration"] > 0).all()
    assert np.median(points["calibration"]) < 0.005
    # flags of the detection stay, and flagged points are not called clipped
    assert ((points["flags"] & points["raw_flags"]) == points["raw_flags"]).all()
    assert not (points["flags"][(points["raw_flags"] & int(BAD)) != 0] & int(Flag.CLIPPED)).any()
    direction = np.array([np.cos(np.radians(points["dec"])) * np.cos(np.radians(points["ra"]))])
    direction = np.vstack(
        [
            direction,
            np.cos(np.radians(points["dec"])) * np.sin(np.radians(points["ra"])),
            np.sin(np.radians(points["dec"])),
        ]
    )
    delay = np.array([300.0, -350.0, -150.0]) @ direction
    np.testing.assert_allclose(points["bjd"], 2400000.5 + points["mjd"] + (69.184 + delay) / 86400, atol=2e-9)


def test_clipped_outliers_and_variables_carry_their_flags(database, survey):
    filled = survey_archive.fill(database, survey)
    report = solve(database)
    rejected = {source for source, _, _ in report.rejected_sources}
    variable = set(filled.source_id[survey.variable].tolist())
    assert rejected
    assert len(rejected - variable) <= 1
    with database.begin() as conn:
        points = copy_out(conn, POINTS, POINT)
    marked = np.unique(points["source_id"][(points["flags"] & int(Flag.STAR_REJECTED)) != 0])
    assert set(marked.tolist()) == rejected
    assert (points["flags"] & int(Flag.CLIPPED)).any()
    assert count(database, "SELECT count(*) FROM source_mag WHERE reason LIKE 'not constant%'") == len(
        rejected
    )


def test_the_second_solution_retires_the_first_and_a_draft_does_not(database, survey):
    survey_archive.fill(database, survey)
    first = solve(database, SolveSettings(order=1))
    draft = solve(database, SolveSettings(order=0, draft=True))
    listed = {row["solution_id"]: row["state"] for row in solutions.list_solutions(database)}
    assert listed == {first.solution_id: "published", draft.solution_id: "draft"}
    second = solve(database, SolveSettings(order=2))
    listed = {row["solution_id"]: row["state"] for row in solutions.list_solutions(database)}
    assert listed[first.solution_id] == "retired"
    assert listed[second.solution_id] == "published"
    told = solutions.diff_solutions(database, first.solution_id, second.solution_id)
    assert told["poly_order_a"] == 1
    assert told["zero_point_n_common"] == 20
    assert told["mag_scatter"] < 0.03
    solutions.publish_solution(database, first.solution_id)
    assert solutions.show_solution(database)["solution_id"] == first.solution_id
    solutions.drop_solution(database, draft.solution_id)
    with pytest.raises(UsageError, match="is published"):
        solutions.drop_solution(database, first.solution_id)
    with pytest.raises(NothingMatched, match="no solution"):
        solutions.show_solution(database, draft.solution_id)
    assert (
        count(database, f"SELECT count(*) FROM light_curve_point WHERE solution_id = {draft.solution_id}")
        == 0
    )
    assert not sick(database)


@pytest.mark.parametrize("where", ["insert_frame_terms", "insert_source_mags", "insert_points", "publish"])
def test_a_solve_that_dies_leaves_nothing(database, survey, monkeypatch, where):
    survey_archive.fill(database, survey)
    first = solve(database, SolveSettings(order=0))
    before = count(database, "SELECT count(*) FROM light_curve_point")

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(solve_module.solutions, where, die)
        with pytest.raises(Killed):
            solve(database, SolveSettings(order=1))
    assert [row["solution_id"] for row in solutions.list_solutions(database)] == [first.solution_id]
    assert count(database, "SELECT count(*) FROM light_curve_point") == before
    assert count(database, "SELECT published_solution_id FROM archive") == first.solution_id
    assert (
        count(
            database,
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'light_curve_point_s%' AND relkind = 'r'",
        )
        == 1
    )
    assert not sick(database)


def test_bands_are_solved_apart_and_can_be_chosen(database, survey):
    bands = np.where(np.arange(20) % 4 < 2, "V", "R")
    survey_archive.fill(database, survey, bands=bands)
    report = solve(database)
    assert sorted(c["band"] for c in report.components) == ["R", "V"]
    only = solve(database, SolveSettings(bands=("V",)))
    assert only.n_frames == 10
    assert count(database, "SELECT count(DISTINCT band) FROM calibrated") == 1


def test_what_if_without_a_frame_or_a_star(database, survey):
    filled = survey_archive.fill(database, survey)
    star = int(np.argmin(survey.star_mag))
    settings = SolveSettings(
        exclude_frames=(int(filled.frame_id[2]),), exclude_sources=(int(filled.source_id[star]),)
    )
    report = solve(database, settings)
    assert report.n_frames == 19
    with database.begin() as conn:
        query = text("SELECT reason, n_used, n_obs, mag FROM source_mag WHERE source_id = :s")
        row = conn.execute(query, {"s": int(filled.source_id[star])}).one()
    assert row.reason == "excluded by the settings"
    assert row.n_used == 0
    assert row.n_obs > 0
    assert np.isfinite(row.mag)


def test_a_dry_run_writes_nothing(database, survey):
    survey_archive.fill(database, survey)
    report = solve(database, dry_run=True)
    assert report.solution_id == -1
    assert report.n_frames == 20
    assert count(database, "SELECT count(*) FROM solution") == 0
    assert count(database, "SELECT count(*) FROM run WHERE command = 'solve'") == 0


def test_nothing_to_solve_is_said(database, survey):
    with pytest.raises(SolveError, match="no accepted frame"):
        solve(database)
    one = np.flatnonzero(survey.measurements.frame == 0)
    alone = dataclasses.replace(
        survey, measurements=survey.measurements.take(one), frames=survey.frames.take([0])
    )
    survey_archive.fill(database, alone)
    with pytest.raises(SolveError, match="in common"):
        solve(database)
    assert count(database, "SELECT outcome FROM run WHERE command = 'solve' LIMIT 1") == "failed"
    assert count(database, "SELECT count(*) FROM solution") == 0


def test_a_frame_of_garbage_is_rejected_with_a_reason_and_keeps_its_points(database, survey):
    m, rng = survey.measurements, np.random.default_rng(0)
    noisy = dataclasses.replace(m, mag=m.mag + np.where(m.frame == 4, rng.normal(0, 0.4, len(m)), 0.0))
    filled = survey_archive.fill(database, dataclasses.replace(survey, measurements=noisy))
    report = solve(database)
    assert [i for i, _ in report.rejected_frames] == [filled.frame_id[4]]
    with database.begin() as conn:
        points = copy_out(conn, POINTS, POINT)
    mine = points["frame_id"] == filled.frame_id[4]
    assert mine.any()
    assert ((points["flags"][mine] & int(Flag.BAD_FRAME)) != 0).all()
    assert not (points["flags"][~mine] & int(Flag.BAD_FRAME)).any()
    shown = solutions.show_solution(database)
    assert "scatter" in shown["rejected_frames"][0]["reason"]
    assert not sick(database)


def test_sources_are_counted_alike_everywhere(database):
    survey_archive.fill(database, simulate_survey(SurveySettings(n_frames=12, n_stars=80), seed=4))
    tried = solve(database, dry_run=True)
    report = solve(database)
    shown, listed = solutions.show_solution(database), solutions.list_solutions(database)[0]
    with_mag = count(database, "SELECT count(DISTINCT source_id) FROM source_mag WHERE mag <> 'NaN'")
    assert {tried.n_sources, report.n_sources, shown["n_sources"], listed["n_sources"]} == {with_mag}
    assert report.n_fit_sources == tried.n_fit_sources == shown["n_fit_sources"] <= with_mag
    for part in shown["components"]:
        query = f"SELECT count(*) FROM source_mag WHERE component = {part['component']} AND mag <> 'NaN'"
        assert part["n_sources"] == count(database, query) >= part["n_fit_sources"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bands": ("X",)}, "no band X"),
        ({"exclude_frames": (1, 999)}, "frame 999:"),
        ({"exclude_sources": (7,)}, "source 7:"),
        ({"exclude_nights": (12,)}, "night 12:"),
    ],
)
def test_what_is_not_there_cannot_be_chosen_or_left_out(database, settings, told):
    survey_archive.fill(database, simulate_survey(SurveySettings(n_frames=4, n_stars=20), seed=4))
    with pytest.raises(NothingMatched, match=told):
        solve(database, SolveSettings(**settings), dry_run=True)


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_limit_of_the_errors_that_is_none(limit):
    with pytest.raises(UsageError, match="max_mag_err"):
        SolveSettings(max_mag_err=limit)
