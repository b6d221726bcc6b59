"""Light curves and cones by position, questions in SQL, the Python door."""

import astropy.units as u
import numpy as np
import pytest
from sqlalchemy import text

import photodb
from photodb.core.flags import Flag
from photodb.errors import NothingMatched, StorageError, UsageError
from photodb.steps import ask, judge
from tests.helpers.fixtures import filled_archive
from tests.helpers.small_archive import DEC, RA, fill


@pytest.fixture(scope="module")
def filled(server):
    yield from filled_archive(server)


def test_light_curve_of_the_nearest_source(filled):
    answer = ask.light_curve(filled.db, RA, DEC)
    points, truth = answer.points, filled.truth
    assert answer.source["source_id"] == truth.source_id[0]
    np.testing.assert_array_equal(points["mag"], truth.points[0][np.argsort(truth.mjd)])
    np.testing.assert_array_equal(points["frame_id"], truth.frame_ids[np.argsort(truth.mjd)])
    assert set(points["telescope"]) == {"pollux", "castor"}
    assert (points["flags"] == Flag.SATURATED).sum() == 1
    assert list(np.flatnonzero(~points["good"])) == list(np.flatnonzero(points["flags"] == Flag.SATURATED))
    assert points["airmass"][1] == pytest.approx(1.02)
    assert points["zero_point"][0] == pytest.approx(25.0)


def test_neighbours_are_told(filled):
    (note,) = ask.light_curve(filled.db, RA, DEC).notes
    assert "2 sources within" in note
    assert str(filled.truth.source_id[1]) in note
    assert ask.light_curve(filled.db, RA, DEC, radius_arcsec=0.5).notes == ()


def test_one_band_only(filled):
    points = ask.light_curve(filled.db, RA, DEC, band="R").points
    assert set(points["band"]) == {"R"}
    assert len(points["mjd"]) == 8


@pytest.mark.parametrize(
    ("place", "options", "words"),
    [
        (
            (RA, DEC + 0.02),
            {"radius_arcsec": 0.01},
            ["no source within 0.0 arcsec", "16 frames cover the place: 16 limit", "--radius"],
        ),
        ((RA, DEC + 3), {}, ["none within a degree", "No frame covers the place"]),
        ((RA, DEC), {"band": "K"}, ["no calibrated point in band K", "R, V", "No frame in band K"]),
        ((RA, DEC + 0.02), {"band": "V"}, ["8 frames cover the place in band V: 8 limit"]),
    ],
)
def test_nothing_there_says_what_is(filled, place, options, words):
    with pytest.raises(NothingMatched) as told:
        ask.light_curve(filled.db, *place, **options)
    for word in words:
        assert word in str(told.value)


def test_an_empty_archive_and_one_without_solution_say_so(database):
    with pytest.raises(NothingMatched, match="photodb run"):
        ask.light_curve(database, RA, DEC)
    fill(database, n_frames=4, n_stars=6, publish=False)
    with pytest.raises(NothingMatched, match="photodb solve"):
        ask.light_curve(database, RA, DEC)


def test_points_of_frames_rejected_later_are_flagged(database):
    truth = fill(database, n_frames=4, n_stars=6)
    judge.reject(database, {int(truth.frame_ids[2]): "satellite"})
    points = ask.light_curve(database, RA, DEC).points
    bad = (points["flags"] & Flag.BAD_FRAME) > 0
    assert list(points["frame_id"][bad]) == [truth.frame_ids[2]]


@pytest.mark.parametrize("place", [(np.nan, 0), (0, 90.1), (np.inf, 0), (0, -91)])
def test_no_place_on_the_sky(filled, place):
    with pytest.raises(UsageError):
        ask.light_curve(filled.db, *place)
    with pytest.raises(UsageError):
        ask.cone(filled.db, *place, 1.0)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), 181.0])
def test_impossible_radii(filled, radius):
    with pytest.raises(UsageError):
        ask.cone(filled.db, RA, DEC, radius)


def test_cone_has_magnitudes_by_band(filled):
    columns = ask.cone(filled.db, RA, DEC, 1.0)
    truth = filled.truth
    assert len(columns["source_id"]) == len(truth.source_id)
    by_id = dict(zip(columns["source_id"], columns["mag_V"], strict=True))
    assert [by_id[s] for s in truth.source_id] == pytest.approx(truth.mag)
    assert set(columns["n_obs_R"]) == {8}


def test_cone_of_an_empty_place_is_empty(filled):
    assert len(ask.cone(filled.db, RA + 90, 0, 1.0)["source_id"]) == 0


