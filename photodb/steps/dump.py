"""Dump an archive to a file, and put a dump in an archive's place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from photodb.errors import UsageError
from photodb.storage import dumps, migrate
from photodb.storage.engine import Database


@dataclass(frozen=True)
class DumpReport:
    """A file, its size in bytes, and the revision of the schema in it."""

    path: Path
    size: int
    revision: str | None


def dump_archive(db: Database, path: Path, overwrite: bool = False) -> DumpReport:
    """Write the whole archive to a file; UsageError if the file exists and `overwrite` is not given."""
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists; choose another name, or add --yes to overwrite it")
    dumps.dump(db, path)
    with db.begin() as conn:
        return DumpReport(path, path.stat().st_size, migrate.current(conn))


def archive_is_empty(db: Database) -> bool:
    """Tell whether a restore would replace nothing."""
    with db.begin() as conn:
        return not dumps.has_rows(conn)


def restore_archive(db: Database, path: Path, overwrite: bool = False) -> DumpReport:
    """Put the dump in the archive's place, in one transaction; what the archive held is gone after it.

    Raises
    ------
    UsageError
        No such file, not a dump of an archive, or the archive holds something and `overwrite` is not given.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if not overwrite and not archive_is_empty(db):
        raise UsageError(f"{db.location} holds an archive already; add --yes to replace it by {path}")
    dumps.restore(db, path)
    with db.begin() as conn:
        return DumpReport(path, path.stat().st_size, migrate.current(conn))
