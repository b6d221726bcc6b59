"""Which light curves vary only with the telescope and the seeing: blends, and band passes that differ.

A neighbour's light in the aperture grows as the seeing worsens, and two telescopes with other pixels or
another band pass see a star at another mean magnitude. Such a curve is a quadratic in ln FWHM for each
telescope; a variable star is not, save by chance. (External parameter decorrelation: Bakos et al. 2010,
doi:10.1088/0004-637X/710/2/1724.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_POINTS = 8
"""Points of a star on a telescope below which only a constant is fitted there."""

EXPLAINED = 0.6
"""The fit explains a light curve if it brings chi2 below this share of that of one constant ..."""

QUIET = 3.0
"""... and below this a point."""

CAP = 5.0
"""Residuals count with at most so many sigmas: one bad point decides nothing."""

_ROUNDS, _CAUCHY, _RIDGE = 6, 2.0, 1e-6


def explained_by_seeing(
    star: NDArray, telescope: NDArray, fwhm: NDArray, mag: NDArray, mag_err: NDArray, n_stars: int
) -> NDArray[np.bool_]:
    """Tell which stars' light curves are explained by a quadratic in ln FWHM for each telescope.

    Parameters
    ----------
    star, telescope : (n,) integers, stars from 0 to n_stars - 1
    fwhm : (n,) of the frame, any unit; points without it count with their telescope's mean
    mag, mag_err : (n,) mag, finite

    Returns
    -------
    (n_stars,) False where there is nothing to explain: chi2 a point of one constant below 1, or no points.
    """
    if not len(star):
        return np.zeros(n_stars, dtype=bool)
    camera = np.unique(telescope, return_inverse=True)[1]
    group = np.unique(star.astype(np.int64) * (camera.max() + 1) + camera, return_inverse=True)[1]
    m, e = mag.astype(np.float64), mag_err.astype(np.float64)
    u = _scaled_seeing(camera, fwhm)
    one = np.ones((star.size, 1))
    constant = _residual(star, one, m, e, star, n_stars)
    seeing = _residual(group, np.column_stack([one[:, 0], u, u**2]), m, e, star, n_stars)
    before, after = _chi2(star, constant / e, n_stars), _chi2(star, seeing / e, n_stars)
    return np.asarray((before > 1.0) & (after < QUIET) & (after < EXPLAINED * before))


def _scaled_seeing(camera: NDArray, fwhm: NDArray) -> NDArray[np.float64]:
    """Return ln FWHM, centred and scaled to unit scatter for each telescope; 0 where it is unknown."""
    x = np.log(np.where(fwhm > 0, fwhm, np.nan).astype(np.float64))
    out = np.zeros(x.size)
    for number in np.unique(camera):
        mine = (camera == number) & np.isfinite(x)
        if mine.any() and np.ptp(x[mine]) > 0:
            out[mine] = (x[mine] - x[mine].mean()) / x[mine].std()
    return out


def _residual(
    group: NDArray, terms: NDArray, m: NDArray, e: NDArray, star: NDArray, n_stars: int
) -> NDArray[np.float64]:
    """Return the residuals of a fit of the terms for each group, robust by Cauchy weights on each star's scatter."""
    n, k = int(group.max()) + 1, terms.shape[1]
    few = np.bincount(group, minlength=n) < MIN_POINTS
    terms = np.where(few[group, None] & (np.arange(k) > 0), 0.0, terms)
    level = _medians(group, m, n)[group]
    weight, residual = 1 / e**2, m - level
    for _ in range(_ROUNDS):
        normal, right = np.empty((n, k, k)), np.empty((n, k))
        for i in range(k):
            right[:, i] = np.bincount(group, weight * terms[:, i] * (m - level), n)
            for j in range(i + 1):
                normal[:, i, j] = normal[:, j, i] = np.bincount(group, weight * terms[:, i] * terms[:, j], n)
        trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        normal += np.where(trace > 0, _RIDGE * trace, 1.0) * np.eye(k)
        fit = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
        residual = m - level - np.einsum("ij,ij->i", terms, fit[group])
        pull = np.abs(residual) / e
        scale = _CAUCHY * np.maximum(1.4826 * _medians(star, pull, n_stars), 1.0)
        weight = 1 / e**2 / (1 + (pull / scale[star]) ** 2)
    return np.asarray(residual)


def _chi2(star: NDArray, pull: NDArray, n: int) -> NDArray[np.float64]:
    count = np.maximum(np.bincount(star, minlength=n), 1)
    return np.asarray(np.bincount(star, np.minimum(pull**2, CAP**2), n) / count)


def _medians(group: NDArray, value: NDArray, n: int) -> NDArray[np.float64]:
    """Return the lower median of each group; 0 for empty ones."""
    order = np.lexsort((value, group))
    count = np.bincount(group, minlength=n)
    middle = np.cumsum(count) - count + (count - 1) // 2
    out = np.zeros(n)
    out[count > 0] = value[order[middle[count > 0]]]
    return out
