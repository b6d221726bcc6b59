"""Depth of the sky: how many frames hold each place, or how deep they go together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from photodb.core.depth import add_up, areas_of_sky, grid_of, stacked_limit
from photodb.core.sky import middle_of, project, unit_vectors

from . import style

MOST_AREAS = 3
MOST_BANDS = 6
WIDEST_DEG = 60.0
Columns = Mapping[str, NDArray]


def depth_figure(frames: Columns, what: str = "frames") -> tuple[Figure, str]:
    """Draw, a row of panels a band and a column a piece of sky, how often or how deep it was observed.

    Parameters
    ----------
    frames : `band` (n,), `ra` and `dec` of the corners (n, 4) deg, `radius` (n,) deg, `limit` (n,) mag, calibrated
    what : 'frames' for their number, 'limit' for the limiting magnitude of all together

    Returns
    -------
    The figure, and what it leaves out (empty for nothing).

    Raises
    ------
    NothingMatched : no frame has a place on the sky, or none a calibrated limit.
    """
    style.need(len(frames["band"]), "no accepted frame has a place on the sky; see 'photodb frame list'")
    told = np.isfinite(frames["limit"])
    if what == "limit":
        style.need(int(told.sum()), "no frame has a calibrated limit; run 'photodb solve'")
        frames = {name: column[told] for name, column in frames.items()}
    area = areas_of_sky(*middle_of(unit_vectors(frames["ra"], frames["dec"]).sum(axis=1)), frames["radius"])
    bands = style.band_order(frames["band"])[:MOST_BANDS]
    areas = range(min(int(area.max()) + 1, MOST_AREAS))
    figure = Figure(figsize=(1.2 + 4.6 * len(areas), 0.5 + 4.0 * len(bands)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(bands), len(areas), squeeze=False)
    for row, band in zip(axes, bands, strict=True):
        for axis, number in zip(row, areas, strict=True):
            _panel(figure, axis, frames, area == number, frames["band"] == band, what, f"{band}: ")
    return figure, _left_out(frames, area, told, what)


def _panel(
    figure: Figure, axis: Axes, frames: Columns, here: NDArray, of_band: NDArray, what: str, name: str
) -> None:
    """Draw one band of one piece of sky on the plane tangent to its middle, which neither a pole nor 0 h disturbs."""
    middle = middle_of(unit_vectors(frames["ra"][here], frames["dec"][here]).sum(axis=(0, 1))[None])
    ra0, dec0 = float(middle[0][0]), float(middle[1][0])
    corners = np.stack(project(frames["ra"], frames["dec"], ra0, dec0), axis=-1)
    near = here & (np.abs(corners).max(axis=(1, 2)) < WIDEST_DEG)  # false for NaN, too: behind the plane
    style.need(
        int(near.sum()), f"the frames reach over more than {WIDEST_DEG:g} deg: choose --camera or --night"
    )
    edges = grid_of(corners[near])
    chosen = near & of_band
    counted = add_up(corners[chosen], np.ones(int(chosen.sum())), *edges)
    if what == "limit":
        values = stacked_limit(corners[chosen], frames["limit"][chosen], *edges)
    else:
        values = np.where(counted > 0.5, np.round(counted), np.nan)
    unit, per_deg = style.plane_unit(float(np.ptp(edges[0])))
    style.plain_axes(axis)
    axis.grid(visible=False)
    axis.set_title(
        f"{name}{int(chosen.sum())} frames at {ra0:.4f} {dec0:+.4f}", fontsize="medium", loc="left"
    )
    style.plane_labels(axis, unit)
    _draw(figure, axis, values, edges[0] * per_deg, edges[1] * per_deg, what)


def _draw(figure: Figure, axis: Axes, values: NDArray, x: NDArray, y: NDArray, what: str) -> None:
    """Colour the cells, dark for much, and explain the colours; nothing is white."""
    axis.set_aspect("equal")
    axis.set_xlim(x[-1], x[0])
    axis.set_ylim(y[0], y[-1])
    good = values[np.isfinite(values)]
    if not good.size:
        axis.text(0.5, 0.5, "nothing", transform=axis.transAxes, ha="center", va="center", color=style.GREY)
        return
    least, most = float(good.min()), float(good.max())
    if what == "frames":
        least, most = 0.0, max(most, 1.0)
    elif most - least < 0.02:
        least, most = least - 0.05, most + 0.05
    mesh = axis.pcolormesh(x, y, values, cmap="viridis_r", vmin=least, vmax=most, rasterized=True)
    bar = figure.colorbar(mesh, ax=axis, shrink=0.85, pad=0.02)
    bar.set_label("frames" if what == "frames" else "limit of all frames together, 5 sigma (mag)")
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.yaxis.set_major_locator(MaxNLocator(6, integer=what == "frames"))


def _left_out(frames: Columns, area: NDArray, told: NDArray, what: str) -> str:
    words = []
    if what == "limit" and not told.all():
        words.append(f"{int((~told).sum())} frames without a calibrated limit")
    if area.max() >= MOST_AREAS:
        n = int((area >= MOST_AREAS).sum())
        words.append(
            f"{int(area.max()) + 1 - MOST_AREAS} further pieces of sky ({n} frames); --camera or --night chooses"
        )
    bands = style.band_order(frames["band"])
    if len(bands) > MOST_BANDS:
        words.append(f"bands {', '.join(bands[MOST_BANDS:])}; --band chooses")
    return "; ".join(words)
