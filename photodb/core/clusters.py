"""Tell whether the detections of one source lie around one place, around two, or along a line in time.

Each is a Gaussian model of the offsets with a covariance of its own; the Bayesian information criterion (Schwarz 1978,
doi:10.1214/aos/1176344136) weighs how well it fits against how many numbers it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_POINTS = 8
LEAST_IN_CLUSTER = 3
SURE_BIC = 10.0
"""Difference of the criterion that is taken for sure."""
LEAST_PARTED = 3.0
"""Distance of the two places, in standard deviations of the points along it; with less they run into each other."""
ITERATIONS = 100
FLOOR_ARCSEC = 1e-3
"""Least standard deviation: positions that are all equal have one, too."""


@dataclass(frozen=True)
class TwoPlaces:
    """What three models say of n points."""

    second: NDArray[np.bool_]  # (n,) belongs to the place with fewer points
    separation_arcsec: float
    parted: float  # the same, in standard deviations of the points along it
    over_one: float  # criterion of one place minus that of two: above 0 where two fit better
    over_motion: float  # criterion of one moving place minus that of two

    @property
    def sure(self) -> bool:
        """Whether there are two places beyond doubt."""
        few = min(int(self.second.sum()), int((~self.second).sum()))
        fits = min(self.over_one, self.over_motion) >= SURE_BIC
        return few >= LEAST_IN_CLUSTER and fits and self.parted >= LEAST_PARTED


def two_places(x: NDArray, y: NDArray, t: NDArray) -> TwoPlaces:
    """Fit one place, one that moves evenly, and two to offsets; fewer than `LEAST_POINTS` points are one place.

    Parameters
    ----------
    x, y : (n,) arcsec, finite; t : (n,) d.
    """
    points = np.column_stack([x, y]).astype(float)
    n = len(points)
    if n < LEAST_POINTS:
        return TwoPlaces(np.zeros(n, bool), 0.0, 0.0, -np.inf, -np.inf)
    time = np.column_stack([np.ones(n), (t - np.mean(t)) / max(np.ptp(t), 1e-9)])
    line, *_ = np.linalg.lstsq(time, points, rcond=None)
    one = _criterion(_likelihood(points - points.mean(axis=0)), 5, n)
    moving = _criterion(_likelihood(points - time @ line), 7, n)
    share, means, covariance, likelihood = max(
        (_mixture(points, start) for start in _starts(points)), key=lambda m: m[3]
    )
    two = _criterion(likelihood, 8, n)
    apart = means[1] - means[0]
    second = share > 0.5
    second = second if second.sum() <= n - second.sum() else ~second
    parted = float(np.sqrt(apart @ np.linalg.solve(covariance, apart)))
    return TwoPlaces(second, float(np.hypot(*apart)), parted, one - two, moving - two)


def _criterion(likelihood: float, n_numbers: int, n: int) -> float:
    return float(n_numbers * np.log(n) - 2 * likelihood)


def _covariance(residual: NDArray, weight: NDArray | None = None) -> NDArray[np.float64]:
    w = np.ones(len(residual)) if weight is None else weight
    made: NDArray[np.float64] = (residual * w[:, None]).T @ residual / len(residual) + np.eye(
        2
    ) * FLOOR_ARCSEC**2
    return made


def _log_density(residual: NDArray, covariance: NDArray) -> NDArray[np.float64]:
    squares = np.einsum("ij,ij->i", residual, np.linalg.solve(covariance, residual.T).T)
    return np.asarray(-0.5 * squares - 0.5 * np.log(np.linalg.det(covariance)) - np.log(2 * np.pi))


def _likelihood(residual: NDArray) -> float:
    return float(_log_density(residual, _covariance(residual)).sum())


def _starts(points: NDArray) -> list[NDArray[np.bool_]]:
    """Return first guesses of who belongs to the second place: cuts across both main axes."""
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    along = [points @ axis for axis in axes]
    cuts = [(value, np.quantile(value, q)) for value in along for q in (0.15, 0.3, 0.5, 0.7, 0.85)]
    return [value > cut for value, cut in cuts if 0 < (value > cut).sum() < len(points)] or [
        along[0] > along[0].mean()
    ]


def _mixture(points: NDArray, second: NDArray) -> tuple[NDArray, NDArray, NDArray, float]:
    """Fit two places with one covariance by expectation and maximisation from a first guess.

    Returns the share (n,) of each point in the second place, both places (2, 2), covariance and log likelihood.
    """
    share, before = second.astype(float), -np.inf
    for _ in range(ITERATIONS):
        weights = np.stack([1 - share, share])
        total = np.maximum(weights.sum(axis=1), 1e-9)
        means = weights @ points / total[:, None]
        residuals = [points - mean for mean in means]
        covariance = sum(_covariance(r, w) for r, w in zip(residuals, weights)) - np.eye(2) * FLOOR_ARCSEC**2
        log = np.stack(
            [_log_density(r, covariance) + np.log(k / len(points)) for r, k in zip(residuals, total)]
        )
        whole = np.logaddexp(*log)
        share, likelihood = np.exp(log[1] - whole), float(whole.sum())
        if likelihood - before < 1e-7:
            break
        before = likelihood
    return share, means, covariance, likelihood
