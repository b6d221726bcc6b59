"""Ids of sources that last: which source an old id means now, which old ids a source answers to, and how it came so."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, text

from photodb.errors import NothingMatched


def living(conn: Connection, source_id: int) -> int:
    """Return the source that a source was merged into, through all merges; itself where it was not.

    Raises
    ------
    NothingMatched : there is no such source.
    """
    query = """
    WITH RECURSIVE chain(source_id, merged_into) AS (
      SELECT source_id, merged_into FROM source WHERE source_id = :id
      UNION SELECT s.source_id, s.merged_into FROM chain c JOIN source s ON s.source_id = c.merged_into
    ) SELECT source_id FROM chain WHERE merged_into < 0
    """
    found = conn.scalar(text(query), {"id": int(source_id)})
    if found is None:
        raise NothingMatched(
            f"there is no source {source_id}; 'photodb cone RA DEC RADIUS_DEG' lists sources"
        )
    return int(found)


def members(conn: Connection, source_ids: Iterable[int]) -> dict[int, int]:
    """Return the sources that were merged into some, these included, with the one of these that each is part of."""
    query = """
    WITH RECURSIVE tree(source_id, root) AS (
      SELECT i, i FROM unnest(CAST(:ids AS bigint[])) AS i
      UNION SELECT s.source_id, t.root FROM tree t JOIN source s ON s.merged_into = t.source_id AND s.merged_into >= 0
    ) SELECT source_id, root FROM tree
    """
    ids = [int(i) for i in source_ids]
    return {int(i): int(root) for i, root in conn.execute(text(query), {"ids": ids})}


def parted(conn: Connection, first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    """Tell which pairs of living sources (ids, (n,) each) somebody split from each other: those stay two."""
    part = members(conn, np.union1d(first, second).tolist())
    query = """
    SELECT source_id, other_source_id FROM source_history
    WHERE kind = 'split' AND source_id = ANY(:ids) AND other_source_id = ANY(:ids)
    """
    rows = conn.execute(text(query), {"ids": list(part)}) if part else ()
    apart = {frozenset((part[int(a)], part[int(b)])) for a, b in rows}
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return np.array([frozenset(pair) in apart for pair in pairs], bool)


def history(conn: Connection, source_ids: Iterable[int] | None = None) -> list[RowMapping]:
    """Return merges and splits of some sources, or of all, oldest first, with the number of rows that each changed."""
    query = """
    SELECT source_history_id, happened_at, kind, source_id, other_source_id, cardinality(detections) AS n_detections,
           cardinality(moved_frames) AS n_moved, cardinality(swapped_frames) AS n_swapped, note, run_id
    FROM source_history WHERE CAST(:ids AS bigint[]) IS NULL OR source_id = ANY(:ids) OR other_source_id = ANY(:ids)
    ORDER BY source_history_id
    """
    ids = None if source_ids is None else [int(i) for i in source_ids]
    return list(conn.execute(text(query), {"ids": ids}).mappings())
