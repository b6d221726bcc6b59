"""Star lists through ingest, solve and statistics, in every format: the same light curves as far as digits go."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from sqlalchemy import text

from photodb.core import sky
from photodb.images.quality import Areas
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.simulate.survey import simulate
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope
from photodb.steps.refcat import load_refcat
from photodb.steps.requality import measure
from photodb.steps.runs import undo_run
from photodb.steps.solve import solve
from photodb.steps.stats import stats
from photodb.steps.verify import verify_archive
from photodb.storage import forced
from photodb.storage.framelists import FrameFilter
from tests.helpers.star_lists import DEC, HALF_WIDTH, RA, WRITERS, frames_of, write_lists

SURVEY = SurveySettings(n_frames=10, n_stars=160, order=1, outliers=0.0, variables=0.0)
DIGITS = {"als": 2e-4, "ap": 2e-4, "iraf": 2e-4, "csv_mag": 2e-5}
"""Magnitudes by which lists of few digits may differ."""


@pytest.fixture(scope="module")
def survey():
    return simulate_survey(SURVEY, seed=5)


@pytest.fixture(scope="module")
def frames(survey):
    return frames_of(survey)


def ask(db, sql):
    with db.begin() as conn:
        return conn.execute(text(sql)).all()


def points(db, frames):
    """Return calibrated magnitudes (n_frames, n_stars), NaN where there is none; stars are told by their rank."""
    rows = ask(
        db,
        "SELECT f.mjd, p.detection_id & 1048575, p.mag FROM light_curve_point p JOIN frame f USING (frame_id)",
    )
    by_mjd = {round(f.mjd, 3): f for f in frames}
    table = np.full((len(frames), 1 + max(f.star.max() for f in frames)), np.nan)
    for mjd, rank, mag in rows:
        f = by_mjd[round(mjd, 3)]
        table[f.number, f.star[rank]] = mag
    return table


@pytest.fixture(scope="module")
def expected(server, survey, frames, tmp_path_factory):
    """Calibrated magnitudes of the plain CSV lists, checked against truth."""
    name = server.create(server.template)
    try:
        with server.database(name) as db:
            made = light_curves(db, survey, frames, tmp_path_factory.mktemp("csv"), "csv")
    finally:
        server.drop(name)
    seen = np.isfinite(made).any(axis=0)
    truth = np.nanmedian(made[:, seen], axis=0) - survey.star_mag[seen]
    assert np.isfinite(made).sum() > 0.98 * sum(len(f.star) for f in frames)
    bright = survey.star_mag[seen] < 15
    assert 1.4826 * np.nanmedian(np.abs(truth - np.nanmedian(truth))[bright]) < 0.01
    return made


def catalogue(survey, path):
    """Write the survey's stars as a reference catalogue."""
    xi, eta = survey.star_xy.T * HALF_WIDTH
    ra, dec = sky.deproject(xi, eta, RA, DEC)
    Table(
        {"id": np.arange(len(ra)), "ra": ra, "dec": dec, "V": survey.star_mag, "V_err": 0.01 + 0 * ra}
    ).write(path)
    return path


def light_curves(db, survey, frames, folder, kind):
    maps = write_lists(frames, folder / "lists", kind)
    place = {"center": (RA, DEC), "scale": 1.8} if kind in ("csv_pixels_only", "als", "ap", "iraf") else {}
    if place:  # without positions, two telescopes meet only in a catalogue
        load_refcat(db, catalogue(survey, folder / "refcat.csv"), "truth")
    report = ingest(db, [folder / "lists"], IngestSettings(jobs=0, list_maps=tuple(maps), **place))
    assert (report.n_accepted, report.rejected) == (len(frames), [])
    solve(db)
    stats(db)
    return points(db, frames)


@pytest.mark.parametrize("kind", [k for k in WRITERS if k != "csv"])
def test_every_format_gives_the_same_light_curves(database, survey, frames, tmp_path, expected, kind):
    made = light_curves(database, survey, frames, tmp_path, kind)
    both = np.isfinite(made) & np.isfinite(expected)
    assert both.sum() > 0.98 * np.isfinite(expected).sum()
    off = (made - expected)[both]
    off = np.abs(off - np.median(off))
    if (
        kind == "csv_sky_only"
    ):  # laid on a plane of another size and rotation: the frames' polynomials differ a little
        assert np.median(off) < 1e-3 and off.max() < 0.03
    else:
        assert off.max() < DIGITS.get(kind, 2e-6) + 3e-6
    told = ask(database, "SELECT DISTINCT source_format FROM frame")
    assert told[0][0] != "pixels" and len(told) == 1
    assert ask(database, "SELECT count(*) FROM telescope") == [(2,)]


