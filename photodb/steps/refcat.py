"""Load, show and drop reference catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from photodb.core.correction import Correction
from photodb.errors import NothingMatched, UsageError
from photodb.images.catalogs import CatalogueReader, open_catalogue
from photodb.images.cataloguemap import CatalogueMap
from photodb.images.fits import file_hash
from photodb.storage import refcats
from photodb.storage.engine import Connection, Database

from .progress import Progress
from .runs import recorded_run


@dataclass(frozen=True)
class RefcatReport:
    """What was loaded."""

    name: str
    n_stars: int
    n_dropped: int
    bands: tuple[str, ...]
    already: bool  # the same file was loaded under this name before
    dropped: Mapping[str, int] = field(default_factory=dict)  # rows left out, by reason
    absurd: Mapping[str, int] = field(default_factory=dict)  # magnitudes left out, by band
    epoch: float = 2000.0  # Julian years
    frame: str = "icrs"  # of the file's positions
    position_error: float = float("nan")  # arcsec
    replaced: bool = False


def load_refcat(
    db: Database,
    path: Path,
    name: str,
    *,
    priority: int = 0,
    epoch: float | None = None,
    columns: Mapping[str, str] | None = None,
    bands: list[str] | None = None,
    told: CatalogueMap | None = None,
    table: int | str | None = None,
    correction: Correction | None = None,
    replace_old: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RefcatReport:
    """Load a catalogue file under a name, in one transaction; the same file again changes nothing.

    Parameters
    ----------
    epoch : Julian years; by default what the file says (Gaia's ref_epoch, a VOTable's COOSYS), else 2000
    columns, bands : as `photodb.images.catalogs.read_catalogue` takes them; beside and before what `told` says
    table : which table of a file of several
    correction : added to the positions whenever they are used
    replace_old : put the file in the place of another that bears the name

    Raises
    ------
    UsageError : the file cannot be read; another file bears the name; frames were placed with the one to be replaced.
    """
    path, told = Path(path).resolve(), told or CatalogueMap()
    told = replace(
        told, columns={**told.columns, **(columns or {})}, band_names=tuple(bands or told.band_names)
    )
    told = told if epoch is None else replace(told, epoch=epoch)
    reader = open_catalogue(path, told, table)
    digest = file_hash(path)
    old = _old(db, name, digest, replace_old)
    if old and not replace_old:
        known = _report(name, reader, told)
        return replace(known, n_stars=old["n_stars"], bands=tuple(old["bands"]), already=True)
    if dry_run:
        _read(reader, progress)
        return replace(_report(name, reader, told), replaced=bool(old))
    settings = {"priority": priority, "correction": (correction or Correction()).to_dict(), **asdict(told)}
    with recorded_run(db, "refcat load", {"path": str(path), "name": name}, settings) as run:
        with db.begin() as conn:
            if old:
                refcats.delete_catalogue(conn, old["reference_catalogue_id"])
            values = {
                "name": name,
                "path": str(path),
                "data_hash": digest,
                "priority": priority,
                "run_id": run.run_id,
            }
            _write(conn, reader, {**values, "correction": settings["correction"]}, told, progress)
        report = replace(_report(name, reader, told), replaced=bool(old))
        run.report |= {"n_stars": report.n_stars, "n_dropped": report.n_dropped, "dropped": report.dropped}
    return report


def _old(db: Database, name: str, digest: str, replace_old: bool) -> dict[str, Any] | None:
    """Return the catalogue that bears the name, if it is the same file or may be replaced; UsageError if not."""
    with db.begin() as conn:
        found = refcats.find_catalogue(conn, name)
        old = None if found is None else dict(found)
        if old and old["data_hash"] != digest and not replace_old:
            raise UsageError(
                f"a catalogue {name!r} of {old['n_stars']} stars is there already, from {old['path']}; choose another "
                "name, or put this file in its place with --replace"
            )
        if old and replace_old:
            _refuse_used(conn, old)
    return old


def _report(name: str, reader: CatalogueReader, told: CatalogueMap) -> RefcatReport:
    dropped, absurd = reader.dropped, {band: n for band, n in reader.absurd.items() if n}
    bands = tuple(band.name for band in reader.bands)
    place = reader.placer
    return RefcatReport(
        name, reader.n_good, sum(dropped.values()), bands, False, dropped, absurd, place.epoch, str(place.frame),
        _position_error(reader, told),
    )  # fmt: skip


def _position_error(reader: CatalogueReader, told: CatalogueMap) -> float:
    given = told.position_error
    return given if np.isfinite(given) else reader.placer.position_error()


def _read(reader: CatalogueReader, progress: Progress | None) -> None:
    for stars in reader.pieces():
        if progress:
            progress.advance(len(stars))


def _write(
    conn: Connection,
    reader: CatalogueReader,
    values: Mapping[str, Any],
    told: CatalogueMap,
    progress: Progress | None,
) -> None:
    """Write a catalogue piece by piece."""
    bands = {"bands": [b.name for b in reader.bands], "systems": [b.system for b in reader.bands]}
    key = refcats.begin_catalogue(conn, {**values, **bands, "epoch": reader.placer.epoch})
    fastest = 0.0
    if progress:
        progress.start(max(reader.table.n_rows, 0), "stars")
    for stars in reader.pieces():
        refcats.append_stars(conn, key, stars)
        fastest = max(fastest, refcats.fastest(stars))
        if progress:
            progress.advance(len(stars))
    error = _position_error(reader, told)
    refcats.finish_catalogue(conn, key, reader.n_good, error if np.isfinite(error) else None, fastest)
    if progress:
        progress.finish()


def _refuse_used(conn: Connection, row: Mapping[str, Any]) -> None:
    """Refuse to take a catalogue away that frames or ties rest on; UsageError says what to do."""
    used = refcats.users(conn, row["reference_catalogue_id"])
    if used["frame"]:
        raise UsageError(
            f"{used['frame']} frames were placed with the catalogue {row['name']!r}: load the other file under another "
            "name, place the frames by it ('photodb astrometry solve --all --refcat OTHER'), then drop this one"
        )
    if used["tie"]:
        raise UsageError(f"{used['tie']} ties rest on the catalogue {row['name']!r}: undo their runs first")


def _found(conn: Connection, name: str) -> dict[str, Any]:
    row = refcats.find_catalogue(conn, name)
    if row is None:
        known = ", ".join(c["name"] for c in refcats.list_catalogues(conn)) or "none"
        raise NothingMatched(f"no reference catalogue {name!r}; loaded are: {known}")
    return dict(row)


def show_refcat(db: Database, name: str) -> dict[str, Any]:
    """Return all that is known of a catalogue, and how many frames and ties rest on it; NothingMatched without one."""
    with db.begin() as conn:
        row = _found(conn, name)
        used = refcats.users(conn, row["reference_catalogue_id"])
    return {**row, "n_frames": used["frame"], "n_ties": used["tie"]}


def drop_refcat(db: Database, name: str, dry_run: bool = False) -> int:
    """Delete a catalogue with its stars, and return how many.

    Raises
    ------
    NothingMatched : there is none of that name.
    UsageError : frames were placed with it, or magnitudes tied to it.
    """
    with db.begin() as conn:
        row = _found(conn, name)
        _refuse_used(conn, row)
    if not dry_run:
        with recorded_run(db, "refcat drop", {"name": name}, {}) as run, db.begin() as conn:
            _refuse_used(conn, row)
            run.report["n_stars"] = refcats.delete_catalogue(conn, row["reference_catalogue_id"])
    return int(row["n_stars"])
