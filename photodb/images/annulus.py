"""The local sky of each star: the clipped median of an annulus, from a histogram of its pixels.

A histogram in steps of a twentieth of the pixels' noise tells median and spread to a few thousandths of that noise, in
one pass over the pixels instead of one sort a clip. Where the annulus is brighter than the histogram reaches (in the
halo of a bright star), the pixels are sorted after all.
"""

from __future__ import annotations

import numpy as np
from numba import njit

STEP = 0.05
"""Width of a bin in units of the noise."""
BINS = 480
LOWEST = -9.0
"""Noise units of the first bin's lower edge."""
LEAST = 20
"""Pixels that an annulus must hold."""
ROUNDS = 5
CLIP = 3.0


@njit(cache=True, nogil=True)
def annulus_sky(data, noise, bad, xs, ys, inner, outer, grain=0.0):
    """Return clipped median, robust noise and pixel count of an annulus around each star (NaN below 20 pixels).

    Parameters
    ----------
    data, noise, bad : (ny, nx) background-subtracted image, its noise, pixels that do not count.
    xs, ys : (n,) px.
    inner, outer : px.
    grain : step of the counts, ADU; it is filled evenly, for a median of whole counts is a whole count.
    """
    n = len(xs)
    ny, nx = data.shape
    out = np.full((n, 3), np.nan)
    buffer = np.empty(int((2 * outer + 3) ** 2), np.float32)
    bins = np.empty(BINS + 2, np.int64)
    for i in range(n):
        x, y = min(max(round(xs[i]), 0), nx - 1), min(max(round(ys[i]), 0), ny - 1)
        m = _gather(data, bad, xs[i], ys[i], inner, outer, grain, buffer)
        if m < LEAST:
            continue
        scale = float(noise[y, x])
        if not _by_histogram(buffer[:m], scale, bins, out[i]):
            _by_sorting(buffer[:m], out[i])
    return out


@njit(cache=True, nogil=True)
def _gather(data, bad, x0, y0, inner, outer, grain, buffer):
    """Put the usable pixels of an annulus into `buffer` and return their number."""
    ny, nx = data.shape
    m = 0
    for y in range(max(0, int(np.ceil(y0 - outer))), min(ny, int(np.floor(y0 + outer)) + 1)):
        dy2 = (y - y0) ** 2
        reach = np.sqrt(outer * outer - dy2)
        hole = np.sqrt(inner * inner - dy2) if dy2 < inner * inner else -1.0
        for x in range(max(0, int(np.ceil(x0 - reach))), min(nx, int(np.floor(x0 + reach)) + 1)):
            if abs(x - x0) >= hole and not bad[y, x]:
                place = 0.6180339887498949 * m
                buffer[m] = data[y, x] + np.float32(grain * (place - np.floor(place) - 0.5))
                m += 1
    return m


@njit(cache=True, nogil=True)
def _by_histogram(values, scale, bins, result):
    """Clip by the histogram; return False where its range does not hold the middle of the values."""
    if not scale > 0:
        return False
    bins[:] = 0
    step, lowest = STEP * scale, LOWEST * scale
    for v in values:
        k = int((v - lowest) / step) + 1 if v > lowest else 0
        bins[min(k, BINS + 1)] += 1
    for k in range(1, BINS + 2):
        bins[k] += bins[k - 1]
    low, high = 0.0, float(len(values))  # numbers of values below the clipping limits
    middle, spread = 0.0, 0.0
    for _ in range(ROUNDS):
        middle = _place(bins, 0.5 * (low + high))
        if middle < 0.1 * BINS or middle > 0.75 * BINS:
            return False
        spread = 1.4826 * _half_width(bins, middle, low, high)
        below, above = _number(bins, middle - CLIP * spread), _number(bins, middle + CLIP * spread)
        below, above = max(below, low), min(above, high)
        if above - below < LEAST or (below == low and above == high):
            break
        low, high = below, above
    result[0], result[1], result[2] = lowest + middle * step, spread * step, round(high - low)
    return spread > 2.0


@njit(cache=True, nogil=True)
def _number(bins, place):
    """Return how many values lie below `place` (in bins from the lowest edge), straight within a bin."""
    if place <= 0:
        return float(bins[0])
    if place >= BINS:
        return float(bins[BINS])
    k = int(place)
    return bins[k] + (place - k) * (bins[k + 1] - bins[k])


@njit(cache=True, nogil=True)
def _place(bins, number):
    """Return the place in bins below which `number` values lie."""
    k = np.searchsorted(bins, number)
    if k <= 0:
        return 0.0
    if k > BINS:
        return float(BINS)
    return k - 1 + (number - bins[k - 1]) / (bins[k] - bins[k - 1])


@njit(cache=True, nogil=True)
def _half_width(bins, middle, low, high):
    """Return the half width about `middle` that holds half of the values between numbers `low` and `high`."""
    wanted = 0.5 * (high - low)
    least, most = 0.0, float(BINS)
    for _ in range(24):
        width = 0.5 * (least + most)
        held = min(_number(bins, middle + width), high) - max(_number(bins, middle - width), low)
        if held < wanted:
            least = width
        else:
            most = width
    return 0.5 * (least + most)


@njit(cache=True, nogil=True)
def _by_sorting(values, result):
    """Clip by sorting: exact, and slow."""
    m = len(values)
    deviation = np.empty(m, np.float32)
    middle = spread = np.float32(0.0)
    for _ in range(ROUNDS):
        middle = np.median(values[:m])
        for k in range(m):
            deviation[k] = abs(values[k] - middle)
        spread = np.float32(1.4826) * np.median(deviation[:m])
        kept = 0
        for k in range(m):
            if abs(values[k] - middle) <= np.float32(CLIP) * spread:
                values[kept] = values[k]
                kept += 1
        if kept == m or kept < LEAST:
            break
        m = kept
    result[0], result[1], result[2] = middle, spread, m
