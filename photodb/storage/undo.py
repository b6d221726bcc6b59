"""Take back what a run wrote: its frames with all their rows, its solutions, statistics and catalogues.

What later runs built on stands in the way and is named; nothing is taken from under another run.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from photodb.storage import overlaps, placeundo, sourceundo
from photodb.storage.partitions import drop_solution_partition
from photodb.storage.sourcemeans import renew_or_delete, renew_touched

FRAMES = "(SELECT frame_id FROM frame WHERE run_id = :run)"
SOLUTIONS = "(SELECT solution_id FROM solution WHERE run_id = :run)"
MEASURED = "(SELECT DISTINCT frame_id FROM forced WHERE run_id = :run)"
SOLE = f"""(SELECT d.source_id FROM detection d WHERE d.source_id >= 0 AND d.frame_id IN {FRAMES} AND NOT EXISTS
           (SELECT FROM detection o WHERE o.source_id = d.source_id AND o.frame_id NOT IN {FRAMES}))"""
MASTERS = "(SELECT master_id FROM master WHERE run_id = :run)"
CATALOGUES = "(SELECT reference_catalogue_id FROM reference_catalogue WHERE run_id = :run)"
CAMERAS = "(SELECT camera_id FROM camera WHERE run_id = :run)"

BLOCKERS: tuple[str, ...] = (
    f"""SELECT format('solution %s uses its frames: undo its run %s first', solution_id, s.run_id)
        FROM solution s WHERE s.run_id IS DISTINCT FROM :run AND solution_id IN
        (SELECT solution_id FROM frame_term WHERE frame_id IN {FRAMES})""",
    f"""SELECT format('solution %s has light curves of its measurements: undo its run %s first', s.solution_id,
                      s.run_id)
        FROM solution s WHERE s.run_id IS DISTINCT FROM :run AND s.created_at >
        (SELECT started_at FROM run WHERE run_id = :run) AND solution_id IN
        (SELECT solution_id FROM frame_term WHERE frame_id IN {MEASURED} AND frame_id NOT IN {FRAMES})""",
    f"""SELECT format('solution %s has light curves of sources that only its frames saw: undo its run %s first',
                      s.solution_id, s.run_id)
        FROM solution s WHERE s.run_id IS DISTINCT FROM :run AND solution_id IN
        (SELECT solution_id FROM source_mag WHERE source_id IN {SOLE}) AND solution_id NOT IN
        (SELECT solution_id FROM frame_term WHERE frame_id IN {FRAMES})""",
    f"""SELECT format('frames of run %s are registered against its frames: undo that run first', run_id)
        FROM frame WHERE (reference_frame_id IN {FRAMES} OR via_frame_id IN {FRAMES})
        AND run_id IS DISTINCT FROM :run GROUP BY run_id""",
    f"""SELECT format('master %s is made of its frames: undo its run %s first', m.master_id, m.run_id)
        FROM master m WHERE m.run_id IS DISTINCT FROM :run AND m.status = 'accepted'
        AND EXISTS (SELECT FROM master_frame f WHERE f.master_id = m.master_id AND f.frame_id IN {FRAMES})""",
    f"""SELECT format('frames of run %s were reduced with its masters: undo that run first', f.run_id)
        FROM frame_master m JOIN frame f USING (frame_id) WHERE m.master_id IN {MASTERS}
        AND f.run_id IS DISTINCT FROM :run GROUP BY f.run_id""",
    f"""SELECT format('master %s was built with its masters: undo its run %s first', m.master_id, m.run_id)
        FROM master m WHERE (m.bias_id IN {MASTERS} OR m.dark_id IN {MASTERS})
        AND m.run_id IS DISTINCT FROM :run""",
    f"""SELECT format('run %s computed statistics of its solution: undo that run first', run_id)
        FROM source_stat WHERE solution_id IN {SOLUTIONS} AND run_id IS DISTINCT FROM :run GROUP BY run_id""",
    f"""SELECT format('run %s tied its solution to a standard system: undo that run first', run_id) FROM tie
        WHERE solution_id IN {SOLUTIONS} AND run_id IS DISTINCT FROM :run GROUP BY run_id""",
    f"""SELECT format('frames of run %s were placed with its catalogue: undo that run first', run_id)
        FROM frame WHERE reference_catalogue_id IN {CATALOGUES} AND run_id IS DISTINCT FROM :run
        AND NOT EXISTS (SELECT FROM frame_place p WHERE p.frame_id = frame.frame_id) GROUP BY run_id""",
    f"""SELECT format('frames of run %s were taken with its cameras: undo that run first', run_id)
        FROM frame WHERE camera_id IN {CAMERAS} AND NOT EXISTS {FRAMES} GROUP BY run_id""",
    *sourceundo.BLOCKERS,
    *placeundo.BLOCKERS,
    *placeundo.CATALOGUE_BLOCKERS,
)
"""SELECTs of reasons why a run cannot be undone."""


def lock(conn: Connection) -> None:
    """Keep all who write frames, sources or solutions out until the transaction ends: before anything is read.

    The tables come in the order in which those write them.
    """
    conn.execute(text("LOCK TABLE frame, source, solution IN SHARE ROW EXCLUSIVE MODE"))


def blockers(conn: Connection, run_id: int) -> list[str]:
    """List the reasons why a run cannot be undone; empty if it can. Call `lock` before."""
    return [reason for query in BLOCKERS for reason in conn.scalars(text(query), {"run": run_id})]


def undo(conn: Connection, run_id: int) -> dict[str, int]:
    """Delete what a run wrote, and return how many rows of each table; call `lock` and `blockers` first.

    Sources that keep detections of other runs get their counts, times and mean positions anew; the others go.
    """
    counts = _undo_solutions(conn, run_id)
    counts["source_history"], stale = sourceundo.undo_changes(conn, run_id)
    counts["source"] = renew_or_delete(conn, stale)
    counts = _sum(counts, _undo_places(conn, run_id))
    counts["master"] = _undo_masters(conn, run_id)
    overlaps.forget(conn, run_id)
    counts = _sum(counts, _undo_frames(conn, run_id))
    counts["frame_quality"] = _delete(conn, "frame_quality", "run_id = :run", run_id)
    counts["known_object"] = _undo_known(conn, run_id)
    for table in ("reference_catalogue", "camera", "telescope"):
        counts[table] = _delete(conn, table, f"run_id = :run AND {_unused(table)}", run_id)
    return {table: count for table, count in counts.items() if count}


def _undo_known(conn: Connection, run_id: int) -> int:
    """Delete the known objects of a run with their names, and its catalogue where none of other runs are in it."""
    of = "known_object_id IN (SELECT known_object_id FROM known_object WHERE run_id = :run)"
    _delete(conn, "known_name", of, run_id)
    gone = _delete(conn, "known_object", "run_id = :run", run_id)
    empty = "NOT EXISTS (SELECT FROM known_object o WHERE o.known_catalogue_id = known_catalogue.known_catalogue_id)"
    _delete(conn, "known_catalogue", f"run_id = :run AND {empty}", run_id)
    return gone


def _undo_solutions(conn: Connection, run_id: int) -> dict[str, int]:
    counts = {"source_stat": _delete(conn, "source_stat", "run_id = :run", run_id)}
    counts["tie"] = _delete(conn, "tie", "run_id = :run", run_id)
    counts["light_curve_point"] = 0
    for solution_id in conn.scalars(text(SOLUTIONS[1:-1]), {"run": run_id}).all():
        count = text("SELECT count(*) FROM light_curve_point WHERE solution_id = :s")
        counts["light_curve_point"] += conn.scalar(count, {"s": solution_id}) or 0
        _withdraw(conn, solution_id)
        drop_solution_partition(conn, solution_id)
    counts["solution"] = _delete(conn, "solution", "run_id = :run", run_id)
    return counts


def _withdraw(conn: Connection, solution_id: int) -> None:
    """Take a solution from the readers' sight; the one that was published before it comes back."""
    before = text(
        "SELECT solution_id FROM solution WHERE state = 'retired' AND published_at IS NOT NULL "
        "AND solution_id <> :s ORDER BY published_at DESC LIMIT 1"
    )
    if conn.scalar(text("SELECT published_solution_id FROM archive")) != solution_id:
        return
    earlier = conn.scalar(before, {"s": solution_id})
    conn.execute(text("UPDATE archive SET published_solution_id = :e"), {"e": earlier})
    conn.execute(text("UPDATE solution SET state = 'published' WHERE solution_id = :e"), {"e": earlier})


