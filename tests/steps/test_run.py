"""`photodb run` on simulated frames: everything once, nothing twice."""

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from photodb.cli import cli
from photodb.simulate import plan, write_survey
from photodb.steps import ask, judge
from photodb.steps.ingest import IngestSettings
from photodb.steps.run import RunSettings, run
from photodb.storage.todo import todo
from tests.helpers.small_archive import fill

SETTINGS = RunSettings(ingest=IngestSettings(jobs=0))


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Twelve frames of two telescopes."""
    folder = tmp_path_factory.mktemp("survey")
    write_survey(plan(n_frames=12, n_stars=150, n_telescopes=2, n_nights=2, seed=4), folder)
    return folder / "frames"


def todo_of(db):
    with db.begin() as conn:
        return todo(conn)


def count(db, table):
    with db.begin() as conn:
        return conn.execute(text(f"SELECT count(*) FROM {table}")).scalar()


def test_everything_once_and_nothing_twice(database, frames):
    first = run(database, [frames], SETTINGS)
    assert (first.ingest.n_new, first.why_not_solved) == (12, "")
    assert first.solve is not None
    assert first.stats is not None
    assert not first.idle
    _, rows, _ = ask.question(
        database, "SELECT ra, dec FROM source ORDER BY n_detections DESC, source_id LIMIT 1"
    )
    assert len(ask.light_curve(database, *rows[0]).points["mjd"]) >= 6
    before = count(database, "solution"), count(database, "light_curve_point")
    second = run(database, [frames], SETTINGS)
    assert second.idle
    assert (count(database, "solution"), count(database, "light_curve_point")) == before
    judge.reject(database, {1: "satellite"})
    third = run(database, [frames], SETTINGS)
    assert third.solve is not None
    assert count(database, "solution") == before[0] + 1
    assert run(database, [frames], SETTINGS).idle


def test_the_command_tells_what_it_did(archive_url, frames, tmp_path):
    damaged = tmp_path / "damaged.fits"
    damaged.write_bytes(b"SIMPLE  =                    T" + bytes(3000))
    arguments = ["--archive", archive_url, "run", str(frames), str(damaged), "--jobs", "0"]
    planned = CliRunner().invoke(cli, [*arguments, "--dry-run"])
    assert "would ingest 13 of 13 files" in planned.stderr
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1, result.output
    assert "12 accepted, 1 rejected" in result.stdout
    assert "damaged.fits" in result.stderr
    assert "photodb variables" in result.stderr
    again = CliRunner().invoke(cli, arguments)
    assert again.exit_code == 0, again.output
    assert "nothing new" in again.stdout


def test_only_bad_files_leave_nothing_to_solve(database, tmp_path):
    (tmp_path / "damaged.fits").write_bytes(b"no frame at all")
    report = run(database, [tmp_path / "damaged.fits"], SETTINGS)
    assert report.ingest.n_rejected == 1
    assert report.solve is None
    assert "no accepted frame" in report.why_not_solved


def test_what_is_left_to_do(database):
    assert not todo_of(database).solve
    fill(database, n_frames=4, n_stars=6, publish=False)
    assert todo_of(database).solve
    with database.begin() as conn:
        conn.execute(
            text("UPDATE archive SET published_solution_id = (SELECT max(solution_id) FROM solution)")
        )
        conn.execute(text("UPDATE frame SET ingested_at = now() - interval '1 hour'"))
    left = todo_of(database)
    assert (left.n_frames, left.solve, left.stats) == (4, False, False)
    judge.reject(database, {2: "cloud"})
    assert todo_of(database).solve
