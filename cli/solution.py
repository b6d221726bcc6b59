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
    write_record,
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
def publish(db: Any, solution_id: int, dry_run: bool) -> None:
    """Make N the published solution; the one before it is retired, and can be published again."""
    from photodb.steps import solutions

    if dry_run:
        state = solutions.show_solution(db, solution_id)["state"]
        click.echo(f"solution {solution_id} ({state}) would be published")
        return
    solutions.publish_solution(db, solution_id)
    click.echo(f"solution {solution_id} is published")


@solution.command()
@pass_database
@_number
@yes_option
@dry_run_option
def drop(db: Any, solution_id: int, yes: bool, dry_run: bool) -> None:
    """Delete solution N with its light curves and statistics; never the published one."""
    from photodb.steps import solutions

    if dry_run:
        state = solutions.show_solution(db, solution_id)["state"]
        click.echo(f"solution {solution_id} ({state}) would be dropped")
        return
    solutions.show_solution(db, solution_id)  # there is nothing to ask about one that is not there
    confirm(f"Drop solution {solution_id} with its light curves?", yes)
    solutions.drop_solution(db, solution_id)
    click.echo(f"solution {solution_id} is dropped")
