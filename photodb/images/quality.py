"""How good a frame is, before any star is measured: dynamic range and evenness of the background.

The two criteria are those of the automatic-photometry script: the difference between the low and the high counts of
the frame (or of a box, or outside of masks), and the spread of the medians over areas, which gives away trees, roofs
and clouds. Single hot or dead pixels and cosmic rays do not rule the range, in small boxes neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from ..core.columns import Detections
from ..core.flags import Flag
from ..errors import FrameError, UsageError

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 of a part of the frame, px, its edges included."""

AREAS = 3
STEP = 4
SAMPLES = 400
"""Pixels that the median of an area is taken of where the area has them; then every `STEP`-th each way will do."""
LOW, HIGH = 0.001, 0.0001
"""Shares of the pixels left out below the low end and above the high end of the range."""
SPARE = 6
"""Pixels left out at each end at least: what a cosmic ray takes of a small box."""
MIN_BOX = 100
"""Pixels that a box must hold to say something of the range."""
MIN_AREA = 30
"""Samples left unmasked that an area needs for a median."""
SUPPORT = 0.25
"""A peak counts as high as it is where two neighbours reach this share of its height over the median, as those of a
star do; a hot pixel, or a pair of them, has none, and counts as high as the second of its neighbours."""
TAIL = 0.01
"""Share of the pixels at each end that are looked at one by one."""


