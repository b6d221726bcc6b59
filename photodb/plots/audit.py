"""Two telescopes on common sources: by magnitude, colour, night, over their detectors, and on the sky."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from photodb.core.audit import BandAudit, PairAudit, Thresholds, words
from photodb.core.auditmap import FieldMap
from photodb.core.auditstars import Slope
from photodb.core.groupmeans import group_medians
from photodb.core.robust import MAD_TO_SIGMA

from . import style

MAX_BLOCKS = 6
"""Pairs and bands in one figure."""

MAX_DRAWN = 5000
"""Sources drawn in a panel; more would be a blot."""

STEPS = 10
"""Running medians along magnitude and colour."""

MIN_STEP = 5
LEAST_SPAN = 2.0  # mmag to both sides: what is less is no news
TITLE_WIDTH = 125  # characters


def audit_figure(pairs: Sequence[PairAudit], limits: Thresholds | None = None) -> Figure:
    """Draw a block of six panels for each pair and band, at most `MAX_BLOCKS`.

    Raises
    ------
    NothingMatched : there is no pair.
    """
    blocks: list[tuple[PairAudit, BandAudit | None]] = [
        (p, band) for p in pairs for band in p.bands or (None,)
    ]
    style.need(len(blocks), "no two telescopes with common sources")
    drawn = blocks[:MAX_BLOCKS]
    figure = Figure(figsize=(9.6, 6.4 * len(drawn)), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(drawn), 1, hspace=0.04, squeeze=False).ravel()
    for part, (pair, band) in zip(parts, drawn, strict=True):
        _block(part, pair, band, limits or Thresholds())
    return figure


def _block(part: SubFigure, pair: PairAudit, band: BandAudit | None, limits: Thresholds) -> None:
    """Draw one pair in one band."""
    what = f"{pair.a} minus {pair.b}" + (f", band {band.band}" if band else ", positions only")
    text = textwrap.fill(f"{what}: {words(pair, band, limits)}", TITLE_WIDTH)
    part.suptitle(text, x=0.01, ha="left", fontsize="medium", parse_math=False)
    axes = part.subplots(2, 3)
    for axis in axes.ravel()[:4]:
        style.plain_axes(axis)
    _places(axes[0, 2], pair)
    if band is None:
        for axis in (axes[0, 0], axes[0, 1], *axes[1]):
            _absent(axis, "no band in common")
        return
    _magnitudes(axes[0, :2], band)
    _nights(axes[1, 0], band)
    _maps(part, axes[1, 1:], pair, band)


def _magnitudes(axes: NDArray, band: BandAudit) -> None:
    """Draw differences against magnitude and colour, each with the slope of the other taken off."""
    stars, found = band.stars, band.found
    value, mag, colour = 1000 * stars.difference, stars.mag, np.asarray(stars.colour)
    both = np.isfinite(found.by_colour.value) and np.isfinite(found.by_mag.value)
    known = np.isfinite(colour)
    label = "A - B (mmag)"
    if both:
        less = 1000 * found.by_colour.value * (colour - found.by_colour.pivot)
        rest = f"{label}, colour taken off"
        _against(axes[0], mag[known], (value - less)[known], found.by_mag, found.offset, rest)
    else:
        _against(axes[0], mag, value, found.by_mag, found.offset, label)
    axes[0].set_xlabel(f"magnitude ({band.band})", parse_math=False)
    if not known.any():
        _absent(axes[1], "no colours of these sources")
        return
    less = 1000 * found.by_mag.value * (mag - found.by_mag.pivot) if both else np.zeros(len(mag))
    rest = f"{label}, slope taken off" if both else label
    _against(axes[1], colour[known], (value - less)[known], found.by_colour, found.offset, rest)
    axes[1].set_xlabel(f"colour {band.colour} (mag)", parse_math=False)


def _against(axis: Axes, x: NDArray, value: NDArray, slope: Slope, offset: float, label: str) -> None:
    """Draw differences against something, their running median and the fitted line."""
    some = slice(None, None, max(1, len(x) // MAX_DRAWN))
    size = style.quiet_marker_size(len(x[some]))
    axis.plot(x[some], value[some], "o", ms=size, mec="none", color=style.GREY, alpha=0.6)
    axis.axhline(0, color="black", linewidth=0.8)
    if np.isfinite(slope.value) and np.isfinite(offset):
        ends = np.percentile(x, [1, 99])
        line = 1000 * (offset + slope.value * (ends - slope.pivot))
        axis.plot(ends, line, color=style.colour(1), linewidth=1.5, zorder=4)
    middle, median, error = _running(x, value)
    axis.errorbar(middle, median, error, fmt="s", ms=4, color=style.colour(0), linewidth=1.2, zorder=5)
    axis.set_ylim(*style.robust_limits(value))
    axis.set_ylabel(label)


def _running(x: NDArray, value: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return places, medians and their errors in steps of equal numbers of sources."""
    steps = max(1, min(STEPS, len(x) // (2 * MIN_STEP)))
    step = (np.argsort(np.argsort(x, kind="stable")) * steps) // max(len(x), 1)
    count = np.bincount(step, minlength=steps)
    median = group_medians(value, step, steps)
    spread = MAD_TO_SIGMA * group_medians(np.abs(value - median[step]), step, steps)
    return group_medians(x, step, steps), median, 1.2533 * spread / np.sqrt(np.maximum(count, 1))


def _nights(axis: Axes, band: BandAudit) -> None:
    """Draw the offset of each night; hollow where only one of the two observed."""
    nights = band.nights
    if not len(nights):
        _absent(axis, "too few points a frame")
        return
    position = np.arange(len(nights))
    shared = (nights.frames_a > 0) & (nights.frames_b > 0)
    for rows, face in ((shared, style.colour(0)), (~shared, "white")):
        axis.errorbar(
            position[rows], 1000 * nights.offset[rows], 1000 * nights.offset_err[rows], fmt="o", ms=5,
            color=style.colour(0), mfc=face, linewidth=1.2,
        )  # fmt: skip
    if np.isfinite(band.found.offset):
        axis.axhline(1000 * band.found.offset, color=style.colour(1), linewidth=1.5, zorder=1)
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, (low + high) / 2 - LEAST_SPAN), max(high, (low + high) / 2 + LEAST_SPAN))
    shown = sorted({0, len(nights) - 1})
    axis.set_xticks(position[shown], [style.date_of(float(nights.night[i])) for i in shown])
    axis.set_xlim(-0.7, len(nights) - 0.3)
    axis.grid(axis="x", visible=False)
    axis.set_xlabel("night (hollow: only one of the two)" if not shared.all() else "night")
    axis.set_ylabel("A - B (mmag)")


