"""photodb init, doctor, verify, db and runs, as a user calls them."""

import json
import stat
import subprocess
import sys
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from photodb.cli import cli
from photodb.cli.common import run_command_line
from photodb.storage.engine import open_database
from tests.storage.rows import small_archive


@dataclass
class Done:
    """What a command said."""

    stdout: str
    stderr: str


@pytest.fixture
def photodb(capsys, monkeypatch):
    """A function that runs a command line, checks its exit code, and returns what it said."""
    monkeypatch.delenv("PHOTODB_ARCHIVE", raising=False)
    monkeypatch.setenv("PHOTODB_IDLE_SECONDS", "0.5")

    def run(*words, check=0, cwd=None):
        with monkeypatch.context() as here, pytest.raises(SystemExit) as end:
            if cwd is not None:
                here.chdir(cwd)
            capsys.readouterr()
            run_command_line(cli, [str(word) for word in words])
        said = Done(*capsys.readouterr())
        assert (end.value.code or 0) == check, said.stderr
        return said

    return run


@pytest.fixture
def filled(archive_dir):
    with open_database(str(archive_dir)) as db:
        small_archive(db)
    return archive_dir


def test_the_life_of_an_embedded_archive(photodb, tmp_path):
    made = photodb("init", tmp_path / "nights")
    assert "made" in made.stderr and made.stdout == ""
    archive = ("--archive", tmp_path / "nights")
    try:
        assert "is there already" in photodb("init", cwd=tmp_path / "nights").stderr
        findings = json.loads(photodb(*archive, "doctor", "--format", "json").stdout)["rows"]
        assert "fail" not in {f["state"] for f in findings}
        assert {"server", "schema", "socket", "disk space"} <= {f["what"] for f in findings}
        url = photodb(*archive, "db", "url").stdout.strip()
        photodb(*archive, "db", "start")
        assert "0 problems" in photodb("--archive", url, "verify", "--deep").stderr
        status = json.loads(photodb(*archive, "db", "status", "--format", "json").stdout)
        assert status["running"] and "db stop" in status["stays_up"] and status["url"] == url
        with open_database(str(archive[1])):
            assert "in use" in photodb(*archive, "db", "stop", check=3).stderr
        photodb(*archive, "db", "stop")
        status = json.loads(photodb(*archive, "db", "status", "--format", "json").stdout)
        assert status["running"] is False
        assert "0 problems" in photodb("verify", cwd=tmp_path / "nights").stderr
    finally:
        photodb(*archive, "db", "stop", "--force")


def test_init_by_url(photodb, server, empty_database, tmp_path):
    url = server.url(empty_database.location)
    assert "made" in photodb("init", tmp_path / "a", "--url", url).stderr
    assert "is there already" in photodb("init", "--url", url, cwd=tmp_path / "a").stderr
    assert stat.S_IMODE((tmp_path / "a" / "photodb.toml").stat().st_mode) == 0o600
    photodb("verify", cwd=tmp_path / "a")
    assert "another archive" in photodb("init", tmp_path / "a", "--url", "postgresql:///x", check=3).stderr
    assert "by URL" in photodb("init", tmp_path / "a", check=3).stderr
    assert "not photodb's" in photodb("db", "start", cwd=tmp_path / "a", check=2).stderr


def test_init_does_not_print_the_password(photodb, tmp_path):
    url = f"postgresql://me:hunter2@/db?host={tmp_path}"
    for words in (
        ("init", tmp_path, "--url", url),
        ("--archive", url, "verify"),
        ("--archive", url, "db", "status"),
    ):
        done = photodb(*words, check=0 if words[-1] == "status" else 3)
        assert "hunter2" not in done.stdout + done.stderr


def test_no_archive(photodb, tmp_path):
    for words in (("verify",), ("runs", "list"), ("db", "status"), ("--archive", "nowhere", "verify")):
        assert "photodb init" in photodb(*words, check=3, cwd=tmp_path).stderr
    photodb("doctor", cwd=tmp_path)
    photodb("--archive", "nowhere", "doctor", cwd=tmp_path, check=3)


def test_the_variable_is_named_where_it_named_the_archive(photodb, monkeypatch):
    monkeypatch.setenv("PHOTODB_ARCHIVE", "/nonexist")
    assert "(from PHOTODB_ARCHIVE)" in photodb("db", "status", check=3).stderr
    assert "(from --archive)" in photodb("--archive", "/else", "db", "status", check=3).stderr


