"""The table `run`: every command that wrote."""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

import photodb
from photodb.errors import NothingMatched
from photodb.storage.tables import run

CLOCKS_DIFFER = 60.0
"""Seconds by which the clocks of the database and of this machine may differ."""

STALE_HOURS = 24
"""A run of another machine that is still 'running' after this time was probably killed."""


def start_run(
    conn: Connection, command: str, arguments: Mapping[str, Any], settings: Mapping[str, Any]
) -> int:
    """Insert the row of a run that begins, and return its key."""
    values = {
        "command": command,
        "arguments": dict(arguments),
        "settings": dict(settings),
        "code_version": photodb.__version__,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "outcome": "running",
    }
    run_id: int = conn.execute(run.insert().values(values).returning(run.c.run_id)).scalar_one()
    return run_id


def finish_run(conn: Connection, run_id: int, outcome: str, report: Mapping[str, Any]) -> None:
    """Close the row of a run with its outcome and report."""
    values = {"outcome": outcome, "report": dict(report), "finished_at": func.clock_timestamp()}
    conn.execute(run.update().where(run.c.run_id == run_id).values(values))


def get_run(conn: Connection, run_id: int) -> RowMapping:
    """Return the row of a run; NothingMatched if there is none."""
    row = conn.execute(select(run).where(run.c.run_id == run_id)).mappings().first()
    if row is None:
        raise NothingMatched(f"there is no run {run_id}; see 'photodb runs list'")
    return row


def list_runs(conn: Connection, command: str | None = None, limit: int | None = None) -> list[RowMapping]:
    """List the runs, newest first, of one command or of all."""
    query = select(run).order_by(run.c.run_id.desc())
    if command is not None:
        query = query.where(run.c.command == command)
    return list(conn.execute(query.limit(limit)).mappings())


def dead_runs(conn: Connection) -> list[RowMapping]:
    """List the runs that say 'running' but are not: dead here, or of another machine and older than a day."""
    query = select(run).where(run.c.outcome == "running").order_by(run.c.run_id)
    return [row for row in conn.execute(query).mappings() if not lives(row)]


def close_dead_runs(conn: Connection) -> int:
    """Close the runs of this machine whose process was killed, as 'interrupted'; return how many."""
    dead = [row for row in dead_runs(conn) if row["host"] == socket.gethostname()]
    for row in dead:
        finish_run(conn, row["run_id"], "interrupted", {**row["report"], "error": "its process was killed"})
    return len(dead)


def lives(row: RowMapping) -> bool:
    """Tell whether a running run may still be at work."""
    if row["host"] == socket.gethostname():
        return _process_is_older(row["pid"], row["started_at"])
    age = datetime.datetime.now(datetime.UTC) - row["started_at"]
    return bool(age < datetime.timedelta(hours=STALE_HOURS))


def _process_is_older(pid: int, moment: datetime.datetime) -> bool:
    """Tell whether a process lives and began before a moment; a later one only has the same number."""
    if not Path("/proc/self/stat").exists():
        return _signal_reaches(pid)
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except OSError:
        return False
    began = int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return began < moment.timestamp() + CLOCKS_DIFFER


def _signal_reaches(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
