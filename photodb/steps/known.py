"""Known objects among the sources, and sources among the known objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.footprints import count_coverage
from photodb.core.knownmatch import key_ranges_around, nearest_objects
from photodb.core.sky import cone_cells, deproject, healpix29
from photodb.errors import NothingMatched
from photodb.storage import knownobjects, knownsources, lightcurves
from photodb.storage.engine import Connection, Database

COARSE_ORDER = 5
MATCHED = {
    "name": "U1", "catalogue": "U1", "type": "U1", "period": "f8", "ra": "f8", "dec": "f8", "n_frames": "i8",
    "source_id": "i8", "separation_arcsec": "f8", "n_obs": "i8", "bands": "U1",
}  # fmt: skip
"""Columns of the objects that the archive covers, with their types."""


@dataclass(frozen=True)
class KnownColumns:
    """What is known of sources, a row a source; empty text and NaN where nothing is."""

    known: NDArray[np.str_]  # name of the object
    known_type: NDArray[np.str_]
    known_period: NDArray[np.float64]  # d
    known_catalogue: NDArray[np.str_]
    known_arcsec: NDArray[np.float64]  # how far it is


def known_of(conn: Connection, source_ids: NDArray[np.int64]) -> KnownColumns:
    """Return the nearest known object of each source (n,), within a radius that follows the errors of both.

    Sources whose place is only approximate have none.
    """
    own = knownsources.sources_by_id(conn, source_ids)
    sources = own[~own["approximate"]]
    objects = _at(conn, knownobjects.places_in(conn, *key_ranges_around(sources["healpix"])))
    row, apart = nearest_objects(
        sources["ra"], sources["dec"], sources["error"], objects["ra"], objects["dec"], objects["error"]
    )
    matched = row >= 0
    words = knownobjects.words_of(conn, objects["key"][row[matched]].tolist())
    found = {
        int(s): (words[int(o["key"])], float(o["period"]), float(d))
        for s, o, d in zip(sources["source_id"][matched], objects[row[matched]], apart[matched], strict=True)
    }
    none = (("", "", ""), float("nan"), float("nan"))
    rows = [found.get(int(s), none) for s in source_ids]
    text = [np.array([r[0][k] for r in rows], str) if rows else np.empty(0, "U1") for k in range(3)]
    period, distance = (np.array([r[k] for r in rows], float) for k in (1, 2))
    return KnownColumns(text[0], text[1], period, text[2], distance)


def _at(conn: Connection, objects: NDArray) -> NDArray:
    """Bring objects to the middle of the archive's frames."""
    epoch = knownobjects.middle_epoch(conn)
    moving = (objects["pm_ra"] != 0) | (objects["pm_dec"] != 0)
    if not np.isfinite(epoch) or not moving.any():
        return objects
    years = (epoch - objects["epoch"][moving]) / 3.6e6
    east, north = objects["pm_ra"][moving] * years, objects["pm_dec"][moving] * years
    objects["ra"][moving], objects["dec"][moving] = deproject(
        east, north, objects["ra"][moving], objects["dec"][moving]
    )
    return objects


def covered_objects(db: Database, catalogue: str | None = None) -> list[dict[str, Any]]:
    """List the known objects that accepted frames cover: how many frames, and their source with its points.

    Parameters
    ----------
    catalogue : only objects of this one

    Raises
    ------
    NothingMatched : no such catalogue, or none at all.
    """
    with db.begin() as conn:
        _check(conn, catalogue)
        frames = knownsources.placed_frames(conn)
        objects = _at(conn, knownobjects.places_in(conn, *_ranges_of(frames)))
        if catalogue is not None:
            row = knownobjects.find_catalogue(conn, catalogue)
            objects = objects[objects["catalogue"] == (row["known_catalogue_id"] if row else -1)]
        n_frames = count_coverage(frames, objects["ra"], objects["dec"])
        objects, n_frames = objects[n_frames > 0], n_frames[n_frames > 0]
        return _rows(conn, objects, n_frames)


def _check(conn: Connection, catalogue: str | None) -> None:
    names = [row["name"] for row in knownobjects.list_catalogues(conn)]
    if not names:
        raise NothingMatched("no catalogue of known objects is loaded: 'photodb objects load FILE --name N'")
    if catalogue is not None and catalogue not in names:
        raise NothingMatched(f"no objects {catalogue!r}; loaded are: {', '.join(names)}")


def _ranges_of(frames: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ranges of keys that cover the frames, by coarse cells; frames of one field are taken together."""
    places = np.column_stack([np.round(frames[name], 1) for name in ("ra", "dec", "radius")])
    cells = [
        cone_cells(ra, dec, radius + 0.25, COARSE_ORDER) for ra, dec, radius in np.unique(places, axis=0)
    ]
    lo = np.unique(np.concatenate(cells)) if cells else np.empty(0, np.int64)
    shift = 2 * (29 - COARSE_ORDER)
    return lo << shift, (lo + 1) << shift


def _rows(conn: Connection, objects: NDArray, n_frames: NDArray) -> list[dict[str, Any]]:
    keys = healpix29(objects["ra"], objects["dec"]) if len(objects) else np.empty(0, np.int64)
    sources = knownsources.sources_in(conn, *key_ranges_around(keys))
    sources = sources[~sources["approximate"]]
    row, apart = nearest_objects(
        objects["ra"], objects["dec"], np.where(np.isfinite(objects["error"]), objects["error"], 1.0),
        sources["ra"], sources["dec"], sources["error"],
    )  # fmt: skip
    source_ids = np.where(row >= 0, sources["source_id"][row] if len(sources) else -1, -1)
    counts = knownsources.counts_of(conn, lightcurves.published_solution(conn), source_ids[source_ids >= 0])
    words = knownobjects.words_of(conn, objects["key"].tolist())
    made = []
    for i in np.lexsort((objects["ra"], -n_frames)):
        name, kind, catalogue = words[int(objects["key"][i])]
        n_obs, bands = counts.get(int(source_ids[i]), (0, ""))
        made.append({
            "name": name, "catalogue": catalogue, "type": kind, "period": float(objects["period"][i]),
            "ra": float(objects["ra"][i]), "dec": float(objects["dec"][i]), "n_frames": int(n_frames[i]),
            "source_id": int(source_ids[i]), "separation_arcsec": float(apart[i]), "n_obs": n_obs, "bands": bands,
        })  # fmt: skip
    return made