def _undo_places(conn: Connection, run_id: int) -> dict[str, int]:
    """Give frames their places before the run back, and renew the sources of both places."""
    counts, touched = placeundo.restore(conn, run_id)
    counts["source"] = renew_or_delete(conn, touched)
    return counts


def _sum(*parts: dict[str, int]) -> dict[str, int]:
    """Add counts by table."""
    return {table: sum(part.get(table, 0) for part in parts) for part in parts for table in part}


def _undo_masters(conn: Connection, run_id: int) -> int:
    """Delete the masters of a run, with their pixels, and the rejected ones of its frames."""
    _delete(conn, "frame_master", f"frame_id IN {FRAMES}", run_id)
    rejected = f"SELECT master_id FROM master_frame WHERE frame_id IN {FRAMES}"
    return _delete(
        conn, "master", f"run_id = :run OR (status = 'rejected' AND master_id IN ({rejected}))", run_id
    )


def _undo_frames(conn: Connection, run_id: int) -> dict[str, int]:
    sources = text(
        "CREATE TEMP TABLE touched ON COMMIT DROP AS SELECT DISTINCT cell, source_id FROM detection "
        f"WHERE source_id >= 0 AND frame_id IN {FRAMES}"
    )
    conn.execute(sources, {"run": run_id})
    fields = conn.scalars(
        text(f"SELECT DISTINCT field_id FROM frame WHERE frame_id IN {FRAMES}"), {"run": run_id}
    )
    touched_fields = [field_id for field_id in fields if field_id is not None]
    counts = {}
    counts["forced"] = _undo_forced(conn, run_id)
    for table in ("detection", "astrometric_match", "field_reference", "frame"):
        counts[table] = _delete(conn, table, f"frame_id IN {FRAMES}", run_id)
    gone = "field_id = ANY(:fields) AND NOT EXISTS (SELECT FROM frame f WHERE f.field_id = t.field_id)"
    counts["field"] = conn.execute(
        text(f"DELETE FROM field t WHERE {gone}"), {"fields": touched_fields}
    ).rowcount
    counts["source"] = renew_touched(conn)
    conn.execute(text("DROP TABLE touched"))
    return counts


