"""All indices of many light curves at once, with the input hygiene in one place.

Light curves come as flat columns with a series number each. Points that are not finite, or whose error is not
positive, are left out; the rest are sorted by series and time before any index sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from photodb.core.variability import correlation as c
from photodb.core.variability import scatter as s
from photodb.core.variability.registry import INDICES

MAX_BAD_FRACTION = 0.2
"""Share of bad points above which a star's quality flag is -1."""

JUMPS = (5.0, 8.0, 12.0, 20.0)
"""Strongest jump between neighbours in time, over its error, from which the quality flag is 1, 2, 3, 4.

Noise alone reaches 5 once in two million pairs. Large variables sampled sparsely jump as well: the flag speaks of the
light curve's smoothness, not of guilt.
"""


@dataclass(frozen=True)
class Series:
    """Light curves in flat columns, sorted by series and time, clean."""

    start: NDArray[np.int64]  # (n_series + 1,)
    time: NDArray[np.float64]
    mag: NDArray[np.float64]
    mag_err: NDArray[np.float64]


def clean_series(series: NDArray, time: NDArray, mag: NDArray, mag_err: NDArray, n_series: int) -> Series:
    """Sort and clean flat columns; `series` are numbers from 0 to n_series - 1."""
    good = np.isfinite(time) & np.isfinite(mag) & np.isfinite(mag_err) & (mag_err > 0)
    rows = np.flatnonzero(good)
    rows = rows[np.lexsort((time[rows], series[rows]))]
    start = np.zeros(n_series + 1, dtype=np.int64)
    np.cumsum(np.bincount(series[rows], minlength=n_series), out=start[1:])
    columns = (np.ascontiguousarray(column[rows], dtype=np.float64) for column in (time, mag, mag_err))
    return Series(start, *columns)


@numba.njit(cache=True)
def _compute(start, time, mag, mag_err, out):  # type: ignore[no-untyped-def]
    # numba's cache looks at this file alone: after a change of the functions below, it must change too
    for j in range(start.size - 1):
        if start[j + 1] - start[j] < 2:
            continue
        t, m, e = (
            time[start[j] : start[j + 1]],
            mag[start[j] : start[j + 1]],
            mag_err[start[j] : start[j + 1]],
        )
        out[j, 0] = s.mean_mag(t, m, e)
        out[j, 1] = s.median_mag(t, m, e)
        out[j, 2] = s.weighted_mean(t, m, e)
        out[j, 3] = s.sigma(t, m, e)
        out[j, 4] = s.weighted_sigma(t, m, e)
        out[j, 5] = s.clipped_sigma(t, m, e)
        out[j, 6] = s.mad(t, m, e)
        out[j, 7] = s.iqr(t, m, e)
        out[j, 8] = s.chi2_dof(t, m, e)
        out[j, 9] = s.roms(t, m, e)
        out[j, 10] = s.norm_excess_variance(t, m, e)
        out[j, 11] = s.peak_to_peak(t, m, e)
        out[j, 12] = c.lag1(t, m, e)
        out[j, 13] = c.welch_stetson_i(t, m, e)
        out[j, 14] = c.stetson_j(t, m, e)
        out[j, 15] = c.stetson_k(t, m, e)
        out[j, 16] = c.stetson_l(t, m, e)
        out[j, 17] = c.excursions(t, m, e)
        out[j, 18] = c.n3(t, m, e) if t.size > 2 else np.nan
        out[j, 19] = c.inverse_von_neumann(t, m, e)
        out[j, 20] = c.excess_abbe(t, m, e)
        out[j, 21] = c.s_b(t, m, e)
        out[j, 22] = s.skewness(t, m, e)
        out[j, 23] = s.kurtosis(t, m, e)
        out[j, 24] = c.global_noise(t, m, e)
        out[j, 25] = c.local_noise(t, m, e)


@numba.njit(cache=True)
def _jumps(start, time, mag, mag_err, out):  # type: ignore[no-untyped-def]
    for j in range(start.size - 1):
        if start[j + 1] - start[j] >= 2:
            a, b = start[j], start[j + 1]
            out[j] = c.strongest_jump(time[a:b], mag[a:b], mag_err[a:b])


def compute_indices(series: Series) -> NDArray[np.float64]:
    """Return every index of every series, (n_series, n_indices) in the order of INDICES; NaN where n is too small."""
    n = np.diff(series.start)
    out = np.full((n.size, len(INDICES)), np.nan)
    _compute(series.start, series.time, series.mag, series.mag_err, out)
    single = np.flatnonzero(n == 1)
    out[single, :3] = series.mag[series.start[single]][:, None]
    for i, index in enumerate(INDICES):
        out[n < index.n_min, i] = np.nan
    return out


def quality_flags(series: Series, bad_fraction: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return -1 for more than 20 % bad points, else 0 (best) to 4 by the strongest jump between neighbours in time."""
    jump = np.zeros(series.start.size - 1)
    _jumps(series.start, series.time, series.mag, series.mag_err, jump)
    flags = np.searchsorted(np.array(JUMPS), jump, side="right").astype(np.int16)
    return np.where(bad_fraction > MAX_BAD_FRACTION, np.int16(-1), flags)
