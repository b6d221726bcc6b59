"""photodb shift: the shifts of frames against their reference frame, seen and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .common import dry_run_option, format_option, message, pass_database, write_report
from .frame import selection_options, tell
from .numbers import Finite
from .qa import plot_file

LIMITS = (
    ("max_shift", "PX", "Most shift against the reference frame."),
    ("max_jump", "PX", "Most by which a shift differs from those of the frames before and after it."),
    ("max_rms", "PX", "Most residual of the registration."),
    ("max_rotation", "DEG", "Most rotation, from the nearest multiple of 180 degrees."),
    ("min_stars", "N", "Fewest stars of the registration."),
)


def limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each limit of the registration, passed by its name."""
    for name, unit, text in reversed(LIMITS):
        kind = click.INT if name == "min_stars" else Finite()
        option = "--" + name.replace("_", "-")
        function = click.option(option, name, type=kind, metavar=unit, help=text)(function)
    return function


@click.group()
def shift() -> None:
    """See the shifts of frames, and reject wrong ones."""


@shift.command()
@pass_database
@plot_file
@limit_options
@click.option("--suggest", is_flag=True, help="Draw the limits that the frames suggest, where none is given.")
@selection_options
def plot(db: Any, output: str, suggest: bool, chosen: dict[str, Any], **limits: Any) -> None:
    """Plot shift in x and y, rotation and residual of each frame by time, with the limits."""
    from photodb.plots import style
    from photodb.plots.shifts import shifts_figure
    from photodb.steps.judge import FrameFilter
    from photodb.steps.limits import SHIFT, ShiftLimits, shift_columns
    from photodb.steps.suggest import suggested_limits

    given = ShiftLimits(**limits)  # refuses what is no limit
    frames = shift_columns(db, FrameFilter(**chosen))
    limits = suggested_limits(frames, given, SHIFT) if suggest else limits
    message(f"wrote {style.save(shifts_figure(frames, limits), output)}: {len(frames['mjd'])} frames")


@shift.command()
@pass_database
@click.argument("frames", metavar="[FRAME]...", nargs=-1)
@limit_options
@click.option("--auto", is_flag=True, help="Apply the limits that the frames suggest, where none is given.")
@selection_options
@dry_run_option
@format_option()
def reject(
    db: Any,
    frames: tuple[str, ...],
    auto: bool,
    chosen: dict[str, Any],
    dry_run: bool,
    fmt: str,
    **limits: Any,
) -> None:
    """Reject FRAMES whose shift is wrong, or all that break a limit.

    'photodb frame restore --last' takes it back.
    """
    from photodb.steps import judge
    from photodb.steps.limits import SHIFT, ShiftLimits, beyond_shift_limits
    from photodb.steps.suggest import auto_reasons

    given, selection = ShiftLimits(**limits), judge.FrameFilter(**chosen)
    told: Callable[[str], None] = message
    if frames:
        reasons = dict.fromkeys(judge.find_frames(db, frames), "wrong shift, by hand")
    elif auto:
        reasons = auto_reasons(db, selection, given, told, SHIFT)
    else:
        reasons = beyond_shift_limits(db, selection, given)
    settings = {"auto": auto, "limits": limits, "filter": chosen}
    tell(judge.reject(db, reasons, judge.BY_SHIFT, "shift reject", dry_run, settings), fmt)


@shift.command()
@pass_database
@click.argument("frame")
@dry_run_option
@format_option()
def reference(db: Any, frame: str, dry_run: bool, fmt: str) -> None:
    """Make FRAME (id or path) the reference frame of its field and camera.

    All shifts there count from it: the maps are composed, nothing is matched again. 'photodb runs undo' takes it back.
    """
    from photodb.steps.shifts import set_reference

    report = set_reference(db, frame, dry_run)
    write_report(report, fmt)
    verb = "would be" if dry_run else "is"
    message(
        f"frame {report.frame_id} {verb} the reference frame instead of {report.before}: {report.n_frames} shifts"
    )
