"""Clocks, overlaps and pointings that cannot be right: said once a night, marked on the frame, undone with its run."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.doubts import Doubt
from photodb.core.ephemeris import airmass, altitude_of, place_at
from photodb.steps.clocks import check_clocks, jumps_of
from photodb.steps.doctor import _times
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope
from photodb.steps.judge import FrameFilter, describe_frame, frame_columns
from photodb.steps.runs import undo_run
from photodb.steps.verify import verify_archive
from tests.images.sky_frames import star_image, write_frame

HERE = IngestSettings(jobs=0)
SITE = {"latitude": 31.68, "longitude": -110.88}
RA, DEC = 31.0427, 46.6878
NIGHT = np.linspace(58107.08, 58107.30, 8)
CAMERA = """
[telescope]
name = "T1"
latitude = 31.68
longitude = {longitude}
[[camera]]
name = "C1"
match = {{ TELESCOPE = "T1", CAMERA = "C1" }}
"""


def night_of_lists(folder, shift_hours=0.0, with_airmass=False, exptime=60.0, mjds=NIGHT, said=None):
    """Write star lists of a night whose clock is off by some hours."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    dx, dy = rng.uniform(-0.2, 0.2, (2, 40))
    cosine = np.cos(np.radians(DEC))
    flux = np.sort(rng.uniform(2e3, 9e4, 40))[::-1]
    for k, mjd in enumerate(mjds, start=1):
        head = [f"# mjd = {mjd + shift_hours / 24:.8f}", f"# exptime = {exptime}", "# band = V"]
        head += ["# telescope = T1", "# camera = C1", "# nx = 800", "# ny = 800"]
        if k in (said or {}):
            head.append(f"# airmass = {said[k]}")
        elif with_airmass:
            head.append(f"# airmass = {airmass(altitude_of(RA, DEC, mjd, *SITE.values())):.3f}")
        rows = [
            f"{400 - 1800 * a},{400 + 1800 * d},{RA + a / cosine},{DEC + d},{f * (1 + k / 100)},{f**0.5}"
            for a, d, f in zip(dx, dy, flux)
        ]
        (folder / f"night.{k:04d}.csv").write_text(
            "\n".join([*head, "x,y,ra,dec,flux,flux_err", *rows]) + "\n"
        )
    return folder


@pytest.fixture
def described(database, tmp_path):
    """Register the camera with its site and return the database."""

    def make(longitude=SITE["longitude"]):
        path = tmp_path / "camera.toml"
        path.write_text(CAMERA.format(longitude=longitude))
        add_telescope(database, path)
        return database

    return make


def ask(db, sql):
    with db.begin() as conn:
        return conn.execute(text(sql)).all()


def test_a_right_clock_is_not_doubted(described, tmp_path):
    db = described()
    report = ingest(db, [night_of_lists(tmp_path / "n", with_airmass=True)], HERE)
    assert (report.n_accepted, report.clocks) == (8, [])
    assert ask(db, "SELECT DISTINCT doubts, abs(airmass - header_airmass) < .002 FROM frame") == [(0, True)]
    assert _times(db).state == "ok" and verify_archive(db).doubts == ""


def test_an_airmass_that_cannot_be_one_gives_way_to_that_of_time_and_place(described, tmp_path):
    db = described()
    ingest(db, [night_of_lists(tmp_path / "n", with_airmass=True, said={2: 1.0, 3: 99.0})], HERE)
    rows = ask(db, "SELECT header_airmass, airmass, mjd, doubts FROM frame ORDER BY mjd")
    true = [airmass(altitude_of(RA, DEC, row.mjd, *SITE.values())) for row in rows]
    assert [rows[1].header_airmass, rows[2].header_airmass] == [1.0, 99.0]
    assert [row.airmass for row in rows] == pytest.approx(true, abs=0.002)
    assert [row.doubts for row in rows] == [0] * 8


def test_local_time_read_as_utc_is_one_message_and_a_mark_on_each_frame(described, tmp_path):
    db = described()
    report = ingest(db, [night_of_lists(tmp_path / "n", shift_hours=-7, with_airmass=True)], HERE)
    (said,) = report.clocks
    assert "C1" in said and "8 frames" in said and "7 h behind UTC" in said and "utc_offset = -7" in said
    rows = ask(db, "SELECT doubts, reason, status FROM frame")
    assert {r.status for r in rows} == {"accepted"} and all(r.doubts & 7 for r in rows)
    assert all("utc_offset" in r.reason or "longitude" in r.reason for r in rows)
    listed = frame_columns(db, FrameFilter(doubtful=True), ("frame_id", "doubts"))
    assert len(listed["frame_id"]) == 8 and set(listed["doubts"]) <= {"sun_up", "below_horizon", "airmass"}
    assert describe_frame(db, str(listed["frame_id"][0]))["doubts"] == listed["doubts"][0]
    assert _times(db).state == "warn" and "utc_offset = -7" in _times(db).text
    assert "--doubtful" in verify_archive(db).doubts and not verify_archive(db).problems


