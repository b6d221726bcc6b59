"""Make an archive: a folder with an embedded PostgreSQL, or the tables in a database by URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from photodb.errors import ConfigurationError
from photodb.settings import FILE, ArchiveLocation, is_url, mask_password, plain_url, read_file
from photodb.storage import migrate
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


def init_embedded(directory: Path) -> InitReport:
    """Make an archive in a folder, with an embedded PostgreSQL; an existing one is brought up to date.

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
    EmbeddedServer(where.directory, where.server).lease().release()
    report = _make_tables(where, file)
    if not file.exists():
        _write(file, f'{HEAD_LINE}[archive]\ndirectory = "."\n{POSTGRES_HINT}', 0o644)
    return report


def init_url(url: str, directory: Path) -> InitReport:
    """Make an archive in a database by URL, and note the URL in the folder's `photodb.toml`.

    A password in the URL is kept in the file, which then only its owner can read.
    """
    if not is_url(url):
        raise ConfigurationError(
            f"'{mask_password(url)}' is no URL of PostgreSQL (postgresql://user@host/database)"
        )
    file = Path(os.path.abspath(directory)) / FILE
    if file.exists() and read_file(file).url != plain_url(url):
        raise ConfigurationError(
            f"{file} is of another archive ({read_file(file)}); choose another folder, or remove it"
        )
    report = _make_tables(ArchiveLocation(None, plain_url(url), "--url"), file)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        text = plain_url(url).replace("\\", "\\\\").replace('"', '\\"')
        _write(file, f'{HEAD_LINE}[archive]\nurl = "{text}"\n', 0o600)
    return report


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
