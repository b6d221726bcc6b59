"""Runs are recorded whatever happens, and taken back where nothing later depends on them."""

import json
import os

import numpy as np
import pytest
from sqlalchemy import text

from photodb.errors import NothingMatched, UsageError
from photodb.steps.runs import list_runs, recorded_run, show_run, undo_run
from photodb.steps.verify import verify_archive
from photodb.storage import runs, tables
from photodb.storage.verify import row_hashes
from tests.storage.rows import add_forced, add_frames, add_solution, insert, small_archive


def count(db, table, where="true"):
    with db.begin() as conn:
        return conn.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}"))


def hashes(db):
    with db.begin() as conn:
        return row_hashes(conn)


def a_run(db, command="ingest"):
    with db.begin() as conn:
        run_id = runs.start_run(conn, command, {}, {})
        runs.finish_run(conn, run_id, "done", {})
    return run_id


def test_a_run_tells_what_it_was(database, tmp_path):
    with recorded_run(database, "ingest", {"path": tmp_path, "n": np.int64(3)}, {"x": np.nan}) as run:
        assert show_run(database, run.run_id)["outcome"] == "running"
        run.report["rows"] = np.arange(2)
    row = show_run(database, run.run_id)
    assert row["outcome"] == "done" and row["report"] == {"rows": [0, 1]}
    assert row["arguments"] == {"path": str(tmp_path), "n": 3} and row["settings"] == {"x": None}
    assert row["pid"] == os.getpid() and row["finished_at"] >= row["started_at"]
    json.dumps(row["report"])


def test_partial(database):
    with recorded_run(database, "ingest", {}, {}) as run:
        run.outcome = "partial"
    assert show_run(database, run.run_id)["outcome"] == "partial"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RuntimeError, "failed"),
        (UsageError, "failed"),
        (KeyboardInterrupt, "interrupted"),
        (SystemExit, "interrupted"),
    ],
)
def test_an_exception_passes_on_and_is_recorded(database, error, outcome):
    with pytest.raises(error), recorded_run(database, "solve", {}, {}):
        raise error("words")
    row = list_runs(database)[0]
    assert row["outcome"] == outcome and "words" in row["report"]["error"]


def test_the_next_run_closes_those_of_dead_processes(database):
    with database.begin() as conn:
        dead = runs.start_run(conn, "ingest", {}, {})
        elsewhere = runs.start_run(conn, "ingest", {}, {})
        conn.execute(text("UPDATE run SET pid = 1073741824"))
        conn.execute(text("UPDATE run SET host = 'another' WHERE run_id = :r"), {"r": elsewhere})
    with recorded_run(database, "ingest", {}, {}):
        pass
    assert show_run(database, dead)["outcome"] == "interrupted"
    assert show_run(database, elsewhere)["outcome"] == "running"


def test_lists_are_newest_first_and_by_command(database):
    first, second = a_run(database, "ingest"), a_run(database, "solve")
    assert [row["run_id"] for row in list_runs(database)] == [second, first]
    assert [row["run_id"] for row in list_runs(database, "ingest")] == [first]
    assert [row["run_id"] for row in list_runs(database, limit=1)] == [second]


def test_no_such_run(database):
    for call in (show_run, undo_run):
        with pytest.raises(NothingMatched, match="runs list"):
            call(database, 77)


def test_undoing_everything_leaves_an_empty_archive(database):
    keys = small_archive(database)
    assert undo_run(database, keys["solve"])["light_curve_point"] == 15
    counts = undo_run(database, keys["ingest"])
    assert counts == {
        "detection": 15,
        "astrometric_match": 15,
        "frame": 3,
        "field": 1,
        "source": 5,
        "camera": 1,
        "telescope": 1,
    }
    for table in (
        "frame",
        "detection",
        "source",
        "solution",
        "frame_term",
        "source_mag",
        "light_curve_point",
    ):
        assert count(database, table) == 0
    assert verify_archive(database, deep=True).problems == []
    assert [row["outcome"] for row in list_runs(database)] == ["undone", "undone"]


def test_undoing_the_second_ingest_gives_back_the_first(database):
    with database.begin() as conn:
        run = insert(conn, tables.run, command="ingest", code_version="1", outcome="done")
        add_frames(conn, run, 2, 3, name="a")
    before = hashes(database)
    second = a_run(database)
    with database.begin() as conn:
        add_frames(conn, second, 3, 4, name="b")
    assert hashes(database) != before
    undo_run(database, second)
    assert hashes(database) == before
    assert verify_archive(database).problems == []


def test_undoing_a_measure_gives_back_what_was_before(database):
    with database.begin() as conn:
        first = insert(conn, tables.run, command="ingest", code_version="1", outcome="done")
        frames = add_frames(conn, first, 2, 3, name="a")
        measured = insert(conn, tables.run, command="measure", code_version="1", outcome="done")
        add_forced(conn, measured, frames[:1])
    before = hashes(database)
    second = a_run(database, "measure")
    with database.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO forced SELECT cell, frame_id, source_id + 9, -1, x, y, flux_psf, flux_psf_err, psf_chi2, "
                "flux_aperture, flux_aperture_err, sky, sky_err, flags, :run FROM forced"
            ),
            {"run": second},
        )
        conn.execute(text("UPDATE frame SET n_forced = 6 WHERE n_forced = 3"))
        add_forced(conn, second, frames[1:])
    assert undo_run(database, second) == {"forced": 6}
    assert hashes(database) == before
    with database.begin() as conn:
        waits = conn.execute(
            text("SELECT n_forced, aperture_corrections FROM frame WHERE frame_id = :f"), {"f": frames[1]}
        )
        assert waits.one() == (None, None)


