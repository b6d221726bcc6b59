"""Frames placed anew after their ingest, on a real PostgreSQL: simulated nights whose catalogue came later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from sqlalchemy import text

from photodb.core.doubts import Doubt
from photodb.core.match import mutual_nearest
from photodb.core.sky import project
from photodb.errors import NothingMatched, UsageError
from photodb.simulate.survey import simulate
from photodb.steps.astrometry import AstrometrySettings, solve_astrometry
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.judge import reject
from photodb.steps.measure import MeasureSettings, measure
from photodb.steps.refcat import load_refcat
from photodb.steps.runs import list_runs, undo_run
from photodb.steps.solve import SolveSettings, solve
from photodb.steps.verify import verify_archive
from photodb.storage import frames
from photodb.storage.rowhashes import row_hashes
from photodb.storage.todo import todo

HERE = IngestSettings(jobs=0)
PLACED = ("frame", "detection", "astrometric_match", "forced", "source", "field")
BUT_FORCED = ("detection", "astrometric_match", "source", "field")
RAW = (
    "x, y, x_err, y_err, flux, flux_err, mag, mag_err, flux_aperture, flux_psf, sky, peak, fwhm, theta, class"
)
RAW = f"SELECT detection_id, md5(row({RAW})::text) FROM detection ORDER BY 1"
PLACES = """
SELECT f.data_hash, d.detection_id & 1048575, d.flags, d.class, s.n_detections, d.ra, d.dec, s.ra, s.dec
FROM detection d JOIN frame f USING (frame_id) JOIN source s USING (source_id) ORDER BY 1, 2
"""
FORCED = """
SELECT f.data_hash, r.detection_id & 1048575, r.flags, r.x, r.y, r.flux_psf, r.flux_psf_err FROM forced r
JOIN frame f USING (frame_id) JOIN source s USING (cell, source_id) ORDER BY 1, 2, round(s.dec::numeric, 5), s.ra
"""
WCS = ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Two telescopes, one night, 6 frames whose headers tell the pointing and the scale only, with truth."""
    out = tmp_path_factory.mktemp("night") / "sim"
    simulate(out, n_frames=6, n_stars=150, n_telescopes=2, n_nights=1, seed=20)
    for path in (out / "frames").rglob("*.fits"):
        with fits.open(path, mode="update") as hdus:
            for card in WCS:
                hdus[0].header.remove(card, ignore_missing=True)
    return out


@pytest.fixture(scope="module")
def approximate(server, night):
    """An archive of the night whose places are approximate, and a catalogue loaded afterwards; its name."""
    name = server.create()
    with server.database(name) as db:
        ingest(db, [night / "frames"], HERE)
        load_refcat(db, night / "refcat.csv", "truth")
    yield name
    server.drop(name)


@pytest.fixture
def archive(server, approximate):
    """A copy of that archive."""
    name = server.create(approximate)
    with server.database(name) as db:
        yield db
    server.drop(name)


