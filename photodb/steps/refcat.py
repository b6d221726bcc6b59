"""Load reference catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from photodb.errors import UsageError
from photodb.images.catalogs import read_catalogue
from photodb.images.fits import file_hash
from photodb.storage import refcats
from photodb.storage.engine import Database

from .runs import recorded_run


@dataclass(frozen=True)
class RefcatReport:
    """What was loaded."""

    name: str
    n_stars: int
    n_dropped: int
    bands: tuple[str, ...]
    already: bool  # the same file was loaded under this name before


def load_refcat(
    db: Database,
    path: Path,
    name: str,
    *,
    priority: int = 0,
    epoch: float = 2000.0,
    columns: Mapping[str, str] | None = None,
    bands: list[str] | None = None,
    dry_run: bool = False,
) -> RefcatReport:
    """Load a catalogue file under a name; the same file again changes nothing.

    Raises
    ------
    UsageError : the file cannot be read, or another file bears the name.
    """
    path = Path(path).resolve()
    table = read_catalogue(path, columns, bands)
    digest = file_hash(path)
    with db.begin() as conn:
        old = refcats.find_catalogue(conn, name)
    if old and old["data_hash"] != digest:
        raise UsageError(
            f"a catalogue {name!r} of {old['n_stars']} stars is there already, from {old['path']}; choose another name"
        )
    report = RefcatReport(name, len(table.stars), table.n_dropped, tuple(table.bands), bool(old))
    if old or dry_run:
        return report
    settings = {"priority": priority, "epoch": epoch, "columns": dict(columns or {}), "bands": table.bands}
    with recorded_run(db, "refcat load", {"path": str(path), "name": name}, settings) as run:
        with db.begin() as conn:
            refcats.insert_catalogue(
                conn, run.run_id, name, str(path), digest, epoch, priority, table.bands, table.stars
            )
        run.report |= {"n_stars": report.n_stars, "n_dropped": report.n_dropped}
    return report
