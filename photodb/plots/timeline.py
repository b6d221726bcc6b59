"""What is known of one position by time: a panel a camera and band, brighter up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from photodb.core.coverwords import EDGE, FORCED, LIMIT, MASKED, MEASURED, OUTSIDE, REJECTED

from . import style

Columns = Mapping[str, NDArray]
MOST_PANELS = 12
STRIP = 0.16
"""Share of a panel's height, at its foot, in which the frames stand that tell no magnitude."""

SIGNIFICANT = 5.0
BRIGHT = "bright"

MARKS = {
    MEASURED: ("o", style.COLOURS[0], "measured"),
    BRIGHT: ("o", style.COLOURS[1], "forced"),
    FORCED: (r"$\downarrow$", style.COLOURS[1], "forced: fainter than"),
    LIMIT: (r"$\downarrow$", style.GREY, "nothing measured: limit"),
    MASKED: ("s", style.COLOURS[4], "masked"),
    EDGE: ("D", style.COLOURS[5], "edge"),
    REJECTED: ("x", style.COLOURS[3], "frame rejected"),
}
IN_STRIP = (MASKED, EDGE, REJECTED)


def timeline_figure(frames: Columns, title: str = "") -> tuple[Figure, str]:
    """Draw measurements, limits (arrows that point down), and what kept the other frames from telling anything.

    Parameters
    ----------
    frames : columns of the answer of `photodb coverage`, (n,) each

    Returns
    -------
    The figure, and what it leaves out (empty for nothing).

    Raises
    ------
    NothingMatched : no frame covers the position.
    """
    kept = (frames["coverage"] != OUTSIDE) & np.isfinite(frames["mjd"])
    frames = {name: column[kept] for name, column in frames.items()}
    style.need(len(frames["mjd"]), "no frame covers the position")
    frames["mark"] = np.where(_forced_bright(frames), BRIGHT, frames["coverage"])
    rows = _rows(frames)
    shown, left = rows[:MOST_PANELS], rows[MOST_PANELS:]
    kept = np.any([_of(frames, row) for row in shown], axis=0)
    frames = {name: column[kept] for name, column in frames.items()}
    figure, axes = style.new_figure(
        len(shown), panel_height=2.6 if len(shown) < 3 else 1.7 if len(shown) < 7 else 1.3
    )
    times = style.time_axis(frames["mjd"])
    mag, calibrated = _magnitudes(frames)
    for axis, row in zip(axes, shown, strict=True):
        _panel(axis, frames, times.x, mag, _of(frames, row))
        unit = " (mag)" if np.isfinite(mag[_of(frames, row)]).any() else ""
        axis.set_ylabel(f"{row[1]}{unit}" + ("\ninstrumental" if unit and not calibrated else ""))
        axis.set_title(row[0], fontsize="small", loc="left", pad=3)
    _legend(axes[0], frames)
    style.title(figure, title)
    style.draw_time_axis(axes, times)
    return (
        figure,
        f"{len(left)} cameras and bands of fewer frames; --camera or --band chooses" if left else "",
    )


def _rows(frames: Columns) -> list[tuple[str, str]]:
    """Return the pairs of camera and band, those of most frames kept and ordered by band and camera."""
    pairs = list(zip(frames["camera"].tolist(), frames["band"].tolist(), strict=True))
    most = sorted(set(pairs), key=lambda pair: (-pairs.count(pair), pair))
    bands = style.band_order(frames["band"])
    order = sorted(most[:MOST_PANELS], key=lambda pair: (bands.index(str(pair[1])), pair[0]))
    return order + most[MOST_PANELS:]


def _of(frames: Columns, row: tuple[str, str]) -> NDArray[np.bool_]:
    return np.asarray((frames["camera"] == row[0]) & (frames["band"] == row[1]))


