"""photodb stats: noise, flags and variability indices."""

from __future__ import annotations

from typing import Any

import click

from .common import (
    POSITIVE,
    TerminalProgress,
    dry_run_option,
    format_option,
    pass_database,
    teller,
    write_report,
)


@click.command()
@pass_database
@click.option(
    "--solution",
    "solution_id",
    type=POSITIVE,
    metavar="N",
    help="Of this solution; else of the published one.",
)
@click.option(
    "--min-epochs",
    type=click.IntRange(3),
    default=6,
    show_default=True,
    help="Good points a star needs to be judged.",
)
@dry_run_option
@format_option()
def stats(db: Any, solution_id: int | None, min_epochs: int, dry_run: bool, fmt: str) -> None:
    """Compute noise, quality flag, variability indices and candidates of every source; replaces earlier ones."""
    from photodb.steps.stats import StatsSettings
    from photodb.steps.stats import stats as stats_step

    settings = StatsSettings(min_epochs=min_epochs)
    report = stats_step(db, settings, TerminalProgress(), solution_id, dry_run)
    flags = ", ".join(f"{flag}: {n}" for flag, n in sorted(report.quality_flags.items()))
    write_report(report, fmt, dry_run=dry_run)
    name = "dry run, nothing was written: solution" if dry_run else "solution"
    teller(fmt)(
        f"{name} {report.solution_id}: {report.n_sources} sources, {report.n_candidates} candidates, "
        f"{report.n_reference_stars} reference stars; stars by quality flag {flags}"
    )
