"""Partitions of the bulk tables: what frames hold by range of frames, light-curve points by solution.

A new partition is made as a plain table and attached, which lets readers and writers of the others go on.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

FRAME_TABLES = ("detection", "astrometric_match", "forced")
SOLUTION_TABLE = "light_curve_point"
PARTITION_LOCK = 0x7064625F70617274  # 'pdb_part'


def ensure_partitions(conn: Connection, frame_id: int) -> None:
    """Make the partitions that take the rows of a frame, if missing; two at once wait for each other."""
    number, start, stop = _frame_range(conn, int(frame_id))
    missing = [table for table in FRAME_TABLES if not _exists(conn, f"{table}_p{number}")]
    if not missing:
        return
    _lock(conn)
    for table in missing:
        if not _exists(conn, f"{table}_p{number}"):
            values = f"FROM ({start}) TO ({stop})"
            check = f"frame_id >= {start} AND frame_id < {stop}"
            _attach(conn, table, f"{table}_p{number}", values, check)


def create_solution_partition(conn: Connection, solution_id: int) -> str:
    """Make the partition of a solution's light curves, if it is not there, and return its name."""
    name = solution_partition(solution_id)
    if not _exists(conn, name):
        _lock(conn)
        if not _exists(conn, name):
            values = f"IN ({int(solution_id)})"
            _attach(conn, SOLUTION_TABLE, name, values, f"solution_id = {int(solution_id)}")
    return name


def drop_solution_partition(conn: Connection, solution_id: int) -> None:
    """Drop the light curves of a solution; nothing happens if there are none."""
    conn.execute(text(f"DROP TABLE IF EXISTS {solution_partition(solution_id)}"))


def solution_partition(solution_id: int) -> str:
    """Return the name of the partition of a solution's light curves."""
    return f"{SOLUTION_TABLE}_s{int(solution_id)}"


def partitions(conn: Connection, table: str) -> list[str]:
    """List the partitions of a table, by name."""
    query = text(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent = CAST(:table AS regclass) ORDER BY 1"
    )
    return list(conn.scalars(query, {"table": table}))


def _frame_range(conn: Connection, frame_id: int) -> tuple[int, int, int]:
    """Return number, first frame and first frame after of the partition of a frame."""
    size: int = conn.scalar(text("SELECT frames_per_partition FROM archive"))  # type: ignore[assignment]
    number = frame_id // size
    return number, number * size, (number + 1) * size


def _exists(conn: Connection, name: str) -> bool:
    """Tell whether a partition exists and is attached, as the newest commits have it."""
    query = text("SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)")
    return bool(conn.scalar(query, {"name": name}))


def _attach(conn: Connection, parent: str, name: str, values: str, check: str) -> None:
    conn.execute(
        text(f"CREATE TABLE {name} (LIKE {parent} INCLUDING ALL, CONSTRAINT {name}_range CHECK ({check}))")
    )
    conn.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {values}"))
    conn.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT {name}_range"))


def _lock(conn: Connection) -> None:
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})
