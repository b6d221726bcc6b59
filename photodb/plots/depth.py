"""Depth of the sky: how many frames hold each place, or how deep they go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    middle = middle_of(unit_vectors(frames["ra"], frames["dec"]).sum(axis=1))
    area = areas_of_sky(*middle, np.nan_to_num(frames["radius"]))
    bands = style.band_order(frames["band"])[:MOST_BANDS]
    pieces = [_piece(frames, area == number) for number in range(min(int(area.max()) + 1, MOST_AREAS))]
    high = 0.9 + 3.6 * max(p.shape for p in pieces)
    figure = Figure(figsize=(0.6 + 5.0 * len(pieces), 0.2 + high * len(bands)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(bands), len(pieces), squeeze=False)
    for row, band in zip(axes, bands, strict=True):
        for axis, piece in zip(row, pieces, strict=True):
            _panel(figure, axis, piece, frames, band, what)
    drawn = np.any([piece.holds for piece in pieces], axis=0)
    return figure, _left_out(frames, area, told, drawn, what)


@dataclass(frozen=True)
class Piece:
    """A piece of sky on the plane tangent to its middle, which neither a pole nor 0 h disturbs."""

    ra: float  # deg, of the middle
    dec: float
    corners: NDArray[np.float64]  # (n, 4, 2) deg, of all frames
    holds: NDArray[np.bool_]  # (n,) frames that belong to it
    x: NDArray[np.float64]  # edges of the cells, deg
    y: NDArray[np.float64]

    @property
    def shape(self) -> float:
        """Height over width, within what a page bears."""
        return float(np.clip(np.ptp(self.y) / np.ptp(self.x), 0.3, 1.5))


def _piece(frames: Columns, here: NDArray[np.bool_]) -> Piece:
    """Lay some frames on a plane; those too far from their middle are left out."""
    middle = middle_of(unit_vectors(frames["ra"][here], frames["dec"][here]).sum(axis=(0, 1))[None])
    ra, dec = float(middle[0][0]), float(middle[1][0])
    corners = np.stack(project(frames["ra"], frames["dec"], ra, dec), axis=-1)
    near = here & (np.abs(corners).max(axis=(1, 2)) < WIDEST_DEG)  # false for NaN, too: behind the plane
    style.need(
        int(near.sum()), f"the frames reach over more than {WIDEST_DEG:g} deg: choose --camera or --night"
    )
    return Piece(ra, dec, corners, near, *grid_of(corners[near]))


def _panel(figure: Figure, axis: Axes, piece: Piece, frames: Columns, band: str, what: str) -> None:
    """Draw one band of one piece of sky."""
    chosen = piece.holds & (frames["band"] == band)
    n = int(chosen.sum())
    counted = add_up(piece.corners[chosen], np.ones(n), piece.x, piece.y)
    if what == "limit":
        values = stacked_limit(piece.corners[chosen], frames["limit"][chosen], piece.x, piece.y)
    else:
        values = np.where(counted > 0.5, np.round(counted), np.nan)
    unit, per_deg = style.plane_unit(float(np.ptp(piece.x)))
    style.plain_axes(axis)
    axis.grid(visible=False)
    where = f"{piece.ra:.4f} {piece.dec:+.4f}"
    axis.set_title(f"{band}: {n} frame{'' if n == 1 else 's'} at {where}", fontsize="medium", loc="left")
    style.plane_labels(axis, unit)
    _draw(figure, axis, values, piece.x * per_deg, piece.y * per_deg, what)


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
    bar = figure.colorbar(mesh, cax=axis.inset_axes((1.03, 0.0, 0.04, 1.0)))
    bar.set_label("frames" if what == "frames" else "5 sigma limit (mag)")
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.yaxis.set_major_locator(MaxNLocator(6, integer=what == "frames"))


def _left_out(frames: Columns, area: NDArray, told: NDArray, drawn: NDArray, what: str) -> str:
    """Say which frames are not drawn, and how to have them drawn."""
    words = []
    if what == "limit" and not told.all():
        words.append(f"{int((~told).sum())} frames without a calibrated limit")
    if area.max() >= MOST_AREAS:
        n = int((area >= MOST_AREAS).sum())
        words.append(
            f"{int(area.max()) + 1 - MOST_AREAS} further pieces of sky ({n} frames); --camera or --night chooses"
        )
    far = int((~drawn & (area < MOST_AREAS)).sum())
    if far:
        words.append(
            f"{far} frames more than {WIDEST_DEG:g} deg from the others; --camera or --night chooses"
        )
    bands = style.band_order(frames["band"])
    if len(bands) > MOST_BANDS:
        words.append(f"bands {', '.join(bands[MOST_BANDS:])}; --band chooses")
    return "; ".join(words)
