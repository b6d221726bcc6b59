"""Numbers of frames by time: image quality, shifts, zero points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import style

Columns = Mapping[str, NDArray]


@dataclass(frozen=True)
class Panel:
    """One panel: which column, what to call it, its limit and where the wrong side is."""

    column: str
    label: str
    threshold: float | None = None
    inverted: bool = False
    follow_accepted: bool = False  # limits of the accepted frames; rejected ones beyond lie on the edge


def series_figure(frames: Columns, panels: tuple[Panel, ...], title: str) -> Figure:
    """Draw columns of frames by time, a panel each, a colour a camera; rejected frames are crosses.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status` and those of the panels, (n,) each
    """
    frames = with_time(frames)
    figure, axes = style.new_figure(len(panels), panel_height=1.9)
    times = style.time_axis(frames["mjd"])
    cameras = {name: number for number, name in enumerate(np.unique(frames["camera"]))}
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, frames, times.x, panel, cameras)
    camera_legend(axes[0], cameras, bool((frames["status"] == "rejected").any()))
    style.title(figure, title)
    style.draw_time_axis(axes, times)
    return figure


def with_time(frames: Columns) -> dict[str, NDArray]:
    """Keep the frames whose time is known.

    Raises
    ------
    NothingMatched : there are none.
    """
    good = np.isfinite(frames["mjd"])
    style.need(int(good.sum()), "no frame has a known time; see 'photodb frame list'")
    return {name: column[good] for name, column in frames.items()}


def draw_panel(axis: Axes, frames: Columns, x: NDArray, panel: Panel, cameras: Mapping[str, int]) -> None:
    """Draw one column of frames; rejected frames as crosses."""
    values = frames[panel.column]
    accepted = frames["status"] != "rejected"
    size = style.quiet_marker_size(len(values))
    if panel.follow_accepted:
        values = within(values, accepted)
    for name, number in cameras.items():
        draw_series(axis, x, values, (frames["camera"] == name) & accepted, number, size)
        off = (frames["camera"] == name) & ~accepted
        axis.plot(
            x[off],
            values[off],
            ls="",
            marker="x",
            ms=size + 1,
            mew=0.9,
            color=style.colour(number),
            alpha=0.7,
        )
    draw_threshold(axis, panel.threshold)
    axis.set_ylabel(panel.label)
    if panel.inverted:
        axis.invert_yaxis()


def within(values: NDArray, accepted: NDArray[np.bool_]) -> NDArray:
    """Move the values of frames that are not accepted to the range of the accepted ones and half of it more."""
    good = values[accepted & np.isfinite(values)]
    if not len(good):
        return values
    room = 0.5 * float(good.max() - good.min()) or 0.01
    return np.where(accepted, values, np.clip(values, good.min() - room, good.max() + room))


def draw_series(axis: Axes, x: NDArray, values: NDArray, rows: NDArray, number: int, size: float) -> None:
    """Draw the chosen rows of one camera."""
    axis.plot(
        x[rows], values[rows], ls="", marker=style.marker(number), ms=size, mew=0, alpha=0.85,
        color=style.colour(number),
    )  # fmt: skip


def draw_threshold(axis: Axes, threshold: float | None) -> None:
    """Draw a limit and its value."""
    if threshold is None:
        return
    axis.axhline(threshold, color="black", lw=1, ls="--")
    axis.annotate(
        f"limit {threshold:g}", (0.995, threshold), xycoords=("axes fraction", "data"), ha="right",
        va="bottom", fontsize="x-small", bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8},
    )  # fmt: skip


def camera_legend(axis: Axes, cameras: Mapping[str, int], any_rejected: bool) -> None:
    """Name the cameras, and the crosses where there are any."""
    for name, number in cameras.items():
        axis.plot(
            [],
            [],
            ls="",
            marker=style.marker(number),
            color=style.colour(number),
            label=str(name) or "unknown",
        )
    if any_rejected:
        axis.plot([], [], ls="", marker="x", color=style.GREY, label="rejected")
    style.legend_above(axis)
