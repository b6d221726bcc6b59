"""Error floors, and which stars and frames the solution can trust.

A floor is what has to be added in quadrature to the photon errors of a camera so that bright constant stars scatter
as their errors say. Residuals are smaller than errors because the fit follows them: each is divided by
sqrt(1 - leverage) in effect, with the leverage of star and frame together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

WINSOR2 = 9.0
"""Squared residuals count at most this much in the chi2 that rejects stars and frames."""

SCALE_DOF = 200.0
LEAST_SHARE = 0.2
"""Degrees of freedom in photon-dominated residuals that a fit of the error scale needs."""

SCALE2_RANGE = (0.01, 25.0)

_TRUNCATE2 = 16.0
_MEDIAN_CHI2 = 0.454936  # median of chi2 with one degree of freedom


@dataclass(frozen=True)
class Floor:
    """One fitted error floor."""

    value: float  # mag; the value used
    fitted: bool  # False: too few bright residuals, or at the cap; `value` is then only a default or a bound
    n_points: int  # residuals it rests on
    note: str  # why it is not fitted, or that it is a bound; empty if all is well


def fit_floor2(r2: NDArray, room: NDArray, e2: NDArray, cap2: float) -> float:
    """Fit f^2 in r^2 ~ room (e^2 + f^2) chi2_1, robustly; 0 if the photon errors explain everything.

    `room` is 1 - leverage. A start from the median (bisection), then the estimating equation of restricted maximum
    likelihood, sum w^2 r^2 = sum w room with w = 1 / (e^2 + f^2), on residuals within four sigma.
    """
    z2 = r2 / room
    low, high = 0.0, cap2
    if np.median(z2 / (e2 + 1e-12)) <= _MEDIAN_CHI2:
        f2 = 0.0
    else:
        for _ in range(40):
            f2 = 0.5 * (low + high)
            low, high = (f2, high) if np.median(z2 / (e2 + f2)) > _MEDIAN_CHI2 else (low, f2)
    for _ in range(20):
        var = e2 + max(f2, 1e-10)
        inside = z2 < _TRUNCATE2 * var
        if not inside.any():
            break
        weight = inside / var**2
        update = float(np.sum(weight * (r2 / 0.9989 - room * e2)) / np.sum(weight * room))
        f2, previous = min(max(update, 0.0), cap2), f2
        if abs(f2 - previous) <= 1e-4 * previous:
            break
    return f2


def bright_points(
    e2: NDArray, floor2: float, room: NDArray | None = None, least: float = 300.0
) -> NDArray[np.bool_]:
    """Choose the points whose photon variance is at most twice the floor's.

    Where these have fewer than `least` degrees of freedom (the sum of `room`, 1 - leverage; points without it), the
    next brightest follow until they have, for a few very bright stars fit their own frames and say little.
    """
    chosen = e2 <= 2.0 * floor2
    room = np.ones(e2.size) if room is None else room
    if room[chosen].sum() < least and e2.size:
        by_error = np.argsort(e2, kind="stable")
        chosen[by_error[: int(np.searchsorted(np.cumsum(room[by_error]), least)) + 1]] = True
    return chosen


def fit_camera_floor(
    residual2: NDArray, e2: NDArray, leverage: NDArray, floor2: float, settings: FloorSettings
) -> Floor:
    """Fit one camera's floor from residuals squared (n,), photon variances and leverages of its usable points."""
    room = 1.0 - leverage
    enough = np.isfinite(room) & (room > settings.least_room)
    residual2, e2, room = residual2[enough], e2[enough], room[enough]
    for _ in range(3):
        chosen = bright_points(e2, floor2, room)
        if room[chosen].sum() < settings.least_dof:
            note = f"{room[chosen].sum():.0f} degrees of freedom in bright stars, {settings.least_dof:.0f} needed"
            return Floor(settings.default, False, int(chosen.sum()), note)
        fitted = fit_floor2(residual2[chosen], room[chosen], e2[chosen], settings.cap**2)
        if abs(fitted - floor2) <= 0.02 * floor2:
            break
        floor2 = fitted
    n = int(chosen.sum())
    if fitted >= 0.98 * settings.cap**2:
        return Floor(settings.cap, False, n, f"at the cap of {settings.cap:g} mag: a lower bound")
    if fitted < settings.least**2:
        return Floor(settings.least, True, n, f"below {settings.least:g} mag: an upper bound")
    return Floor(float(np.sqrt(fitted)), True, n, "")


@dataclass(frozen=True)
class FloorSettings:
    """Bounds of the fitted error floors."""

    default: float = 0.01  # mag, where it cannot be fitted
    least: float = 0.0005  # mag
    cap: float = 0.1  # mag
    least_dof: float = 20.0  # degrees of freedom in bright residuals needed for a fit
    least_room: float = 0.02  # points with 1 - leverage below this say nothing


