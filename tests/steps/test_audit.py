"""Audits of archives with known differences, on a real PostgreSQL."""

import numpy as np
import pytest

from photodb.core.audit import words
from photodb.errors import NothingMatched
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.steps.audit import AuditSettings, audit
from photodb.steps.audittables import COLUMNS, table
from photodb.steps.solve import solve
from photodb.storage import audits, refcats, runs, tables
from tests.helpers import audit_archive, survey_archive
from tests.helpers.audit_archive import Truth


def only(report):
    (pair,) = report.pairs
    return pair, pair.bands[0]


def test_two_telescopes_that_agree(database):
    solution = audit_archive.build(database)
    report = audit(database)
    pair, band = only(report)
    assert (pair.a, pair.b, band.band, report.solution_id) == ("north", "south", "V", solution)
    assert words(pair, band) == "agree"
    assert band.found.n == len(band.stars) > 290
    assert band.raw_offset == pytest.approx(-2.0, abs=0.01)
    np.testing.assert_allclose(band.raw_nights, -2.0, atol=0.01)
    assert band.found.scatter < 0.012
    assert pair.place.n == 300
    assert not band.colour
    assert "hold the offset near zero" in pair.notes[0]
    assert "raw_offset -2.000 mag (-2.00" in pair.notes[0]
    assert "no slope with colour: no colours" in pair.notes[1]
    summary = table(report, "summary")
    assert summary.colnames == list(COLUMNS["summary"])
    assert summary["offset"].unit == "mag"
    assert len(table(report, "nights")) == 4
    assert len(table(report, "stars")) == band.found.n
    assert len(table(report, "places")) == 300


def test_every_difference_comes_back_with_its_error(database):
    truth = Truth(
        n_stars=500,
        n_frames=20,
        bands=("V", "R"),
        offset=0.05,
        slope_colour=0.04,
        slope_mag=0.01,
        places=(0.4, -0.3, 1.2, -1.5),
    )
    audit_archive.build(database, truth, 1)
    pair, band = only(audit(database))
    found = band.found
    assert band.colour == "V-R"
    assert found.offset == pytest.approx(
        0.05, abs=0.012
    )  # of its stars; the truth's is that of the mean star
    assert abs(found.by_colour.value - 0.04) < 4 * found.by_colour.error < 0.01
    assert abs(found.by_mag.value - 0.01) < 4 * found.by_mag.error < 0.005
    place = pair.place
    # the middle of the sources is not quite that of the field
    assert place.east == pytest.approx(0.4, abs=0.03)
    assert place.north == pytest.approx(-0.3, abs=0.03)
    assert abs(place.scale_ppm - 1.2e6 / 3600) < 4 * place.scale_ppm_err
    assert abs(place.rotation - np.degrees(-1.5)) < 4 * place.rotation_err
    told = words(pair, band)
    for word in (
        "offset +0.0",
        "colour term (V-R) +0.0",
        "non-linear +0.0",
        "arcsec apart",
        "scale +",
        "rotation -",
    ):
        assert word in told
    assert "field" not in told
    assert "drift" not in told


def test_a_map_and_a_drift_are_told(database):
    audit_archive.build(database, Truth(600, 24, pattern=0.03, drift=0.03, n_nights=6), 2)
    report = audit(database)
    pair, band = only(report)
    told = words(pair, band)
    assert "over the field of north-ccd by 0.01" in told
    assert "drift between nights" in told
    cells = band.maps["north-ccd"].cells
    expected = 0.03 * audit_archive.pattern(cells.x, cells.y)
    assert np.corrcoef(cells.difference, expected)[0, 1] > 0.95
    listed = table(report, "map")
    assert abs(listed["sigma"][0]) == np.abs(listed["sigma"][listed["camera"] == "north-ccd"]).max()
    assert set(listed["camera"]) == {"north-ccd", "south-ccd"}


