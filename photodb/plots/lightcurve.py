"""A light curve: a panel a band, a colour and marker a telescope, brighter up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from photodb.core.flags import DOUBTFUL, Flag

from . import style

Columns = Mapping[str, NDArray]


def light_curve_figure(points: Columns, title: str = "") -> Figure:
    """Draw calibrated points with their errors; doubtful points are hollow, limits are arrows that point down.

    Parameters
    ----------
    points : columns `mjd`, `mag`, `mag_err`, `flags`, `band`, `telescope` and, for limits, `mag_limit`, (n,) each

    Raises
    ------
    NothingMatched : no point has a finite magnitude.
    """
    points = _with_limits(points)
    good = np.isfinite(points["mag"]) & np.isfinite(points["mjd"])
    points = {name: column[good] for name, column in points.items()}
    style.need(len(points["mjd"]), "no point of the light curve has a magnitude")
    bands = style.band_order(points["band"])
    figure, axes = style.new_figure(len(bands), panel_height=3.0 if len(bands) < 3 else 2.1)
    times = style.time_axis(points["mjd"])
    telescopes = {name: number for number, name in enumerate(np.unique(points["telescope"]))}
    for axis, band in zip(axes, bands, strict=True):
        _band_panel(axis, points, times.x, points["band"] == band, telescopes)
        axis.set_ylabel(f"{band} (mag)")
    _legend(axes[0], telescopes, bool(doubtful(points).any()), bool(points["limit"].any()))
    style.title(figure, title)
    style.draw_time_axis(axes, times)
    return figure


def _with_limits(points: Columns) -> dict[str, NDArray]:
    """Put the limit for the magnitude of points that are one; `limit` tells which, those of doubt left out."""
    limit = (points["flags"] & int(DOUBTFUL & ~(Flag.FAINT | Flag.NEGATIVE))) == 0
    limit &= (points["flags"] & int(Flag.FAINT)) != 0
    value = points.get("mag_limit", np.full(len(points["mag"]), np.nan))
    return {**points, "limit": limit, "mag": np.where(limit, value, points["mag"])}


def doubtful(points: Columns) -> NDArray[np.bool_]:
    """Tell which points carry a flag that makes their magnitude doubtful; limits are sure."""
    return ((points["flags"] & int(DOUBTFUL)) != 0) & ~points["limit"]


def _band_panel(
    axis: Axes, points: Columns, x: NDArray, in_band: NDArray, telescopes: Mapping[str, int]
) -> None:
    """Draw one band; limits follow the clean points, and wild ones sit at the edge as arrows."""
    limit = points["limit"]
    clean = in_band & ~doubtful(points) & (~limit | limit[in_band].all())
    shown = points["mag"][clean] if clean.any() else points["mag"][in_band]
    low, high = style.robust_limits(shown)
    reach = float(np.nanmedian(np.where(in_band, points["mag_err"], np.nan)))
    if np.isfinite(reach):  # room for the error bars
        low, high = low - min(reach, high - low), high + min(reach, high - low)
    size = style.quiet_marker_size(int(in_band.sum()))
    for name, number in telescopes.items():
        rows = in_band & (points["telescope"] == name) & ~limit
        upper = in_band & (points["telescope"] == name) & limit
        _limits(axis, x[upper], np.clip(points["mag"][upper], low, high), number, size)
        inside = (points["mag"] >= low) & (points["mag"] <= high)
        for flagged in (True, False):
            chosen = rows & inside & (doubtful(points) == flagged)
            _points(axis, x[chosen], points["mag"][chosen], points["mag_err"][chosen], number, flagged, size)
        for edge, beyond in ((low, points["mag"] < low), (high, points["mag"] > high)):
            off = rows & beyond
            (arrows,) = axis.plot(
                x[off], np.full(off.sum(), edge), ls="", marker="^" if edge == low else "v", ms=size + 1,
                mfc="white", mec=style.colour(number), clip_on=False, zorder=3,
            )  # fmt: skip
            arrows.set_in_layout(False)
    axis.set_ylim(high, low)


def _points(
    axis: Axes, x: NDArray, mag: NDArray, mag_err: NDArray, number: int, flagged: bool, size: float
) -> None:
    shade = style.colour(number)
    axis.errorbar(
        x, mag, yerr=np.where(np.isfinite(mag_err), np.abs(mag_err), 0), ls="", marker=style.marker(number),
        ms=size, mec=shade, mew=0.7, mfc="white" if flagged else shade, ecolor=shade,
        elinewidth=0.6, alpha=0.45 if flagged else 0.9, zorder=1 if flagged else 2,
    )  # fmt: skip


def _limits(axis: Axes, x: NDArray, mag: NDArray, number: int, size: float) -> None:
    """Draw limits: the star was fainter than where the arrow is."""
    shade = style.colour(number)
    axis.plot(x, mag, ls="", marker=r"$\downarrow$", ms=2.2 * size, color=shade, mew=0.2, alpha=0.6, zorder=1)


def _legend(axis: Axes, telescopes: Mapping[str, int], any_flagged: bool, any_limit: bool) -> None:
    for name, number in telescopes.items():
        axis.plot([], [], ls="", marker=style.marker(number), color=style.colour(number), label=str(name))
    if any_flagged:
        axis.plot([], [], ls="", marker="o", mfc="white", mec=style.GREY, label="doubtful (flags)")
    if any_limit:
        axis.plot([], [], ls="", marker=r"$\downarrow$", ms=8, color=style.GREY, label="fainter than")
    style.legend_above(axis)
