"""Rows that go from one source to another: detections, astrometric matches, forced measurements.

The cell leads the keys, and spreads the rows over machines: a row whose cell changes is deleted and written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, text

from photodb.storage import tables
from photodb.storage.tables import SERIAL_BITS

NUMBER_BITS = 20
"""A `detection_id` is `frame_id << NUMBER_BITS | number on the frame`."""


def move_detections(conn: Connection, source_id: int, to: int, detection_ids: Sequence[int]) -> list[int]:
    """Give those of the detections that belong to a source to another one; return them."""
    own = """
    SELECT detection_id FROM detection WHERE source_id = :source AND detection_id = ANY(CAST(:ids AS bigint[]))
    ORDER BY 1
    """
    moved = [int(i) for i in conn.scalars(text(own), {"source": source_id, "ids": list(detection_ids)})]
    where = "source_id = :source AND detection_id = ANY(CAST(:ids AS bigint[]))"
    values = {"source": source_id, "ids": moved, "cell": to >> SERIAL_BITS, "to": to}
    _rewrite(conn, tables.detection, where, {"cell": ":cell", "source_id": ":to"}, values)
    if source_id >> SERIAL_BITS != to >> SERIAL_BITS:
        matches = f"""cell = :old AND (frame_id, detection_id) IN
                      (SELECT id >> {NUMBER_BITS}, id FROM unnest(CAST(:ids AS bigint[])) AS given(id))"""
        old = {"old": source_id >> SERIAL_BITS}
        _rewrite(conn, tables.astrometric_match, matches, {"cell": ":cell"}, values | old)
    return moved


def move_forced(conn: Connection, source_id: int, to: int, frames: Iterable[int]) -> None:
    """Give the forced measurements of a source on some frames to another one, which has none there."""
    where = "source_id = :source AND frame_id = ANY(CAST(:frames AS bigint[]))"
    values = {"source": source_id, "to": to, "cell": to >> SERIAL_BITS, "frames": list(frames)}
    _rewrite(conn, tables.forced, where, {"cell": ":cell", "source_id": ":to"}, values)


def swap_forced(conn: Connection, one: int, other: int, frames: Iterable[int]) -> None:
    """Exchange the forced measurements of two sources on some frames."""
    where = "source_id IN (:one, :other) AND frame_id = ANY(CAST(:frames AS bigint[]))"
    changed = {
        "cell": "CASE source_id WHEN :one THEN CAST(:other_cell AS int4) ELSE CAST(:one_cell AS int4) END",
        "source_id": "CASE source_id WHEN :one THEN CAST(:other AS int8) ELSE CAST(:one AS int8) END",
    }
    values = {"one": one, "other": other, "one_cell": one >> SERIAL_BITS, "other_cell": other >> SERIAL_BITS}
    _rewrite(conn, tables.forced, where, changed, {**values, "frames": list(frames)})


def _rewrite(conn: Connection, table: Table, where: str, changed: dict[str, str], values: dict) -> None:
    """Delete rows and write them again with some columns changed (SQL by name)."""
    names = [f'"{column.name}"' for column in table.columns]
    given = [changed.get(column.name, f'"{column.name}"') for column in table.columns]
    # the sort takes all rows out before the first comes back, so that two may exchange their keys
    statement = f"""
    WITH gone AS (DELETE FROM {table.name} WHERE {where} RETURNING *)
    INSERT INTO {table.name} ({", ".join(names)}) SELECT {", ".join(given)} FROM gone ORDER BY gone.frame_id
    """
    conn.execute(text(statement), values)
