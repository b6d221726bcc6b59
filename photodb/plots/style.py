"""What the figures share: colours that everybody can tell apart, a time axis without empty days, saving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from photodb.core.bands import band_order as band_order
from photodb.errors import NothingMatched, UsageError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart with every kind of colour vision."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#999999"
SUFFIXES = (".png", ".pdf", ".svg")
NIGHT_GAP = 0.04  # d, left blank between two nights
MAX_LABELS = 7
ARCMIN_BELOW_DEG = 0.75
MJD_UNIX = 40587  # MJD of 1970-01-01


def new_figure(n_panels: int, panel_height: float = 2.2, width: float = 8.0) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels above each other that share the horizontal axis."""
    figure = Figure(figsize=(width, panel_height * n_panels + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(n_panels, 1, sharex=True))
    for axis in axes:
        plain_axes(axis)
    return figure, list(axes)


def plain_axes(axis: Axes) -> None:
    """Take away what tells nothing: the frame's right and upper side; add a light grid."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)


def save(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Write a figure; the suffix names the format.

    Raises
    ------
    UsageError : another suffix than `SUFFIXES`.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: a plot is written as {', '.join(SUFFIXES)}")
    figure.savefig(path, dpi=dpi)
    return path


def need(n: int, what: str) -> None:
    """Refuse to draw nothing.

    Raises
    ------
    NothingMatched : n is 0.
    """
    if n == 0:
        raise NothingMatched(f"nothing to plot: {what}")


def colour(number: int) -> str:
    """Return the colour of a series by its number."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Return the marker of a series by its number."""
    return MARKERS[number % len(MARKERS)]


def quiet_marker_size(n: int) -> float:
    """Return a marker size (points) that leaves n points in a panel readable."""
    return float(np.clip(45 / np.sqrt(max(n, 1)), 1.5, 5.0))


@dataclass(frozen=True)
class TimeAxis:
    """Times drawn in days with the daylight between nights cut out."""

    x: NDArray[np.float64]  # (n,) d, what to plot against
    starts: NDArray[np.float64]  # (k,) x where each night begins
    ends: NDArray[np.float64]  # (k,)
    first_mjd: NDArray[np.float64]  # (k,) d, time of the first point of each night


def time_axis(mjd: NDArray[np.float64]) -> TimeAxis:
    """Place times along an axis on which gaps of more than six hours shrink to `NIGHT_GAP`.

    Parameters
    ----------
    mjd : (n,) d, any order, finite
    """
    order = np.argsort(mjd, kind="stable")
    steps = np.diff(mjd[order])
    new = np.concatenate(([True], steps > 0.25)) if len(mjd) else np.empty(0, bool)
    kept = np.concatenate(([0.0], np.where(steps > 0.25, NIGHT_GAP, steps))) if len(mjd) else np.empty(0)
    along = np.cumsum(kept)
    x = np.empty(len(mjd))
    x[order] = along
    first = np.flatnonzero(new)
    last = np.concatenate((first[1:] - 1, [len(mjd) - 1])).astype(int)
    return TimeAxis(x, along[first], along[last], mjd[order][first])


def draw_time_axis(axes: list[Axes], times: TimeAxis) -> None:
    """Label the lowest panel: hours UTC for one night, dates for more; shade every second night."""
    lowest = axes[-1]
    if isinstance(lowest.figure, Figure):
        lowest.figure.align_ylabels(axes)
    if len(times.starts) == 1:
        _hours(lowest, times)
        return
    for axis in axes:
        for start, end in list(zip(times.starts, times.ends, strict=True))[1::2]:
            axis.axvspan(start - NIGHT_GAP / 2, end + NIGHT_GAP / 2, color="#f2f2f2", zorder=0)
        axis.grid(axis="x", visible=False)
    shown = np.unique(np.linspace(0, len(times.starts) - 1, MAX_LABELS).round().astype(int))
    lowest.set_xticks([(times.starts[i] + times.ends[i]) / 2 for i in shown])
    lowest.set_xticklabels([date_of(times.first_mjd[i]) for i in shown])
    lowest.set_xlabel("night (UTC date of its first frame; days between are cut out)")


def _hours(axis: Axes, times: TimeAxis) -> None:
    first, span = times.first_mjd[0], times.ends[0] - times.starts[0]
    step = next((s for s in (1 / 60, 1 / 12, 1 / 6, 0.5, 1, 2, 3) if span * 24 / s <= MAX_LABELS), 6.0) / 24
    ticks = np.arange(np.ceil(first / step - 1e-6), np.floor((first + span) / step + 1e-6) + 1) * step
    axis.set_xticks(ticks - first)
    axis.set_xticklabels([clock(tick) for tick in ticks])
    axis.set_xlabel(f"UTC, {date_of(first)}")


def date_of(mjd: float) -> str:
    """Write the calendar date of a time."""
    return str(np.datetime64(int(np.floor(mjd)) - MJD_UNIX, "D"))


def clock(mjd: float) -> str:
    """Write the time of day, hours and minutes."""
    minutes = round((mjd % 1) * 1440)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def robust_limits(values: NDArray, margin: float = 0.15) -> tuple[float, float]:
    """Return limits that hold all but wild values: from median and spread, never wider than the values."""
    good = values[np.isfinite(values)]
    if not len(good):
        return 0.0, 1.0
    middle = float(np.median(good))
    low, high = np.percentile(good, [5, 95])
    low, high = middle - 2.5 * (middle - low), middle + 2.5 * (high - middle)
    low, high = max(low, float(good.min())), min(high, float(good.max()))
    pad = margin * (high - low) or 0.05 * abs(middle) or 0.05
    return low - pad, high + pad


def plane_unit(width_deg: float) -> tuple[str, float]:
    """Return in which unit to label a plane tangent to the sky of some width, and how many of it are a degree."""
    return ("arcmin", 60.0) if width_deg < ARCMIN_BELOW_DEG else ("deg", 1.0)


def plane_labels(axis: Axes, unit: str) -> None:
    """Label the axes of a plane tangent to the sky."""
    axis.set_xlabel(f"east of the middle ({unit})")
    axis.set_ylabel(f"north of the middle ({unit})")


def legend_above(axis: Axes, columns: int = 5) -> None:
    """Put the legend above the panel, where it hides nothing."""
    handles, labels = axis.get_legend_handles_labels()
    if not handles:
        return
    legend = axis.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, frameon=False,
        fontsize="small", borderaxespad=0.2, handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip
    for handle in legend.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_markersize(6)


def title(figure: Figure, text: str) -> None:
    """Write a title on a line of its own, to the left."""
    if text:
        figure.suptitle(text, x=0.01, ha="left", fontsize="medium")
