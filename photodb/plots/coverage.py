"""Where the frames lie on the sky."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from photodb.core.sky import middle_of, project, unit_vectors

from . import style

FILLED = 8
"""Frames of a camera up to which outlines are filled."""
TINY = 0.01
"""Share of the figure below which an outline cannot be seen."""
POLAR_DEG, POLAR_REACH_DEG = 80.0, 60.0
"""Declination that a corner passes, and that all corners pass, where frames are drawn around a pole."""


def coverage_figure(frames: Mapping[str, NDArray]) -> Figure:
    """Draw the outlines of frames in right ascension and declination, a colour a camera; overlap is darker.

    Parameters
    ----------
    frames : `camera` (n,), `ra` and `dec` of the corners (n, 4) in degrees

    Raises
    ------
    NothingMatched : no frame has a place on the sky.
    """
    style.need(len(frames["camera"]), "no accepted frame has a place on the sky; see 'photodb frame list'")
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    style.plain_axes(axis)
    x, y = _polar(axis, frames) if _around_a_pole(frames) else _flat(axis, frames)
    span = max(np.ptp(x), np.ptp(y))
    for number, camera in enumerate(np.unique(frames["camera"])):
        chosen = frames["camera"] == camera
        n = int(chosen.sum())
        _outlines(axis, x[chosen], y[chosen], number, f"{camera}: {n} frame{'' if n == 1 else 's'}", span)
    axis.autoscale_view()
    axis.invert_xaxis()
    style.legend_above(axis)
    return figure


def _around_a_pole(frames: Mapping[str, NDArray]) -> bool:
    """Tell whether all frames lie so near to one pole that right ascension is no axis to draw them along."""
    dec = frames["dec"]
    return bool(
        (np.abs(dec) > POLAR_DEG).any()
        and (np.abs(dec) > POLAR_REACH_DEG).all()
        and np.ptp(np.sign(dec)) == 0
    )


def _polar(axis: Axes, frames: Mapping[str, NDArray]) -> tuple[NDArray, NDArray]:
    """Return the corners on the plane tangent to the middle of all frames, and label the axes so."""
    ra0, dec0 = (
        float(v[0]) for v in middle_of(unit_vectors(frames["ra"], frames["dec"]).sum(axis=(0, 1))[None])
    )
    x, y = project(frames["ra"], frames["dec"], ra0, dec0)
    unit, per_deg = style.plane_unit(float(np.ptp(x)))
    style.plane_labels(axis, unit)
    axis.set_title(f"middle: RA {ra0:.4f} Dec {dec0:+.4f}", fontsize="medium", loc="left")
    axis.set_aspect("equal", adjustable="datalim")
    return x * per_deg, y * per_deg


def _flat(axis: Axes, frames: Mapping[str, NDArray]) -> tuple[NDArray, NDArray]:
    """Return the corners in right ascension, which 0 h does not split, and declination, and label the axes so."""
    middle = float(middle_of(unit_vectors(frames["ra"], frames["dec"]).sum(axis=(0, 1))[None])[0][0])
    axis.set_aspect(1 / max(np.cos(np.radians(np.median(frames["dec"]))), 0.05), adjustable="datalim")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value % 360:.6g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}" if abs(value) <= 90 else ""))
    axis.set_xlabel("right ascension (deg)")
    axis.set_ylabel("declination (deg)")
    return _unbroken((frames["ra"] - middle + 180) % 360 - 180) + middle, frames["dec"]


def _unbroken(ra: NDArray) -> NDArray:
    """Keep the corners of each frame (n, 4) on one side of the line opposite to the middle."""
    return np.where((np.ptp(ra, axis=1) > 180)[:, None] & (ra < 0), ra + 360, ra)


def _outlines(axis: Axes, x: NDArray, y: NDArray, number: int, label: str, span: float) -> None:
    """Draw the edges, fainter the more there are; fill them only where there are few; dots where they are tiny."""
    outlines = list(np.stack([x, y], axis=-1))
    shade = style.colour(number)
    if len(x) <= FILLED:
        axis.add_collection(PolyCollection(outlines, facecolors=shade, alpha=0.15, lw=0))
    edge = max(0.06, min(0.9, 12 / len(x)))
    axis.add_collection(PolyCollection(outlines, facecolors="none", edgecolors=shade, alpha=edge, lw=0.8))
    tiny = np.ptp(y, axis=1) < TINY * span
    axis.plot(
        x[tiny].mean(axis=1),
        y[tiny].mean(axis=1),
        ls="",
        marker="o",
        ms=4,
        mew=0,
        color=shade,
        alpha=max(edge, 0.3),
    )
    axis.plot([], [], marker="s", ls="", color=shade, label=label)
