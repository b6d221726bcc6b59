"""Masters: the bias, dark or flat that several calibration frames make, its statistics and its bad pixels.

Values that lie off are left out before the mean is taken: pixel by pixel, against the middle value, by the noise that
the frames themselves show against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ..errors import MasterError
from .reducekernels import clipped_mean

LEAST_FRAMES = 2
"""Of one frame nothing tells a star or a cosmic ray from the detector: it would go into every frame."""
FEW_FRAMES = 3
"""Below, no majority votes an outlier down (of two values that disagree the lower one is taken): said as a remark."""
CLIP = 4.0  # sigmas
RELATIVE = {"bias": 0.0, "dark": 0.1, "flat": 0.0}
HOT = 20.0
"""Excess over its neighbours, in noises of one frame, of a hot pixel: its own noise then rules that of the frame."""
RESPONSE = (0.5, 2.0)
"""Response against its neighbours outside which a pixel is bad."""
LEAST_RESPONSE = 0.1
"""Response against the whole flat below which a pixel sees too little of the sky."""
BAD_SHARE = 0.2
FLAT_NOISE = (0.01, 0.05)
"""Noise of a flat from pixel to pixel: above the first it is said, above the second refused."""
SATURATED_SHARE = 0.01
ZERO_SHARE = 0.05
STRIP_ROWS = 64
SAMPLE_STEP = 7
WHOLE = (slice(None), slice(None))
MOSAIC = [(slice(y, None, 2), slice(x, None, 2)) for y in (0, 1) for x in (0, 1)]
NEIGHBOURS = 9


@dataclass(frozen=True)
class PlaneStats:
    """What is known of one calibration frame before it is combined."""

    shape: tuple[int, int]  # ny, nx
    level: float  # ADU, median of the raw counts
    saturated: float  # share of pixels
    zeros: float  # share of pixels at or below 0


@dataclass(frozen=True)
class MasterPixels:
    """A master's pixels and what they tell of it; bias and dark in ADU, a flat in units of its median."""

    data: NDArray[np.float32]  # (ny, nx)
    bad: NDArray[np.bool_]  # (ny, nx)
    n_frames: int
    median: float
    scatter: float  # robust, over the good pixels
    noise: float  # of one pixel of the master
    clipped: float  # share of the frames' values left out
    remark: str  # empty, or what to know of it


def refuse_plane(kind: str, stats: PlaneStats, linear_limit: float) -> str:
    """Return why a calibration frame cannot take part, with value and limit; empty text if it can."""
    if stats.saturated > SATURATED_SHARE:
        return f"{stats.saturated:.1%} of its pixels are saturated, at most {SATURATED_SHARE:.0%} allowed"
    if kind != "flat":
        return ""
    if stats.zeros > ZERO_SHARE:
        return f"{stats.zeros:.1%} of its pixels are 0 or less without bias, at most {ZERO_SHARE:.0%} allowed"
    if stats.level > linear_limit:
        return f"its level of {stats.level:.0f} counts is above the linear limit of {linear_limit:.0f}"
    return ""


def combine(
    kind: str,
    planes: Sequence[NDArray[np.float32]],
    bands: Sequence[str] | None = None,
    mosaic: bool = False,
) -> MasterPixels:
    """Combine calibration frames from which offset, bias and dark have been taken.

    Flats are scaled to their medians first and weighted by their light. Each frame's noise is that of its differences
    from the others. In the flat of a colour mosaic each of the four pixels of the 2x2 cell is scaled by itself: the
    colour of the sky is none of the detector, and a channel's gain (e-/ADU) stays what it was.

    Parameters
    ----------
    kind : bias, dark or flat.
    planes : (ny, nx) each, float32, ADU; NaN is left out. Memory-mapped ones are read strip by strip.
    bands : of the flats; they must agree.
    mosaic : whether the pixels lie under a colour mosaic.

    Raises
    ------
    MasterError : too few frames, of different sizes or bands, a flat without light, or too noisy or broken a result.
    """
    _refuse_set(kind, planes, bands or ())
    flat, n = kind == "flat", len(planes)
    data = np.empty(planes[0].shape, np.float32)
    clipped, noise, single = 0, [], []
    for part in MOSAIC if flat and mosaic else [WHOLE]:
        own = [p[part] for p in planes]
        scales = [_level(p) for p in own] if flat else [1.0] * n
        if min(scales) <= 0:
            raise MasterError(f"a flat of median {min(scales):.0f} ADU without its bias: more than 0 needed")
        variance = plane_variances([p[::SAMPLE_STEP, ::SAMPLE_STEP] / s for p, s in zip(own, scales)])
        made, out = _combined(kind, own, scales, variance)
        middle = float(np.nanmedian(made)) if flat else 1.0
        data[part] = made / np.float32(middle)
        clipped += out
        noise.append(float(np.sqrt(1 / np.sum(1 / variance))) / middle)
        single.append(float(np.sqrt(np.median(variance))))
    return _judged(kind, data, clipped / data.size / n, n, float(np.mean(noise)), float(np.mean(single)))


