"""Indices of scatter: how far the magnitudes spread, whatever their order in time.

All functions take time-ordered, finite columns `t` (d), `m` (mag), `e` (mag, positive) of one light curve.
"""

from __future__ import annotations

import numba
import numpy as np

from photodb.core.robust import MAD_TO_SIGMA

_LN10_04 = 0.4 * np.log(10.0)
CLIP_SIGMA = 3.0


@numba.njit(cache=True)
def mean_mag(t, m, e):  # type: ignore[no-untyped-def]
    """Unweighted mean, mag."""
    return np.mean(m)


@numba.njit(cache=True)
def median_mag(t, m, e):  # type: ignore[no-untyped-def]
    """Median, mag."""
    return np.median(m)


@numba.njit(cache=True)
def weighted_mean(t, m, e):  # type: ignore[no-untyped-def]
    """Mean weighted by 1 / e^2, mag."""
    w = 1.0 / (e * e)
    return m[0] + np.sum(w * (m - m[0])) / np.sum(w)


@numba.njit(cache=True)
def sigma(t, m, e):  # type: ignore[no-untyped-def]
    """Standard deviation with n - 1, mag."""
    return np.sqrt(np.sum((m - np.mean(m)) ** 2) / (m.size - 1))


@numba.njit(cache=True)
def weighted_sigma(t, m, e):  # type: ignore[no-untyped-def]
    """Weighted standard deviation, mag: sqrt(W / (W^2 - sum w^2) sum w (m - <m>)^2)."""
    w = 1.0 / (e * e)
    total = np.sum(w)
    return np.sqrt(total / (total**2 - np.sum(w * w)) * np.sum(w * (m - weighted_mean(t, m, e)) ** 2))


@numba.njit(cache=True)
def mad(t, m, e):  # type: ignore[no-untyped-def]
    """1.4826 times the median absolute deviation, mag."""
    return MAD_TO_SIGMA * np.median(np.abs(m - np.median(m)))


@numba.njit(cache=True)
def clipped_sigma(t, m, e):  # type: ignore[no-untyped-def]
    """Standard deviation after clipping at 3 sigma around the median, mag; the first round clips by the MAD."""
    centre, scale = np.median(m), mad(t, m, e)
    count = m.size
    for _ in range(10):
        inside = np.abs(m - centre) <= CLIP_SIGMA * scale
        n = np.sum(inside)
        if scale == 0.0 or n < 2:
            return scale
        kept = m[inside]
        centre = np.median(kept)
        scale = np.sqrt(np.sum((kept - np.mean(kept)) ** 2) / (n - 1))
        if n == count:
            break
        count = n
    return scale


@numba.njit(cache=True)
def _quantile(ordered, q):  # type: ignore[no-untyped-def]
    place = q * (ordered.size - 1)
    low = int(place)
    high = min(low + 1, ordered.size - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@numba.njit(cache=True)
def iqr(t, m, e):  # type: ignore[no-untyped-def]
    """Interquartile range, mag; quartiles by linear interpolation between order statistics."""
    ordered = np.sort(m)
    return _quantile(ordered, 0.75) - _quantile(ordered, 0.25)


@numba.njit(cache=True)
def chi2_dof(t, m, e):  # type: ignore[no-untyped-def]
    """Chi2 against the weighted mean, per degree of freedom."""
    return np.sum(((m - weighted_mean(t, m, e)) / e) ** 2) / (m.size - 1)


@numba.njit(cache=True)
def roms(t, m, e):  # type: ignore[no-untyped-def]
    """Robust median statistic, sum |m - median| / e / (n - 1) (Enoch et al. 2003, doi:10.1086/376509)."""
    return np.sum(np.abs(m - np.median(m)) / e) / (m.size - 1)


@numba.njit(cache=True)
def _fluxes(m):  # type: ignore[no-untyped-def]
    return np.exp(-_LN10_04 * (m - np.median(m)))


@numba.njit(cache=True)
def norm_excess_variance(t, m, e):  # type: ignore[no-untyped-def]
    """Variance of the fluxes beyond their errors, over the squared mean (Nandra et al. 1997, doi:10.1086/303600)."""
    x = _fluxes(m)
    s = _LN10_04 * e * x
    mean = np.mean(x)
    return np.mean((x - mean) ** 2 - s**2) / mean**2


@numba.njit(cache=True)
def peak_to_peak(t, m, e):  # type: ignore[no-untyped-def]
    """Peak-to-peak of the fluxes beyond their errors, over their sum (Sokolovsky et al. 2009, AN 330, 199)."""
    x = _fluxes(m)
    s = _LN10_04 * e * x
    high, low = np.max(x - s), np.min(x + s)
    return (high - low) / (high + low)


@numba.njit(cache=True)
def _moment_ratio(m, power):  # type: ignore[no-untyped-def]
    d = m - np.mean(m)
    m2 = np.mean(d * d)
    if m2 == 0.0:
        return np.nan
    return np.mean(d**power) / m2 ** (0.5 * power)


@numba.njit(cache=True)
def skewness(t, m, e):  # type: ignore[no-untyped-def]
    """Population skewness m3 / m2^1.5, without bias correction."""
    return _moment_ratio(m, 3)


@numba.njit(cache=True)
def kurtosis(t, m, e):  # type: ignore[no-untyped-def]
    """Population excess kurtosis m4 / m2^2 - 3, without bias correction."""
    return _moment_ratio(m, 4) - 3.0
