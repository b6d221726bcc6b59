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

from photodb.core.sky import unit_vectors

from . import style

FILLED = 8
"""Frames of a camera up to which outlines are filled."""


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
    middle = _middle(frames["ra"], frames["dec"])
    ra = (frames["ra"] - middle + 180) % 360 - 180 + middle
    for number, camera in enumerate(np.unique(frames["camera"])):
        chosen = frames["camera"] == camera
        _outlines(axis, ra[chosen], frames["dec"][chosen], number, f"{camera}: {int(chosen.sum())} frames")
    axis.set_aspect(1 / max(np.cos(np.radians(np.median(frames["dec"]))), 0.05), adjustable="datalim")
    axis.autoscale_view()
    axis.invert_xaxis()
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value % 360:.6g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axis.set_xlabel("right ascension (deg)")
    axis.set_ylabel("declination (deg)")
    style.legend_above(axis)
    return figure


def _middle(ra: NDArray, dec: NDArray) -> float:
    """Return the right ascension around which the frames lie, so that 0 h splits no field."""
    x, y, _ = unit_vectors(ra.ravel(), dec.ravel()).mean(axis=0)
    return float(np.degrees(np.arctan2(y, x))) % 360


def _outlines(axis: Axes, ra: NDArray, dec: NDArray, number: int, label: str) -> None:
    """Draw the edges, fainter the more there are; fill them only where there are few."""
    outlines = list(np.stack([ra, dec], axis=-1))
    shade = style.colour(number)
    if len(ra) <= FILLED:
        axis.add_collection(PolyCollection(outlines, facecolors=shade, alpha=0.15, lw=0))
    edge = max(0.06, min(0.9, 12 / len(ra)))
    axis.add_collection(PolyCollection(outlines, facecolors="none", edgecolors=shade, alpha=edge, lw=0.8))
    axis.plot([], [], marker="s", ls="", color=shade, label=label)
