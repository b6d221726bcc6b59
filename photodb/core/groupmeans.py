"""Mean magnitudes of many sources at once, from points of which some are wrong.

Means are of fluxes: a magnitude of a noisy flux, and the error that goes with it, lean to the bright side, by 5 mmag at
S/N 20 where points are weighted by their own errors, and two telescopes of different size would seem to disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from .columns import Bundle, Floats, Ints
from .robust import MAD_TO_SIGMA

CUT = 6.0
"""Points beyond so many sigma (of the errors, or of the group where it scatters more) have no weight."""

UNLIKELY = 1e-3
"""Errors of a group grow to its scatter where constant points would scatter so much less often than this."""

MAG = 2.5 / np.log(10)


@dataclass(frozen=True)
class GroupMeans(Bundle):
    """Means of groups of points, a row a group."""

    mag: Floats  # (g,) NaN for an empty group
    mag_err: (
        Floats  # (g,) from the errors of the points, or from their scatter where that is too large for them
    )
    n: Ints  # (g,) points
    chi2_dof: Floats  # (g,) NaN below two points


def group_medians(values: NDArray, group: NDArray[np.integer], n_groups: int) -> NDArray[np.float64]:
    """Return the median of each group; NaN for an empty one.

    Parameters
    ----------
    values : (n,) finite
    group : (n,) 0 .. n_groups - 1
    """
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=n_groups)
    start = np.concatenate(([0], np.cumsum(counts)[:-1]))
    some = counts > 0
    ordered = values[order]
    middle = np.full(n_groups, np.nan)
    low, high = start[some] + (counts[some] - 1) // 2, start[some] + counts[some] // 2
    middle[some] = 0.5 * (ordered[low] + ordered[high])
    return middle


def mean_magnitudes(
    mag: NDArray[np.floating], mag_err: NDArray[np.floating], group: NDArray[np.integer], n_groups: int
) -> GroupMeans:
    """Average magnitudes by group, as fluxes, by Tukey's biweight around the median.

    Parameters
    ----------
    mag, mag_err : (n,) finite, errors positive; independent from point to point
    group : (n,) 0 .. n_groups - 1
    """
    mag, mag_err = np.asarray(mag, np.float64), np.asarray(mag_err, np.float64)
    reference = group_medians(mag, group, n_groups)
    flux = 10 ** (-0.4 * (mag - reference[group]))
    error = flux * mag_err / MAG
    centre = np.ones(n_groups)
    for _ in range(3):
        z = (flux - centre[group]) / error
        spread = np.maximum(1.0, MAD_TO_SIGMA * group_medians(np.abs(z), group, n_groups))
        weight = np.clip(1 - (z / (CUT * spread[group])) ** 2, 0, None) ** 2 / error**2
        total = np.bincount(group, weight, n_groups)
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = np.bincount(group, weight * flux, n_groups) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        flux_err = np.sqrt(np.bincount(group, (weight * error) ** 2, n_groups)) / total
        mean, mean_err = reference - 2.5 * np.log10(centre), MAG * flux_err / centre
    n = np.bincount(group, minlength=n_groups)
    chi2 = np.bincount(group, np.minimum(z**2, (CUT * spread[group]) ** 2), n_groups)
    chi2_dof = np.where(n > 1, chi2 / np.maximum(n - 1, 1), np.nan)
    varies = (n > 1) & (chi2 > chi2_distribution.isf(UNLIKELY, np.maximum(n - 1, 1)))
    return GroupMeans(mean, np.where(varies, mean_err * np.sqrt(chi2_dof), mean_err), n, chi2_dof)
