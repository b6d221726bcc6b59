"""photodb shift: the shifts of frames against their reference frame, seen and judged."""

from __future__ import annotations

from typing import Any

import click

from .common import dry_run_option, format_option, message, pass_database
from .frame import filter_options, tell
from .qa import plot_file


@click.group()
def shift() -> None:
    """See the shifts of frames, and reject wrong ones."""


@shift.command()
@pass_database
@plot_file
@filter_options
@click.option("--max-rms", type=float, metavar="PX", help="Draw this limit of the residual.")
def plot(
    db: Any, output: str, camera: str | None, band: str | None, night: int | None, max_rms: float | None
) -> None:
    """Plot shift in x and y, rotation and residual of each frame by time."""
    from photodb.plots import style
    from photodb.plots.shifts import shifts_figure
    from photodb.steps.judge import SHIFT_COLUMNS, FrameFilter, ShiftLimits, frame_columns

    ShiftLimits(max_rms=max_rms)  # refuses what is no limit
    frames = frame_columns(db, FrameFilter(None, camera, band, night, "science"), SHIFT_COLUMNS)
    message(f"wrote {style.save(shifts_figure(frames, max_rms), output)}: {len(frames['mjd'])} frames")


@shift.command()
@pass_database
@click.argument("frames", metavar="[FRAME]...", nargs=-1)
@click.option("--max-shift", type=float, metavar="PX", help="Reject frames that moved farther.")
@click.option("--max-rms", type=float, metavar="PX", help="Reject frames with a larger residual.")
@click.option("--max-rotation", type=float, metavar="DEG", help="Reject frames that turned more.")
@filter_options
@dry_run_option
@format_option()
def reject(
    db: Any,
    frames: tuple[str, ...],
    max_shift: float | None,
    max_rms: float | None,
    max_rotation: float | None,
    camera: str | None,
    band: str | None,
    night: int | None,
    dry_run: bool,
    fmt: str,
) -> None:
    """Reject FRAMES whose shift is wrong, or all that break a limit.

    'photodb frame restore' takes it back.
    """
    from photodb.steps import judge

    if frames:
        reasons = dict.fromkeys(judge.find_frames(db, frames), "wrong shift, by hand")
    else:
        limits = judge.ShiftLimits(max_shift, max_rms, max_rotation)
        chosen = judge.FrameFilter(camera=camera, band=band, night=night)
        reasons = judge.beyond_shift_limits(db, chosen, limits)
    tell(judge.reject(db, reasons, "shift", "shift reject", dry_run), fmt)
