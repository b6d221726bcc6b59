"""Load, list, show and drop catalogues of known objects; tell which of them the archive covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from photodb.errors import NothingMatched, UsageError
from photodb.images.cataloguemap import CatalogueMap
from photodb.images.fits import file_hash
from photodb.images.objectlists import ObjectReader, open_objects
from photodb.storage import knownobjects
from photodb.storage.engine import Database

from .progress import Progress
from .runs import recorded_run


@dataclass(frozen=True)
class ObjectsReport:
    """What was loaded."""

    name: str
    n_objects: int
    n_dropped: int
    already: bool = False  # the same file was loaded under this name before
    dropped: Mapping[str, int] = field(default_factory=dict)  # rows left out, by reason
    frame: str = "icrs"
    n_typed: int = 0
    n_periods: int = 0


def load_objects(
    db: Database,
    path: Path,
    name: str,
    *,
    kind: str = "variables",
    told: CatalogueMap | None = None,
    table: int | str | None = None,
    replace_old: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ObjectsReport:
    """Load a catalogue of objects under a name, in one transaction; the same file again changes nothing.

    Raises
    ------
    UsageError : the file cannot be read, or another file bears the name.
    """
    path = Path(path).resolve()
    reader = open_objects(path, told, table)
    digest = file_hash(path)
    with db.begin() as conn:
        old = knownobjects.find_catalogue(conn, name)
    if old and old["data_hash"] == digest and not replace_old:
        return ObjectsReport(name, 0, 0, already=True)
    if old and not replace_old:
        raise UsageError(
            f"objects {name!r} are there already, from {old['path']}; choose another name, or put this file in their "
            "place with --replace"
        )
    counts = {"n_typed": 0, "n_periods": 0}
    if dry_run:
        for objects in reader.pieces():
            _count(counts, objects)
        return _report(name, reader, counts)
    settings = {"kind": kind, **asdict(told or CatalogueMap())}
    with recorded_run(db, "objects load", {"path": str(path), "name": name}, settings) as run:
        with db.begin() as conn:
            if old:
                knownobjects.delete_catalogue(conn, old["known_catalogue_id"])
            values = {
                "name": name,
                "kind": kind,
                "path": str(path),
                "data_hash": digest,
                "run_id": run.run_id,
            }
            key = knownobjects.insert_catalogue(conn, {**values, "epoch": reader.placer.epoch})
            if progress:
                progress.start(max(reader.table.n_rows, 0), "objects")
            for objects in reader.pieces():
                knownobjects.append_objects(conn, key, run.run_id, objects)
                _count(counts, objects)
                if progress:
                    progress.advance(len(objects))
        if progress:
            progress.finish()
        report = _report(name, reader, counts)
        run.report |= {"n_objects": report.n_objects, "dropped": report.dropped}
    return report


def _count(counts: dict[str, int], objects: Any) -> None:
    counts["n_typed"] += int((objects["type"] != "").sum())
    counts["n_periods"] += int((objects["period"] > 0).sum())


def _report(name: str, reader: ObjectReader, counts: Mapping[str, int]) -> ObjectsReport:
    dropped = reader.dropped
    frame = str(reader.placer.frame)
    return ObjectsReport(name, reader.n_good, sum(dropped.values()), False, dropped, frame, **counts)


def list_objects(db: Database) -> list[dict[str, Any]]:
    """List the catalogues of objects."""
    with db.begin() as conn:
        return [dict(row) for row in knownobjects.list_catalogues(conn)]


def show_object(db: Database, name: str) -> list[dict[str, Any]]:
    """Return what every catalogue says of a name; NothingMatched if none does."""
    with db.begin() as conn:
        found = knownobjects.by_name(conn, name)
        names = {row["known_object_id"]: knownobjects.names_of(conn, row["known_object_id"]) for row in found}
    if not found:
        raise NothingMatched(f"no catalogue of objects has {name!r}; 'photodb objects list' lists them")
    shown = ("catalogue", "name", "type", "ra", "dec", "period", "epoch", "mag_max", "mag_min", "mag_band", "pm_ra",
             "pm_dec", "position_error")  # fmt: skip
    return [{k: row[k] for k in shown} | {"names": ", ".join(names[row["known_object_id"]])} for row in found]


def drop_objects(db: Database, name: str, dry_run: bool = False) -> int:
    """Delete a catalogue of objects, and return how many objects it had; NothingMatched if there is none."""
    with db.begin() as conn:
        row = knownobjects.find_catalogue(conn, name)
        listed = {c["name"]: int(c["n_objects"]) for c in knownobjects.list_catalogues(conn)}
    if row is None:
        raise NothingMatched(f"no objects {name!r}; loaded are: {', '.join(listed) or 'none'}")
    if not dry_run:
        with recorded_run(db, "objects drop", {"name": name}, {}) as run, db.begin() as conn:
            run.report["n_objects"] = knownobjects.delete_catalogue(conn, row["known_catalogue_id"])
    return listed[name]
