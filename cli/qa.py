"""photodb qa: image quality, seen and judged."""

from __future__ import annotations

from typing import Any

import click

from .common import dry_run_option, format_option, message, pass_database
from .frame import filter_options, tell

plot_file = click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False), help="FILE.png, .pdf or .svg."
)


@click.group()
def qa() -> None:
    """See the quality of frames, and reject the bad ones by thresholds."""


@qa.command()
@pass_database
@plot_file
@filter_options
@click.option("--min-range", type=float, metavar="ADU", help="Draw this limit of the dynamic range.")
@click.option("--max-nonuniformity", type=float, metavar="ADU", help="Draw this limit of the background.")
def plot(
    db: Any,
    output: str,
    camera: str | None,
    band: str | None,
    night: int | None,
    min_range: float | None,
    max_nonuniformity: float | None,
) -> None:
    """Plot dynamic range, background uniformity, FWHM and detections of each frame by time."""
    from photodb.plots import style
    from photodb.plots.quality import quality_figure
    from photodb.steps.judge import QUALITY_COLUMNS, FrameFilter, Limits, frame_columns

    Limits(min_range, max_nonuniformity)  # refuses what is no limit
    frames = frame_columns(db, FrameFilter(None, camera, band, night, "science"), QUALITY_COLUMNS)
    figure = quality_figure(frames, min_range, max_nonuniformity, "image quality")
    message(f"wrote {style.save(figure, output)}: {len(frames['mjd'])} frames")


@qa.command()
@pass_database
@click.option(
    "--min-range", type=float, metavar="ADU", help="Reject frames whose dynamic range is below this."
)
@click.option(
    "--max-nonuniformity", type=float, metavar="ADU", help="Reject frames whose background differs by more."
)
@click.option("--max-fwhm", type=float, metavar="PX", help="Reject frames with broader stars.")
@click.option("--max-ellipticity", type=float, metavar="E", help="Reject frames with longer stars.")
@click.option("--min-detections", type=int, metavar="N", help="Reject frames with fewer detections.")
@filter_options
@dry_run_option
@format_option()
def apply(
    db: Any,
    min_range: float | None,
    max_nonuniformity: float | None,
    max_fwhm: float | None,
    max_ellipticity: float | None,
    min_detections: int | None,
    camera: str | None,
    band: str | None,
    night: int | None,
    dry_run: bool,
    fmt: str,
) -> None:
    """Reject frames that break a limit; 'photodb frame restore' takes it back."""
    from photodb.steps import judge

    limits = judge.Limits(min_range, max_nonuniformity, max_fwhm, max_ellipticity, min_detections)
    reasons = judge.beyond_limits(db, judge.FrameFilter(camera=camera, band=band, night=night), limits)
    tell(judge.reject(db, reasons, "quality", "qa apply", dry_run), fmt)