def ask(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def hashes(db, names=PLACED):
    with db.begin() as conn:
        return row_hashes(conn, names)


def problems(db):
    """Return what is wrong with an archive."""
    return verify_archive(db, deep=True).problems


def same_forced(one, other):
    """Compare forced measurements: the means of sources may differ in the last bits, and the places with them."""
    assert [r[:3] for r in one] == [r[:3] for r in other] and len(one) > 100
    a, b = np.array([r[3:] for r in one], float), np.array([r[3:] for r in other], float)
    assert np.abs(a[:, :2] - b[:, :2]).max() < 1e-3
    assert np.nanmax(np.abs(a[:, 2] - b[:, 2]) / a[:, 3]) < 1e-2


def same_places(one, other):
    """Compare positions: fits that begin at other guesses may weigh a star at the edge of its clip otherwise."""
    assert [r[:5] for r in one] == [r[:5] for r in other] and len(one) > 500
    a, b = np.array([r[5:] for r in one], float), np.array([r[5:] for r in other], float)
    assert 3600 * np.abs(a - b).max() < 0.05


def kinds(db):
    return dict(map(tuple, ask(db, "SELECT astrometry, count(*) FROM frame GROUP BY 1")))


def test_places_are_right_and_measurements_untouched(archive, night):
    before, n_forced = ask(archive, RAW), ask(archive, "SELECT count(*) FROM forced")[0][0]
    assert kinds(archive) == {"approximate": 6}
    report = solve_astrometry(archive)
    assert (report.n_placed, report.failed, report.kinds) == (6, [], {"catalogue": 6})
    assert kinds(archive) == {"catalogue": 6} and ask(archive, RAW) == before
    assert ask(archive, "SELECT DISTINCT reason FROM frame WHERE reason NOT LIKE 'trail%'") == [("",)]
    assert ask(
        archive, "SELECT DISTINCT approximate FROM field UNION SELECT DISTINCT approximate FROM source"
    ) == [(False,)]
    assert 0.9 * n_forced < report.n_forced <= n_forced
    assert ask(archive, "SELECT count(*), count(n_forced) FROM frame") == [(6, 0)]
    stars = Table.read(night / "truth" / "stars.ecsv")
    found = np.array(ask(archive, "SELECT ra, dec, n_detections FROM source WHERE n_detections > 2"), float)
    i, j = mutual_nearest(*(np.column_stack(project(t[0], t[1], *found[0, :2])) * 3600 for t in
                            ((found[:, 0], found[:, 1]), (stars["ra"], stars["dec"]))), 1.0)  # fmt: skip
    assert len(i) > 0.97 * len(found)
    assert np.sqrt(np.mean((found[i, 1] - np.asarray(stars["dec"])[j]) ** 2)) * 3600 < 0.2
    both = "SELECT count(*) FROM (SELECT source_id FROM detection JOIN frame USING (frame_id) WHERE source_id >= 0 "
    assert ask(archive, both + "GROUP BY 1 HAVING count(DISTINCT camera_id) = 2) AS s")[0][0] > 50
    measure(archive, settings=MeasureSettings(jobs=0))
    assert not problems(archive)


def test_it_equals_an_archive_that_had_the_catalogue_from_the_start(archive, another_database, night):
    solve_astrometry(archive)
    measure(archive, settings=MeasureSettings(jobs=0))
    load_refcat(another_database, night / "refcat.csv", "truth")
    ingest(another_database, [night / "frames"], HERE)
    same_places(ask(archive, PLACES), ask(another_database, PLACES))
    same_forced(ask(archive, FORCED), ask(another_database, FORCED))
    columns = "data_hash, reason, astrometry, astrom_n, n_forced"
    frames = f"SELECT {columns} FROM frame ORDER BY data_hash"
    assert ask(archive, frames) == ask(another_database, frames)
    # both cameras found their common field while no place was sure, too
    count = "SELECT count(*), bool_or(approximate) FROM field"
    assert ask(archive, count) == ask(another_database, count) == [(1, False)]


def test_again_it_changes_nothing(archive):
    solve_astrometry(archive)
    before, n_runs = hashes(archive), len(list_runs(archive))
    assert solve_astrometry(archive).n_frames == 0 and len(list_runs(archive)) == n_runs
    report = solve_astrometry(archive, settings=AstrometrySettings(all=True, refcat="truth"))
    assert (report.n_frames, report.n_placed, report.n_unchanged, report.failed) == (6, 0, 6, [])
    assert hashes(archive) == before


def test_a_trial_writes_nothing_and_tells_the_same(archive):
    before = hashes(archive), len(list_runs(archive))
    trial = solve_astrometry(archive, settings=AstrometrySettings(dry_run=True))
    assert (hashes(archive), len(list_runs(archive))) == before
    done = solve_astrometry(archive)
    assert {(p["frame_id"], p["after"]) for p in trial.placed} == {
        (p["frame_id"], p["after"]) for p in done.placed
    }


def test_undone_it_is_as_before(archive):
    before, ids = (
        hashes(archive, BUT_FORCED),
        ask(archive, "SELECT detection_id, source_id, cell FROM detection ORDER BY 1"),
    )
    forced = ask(archive, FORCED)
    solve_astrometry(archive)
    run_id = list_runs(archive)[0]["run_id"]
    measure(archive, settings=MeasureSettings(jobs=0))
    assert undo_run(archive, run_id, dry_run=True)["frame_place"] == 6
    assert undo_run(archive, run_id)["frame_place"] == 6
    assert ask(archive, "SELECT detection_id, source_id, cell FROM detection ORDER BY 1") == ids
    assert ask(archive, "SELECT count(*) FROM frame_place UNION ALL SELECT count(*) FROM source_history") == [
        (0,),
        (0,),
    ]
    measure(archive, settings=MeasureSettings(jobs=0))
    assert hashes(archive, BUT_FORCED) == before and not problems(archive)
    same_forced(ask(archive, FORCED), forced)


def test_frames_follow_their_reference_frame(archive):
    first = ask(archive, "SELECT min(frame_id) FROM field_reference")[0][0]
    report = solve_astrometry(archive, [str(first)])
    assert report.n_placed == 3 and kinds(archive) == {"catalogue": 3, "approximate": 3}
    assert ask(archive, "SELECT approximate FROM field") == [(True,)]  # the other camera's frames are
    assert not problems(archive)


def test_what_no_catalogue_covers_follows_other_frames(archive, night, tmp_path):
    """One telescope is placed by the catalogue; the other then by the sources of the first, and by its own frames."""
    first = ask(archive, "SELECT min(frame_id) FROM field_reference")[0][0]
    solve_astrometry(archive, [str(first)])
    elsewhere = Table.read(night / "refcat.csv")
    elsewhere["dec"] -= 3.0
    elsewhere.write(tmp_path / "far.csv")
    load_refcat(archive, tmp_path / "far.csv", "far")
    report = solve_astrometry(archive, settings=AstrometrySettings(refcat="far"))
    assert (report.kinds, report.failed) == ({"frames": 3}, [])
    assert sorted(p["source"].split()[0] for p in report.placed) == ["frame", "frame", "sources"]
    both = "SELECT count(*) FROM (SELECT source_id FROM detection JOIN frame USING (frame_id) WHERE source_id >= 0 "
    assert ask(archive, both + "GROUP BY 1 HAVING count(DISTINCT camera_id) = 2) AS s")[0][0] > 50
    assert ask(archive, "SELECT bool_or(approximate) FROM field") == [(False,)] and not problems(archive)
    before = hashes(archive)
    assert solve_astrometry(archive, settings=AstrometrySettings(refcat="far")).n_unchanged == 3
    assert hashes(archive) == before
    assert solve_astrometry(archive).kinds == {"catalogue": 3}


def test_what_no_catalogue_covers_keeps_its_place_and_says_why(archive, night, tmp_path):
    far = Table.read(night / "refcat.csv")
    far["dec"] -= 3.0
    far.write(tmp_path / "far.csv")
    load_refcat(archive, tmp_path / "far.csv", "far", priority=9)
    before = hashes(archive)
    report = solve_astrometry(archive, settings=AstrometrySettings(refcat="far"))
    assert len(report.failed) == 6 and report.outcome == "partial" and hashes(archive) == before
    assert "match no catalogue" in report.failed[0][2] and "approximate" in report.failed[0][2]
    with pytest.raises(NothingMatched, match="no catalogue near in the archive; loaded: far, truth"):
        solve_astrometry(archive, settings=AstrometrySettings(refcat="near"))
    with pytest.raises(UsageError, match="placed frames with its catalogue"):
        solve_astrometry(archive)
        undo_run(archive, ask(archive, "SELECT run_id FROM reference_catalogue WHERE name = 'truth'")[0][0])


def test_two_at_once_equal_one(server, approximate, archive):
    name = server.create(approximate)
    with server.database(name) as alone:
        solve_astrometry(alone)
        expected = hashes(alone, ("detection", "astrometric_match", "source", "field", "frame"))
    server.drop(name)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: solve_astrometry(archive), range(2)))
    assert kinds(archive) == {"catalogue": 6} and not problems(archive)
    assert hashes(archive, tuple(expected)) == expected