def _refuse_set(kind: str, planes: Sequence[NDArray[np.float32]], bands: Sequence[str]) -> None:
    """Refuse frames that do not belong together, or are too few."""
    n = len(planes)
    if n < LEAST_FRAMES:
        raise MasterError(
            f"{n} {kind} frame{'s' * (n != 1)}, {LEAST_FRAMES} needed (better {FEW_FRAMES} and more): of one alone "
            "nothing tells a star or a cosmic ray from the detector"
        )
    sizes = sorted({f"{p.shape[1]}x{p.shape[0]}" for p in planes})
    if len(sizes) > 1:
        raise MasterError(f"frames of {len(sizes)} sizes, {', '.join(sizes)}: a master is made of one size")
    if len(set(bands)) > 1:
        raise MasterError(f"flats of the bands {', '.join(sorted(set(bands)))}: a flat is made of one band")


def plane_variances(samples: Sequence[NDArray]) -> NDArray[np.float64]:
    """Return each plane's variance of one pixel (n,), from its differences from the mean of the others.

    The difference of plane k has the variance ``v_k + sum of the others' v / (n - 1)**2``: n equations for n unknowns.
    Robust against stars and hot pixels; of two planes both get half of their difference's.
    """
    stack = np.stack([s.astype(np.float64).ravel() for s in samples])
    n = len(stack)
    others = (stack.sum(axis=0) - stack) / (n - 1)
    off = stack - others
    off -= np.nanmedian(off, axis=1, keepdims=True)
    measured = (1.4826 * np.nanmedian(np.abs(off), axis=1)) ** 2
    floor = max(float(np.max(measured)) * 1e-3, 1e-12)
    if n == 2:
        return np.maximum(measured / 2, floor)
    system = np.full((n, n), 1.0 / (n - 1) ** 2) + np.eye(n) * (1 - 1.0 / (n - 1) ** 2)
    return np.maximum(np.linalg.solve(system, measured), floor)


def _level(plane: NDArray) -> float:
    return float(np.nanmedian(plane[::3, ::3]))


def _combined(
    kind: str, planes: Sequence[NDArray], scales: Sequence[float], variance: NDArray
) -> tuple[NDArray[np.float32], int]:
    data = np.empty(planes[0].shape, np.float32)
    clipped = 0
    for y in range(0, len(data), STRIP_ROWS):
        rows = slice(y, y + STRIP_ROWS)
        strip = np.stack([np.asarray(p[rows], np.float32) / np.float32(s) for p, s in zip(planes, scales)])
        data[rows], out = clipped_mean(strip, variance, CLIP, RELATIVE[kind], kind == "flat")
        clipped += out
    return data, clipped


def _judged(
    kind: str, data: NDArray[np.float32], clipped: float, n: int, noise: float, single: float
) -> MasterPixels:
    """Mask the bad pixels, and refuse what would do harm; a flat has the median 1."""
    remarks = [] if n >= FEW_FRAMES else [f"made of {n} frames; {FEW_FRAMES} or more vote an outlier down"]
    if kind == "flat":
        bad = dead_pixels(data)
        if noise > FLAT_NOISE[1]:
            raise MasterError(
                f"the flat's noise is {noise:.1%} a pixel, at most {FLAT_NOISE[1]:.0%} allowed: "
                "more frames or brighter ones are needed"
            )
        if noise > FLAT_NOISE[0]:
            remarks.append(f"its noise of {noise:.1%} a pixel goes into every frame")
    else:
        bad = hot_pixels(data, single)
    share = float(bad.mean())
    if share > BAD_SHARE:
        what = "zero or without response" if kind == "flat" else "hot or not finite"
        raise MasterError(f"{share:.0%} of the {kind}'s pixels are {what}, at most {BAD_SHARE:.0%} allowed")
    good = data[~bad]
    median = float(np.median(good))
    scatter = float(1.4826 * np.median(np.abs(good - median)))
    data = _rounded(np.where(bad, np.float32(1 if kind == "flat" else median), data), noise)
    return MasterPixels(data, bad, n, median, scatter, noise, clipped, "; ".join(remarks))


def hot_pixels(data: NDArray[np.float32], noise: float) -> NDArray[np.bool_]:
    """Mark the pixels of a bias or dark that stand out of their row and of their column, or are not finite.

    What a whole row or column shares is structure, which is taken off with the master.

    Parameters
    ----------
    noise : ADU, of one pixel of one frame.
    """
    broken = ~np.isfinite(data)
    in_row, in_column = _neighbours(data, broken)
    off = np.minimum(np.abs(data - in_row), np.abs(data - in_column))
    return broken | (off > HOT * max(noise, 1e-6))


def dead_pixels(flat: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark the pixels of a flat of median 1 with too little or too much response, or none.

    Single pixels are judged against their row and column; a shadow or the edge of the light is not theirs.
    """
    broken = ~np.isfinite(flat) | (flat < LEAST_RESPONSE)
    in_row, in_column = (flat / np.maximum(level, 1e-3) for level in _neighbours(flat, broken))
    too_little = np.maximum(in_row, in_column) < RESPONSE[0]
    return broken | too_little | (np.minimum(in_row, in_column) > RESPONSE[1])


def _neighbours(
    data: NDArray[np.float32], broken: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the median around each pixel along its row and along its column."""
    clean = np.where(broken, np.float32(0), data)
    return median_filter(clean, size=(1, NEIGHBOURS)), median_filter(clean, size=(NEIGHBOURS, 1))


def _rounded(data: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Round to a power of two below a thirtieth of the noise: adds nothing to it, and packs half as large."""
    step = np.float32(2.0 ** np.floor(np.log2(max(noise, 1e-6) / 32)))
    return (np.round(data / step) * step).astype(np.float32)
