"""Indices of correlation: whether neighbours in time agree with one another.

All functions take time-ordered, finite columns `t` (d), `m` (mag), `e` (mag, positive) of one light curve. Ours to
choose, and so documented here:

- A *run* is a stretch of points without a gap longer than the larger of 5 median time steps and 1 hour.
- A *pair* is two neighbours of one run no further apart than the larger of 2 median time steps and 1 hour; each
  point belongs to one pair at most. Single points weigh half in Stetson's J and L.
- A *scan* is at most 10 points of one run.
"""

from __future__ import annotations

import numba
import numpy as np

from photodb.core.variability.scatter import weighted_mean

HOUR = 1.0 / 24.0
SCAN_POINTS = 10
BOXCAR = 7
"""Points of the boxcar whose subtraction leaves the local noise."""


@numba.njit(cache=True)
def median_step(t):  # type: ignore[no-untyped-def]
    """Median time between neighbours, d; 0 for a single point."""
    if t.size < 2:
        return 0.0
    return np.median(t[1:] - t[:-1])


@numba.njit(cache=True)
def run_gap(t):  # type: ignore[no-untyped-def]
    """Gap that ends a run, d."""
    return max(5.0 * median_step(t), HOUR)


@numba.njit(cache=True)
def _pairs(t):  # type: ignore[no-untyped-def]
    """Role of each point: 1 first of a pair, 2 second, 0 single."""
    longest = max(2.0 * median_step(t), HOUR)
    role = np.zeros(t.size, np.int64)
    n = 0
    while n + 1 < t.size:
        if t[n + 1] - t[n] <= longest:
            role[n] = 1
            role[n + 1] = 2
            n += 2
        else:
            n += 1
    return role


@numba.njit(cache=True)
def _deviations(t, m, e):  # type: ignore[no-untyped-def]
    return np.sqrt(m.size / (m.size - 1.0)) * (m - weighted_mean(t, m, e)) / e


@numba.njit(cache=True)
def lag1(t, m, e):  # type: ignore[no-untyped-def]
    """Lag-1 autocorrelation, sum d_i d_i+1 / sum d_i^2."""
    d = m - np.mean(m)
    total = np.sum(d * d)
    return np.sum(d[1:] * d[:-1]) / total if total > 0.0 else np.nan


@numba.njit(cache=True)
def welch_stetson_i(t, m, e):  # type: ignore[no-untyped-def]
    """Welch-Stetson I over pairs (Welch & Stetson 1993, doi:10.1086/116556); NaN with fewer than two pairs."""
    role, d = _pairs(t), (m - weighted_mean(t, m, e)) / e
    total, n = 0.0, 0
    for i in range(t.size):
        if role[i] == 1:
            total += d[i] * d[i + 1]
            n += 1
    return total / np.sqrt(n * (n - 1.0)) if n >= 2 else np.nan


@numba.njit(cache=True)
def stetson_j(t, m, e):  # type: ignore[no-untyped-def]
    """Stetson J: weighted mean of sign(P) sqrt|P| over pairs and singles (Stetson 1996, doi:10.1086/133808)."""
    role, d = _pairs(t), _deviations(t, m, e)
    total, weights = 0.0, 0.0
    for i in range(t.size):
        if role[i] == 2:
            continue
        p = d[i] * d[i + 1] if role[i] == 1 else d[i] * d[i] - 1.0
        w = 1.0 if role[i] == 1 else 0.5
        total += w * np.sign(p) * np.sqrt(np.abs(p))
        weights += w
    return total / weights


@numba.njit(cache=True)
def stetson_k(t, m, e):  # type: ignore[no-untyped-def]
    """Stetson K: mean |d| over rms d (Stetson 1996); 0.798 for a normal sample, sqrt(8)/pi for a sine."""
    d = _deviations(t, m, e)
    rms = np.sqrt(np.mean(d * d))
    return np.mean(np.abs(d)) / rms if rms > 0.0 else np.nan


@numba.njit(cache=True)
def stetson_l(t, m, e):  # type: ignore[no-untyped-def]
    """Stetson L: sqrt(pi / 2) J K (Stetson 1996)."""
    return np.sqrt(0.5 * np.pi) * stetson_j(t, m, e) * stetson_k(t, m, e)


@numba.njit(cache=True)
def _run_ends(t):  # type: ignore[no-untyped-def]
    """Mark the last point of each run."""
    gap = run_gap(t)
    last = np.zeros(t.size, np.bool_)
    for i in range(t.size - 1):
        last[i] = t[i + 1] - t[i] > gap
    last[t.size - 1] = True
    return last