def _undo_forced(conn: Connection, run_id: int) -> int:
    """Delete what the run measured, and all measurements of its frames and of the sources that go with it.

    Frames that keep measurements count them anew; those that keep none wait for theirs again.
    """
    chosen = f"""
    CREATE TEMP TABLE unforced ON COMMIT DROP AS
    SELECT frame_id, cell, source_id FROM forced WHERE run_id = :run
    UNION SELECT frame_id, cell, source_id FROM forced WHERE frame_id IN {FRAMES}
    UNION SELECT frame_id, cell, source_id FROM forced WHERE source_id IN {SOLE}
    """
    conn.execute(text(chosen), {"run": run_id})
    deleted = conn.execute(
        text(
            "DELETE FROM forced r USING unforced u "
            "WHERE r.frame_id = u.frame_id AND r.cell = u.cell AND r.source_id = u.source_id"
        )
    ).rowcount
    counts = """
    UPDATE frame f SET n_forced = nullif(c.n, 0),
        aperture_corrections = CASE WHEN c.n > 0 THEN f.aperture_corrections END
    FROM (SELECT u.frame_id, count(r.frame_id) AS n FROM (SELECT DISTINCT frame_id FROM unforced) u
          LEFT JOIN forced r USING (frame_id) GROUP BY 1) c WHERE c.frame_id = f.frame_id
    """
    conn.execute(text(counts))
    conn.execute(text("DROP TABLE unforced"))
    return deleted


def _unused(table: str) -> str:
    """Return the condition that nothing points at a row."""
    users = {
        "reference_catalogue": ("frame", "tie"),
        "camera": ("frame", "master", "tie", "field_reference"),
        "telescope": ("camera",),
    }
    key = f"{table}_id"
    return " AND ".join(
        f"NOT EXISTS (SELECT FROM {user} u WHERE u.{key} = {table}.{key})" for user in users[table]
    )


def _delete(conn: Connection, table: str, where: str, run_id: int) -> int:
    return conn.execute(text(f"DELETE FROM {table} WHERE {where}"), {"run": run_id}).rowcount