def test_undoing_an_ingest_takes_its_sources_from_other_frames(database):
    first, second = a_run(database), a_run(database)
    with database.begin() as conn:
        kept = add_frames(conn, first, 1, 2)[0]
        new = add_frames(conn, second, 1, 3, name="b")[0]
        add_forced(conn, second, [kept, new])
        conn.execute(
            text(
                "INSERT INTO forced SELECT cell, :kept, source_id, -1, x, y, flux_psf, flux_psf_err, psf_chi2, "
                "flux_aperture, flux_aperture_err, sky, sky_err, flags, :run FROM forced WHERE frame_id = :new"
            ),
            {"run": first, "kept": kept, "new": new},
        )
        conn.execute(text("UPDATE forced SET run_id = :r WHERE frame_id = :k"), {"r": first, "k": kept})
        conn.execute(text("UPDATE frame SET n_forced = 5 WHERE frame_id = :k"), {"k": kept})
    assert undo_run(database, second)["forced"] == 6
    with database.begin() as conn:
        assert conn.scalar(text("SELECT n_forced FROM frame")) == 2
    assert verify_archive(database).problems == []


def test_a_measure_whose_solution_stands_is_not_undone(database):
    keys = small_archive(database, force=True)
    with pytest.raises(UsageError, match=f"solution {keys['solution']} has light curves of its measurements"):
        undo_run(database, keys["measure"])
    undo_run(database, keys["solve"])
    assert undo_run(database, keys["measure"]) == {"forced": 15}


def test_a_source_that_keeps_detections_is_renewed(database):
    first, second = a_run(database), a_run(database)
    with database.begin() as conn:
        kept, gone = add_frames(conn, first, 1, 1)[0], add_frames(conn, second, 1, 1, name="b")[0]
        conn.execute(text("DELETE FROM source WHERE run_id = :r"), {"r": second})
        cell, source = conn.execute(text("SELECT cell, source_id FROM source")).one()
        conn.execute(text("UPDATE detection SET cell = :c, source_id = :s"), {"c": cell, "s": source})
        conn.execute(text("UPDATE astrometric_match SET cell = :c"), {"c": cell})
        conn.execute(text("UPDATE source SET n_detections = 2, ra = 5, dec = 5, first_mjd = 1"))
        conn.execute(text("UPDATE detection SET ra = 359.9999, dec = 2 WHERE frame_id = :f"), {"f": kept})
        conn.execute(text("UPDATE detection SET ra = 0.0001, dec = 2 WHERE frame_id = :f"), {"f": gone})
    undo_run(database, second)
    with database.begin() as conn:
        row = conn.execute(text("SELECT ra, dec, n_detections, first_mjd, ra_scatter FROM source")).one()
    assert row[:2] == pytest.approx((359.9999, 2)) and row[2:] == (1, 58000.0, pytest.approx(0, abs=1e-6))


def test_a_dry_run_counts_and_changes_nothing(database):
    keys = small_archive(database)
    before = hashes(database)
    assert undo_run(database, keys["solve"], dry_run=True)["solution"] == 1
    assert hashes(database) == before
    assert show_run(database, keys["solve"])["outcome"] == "done"


def test_undoing_a_solve_publishes_the_one_before(database):
    keys = small_archive(database)
    later = a_run(database, "solve")
    with database.begin() as conn:
        add_solution(conn, later, keys["frames"], seed=5)
    undo_run(database, later)
    assert count(database, "archive", f"published_solution_id = {keys['solution']}") == 1
    assert verify_archive(database, deep=True).problems == []


def test_what_later_runs_built_on_stays(database):
    keys = small_archive(database)
    with pytest.raises(UsageError, match=f"solution {keys['solution']} uses its frames"):
        undo_run(database, keys["ingest"])
    stats = a_run(database, "stats")
    with database.begin() as conn:
        conn.execute(text("UPDATE source_stat SET run_id = :r"), {"r": stats})
    with pytest.raises(UsageError, match=f"run {stats} computed statistics"):
        undo_run(database, keys["solve"])
    assert undo_run(database, stats) == {"source_stat": 5}
    undo_run(database, keys["solve"])
    second = a_run(database)
    with database.begin() as conn:
        frame = add_frames(conn, second, 1, 1, name="b")[0]
        conn.execute(
            text("UPDATE frame SET reference_frame_id = :r WHERE frame_id = :f"),
            {"r": keys["frames"][0], "f": frame},
        )
    with pytest.raises(UsageError, match=f"frames of run {second} are registered against"):
        undo_run(database, keys["ingest"])


def test_a_run_is_undone_once_and_not_while_it_runs(database):
    run_id = a_run(database)
    undo_run(database, run_id)
    with pytest.raises(UsageError, match="undone already"):
        undo_run(database, run_id)
    with recorded_run(database, "ingest", {}, {}) as run, pytest.raises(UsageError, match="still runs"):
        undo_run(database, run.run_id)


@pytest.mark.parametrize("command", ["solution publish", "solution drop", "frame restore", "refcat load"])
def test_what_undo_cannot_take_back_is_refused_with_what_does(database, command):
    run_id = a_run(database, command)
    with pytest.raises(UsageError, match="photodb "):
        undo_run(database, run_id)
    assert show_run(database, run_id)["outcome"] == "done"
