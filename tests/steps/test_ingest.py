"""Ingest on a real PostgreSQL: simulated nights with truth, damage, repetition, two at once, and kills."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import astropy.io.fits.tests
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from sqlalchemy import text

from photodb.core.match import mutual_nearest
from photodb.core.sky import project
from photodb.errors import NothingMatched, UsageError
from photodb.simulate.survey import simulate
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope, camera_toml
from photodb.steps.refcat import load_refcat
from photodb.storage.rowhashes import row_hashes
from tests.images.sky_frames import star_image, write_frame

HERE = IngestSettings(jobs=0)
RAW = ("frame", "detection", "astrometric_match", "forced", "source", "field")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Two telescopes, two nights, 12 frames, with truth."""
    out = tmp_path_factory.mktemp("night") / "sim"
    simulate(out, n_frames=12, n_stars=200, n_telescopes=2, n_nights=2, seed=20)
    return out


def ask(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def hashes(db):
    with db.begin() as conn:
        return {name: value for name, value in row_hashes(conn).items() if name in RAW}


def test_a_simulated_night_with_a_catalogue(database, night):
    load_refcat(database, night / "refcat.csv", "truth")
    report = ingest(database, [night / "frames"], HERE)
    assert (report.n_accepted, report.n_rejected, report.n_known) == (12, 0, 0)
    kinds = ask(database, "SELECT astrometry, count(*), max(astrom_rms) FROM frame GROUP BY 1")
    assert [row[0] for row in kinds] == ["catalogue"] and kinds[0][2] < 0.4
    stars = Table.read(night / "truth" / "stars.ecsv")
    found = np.array(ask(database, "SELECT ra, dec, n_detections FROM source WHERE n_detections > 6"), float)
    i, j = mutual_nearest(*(np.column_stack(project(t[0], t[1], *found[0, :2])) * 3600 for t in
                            ((found[:, 0], found[:, 1]), (stars["ra"], stars["dec"]))), 1.0)  # fmt: skip
    assert len(i) > 0.97 * len(found)
    off = (found[i, 1] - np.asarray(stars["dec"])[j]) * 3600
    assert np.sqrt(np.mean(off**2)) < 0.15
    # both telescopes see the same sources
    shared = ask(
        database,
        "SELECT count(*) FROM (SELECT source_id FROM detection JOIN frame USING (frame_id) WHERE source_id >= 0 "
        "GROUP BY 1 HAVING count(DISTINCT camera_id) = 2) AS s",
    )
    assert shared[0][0] > 100
    matches = ask(
        database,
        "SELECT count(*), count(*) FILTER (WHERE used), max(abs(dra)) FILTER (WHERE used) FROM astrometric_match",
    )[0]
    assert matches[0] >= matches[1] > 12 * 20 and matches[2] < 1.5


def test_running_again_does_nothing(database, night):
    ingest(database, [night / "frames"], HERE)
    before = hashes(database)
    runs = ask(database, "SELECT count(*) FROM run")
    report = ingest(database, [night / "frames"], HERE)
    assert (report.n_new, report.n_known) == (0, 12)
    assert hashes(database) == before and ask(database, "SELECT count(*) FROM run") == runs


def test_means_of_sources_are_the_weighted_ones_of_their_detections(database, night):
    ingest(database, [night / "frames"], HERE)
    rows = ask(
        database,
        """
        WITH seen AS (SELECT d.*, f.mjd, 1 / (power(f.pixel_scale, 2) * ((x_err ^ 2 + y_err ^ 2) / 2 + 0.0025)) AS w
                      FROM detection d JOIN frame f USING (frame_id) WHERE source_id >= 0),
             means AS (SELECT source_id, sum(w) AS w, sum(w * ra) / sum(w) AS ra, sum(w * dec) / sum(w) AS dec,
                       sum(w * mjd) / sum(w) AS mjd, count(*) AS n, min(mjd) AS a, max(mjd) AS b FROM seen GROUP BY 1)
        SELECT s.n_detections, m.n, s.ra - m.ra, s.dec - m.dec, s.weight / m.w - 1, s.mjd_mean - m.mjd,
               s.first_mjd - a, s.last_mjd - b, s.dec_scatter - 3600 * sqrt((
                 SELECT sum(d.w * (d.dec - m.dec) ^ 2) / m.w FROM seen d WHERE d.source_id = m.source_id))
        FROM source s JOIN means m USING (source_id)
        """,
    )
    values = np.array(rows, float)
    assert len(values) > 100 and (values[:, 0] == values[:, 1]).all()
    assert np.abs(values[:, 2:4]).max() * 3600 < 1e-4
    assert np.abs(values[:, 4]).max() < 1e-5
    assert np.abs(values[:, 5:8]).max() < 1e-6
    assert np.abs(values[:, 8]).max() < 1e-3


def test_one_frame_renamed_and_recompressed_is_one_frame(database, night, tmp_path):
    first = sorted((night / "frames").rglob("*.fits"))[0]
    shutil.copy(first, tmp_path / "renamed.fits")
    (tmp_path / "packed.fits.gz").write_bytes(gzip.compress(first.read_bytes()))
    with fits.open(first) as hdus:
        rice = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="RICE_1")
        fits.HDUList([fits.PrimaryHDU(), rice]).writeto(tmp_path / "rice.fits.fz")
    report = ingest(database, [first, tmp_path], HERE)
    assert (report.n_accepted, report.n_known, report.n_rejected) == (1, 3, 0)
    assert ask(database, "SELECT count(*) FROM frame") == [(1,)]


