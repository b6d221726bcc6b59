"""Find the place of a name: a source's number, a known object, a reference star, or what a service answers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photodb.core.names import normal_name
from photodb.core.sky import deproject, separation_deg
from photodb.errors import NothingMatched, StorageError, UsageError
from photodb.images import nameservices
from photodb.storage import knownobjects
from photodb.storage.engine import Connection, Database

from .runs import recorded_run

APART_ARCSEC = 5.0
"""Places of one name further apart than this are not one place."""
NUMBER = re.compile(r"^(?:source\s*|#\s*)(\d{1,18})$", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a name is on the sky, and how that is known."""

    ra: float  # deg, at the middle of the archive's frames
    dec: float  # deg
    name: str
    origin: str  # the catalogue, or what else tells
    notes: tuple[str, ...] = ()


def find_place(db: Database, name: str, online: str | None = None) -> Place:
    """Return the place of a name: of a source (`source 12`, `#12`), a known object, a reference star.

    Parameters
    ----------
    online : `simbad` or `vsx`, asked where the archive does not know the name; the answer is kept in the archive

    Raises
    ------
    NothingMatched : nobody knows it; near names are told.
    UsageError : two catalogues give it different places; they are listed.
    NetworkError : the service cannot be asked.
    """
    with db.begin() as conn:
        number = NUMBER.match(name.strip())
        if number:
            return _source(conn, int(number[1]))
        found = knownobjects.by_name(conn, name) or knownobjects.stars_named(conn, _spellings(name))
        if found:
            return _one_place(name, [dict(row) for row in found], knownobjects.middle_epoch(conn))
    if online:
        return _ask(db, name, online)
    with db.begin() as conn:
        raise NothingMatched(_unknown(conn, name))


def _spellings(name: str) -> list[str]:
    """Return the forms in which a reference catalogue may write a name."""
    plain = " ".join(name.split())
    forms = (name, plain, plain.upper(), plain.replace("_", " "), plain.replace(" ", ""))
    return list(dict.fromkeys(forms))


def _source(conn: Connection, source_id: int) -> Place:
    found = knownobjects.source_place(conn, source_id)
    if found is None:
        raise NothingMatched(
            f"there is no source {source_id}; 'photodb cone RA DEC RADIUS_DEG' lists those of a place"
        )
    taken, ra, dec = found
    merged = (f"source {source_id} was merged into {taken}",) if taken != source_id else ()
    return Place(ra, dec, f"source {taken}", "archive", merged)


def _one_place(name: str, found: Sequence[Mapping[str, Any]], epoch: float) -> Place:
    """Return the best place of those that catalogues give; UsageError where they are apart."""
    now = [_moved(row, epoch) for row in found]
    ra, dec = np.array(now).T
    errors = [row["position_error"] or np.nan for row in found]
    best = int(np.argmin(np.where(np.isfinite(errors), errors, np.inf)))
    apart = 3600 * separation_deg(ra[best], dec[best], ra, dec)
    if apart.max() > APART_ARCSEC:
        told = "; ".join(
            f"{row['catalogue']}: {row['name']} at {a:.5f} {d:+.5f} ({s:.1f} arcsec away)"
            for row, a, d, s in zip(found, ra, dec, apart, strict=True)
        )
        raise UsageError(f"{name!r} is at different places: {told}; give RA DEC of the one that is meant")
    row = found[best]
    return Place(float(ra[best]), float(dec[best]), row["name"], row["catalogue"])


def _moved(row: Mapping[str, Any], epoch: float) -> tuple[float, float]:
    """Return where an object is at a Julian epoch; at its catalogue's, if that is NaN."""
    if not np.isfinite(epoch) or not (row["pm_ra"] or row["pm_dec"]):
        return float(row["ra"]), float(row["dec"])
    years = (epoch - row["position_epoch"]) / 3.6e6
    ra, dec = deproject(
        [row["pm_ra"] * years], [row["pm_dec"] * years], np.array([row["ra"]]), np.array([row["dec"]])
    )
    return float(ra[0]), float(dec[0])


def _unknown(conn: Connection, name: str) -> str:
    """Say that nobody knows a name, what it may be meant for, and what to do."""
    normal = normal_name(name)
    known = knownobjects.names_near(conn, normal) if normal else {}
    near = [known[n] for n in difflib.get_close_matches(normal, known, n=3, cutoff=0.7)]
    told = [f"the name {name!r} is not known"]
    if near:
        told.append(f"did you mean {' or '.join(near)}?")
    for row in knownobjects.targets_like(conn):
        if normal and normal_name(row["object"]) == normal and row["ra"] is not None:
            told.append(
                f"{row['n']} frames name it as their target, the newest of them points at {row['ra']:.4f} "
                f"{row['dec']:+.4f}, which is not its place"
            )
    told.append(
        "load a catalogue that has it ('photodb objects load FILE --name N'), ask over the network (--online simbad or "
        "--online vsx), or give RA DEC"
    )
    return "; ".join(told)


def _ask(db: Database, name: str, service: str) -> Place:
    found = nameservices.ask(service, name)
    if found is None:
        raise NothingMatched(f"{service} does not know {name!r} either; give RA DEC")
    row = {n: found[0][n] for n in found.dtype.names or ()}
    with db.begin() as conn:
        ra, dec = _moved({**row, "position_epoch": 2000.0}, knownobjects.middle_epoch(conn))
    return Place(ra, dec, row["name"], service, (_kept(db, name, service, found),))


def _kept(db: Database, name: str, service: str, found: Any) -> str:
    """Keep a service's answer in the archive, where that can be written; return what to say of it."""
    where = nameservices.address(service)
    try:
        with (
            recorded_run(db, "objects ask", {"name": name, "service": service}, {"url": where}) as run,
            db.begin() as conn,
        ):
            known = knownobjects.find_catalogue(conn, service)
            values = {"name": service, "kind": "online", "path": where, "epoch": 2000.0, "run_id": run.run_id}
            key = known["known_catalogue_id"] if known else knownobjects.insert_catalogue(conn, values)
            same = [o for o in knownobjects.by_name(conn, found[0]["name"]) if o["known_catalogue_id"] == key]
            if same:
                knownobjects.add_names(conn, same[0]["known_object_id"], [name])
            else:
                found[0]["aliases"] = [*found[0]["aliases"], name]
                knownobjects.append_objects(conn, key, run.run_id, found)
    except StorageError as error:
        return f"the answer of {service} could not be kept in the archive: {error}"
    return f"the answer of {service} is kept in the archive; next time it is known without the network"
