"""`photodb astrometry`: places of frames on the sky, found anew, told and drawn."""

from __future__ import annotations

from typing import Any

import click

from photodb.errors import UsageError

from .blind import blind_options
from .common import (
    EXIT_PARTIAL,
    TerminalProgress,
    dry_run_option,
    format_option,
    message,
    pass_database,
    teller,
    write_record,
    write_report,
    write_table,
)
from .frame import selection_options
from .numbers import Finite
from .position import Angle
from .qa import plot_file

MOST_TOLD = 20
"""Frames that could not be placed, told one by one."""


@click.group()
def astrometry() -> None:
    """Place stored frames on the sky anew, and see how well they are placed."""


@astrometry.command()
@pass_database
@click.argument("frames", metavar="[FRAME]...", nargs=-1)
@click.option(
    "--refcat", metavar="NAME", help="By this catalogue only. Default: all by priority, and bright stars."
)
@click.option("--all", "all_frames", is_flag=True, help="Also frames that a catalogue placed already.")
@click.option("--center", nargs=2, type=(Angle("RA"), Angle("DEC")), metavar="RA DEC",
              help="Where frames point (degrees or sexagesimal) of which nothing tells it.")  # fmt: skip
@click.option(
    "--scale", type=Finite(0.0, above=True), metavar="ARCSEC_PER_PIXEL", help="Pixel scale, if not known."
)
@blind_options
@selection_options
@dry_run_option
@format_option()
def solve(
    db: Any, frames: tuple[str, ...], refcat: str | None, all_frames: bool, center: tuple[float, float] | None,
    scale: float | None, blind: str | None, blind_config: str | None, chosen: dict[str, Any], dry_run: bool, fmt: str,
) -> int:  # fmt: skip
    """Place frames of the archive anew, by their stored stars; their files are not needed.

    For frames that were ingested before a catalogue was loaded: all that no loaded catalogue placed, or those of them
    given as ids, ranges of ids or paths. What cannot be placed better keeps its place (exit code 1). 'photodb measure'
    then measures the frames placed anew at the known places of their stars; 'photodb run' and 'photodb ingest' do so
    as well.
    """
    from photodb.steps.astrometry import AstrometrySettings, solve_astrometry
    from photodb.steps.judge import FrameFilter

    settings = AstrometrySettings(refcat, all_frames, center, scale, blind, blind_config, dry_run)
    report = solve_astrometry(db, frames, FrameFilter(**chosen), settings, TerminalProgress())
    write_report(report, fmt, dry_run=dry_run)
    _tell(report, teller(fmt), dry_run)
    return EXIT_PARTIAL if report.failed else 0


def _tell(report: Any, say: Any, dry_run: bool) -> None:
    """Say what was placed and what is to be done next."""
    for frame_id, path, reason in report.failed[:MOST_TOLD]:
        message(f"frame {frame_id} ({path}): {reason}")
    if len(report.failed) > MOST_TOLD:
        message(f"... and {len(report.failed) - MOST_TOLD} more")
    if not report.n_frames:
        say("nothing to do: a catalogue placed all of these frames; --all places them anew")
        return
    kinds = ", ".join(f"{n} by {kind}" for kind, n in sorted(report.kinds.items()))
    say(
        f"{'would place' if dry_run else 'placed'} {report.n_placed} of {report.n_frames} frames"
        + (f" ({kinds})" if kinds else "")
        + (f"; {report.n_unchanged} are where they were" if report.n_unchanged else "")
        + (f"; {len(report.failed)} keep the place that they had" if report.failed else "")
    )
    if dry_run or not report.n_placed:
        return
    if report.n_forced:
        message(f"{report.n_forced} measurements at former places went; next: photodb measure")
    if report.n_in_solution:
        message(
            f"the published solution {report.solution_id} keeps its light curves, made of {report.n_in_solution} of "
            "these frames as they were; then: photodb solve"
        )


@astrometry.command()
@pass_database
@click.argument("frame_name", metavar="FRAME")
@click.option("--matches", is_flag=True, help="The stars that were matched, with their residuals, instead.")
@format_option()
def show(db: Any, frame_name: str, matches: bool, fmt: str) -> None:
    """Show how FRAME (its id, path or end of path) was placed: scale, rotation, residual, stars, catalogue."""
    from photodb.steps.astrometryshow import describe_place, match_table

    if matches:
        write_table(match_table(db, frame_name), fmt)
    else:
        write_record(describe_place(db, frame_name), fmt)


@astrometry.command()
@pass_database
@click.argument("frame_name", metavar="[FRAME]", required=False)
@plot_file
@selection_options
def plot(db: Any, frame_name: str | None, output: str, chosen: dict[str, Any]) -> None:
    """Plot the residuals of FRAME over the frame and on the sky, or of all frames by time and over their area."""
    from photodb.plots import style
    from photodb.plots.astrometry import frame_figure, frames_figure
    from photodb.steps.astrometryshow import frame_residuals, summed_residuals
    from photodb.steps.judge import FrameFilter

    if frame_name is not None:
        if any(value is not None for value in chosen.values()):
            raise UsageError("FRAME and a filter exclude each other: one frame is drawn, or all of a filter")
        found, told = frame_residuals(db, frame_name)
        message(f"wrote {style.save(frame_figure(found, told), output)}: {len(found['x'])} matches")
        return
    frames, points = summed_residuals(db, FrameFilter(**chosen))
    n = len(frames["mjd"])
    message(
        f"wrote {style.save(frames_figure(frames, points), output)}: {n} frames, {len(points['x'])} matches"
    )
