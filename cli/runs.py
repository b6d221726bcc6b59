"""photodb runs: what was done, and taking it back."""

from __future__ import annotations

from typing import Any

import click

from .common import (
    POSITIVE,
    confirm,
    dry_run_option,
    format_option,
    message,
    pass_database,
    write_record,
    write_table,
    yes_option,
)

COLUMNS = ("run_id", "command", "outcome", "started_at", "finished_at", "code_version", "host", "pid")


@click.group()
def runs() -> None:
    """List, show and undo what was done."""


@runs.command("list")
@click.option("--command", help="Only runs of this command.")
@click.option("--limit", type=POSITIVE, default=100, show_default=True)
@format_option()
@pass_database
def list_(db: Any, command: str | None, limit: int, fmt: str) -> None:
    """List the runs, newest first."""
    from photodb.steps.runs import list_runs

    rows = [{name: row[name] for name in COLUMNS} for row in list_runs(db, command, limit)]
    write_table(rows, fmt, columns=COLUMNS)


@runs.command()
@click.argument("run_id", type=POSITIVE)
@format_option()
@pass_database
def show(db: Any, run_id: int, fmt: str) -> None:
    """Show a run: its arguments, settings, times, outcome and report."""
    from photodb.steps.runs import show_run

    write_record(show_run(db, run_id), fmt)


@runs.command()
@click.argument("run_id", type=POSITIVE)
@dry_run_option
@yes_option
@format_option()
@pass_database
def undo(db: Any, run_id: int, dry_run: bool, yes: bool, fmt: str) -> None:
    """Delete what a run wrote: frames with all their rows, solutions, statistics, catalogues.

    Refused where later runs built on it: undo those first.
    """
    from photodb.steps.runs import undo_run

    counts = undo_run(db, run_id, dry_run=True)
    if not dry_run:
        told = ", ".join(f"{count} of {table}" for table, count in counts.items()) or "nothing"
        confirm(f"Run {run_id} will be undone; rows to delete: {told}. Go on?", yes)
        counts = undo_run(db, run_id)
    write_table([{"table": t, "rows": n} for t, n in counts.items()], fmt, columns=["table", "rows"])
    message(f"run {run_id} " + ("would be undone" if dry_run else "is undone"))
