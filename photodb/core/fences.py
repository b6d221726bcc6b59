"""Limits that a series of numbers suggests for itself, and how much light each of its frames lost.

Trees, clouds and trailed frames push a number of a frame to one side only, and may take a good part of the night with
them. So the series is judged by its densest half: the shortest interval that holds half of the values (Rousseeuw &
Leroy 1988, doi:10.1111/j.1467-9574.1988.tb01224.x). Up to half of the values may be bad without moving it much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_VALUES = 10
"""Values below which a series suggests nothing."""
WIDTH = 6.0
"""Robust standard deviations between the densest half's middle and the limit of a long series;"""
FEW = 8.0
"""a short one of n values has 1 + FEW / n times as many, for its spread is known less well."""
MOST = 0.45
"""Share of a series beyond its own limit from which it is taken for two kinds of frames, and suggests nothing."""
HALF_TO_SIGMA = 1 / 0.6744897501960817
"""Standard deviation of a normal sample over half the length of its densest half."""
LOSS_ROUNDS = 3
CLEAR = 10.0
"""Percentile of the losses that counts as clear."""


@dataclass(frozen=True)
class Fence:
    """A limit suggested by a series."""

    n: int  # finite values
    middle: float  # of the densest half; NaN below `MIN_VALUES`
    sigma: float
    limit: float  # NaN where nothing is suggested
    note: str = ""  # why not


def densest_half(values: ArrayLike) -> tuple[float, float]:
    """Return middle and robust standard deviation of the shortest interval with half of the values (n,), n > 1."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    h = n // 2 + 1
    lengths = ordered[h - 1 :] - ordered[: n - h + 1]
    first = int(np.median(np.flatnonzero(lengths == lengths.min())))
    length = float(lengths[first])
    return float(ordered[first] + length / 2), HALF_TO_SIGMA * length / 2


def fence(
    values: ArrayLike,
    low: bool,
    least: float = 0.0,
    share: float = 0.0,
    most: float = np.inf,
    usual: float | None = None,
) -> Fence:
    """Suggest a limit for a series whose bad values lie low, or high.

    Parameters
    ----------
    values : (n,), any order; NaN is left out
    least, share : the limit is at least this far from the middle, as a number and as a share of it
    most : and at most this far
    usual : counts as the middle where it is known beforehand

    Returns
    -------
    Fence : middle -+ max(WIDTH (1 + FEW / n) sigma, least, share |middle|), at most `most`, to four digits; its limit
        is NaN with fewer than `MIN_VALUES` values, where `MOST` of them would lie beyond, and where only numbers below
        zero would (of what has a `share`).
    """
    every = np.asarray(values, dtype=np.float64)
    known = every[np.isfinite(every)]
    n = len(known)
    if n < MIN_VALUES:
        nothing = float("nan")
        return Fence(n, nothing, nothing, nothing, f"{n} frames, {MIN_VALUES} needed")
    middle, sigma = densest_half(known)
    middle = middle if usual is None else usual
    room = min(max(WIDTH * (1 + FEW / n) * sigma, least, share * abs(middle)), most)
    limit = float(f"{middle - room if low else middle + room:.4g}")
    if low and share > 0 and limit <= 0:
        return Fence(n, middle, sigma, float("nan"), "the frames differ too much among themselves")
    beyond = float(np.mean(known < limit if low else known > limit))
    if beyond >= MOST:
        note = f"{beyond:.0%} would go: two kinds of frames? look at 'photodb qa plot'"
        return Fence(n, middle, sigma, float("nan"), note)
    return Fence(n, middle, sigma, limit)


def light_lost(frame: NDArray[np.integer], star: NDArray[np.integer], mag: NDArray) -> NDArray[np.float64]:
    """Return how many magnitudes fainter than in the clear frames of the series each frame shows the same stars.

    Parameters
    ----------
    frame : (n,) number of the frame of each measurement, 0 to m - 1
    star : (n,) number of its star
    mag : (n,) mag, instrumental; finite

    Returns
    -------
    (m,) mag; NaN for a frame that shares no star with another. m is the largest `frame` plus one.
    """
    if not len(mag):
        return np.empty(0)
    seen = np.bincount(star)[star] > 1
    m = int(frame.max()) + 1
    frame, star, mag = frame[seen], star[seen], np.asarray(mag, np.float64)[seen]
    loss = np.zeros(m)
    for _ in range(LOSS_ROUNDS):
        usual = grouped_median(star, mag - loss[frame])
        loss = np.full(m, np.nan)
        there = grouped_median(frame, mag - usual[star])
        loss[: len(there)] = there
    return loss - np.nanpercentile(loss, CLEAR) if np.isfinite(loss).any() else loss


def grouped_median(group: NDArray[np.integer], values: NDArray) -> NDArray[np.float64]:
    """Return the median of the values (n,) of each group 0 to m - 1; NaN for an empty one."""
    if not len(values):
        return np.empty(0)
    order = np.lexsort((values, group))
    count = np.bincount(group)
    first = np.concatenate(([0], np.cumsum(count)[:-1]))
    ordered = np.append(values[order], np.nan)
    low, high = first + np.maximum(count - 1, 0) // 2, first + count // 2
    middle: NDArray[np.float64] = np.where(count > 0, (ordered[low] + ordered[high]) / 2, np.nan)
    return middle


def jumps(x: NDArray, y: NDArray, reach: int = 2) -> NDArray[np.float64]:
    """Return how far each point of a track lies from the median of itself and `reach` neighbours either side.

    Parameters
    ----------
    x, y : (n,) in order of time; NaN stays NaN and is no neighbour. A step, as of a meridian flip, is no jump.
    """
    out = np.full(len(x), np.nan)
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    n = len(good)
    for k, row in enumerate(good):
        first = min(max(k - reach, 0), max(n - 2 * reach - 1, 0))
        near = good[first : first + 2 * reach + 1]
        out[row] = np.hypot(x[row] - np.median(x[near]), y[row] - np.median(y[near]))
    return out
