"""Noise against magnitude: the smallest noise reached, the faintest stars, and what sticks out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from . import style

Columns = Mapping[str, NDArray]
STARS_PER_BIN = 20


def noise_figure(stars: Columns, width: float = 8.0) -> Figure:
    """Draw global noise against mean magnitude, a panel a band.

    Parameters
    ----------
    stars : columns `mag`, `noise` (global noise), `expected` (median error of a point), `band`, `candidate`,
        `quality_flag`, (n,) each; NaN where unknown

    Raises
    ------
    NothingMatched : no star has a noise.
    """
    good = np.isfinite(stars["mag"]) & np.isfinite(stars["noise"]) & (stars["noise"] > 0)
    stars = {name: column[good] for name, column in stars.items()}
    style.need(len(stars["mag"]), "no star has a noise yet; run 'photodb stats'")
    bands = style.band_order(stars["band"])
    height = 4.6 if len(bands) == 1 else 3.0
    figure, axes = style.new_figure(len(bands), panel_height=height, width=width)
    for axis, band in zip(axes, bands, strict=True):
        _band_panel(axis, {name: column[stars["band"] == band] for name, column in stars.items()})
        axis.set_title(f"band {band}", loc="left", fontsize="medium")
    axes[-1].set_xlabel("mean magnitude")
    return figure


def _band_panel(axis: Axes, stars: Columns) -> None:
    """Draw one band: stars, their median, what their errors promise, and the candidates."""
    poor = stars["quality_flag"] < 0
    chosen = stars["candidate"] & ~poor
    size = style.quiet_marker_size(len(poor)) * 0.8
    axis.set_yscale("log")
    plain = ~poor & ~chosen
    axis.plot(
        stars["mag"][poor], stars["noise"][poor], ".", ms=size, color="#c8c8c8", label="over 20 % bad points"
    )
    axis.plot(stars["mag"][plain], stars["noise"][plain], ".", ms=size, color=style.COLOURS[5], label="stars")
    axis.plot(
        stars["mag"][chosen], stars["noise"][chosen], ls="", marker="D", ms=max(size, 5), mfc="none",
        mec=style.COLOURS[1], mew=1.2, label="candidates",
    )  # fmt: skip
    for values, shade, line, label in (
        (stars["noise"], style.COLOURS[0], "-", "median"),
        (stars["expected"], "black", "--", "what the errors promise"),
    ):
        x, y = running_median(stars["mag"][plain], values[plain])
        axis.plot(x, y, line, color=shade, lw=1.4, label=label if len(x) else None)
    axis.set_ylabel("global noise (mag)")
    _plain_decades(axis, stars["noise"][~poor] if (~poor).any() else stars["noise"])
    style.legend_above(axis)


def _plain_decades(axis: Axes, noise: NDArray) -> None:
    """Write 0.002, 0.01 instead of powers, between limits that leave out the wildest."""
    low, high = np.percentile(noise, [0.2, 99.8])
    axis.set_ylim(low / 1.6, high * 1.8)
    axis.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def running_median(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Return medians of x and y over groups of `STARS_PER_BIN` or more in order of x; empty if too few."""
    good = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[good])
    n_bins = min(len(order) // STARS_PER_BIN, 40)
    if n_bins < 2:
        return np.empty(0), np.empty(0)
    groups = np.array_split(order, n_bins)
    x, y = x[good], y[good]
    return np.array([np.median(x[g]) for g in groups]), np.array([np.median(y[g]) for g in groups])
