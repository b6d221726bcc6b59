"""Take back what a run wrote: its frames with all their rows, its solutions, statistics and catalogues.

What later runs built on stands in the way and is named; nothing is taken from under another run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.sky import healpix29, unit_vectors
from photodb.storage import sourceundo
from photodb.storage.bulk import copy_in, copy_out
from photodb.storage.partitions import drop_solution_partition

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
        GROUP BY run_id""",
    f"""SELECT format('frames of run %s were taken with its cameras: undo that run first', run_id)
        FROM frame WHERE camera_id IN {CAMERAS} AND NOT EXISTS {FRAMES} GROUP BY run_id""",
    *sourceundo.BLOCKERS,
)
"""SELECTs of reasons why a run cannot be undone."""

SOURCE_POSITION = [("cell", "i4"), ("source_id", "i8"), ("healpix", "i8"), ("ra", "f8"), ("dec", "f8")]
SOURCE_POSITION += [("ra_scatter", "f4"), ("dec_scatter", "f4"), ("n_detections", "i4")]
SOURCE_POSITION += [("first_mjd", "f8"), ("last_mjd", "f8")]


def blockers(conn: Connection, run_id: int) -> list[str]:
    """List the reasons why a run cannot be undone; empty if it can."""
    return [reason for query in BLOCKERS for reason in conn.scalars(text(query), {"run": run_id})]


def undo(conn: Connection, run_id: int) -> dict[str, int]:
    """Delete what a run wrote, and return how many rows of each table; call `blockers` first.

    Sources that keep detections of other runs get their counts, times and mean positions anew; the others go.
    """
    conn.execute(text("LOCK TABLE source, frame, solution IN SHARE ROW EXCLUSIVE MODE"))
    counts = _undo_solutions(conn, run_id)
    counts["source_history"], stale = sourceundo.undo_changes(conn, run_id)
    renew_sources(conn, stale)
    counts["master"] = _undo_masters(conn, run_id)
    counts |= _undo_frames(conn, run_id)
    counts["frame_quality"] = _delete(conn, "frame_quality", "run_id = :run", run_id)
    for table in ("reference_catalogue", "camera", "telescope"):
        counts[table] = _delete(conn, table, f"run_id = :run AND {_unused(table)}", run_id)
    return {table: count for table, count in counts.items() if count}


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
    counts["source"] = _renew_sources(conn)
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


def _renew_sources(conn: Connection) -> int:
    """Delete the touched sources that are left without detections, renew the others; return how many went."""
    orphans = """
    DELETE FROM source s USING touched t WHERE s.cell = t.cell AND s.source_id = t.source_id
    AND NOT EXISTS (SELECT FROM detection d WHERE d.source_id = s.source_id)
    """
    deleted = conn.execute(text(orphans)).rowcount
    _renew_touched(conn)
    return deleted


def renew_sources(conn: Connection, source_ids: Sequence[int]) -> None:
    """Make counts, times and mean positions of sources anew from their detections."""
    if not source_ids:
        return
    touched = text(
        "CREATE TEMP TABLE touched ON COMMIT DROP AS SELECT cell, source_id FROM source WHERE source_id = ANY(:ids)"
    )
    conn.execute(touched, {"ids": list(source_ids)})
    _renew_touched(conn)
    conn.execute(text("DROP TABLE touched"))


def _renew_touched(conn: Connection) -> None:
    rows = copy_out(
        conn,
        """SELECT d.cell, d.source_id, d.ra, d.dec, f.mjd FROM detection d JOIN touched t USING (source_id)
           JOIN frame f USING (frame_id) ORDER BY d.source_id, f.mjd, d.detection_id""",
        [("cell", "i4"), ("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("mjd", "f8")],
    )
    if len(rows):
        _write_positions(conn, _positions(rows))


def _positions(rows: NDArray) -> NDArray:
    """Return the mean position, scatter, count and times of each source; rows are grouped by source.

    The mean is that of the unit vectors of the finite positions.
    """
    starts = np.flatnonzero(np.r_[True, rows["source_id"][1:] != rows["source_id"][:-1]])
    count = np.diff(np.r_[starts, len(rows)])
    known = np.isfinite(rows["ra"]) & np.isfinite(rows["dec"])
    vectors = np.where(
        known[:, None], unit_vectors(np.nan_to_num(rows["ra"]), np.nan_to_num(rows["dec"])), 0.0
    )
    mean = np.add.reduceat(vectors, starts)
    weight = np.maximum(np.add.reduceat(known.astype(float), starts), 1)
    new = np.zeros(len(starts), SOURCE_POSITION)
    new["cell"], new["source_id"] = rows["cell"][starts], rows["source_id"][starts]
    ra = np.degrees(np.arctan2(mean[:, 1], mean[:, 0])) % 360.0
    new["ra"] = np.where(ra < 360.0, ra, 0.0)  # the remainder of a tiny negative number is 360
    new["dec"] = np.degrees(np.arctan2(mean[:, 2], np.hypot(mean[:, 0], mean[:, 1])))
    new["healpix"] = healpix29(new["ra"], new["dec"])
    d_ra = (rows["ra"] - np.repeat(new["ra"], count) + 180.0) % 360.0 - 180.0
    d_ra = np.nan_to_num(d_ra * np.cos(np.radians(rows["dec"])) * 3600.0)
    d_dec = np.nan_to_num((rows["dec"] - np.repeat(new["dec"], count)) * 3600.0)
    new["ra_scatter"] = np.sqrt(np.add.reduceat(d_ra**2, starts) / weight)
    new["dec_scatter"] = np.sqrt(np.add.reduceat(d_dec**2, starts) / weight)
    new["n_detections"] = count
    new["first_mjd"] = np.minimum.reduceat(rows["mjd"], starts)
    new["last_mjd"] = np.maximum.reduceat(rows["mjd"], starts)
    return new


def _write_positions(conn: Connection, new: NDArray) -> None:
    names = [name for name in new.dtype.names or () if name not in ("cell", "source_id")]
    conn.execute(
        text(
            "CREATE TEMP TABLE renewed ON COMMIT DROP AS "
            f"SELECT cell, source_id, {', '.join(names)} FROM source LIMIT 0"
        )
    )
    copy_in(conn, "renewed", new)
    values = ", ".join(f"{name} = n.{name}" for name in names)
    conn.execute(
        text(
            f"UPDATE source s SET {values} FROM renewed n WHERE s.cell = n.cell AND s.source_id = n.source_id"
        )
    )
    conn.execute(text("DROP TABLE renewed"))


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
