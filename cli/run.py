"""photodb run: from frames to light curves with defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .areas import AreaCommand
from .common import (
    EXIT_PARTIAL,
    TerminalProgress,
    dry_run_option,
    format_option,
    message,
    pass_database,
    teller,
    write_report,
)
from .ingest import frame_options, tell_rejected


@click.command(cls=AreaCommand)
@pass_database
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@frame_options
@dry_run_option
@format_option()
@click.pass_context
def run(
    ctx: click.Context,
    db: Any,
    paths: tuple[str, ...],
    camera: str | None,
    jobs: int | None,
    center: tuple[float, float] | None,
    scale: float | None,
    max_stars: int,
    psf: str | None,
    list_maps: tuple[str, ...],
    blind: str | None,
    blind_config: str | None,
    retry: bool,
    box: Any,
    masks: Any,
    dry_run: bool,
    fmt: str,
) -> None:
    """Do everything: ingest the frames of PATHS (files or folders), solve, compute statistics.

    Run it again when there are new frames: what is done is not done twice.
    """
    from photodb.steps.ingest import IngestSettings
    from photodb.steps.run import RunSettings
    from photodb.steps.run import run as run_steps

    chosen = IngestSettings(
        camera=camera,
        jobs=jobs,
        center=center,
        scale=scale,
        max_stars=max_stars,
        psf=psf,
        list_maps=list_maps,
        blind=blind,
        blind_config=blind_config,
        retry=retry,
        box=box,
        masks=masks,
        dry_run=dry_run,
    )
    report = run_steps(db, paths, RunSettings(ingest=chosen), TerminalProgress())
    write_report(report, fmt, dry_run=dry_run)
    if dry_run:
        _tell_plan(report)
        return
    _tell(report, teller(fmt))
    if report.ingest.n_rejected or report.why_not_solved:
        ctx.exit(EXIT_PARTIAL)


def _tell_plan(report: Any) -> None:
    """Say what would be done."""
    ingest, left = report.ingest, report.left
    solve = ingest.n_new or left.solve
    message(f"would ingest {ingest.n_new} of {ingest.n_files} files ({ingest.n_known} are in the archive)")
    message("would then solve and compute statistics" if solve else "would not solve again")
    message("nothing was written")


def _tell(report: Any, say: Callable[[str], None]) -> None:
    """Print what was rejected, the summary, and which commands come next."""
    tell_rejected(report.ingest, "run")
    if report.idle:
        say(f"nothing new: all {report.ingest.n_known} files are in the archive, solved and searched")
    else:
        _summary(report, say)
    _next(report)


def _summary(report: Any, say: Callable[[str], None]) -> None:
    ingest = report.ingest
    told = f"{ingest.n_new} new frames: {ingest.n_accepted} accepted, {ingest.n_rejected} rejected"
    told += f", {ingest.n_calibration} calibration" if ingest.n_calibration else ""
    told += f"; {ingest.n_masters} masters built" if ingest.n_masters else ""
    told += f"; {ingest.n_known} known before" if ingest.n_known else ""
    say(told)
    if report.solve is not None:
        say(_solved(report.solve))
    if report.why_not_solved:
        message(f"not solved: {report.why_not_solved}")
    say("time: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items()))


def _solved(solve: Any) -> str:
    """Tell the solution in one line."""
    told = f"solution {solve.solution_id}: {solve.n_frames} frames, {solve.n_sources} sources, "
    return told + f"{solve.n_measurements} measurements, chi2 per degree of freedom {solve.chi2_dof:.2f}"


def _next(report: Any) -> None:
    if report.left is None or report.why_not_solved:
        message("next: photodb frame list --status rejected")
        return
    for text in (
        "photodb variables                    candidates of variable stars, best first",
        "photodb lightcurve RA DEC --plot lc.png",
        "photodb plot noise -o noise.png",
        "photodb qa plot -o quality.png       then: photodb qa apply --min-range X --dry-run",
    ):
        message(f"next: {text}")
    components = report.solve.components if report.solve is not None else ()
    if any(len(component["telescopes"]) > 1 for component in components):
        message("next: photodb audit                        telescopes against each other on common sources")