@numba.njit(cache=True)
def excursions(t, m, e):  # type: ignore[no-untyped-def]
    """Mean over pairs of scans of |difference of means| / its error (Parks et al. 2014, doi:10.1088/0067-0049/211/1/3).

    NaN with fewer than two scans.
    """
    last = _run_ends(t)
    means, variances = np.empty(t.size), np.empty(t.size)
    n, first = 0, 0
    for i in range(t.size):
        if last[i] or i - first + 1 == SCAN_POINTS:
            w = 1.0 / e[first : i + 1] ** 2
            means[n] = np.sum(w * (m[first : i + 1] - m[0])) / np.sum(w)
            variances[n] = 1.0 / np.sum(w)
            n += 1
            first = i + 1
    if n < 2:
        return np.nan
    total = 0.0
    for i in range(n):
        for j in range(i):
            total += np.abs(means[i] - means[j]) / np.sqrt(variances[i] + variances[j])
    return 2.0 * total / (n * (n - 1.0))


@numba.njit(cache=True)
def n3(t, m, e):  # type: ignore[no-untyped-def]
    """Share n / (N - 2) of runs of three or more neighbours all over 3 errors off the median on one side.

    After the consecutive-points index of Wozniak 2000 (AcA 50, 421).
    """
    median = np.median(m)
    count, length, side = 0, 0, 0
    for i in range(m.size):
        d = (m[i] - median) / e[i]
        now = 1 if d > 3.0 else (-1 if d < -3.0 else 0)
        length = length + 1 if (now == side and now != 0) else (1 if now != 0 else 0)
        side = now
        if length == 3:
            count += 1
    return count / (m.size - 2.0)


@numba.njit(cache=True)
def inverse_von_neumann(t, m, e):  # type: ignore[no-untyped-def]
    """1 / eta: variance over mean squared difference of neighbours (von Neumann 1941); 0.5 for white noise."""
    squares = np.sum((m[1:] - m[:-1]) ** 2)
    return np.sum((m - np.mean(m)) ** 2) / squares if squares > 0.0 else np.nan


@numba.njit(cache=True)
def _abbe(m):  # type: ignore[no-untyped-def]
    total = np.sum((m - np.mean(m)) ** 2)
    return 0.5 * m.size / (m.size - 1.0) * np.sum((m[1:] - m[:-1]) ** 2) / total if total > 0.0 else np.nan


@numba.njit(cache=True)
def excess_abbe(t, m, e):  # type: ignore[no-untyped-def]
    """Mean Abbe value of windows of an eighth of the span, minus that of the whole.

    Mowlavi 2014, doi:10.1051/0004-6361/201322648.

    Windows are centred on each point; those of fewer than 5 points do not count; NaN if none has.
    """
    half = (t[-1] - t[0]) / 16.0
    total, n, low, high = 0.0, 0, 0, 0
    for i in range(t.size):
        while t[low] < t[i] - half:
            low += 1
        while high < t.size and t[high] <= t[i] + half:
            high += 1
        if high - low >= 5:
            value = _abbe(m[low:high])
            if np.isfinite(value):
                total += value
                n += 1
    return total / n - _abbe(m) if n else np.nan


@numba.njit(cache=True)
def s_b(t, m, e):  # type: ignore[no-untyped-def]
    """S_B: squared sums of residuals of one sign in a row; 0 where all points are equal, as rounded ones may be.

    Figuera Jaimes et al. 2013, doi:10.1051/0004-6361/201220824.
    """
    mean = weighted_mean(t, m, e)
    total, group, n_groups = 0.0, 0.0, 0
    side = 0.0
    for i in range(m.size):
        r = (m[i] - mean) / e[i]
        if np.sign(r) != side:
            total += group * group
            group, side = 0.0, np.sign(r)
            n_groups += 1
        group += r
    total += group * group
    return total / (m.size * max(n_groups, 1))


@numba.njit(cache=True)
def global_noise(t, m, e):  # type: ignore[no-untyped-def]
    """Scatter of the magnitudes: their standard deviation, mag."""
    return np.sqrt(np.sum((m - np.mean(m)) ** 2) / (m.size - 1))


@numba.njit(cache=True)
def local_noise(t, m, e):  # type: ignore[no-untyped-def]
    """Scatter after a boxcar of 7 points of the same run is subtracted, mag.

    A window of w points takes 1/w of the variance of white noise with it; each residual is corrected for that, so
    that white noise has equal global and local noise. NaN if every run is a single point.
    """
    last = _run_ends(t)
    total, n, first = 0.0, 0, 0
    for end in range(t.size):
        if not last[end]:
            continue
        for i in range(first, end + 1):
            half = min(BOXCAR // 2, i - first, end - i)
            low, high = i - half, i + half + 1
            if half == 0:
                low, high = max(first, i - 1), min(end + 1, i + 2)
            w = high - low
            if w >= 2:
                total += (m[i] - np.mean(m[low:high])) ** 2 * w / (w - 1.0)
                n += 1
        first = end + 1
    return np.sqrt(total / n) if n else np.nan


@numba.njit(cache=True)
def strongest_jump(t, m, e):  # type: ignore[no-untyped-def]
    """Largest |difference| of neighbours of one run over its error; 0 if there are none."""
    last = _run_ends(t)
    jump = 0.0
    for i in range(t.size - 1):
        if not last[i]:
            jump = max(jump, np.abs(m[i + 1] - m[i]) / np.sqrt(e[i] ** 2 + e[i + 1] ** 2))
    return jump
