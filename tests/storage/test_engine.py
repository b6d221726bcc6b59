"""Opening an archive, and what goes wrong in doing so; passwords are never told."""

from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from photodb.errors import ConfigurationError, SchemaError, StorageError, UsageError
from photodb.storage import engine
from photodb.storage.engine import Database, open_database


def test_a_transaction_is_all_or_nothing(database):
    with pytest.raises(RuntimeError), database.begin() as conn:
        conn.execute(text("INSERT INTO band (name) VALUES ('V')"))
        raise RuntimeError
    with database.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM band")) == 0
        conn.execute(text("INSERT INTO band (name) VALUES ('V')"))
    with database.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM band")) == 1


def test_sessions_are_what_the_archive_relies_on(database):
    with database.begin() as conn:
        shown = [conn.scalar(text(f"SHOW {s}")) for s in ("timezone", "transaction_isolation", "jit")]
    assert shown == ["UTC", "read committed", "off"]


def test_autocommit_runs_what_no_transaction_can(database):
    with database.autocommit() as conn:
        conn.execute(text("VACUUM band"))
    with database.begin() as conn:
        assert conn.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_open_by_url_and_by_folder(archive_url, archive_dir):
    for location in (archive_url, str(archive_dir), str(archive_dir / "photodb.toml")):
        with open_database(location) as db, db.begin() as conn:
            assert conn.scalar(text("SELECT count(*) FROM archive")) == 1


def test_a_database_without_an_archive(server, empty_database):
    with pytest.raises(SchemaError, match="photodb init"):
        open_database(server.url(empty_database.location))
    with open_database(server.url(empty_database.location), check_schema=False) as db:
        assert db.location.startswith("postgresql:///photodb_test_")


def test_a_server_that_does_not_answer(tmp_path):
    url = f"postgresql://me:secret@/db?host={quote(str(tmp_path), safe='')}"
    with pytest.raises(StorageError, match=r"postgresql://me:\*\*\*@.*photodb doctor") as told:
        open_database(url)
    assert "secret" not in str(told.value)


def test_a_password_file_and_a_service_work(server, archive_url, tmp_path, monkeypatch):
    name = archive_url.removeprefix("postgresql:///").split("?")[0]
    lines = [f"{key}={value}" for key, value in {**server.conninfo, "dbname": name}.items()]
    (tmp_path / "services").write_text("[mine]\n" + "\n".join(lines) + "\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    with open_database("postgresql://?service=mine") as db, db.begin() as conn:
        assert conn.scalar(text("SELECT current_database()")) == name


def test_a_url_that_libpq_does_not_know():
    with pytest.raises(ConfigurationError) as told:
        open_database("postgresql://me:secret@h/d?nonsense=1")
    assert "nonsense" in str(told.value) and "secret" not in str(told.value)


def test_a_server_too_old(archive_url, monkeypatch):
    monkeypatch.setattr(engine, "OLDEST_MAJOR", 99)
    with pytest.raises(StorageError, match="needs 99 or newer"):
        open_database(archive_url)


def test_a_connection_that_breaks_is_a_storage_error_and_the_next_one_works(database):
    with pytest.raises(StorageError, match="run again"), database.begin() as conn:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.begin() as conn:
        assert conn.scalar(text("SELECT 1")) == 1


def test_a_disk_that_is_full_is_told(database):
    with pytest.raises(StorageError, match="disk of the database is full"), database.begin():
        raise psycopg.errors.DiskFull("could not extend file")


def test_a_lacking_right_is_told(database):
    with pytest.raises(StorageError, match="lacks a right"), database.begin() as conn:
        conn.execute(text("SET LOCAL ROLE pg_read_all_stats"))
        conn.execute(text("CREATE TABLE x (i int)"))


def test_a_faulty_statement_is_no_storage_error(database):
    from sqlalchemy.exc import ProgrammingError

    with pytest.raises(ProgrammingError), database.begin() as conn:
        conn.execute(text("SELECT nothing"))


def test_closing_twice(server, archive_url):
    db = open_database(archive_url)
    db.close()
    db.close()
    assert "secret" not in repr(Database("postgresql://me:***@h", {"password": "secret"}))


def test_a_value_that_does_not_fit_is_a_usage_error(database):
    with pytest.raises(UsageError, match="out of range"), database.begin() as conn:
        conn.execute(text("SELECT CAST(:n AS bigint)"), {"n": 10**30})


def test_an_archive_that_changed_meanwhile_is_told(database):
    with (
        pytest.raises(StorageError, match="changed meanwhile: run the command again"),
        database.begin() as conn,
    ):
        conn.execute(text("INSERT INTO band (name) VALUES ('V'), ('V')"))
