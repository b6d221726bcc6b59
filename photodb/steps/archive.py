"""Make an archive: a folder with an embedded PostgreSQL, or the tables in a database by URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from photodb.errors import ConfigurationError, StorageError, UsageError
from photodb.settings import (
    FILE,
    ArchiveLocation,
    is_url,
    mask_password,
    plain_url,
    read_file,
    resolve_archive,
)
from photodb.storage import framelists, migrate, solutions
from photodb.storage.engine import Database, open_location
from photodb.storage.server import EmbeddedServer

HEAD_LINE = "# A photodb archive; see 'photodb doctor'.\n"
POSTGRES_HINT = """
# Settings of the embedded PostgreSQL that go over photodb's own, for example:
# [postgres]
# shared_buffers = "2GB"
"""


@dataclass(frozen=True)
class InitReport:
    """What `init` found and made."""

    location: str
    file: Path
    created: bool
    upgraded: bool
    server_version: str


def init_embedded(directory: Path, dry_run: bool = False) -> InitReport:
    """Make an archive in a folder, with an embedded PostgreSQL; an existing one is brought up to date.

    `dry_run` tells what would be done; `server_version` is empty where there is no server yet.

    Raises
    ------
    ConfigurationError
        The folder's `photodb.toml` is of another archive.
    StorageError
        The server cannot be made or started.
    """
    directory = Path(os.path.abspath(directory))
    file = directory / FILE
    if file.exists():
        where = read_file(file)
        if where.directory is None:
            raise ConfigurationError(f"{file} is of an archive by URL ({where}); choose another folder")
    else:
        where = ArchiveLocation(directory, None, str(file))
    assert where.directory is not None
    server = EmbeddedServer(where.directory, where.server)
    if dry_run:
        return _plan(where, file) if server.exists() else InitReport(str(where), file, True, False, "")
    server.lease().close()
    report = _make_tables(where, file)
    if not file.exists():
        _write(file, f'{HEAD_LINE}[archive]\ndirectory = "."\n{POSTGRES_HINT}', 0o644)
    return report


def init_url(url: str, directory: Path, dry_run: bool = False) -> InitReport:
    """Make an archive in a database by URL, and note the URL in the folder's `photodb.toml`.

    A password in the URL is kept in the file, which then only its owner can read.

    Raises
    ------
    UsageError
        The URL is not one of PostgreSQL.
    ConfigurationError
        The folder's `photodb.toml` is of another archive.
    """
    if not is_url(url):
        raise UsageError(f"'{mask_password(url)}' is no URL of PostgreSQL (postgresql://user@host/database)")
    file = Path(os.path.abspath(directory)) / FILE
    if file.exists() and read_file(file).url != plain_url(url):
        raise ConfigurationError(
            f"{file} is of another archive ({read_file(file)}); choose another folder, or remove it"
        )
    where = ArchiveLocation(None, plain_url(url), "--url")
    if dry_run:
        return _plan(where, file)
    report = _make_tables(where, file)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        text = plain_url(url).replace("\\", "\\\\").replace('"', '\\"')
        _write(file, f'{HEAD_LINE}[archive]\nurl = "{text}"\n', 0o600)
    return report


def _plan(where: ArchiveLocation, file: Path) -> InitReport:
    """Look what init would find in a database that is there."""
    with open_location(where, check_schema=False) as db, db.begin() as conn:
        before, version = migrate.current(conn), migrate.server_version(conn)
    return InitReport(str(where), file, before is None, before not in (None, migrate.HEAD), version)


def _make_tables(where: ArchiveLocation, file: Path) -> InitReport:
    with open_location(where, check_schema=False) as db:
        before, version = _upgrade(db)
    return InitReport(str(where), file, before is None, before not in (None, migrate.HEAD), version)


def _upgrade(db: Database) -> tuple[str | None, str]:
    with db.begin() as conn:
        before = migrate.current(conn)
        if before is not None and before > migrate.HEAD:
            migrate.check_head(conn)
        if before != migrate.HEAD:
            migrate.upgrade(conn)
        return before, migrate.server_version(conn)


def _write(path: Path, text: str, mode: int) -> None:
    """Write a new file, whole or not at all, with its mode from the start."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
        stream.write(text)
    new.replace(path)


def embedded_server(location: str | None) -> EmbeddedServer | None:
    """Return the embedded server of an archive; None if the archive is by URL."""
    where = resolve_archive(location)
    return None if where.directory is None else EmbeddedServer(where.directory, where.server)


def archive_url(location: str | None) -> str:
    """Return the URL of an archive's database without a password; an embedded server need not run."""
    where = resolve_archive(location)
    if where.directory is None:
        return str(where)
    info = EmbeddedServer(where.directory, where.server).conninfo()
    host = quote(info["host"], safe="/")
    return f"postgresql://{info['user']}@/{info['dbname']}?host={host}&port={info['port']}"


def archive_status(location: str | None) -> dict[str, Any]:
    """Tell where an archive is, whether its server runs and, if so, what is in it; starts nothing."""
    where = resolve_archive(location)
    status: dict[str, Any] = {"archive": str(where), "from": where.origin}
    server = embedded_server(location)
    if server is None:
        return status | {"server": "by URL"} | _contents(where)
    if not server.exists():
        return status | {"server": "embedded, not made yet: photodb init"}
    running = server.running()
    status |= {
        "server": "embedded",
        "running": running,
        "postgresql": server.major(),
        "url": archive_url(location),
    }
    if running:
        stays = (
            "until 'photodb db stop'"
            if server.kept()
            else f"until {server.idle_seconds:g} s after its last use"
        )
        status |= {"process": server.pid(), "stays_up": stays} | _contents(where)
    return status


def _contents(where: ArchiveLocation) -> dict[str, Any]:
    """Tell schema and counts of a database; of one that does not answer, why."""
    try:
        with open_location(where, check_schema=False) as db, db.begin() as conn:
            found: dict[str, Any] = {
                "postgresql": migrate.server_version(conn),
                "schema": migrate.current(conn) or "none: photodb init",
            }
            if found["schema"] == migrate.HEAD:
                found |= framelists.counts(conn) | {"solutions": len(solutions.list_all(conn))}
            return {"running": True, **found}
    except StorageError as error:
        return {"running": False, "error": str(error)}


def migrate_archive(
    location: str | None, revision: str, down: bool, dry_run: bool = False
) -> tuple[str | None, str | None]:
    """Bring an archive's schema up or down to a revision; return the revisions before and after.

    `dry_run` does it and takes it back.
    """
    move = migrate.downgrade if down else migrate.upgrade
    with open_location(resolve_archive(location), check_schema=False) as db, db.begin() as conn:
        before = migrate.current(conn)
        tried = conn.begin_nested()
        move(conn, revision)
        after = migrate.current(conn)
        if dry_run:
            tried.rollback()
        else:
            tried.commit()
        return before, after


def schema_differences(location: str | None) -> list[str]:
    """Compare an archive's schema with the one that this version writes; empty if they agree."""
    with open_location(resolve_archive(location), check_schema=False) as db, db.begin() as conn:
        revision = migrate.current(conn)
        if revision != migrate.HEAD:
            return [f"the schema is at {revision or 'base'}, this version writes {migrate.HEAD}"]
        return migrate.differences(conn)
