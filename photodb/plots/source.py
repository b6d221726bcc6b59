"""One source: where its detections lie about their mean, and how that changes with time: blends and moving stars."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from . import style

LONG_DAYS = 700.0
"""Times are told in years where there are more of them."""
DAYS_PER_YEAR = 365.25
MJD_J2000 = 51544.5
CIRCLE = "#444444"
WIDE = 1.3
"""Room around the points."""


def source_figure(
    points: Mapping[str, NDArray],
    scatter_arcsec: float,
    reach_arcsec: float,
    title: str = "",
    width: float = 9.0,
) -> Figure:
    """Draw the offsets on the sky, east to the left, and beside them the offsets in time.

    Parameters
    ----------
    points : columns `east`, `north` (arcsec), `mjd` (d), `camera`, (n,) each.
    scatter_arcsec : radius of the circle that holds two thirds of the offsets of one place.
    reach_arcsec : radius within which the sharpest frame can tell no other star; NaN for none.

    Raises
    ------
    NothingMatched : no detection has a place.
    """
    good = np.isfinite(points["east"]) & np.isfinite(points["north"]) & np.isfinite(points["mjd"])
    points = {name: np.asarray(column)[good] for name, column in points.items()}
    style.need(int(good.sum()), "no detection of the source has a place on the sky")
    figure = Figure(figsize=(width, max(0.5 * width, 3.8)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.0, 1.1))
    sky, east = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
    north = figure.add_subplot(grid[1, 1], sharex=east)
    for axis in (sky, east, north):
        style.plain_axes(axis)
    _draw_sky(sky, points, scatter_arcsec, reach_arcsec)
    _draw_times(east, north, points)
    figure.align_ylabels([east, north])
    handles, labels = sky.get_legend_handles_labels()
    told = figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False
    )
    for line in told.get_lines():
        line.set_markersize(5.0)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def _cameras(points: Mapping[str, NDArray]) -> list[str]:
    return sorted(set(points["camera"].tolist()))


def _draw_sky(axis: Axes, points: Mapping[str, NDArray], scatter: float, reach: float) -> None:
    size = style.quiet_marker_size(len(points["mjd"]))
    for number, camera in enumerate(_cameras(points)):
        rows = points["camera"] == camera
        axis.plot(
            points["east"][rows], points["north"][rows], style.marker(number), color=style.colour(number),
            markersize=size, alpha=0.75, markeredgewidth=0, label=f"{camera} ({int(rows.sum())})",
        )  # fmt: skip
    far = WIDE * max(float(np.max(np.abs([points["east"], points["north"]]))), np.nan_to_num(scatter), 0.05)
    turn = np.linspace(0, 2 * np.pi, 181)
    for radius, line, name in ((scatter, "-", "scatter"), (reach, ":", "reach")):
        if 0 < radius <= far:  # a larger one would only show in the corners
            label = f"{name} {radius:.2g} arcsec"
            axis.plot(
                radius * np.cos(turn), radius * np.sin(turn), line, color=CIRCLE, linewidth=1.2, label=label
            )
    axis.set_xlim(far, -far)  # east is to the left on the sky
    axis.set_ylim(-far, far)
    axis.set_aspect("equal")
    axis.set_xlabel("east (arcsec)")
    axis.set_ylabel("north (arcsec)")


def _draw_times(east: Axes, north: Axes, points: Mapping[str, NDArray]) -> None:
    times, label = _times(points["mjd"])
    size = style.quiet_marker_size(len(times))
    for axis, name in ((east, "east"), (north, "north")):
        axis.axhline(0, color=style.GREY, linewidth=0.8)
        for number, camera in enumerate(_cameras(points)):
            rows = points["camera"] == camera
            axis.plot(
                times[rows], points[name][rows], style.marker(number), color=style.colour(number), markersize=size,
                alpha=0.75, markeredgewidth=0,
            )  # fmt: skip
        far = max(float(np.max(np.abs(points[name]))), 0.05) * WIDE
        axis.set_ylim(-far, far)
        axis.set_ylabel(f"{name} (arcsec)")
    east.tick_params(labelbottom=False)
    north.set_xlabel(label)
    north.xaxis.set_major_locator(MaxNLocator(5, integer=label == "year"))
    north.ticklabel_format(axis="x", useOffset=False)


def _times(mjd: NDArray) -> tuple[NDArray[np.float64], str]:
    """Return times that read well along an axis, and what they are."""
    span = float(np.ptp(mjd))
    if span > LONG_DAYS:
        return 2000 + (mjd - MJD_J2000) / DAYS_PER_YEAR, "year"
    if span > 3:
        return mjd.astype(float), "MJD (UTC)"
    first = np.floor(mjd.min())
    return 24 * (mjd - first), f"hours UTC since MJD {first:.0f}"