def test_two_processes_at_once_equal_one(database, another_database, night):
    frames = sorted((night / "frames").rglob("*.fits"))
    with ThreadPoolExecutor(2) as pool:
        halves = [frames[::2] + frames[1:4], frames[1::2] + frames[:2]]
        list(pool.map(lambda part: ingest(database, part, HERE), halves))
    ingest(another_database, frames, HERE)
    counts = "SELECT count(*), count(DISTINCT data_hash) FROM frame"
    assert ask(database, counts) == ask(another_database, counts) == [(12, 12)]
    doubled = ask(
        database,
        "SELECT count(*) FROM source a JOIN source b ON a.source_id < b.source_id AND a.healpix / 4398046511104 = "
        "b.healpix / 4398046511104 AND abs(a.dec - b.dec) < 0.5 / 3600 AND abs(a.ra - b.ra) < 0.5 / 3600",
    )
    alone = ask(
        another_database,
        "SELECT count(*) FROM source a JOIN source b ON a.source_id < b.source_id AND a.healpix / 4398046511104 = "
        "b.healpix / 4398046511104 AND abs(a.dec - b.dec) < 0.5 / 3600 AND abs(a.ra - b.ra) < 0.5 / 3600",
    )
    assert doubled == alone == [(0,)]


def test_bad_files_among_good_ones(database, night, tmp_path):
    good = sorted((night / "frames").rglob("*.fits"))[:2]
    folder = tmp_path / "mixed"
    shutil.copytree(Path(astropy.io.fits.tests.__file__).parent / "data", folder)
    for path in good:
        shutil.copy(path, folder)
    (folder / "empty.fits").write_bytes(b"")
    (folder / "cut.fits").write_bytes(good[0].read_bytes()[:100_000])
    (folder / "notes.txt").write_text("not a frame")
    report = ingest(database, [folder], IngestSettings(jobs=2))
    assert report.n_accepted == 2 and report.outcome == "partial"
    rows = ask(database, "SELECT status, reason, reason_code FROM frame")
    assert len(rows) == report.n_new and all(r[0] == "accepted" or (r[1] and r[2]) for r in rows)
    assert {"empty", "truncated", "no_image", "unknown_camera", "too_small"} <= {r[2] for r in rows}


@pytest.mark.real
def test_the_shared_bad_files_are_all_refused_with_reasons(database, data_dir):
    report = ingest(database, [data_dir("bad_fits")], IngestSettings(jobs=1))
    assert report.n_accepted == 0 and report.n_rejected == report.n_new > 45
    assert all(code and reason for _, code, reason in report.rejected)


def test_an_unknown_camera_is_refused_with_a_skeleton_and_taken_once_described(database, tmp_path):
    counts, *_ = star_image(np.random.default_rng(1), n=60)
    path = write_frame(tmp_path / "x.fits", counts, TELESCOP=None, INSTRUME=None, DETID="K9")
    report = ingest(database, [path], HERE)
    assert report.rejected[0][1] == "unknown_camera" and "[[camera]]" in report.rejected[0][2]
    toml = tmp_path / "t.toml"
    toml.write_text(
        '[telescope]\nname = "K"\n[[camera]]\nname = "K9"\nmatch = { DETID = "K9" }\ngain = 2.0\n'
    )
    add_telescope(database, toml)
    assert ingest(database, [path], HERE).n_new == 0
    again = ingest(database, [path], IngestSettings(jobs=0, retry=True))
    assert (again.n_accepted, again.n_rejected) == (1, 0)
    assert ask(database, "SELECT status, camera.name FROM frame JOIN camera USING (camera_id)") == [
        ("accepted", "K9")
    ]
    add_telescope(database, _written(tmp_path / "back.toml", camera_toml(database, "K9")))


def _written(path, content):
    path.write_text(content)
    return path