@pytest.mark.parametrize(
    ("dimmed", "told"),
    [
        ((0, 0, 0.3, 0, 0, 0), "zero points of 1 of 6 nights are off, +0.30 mag on 60002"),
        ((0.02, 0, 0.08, 0, 0.05, 0), "agree"),  # less than a tenth: the sky does as much
        ((0.0, 0.4, 0.2, 0.6, 0.8, 1.0), "agree"),  # no night is like another: nothing is usual
    ],
)
def test_what_the_zero_points_hide_on_a_night_is_told(database, dimmed, told):
    audit_archive.build(database, Truth(80, 12, n_nights=6, dimmed=dimmed), 9)
    pair, band = only(audit(database))
    assert words(pair, band) == told
    np.testing.assert_allclose(band.raw_nights, np.array(dimmed) - 2.0, atol=0.02)


def test_errors_are_true_over_seeds(server):
    pulls = []
    for seed in range(8):
        name = server.create()
        try:
            with server.database(name) as db:
                audit_archive.build(db, Truth(60, 6, frame_noise=0.004, n_nights=3), 100 + seed)
                pair, band = only(audit(db))
        finally:
            server.drop(name)
        place = pair.place
        pulls.append(
            [
                band.found.offset / band.found.offset_err,
                place.east / place.east_err,
                place.north / place.north_err,
            ]
        )
    assert 0.55 < np.std(pulls) < 1.45  # 24 numbers: 1 within three sigma


def test_blocks_do_not_matter(database, monkeypatch):
    audit_archive.build(database, Truth(80, 6), 3)
    before = only(audit(database))
    monkeypatch.setattr(audits, "POINTS_A_BLOCK", 97)
    after = only(audit(database))
    assert len(after[1].stars) == len(before[1].stars)
    for one, other in zip(before, after):
        for what in (one.found, one.drift) if one is before[1] else (one.place,):
            twin = {type(v): v for v in ((other.found, other.drift) if one is before[1] else (other.place,))}
            np.testing.assert_allclose(
                [v for v in vars(twin[type(what)]).values() if isinstance(v, float)],
                [v for v in vars(what).values() if isinstance(v, float)],
                rtol=1e-9,
            )


def test_a_solved_survey_agrees_with_itself(database):
    survey_archive.fill(database, simulate_survey(SurveySettings(n_frames=16, n_stars=200), seed=3))
    solve(database)
    pair, band = only(audit(database))
    assert words(pair, band) == "agree"
    assert abs(band.found.offset) < 0.004
    assert pair.place.n == 0
    assert np.isfinite(band.found.by_mag.value)


def add_catalogue(db, filled, colour):
    """Load a catalogue of the survey's stars, two magnitudes each."""
    stars = np.zeros(
        len(colour),
        [("name", "U8"), ("ra", "f8"), ("dec", "f8"), ("pm_ra", "f8"), ("pm_dec", "f8"), ("mag", "f4", (3,)),
         ("mag_err", "f4", (3,))],
    )  # fmt: skip
    stars["ra"], stars["dec"] = filled.ra, filled.dec
    stars["mag"] = np.column_stack([15 - 0 * colour, np.full(len(colour), np.nan), 15 + colour])
    stars["mag_err"] = 0.005
    with db.begin() as conn:
        run_id = runs.start_run(conn, "refcat load", {}, {})
        refcats.insert_catalogue(conn, run_id, "standards", "", "", 2000.0, 1, ["R", "J", "B"], stars)


def test_a_colour_term_that_a_solution_cannot_take_is_found_with_a_catalogue(database):
    survey = simulate_survey(SurveySettings(n_frames=16, n_stars=300, variables=0.0), seed=8)
    m = survey.measurements
    colour = np.random.default_rng(88).normal(0.9, 0.4, len(survey.star_mag))
    big = survey.frames.camera[m.frame] == 0
    m.mag[big] += 0.05 * (colour - 0.9)[m.star[big]]
    filled = survey_archive.fill(database, survey)
    solve(database)
    assert not only(audit(database))[1].colour
    add_catalogue(database, filled, -colour)
    pair, band = only(audit(database))
    assert band.colour == "B-R"
    slope = band.found.by_colour
    # the catalogue's B - R is minus the colour; stars of the ends count a little less in the solution's robust fit
    assert abs(slope.value + 0.05) < 4 * slope.error < 0.02
    assert abs(band.found.offset) < 0.005
    assert "colour term (B-R) -0.0" in words(pair, band)
    with pytest.raises(NothingMatched, match="reference catalogue other is not loaded"):
        audit(database, AuditSettings(refcat="other"))
    assert only(audit(database, AuditSettings(refcat="standards")))[1].found.by_colour == slope


