"""Each check is silent on a sound archive and finds the fault that is made for it."""

import os
import socket

import pytest
from sqlalchemy import text

from photodb.steps.verify import verify_archive
from photodb.storage import runs
from photodb.storage.verify import CALIBRATION_CHECK, CHECKS, SCHEMA_CHECK, STALE_CHECK, run_check
from tests.storage.rows import small_archive

DAMAGE = {
    "every frame has its detections": "DELETE FROM detection WHERE detection_id = "
    "(SELECT min(detection_id) FROM detection)",
    "no frame twice": "ALTER TABLE frame DROP CONSTRAINT frame_data_hash_key; UPDATE frame SET data_hash = 'same'",
    "detections belong to frames": "UPDATE detection SET frame_id = 9000 WHERE detection_id = "
    "(SELECT min(detection_id) FROM detection)",
    "detections belong to sources": "UPDATE detection SET source_id = source_id + 1000 WHERE detection_id = "
    "(SELECT min(detection_id) FROM detection)",
    "astrometric matches belong to detections": "UPDATE astrometric_match SET detection_id = detection_id + 1000",
    "every frame has its forced measurements": "UPDATE frame SET n_forced = NULL WHERE frame_id = "
    "(SELECT min(frame_id) FROM frame)",
    "forced measurements belong to frames": "UPDATE forced SET frame_id = 9000 WHERE (frame_id, source_id) IN "
    "(SELECT min(frame_id), min(source_id) FROM forced)",
    "forced measurements belong to sources": "UPDATE forced SET source_id = source_id + 1000 WHERE source_id = "
    "(SELECT min(source_id) FROM forced)",
    "forced measurements belong to detections": "UPDATE forced SET detection_id = detection_id + 1000 WHERE "
    "detection_id >= 0",
    "light curves belong to forced measurements": "DELETE FROM forced WHERE source_id = "
    "(SELECT min(source_id) FROM forced)",
    "kinds of photometry belong to magnitudes": "DELETE FROM source_stat; DELETE FROM source_mag WHERE source_id = "
    "(SELECT min(source_id) FROM source)",
    "sources count their detections": "UPDATE source SET n_detections = n_detections + 1 WHERE source_id = "
    "(SELECT min(source_id) FROM source)",
    "sources are merged into sources": "UPDATE source SET merged_into = 5 WHERE source_id = "
    "(SELECT min(source_id) FROM source)",
    "masters have their pixels": "INSERT INTO master (camera_id, kind, n_frames, data_hash) "
    "SELECT min(camera_id), 'bias', 3, 'x' FROM camera",
    "light curves belong to solutions": "UPDATE archive SET published_solution_id = NULL; DELETE FROM solution",
    "light curves belong to detections": "UPDATE light_curve_point SET detection_id = detection_id + 1000 "
    "WHERE detection_id >= 0",
    "light curves belong to frames of the solution": "DELETE FROM frame_term WHERE frame_id = "
    "(SELECT min(frame_id) FROM frame)",
    "magnitudes belong to sources": "ALTER TABLE source_mag DROP CONSTRAINT source_mag_cell_fkey; "
    "UPDATE source_mag SET source_id = 5, cell = 0 WHERE source_id = (SELECT min(source_id) FROM source)",
    "statistics belong to magnitudes": "DELETE FROM source_mag WHERE source_id = (SELECT min(source_id) FROM source)",
    "magnitudes count their points": "DELETE FROM light_curve_point WHERE detection_id = "
    "(SELECT min(detection_id) FROM light_curve_point)",
    "one solution is published, as the archive says": "UPDATE solution SET state = 'draft'",
    CALIBRATION_CHECK: "UPDATE light_curve_point SET mag = mag + 5e-6 WHERE detection_id = "
    "(SELECT min(detection_id) FROM light_curve_point)",
    SCHEMA_CHECK: "ALTER TABLE tie DROP COLUMN scatter",
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_a_sound_archive_has_no_problem(database, order, force):
    small_archive(database, order=order, force=force)
    report = verify_archive(database, deep=True)
    assert report.problems == []
    assert report.checks == [SCHEMA_CHECK, *(check.name for check in CHECKS), STALE_CHECK, CALIBRATION_CHECK]


def test_an_empty_archive_has_no_problem(database):
    assert verify_archive(database, deep=True).problems == []


@pytest.mark.parametrize("check", DAMAGE)
def test_a_fault_is_found_and_told_how_to_mend(database, check):
    small_archive(database, force=True)
    with database.begin() as conn:
        for statement in DAMAGE[check].split("; "):
            conn.execute(text(statement))
    if "ALTER" in DAMAGE[check] and check != SCHEMA_CHECK:  # a schema to mend keeps 'verify' from asking on
        (asked,) = (c for c in CHECKS if c.name == check)
        with database.begin() as conn:
            problems = {check: run_check(conn, asked)}
    else:
        problems = {problem.check: problem for problem in verify_archive(database, deep=True).problems}
    assert check in problems
    assert problems[check].count >= 1 and problems[check].example and problems[check].mend


def test_every_check_has_a_fault_made_for_it():
    assert {check.name for check in CHECKS} <= set(DAMAGE)


def test_without_deep_magnitudes_are_not_recomputed(database):
    small_archive(database)
    with database.begin() as conn:
        conn.execute(text(DAMAGE[CALIBRATION_CHECK]))
    assert verify_archive(database).problems == []


def test_no_magnitude_without_a_raw_one(database):
    small_archive(database)
    with database.begin() as conn:
        conn.execute(text("UPDATE detection SET mag = 'NaN'"))
    assert [p.count for p in verify_archive(database, deep=True).problems] == [15]
    with database.begin() as conn:
        conn.execute(text("UPDATE light_curve_point SET mag = 'NaN'"))
    assert verify_archive(database, deep=True).problems == []


@pytest.mark.parametrize(
    ("host", "pid", "age", "stale"),
    [
        (socket.gethostname(), os.getpid(), "0 s", False),
        (socket.gethostname(), 2**30, "0 s", True),
        (socket.gethostname(), os.getpid(), "30 days", True),
        ("another", 1, "1 h", False),
        ("another", 1, "25 h", True),
    ],
    ids=(
        "alive",
        "gone",
        "reused",
        "elsewhere",
        "elsewhere for long",
    ),  # not the numbers, which workers differ in
)
def test_runs_that_were_cut_off(database, host, pid, age, stale):
    with database.begin() as conn:
        runs.start_run(conn, "ingest", {}, {})
        conn.execute(
            text("UPDATE run SET host = :h, pid = :p, started_at = now() - CAST(:a AS interval)"),
            {"h": host, "p": pid, "a": age},
        )
    assert [p.check for p in verify_archive(database).problems] == ([STALE_CHECK] if stale else [])
