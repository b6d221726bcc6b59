"""Numbers of frames by time: image quality, shifts, zero points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import style

Columns = Mapping[str, NDArray]
Limit = float | NDArray | None
"""One limit, one a frame (NaN for none), or none."""

REASON_MARKERS: dict[str, tuple[Any, str]] = {
    "qa": ("x", "rejected: quality"),
    "shift": ("+", "rejected: shift"),
    "by_hand": ((6, 2, 0), "rejected: by hand"),
}
OTHER_REASON = ("1", "rejected: other")
BEYOND = "beyond the limit"


@dataclass(frozen=True)
class Panel:
    """One panel: which column, what to call it, its limit and where the wrong side is."""

    column: str
    label: str
    limit: Limit = None
    low: bool = False  # whether low values are the wrong ones
    unit: str = ""
    inverted: bool = False
    follow_accepted: bool = False  # limits of the accepted frames; rejected ones beyond lie on the edge
    lines: bool = False  # whether the frames of a camera and night are joined


def series_figure(
    frames: Columns, panels: Sequence[Panel], title: str, beyond: Mapping[str, NDArray] | None = None
) -> Figure:
    """Draw columns of frames by time, a panel each, a colour and a marker a camera; rejected frames by their reason.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status`, those of the panels, and where known `reason_code`, (n,) each
    beyond : frames (n,) to ring in a panel besides those beyond its own limit, by its column
    """
    frames, panels, beyond = timed(frames, panels, beyond or {})
    figure, axes = style.new_figure(len(panels), panel_height=1.9)
    times = style.time_axis(frames["mjd"])
    cameras = numbers_of(frames)
    ringed = False
    for axis, panel in zip(axes, panels, strict=True):
        ringed |= draw_panel(axis, frames, times, panel, cameras, beyond.get(panel.column))
    camera_legend(axes[0], cameras, frames, ringed)
    style.title(figure, title)
    style.draw_time_axis(axes, times)
    return figure


def numbers_of(frames: Columns) -> dict[str, int]:
    """Number the cameras by name."""
    return {str(name): number for number, name in enumerate(np.unique(frames["camera"]))}


def timed(
    frames: Columns, panels: Sequence[Panel], beyond: Mapping[str, NDArray]
) -> tuple[dict[str, NDArray], list[Panel], dict[str, NDArray]]:
    """Keep the frames whose time is known, and what belongs to them.

    Raises
    ------
    NothingMatched : there are none.
    """
    good = np.isfinite(frames["mjd"])
    style.need(int(good.sum()), "no frame has a known time; see 'photodb frame list'")
    kept = [Panel(**{**p.__dict__, "limit": limit_of(p.limit, good)}) for p in panels]
    return (
        {name: column[good] for name, column in frames.items()},
        kept,
        {name: rows[good] for name, rows in beyond.items()},
    )


def limit_of(limit: Limit, rows: NDArray) -> Limit:
    """Return the limit of some of the frames."""
    return limit[rows] if isinstance(limit, np.ndarray) else limit


def draw_panel(
    axis: Axes,
    frames: Columns,
    times: style.TimeAxis,
    panel: Panel,
    cameras: Mapping[str, int],
    beyond: NDArray | None = None,
) -> bool:
    """Draw one column of frames, rejected ones by their reason; return whether one lies beyond the limit."""
    values, x = frames[panel.column], times.x
    accepted = frames["status"] != "rejected"
    size = style.quiet_marker_size(len(values))
    if panel.follow_accepted:
        values = within(values, accepted)
    for name, number in cameras.items():
        mine = frames["camera"] == name
        if panel.lines:
            _join(axis, times, values, mine, style.colour(number))
        draw_series(axis, x, values, mine & accepted, number, size)
        draw_rejected(axis, x, values, frames, mine & ~accepted, style.colour(number), size)
    ringed = draw_beyond(axis, x, values, panel, beyond, size)
    draw_limit(axis, frames, times, panel.limit, panel.low, panel.unit, cameras)
    axis.set_ylabel(panel.label)
    if panel.inverted:
        axis.invert_yaxis()
    return ringed


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


def draw_rejected(
    axis: Axes, x: NDArray, values: NDArray, frames: Columns, rows: NDArray, colour: str, size: float
) -> None:
    """Draw the chosen rejected frames, a marker a kind of reason."""
    for marker, chosen, _ in reasons_of(frames, rows):
        axis.plot(
            x[chosen], values[chosen], ls="", marker=marker, ms=size + 2.5, mew=0.9, color=colour, alpha=0.9
        )  # fmt: skip


def reasons_of(frames: Columns, rows: NDArray) -> list[tuple[Any, NDArray[np.bool_], str]]:
    """Return marker, rows (n,) and name of each kind of reason among the chosen frames."""
    codes = frames.get("reason_code")
    if codes is None:
        return [("x", rows, "rejected")] if rows.any() else []
    known = [(mark, rows & (codes == code), text) for code, (mark, text) in REASON_MARKERS.items()]
    mark, text = OTHER_REASON
    known.append((mark, rows & ~np.isin(codes, list(REASON_MARKERS)), text))
    return [(mark, chosen, text) for mark, chosen, text in known if chosen.any()]


def draw_beyond(
    axis: Axes, x: NDArray, values: NDArray, panel: Panel, more: NDArray | None, size: float
) -> bool:
    """Ring the frames beyond the limit of a panel; return whether there is one."""
    beyond = np.zeros(len(x), bool) if more is None else more.copy()
    if panel.limit is not None:
        with np.errstate(invalid="ignore"):
            beyond |= values < panel.limit if panel.low else values > panel.limit
    beyond &= np.isfinite(values)
    axis.plot(x[beyond], values[beyond], ls="", marker="o", ms=size + 5, mew=0.8, mfc="none", mec="black")
    return bool(beyond.any())


def _join(axis: Axes, times: style.TimeAxis, values: NDArray, rows: NDArray, colour: str) -> None:
    """Join the chosen frames by a thin line, night by night."""
    for start, end in zip(times.starts, times.ends, strict=True):
        chosen = np.flatnonzero(rows & (times.x >= start) & (times.x <= end) & np.isfinite(values))
        chosen = chosen[np.argsort(times.x[chosen])]
        axis.plot(times.x[chosen], values[chosen], "-", lw=0.6, alpha=0.5, color=colour)


def draw_limit(
    axis: Axes, frames: Columns, times: style.TimeAxis, limit: Limit, low: bool, unit: str,
    cameras: Mapping[str, int],
) -> None:  # fmt: skip
    """Draw a limit and its value with its unit; limits that differ are drawn over the nights that they hold for."""
    if limit is None:
        return
    if isinstance(limit, np.ndarray):
        values = np.unique(limit[np.isfinite(limit)])
        if len(values) != 1 or not np.isfinite(limit).all():
            _limits_by_night(axis, frames, times, limit, cameras)
            return
        limit = float(values[0])
    axis.axhline(limit, color="black", lw=1, ls="--")
    number = f"{limit:.0f}" if 1000 <= abs(limit) < 1e6 else f"{limit:.4g}"
    told = f"{'≥' if low else '≤'} {number}" + (f"\n{unit}" if unit else "")
    axis.annotate(
        told, (1.005, limit), xycoords=("axes fraction", "data"), ha="left", va="center", fontsize="x-small"
    )  # fmt: skip


def _limits_by_night(
    axis: Axes, frames: Columns, times: style.TimeAxis, limit: NDArray, cameras: Mapping[str, int]
) -> None:
    pad = style.NIGHT_GAP / 4
    for name, number in cameras.items():
        for start, end in zip(times.starts, times.ends, strict=True):
            rows = (frames["camera"] == name) & (times.x >= start) & (times.x <= end) & np.isfinite(limit)
            for value in np.unique(limit[rows]):
                x = times.x[rows & (limit == value)]
                axis.hlines(value, x.min() - pad, x.max() + pad, colors=style.colour(number), lw=1.2, ls="--")


def camera_legend(axis: Axes, cameras: Mapping[str, int], frames: Columns, ringed: bool) -> None:
    """Name the cameras, the marks of rejected frames and the rings, those that there are."""
    for name, number in cameras.items():
        axis.plot(
            [], [], ls="", marker=style.marker(number), color=style.colour(number), label=name or "unknown"
        )  # fmt: skip
    for marker, _, text in reasons_of(frames, frames["status"] == "rejected"):
        axis.plot([], [], ls="", marker=marker, color=style.GREY, label=text)
    if ringed:
        axis.plot([], [], ls="", marker="o", mfc="none", mec="black", label=BEYOND)
    style.legend_above(axis)