def fit_error_scale2(
    residual2: NDArray, e2: NDArray, leverage: NDArray, floor2: float, scale2: float
) -> float:
    """Fit the squared factor on photon errors from points that photons dominate; 1 with too few of them.

    The estimating equation of restricted maximum likelihood, sum w^2 e^2 (r^2 - room (s^2 e^2 + f^2)) = 0, on
    residuals within four sigma: a gain that was only assumed scales all photon errors of a camera alike.
    """
    room = 1.0 - leverage
    chosen = (e2 * scale2 > 4.0 * floor2) & (room > 0.2)
    if room[chosen].sum() < SCALE_DOF:
        return 1.0
    r2, e2, room = residual2[chosen], e2[chosen], room[chosen]
    scale2 = max(float(np.median(r2 / (room * e2))) / _MEDIAN_CHI2, SCALE2_RANGE[0])
    for _ in range(10):
        var = scale2 * e2 + floor2
        weight = (r2 < _TRUNCATE2 * room * var) * e2 / var**2
        update = float(np.sum(weight * (r2 / 0.9989 - room * floor2)) / np.sum(weight * room * e2))
        scale2, previous = min(max(update, SCALE2_RANGE[0]), SCALE2_RANGE[1]), scale2
        if abs(scale2 - previous) <= 1e-4 * previous:
            break
    return scale2


def fit_error_scales2(
    residual2: NDArray, e2: NDArray, share: NDArray, leverage: NDArray, floor2: float, scales2: NDArray
) -> NDArray[np.float64]:
    """Fit squared factors on the errors of sky and read noise and of star photons, (2,).

    A gain that was only assumed wrongs the photons of the star alone, noise that neighbouring pixels share wrongs the
    sky's alone. The variance s q + g p + f is linear in all three: their estimating equations of restricted maximum
    likelihood, sum w^2 x_k (r^2 - room x.theta) = 0 with x = (q, p, 1), are solved within bounds on residuals within
    four sigma. Where the share of the star's photons is not known, or hardly varies, both factors are one.
    """
    if np.ptp(share) < LEAST_SHARE:
        return np.full(2, fit_error_scale2(residual2, e2, leverage, floor2, float(scales2[0])))
    room = 1.0 - leverage
    usable = room > 0.2
    r2, room = residual2[usable], room[usable]
    if room.sum() < SCALE_DOF:
        return np.ones(2)
    x = np.stack([e2 * (1 - share), e2 * share, np.ones_like(e2)], axis=1)[usable]
    theta = np.array([scales2[0], scales2[1], max(floor2, 1e-8)])
    low, high = np.array([SCALE2_RANGE[0]] * 2 + [0.0]), np.array([SCALE2_RANGE[1]] * 2 + [1.0])
    for _ in range(15):
        var = x @ theta
        weight = (r2 < _TRUNCATE2 * room * var) / var**2
        size = 1.0 / np.sqrt(np.sum(weight[:, None] * room[:, None] * x**2, axis=0) + 1e-300)
        normal = (x * (weight * room)[:, None]).T @ x * np.outer(size, size)
        right = x.T @ (weight * r2 / 0.9989) * size
        root = np.linalg.cholesky(normal + 1e-10 * np.eye(3))
        fit = lsq_linear(root.T, np.linalg.solve(root, right), bounds=(low / size, high / size))
        theta, previous = fit.x * size, theta
        if np.all(np.abs(theta - previous) <= 1e-3 * previous):
            break
    return np.asarray(theta[:2])


def group_chi2(
    t2: NDArray, room: NDArray, use: NDArray[np.bool_], group: NDArray, n_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the winsorised chi2 per degree of freedom, and the number of points, of each group."""
    inside = np.flatnonzero(use)
    chi2 = np.bincount(group[inside], weights=np.minimum(t2[inside], WINSOR2), minlength=n_groups)
    dof = np.bincount(group[inside], weights=room[inside], minlength=n_groups)
    n = np.bincount(group[inside], minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(dof > 0, chi2 / dof, np.nan), n


def bad_stars(
    t2: NDArray,
    room: NDArray,
    use: NDArray[np.bool_],
    clipped: NDArray[np.bool_],
    star: NDArray,
    n_stars: int,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Find the stars that do not behave as constants; returns (bad, chi2 per dof, share of clipped points).

    Bad are a winsorised chi2 above 1 + 5 sqrt(1.5 / (n - 1)), or more than 15 % of the points (and at least two)
    clipped; a star of fewer than 4 points is never called bad, for nothing could tell.
    """
    chi2, n = group_chi2(t2, room, use, star, n_stars)
    n_clipped = np.bincount(star[use & clipped], minlength=n_stars)
    share = n_clipped / np.maximum(n, 1)
    limit = 1.0 + 5.0 * np.sqrt(1.5 / np.maximum(n - 1, 1))
    bad = (n >= 4) & ((chi2 > limit) | ((share > 0.15) & (n_clipped >= 2)))
    return bad, chi2, share
