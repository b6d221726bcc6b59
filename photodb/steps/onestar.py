"""Make one source of two that are one star: never seen side by side, and nearer than they could be told apart.

A star founds a second source where two detections of it lie too far apart by chance, or its motion was not known when
it was seen again. Ingest looks for such pairs once its frames are in; every merge is one transaction, in the history,
and goes back with the run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.pairs import Pairs, near_pairs, one_star_pairs
from photodb.storage import frames, sourceids, sourceinfo, sources
from photodb.storage.engine import Connection, Database
from photodb.storage.sourcechanges import common_frames, merge_sources
from photodb.storage.tables import SERIAL_BITS

from .writeframe import LOCK_MARGIN_DEG, LOCK_ORDER

BORDER_ORDER = 11
"""HEALPix order of the cells around one of `LOCK_ORDER` that are looked at with it: 100 arcsec wide."""


def merge_doubles(db: Database, run_id: int) -> int:
    """Merge the sources around the frames of a run, and around those still to be measured, that are one star.

    Returns how many sources went. One that an earlier, killed run left is found again by the frames that wait.
    """
    with db.begin() as conn:
        cells = _cells_of(frames.circles_to_look_at(conn, run_id))
    return sum(_merge_in_cell(db, run_id, cell) for cell in cells.tolist())


def _cells_of(circles: NDArray) -> NDArray[np.int64]:
    """Return the cells that frames (fields ra, dec, radius in deg) touch; frames at one place count once."""
    rough = np.unique(np.round(np.column_stack([circles[n] for n in ("ra", "dec", "radius")]), 2), axis=0)
    cells = [
        sky.cone_cells(ra, dec, radius + LOCK_MARGIN_DEG, LOCK_ORDER) for ra, dec, radius in rough.tolist()
    ]
    return np.unique(np.concatenate(cells)) if cells else np.empty(0, np.int64)


def _merge_in_cell(db: Database, run_id: int, cell: int) -> int:
    with db.begin() as conn:
        known, pairs = find_doubles(conn, cell)
    merged = 0
    for i, j in zip(pairs.first.tolist(), pairs.second.tolist()):
        with db.begin() as conn:
            frames.lock_cells(conn, _cells_around(known[[i, j]]))
            merged += _merge_one(conn, run_id, known[i], known[j])
    return merged


def find_doubles(conn: Connection, cell: int) -> tuple[NDArray, Pairs]:
    """Return the sources in and around a cell, by key, and the pairs among them that are one star.

    Those that somebody split stay apart.
    """
    known = sources.sources_in_ranges(conn, *sky.cell_ranges(cell, LOCK_ORDER, BORDER_ORDER))
    pairs = near_pairs(known["ra"], known["dec"], known["position_err"], known["reach"])
    same_place = known["approximate"][pairs.first] == known["approximate"][pairs.second]
    same_field = known["field_id"][pairs.first] == known["field_id"][pairs.second]
    pairs = pairs.take(same_place & (same_field | ~known["approximate"][pairs.first]))
    members = np.union1d(pairs.first, pairs.second)
    seen = sourceinfo.frames_of(conn, known["source_id"][members])
    owner = (
        members[np.searchsorted(known["source_id"][members], seen["source_id"])] if len(seen) else members[:0]
    )
    pairs = one_star_pairs(pairs, owner, seen["frame_id"])
    split = sourceids.parted(conn, known["source_id"][pairs.first], known["source_id"][pairs.second])
    return known, pairs.take(~split)


def _cells_around(rows: NDArray) -> NDArray[np.int64]:
    cells = [sky.cone_cells(float(r["ra"]), float(r["dec"]), LOCK_MARGIN_DEG, LOCK_ORDER) for r in rows]
    return np.unique(np.concatenate(cells))


def _merge_one(conn: Connection, run_id: int, a: NDArray, b: NDArray) -> int:
    """Merge the one seen less often, or later founded, into the other, unless they have changed meanwhile."""
    ids = [int(a["source_id"]), int(b["source_id"])]
    now = sources.sources_by_id(conn, ids)
    if len(now) != len(ids) or common_frames(conn, *ids):
        return 0
    keep, other = sorted(ids, key=lambda i: (-int(now["n_detections"][now["source_id"] == i][0]), _serial(i)))
    apart = 3600 * float(sky.separation_deg(*(now[n][k] for k in (0, 1) for n in ("ra", "dec"))))
    note = f"one star: {apart:.2f} arcsec apart, never seen on the same frame"
    return len(merge_sources(conn, run_id, keep, [other], note))


def _serial(source_id: int) -> int:
    """Return the number in order of founding that a key carries."""
    return source_id & ((1 << SERIAL_BITS) - 1)