def test_questions(filled):
    names, rows, more = ask.question(
        filled.db, "SELECT band, count(*) AS n FROM calibrated GROUP BY 1 ORDER BY 1"
    )
    assert (names, rows, more) == (["band", "n"], [("R", 240), ("V", 240)], False)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT 1 AS a, 2 AS a", ["a", "a_2"]),
        ("SELECT frame_id FROM frame WHERE false", ["frame_id"]),
        ("  -- a remark\n/* another */ (SELECT 7 AS x)", ["x"]),
        ("VALUES (1, 2)", ["column1", "column2"]),
        ("SELECT '100 %' AS share", ["share"]),
        ("SHOW server_version", ["server_version"]),
    ],
)
def test_forms_of_questions(filled, sql, names):
    assert ask.question(filled.db, sql)[0] == names


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "DELETE FROM frame",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COMMIT",
        "SET ROLE postgres",
        "SELECT 1; DELETE FROM frame",
        "SELECT 1; SELECT 2",
        "WITH gone AS (DELETE FROM frame RETURNING 1) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM frame",
        "SELECT nextval('source_serial')",
        "SELECT frame_id INTO copied FROM frame",
        "SELECT no_such_column FROM frame",
        "SELEC 1",
        "SELECT 1/0",
    ],
)
def test_what_is_no_question_is_refused_and_changes_nothing(filled, sql):
    with pytest.raises(UsageError):
        ask.question(filled.db, sql)
    assert ask.question(filled.db, "SELECT count(*) FROM frame")[1] == [(16,)]


def test_a_question_ends_at_its_limit(filled):
    with pytest.raises(StorageError, match="--timeout"):
        ask.question(filled.db, "SELECT pg_sleep(30)", timeout_s=0.2)


def test_a_question_brings_no_more_rows_than_asked(filled):
    names, rows, more = ask.question(filled.db, "SELECT generate_series(1, 1000000) AS n", max_rows=3)
    assert (names, rows, more) == (["n"], [(1,), (2,), (3,)], True)


def test_the_python_door(filled):
    with photodb.open(filled.url) as archive:
        curve = archive.lightcurve(RA, DEC, band="V")
        near = archive.cone(RA, DEC, 0.01)
        found = archive.variables()
        counts = archive.query("SELECT count(*) AS n FROM frame")
    assert curve["mag"].unit == u.mag
    assert curve["mjd"].unit == u.day
    assert curve.meta["source_id"] == filled.truth.source_id[0]
    assert len(curve) == 8
    assert near["ra"].unit == u.deg
    assert near["mag_V"].unit == u.mag
    assert near["separation_arcsec"][1].to_value("arcsec") == pytest.approx(1.2)
    assert counts["n"][0] == 16
    assert set(found["source_id"]) == {filled.truth.source_id[5]}
    units = {"ra": u.deg, "dec": u.deg, "mag": u.mag, "period": u.day, "global_noise": u.mag}
    assert {name: found[name].unit for name in units} == units


def test_approximate_places_are_told_and_searched_widely(database):
    fill(database, n_frames=4, n_stars=6)
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET astrometry = 'approximate', astrom_rms = NULL"))
        conn.execute(text("UPDATE source SET approximate = true"))
    answer = ask.light_curve(database, RA + 20 / 3600, DEC)
    assert answer.radius_arcsec == 60.0
    assert any("approximate" in note for note in answer.notes)


def test_the_nearest_source_without_points_gives_way(database):
    truth = fill(database, n_frames=4, n_stars=6)
    with database.begin() as conn:
        conn.execute(
            text("DELETE FROM light_curve_point WHERE source_id = :s"), {"s": int(truth.source_id[0])}
        )
    answer = ask.light_curve(database, RA, DEC)
    assert answer.source["source_id"] == truth.source_id[1]
    assert "the nearest with calibrated points" in answer.notes[0]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT set_config('role', 'nobody at all', true)",
        "SELECT '\udcff'",
        "SELECT '\0'",
        "SELECT 'infinity'::date",
        "SELECT 1 / 0",
    ],
)
def test_whatever_a_question_breaks_is_a_usage_error(filled, sql):
    with pytest.raises(UsageError):
        ask.question(filled.db, sql)
    assert ask.question(filled.db, "SELECT 1")[1] == [(1,)]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("lightcurve", ("x", 91)),
        ("lightcurve", (1.0, 91)),
        ("lightcurve", (1.0, 9.0, "wide")),
        ("cone", (None, 9.0, 1.0)),
        ("query", ("SELECT 1", 10**30)),
        ("query", ("SELECT 1", 0)),
    ],
)
def test_the_python_door_refuses_what_is_no_number(filled, method, arguments):
    with pytest.raises(UsageError), photodb.open(filled.url) as archive:
        getattr(archive, method)(*arguments)


@pytest.mark.parametrize("options", [{"limit": -1}, {"limit": 10**30}, {"min_score": "x"}])
def test_the_python_door_refuses_impossible_choices_of_variables(filled, options):
    with pytest.raises(UsageError), photodb.open(filled.url) as archive:
        archive.variables(**options)
