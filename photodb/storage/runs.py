"""The table `run`: every command that wrote."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

import photodb
from photodb.errors import NothingMatched
from photodb.storage.tables import run

OUTCOMES = ("running", "done", "partial", "failed", "interrupted", "undone")


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