def test_assumptions_are_told_and_a_wrong_time_zone_is_remarked(database, tmp_path):
    counts, *_ = star_image(np.random.default_rng(2), n=60)
    cards = {"GAIN": None, "SATURATE": None, "DATE-OBS": "2024-03-01T12:10:00.5"}
    report = ingest(database, [write_frame(tmp_path / "x.fits", counts, **cards)], HERE)
    told = "\n".join(report.assumed)
    assert (
        "described from its header" in told
        and "gain" in told
        and "saturation" in told
        and "telescope add" in told
    )
    row = ask(database, "SELECT reason, astrometry, status FROM frame")[0]
    assert "the sun stood" in row[0] and "approximate" in row[0]
    assert row[1:] == ("approximate", "accepted")


def test_without_a_place_frames_are_kept_and_center_gives_one(database, tmp_path):
    counts, *_ = star_image(np.random.default_rng(3), n=60)
    path = write_frame(tmp_path / "x.fits", counts, RA=None, DEC=None)
    ingest(database, [path], HERE)
    assert ask(database, "SELECT astrometry, status, n_detections > 40 FROM frame") == [
        ("none", "accepted", True)
    ]
    assert ask(database, "SELECT count(*) FROM source") == [(0,)]
    other = write_frame(tmp_path / "y.fits", counts, RA=None, DEC=None, OBJECT="y", EXPTIME=61.0)
    ingest(database, [other], IngestSettings(jobs=0, center=(120.0, 10.0), scale=2.0))
    row = ask(database, "SELECT astrometry, ra, pixel_scale FROM frame WHERE exptime = 61")[0]
    assert row[0] == "approximate" and row[1] == pytest.approx(120, abs=1e-6) and row[2] == pytest.approx(2)


def test_frames_without_a_catalogue_follow_their_reference(database, tmp_path):
    rng = np.random.default_rng(4)
    counts, *_ = star_image(rng, n=120, shape=(420, 520))
    for k, (dx, dy) in enumerate([(0, 30), (17, 21), (40, 52)]):
        cut = counts[dy : dy + 340, dx : dx + 440]
        write_frame(tmp_path / f"{k}.fits", cut, **{"DATE-OBS": f"2024-03-01T22:1{k}:00"})
    report = ingest(database, [tmp_path], HERE)
    assert report.n_accepted == 3
    rows = ask(database, "SELECT astrometry, shift_n > 20, shift_rms < 0.3 FROM frame ORDER BY mjd")
    assert [r[0] for r in rows] == ["approximate"] * 3 and rows[1][1:] == rows[2][1:] == (True, True)


def test_wrong_calls_teach(database, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        ingest(database, [tmp_path / "nowhere"], HERE)
    (tmp_path / "x.fits").write_bytes(b"")
    with pytest.raises(UsageError, match="no camera 'X'; known are"):
        ingest(database, [tmp_path], IngestSettings(camera="X", jobs=0))


def test_dry_run_writes_nothing(database, night):
    report = ingest(database, [night / "frames"], IngestSettings(jobs=0, dry_run=True))
    assert report.n_new == 12 and ask(database, "SELECT count(*) FROM frame") == [(0,)]
    assert ask(database, "SELECT count(*) FROM run") == [(0,)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_twenty_random_moments_equals_undisturbed(server, database, another_database, night):
    """kill -9 of the whole process group at random moments, before, while and after frames are written and measured."""
    ingest(another_database, [night / "frames"], IngestSettings(jobs=2))
    rng = np.random.default_rng()
    url = server.url(database.conninfo["dbname"])
    half_way = measuring = 0
    for k in range(20):
        low, high = [(0, 24), (1, 11), (13, 23)][
            k % 3
        ]  # any moment; while frames are written; while they are measured
        there = n_done(database)
        if there >= high:
            with database.begin() as conn:
                conn.execute(text(EMPTY))
            there = 0
        _kill_after(
            _start_ingest(url, night), database, rng.integers(max(low, there), high), rng.uniform(0, 0.04)
        )
        done = n_done(database)
        half_way += 0 < done < 12
        measuring += 12 < done < 24
    assert half_way >= 2 and measuring >= 2
    assert _start_ingest(url, night).wait() == 0
    assert hashes(database) == hashes(another_database)


def n_done(db):
    """Count the frames written, and once more those measured at known places."""
    return ask(db, "SELECT count(*) + count(n_forced) FROM frame")[0][0]


def _kill_after(process, database, n, seconds):
    """Kill a process group once more than n steps are done, and a little later; n = 0: at any moment."""
    while n and n_done(database) < n and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.003)
    if not n:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=50 * seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


EMPTY = (
    "TRUNCATE frame, field, field_reference, source, detection, astrometric_match, forced, frame_judgement, "
    "master, master_frame, frame_master, tie, tie_star, frame_term, source_mag, source_stat CASCADE"
)


def _start_ingest(url, night):
    command = [
        sys.executable,
        "-m",
        "photodb",
        "--archive",
        url,
        "ingest",
        "--jobs",
        "2",
        str(night / "frames"),
    ]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("OBJECT  = 'unterminated", ""),
        ("FILTER  = R", "no_filter"),
        ("EXPTIME = 30.0s", "unknown_camera"),
        ("EXPTIME =              1.0E15", "bad_exposure"),
        ("FILTER  =", "no_filter"),
        ("PIXSCALE=               1.0E9", ""),
    ],
)
def test_one_bad_card_costs_one_frame_at_most(database, tmp_path, card, code):
    rng = np.random.default_rng(6)
    counts, *_ = star_image(rng, n=60)
    for k in range(2):
        counts = counts + rng.normal(0, 3, counts.shape)
        write_frame(tmp_path / f"{k}.fits", counts, OBJECT="x", **{"DATE-OBS": f"2024-03-01T22:1{k}:00"})
    raw = (tmp_path / "1.fits").read_bytes()
    start = raw.index(card.split("=")[0].ljust(8).encode() + b"=")
    (tmp_path / "1.fits").write_bytes(raw[:start] + card.ljust(80).encode() + raw[start + 80 :])
    report = ingest(database, [tmp_path], HERE)
    assert report.n_accepted + report.n_rejected == 2 and report.n_accepted >= 1
    assert [r[1] for r in report.rejected] == ([code] if code else [])


