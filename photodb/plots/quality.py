"""Image quality by time: dynamic range, background uniformity, FWHM, ellipticity, stars; with the limits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import series, style
from .series import Columns, Limit, Panel

RANGE_SERIES = (
    ("data_max", "maximum", style.COLOURS[0], "^"),
    ("dynamic_range", "maximum - minimum", style.COLOURS[1], "o"),
    ("data_min", "minimum", style.COLOURS[2], "v"),
)
PANELS = (
    # column, label, limit, low, unit, drawn without a limit
    ("nonuniformity", "nonuniformity\n(ADU)", "max_nonuniformity", False, "ADU", True),
    ("fwhm", "FWHM (px)", "max_fwhm", False, "px", True),
    ("ellipticity", "ellipticity", "max_ellipticity", False, "", True),
    ("n_detections", "stars", "min_stars", True, "", True),
    ("light_lost", "light lost\n(mag)", "max_loss", False, "mag", True),
    ("background", "background\n(ADU)", "max_background", False, "ADU", False),
    ("limiting_mag", "limit (mag,\ninstrumental)", "min_limit", True, "mag", False),
)
MOST_CAMERAS = 4
"""Cameras that get a panel of counts of their own."""


def quality_figure(frames: Columns, limits: Mapping[str, Limit] | None = None, title: str = "") -> Figure:
    """Draw the quality of frames by time; frames that break a limit or were rejected stand out.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status`, `data_min`, `data_max`, `dynamic_range`, those of `PANELS` that there
        are, and where known `reason_code`, (n,) each
    limits : by the names of `photodb.steps.limits.Limits`: one, or one a frame (NaN for none)

    Raises
    ------
    NothingMatched : no frame has a time.
    """
    limits = limits or {}
    counts = Panel("dynamic_range", "counts (ADU)", limits.get("min_range"), True, "ADU")
    frames, (counts, *panels), _ = series.timed(frames, [counts, *_panels(frames, limits)], {})
    times, cameras = style.time_axis(frames["mjd"]), series.numbers_of(frames)
    apart = list(cameras) if len(cameras) <= MOST_CAMERAS else [""]
    figure, axes = style.new_figure(len(apart) + len(panels), panel_height=1.7)
    for axis, name in zip(axes, apart, strict=False):
        _counts(axis, frames, times, counts, name, cameras)
    if len(cameras) <= MOST_CAMERAS:
        style.legend_above(axes[0])
    rest, ringed = axes[len(apart) :], False
    for axis, panel in zip(rest, panels, strict=True):
        ringed |= series.draw_panel(axis, frames, times, panel, cameras)
    first = rest[0] if len(cameras) <= MOST_CAMERAS else axes[0]
    series.camera_legend(first, cameras, frames, ringed)
    style.title(figure, title)
    style.draw_time_axis(axes, times)
    return figure


def _panels(frames: Columns, limits: Mapping[str, Limit]) -> list[Panel]:
    """Return the panels for which there are numbers; some are drawn only where they are limited."""
    panels = []
    for column, label, limit, low, unit, always in PANELS:
        wanted = always or isinstance(limits.get(limit), float | int)
        if wanted and column in frames and np.isfinite(frames[column]).any():
            panels.append(Panel(column, label, limits.get(limit), low, unit))
    return panels or [Panel("dynamic_range", "dynamic range\n(ADU)")]


def _counts(
    axis: Axes, frames: Columns, times: style.TimeAxis, panel: Panel, camera: str, cameras: Mapping[str, int]
) -> None:
    """Draw minimum, maximum and their difference of one camera; of all, the difference alone."""
    if not camera and len(cameras) > MOST_CAMERAS:
        series.draw_panel(axis, frames, times, Panel(**{**panel.__dict__, "label": "range (ADU)"}), cameras)
        return
    mine, accepted = frames["camera"] == camera, frames["status"] != "rejected"
    size = style.quiet_marker_size(int(mine.sum())) * 0.8
    for column, label, shade, marker in RANGE_SERIES:
        values, rows = frames[column], mine & accepted
        style_of = (
            {"mfc": "none", "mew": 0.8} if column == "data_max" else {"mew": 0}
        )  # it may hide the difference
        axis.plot(
            times.x[rows], values[rows], ls="", marker=marker, ms=size + 0.5, color=shade, label=label, **style_of
        )  # fmt: skip
        series.draw_rejected(axis, times.x, values, frames, mine & ~accepted, shade, size)
    own = Panel(**{**panel.__dict__, "limit": series.limit_of(panel.limit, mine)})
    only = {name: column[mine] for name, column in frames.items()}
    part = style.TimeAxis(times.x[mine], times.starts, times.ends, times.first_mjd)
    series.draw_beyond(axis, part.x, only["dynamic_range"], own, None, size)
    series.draw_limit(axis, only, part, own.limit, True, "ADU", {camera: 6})
    axis.set_ylabel("counts (ADU)")
    if len(cameras) > 1:
        axis.set_title(camera or "unknown", loc="left", fontsize="small", pad=2)
