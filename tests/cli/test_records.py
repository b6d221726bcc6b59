"""What commands did, as a record on stdout for programs; the same words for people then go to stderr."""

import json

import pytest
from sqlalchemy import text

from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.storage.engine import open_database
from tests.helpers import survey_archive
from tests.helpers.small_archive import fill


@pytest.fixture
def record(run):
    """A function that runs a command with --format json and returns its record."""

    def call(*words):
        code, out, err = run(*words, "--format", "json")
        assert code == 0, err
        assert err
        return json.loads(out)

    return call


def tables(url):
    with open_database(url) as db, db.begin() as conn:
        query = "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM solution), (SELECT count(*) FROM source_stat)"
        return tuple(conn.execute(text(query)).one())


def test_judging(record, archive_url):
    with open_database(archive_url) as db:
        fill(db, n_frames=8, n_stars=6)
    before = tables(archive_url)
    tried = record("frame", "reject", 2, "--reason", "cloud", "--dry-run")
    assert tried["dry_run"] and tried["changed"] == {"2": "cloud"} and tables(archive_url) == before
    assert record("frame", "reject", 2, "--reason", "cloud")["unchanged"] == []
    assert record("frame", "restore", 2)["status"] == "accepted"
    assert set(record("qa", "apply", "--min-range", 8500)["changed"]) == {"5", "6", "7", "8"}
    assert set(record("shift", "reject", 1)["changed"]) == {"1"}


def test_judging_what_is_not_there(run, archive_url):
    with open_database(archive_url) as db:
        fill(db, n_frames=4, n_stars=6)
    for named, words in (
        ("none", ("qa", "apply", "--camera", "none", "--min-range", 1)),
        ("night 7", ("qa", "apply", "--night", 7, "--min-range", 1)),
        ("band Q", ("shift", "plot", "--band", "Q", "-o", "x.png")),
        ("camera x", ("plot", "zeropoints", "--camera", "x", "-o", "x.png")),
        ("band Q", ("frame", "list", "--band", "Q")),
    ):
        code, out, err = run(*words)
        assert (code, out) == (5, "")
        assert named in err
    assert run("qa", "apply", "--min-range", "nan")[0] == 2
    assert run("frame", "show", "9" * 20)[0] == 2


def test_solving(run, record, archive_url):
    with open_database(archive_url) as db:
        survey_archive.fill(db, simulate_survey(SurveySettings(n_frames=8, n_stars=60), seed=3))
    before = tables(archive_url)
    assert record("solve", "--dry-run")["solution_id"] == -1
    assert tables(archive_url) == before
    solved = record("solve", "--order", 1)
    assert solved["solution_id"] == 1 and solved["components"][0]["n_frames"] == solved["n_frames"]
    before = tables(archive_url)
    tried = record("stats", "--dry-run")
    assert tried["dry_run"] and tables(archive_url) == before
    assert "nothing was written" in run("stats", "--dry-run")[1]
    assert record("stats")["n_sources"] == tried["n_sources"]
    assert record("solve", "--draft")["state"] == "draft"
    assert record("solution", "publish", 2) == {
        "schema_version": 1,
        "solution_id": 2,
        "before": "draft",
        "now": "published",
        "dry_run": False,
    }
    assert record("solution", "drop", 1, "--dry-run")["before"] == "retired"
    assert record("solution", "drop", 1, "--yes")["now"] == "dropped"


def test_the_database(run, record, archive_url, tmp_path):
    assert record("db", "downgrade", "base", "--dry-run")["after"] == "base"
    assert record("db", "upgrade", "--dry-run") == record("db", "upgrade") | {"dry_run": True}
    assert record("db", "check")["differences"] == []
    assert json.loads(run("db", "url", "--format", "json")[1])["url"].startswith("postgresql://")
    status = json.loads(run("db", "status", "--format", "json")[1])
    assert status["running"] and (status["frames"], status["solutions"]) == (0, 0)
    record("db", "dump", tmp_path / "x.dump", "--dry-run")
    assert not (tmp_path / "x.dump").exists()
    assert run("db", "restore", tmp_path / "x.dump", "--dry-run")[0] == 2


def test_init_can_be_tried(run, record, archive_url, tmp_path):
    tried = record("init", tmp_path / "new", "--dry-run")
    assert tried["created"] and not (tmp_path / "new").exists()
    tried = record("init", tmp_path / "new", "--url", archive_url, "--dry-run")
    assert not tried["created"] and not tried["upgraded"] and not (tmp_path / "new").exists()


def test_run_on_a_folder_without_frames(run, tmp_path):
    (tmp_path / "notes.txt").write_text("clouds")
    code, out, err = run("run", tmp_path)
    assert (code, out) == (5, "")
    assert str(tmp_path) in err