def _maps(part: SubFigure, axes: NDArray, pair: PairAudit, band: BandAudit) -> None:
    """Draw the map over a detector of each side: of the camera whose map is the least flat."""
    cameras = _worst(band)
    limit = max((float(np.percentile(np.abs(seen.cells.difference), 95)) for _, seen in cameras), default=0.0)
    limit = 1000 * max(limit, 0.001)
    image: AxesImage | None = None
    for axis, (camera, seen) in zip(axes, cameras):
        grid = np.full((seen.bins, seen.bins), np.nan)
        grid[seen.cells.row, seen.cells.column] = 1000 * seen.cells.difference
        image = axis.imshow(
            grid,
            origin="lower",
            extent=(-1, 1, -1, 1),
            cmap="PuOr_r",
            vmin=-limit,
            vmax=limit,
            aspect="equal",
        )
        axis.set_title(textwrap.shorten(camera, 28, placeholder="..."), fontsize="medium", parse_math=False)
        axis.set_xticks([-1, 0, 1])
        axis.set_yticks([-1, 0, 1])
        axis.set_xlabel("x over the detector")
    for axis in axes[len(cameras) :]:
        _absent(axis, "too few sources for a map")
    if image is not None:
        axes[0].set_ylabel("y over the detector")
        part.colorbar(
            image, ax=list(axes[: len(cameras)]), label="A - B - mean (mmag)", shrink=0.8, aspect=14
        )


def _worst(band: BandAudit) -> list[tuple[str, FieldMap]]:
    """Return the two maps that are the least flat, in their order."""
    told = [(name, seen) for name, seen in band.maps.items() if len(seen.cells)]
    kept = sorted(told, key=lambda item: np.nan_to_num(item[1].p, nan=1.0))[:2]
    return [item for item in told if item[0] in {name for name, _ in kept}]


def _places(axis: Axes, pair: PairAudit) -> None:
    """Draw the differences of positions, with their mean."""
    found, place = pair.places, pair.place
    if not len(found):
        _absent(axis, "no positions in common")
        return
    some = slice(None, None, max(1, len(found) // MAX_DRAWN))
    size = style.quiet_marker_size(len(found.east[some]))
    axis.plot(found.east[some], found.north[some], "o", ms=size, mec="none", color=style.GREY, alpha=0.6)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.axvline(0, color="black", linewidth=0.8)
    if np.isfinite(place.east):
        axis.errorbar(
            place.east,
            place.north,
            place.north_err,
            place.east_err,
            fmt="s",
            ms=5,
            color=style.colour(1),
            zorder=5,
        )
    limits = np.array([style.robust_limits(np.append(v, 0.0)) for v in (found.east, found.north)])
    reach = float(np.abs(limits).max())
    axis.set_xlim(reach, -reach)
    axis.set_ylim(-reach, reach)
    axis.set_aspect("equal")
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.set_xlabel("A - B, east (arcsec)")
    axis.set_ylabel("A - B, north (arcsec)")


def _absent(axis: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axis.set_axis_off()
    axis.text(
        0.5, 0.5, textwrap.fill(text, 22), ha="center", va="center", transform=axis.transAxes, color="#555555"
    )
