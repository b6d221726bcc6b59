"""Dump and restore with PostgreSQL's own tools, of the server's version."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text

from photodb.errors import ConfigurationError, StorageError, UsageError
from photodb.settings import mask_password
from photodb.storage.binaries import Binaries, find_binaries
from photodb.storage.engine import Database


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
    try:
        _run(db, tools.program("pg_dump"), options)
        _to_disk(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def restore(db: Database, path: Path) -> None:
    """Put a dump's tables in the place of the archive's, in one transaction: all of it, or nothing changes.

    Raises
    ------
    UsageError
        The file is no dump of an archive, or one of a newer PostgreSQL than the server.
    StorageError
        pg_restore failed; its own words, and the archive is as it was.
    """
    with db.begin() as conn:
        tools = _tools(db, server_major(conn), "pg_restore")
    _check_is_archive(tools, path)
    options = [
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--clean",
        "--if-exists",
    ]
    _run(db, tools.program("pg_restore"), options, [str(path)])


def has_rows(conn: Connection) -> bool:
    """Tell whether the database holds frames, which a restore would replace."""
    if conn.scalar(text("SELECT to_regclass('frame')")) is None:
        return False
    return bool(conn.scalar(text("SELECT EXISTS (SELECT FROM frame) OR EXISTS (SELECT FROM run)")))


def _tools(db: Database, major: int, program: str) -> Binaries:
    try:
        return find_binaries(major, needed=(program,), machine_first=db.server is None)
    except ConfigurationError as error:
        raise ConfigurationError(f"{program} must be of the server's version, {major}: {error}") from error


def _check_is_archive(tools: Binaries, path: Path) -> None:
    done = _call([tools.program("pg_restore"), "--list", str(path)], {})
    if done.returncode:
        raise UsageError(f"{path} is no dump that PostgreSQL {tools.major} can read: {_last(done.stderr)}")
    if " TABLE public archive " not in done.stdout or " TABLE public frame " not in done.stdout:
        raise UsageError(f"{path} is a dump, but not of a photodb archive")


def _run(db: Database, program: str, options: list[str], arguments: list[str] | None = None) -> None:
    """Run a tool on the archive's database; a password goes by the environment, where nobody else sees it."""
    info: dict[str, Any] = db.conninfo
    password = info.pop("password", None)
    environment = {"PGPASSWORD": str(password)} if password else {}
    done = _call([program, *options, f"--dbname={make_conninfo(**info)}", *(arguments or [])], environment)
    if done.returncode:
        raise StorageError(
            f"{Path(program).name} failed on {db.location}: {mask_password(_last(done.stderr))}"
        )


def _call(argv: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, **environment, "LC_ALL": "C"},
    )


def _to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _last(words: str) -> str:
    return " / ".join(line for line in words.strip().splitlines()[-4:])