def test_a_name_that_is_no_utf8_is_stored(database, tmp_path):
    counts, *_ = star_image(np.random.default_rng(7), n=60)
    path = write_frame(tmp_path / "x.fits", counts)
    os.rename(path, os.path.join(os.fsencode(tmp_path), b"\xe9toile.fits"))
    assert ingest(database, [tmp_path], HERE).n_accepted == 1
    assert ask(database, "SELECT path FROM frame")[0][0].endswith("toile.fits")


def test_binnings_are_cameras_of_their_own_and_known_ones_keep_their_description(database, tmp_path):
    rng = np.random.default_rng(8)
    for k, shape in enumerate([(300, 400), (150, 200), (300, 400)]):
        counts, *_ = star_image(rng, n=25, shape=shape, gain=1.0 + shape[0] / 300)
        binning = 300 // shape[0]
        cards = {"GAIN": None, "XBINNING": binning, "DATE-OBS": f"2024-03-01T22:1{k}:00"}
        folder = tmp_path / str(k)
        folder.mkdir()
        write_frame(folder / "x.fits", counts, **cards)
        ingest(database, [folder], HERE)
    rows = ask(
        database,
        "SELECT c.name, count(*), min(f.gain) = max(f.gain), max(c.gain) = max(f.gain) FROM frame f "
        "JOIN camera c USING (camera_id) GROUP BY 1 ORDER BY 1",
    )
    assert [r[0] for r in rows] == ["T1-C1", "T1-C1-bin2"]
    assert [r[1:] for r in rows] == [(2, True, True), (1, True, True)]


def test_approximate_and_sure_places_never_mix(database, night, tmp_path):
    ingest(database, [night / "frames"], HERE)
    ra, dec = ask(database, "SELECT ra, dec FROM field ORDER BY field_id LIMIT 1")[0]
    before = ask(database, "SELECT source_id, ra, dec, n_detections FROM source ORDER BY 1")
    with database.begin() as conn:
        conn.execute(
            text("UPDATE field SET ra = ra + 40, radius = 0.01")
        )  # so that the field's own guard is off
    counts, *_ = star_image(np.random.default_rng(9), n=150)
    write_frame(tmp_path / "x.fits", counts, RA=None, DEC=None, TELESCOP="Q")
    ingest(database, [tmp_path], IngestSettings(jobs=0, center=(ra + 5, dec), scale=1.0))
    assert (
        ask(database, "SELECT source_id, ra, dec, n_detections FROM source WHERE NOT approximate ORDER BY 1")
        == before
    )


def test_settings_that_make_no_sense_are_refused():
    for values in ({"max_stars": 0}, {"threshold": float("nan")}, {"scale": float("nan")}, {"center": (400.0, 100.0)},
                   {"box": (5, 5, 1, 1)}):  # fmt: skip
        with pytest.raises(UsageError):
            IngestSettings(**values)


def test_nothing_to_read_is_said(database, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n")
    with pytest.raises(NothingMatched, match="1 other files"):
        ingest(database, [tmp_path], HERE)