def _magnitudes(frames: Columns) -> tuple[NDArray, bool]:
    """Return what to draw of each frame: the magnitude, or the limit of what was not seen; NaN for neither.

    Calibrated where any is, else instrumental.
    """
    calibrated = bool(np.isfinite(frames["mag"]).any() or np.isfinite(frames["limit_5sigma"]).any())
    seen = frames["mag"] if calibrated else frames["instrumental_mag"]
    limit = frames["limit_5sigma" if calibrated else "instrumental_limit_5sigma"]
    told = (frames["coverage"] == MEASURED) | _forced_bright(frames)
    unseen = np.isin(frames["coverage"], (FORCED, LIMIT)) & ~told
    return np.where(unseen, limit, np.where(told, seen, np.nan)), calibrated


def _forced_bright(frames: Columns) -> NDArray[np.bool_]:
    """Tell which forced fluxes are no limits: significant, though nothing was detected."""
    with np.errstate(invalid="ignore"):
        return np.asarray((frames["coverage"] == FORCED) & (frames["snr"] >= SIGNIFICANT))


def _panel(axis: Axes, frames: Columns, x: NDArray, mag: NDArray, rows: NDArray[np.bool_]) -> None:
    size = style.quiet_marker_size(int(rows.sum()))
    low, high = _range(frames, mag, rows)
    axis.set_ylim(high + STRIP / (1 - STRIP) * (high - low), low)
    for word, (marker, shade, _) in MARKS.items():
        chosen = rows & (frames["mark"] == word)
        told = chosen & np.isfinite(mag)
        big = 2.4 * size if word in (FORCED, LIMIT) else size
        axis.plot(
            x[told], np.clip(mag[told], low, high), ls="", marker=marker, ms=big, mew=0.3, color=shade, alpha=0.8,
            zorder=3 if word in (MEASURED, BRIGHT) else 2,
        )  # fmt: skip
        if word in (MEASURED, BRIGHT):
            error = np.where(np.isfinite(frames["mag_err"][told]), frames["mag_err"][told], 0)
            inside = (mag[told] >= low) & (mag[told] <= high)
            axis.errorbar(
                x[told][inside], mag[told][inside], yerr=error[inside], fmt="none", ecolor=shade, elinewidth=0.6,
                alpha=0.6,
            )  # fmt: skip
        _strip(axis, x[chosen & ~np.isfinite(mag)], word, size)
    told = bool(np.isfinite(mag[rows]).any())
    axis.set_yticks([t for t in axis.get_yticks() if told and low <= t <= high])
    if told:
        axis.axhline(high + 0.02 * (high - low), color="#bbbbbb", lw=0.6)


def _range(frames: Columns, mag: NDArray, rows: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the bright and the faint end of a panel: of what was measured and of limits; wild ones sit at its edge."""
    seen = rows & np.isin(frames["mark"], (MEASURED, BRIGHT))
    ends = [style.robust_limits(mag[part]) for part in (seen, rows & ~seen) if np.isfinite(mag[part]).any()]
    if not ends:
        return 0.0, 1.0
    return min(low for low, _ in ends), max(high for _, high in ends)


def _strip(axis: Axes, x: NDArray, word: str, size: float) -> None:
    """Draw frames that tell no magnitude at the foot of the panel, each kind at a height of its own."""
    marker, shade, _ = MARKS[word]
    height = STRIP * (0.2 + 0.3 * IN_STRIP.index(word) if word in IN_STRIP else 0.5)
    axis.plot(
        x, np.full(len(x), height), ls="", marker=marker, ms=size, mew=0.8 if marker == "x" else 0, color=shade,
        transform=axis.get_xaxis_transform(),
    )  # fmt: skip


def _legend(axis: Axes, frames: Columns) -> None:
    for word, (marker, shade, text) in MARKS.items():
        n = int((frames["mark"] == word).sum())
        if n:
            axis.plot([], [], ls="", marker=marker, color=shade, label=f"{text} ({n})")
    style.legend_above(axis, columns=3)
