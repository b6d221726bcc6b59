"""Dump and restore with PostgreSQL's own tools, of the server's version."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text

from photodb.errors import ConfigurationError, StorageError, UsageError
from photodb.settings import mask_password
from photodb.storage.binaries import Binaries, find_binaries
from photodb.storage.engine import Database
from photodb.storage.tables import metadata

DROP_ALL = f"""
DROP VIEW IF EXISTS calibrated;
DROP TABLE IF EXISTS alembic_version, {", ".join(metadata.tables)};
DROP SEQUENCE IF EXISTS source_serial;
"""
"""Makes room for a dump; views of yours that use the tables stand in its way, and are named."""


def server_major(conn: Connection) -> int:
    """Return the major version of the server."""
    number: str = conn.scalar(text("SHOW server_version_num"))  # type: ignore[assignment]
    return int(number) // 10000


def dump(db: Database, path: Path) -> None:
    """Write the whole archive to a file (PostgreSQL's custom format), whole or not at all.

    Raises
    ------
    ConfigurationError
        No pg_dump of the server's version on this machine.
    StorageError
        pg_dump failed; its own words.
    """
    with db.begin() as conn:
        tools = _tools(db, server_major(conn), "pg_dump")
    new = path.with_name(path.name + ".new")
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={new}"]
    argv, environment = _command(db, tools.program("pg_dump"), options)
    try:
        done = _call(argv, environment)
        if done.returncode:
            raise StorageError(f"pg_dump failed on {db.location}: {mask_password(_last(done.stderr))}")
        _to_disk(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def restore(db: Database, path: Path) -> None:
    """Put a dump's tables in the place of the archive's, in one transaction: all of it, or nothing changes.

    The dump becomes SQL, which goes to psql between BEGIN and COMMIT; without the COMMIT nothing happened.

    Raises
    ------
    UsageError
        The file is no dump of an archive, or one of a newer PostgreSQL than the server.
    StorageError
        pg_restore or psql failed; their own words, and the archive is as it was.
    """
    with db.begin() as conn:
        tools = _tools(db, server_major(conn), "pg_restore", "psql")
    _check_is_archive(tools, path)
    options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"]
    argv, environment = _command(db, tools.program("psql"), options)
    reader_argv = [tools.program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(path)]
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as reader_words:
        reader = subprocess.Popen(reader_argv, stdout=subprocess.PIPE, stderr=reader_words)
        writer = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=words, env=environment)
        _pour(reader, writer)
        if reader.wait() or writer.wait():
            told = mask_password(_last(_read(words)) or _last(_read(reader_words)))
            raise StorageError(f"restoring {path} failed, and {db.location} is as it was: {told}")


def check_dump(db: Database, path: Path) -> None:
    """Check that a file is a dump of an archive that this server can take; UsageError if not."""
    with db.begin() as conn:
        tools = _tools(db, server_major(conn), "pg_restore")
    _check_is_archive(tools, path)


def _pour(reader: subprocess.Popen[bytes], writer: subprocess.Popen[bytes]) -> None:
    """Give psql all that pg_restore writes, and the COMMIT only if that ended well."""
    assert reader.stdout is not None and writer.stdin is not None
    with contextlib.suppress(BrokenPipeError), writer.stdin as sql:
        sql.write(f"BEGIN;\n{DROP_ALL}\n".encode())
        shutil.copyfileobj(reader.stdout, sql, 1 << 20)
        if reader.wait() == 0:
            sql.write(b"\nCOMMIT;\n")
    reader.stdout.close()


def has_rows(conn: Connection) -> bool:
    """Tell whether the database holds frames, which a restore would replace."""
    if conn.scalar(text("SELECT to_regclass('frame')")) is None:
        return False
    return bool(conn.scalar(text("SELECT EXISTS (SELECT FROM frame) OR EXISTS (SELECT FROM run)")))


def _tools(db: Database, major: int, *programs: str) -> Binaries:
    try:
        return find_binaries(major, needed=programs, machine_first=db.server is None)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{programs[0]} must be of the server's version, {major}: {error}"
        ) from error


def _check_is_archive(tools: Binaries, path: Path) -> None:
    done = _call([tools.program("pg_restore"), "--list", str(path)], dict(os.environ))
    if done.returncode:
        raise UsageError(f"{path} is no dump that PostgreSQL {tools.major} can read: {_last(done.stderr)}")
    if " TABLE public archive " not in done.stdout or " TABLE public frame " not in done.stdout:
        raise UsageError(f"{path} is a dump, but not of a photodb archive")


def _command(db: Database, program: str, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """Build the call of a tool; a password goes by the environment, where no other user sees it."""
    info: dict[str, Any] = db.conninfo
    password = info.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C"} | ({"PGPASSWORD": str(password)} if password else {})
    return [program, *options, f"--dbname={make_conninfo(**info)}"], environment


def _call(argv: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )


def _to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _read(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def _last(words: str) -> str:
    return " / ".join(line for line in words.strip().splitlines()[-4:])