SCRIPT = """
import json, sys
from photodb.steps.astrometry import solve_astrometry
from photodb.storage.engine import Database
solve_astrometry(Database("x", json.loads(sys.argv[1])))
"""


def test_killed_on_the_way_it_goes_on(archive):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(dict(archive.conninfo))])
    n, began = 0, time.monotonic()
    while n < 2 and process.poll() is None and time.monotonic() - began < 60:
        n = ask(archive, "SELECT count(*) FROM frame_place")[0][0]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= ask(archive, "SELECT count(*) FROM frame WHERE astrometry = 'catalogue'")[0][0] <= 6
    assert not [p for p in problems(archive) if "cut off" not in p.check]
    solve_astrometry(archive)
    assert kinds(archive) == {"catalogue": 6}
    assert ask(archive, "SELECT count(*) FROM frame_place WHERE NOT renewed") == [(0,)]


def test_published_light_curves_stay_until_solved_again(archive):
    solve(archive, SolveSettings())
    points = (
        "SELECT source_id, frame_id, mag, mag_err FROM light_curve_point WHERE solution_id = 1 ORDER BY 1, 2"
    )
    before = ask(archive, points)
    report = solve_astrometry(archive)
    assert (report.solution_id, report.n_in_solution) == (1, 6)
    assert ask(archive, points) == before and len(before) > 100
    assert not problems(archive)
    assert ask(archive, "SELECT count(*) FROM source WHERE merged_into >= 0")[0][0] > 50
    with archive.begin() as conn:
        assert todo(conn).solve
    measure(archive, settings=MeasureSettings(jobs=0))
    assert not problems(archive)
    solve(archive, SolveSettings())
    with archive.begin() as conn:
        assert not todo(conn).solve
    run_id = ask(archive, "SELECT run_id FROM run WHERE command = 'astrometry solve'")[0][0]
    with pytest.raises(UsageError, match="solution 2 was made of its places"):
        undo_run(archive, run_id)


