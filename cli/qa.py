"""photodb qa: image quality, seen and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .areas import AreaCommand, area_options
from .common import (
    EXIT_PARTIAL,
    TerminalProgress,
    dry_run_option,
    fail,
    format_option,
    message,
    pass_database,
    write_report,
    write_table,
)
from .frame import selection_options, tell
from .numbers import Finite

plot_file = click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False), help="FILE.png, .pdf or .svg."
)

LIMITS = (
    # name, option (the first is told), unit, help
    ("min_range", ("--min-range",), "ADU", "Least dynamic range."),
    ("max_nonuniformity", ("--max-nonuniformity",), "ADU", "Most by which the background differs."),
    ("max_fwhm", ("--max-fwhm",), "PX", "Most width of stars."),
    ("max_ellipticity", ("--max-ellipticity",), "E", "Most ellipticity of stars, 0 to 1."),
    ("min_stars", ("--min-stars", "--min-detections"), "N", "Fewest stars detected."),
    ("max_background", ("--max-background",), "ADU", "Most background."),
    ("min_limit", ("--min-limit",), "MAG", "Least limiting magnitude (instrumental)."),
    ("max_loss", ("--max-loss",), "MAG", "Most light lost against the clear frames of the series."),
)

SUGGESTION_COLUMNS = {
    "camera": "U", "band": "U", "night": "i8", "field_id": "i8", "exptime": "f8", "measure": "U", "unit": "U",
    "n": "i8", "usual": "f8", "spread": "f8", "limit": "f8", "n_beyond": "i8", "note": "U",
}  # fmt: skip
QUEUE_COLUMNS = {"frame_id": "i8", "mjd": "f8", "odd": "f8", "why": "U"}


def limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each limit of quality, passed by its name."""
    for name, options, unit, text in reversed(LIMITS):
        kind = click.INT if name == "min_stars" else Finite()
        function = click.option(*options, name, type=kind, metavar=unit, help=text)(function)
    return function


@click.group()
def qa() -> None:
    """See the quality of frames, and reject the bad ones by thresholds."""


@qa.command()
@pass_database
@plot_file
@limit_options
@click.option("--suggest", is_flag=True, help="Draw the limits that the frames suggest, where none is given.")
@selection_options
def plot(db: Any, output: str, suggest: bool, chosen: dict[str, Any], **limits: Any) -> None:
    """Plot dynamic range, uniformity, FWHM, ellipticity and stars of each frame by time, with the limits.

    Rejected frames are marked by their reason.
    """
    from photodb.plots import style
    from photodb.plots.quality import quality_figure
    from photodb.steps.judge import FrameFilter
    from photodb.steps.limits import Limits, quality_columns
    from photodb.steps.suggest import suggested_limits

    given = Limits(**limits)  # refuses what is no limit
    frames = quality_columns(db, FrameFilter(**chosen))
    limits = suggested_limits(frames, given) if suggest else limits
    figure = quality_figure(frames, limits, "image quality")
    message(f"wrote {style.save(figure, output)}: {len(frames['mjd'])} frames")


@qa.command("suggest")
@pass_database
@selection_options
@format_option()
def suggest_(db: Any, chosen: dict[str, Any], fmt: str) -> None:
    """List the limits that the frames suggest, for each camera, band, field, exposure and night.

    The series' densest half tells what is usual; the limit lies well outside of it. 'photodb qa apply --auto' applies
    these limits.
    """
    from photodb.steps.judge import FrameFilter
    from photodb.steps.suggest import beyond_suggested, suggested_quality

    frames, suggestions = suggested_quality(db, FrameFilter(**chosen))
    write_table([s.record() for s in suggestions], fmt, columns=SUGGESTION_COLUMNS)
    n, n_all = len(beyond_suggested(frames, suggestions)), len(frames["mjd"])
    message(f"{n} of {n_all} frames lie beyond a suggested limit; 'photodb qa apply --auto' rejects them")
    _tell_silent(suggestions)


def _tell_silent(suggestions: list[Any]) -> None:
    """Say of which series nothing can be told."""
    for s in suggestions:
        if s.fence.note:
            night = f"night {s.night}" if s.night >= 0 else "nights of few frames"
            message(f"{s.camera} {s.band}, {night}: no limit of {s.measure.name}: {s.fence.note}")


@qa.command()
@pass_database
@limit_options
@click.option("--auto", is_flag=True, help="Apply the limits that the frames suggest, where none is given.")
@selection_options
@dry_run_option
@format_option()
def apply(
    db: Any, auto: bool, chosen: dict[str, Any], dry_run: bool, fmt: str, **limits: Any
) -> None:  # fmt: skip
    """Reject frames that break a limit, each with its reason.

    'photodb frame restore --last' takes it back. With --auto, frames that somebody restored are left alone.
    """
    from photodb.steps import judge
    from photodb.steps.limits import Limits, beyond_limits
    from photodb.steps.suggest import auto_reasons

    given, selection = Limits(**limits), judge.FrameFilter(**chosen)
    told: Callable[[str], None] = message
    reasons = auto_reasons(db, selection, given, told) if auto else beyond_limits(db, selection, given)
    settings = {"auto": auto, "limits": limits, "filter": chosen}
    tell(judge.reject(db, reasons, judge.BY_QUALITY, "qa apply", dry_run, settings), fmt)


@qa.command("list")
@pass_database
@selection_options
@format_option()
def list_(db: Any, chosen: dict[str, Any], fmt: str) -> None:
    """List the accepted frames that look odd and that nobody judged yet, the oddest first.

    odd is 0 for the usual frame of its series and 1 at the suggested limit.
    """
    from photodb.steps.judge import FrameFilter
    from photodb.steps.suggest import review_queue

    queue = review_queue(db, FrameFilter(**chosen))
    write_table(queue, fmt, columns=QUEUE_COLUMNS)
    message(f"{len(queue)} frames to look at; 'photodb frame reject' or 'photodb qa apply' judge them")


@qa.command(cls=AreaCommand)
@pass_database
@area_options
@click.option("--jobs", type=click.IntRange(min=0), help="Worker processes; default: one a core. 0: none.")
@selection_options
@dry_run_option
@format_option()
@click.pass_context
def measure(
    ctx: click.Context, db: Any, box: Any, masks: Any, jobs: int | None, chosen: dict[str, Any],
    dry_run: bool, fmt: str,
) -> None:  # fmt: skip
    """Measure dynamic range and uniformity again from the frames' files: over a box, or outside of masks.

    The newest measurement of a frame counts in plots and limits; what ingest measured is kept, and 'photodb runs undo'
    brings it back. Frames are not registered again.
    """
    from photodb.images.quality import Areas
    from photodb.steps.judge import FrameFilter
    from photodb.steps.requality import measure as step

    report = step(db, FrameFilter(**chosen), Areas(box, masks), jobs, dry_run, TerminalProgress())
    write_report(report, fmt)
    for frame_id, reason in report.failed.items():
        fail(f"frame {frame_id} cannot be measured: {reason}")
    n = report.n_frames - report.n_known if dry_run else report.n_measured
    verb = "would be measured" if dry_run else "measured"
    message(f"{n} frames {verb}, {report.n_known} known, {len(report.failed)} failed")
    if report.failed:
        ctx.exit(EXIT_PARTIAL)
