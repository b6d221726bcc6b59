"""A dump restored elsewhere holds the same rows; a restore that fails changes nothing."""

import pytest
from sqlalchemy import text

from photodb.errors import ConfigurationError, UsageError
from photodb.steps.dump import dump_archive, restore_archive
from photodb.storage import dumps, migrate
from photodb.storage.binaries import find_binaries
from photodb.storage.verify import row_hashes
from tests.storage.rows import add_frames, small_archive


def hashes(db):
    with db.begin() as conn:
        return row_hashes(conn)


@pytest.fixture(autouse=True)
def tools(database):
    """Skip where the tools of the tests' server are not on this machine."""
    with database.begin() as conn:
        major = dumps.server_major(conn)
    try:
        find_binaries(major, needed=("pg_dump", "pg_restore"))
    except ConfigurationError as error:
        pytest.skip(str(error))


@pytest.fixture
def dumped(database, tmp_path):
    """An archive and its dump."""
    small_archive(database)
    path = tmp_path / "archive.dump"
    report = dump_archive(database, path)
    assert report.size > 1000 and report.revision == migrate.HEAD
    return path


@pytest.mark.parametrize("prepared", ["empty database", "empty archive", "full archive"])
def test_round_trip(database, empty_database, server, dumped, prepared):
    if prepared != "empty database":
        with empty_database.begin() as conn:
            migrate.upgrade(conn)
            if prepared == "full archive":
                conn.execute(text("UPDATE archive SET frames_per_partition = 2"))
                add_frames(conn, None, 5, 2, name="other")
    restore_archive(empty_database, dumped, overwrite=prepared == "full archive")
    assert hashes(empty_database) == hashes(database)
    with empty_database.begin() as conn:
        migrate.check_head(conn)
        assert migrate.differences(conn) == []
        assert conn.scalar(text("SELECT archive_uuid FROM archive")) is not None
        add_frames(conn, None, 1, 1, name="after")  # sequences and partitions go on


def test_what_is_there_is_not_overwritten_unasked(database, empty_database, dumped):
    with pytest.raises(UsageError, match="--yes"):
        dump_archive(database, dumped)
    dump_archive(database, dumped, overwrite=True)
    with pytest.raises(UsageError, match="--yes"):
        restore_archive(database, dumped)


def test_a_damaged_dump_changes_nothing(database, dumped):
    before = hashes(database)
    data = dumped.read_bytes()
    dumped.write_bytes(data[: len(data) // 2])
    with pytest.raises(Exception, match=r"failed|no dump"):
        restore_archive(database, dumped, overwrite=True)
    assert hashes(database) == before


def test_what_is_no_dump_is_told(database, tmp_path):
    with pytest.raises(UsageError, match="no file"):
        restore_archive(database, tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="no dump"):
        restore_archive(database, tmp_path / "text")


def test_a_dump_of_something_else_is_told(empty_database, tmp_path):
    with empty_database.begin() as conn:
        conn.execute(text("CREATE TABLE other (i int)"))
    dumps.dump(empty_database, tmp_path / "other")
    with pytest.raises(UsageError, match="not of a photodb archive"):
        restore_archive(empty_database, tmp_path / "other")


def test_a_dump_that_fails_leaves_no_file(database, tmp_path):
    with pytest.raises(Exception, match="pg_dump failed"):
        dump_archive(database, tmp_path / "no such folder" / "x.dump")
    assert list(tmp_path.iterdir()) == []
