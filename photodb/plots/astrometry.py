"""How well frames lie on the sky: residuals of one frame, or of many by time and over the frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy.stats import binned_statistic_2d

from . import style

Columns = Mapping[str, NDArray]
KINDS = ("catalogue", "frames", "header", "approximate", "none")
CELLS = 8
"""Boxes along each axis of the map of mean residuals."""
LONGEST = 0.1
"""Length of the longest usual arrow, as a share of the frame."""
SHORTENED = 2.0
"""Arrows of more than so many usual lengths are drawn so long, with a ring at their end."""
FEWEST = 3
"""Matches that a box of the map needs."""
KEY_Y = -40
"""Height of the arrow that tells the scale, points above the panel's foot."""
USED, CLIPPED = style.colour(0), style.colour(1)


def frame_figure(matches: Columns, told: Mapping[str, Any]) -> Figure:
    """Draw the residuals of one frame: as arrows over the frame, and on the sky with the circle of their rms.

    Parameters
    ----------
    matches : columns `x`, `y` (px), `dx`, `dy` (px), `dra`, `ddec` (arcsec), `used`, (n,) each
    told : `nx`, `ny`, `astrometry`, `catalogue`, `astrom_rms_arcsec`, `path` of the frame

    Raises
    ------
    NothingMatched : there are no matches.
    """
    style.need(
        len(matches["x"]), f"the frame's place ({told['astrometry']}) was found without matching stars"
    )
    share = float(np.clip(told["ny"] / told["nx"], 0.5, 1.6))
    figure = Figure(figsize=(10.4, 1.1 + 4.5 * max(share, 0.9)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _arrows(left, matches, told)
    _cloud(right, matches, told)
    name = str(told["path"]).rsplit("/", 1)[-1]
    by = f"{told['astrometry']} {told['catalogue']}".strip()
    style.title(figure, f"{name}: placed by {by}, {told['n_used']} stars used, {told['n_clipped']} left out")
    return figure


def _arrows(axis: Axes, matches: Columns, told: Mapping[str, Any]) -> None:
    """Draw measured minus expected over the frame, enlarged; the key tells by how much."""
    style.plain_axes(axis)
    length = np.hypot(matches["dx"], matches["dy"])
    used = matches["used"].astype(bool)
    usual = float(np.nanpercentile(length[used] if used.any() else length, 90)) or 0.01
    factor = min(LONGEST, 1.2 / np.sqrt(len(length))) * max(told["nx"], told["ny"]) / usual
    shrink = np.minimum(1.0, SHORTENED * usual / np.maximum(length, 1e-9))
    for rows, colour, label in ((~used, CLIPPED, "left out"), (used, USED, "used")):
        if not rows.any():
            continue
        dx, dy = (factor * (matches[name] * shrink)[rows] for name in ("dx", "dy"))
        x, y = matches["x"][rows], matches["y"][rows]
        axis.plot(x, y, ".", color=colour, markersize=3, label=f"{label} ({int(rows.sum())})")
        drawn = axis.quiver(
            x, y, dx, dy, angles="xy", scale_units="xy", scale=1, color=colour, width=0.0035,
            headwidth=3.5, headlength=4, headaxislength=3.6, clip_on=False, zorder=3,
        )  # fmt: skip
        drawn.set_in_layout(False)
    cut = shrink < 1
    if cut.any():
        ends = (matches[v][cut] + factor * (matches[f"d{v}"] * shrink)[cut] for v in ("x", "y"))
        axis.plot(
            *ends, "o", markersize=6, markerfacecolor="white", markeredgecolor="black", clip_on=False, zorder=4,
            label=f"longer: up to {np.nanmax(length):.2g} px",
        )  # fmt: skip
    _scale_arrow(axis, told, factor, usual)
    axis.set(xlim=(-0.5, told["nx"] - 0.5), ylim=(-0.5, told["ny"] - 0.5), xlabel="x (px)", ylabel="y (px)")
    axis.set_aspect("equal", anchor="N")
    style.legend_above(axis)


def _scale_arrow(axis: Axes, told: Mapping[str, Any], factor: float, usual: float) -> None:
    """Draw an arrow of a round length below the frame, left of the axis' label, and say what it stands for."""
    step = 10.0 ** np.floor(np.log10(usual))
    size = float(max(m * step for m in (1, 2, 5) if m * step <= usual))
    arcsec = f", {size * told['pixel_scale']:.2g} arcsec" if told.get("pixel_scale") else ""
    long = factor * size / told["nx"]
    where = ("axes fraction", "axes points")
    style_of = {"arrowstyle": "-|>", "color": "black", "shrinkA": 0, "shrinkB": 0, "linewidth": 1.2}
    axis.annotate(
        "", xy=(long, KEY_Y), xytext=(0, KEY_Y), xycoords=where, textcoords=where, arrowprops=style_of
    )
    axis.annotate(
        f"{size:.2g} px{arcsec}",
        (long + 0.015, KEY_Y),
        xycoords=where,
        va="center",
        fontsize="small",
        annotation_clip=False,
    )


def _cloud(axis: Axes, matches: Columns, told: Mapping[str, Any]) -> None:
    """Draw the residuals on the sky, east to the left."""
    style.plain_axes(axis)
    used = matches["used"].astype(bool)
    dra, ddec = matches["dra"], matches["ddec"]
    rms = told.get("astrom_rms_arcsec")
    rms = float(rms) if rms is not None and np.isfinite(rms) else float("nan")
    reach = np.hypot(dra, ddec)[used]
    limit = 1.25 * float(np.nanmax(reach)) if len(reach) and np.isfinite(reach).any() else 1.0
    limit = max(limit, 1.3 * rms if np.isfinite(rms) else 0.0)
    beyond = np.hypot(dra, ddec) > limit
    for rows, colour, marker in ((used, USED, "o"), (~used & ~beyond, CLIPPED, "x")):
        axis.plot(
            dra[rows], ddec[rows], marker, color=colour, markersize=style.quiet_marker_size(len(dra)) + 1
        )
    if np.isfinite(rms):
        axis.add_patch(Circle((0, 0), rms, fill=False, color="black", linewidth=1.0, linestyle="--"))
        axis.plot([], [], "--", color="black", label=f"rms {rms:.3g} arcsec")
    far = int((~used & beyond).sum())
    if far:
        axis.plot([], [], "x", color=CLIPPED, label=f"{far} left out lie beyond")
    axis.axhline(0, color=style.GREY, linewidth=0.8)
    axis.axvline(0, color=style.GREY, linewidth=0.8)
    axis.set(xlim=(limit, -limit), ylim=(-limit, limit))
    axis.locator_params(nbins=5)
    axis.set_xlabel(r"$\Delta$RA cos Dec (arcsec), measured minus catalogue")
    axis.set_ylabel(r"$\Delta$Dec (arcsec)")
    axis.set_aspect("equal", anchor="N")
    style.legend_above(axis)


def frames_figure(frames: Columns, points: Columns) -> Figure:
    """Draw the residual rms of frames by time, and the median residuals of each camera over the frame.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `astrometry`, `astrom_rms_arcsec`, (n,) each
    points : columns `x`, `y` (scaled to [-1, 1]), `dx`, `dy` (px), `camera`, (m,) each

    Raises
    ------
    NothingMatched : no frame has a residual.
    """
    told = np.isfinite(frames["astrom_rms_arcsec"]) & np.isfinite(frames["mjd"])
    style.need(int(told.sum()), "no frame was placed by stars; see 'photodb astrometry solve'")
    cameras = [str(c) for c in np.unique(frames["camera"])]
    maps = [c for c in cameras if (points["camera"] == c).any()]
    columns = min(3, max(len(maps), 1))
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(max(8.0, 0.6 + 3.6 * columns), 3.4 + 3.7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[3.0, *[3.7] * rows])
    top = figure.add_subplot(grid[0, :])
    _by_time(top, {name: column[told] for name, column in frames.items()}, cameras, int((~told).sum()))
    for k, camera in enumerate(maps):
        axis = figure.add_subplot(grid[1 + k // columns, k % columns])
        _mean_arrows(axis, points, points["camera"] == camera, camera)
    style.title(figure, f"residuals of the astrometry: {int(told.sum())} frames")
    return figure


def _by_time(axis: Axes, frames: Columns, cameras: list[str], n_without: int) -> None:
    """Draw the rms of each frame: the colour tells what placed it, the marker the camera."""
    style.plain_axes(axis)
    times = style.time_axis(frames["mjd"])
    size = style.quiet_marker_size(len(times.x)) + 0.5
    for number, camera in enumerate(cameras):
        for k, kind in enumerate(KINDS):
            rows = (frames["camera"] == camera) & (frames["astrometry"] == kind)
            axis.plot(
                times.x[rows], frames["astrom_rms_arcsec"][rows], style.marker(number), color=style.colour(k),
                markersize=size, linestyle="none",
            )  # fmt: skip
    kinds = [(k, kind) for k, kind in enumerate(KINDS) if (frames["astrometry"] == kind).any()]
    handles = [
        Line2D([], [], marker="s", linestyle="none", color=style.colour(k), label=kind) for k, kind in kinds
    ]
    handles += [
        Line2D([], [], marker=style.marker(n), linestyle="none", color=style.GREY, label=camera)
        for n, camera in enumerate(cameras)
    ]
    axis.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=min(len(handles), 5), frameon=False,
        fontsize="small", borderaxespad=0.2, handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip
    axis.set_ylim(0.0, style.robust_limits(frames["astrom_rms_arcsec"])[1])
    axis.set_ylabel("residual rms (arcsec)")
    if n_without:
        told = f"{n_without} frames placed without stars are not drawn"
        axis.text(0.01, 0.97, told, transform=axis.transAxes, va="top", fontsize="small", color="#555555")
    style.draw_time_axis([axis], times)


def _mean_arrows(axis: Axes, points: Columns, mine: NDArray, camera: str) -> None:
    """Draw the median residual in boxes over the detector: what the fits of all frames leave there."""
    style.plain_axes(axis)
    edges = np.linspace(-1, 1, CELLS + 1)
    x, y = points["x"][mine], points["y"][mine]
    n = binned_statistic_2d(x, y, None, "count", bins=[edges, edges]).statistic
    dx, dy = (
        binned_statistic_2d(x, y, points[name][mine], "median", bins=[edges, edges]).statistic
        for name in ("dx", "dy")
    )
    middle = (edges[1:] + edges[:-1]) / 2
    gx, gy = np.meshgrid(middle, middle, indexing="ij")
    length = np.hypot(dx, dy)
    known = np.isfinite(length) & (n >= FEWEST)
    usual = float(np.percentile(length[known], 90)) if known.any() else 0.0
    factor = (2.0 / CELLS) * 0.8 / (usual or 1.0)
    axis.plot(gx[known], gy[known], ".", color=style.GREY, markersize=2)
    axis.quiver(
        gx[known], gy[known], factor * dx[known], factor * dy[known], angles="xy", scale_units="xy", scale=1,
        color=USED, width=0.008, headwidth=3.5, headlength=4, headaxislength=3.6,
    )  # fmt: skip
    axis.set_title(f"{camera}: {int(mine.sum())} matches", fontsize="small", loc="left")
    axis.set_xlabel(
        f"x, scaled to the frame\nan arrow of a box's width: {1.25 * usual:.2g} px", fontsize="small"
    )
    axis.set_ylabel("y, scaled", fontsize="small")
    axis.set(xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), xticks=edges[::2], yticks=edges[::2])
    axis.tick_params(labelsize="small")
    axis.set_aspect("equal")
