"""Residuals of a solution over the frame: what the spatial terms left behind."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binned_statistic_2d

from . import style

BINS = 12
PER_ROW = 3


def residuals_figure(points: Mapping[str, NDArray]) -> Figure:
    """Draw the median residual over the frame, a panel a camera.

    Parameters
    ----------
    points : columns `x`, `y` (scaled to [-1, 1]), `residual` (mag), `camera`, (n,) each

    Raises
    ------
    NothingMatched : there are no points.
    """
    style.need(len(points["x"]), "no bright, unflagged points in the published solution")
    cameras = np.unique(points["camera"])
    columns = min(PER_ROW, len(cameras))
    rows = -(-len(cameras) // columns)
    figure = Figure(figsize=(1.2 + 3.2 * columns, 0.5 + 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel())
    maps = [_map(points, points["camera"] == camera) for camera in cameras]
    limit = float(np.nanpercentile(np.abs(np.stack(maps)), 98)) or 0.001
    for axis, camera, median in zip(axes, cameras, maps, strict=False):
        image = axis.imshow(
            1000 * median.T,
            origin="lower",
            extent=(-1, 1, -1, 1),
            cmap="PuOr_r",
            vmin=-1000 * limit,
            vmax=1000 * limit,
        )
        axis.set_title(f"{camera}: {int((points['camera'] == camera).sum())} points", fontsize="small")
        axis.set_xlabel("x, scaled to the frame")
        axis.set_ylabel("y, scaled to the frame")
        axis.label_outer()
    for axis in axes[len(cameras) :]:
        axis.set_visible(False)
    figure.colorbar(image, ax=list(axes), label="median residual (mmag)", shrink=0.85)
    return figure


def _map(points: Mapping[str, NDArray], rows: NDArray) -> NDArray:
    """Return the median residual in a grid of `BINS` by `BINS`; NaN where there are no points."""
    edges = np.linspace(-1, 1, BINS + 1)
    x, y, residual = (points[name][rows] for name in ("x", "y", "residual"))
    grid: NDArray = binned_statistic_2d(x, y, residual, "median", bins=[edges, edges]).statistic
    return grid
