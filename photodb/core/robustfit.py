"""Straight lines and planes through points with errors, some of them wrong, and more scatter than errors promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TUKEY = 4.685
"""Tukey's constant: 95 % efficient on normal residuals."""

CAP = 1.5
"""Residuals count for the scale as if they were at most so many sigma."""

CAP_MEAN = (
    math.erf(CAP / math.sqrt(2))
    - 2 * CAP * math.exp(-(CAP**2) / 2) / math.sqrt(2 * math.pi)
    + CAP**2 * math.erfc(CAP / math.sqrt(2))
)
"""Mean of min(z^2, CAP^2) for a normal z."""

MAX_ROUNDS = 50
CLOSE = 1e-4
"""Rounds end when no fitted value moves by more than this, in units of the least error."""


@dataclass(frozen=True)
class RobustFit:
    """A linear model of points with errors; NaN where there were not more points than coefficients."""

    coefficients: NDArray[np.float64]  # (k,)
    covariance: NDArray[np.float64]  # (k, k)
    excess: float  # scatter beyond the errors, in quadrature
    scatter: float  # robust standard deviation of the residuals
    n: int

    @property
    def errors(self) -> NDArray[np.float64]:
        """Errors of the coefficients, (k,)."""
        return np.sqrt(np.diag(self.covariance))


def robust_fit(
    design: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64]
) -> RobustFit:
    """Fit values = design @ coefficients by Tukey's biweight, with the excess scatter fitted.

    Errors grow in quadrature by one excess scatter until the capped mean square of the residuals is that of normal
    ones; where they are too large already, they shrink by a factor. Up to a third of the points may be wrong. The
    covariance is the sandwich of an M-estimator (Huber 1967; MacKinnon & White 1985, doi:10.1016/0304-4076(85)90158-7):
    it follows the residuals that there are, not the errors that were promised.

    Parameters
    ----------
    design : (n, k)
    values, errors : (n,), finite, errors positive
    """
    n, k = design.shape
    if n <= k:
        nothing = np.full(k, np.nan)
        return RobustFit(nothing, np.full((k, k), np.nan), math.nan, math.nan, n)
    found = _start(design, values, errors)
    for _ in range(MAX_ROUNDS):
        residual = values - design @ found
        total, excess = _total_errors(residual, errors, n - k)
        weight = np.sqrt(_tukey(residual / total)) / total
        before, found = found, _least_squares(design * weight[:, None], values * weight)
        if np.abs(design @ (found - before)).max() <= CLOSE * total.min():
            break
    residual = values - design @ found
    total, excess = _total_errors(residual, errors, n - k)
    covariance = _covariance(design / total[:, None], residual / total)
    return RobustFit(found, covariance, excess, _capped_scale(residual, n - k), n)


def robust_mean(values: NDArray[np.float64], errors: NDArray[np.float64]) -> RobustFit:
    """Fit a constant; see `robust_fit`."""
    return robust_fit(np.ones((len(values), 1)), values, errors)


def _start(design: NDArray, values: NDArray, errors: NDArray) -> NDArray[np.float64]:
    """Return the coefficients of the least sum of absolute deviations, nearly."""
    weight = 1 / np.sqrt(errors)
    floor = 0.01 * float(np.median(errors))
    found = _least_squares(design / errors[:, None], values / errors)
    for _ in range(15):
        near = np.sqrt(np.maximum(np.abs(values - design @ found), floor))
        found = _least_squares(design * (weight / near)[:, None], values * (weight / near))
    return found


def _least_squares(design: NDArray, values: NDArray) -> NDArray[np.float64]:
    return np.linalg.lstsq(design, values, rcond=None)[0]


def _tukey(z: NDArray) -> NDArray[np.float64]:
    return np.clip(1 - (z / TUKEY) ** 2, 0, None) ** 2


def _total_errors(residual: NDArray, errors: NDArray, dof: int) -> tuple[NDArray[np.float64], float]:
    """Return errors that agree with the residuals, and the excess scatter that was added."""

    def spread(excess: float) -> float:
        return float(np.minimum(residual**2 / (errors**2 + excess**2), CAP**2).sum()) / dof

    if spread(0.0) <= CAP_MEAN:
        return errors * max(_capped_scale(residual / errors, dof), 1e-9), 0.0
    low, high = 0.0, float(np.abs(residual).max()) + 1e-12
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if spread(middle) > CAP_MEAN else (low, middle)
    return np.sqrt(errors**2 + high**2), high


def _capped_scale(z: NDArray, dof: int) -> float:
    """Return the scale by which z must be divided for a capped mean square of a normal sample; 0 for zeros."""
    square = z**2
    scale = float(np.sqrt(np.median(square))) * 1.4826 or float(np.sqrt(square.mean()))
    if scale == 0:
        return 0.0
    for _ in range(60):
        ratio = float(np.minimum(square / scale**2, CAP**2).sum()) / (dof * CAP_MEAN)
        scale *= math.sqrt(ratio)
        if abs(ratio - 1) < 1e-6:
            break
    return scale


def _covariance(design: NDArray, z: NDArray) -> NDArray[np.float64]:
    """Return the covariance of a fit by the biweight to rows divided by their errors."""
    u2 = (z / TUKEY) ** 2
    psi = np.where(u2 < 1, z * (1 - u2) ** 2, 0.0)
    slope = np.where(u2 < 1, (1 - u2) * (1 - 5 * u2), 0.0)
    bread = np.linalg.pinv(design.T @ (slope[:, None] * design))
    leverage = np.einsum("ij,jk,ik->i", design, np.linalg.pinv(design.T @ design), design)
    filled = design * (psi / np.clip(1 - leverage, 1e-2, 1))[:, None]
    return np.asarray(bread @ (filled.T @ filled) @ bread)