def test_what_is_no_postgresql_is_a_usage_error(photodb, tmp_path):
    assert "no URL of PostgreSQL" in photodb("init", tmp_path, "--url", "mysql://h/d", check=2).stderr


def test_doctor_fails_where_others_can_read_the_password(photodb, tmp_path):
    (tmp_path / "photodb.toml").write_text(f'[archive]\nurl = "postgresql://me:hunter2@/d?host={tmp_path}"\n')
    (tmp_path / "photodb.toml").chmod(0o644)
    told = photodb("doctor", cwd=tmp_path, check=3)
    assert "chmod 600" in told.stdout and "hunter2" not in told.stdout + told.stderr
    (tmp_path / "photodb.toml").chmod(0o600)
    assert "chmod 600" not in photodb("doctor", cwd=tmp_path, check=3).stdout


def test_verify_tells_what_is_wrong_and_how_to_mend_it(photodb, filled):
    archive = ("--archive", filled)
    photodb(*archive, "verify", "--deep")
    with open_database(str(filled)) as db, db.begin() as conn:
        conn.execute(text("UPDATE source SET n_detections = 77"))
    done = photodb(*archive, "verify", "--format", "json", check=1)
    (problem,) = json.loads(done.stdout)["rows"]
    assert problem["count"] == 5 and "77 counted" in problem["example"] and "undo" in problem["mend"]


def test_schema_commands(photodb, archive_dir):
    archive = ("--archive", archive_dir)
    assert "as it should be" in photodb(*archive, "db", "check").stderr
    assert "--yes" in photodb(*archive, "db", "downgrade", "base", check=2).stderr
    assert "base, 0001" in photodb(*archive, "db", "upgrade", "nosuch", check=2).stderr
    assert "base, 0001" in photodb(*archive, "db", "downgrade", "nosuch", "--yes", check=2).stderr
    photodb(*archive, "db", "downgrade", "base", "--yes")
    photodb(*archive, "runs", "list", check=4)
    photodb(*archive, "db", "check", check=4)
    assert "FAIL" in photodb(*archive, "doctor", check=4).stdout
    photodb(*archive, "db", "upgrade")
    photodb(*archive, "runs", "list")


def test_runs(photodb, filled):
    archive = ("--archive", filled)
    rows = json.loads(photodb(*archive, "runs", "list", "--format", "json").stdout)["rows"]
    assert [row["command"] for row in rows] == ["solve", "ingest"]
    solve, ingest = (str(row["run_id"]) for row in rows)
    assert (
        json.loads(photodb(*archive, "runs", "show", solve, "--format", "json").stdout)["outcome"] == "done"
    )
    photodb(*archive, "runs", "show", "99", check=5)
    assert "solution" in photodb(*archive, "runs", "undo", ingest, "--yes", check=2).stderr
    assert "--yes" in photodb(*archive, "runs", "undo", solve, check=2).stderr
    assert "would be undone" in photodb(*archive, "runs", "undo", solve, "--dry-run").stderr
    photodb(*archive, "runs", "undo", solve, "--yes")
    photodb(*archive, "runs", "undo", ingest, "--yes")
    assert photodb(*archive, "cone", "30", "40", "5", check=5)


def test_dump_and_restore(photodb, filled, tmp_path, database):
    from photodb.errors import ConfigurationError
    from photodb.storage.binaries import find_binaries
    from photodb.storage.dumps import server_major

    with database.begin() as conn:
        major = server_major(conn)
    try:
        find_binaries(major, needed=("pg_dump", "pg_restore", "psql"))
    except ConfigurationError as error:
        pytest.skip(str(error))
    archive = ("--archive", filled)
    photodb(*archive, "db", "dump", tmp_path / "x.dump")
    assert "--yes" in photodb(*archive, "db", "dump", tmp_path / "x.dump", check=2).stderr
    assert "--yes" in photodb(*archive, "db", "restore", tmp_path / "x.dump", check=2).stderr
    photodb(*archive, "db", "restore", tmp_path / "x.dump", "--yes")
    photodb(*archive, "verify", "--deep")


def test_the_installed_command_runs_on_the_archive_of_the_environment(archive_dir, monkeypatch):
    monkeypatch.setenv("PHOTODB_ARCHIVE", str(archive_dir))
    command = [sys.executable, "-c", "from photodb.cli import main; main()", "verify"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "0 problems" in done.stderr and done.stdout == ""
