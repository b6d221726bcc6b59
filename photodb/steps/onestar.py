"""Make one source of two that are one star: never seen side by side, and nearer than they could be told apart.

A star founds a second source where two detections of it lie too far apart by chance, or its motion was not known when
it was seen again. Ingest looks for such pairs once its frames are in; every merge is one transaction, in the history,
and goes back with the run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.association import MOST_REACH_PX, MOST_SIGMA
from photodb.core.pairs import Pairs, near_pairs, one_star_pairs
from photodb.storage import frames, sourceids, sourceinfo, sources
from photodb.storage.engine import Connection, Database
from photodb.storage.sourcechanges import common_frames, merge_sources
from photodb.storage.tables import SERIAL_BITS

from .writeframe import LOCK_MARGIN_DEG, LOCK_ORDER

FINEST_CELLS = 9
FINEST_BORDER = 11
"""HEALPix orders: cells looked at are about as wide as the frames, no wider than `LOCK_ORDER`; those of the border
around each are wider than pairs are apart, 100 arcsec at least."""


def merge_doubles(db: Database, run_id: int) -> int:
    """Merge the sources around the frames of a run, and around those of killed runs, that are one star.

    Returns how many sources went.
    """
    with db.begin() as conn:
        circles = frames.circles_to_look_at(conn, run_id)
    if not len(circles):
        return 0
    order, border = _orders(circles)
    return sum(_merge_in_cell(db, run_id, cell, order, border) for cell in _cells_of(circles, order).tolist())


def has_doubles_to_look_for(db: Database) -> bool:
    """Tell whether a killed run left frames around which doubles were not looked for."""
    with db.begin() as conn:
        return frames.unmerged(conn)


def _orders(circles: NDArray) -> tuple[int, int]:
    """Return the orders of the cells to look at and of those around them."""
    widest = float(circles["radius"].max()) + LOCK_MARGIN_DEG
    farthest = MOST_SIGMA * MOST_REACH_PX * float(circles["scale"].max()) / 3600
    border = int(np.clip(np.floor(np.log2(sky.CELL_DEG / farthest)), 0, FINEST_BORDER))
    order = int(np.clip(np.floor(np.log2(sky.CELL_DEG / widest)), LOCK_ORDER, FINEST_CELLS))
    return min(order, border), border


def _cells_of(circles: NDArray, order: int) -> NDArray[np.int64]:
    """Return the cells that frames (fields ra, dec, radius in deg) touch; frames at one place count once."""
    rough = np.unique(np.round(np.column_stack([circles[n] for n in ("ra", "dec", "radius")]), 2), axis=0)
    cells = [sky.cone_cells(ra, dec, radius + LOCK_MARGIN_DEG, order) for ra, dec, radius in rough.tolist()]
    return np.unique(np.concatenate(cells))


def _merge_in_cell(db: Database, run_id: int, cell: int, order: int, border: int) -> int:
    """Merge until no pair is left: three sources of one star are two pairs, one after the other."""
    merged = 0
    while True:
        with db.begin() as conn:
            known, pairs = find_doubles(conn, cell, order, border)
        before = merged
        for i, j in zip(pairs.first.tolist(), pairs.second.tolist()):
            with db.begin() as conn:
                frames.lock_cells(conn, _cells_around(known[[i, j]]))
                merged += _merge_one(conn, run_id, known[[i, j]]["source_id"])
        if merged == before:
            return merged


def find_doubles(conn: Connection, cell: int, order: int, border: int) -> tuple[NDArray, Pairs]:
    """Return the sources in a cell of an order, and in those of the order `border` around it, and the pairs among them.

    The sources are by key; the pairs are those that are one star, without what somebody split.
    """
    known = sources.sources_in_ranges(conn, *sky.cell_ranges(cell, order, border))
    pairs = _near(known)
    members = np.union1d(pairs.first, pairs.second)
    seen = sourceinfo.frames_of(conn, known["source_id"][members])
    owner = (
        members[np.searchsorted(known["source_id"][members], seen["source_id"])] if len(seen) else members[:0]
    )
    pairs = one_star_pairs(pairs, owner, seen["frame_id"])
    split = sourceids.parted(conn, known["source_id"][pairs.first], known["source_id"][pairs.second])
    return known, pairs.take(~split)


def _near(known: NDArray) -> Pairs:
    """Return the pairs that are as near as a detection may be to its source, both of places of one kind."""
    pairs = near_pairs(known["ra"], known["dec"], known["position_err"], known["reach"])
    a, b = known[pairs.first], known[pairs.second]
    same = (a["approximate"] == b["approximate"]) & ((a["field_id"] == b["field_id"]) | ~a["approximate"])
    return pairs.take(same & (pairs.separation_arcsec <= MOST_SIGMA * np.maximum(a["reach"], b["reach"])))


def _cells_around(rows: NDArray) -> NDArray[np.int64]:
    cells = [sky.cone_cells(float(r["ra"]), float(r["dec"]), LOCK_MARGIN_DEG, LOCK_ORDER) for r in rows]
    return np.unique(np.concatenate(cells))


def _merge_one(conn: Connection, run_id: int, source_ids: NDArray[np.int64]) -> int:
    """Merge the one seen less often, or later founded, into the other, unless they have changed meanwhile."""
    now = sources.sources_by_id(conn, source_ids.tolist())
    pairs = _near(now)
    a, b = source_ids.tolist()
    if not len(pairs) or sourceids.parted(conn, *source_ids[:, None])[0] or common_frames(conn, a, b):
        return 0
    n = dict(zip(now["source_id"].tolist(), now["n_detections"].tolist()))
    keep, other = sorted((a, b), key=lambda i: (-n[i], _serial(i)))
    note = f"one star: {pairs.separation_arcsec[0]:.2f} arcsec apart, never seen on the same frame"
    return len(merge_sources(conn, run_id, keep, [other], note, most_apart=np.inf))


def _serial(source_id: int) -> int:
    """Return the number in order of founding that a key carries."""
    return source_id & ((1 << SERIAL_BITS) - 1)
