"""Reduction in one pass over the pixels, and what combining masters needs, compiled by numba.

Each row is worked on while it is in the cache: every value is read from memory once and written once.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def reduce_integers(raw, offset, subtract, multiply, masked, level, judge, data, bad):
    """Reduce integer counts: ``data = (raw - offset - subtract) * multiply``; bad where masked or from `level` on.

    Planes that are not needed have shape (0, 0). `level` has the type of the counts; without `judge` nothing is
    saturated.
    """
    ny, nx = raw.shape
    for y in range(ny):
        for x in range(nx):
            data[y, x] = np.float32(raw[y, x]) - offset
        for x in range(nx):
            bad[y, x] = judge and raw[y, x] >= level
        _apply(y, nx, subtract, multiply, masked, data, bad)


@njit(cache=True, nogil=True)
def reduce_floats(raw, offset, subtract, multiply, masked, level, judge, data, bad):
    """Do the same to float counts; what is not finite is bad and becomes 0."""
    ny, nx = raw.shape
    for y in range(ny):
        for x in range(nx):
            v = raw[y, x]
            finite = np.isfinite(v)
            bad[y, x] = (not finite) or (judge and v >= level)
            data[y, x] = v - offset if finite else np.float32(0)
        _apply(y, nx, subtract, multiply, masked, data, bad)
        for x in range(nx):
            if not np.isfinite(raw[y, x]):
                data[y, x] = 0


@njit(cache=True, nogil=True)
def _apply(y, nx, subtract, multiply, masked, data, bad):
    if subtract.size:
        for x in range(nx):
            data[y, x] -= subtract[y, x]
    if multiply.size:
        for x in range(nx):
            data[y, x] *= multiply[y, x]
    if masked.size:
        for x in range(nx):
            bad[y, x] |= masked[y, x]


@njit(cache=True, nogil=True)
def fill_from_neighbours(data, bad, ys, xs):
    """Give each listed pixel the median of its good neighbours within 2 px, in place; with none it stays."""
    ny, nx = data.shape
    values = np.empty(25, np.float32)
    for k in range(len(ys)):
        n = 0
        for j in range(max(0, ys[k] - 2), min(ny, ys[k] + 3)):
            for i in range(max(0, xs[k] - 2), min(nx, xs[k] + 3)):
                if bad[j, i]:
                    continue
                at = n
                while (
                    at and values[at - 1] > data[j, i]
                ):  # kept in order: far quicker than np.median on so few
                    values[at] = values[at - 1]
                    at -= 1
                values[at] = data[j, i]
                n += 1
        if n:
            data[ys[k], xs[k]] = (values[(n - 1) // 2] + values[n // 2]) * np.float32(0.5)


@njit(cache=True, nogil=True)
def clipped_mean(stack, variance, kappa, relative, photons):
    """Combine planes pixel by pixel: the weighted mean of what lies near the middle value.

    Parameters
    ----------
    stack : (n, ny, nx) float32, scaled to one another; NaN is left out.
    variance : (n,) of one pixel of each plane at the typical level.
    kappa : distance from the middle value in sigmas beyond which a value is left out.
    relative : share of the middle value by which values may differ besides (hot pixels vary more than others).
    photons : whether the variance grows with the level.

    Returns
    -------
    mean (ny, nx) float32, NaN where nothing is finite; and the number of values left out.
    """
    n, ny, nx = stack.shape
    mean = np.empty((ny, nx), np.float32)
    values = np.empty(n, np.float32)
    clipped = 0
    for y in range(ny):
        for x in range(nx):
            m = 0
            for k in range(n):
                if np.isfinite(stack[k, y, x]):
                    values[m] = stack[k, y, x]
                    m += 1
            if m == 0:
                mean[y, x] = np.nan
                continue
            # of two that disagree the lower one is right: stars and cosmic rays only add
            middle = min(values[0], values[1]) if m == 2 else np.median(values[:m])
            growth = max(middle, 0.05) if photons else 1.0
            if m == 2:
                growth *= 2  # the distance of two values has the variance of both
            total, weights = 0.0, 0.0
            for k in range(n):
                v = stack[k, y, x]
                if not np.isfinite(v):
                    continue
                if abs(v - middle) <= kappa * np.sqrt(variance[k] * growth) + relative * abs(middle):
                    total += v / variance[k]
                    weights += 1 / variance[k]
                else:
                    clipped += 1
            mean[y, x] = total / weights if weights > 0 else middle
    return mean, clipped