def test_a_folder_of_everything(database, frames, tmp_path):
    """Lists, broken lists and files that are none in one folder: each becomes what it is, and again nothing twice."""
    folder = tmp_path / "lists"
    write_lists(frames[:4], folder, "csv")
    good = sorted(folder.iterdir())
    lines = good[0].read_text().splitlines()
    (folder / "empty.csv").write_text("")
    (folder / "head.csv").write_text(lines[0] + "\n")
    (folder / "notime.csv").write_text("\n".join([lines[0].replace("mjd", "when"), *lines[1:]]) + "\n")
    (folder / "refcat.csv").write_text("id,ra,dec,V,V_err\n1,200,35,12,0.1\n")
    (folder / "notes.txt").write_text("clouds\n")
    (folder / "copy.csv").write_text("\n".join(lines) + "\n")  # the bytes of the first list, by another name
    report = ingest(database, [folder], IngestSettings(jobs=2))
    assert (report.n_accepted, report.n_rejected, report.n_known, report.n_ignored) == (4, 3, 1, 2)
    assert sorted(code for _, code, _ in report.rejected) == ["empty", "empty", "no_time"]
    told = ask(database, "SELECT source_format, status, count(*) FROM frame GROUP BY 1, 2 ORDER BY 1")
    assert told == [("list", "rejected", 3), ("photodb", "accepted", 4)]
    again = ingest(database, [folder], IngestSettings(jobs=0))
    assert (again.n_new, again.n_known) == (0, 8)
    named = ingest(database, [folder / "refcat.csv"], IngestSettings(jobs=0))
    assert named.rejected[0][1] == "not_a_list"


def test_a_refused_list_is_taken_again_with_a_map(database, frames, tmp_path):
    write_lists(frames[:1], tmp_path / "lists", "als")
    report = ingest(database, [tmp_path / "lists"], IngestSettings(jobs=0))
    assert [code for _, code, _ in report.rejected] == ["no_camera"]
    told = IngestSettings(
        jobs=0, list_maps=(str(tmp_path / "als.toml"),), retry=True, center=(RA, DEC), scale=1.8
    )
    assert ingest(database, [tmp_path / "lists"], told).n_accepted == 1
    (settings,) = ask(database, "SELECT settings->'list_maps'->>0, arguments->'maps'->0->>'name' FROM run "
                                "ORDER BY run_id DESC LIMIT 1")  # fmt: skip
    assert settings == (str(tmp_path / "als.toml"), "als")


def test_a_list_joins_the_camera_that_the_archive_knows(database, frames, tmp_path):
    toml = tmp_path / "t.toml"
    toml.write_text(
        '[telescope]\nname = "big"\nlatitude = 31.6\nlongitude = -110.9\naperture_diameter = 2.5\n'
        '[[camera]]\nname = "big-ccd"\nmatch = { TELESCOP = "anything" }\ngain = 2.0\n'
    )
    add_telescope(database, toml)
    big = next(f for f in frames if f.telescope == "big")
    write_lists([big], tmp_path / "lists", "csv")
    ingest(database, [tmp_path / "lists"], IngestSettings(jobs=0))
    rows = ask(database, "SELECT c.name, t.latitude, f.sun_altitude IS NOT NULL, f.gain, f.airmass FROM frame f "
                         "JOIN camera c USING (camera_id) "
                         "JOIN telescope t USING (telescope_id)")  # fmt: skip
    assert rows == [("big-ccd", 31.6, True, 2.0, pytest.approx(1.2))]
    assert ask(database, "SELECT count(*) FROM camera") == [(1,)]


def test_runs_of_lists_are_undone_and_verified(database, frames, tmp_path):
    write_lists(frames[:3], tmp_path / "lists", "csv")
    ingest(database, [tmp_path / "lists"], IngestSettings(jobs=0))
    assert verify_archive(database, deep=True).problems == []
    assert measure(database, FrameFilter(), Areas(), jobs=0).n_frames == 0  # no pixels to measure again
    with database.begin() as conn:
        assert forced.pending(conn) == []
    undo_run(database, 1)
    assert ask(database, "SELECT (SELECT count(*) FROM frame), (SELECT count(*) FROM detection)") == [(0, 0)]


def test_lists_of_what_photodb_measured_join_its_frames(database, tmp_path):
    """Frames, and lists of their detections an hour later: one camera, the same sources, the same zero points."""
    simulate(tmp_path / "sim", n_frames=5, n_stars=120, n_telescopes=1, n_nights=1, seed=4)
    pixels = ingest(database, [tmp_path / "sim" / "frames"], IngestSettings(jobs=0))
    names = (
        "mjd",
        "exptime",
        "band",
        "telescope",
        "camera",
        "x",
        "y",
        "ra",
        "dec",
        "flux",
        "flux_err",
        "nx",
        "ny",
        "flags",
    )
    rows = ask(database, "SELECT f.frame_id, f.mjd + 1 / 24.0, exptime, b.name, t.name, c.name, x, y, d.ra, d.dec, "
                         "flux, flux_err, nx, ny, flags FROM detection d JOIN frame f USING (frame_id) "
                         "JOIN band b USING (band_id) JOIN camera c USING (camera_id) "
                         "JOIN telescope t USING (telescope_id)")  # fmt: skip
    (tmp_path / "lists").mkdir()
    for key in {row[0] for row in rows}:
        mine = Table(rows=[row[1:] for row in rows if row[0] == key], names=names)
        mine.write(tmp_path / "lists" / f"{key}.csv")
    lists = ingest(database, [tmp_path / "lists"], IngestSettings(jobs=0))
    assert (pixels.n_accepted, lists.n_accepted, lists.n_sources) == (5, 5, 0)
    assert ask(database, "SELECT count(*) FROM camera") == [(1,)]
    solve(database)
    stats(database)  # every magnitude is there twice, some sources have nothing else
    zero = dict(
        ask(
            database,
            "SELECT source_format, avg(zero_point) FROM frame_term JOIN frame USING (frame_id) GROUP BY 1",
        )
    )
    assert abs(zero["pixels"] - zero["photodb"]) < 1e-3
    assert verify_archive(database, deep=True).problems == []
