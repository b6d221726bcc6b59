"""Take back the merges and splits of a run, to the last bit, unless something was built on them since."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from photodb.storage import tables
from photodb.storage.sourcemoves import move_detections, move_forced, swap_forced
from photodb.storage.tables import SERIAL_BITS

CHANGES = "(SELECT * FROM source_history WHERE run_id = :run AND kind IN ('merged', 'split'))"
TAKER = "CASE h.kind WHEN 'split' THEN h.source_id ELSE h.other_source_id END"
"""The source that the detections went to."""

BLOCKERS: tuple[str, ...] = (
    """SELECT format('run %s merged or split sources that its frames saw: undo that run first', h.run_id)
       FROM source_history h WHERE h.run_id > :run AND h.kind IN ('merged', 'split') AND EXISTS
       (SELECT FROM detection d JOIN frame f USING (frame_id)
        WHERE d.source_id IN (h.source_id, h.other_source_id) AND f.run_id = :run) GROUP BY h.run_id""",
    f"""SELECT format('run %s merged or split source %s after it: undo that run first', l.run_id, h.other_source_id)
        FROM {CHANGES} h JOIN source_history l ON l.source_history_id > h.source_history_id
        AND l.run_id IS DISTINCT FROM :run AND (l.source_id IN (h.source_id, h.other_source_id)
                                                OR l.other_source_id IN (h.source_id, h.other_source_id))
        GROUP BY l.run_id, h.other_source_id""",
    f"""SELECT format('%s of the detections that it gave to source %s belong to others now, by frames placed anew: '
                      'undo that first', count(*), {TAKER})
        FROM {CHANGES} h CROSS JOIN unnest(h.detections) AS given(id) LEFT JOIN detection d
        ON d.frame_id = given.id >> 20 AND d.detection_id = given.id AND d.cell = (({TAKER}) >> {SERIAL_BITS})::int4
        WHERE d.source_id IS DISTINCT FROM {TAKER}
        AND EXISTS (SELECT FROM frame f WHERE f.frame_id = given.id >> 20) AND NOT EXISTS (SELECT FROM {CHANGES} l
              WHERE l.source_history_id > h.source_history_id AND given.id = ANY(l.detections)) GROUP BY {TAKER}""",
    f"""SELECT format('solution %s has light curves of sources as it left them: undo its run %s first',
                      s.solution_id, s.run_id)
        FROM solution s WHERE s.run_id IS DISTINCT FROM :run AND EXISTS (SELECT FROM {CHANGES} h
        JOIN source_mag m ON m.source_id IN (h.source_id, h.other_source_id)
        WHERE m.solution_id = s.solution_id AND s.created_at > h.happened_at)""",
    f"""SELECT format('run %s measured the source %s that it split, or the new one: undo that run first', r.run_id,
                      h.other_source_id)
        FROM {CHANGES} h JOIN forced r ON r.source_id IN (h.source_id, h.other_source_id)
        WHERE h.kind = 'split' AND (r.source_id = h.source_id) <> (r.frame_id = ANY(h.moved_frames))
        AND r.run_id > :run GROUP BY r.run_id, h.other_source_id""",
    f"""SELECT format('%s detections of later frames belong to source %s, which it split off: merge them back with '
                      '''photodb source merge %s %s''', count(*), h.source_id, h.other_source_id, h.source_id)
        FROM {CHANGES} h JOIN detection d ON d.source_id = h.source_id
        WHERE h.kind = 'split' AND d.detection_id <> ALL(h.detections) GROUP BY h.source_id, h.other_source_id""",
)
"""SELECTs of reasons why a run cannot be undone: what later runs did with sources that it changed, or the reverse."""


def undo_changes(conn: Connection, run_id: int) -> tuple[int, list[int]]:
    """Take back the merges and splits of a run, the last first; call `undo.blockers` before.

    Detections that joined a kept source later stay with it. Returns the number of changes, and the sources whose
    means are to be made anew because of such; the others have their rows as they were.
    """
    query = text(f"SELECT * FROM {CHANGES} h ORDER BY source_history_id DESC")
    rows: dict[int, dict[str, Any]] = {}
    changes = conn.execute(query, {"run": run_id}).mappings().all()
    for change in changes:
        _take_back(conn, change, run_id)
        rows |= {int(row["source_id"]): row for row in change["before"]}
    for change in changes:
        if change["kind"] == "split":
            conn.execute(text("DELETE FROM source WHERE source_id = :id"), {"id": change["source_id"]})
            rows.pop(change["source_id"], None)
    stale = [source_id for source_id, row in rows.items() if not _restore(conn, source_id, row)]
    conn.execute(
        text(
            f"DELETE FROM source_history WHERE source_history_id IN (SELECT source_history_id FROM {CHANGES} h)"
        ),
        {"run": run_id},
    )
    return len(changes), stale


def _take_back(conn: Connection, change: RowMapping, run_id: int) -> None:
    """Give the rows of one change back to the source that they came from."""
    came, went = change["source_id"], change["other_source_id"]
    if change["kind"] == "split":
        came, went = went, came
    move_detections(conn, went, came, change["detections"])
    since = (
        "SELECT frame_id FROM forced WHERE source_id IN (:a, :b) AND run_id > :run"  # measured anew: theirs
    )
    new = set(conn.scalars(text(since), {"a": came, "b": went, "run": run_id}))
    move_forced(conn, went, came, [f for f in change["moved_frames"] if f not in new])
    swap_forced(conn, came, went, [f for f in change["swapped_frames"] if f not in new])


def _restore(conn: Connection, source_id: int, row: dict[str, Any]) -> bool:
    """Write the row of a source as it was; False, with all but its means, if its detections are not those of then."""
    names = ", ".join(c.name for c in tables.source.columns if c.name not in ("cell", "source_id"))
    statement = f"""
    UPDATE source s SET ({names}) = (SELECT {names} FROM jsonb_populate_record(s, CAST(:row AS jsonb)))
    WHERE source_id = :id RETURNING n_detections = (SELECT count(*) FROM detection d WHERE d.source_id = :id)
    """
    return bool(conn.scalar(text(statement), {"id": source_id, "row": json.dumps(row)}))
