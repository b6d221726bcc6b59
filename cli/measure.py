"""`photodb measure`: sources at their known places."""

from __future__ import annotations

from typing import Any

import click

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
from .frame import filter_options
from .ingest import tell_not_measured


@click.command()
@pass_database
@click.argument("frames", metavar="[FRAME]...", nargs=-1)
@click.option(
    "--missing",
    is_flag=True,
    help="On frames measured before, too: the sources that have no measurement there.",
)
@filter_options
@click.option(
    "--min-detections",
    type=click.IntRange(min=1),
    help="Only sources seen so often, or on the frame itself. Default: 2; with --missing 1.",
)
@click.option("--jobs", type=click.IntRange(min=0), help="Worker processes; default: one a core. 0: none.")
@dry_run_option
@format_option()
def measure(
    db: Any, frames: tuple[str, ...], missing: bool, camera: str | None, band: str | None, night: int | None,
    min_detections: int | None, jobs: int | None, dry_run: bool, fmt: str,
) -> int:  # fmt: skip
    """Measure every source that a frame covers at its known place, detected there or not.

    `photodb ingest` does so with its frames. This does the frames that still wait for it (all, or those given as ids,
    ranges of ids or paths); with --missing also, on earlier frames, the sources that came later. Exit code 1 tells
    that some frames could not be measured: their file is gone, or changed.
    """
    from photodb.steps.judge import FrameFilter
    from photodb.steps.measure import MeasureSettings
    from photodb.steps.measure import measure as step

    settings = MeasureSettings(missing, min_detections, jobs, dry_run)
    report = step(
        db, frames, FrameFilter(camera=camera, band=band, night=night), settings, TerminalProgress()
    )
    write_report(report, fmt, dry_run=dry_run)
    say = teller(fmt)
    if dry_run:
        say(f"would measure {report.n_forced} sources on {report.n_frames} frames")
        return 0
    tell_not_measured(report.failed)
    if not report.n_frames:
        say("nothing to do: every source is measured on every frame asked for")
    else:
        say(f"{report.n_forced} sources measured on {report.n_measured} frames, in {report.seconds:.1f} s")
        if report.n_forced:
            message("next: photodb solve")
    return EXIT_PARTIAL if report.failed else 0
