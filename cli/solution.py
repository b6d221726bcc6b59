"""photodb solution: list, show, compare, publish and drop solutions."""

from __future__ import annotations

from typing import Any

import click

from .common import (
    POSITIVE,
    confirm,
    dry_run_option,
    format_option,
    pass_database,
    teller,
    write_record,
    write_report,
    write_table,
    yes_option,
)

_number = click.argument("solution_id", type=POSITIVE, metavar="N")


@click.group()
def solution() -> None:
    """List, show, compare, publish and drop photometric solutions."""


@solution.command("list")
@pass_database
@format_option()
def list_(db: Any, fmt: str) -> None:
    """List the solutions, newest first."""
    from photodb.steps import solutions

    write_table(solutions.list_solutions(db), fmt, columns=solutions.LISTED)


@solution.command()
@pass_database
@click.argument("solution_id", type=POSITIVE, metavar="[N]", required=False)
@format_option()
def show(db: Any, solution_id: int | None, fmt: str) -> None:
    """Show solution N, the published one by default: counts, chi2, components, error floors, rejections."""
    from photodb.steps import solutions

    write_record(solutions.show_solution(db, solution_id), fmt)


@solution.command()
@pass_database
@click.argument("a", type=POSITIVE, metavar="A")
@click.argument("b", type=POSITIVE, metavar="B")
@format_option()
def diff(db: Any, a: int, b: int, fmt: str) -> None:
    """Compare solutions A and B on the frames and sources that both have; differences are B minus A."""
    from photodb.steps import solutions

    write_record(solutions.diff_solutions(db, a, b), fmt)


@solution.command()
@pass_database
@_number
@dry_run_option
@format_option()
def publish(db: Any, solution_id: int, dry_run: bool, fmt: str) -> None:
    """Make N the published solution; the one before it is retired, and can be published again."""
    from photodb.steps import solutions

    before = solutions.show_solution(db, solution_id)["state"]
    if not dry_run:
        solutions.publish_solution(db, solution_id)
    _tell(solution_id, before, "published", dry_run, fmt)


@solution.command()
@pass_database
@_number
@yes_option
@dry_run_option
@format_option()
def drop(db: Any, solution_id: int, yes: bool, dry_run: bool, fmt: str) -> None:
    """Delete solution N with its light curves and statistics; never the published one."""
    from photodb.steps import solutions

    before = solutions.show_solution(db, solution_id)["state"]
    if not dry_run:
        confirm(f"Drop solution {solution_id} with its light curves?", yes)
        solutions.drop_solution(db, solution_id)
    _tell(solution_id, before, "dropped", dry_run, fmt)


def _tell(solution_id: int, before: str, now: str, dry_run: bool, fmt: str) -> None:
    """Say what became of a solution."""
    write_report({"solution_id": solution_id, "before": before, "now": now, "dry_run": dry_run}, fmt)
    teller(fmt)(
        f"solution {solution_id} ({before}) would be {now}" if dry_run else f"solution {solution_id} is {now}"
    )
