"""The best reference stars: of the brightest stars good on every frame, the combination of least noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_CANDIDATES = 40
N_REFERENCES = 20


def ensemble_noise2(covariance: NDArray[np.float64], chosen: NDArray[np.integer]) -> float:
    """Return the mean variance of the chosen stars about their own mean light curve, mag2.

    With C the covariance of the light curves it is mean(C_jj) - mean(C_jk): what all have in common (clouds) drops out.
    """
    block = covariance[np.ix_(chosen, chosen)]
    return float(np.trace(block) / chosen.size - block.mean())


def best_references(
    mags: NDArray[np.float64], n_candidates: int = N_CANDIDATES, n_references: int = N_REFERENCES
) -> NDArray[np.int64]:
    """Choose reference stars from `mags`, (n_stars, n_frames), NaN where a star has no good point.

    Of the `n_candidates` brightest stars good on every frame, stars are removed one by one, always the one whose
    removal lowers the noise most, until `n_references` are left; then single stars are swapped for as long as that
    helps. The result is a local minimum under removal and exchange (the best of all combinations, 1.4e11 for 20 of 40,
    is not searched). Returns row numbers, brightest first; fewer where fewer stars are good, empty for one frame.
    """
    complete = np.flatnonzero(np.isfinite(mags).all(axis=1))
    if mags.shape[1] < 2 or complete.size == 0:
        return np.empty(0, dtype=np.int64)
    brightest = complete[np.argsort(np.median(mags[complete], axis=1), kind="stable")][:n_candidates]
    covariance = np.atleast_2d(np.cov(mags[brightest]))
    chosen = np.arange(brightest.size)
    while chosen.size > n_references:
        noise = [ensemble_noise2(covariance, np.delete(chosen, i)) for i in range(chosen.size)]
        chosen = np.delete(chosen, int(np.argmin(noise)))
    return np.asarray(brightest[np.sort(_swap(covariance, chosen))], dtype=np.int64)


def _swap(covariance: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exchange single stars, best exchange first, while the noise falls."""
    chosen = chosen.copy()
    while True:
        others = np.setdiff1d(np.arange(covariance.shape[0]), chosen)
        if others.size == 0:
            return chosen
        trace, total = np.trace(covariance[np.ix_(chosen, chosen)]), covariance[np.ix_(chosen, chosen)].sum()
        variance, n = np.diag(covariance), chosen.size
        row = covariance[:, chosen].sum(axis=1)
        gain_trace = variance[others][None, :] - variance[chosen][:, None]
        new_total = (
            total
            - 2 * row[chosen][:, None]
            + variance[chosen][:, None]
            + 2 * (row[others][None, :] - covariance[np.ix_(chosen, others)])
            + variance[others][None, :]
        )
        noise = (trace + gain_trace) / n - new_total / n**2
        out, new = np.unravel_index(int(np.argmin(noise)), noise.shape)
        if noise[out, new] >= (trace / n - total / n**2) * (1 - 1e-12):
            return chosen
        chosen[out] = others[new]