def test_doubts_are_renewed_with_the_place(archive):
    """A pointing that stars contradict is told; what an earlier place made doubtful is not any more; both undone."""
    change = "UPDATE frame SET {} WHERE frame_id = (SELECT {}(frame_id) FROM frame)"
    old = "the header''s pointing is off by 17 arcmin; exposed at the same time as ''x.fits''"
    with archive.begin() as conn:
        conn.execute(text(change.format("header_dec = header_dec + 0.4", "max")))
        conn.execute(
            text(change.format(f"doubts = {Doubt.POINTING | Doubt.OVERLAP}, reason = '{old}'", "min"))
        )
    told = "SELECT doubts, reason FROM frame ORDER BY frame_id"
    before = ask(archive, told)
    solve_astrometry(archive)
    first, *others, last = ask(archive, told)
    assert first == (Doubt.OVERLAP, "exposed at the same time as 'x.fits'")
    assert {one.doubts for one in others} == {0}
    assert last.doubts == Doubt.POINTING and "the header's pointing is off by 24 arcmin" in last.reason
    again = solve_astrometry(archive, settings=AstrometrySettings(all=True))
    assert again.n_placed == 0 and ask(archive, told) == [first, *others, last]
    undo_run(archive, next(r["run_id"] for r in list_runs(archive) if r["outcome"] == "done"
                           and r["command"] == "astrometry solve" and r["report"]["n_placed"]))  # fmt: skip
    assert ask(archive, told) == before


def test_undone_where_frames_were_rejected_since_and_others_came(archive):
    told = "SELECT frame_id, status, reason, doubts, astrometry FROM frame ORDER BY 1"
    before = ask(archive, told)
    solve_astrometry(archive)
    run_id = list_runs(archive)[0]["run_id"]
    reject(archive, {before[0].frame_id: "clouds"}, "user", "frame reject", False)
    came = "exposed at the same time as 'late.fits'"
    with archive.begin() as conn:
        mark = "doubts = doubts | 8, reason = concat_ws('; ', nullif(reason, ''), CAST(:came AS text))"
        mark = f"UPDATE frame SET {mark} WHERE frame_id = :second"
        conn.execute(text(mark), {"came": came, "second": before[1].frame_id})
    undo_run(archive, run_id)
    first, second, *others = ask(archive, told)
    assert (first.status, first.reason, first.astrometry) == ("rejected", "clouds", "approximate")
    assert second.doubts == Doubt.OVERLAP and second.reason == f"{before[1].reason}; {came}"
    assert others == before[2:]
    undo_run(archive, list_runs(archive)[0]["run_id"])
    assert ask(archive, told)[0] == before[0] and not problems(archive)


def test_the_archive_remembers_what_was_searched_for_in_vain(archive):
    ((camera, ra, dec, radius),) = ask(
        archive, "SELECT camera_id, ra, dec, radius FROM frame ORDER BY 1 LIMIT 1"
    )

    def count(ra, least=20):
        with archive.begin() as conn:
            return frames.not_by_catalogue(conn, camera, (ra % 360, dec, radius / 4), least)

    assert count(ra) == 0  # ingested before the catalogue came
    with archive.begin() as conn:
        conn.execute(text("UPDATE frame SET ingested_at = clock_timestamp() + interval '1 s'"))
    assert (count(ra), count(ra, 10_000), count(ra + radius)) == (3, 0, 0)
    with archive.begin() as conn:
        conn.execute(text(f"UPDATE frame SET ra = mod(CAST(ra - {ra} + 360 AS numeric), 360)"))
    assert count(1e-4) == count(-1e-4) == 3
    with archive.begin() as conn:
        conn.execute(text(f"UPDATE frame SET ra = mod(CAST(ra + {ra} AS numeric), 360)"))
    solve_astrometry(archive)
    assert count(ra) == 0  # a catalogue places them
