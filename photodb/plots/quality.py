"""Image quality by time: dynamic range, background uniformity, FWHM, detections; with the thresholds."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import series, style
from .series import Columns, Panel

RANGE_SERIES = (
    ("data_max", "maximum", style.COLOURS[0]),
    ("dynamic_range", "difference", style.COLOURS[1]),
    ("data_min", "minimum", style.COLOURS[2]),
)


def quality_figure(
    frames: Columns, min_range: float | None = None, max_nonuniformity: float | None = None, title: str = ""
) -> Figure:
    """Draw the quality of frames by time; frames that break a limit or were rejected stand out.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status`, `data_min`, `data_max`, `dynamic_range`, `nonuniformity`,
    `fwhm`,
        `n_detections`, (n,) each
    min_range, max_nonuniformity : ADU, drawn as lines

    Raises
    ------
    NothingMatched : no frame has a time.
    """
    panels = (
        Panel("nonuniformity", "background\nnonuniformity (ADU)", max_nonuniformity),
        Panel("fwhm", "FWHM (px)"),
        Panel("n_detections", "detections"),
    )
    frames = series.with_time(frames)
    figure, axes = style.new_figure(1 + len(panels), panel_height=1.8)
    times = style.time_axis(frames["mjd"])
    cameras = {name: number for number, name in enumerate(np.unique(frames["camera"]))}
    _range_panel(axes[0], frames, times.x, min_range)
    for axis, panel in zip(axes[1:], panels, strict=True):
        series.draw_panel(axis, frames, times.x, panel, cameras)
    if len(cameras) > 1 or (frames["status"] == "rejected").any():
        series.camera_legend(axes[1], cameras, bool((frames["status"] == "rejected").any()))
    style.title(figure, title)
    style.draw_time_axis(axes, times)
    return figure


def _range_panel(axis: Axes, frames: Columns, x: NDArray, min_range: float | None) -> None:
    """Draw minimum, maximum and their difference, as lines within a camera and a night."""
    size = style.quiet_marker_size(len(x)) * 0.8
    for column, label, shade in RANGE_SERIES:
        accepted = frames["status"] != "rejected"
        axis.plot(x[accepted], frames[column][accepted], ".", ms=size + 1, color=shade, label=label)
        axis.plot(x[~accepted], frames[column][~accepted], "x", ms=size, mew=0.8, color=shade, alpha=0.7)
    series.draw_threshold(axis, min_range)
    axis.set_ylabel("counts (ADU)")
    style.legend_above(axis)