def test_bands_that_differ_leave_the_positions(database):
    audit_archive.build(database, Truth(80, 4, bands=("V", "R")), 4)
    with database.begin() as conn:
        frames = audits.frames(conn, -1)
        bands = np.unique(frames["band_id"])
        lost = frames["frame_id"][
            (frames["band_id"] == bands[0]) == (frames["telescope_id"] == frames["telescope_id"][0])
        ]
        rejected = {"status": "rejected", "reason": "by hand"}
        conn.execute(tables.frame.update().where(tables.frame.c.frame_id.in_(lost.tolist())).values(rejected))
    report = audit(database)
    assert report.pairs[0].bands == ()
    assert report.pairs[0].place.n > 70
    row = table(report, "summary")[0]
    assert row["band"] == ""
    assert np.isnan(row["offset"])
    assert row["verdict"] == "agree"


def test_without_a_solution_instrumental_magnitudes_give_their_shape(database):
    survey = simulate_survey(
        SurveySettings(n_frames=16, n_stars=300, variables=0.0, coefficient=0.003), seed=18
    )
    m = survey.measurements
    big = survey.frames.camera[m.frame] == 0
    m.mag[big] += 0.02 * (survey.star_mag[m.star[big]] - 16)
    survey_archive.fill(database, survey)
    report = audit(database)
    pair, band = only(report)
    assert report.solution_id == -1
    assert "photodb solve" in report.notes[0]
    assert abs(band.found.by_mag.value - 0.02) < 4 * band.found.by_mag.error < 0.008
    assert band.raw_offset == pytest.approx(-1.4, abs=0.4)  # of the zero points, less the clouds
    assert abs(band.found.offset) < 4 * band.found.offset_err
    assert len(band.nights) == 0
    assert np.isnan(band.drift.p)
    assert words(pair, band).startswith("non-linear +0.0")
    assert len(table(report, "nights")) == len(table(report, "map")) == 0


def test_cameras_names_and_what_is_not_there(database):
    audit_archive.build(database, Truth(60, 4), 6)
    report = audit(database, AuditSettings("south-ccd", "north-ccd", "camera"))
    assert (report.pairs[0].a, report.pairs[0].b) == ("south-ccd", "north-ccd")
    assert report.pairs[0].bands[0].raw_offset == pytest.approx(2.0, abs=0.02)
    with pytest.raises(NothingMatched, match="no telescope east in the archive; there is north, south"):
        audit(database, AuditSettings("east", "north"))
    with pytest.raises(NothingMatched, match="no band U"):
        audit(database, AuditSettings(band="U"))
    with pytest.raises(NothingMatched, match="no solution 77"):
        audit(database, AuditSettings(solution_id=77))
    with pytest.raises(NothingMatched, match="reference catalogue none is not loaded"):
        audit(database, AuditSettings(refcat="none"))


def test_an_archive_with_nothing_to_compare_says_what_there_is(database):
    with pytest.raises(NothingMatched, match="no accepted frames"):
        audit(database)


def test_telescopes_that_saw_other_sources(database):
    audit_archive.build(database, Truth(60, 4), 7)
    with database.begin() as conn:
        frames = audits.frames(conn, -1)
        south = frames["frame_id"][frames["telescope_id"] == frames["telescope_id"].max()].tolist()
        even = tables.detection.c.source_id % 2 == 0
        mine = tables.detection.c.frame_id.in_(south)
        conn.execute(tables.detection.delete().where(mine & even))
        conn.execute(tables.detection.delete().where(~mine & ~even))
        conn.execute(tables.archive.update().values(published_solution_id=None))
    with pytest.raises(NothingMatched, match=r"north: 4 frames, \d+ sources.*overlap") as error:
        audit(database)
    assert "arcsec" in str(error.value)
    with database.begin() as conn:
        conn.execute(tables.frame.update().where(tables.frame.c.frame_id.in_(south)).values(dec=-20.0))
    with pytest.raises(NothingMatched, match=r"do not overlap: 8\d deg"):
        audit(database)