@dataclass(frozen=True)
class Areas:
    """Which parts of a frame tell of its quality.

    Raises
    ------
    UsageError : a box or mask without pixels.
    """

    box: Box | None = None  # the dynamic range is taken here; None: everywhere
    masks: tuple[Box, ...] = ()  # left out of everything

    def __post_init__(self) -> None:
        for name, part in [("box", self.box), *(("mask", mask) for mask in self.masks)]:
            if part is not None and not (0 <= part[0] < part[2] and 0 <= part[1] < part[3]):
                raise UsageError(
                    f"{name} {','.join(map(str, part))}: X0 < X1 and Y0 < Y1 are needed, from 0 on"
                )

    def inside_masks(self, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
        """Tell which positions (n,) lie in a mask."""
        inside = np.zeros(len(x), bool)
        for x0, y0, x1, y1 in self.masks:
            inside |= (x >= x0 - 0.5) & (x <= x1 + 0.5) & (y >= y0 - 0.5) & (y <= y1 + 0.5)
        return inside

    def flag(self, found: Detections) -> None:
        """Flag, in place, the stars in masks."""
        if self.masks:
            found.flags[self.inside_masks(found.x, found.y)] |= Flag.MASKED

    def left_out(self, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Return the pixels (ny, nx) in masks; None where no mask meets a frame of this shape."""
        if not any(x0 < shape[1] and y0 < shape[0] for x0, y0, _, _ in self.masks):
            return None
        out = np.zeros(shape, bool)
        for x0, y0, x1, y1 in self.masks:
            out[y0 : y1 + 1, x0 : x1 + 1] = True
        return out


EVERYWHERE = Areas()


@dataclass(frozen=True)
class Quality:
    """Quality of a frame, in counts."""

    data_min: float  # ADU, low end: a thousandth of the pixels is lower
    data_max: float  # ADU, high end: a ten thousandth of the pixels is higher
    nonuniformity: float  # ADU, largest minus smallest median of 3x3 areas

    @property
    def dynamic_range(self) -> float:
        """data_max - data_min, ADU."""
        return self.data_max - self.data_min


def without_value(raw: NDArray) -> NDArray[np.bool_] | None:
    """Return the raw pixels (ny, nx) that hold no number; None where all do."""
    if raw.dtype.kind != "f":
        return None
    broken: NDArray[np.bool_] = ~np.isfinite(raw)
    return broken if broken.any() else None


def area_medians(
    data: NDArray, areas: int = AREAS, ignore: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the medians (areas, areas) over equal areas, of about `SAMPLES` pixels or more each; NaN if all masked.

    Parameters
    ----------
    data : (ny, nx) ADU
    ignore : (ny, nx), pixels to leave out
    """
    ny, nx = data.shape
    step = int(np.clip(np.sqrt(ny * nx / (areas * areas * SAMPLES)), 1, STEP))
    ys, xs = np.linspace(0, ny, areas + 1).astype(int), np.linspace(0, nx, areas + 1).astype(int)
    medians = np.full((areas, areas), np.nan)
    for i in range(areas):
        for j in range(areas):
            part = slice(ys[i], ys[i + 1], step), slice(xs[j], xs[j + 1], step)
            values = data[part].ravel() if ignore is None else data[part][~ignore[part]]
            if ignore is None or values.size >= MIN_AREA:
                medians[i, j] = np.median(values)
    return medians


def quality(data: NDArray, areas: Areas = EVERYWHERE, broken: NDArray[np.bool_] | None = None) -> Quality:
    """Measure a frame's quality.

    Parameters
    ----------
    data : (ny, nx) ADU
    areas : where; the whole frame by default
    broken : (ny, nx), pixels without a value, left out

    Raises
    ------
    FrameError : code `bad_box`, the box hardly meets the frame, or the masks leave next to nothing of it.
    """
    ignore = areas.left_out(data.shape)
    if broken is not None and broken.any():
        ignore = broken if ignore is None else ignore | broken
    x0, y0, x1, y1 = areas.box or (0, 0, data.shape[1] - 1, data.shape[0] - 1)
    part = data[y0 : y1 + 1, x0 : x1 + 1]
    out = None if ignore is None else ignore[y0 : y1 + 1, x0 : x1 + 1]
    n = part.size if out is None else part.size - int(out.sum())
    if n < MIN_BOX:
        where = f"the box {areas.box}" if areas.box else "the frame"
        raise FrameError(
            "bad_box",
            f"{where} holds {n} unmasked pixels of the {data.shape[1]}x{data.shape[0]} frame; {MIN_BOX} needed",
        )
    low, high = extremes(part, out)
    medians = area_medians(data, ignore=ignore)
    return Quality(low, high, float(np.nanmax(medians) - np.nanmin(medians)))


def extremes(data: NDArray, ignore: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Return the low and the high end of the counts, single pixels that stand alone levelled.

    Parameters
    ----------
    data : (ny, nx), at least `MIN_BOX` pixels not ignored
    ignore : (ny, nx), pixels to leave out
    """
    data = np.ascontiguousarray(data, dtype=np.float32)
    out = np.zeros((0, 0), bool) if ignore is None else np.ascontiguousarray(ignore)
    step = int(np.clip(np.sqrt(data.size / 20_000), 1, STEP))
    sample = data[::step, ::step] if ignore is None else data[::step, ::step][~out[::step, ::step]]
    if sample.size < MIN_BOX:
        sample = data if ignore is None else data[~out]
    n = data.size - int(out.sum())
    below, above = max(SPARE, int(LOW * n)), max(SPARE, int(HIGH * n))
    share = max(TAIL, 3 * (max(below, above) + 1) / n)
    low, middle, high = np.quantile(sample, [min(share, 0.5), 0.5, max(1 - share, 0.5)])
    lows, highs = _tails(data, out, low, middle, high)
    below, above = min(below, lows.size - 1), min(above, highs.size - 1)
    return float(np.partition(lows, below)[below]), float(-np.partition(-highs, above)[above])


@numba.njit(cache=True, nogil=True)
def _tails(data, ignore, low, middle, high):  # type: ignore[no-untyped-def]
    """Return the values up to `low` and from `high` on, those without two neighbours alike levelled."""
    ny, nx = data.shape
    masked = ignore.size > 0
    lows, highs = np.empty(data.size, np.float32), np.empty(data.size, np.float32)
    n_low = n_high = 0
    inf = np.float32(np.inf)
    for j in range(ny):
        for i in range(nx):
            value = data[j, i]
            if (low < value < high) or (masked and ignore[j, i]):
                continue
            least, less, more, most = inf, inf, -inf, -inf  # the two outermost neighbours each way
            for b in range(max(j - 1, 0), min(j + 2, ny)):
                for a in range(max(i - 1, 0), min(i + 2, nx)):
                    if (a != i or b != j) and not (masked and ignore[b, a]):
                        near = data[b, a]
                        less, least = min(less, max(least, near)), min(least, near)
                        more, most = max(more, min(most, near)), max(most, near)
            if value >= high:
                alone = more - middle < SUPPORT * (value - middle)
                highs[n_high] = min(more, value) if alone else value
                n_high += 1
            if value <= low:
                alone = middle - less < SUPPORT * (middle - value)
                lows[n_low] = max(less, value) if alone else value
                n_low += 1
    return lows[:n_low], highs[:n_high]