def test_a_longitude_counted_westward(described, tmp_path):
    db = described(longitude=110.88)
    report = ingest(db, [night_of_lists(tmp_path / "n", with_airmass=True)], HERE)
    assert len(report.clocks) == 1 and "longitude = -110.88" in report.clocks[0]


def test_nights_with_the_same_error_are_one_message(described, tmp_path):
    db = described()
    twice = np.r_[NIGHT, NIGHT + 1.0]
    report = ingest(db, [night_of_lists(tmp_path / "n", shift_hours=-7, with_airmass=True, mjds=twice)], HERE)
    assert len(report.clocks) == 1 and "16 frames" in report.clocks[0] and "nights of" in report.clocks[0]


def test_one_daylight_frame_of_a_good_night_accuses_no_clock(described, tmp_path):
    db = described()
    report = ingest(db, [night_of_lists(tmp_path / "n", mjds=np.r_[NIGHT, 58107.8])], HERE)
    assert report.clocks == [] and check_clocks(db) == []
    assert ask(db, "SELECT count(*) FROM frame WHERE doubts & 1 <> 0") == [(1,)]


def test_two_frames_of_one_time_both_stay_and_name_each_other(described, tmp_path):
    db = described()
    first = night_of_lists(tmp_path / "a", mjds=NIGHT[:3])
    second = night_of_lists(tmp_path / "b", mjds=NIGHT[:2] + np.array([20, 90]) / 86400)
    ingest(db, [first], HERE)
    alone = ask(db, "SELECT doubts, reason FROM frame ORDER BY frame_id")
    for k, path in enumerate(sorted(second.iterdir())):
        path.rename(path.with_name(f"other{k}.csv"))
    ingest(db, [second], HERE)
    rows = {
        r.name: r
        for r in ask(db, "SELECT regexp_replace(path, '.*/', '') AS name, * FROM frame ORDER BY frame_id")
    }
    assert len(rows) == 5 and {r.status for r in rows.values()} == {"accepted"}
    assert {n for n, r in rows.items() if r.doubts & Doubt.OVERLAP} == {"night.0001.csv", "other0.csv"}
    assert "exposed at the same time as 'other0.csv'" in rows["night.0001.csv"].reason
    assert "exposed at the same time as 'night.0001.csv'" in rows["other0.csv"].reason
    (run,) = ask(db, "SELECT run_id FROM run WHERE command = 'ingest' ORDER BY run_id DESC LIMIT 1")
    undo_run(db, run.run_id)
    assert ask(db, "SELECT doubts, reason FROM frame ORDER BY frame_id") == alone


def test_a_night_of_one_and_the_same_time_names_three_and_stops(described, tmp_path):
    db = described()
    ingest(db, [night_of_lists(tmp_path / "n", mjds=np.full(6, NIGHT[0]))], HERE)
    rows = ask(db, "SELECT doubts, reason FROM frame")
    assert [r.doubts for r in rows] == [8] * 6 and max(r.reason.count("same time") for r in rows) == 3


def test_a_clock_that_jumps_back_is_told_by_the_numbers_of_the_files(described, tmp_path):
    db = described()
    times = np.r_[NIGHT[:4] + 0.05, NIGHT[4:] - 0.06]
    report = ingest(db, [night_of_lists(tmp_path / "n", mjds=times)], HERE)
    (said,) = report.clocks
    assert "jumped back" in said and "night.0004.csv and night.0005.csv" in said
    dated = np.array([f"20240101T2200{k:02d}.fits" for k in range(8)], object)
    assert list(jumps_of(dated, times)) == []


def test_a_wrong_zone_of_a_single_frame_with_pixels(database, tmp_path):
    counts, *_ = star_image(np.random.default_rng(2), n=60)
    path = write_frame(
        tmp_path / "x.fits", counts, **{"DATE-OBS": "2024-03-01T12:10:00.5", "SITELONG": 150.0}
    )
    sun = place_at(60370.507, 30.0, 150.0).sun_altitude
    report = ingest(database, [path], HERE)
    row = ask(database, "SELECT doubts, reason FROM frame")[0]
    assert sun < -3 and row.doubts & (Doubt.BELOW_HORIZON | Doubt.AIRMASS) == 0 and report.clocks == []
    noon = write_frame(
        tmp_path / "y.fits",
        counts,
        **{"DATE-OBS": "2024-03-01T22:10:00.5", "SITELONG": 150.0, "INSTRUME": "C2"},
    )
    report = ingest(database, [noon], HERE)
    assert len(report.clocks) == 1 and "utc_offset = +10" in report.clocks[0]
