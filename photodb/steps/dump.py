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


def dump_archive(db: Database, path: Path, overwrite: bool = False, dry_run: bool = False) -> DumpReport:
    """Write the whole archive to a file; UsageError if the file exists and `overwrite` is not given.

    `dry_run` looks only: the size told is 0.
    """
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists; choose another name, or add --yes to overwrite it")
    if dry_run and not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} to")
    if not dry_run:
        dumps.dump(db, path)
    with db.begin() as conn:
        return DumpReport(path, 0 if dry_run else path.stat().st_size, migrate.current(conn))


def archive_is_empty(db: Database) -> bool:
    """Tell whether a restore would replace nothing."""
    with db.begin() as conn:
        return not dumps.has_rows(conn)


def restore_archive(db: Database, path: Path, overwrite: bool = False, dry_run: bool = False) -> DumpReport:
    """Put the dump in the archive's place, in one transaction; what the archive held is gone after it.

    `dry_run` only checks the file; the revision told is that of the archive as it is.

    Raises
    ------
    UsageError
        No such file, not a dump of an archive, or the archive holds something and `overwrite` is not given.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if not overwrite and not archive_is_empty(db):
        raise UsageError(f"{db.location} holds an archive already; add --yes to replace it by {path}")
    if dry_run:
        dumps.check_dump(db, path)
    else:
        dumps.restore(db, path)
    with db.begin() as conn:
        return DumpReport(path, path.stat().st_size, migrate.current(conn))
