"""Fit a map that is right to a pixel to all stars of two lists, each weighed by how well its place is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .flags import Flag
from .match import Affine, Registration, fit_affine, fit_curve, fit_similarity

UNSURE = (
    Flag.SATURATED
    | Flag.EDGE
    | Flag.BLEND
    | Flag.COSMIC_RAY
    | Flag.BAD_PIXEL
    | Flag.EXTENDED
    | Flag.DUPLICATE
)
"""Bits of detections whose places move with seeing, focus or brightness."""
FEWEST_SURE = 6
"""Pairs of sure places below which the map stays as it is."""
MANY_SURE = 20
"""Pairs of sure places from which the others only follow."""
UNSURE_PX = 0.3
"""Error of a place that is not to be trusted, where it is needed."""
AFFINE_FROM = 15
"""Pairs from which a map has six terms; four (shift, rotation, scale) below, unless the stars demand six."""
CLIP = 4.0
"""Sigmas of a residual, both axes together, beyond which a pair leaves the fit."""
LEAST_FLOOR_PX = 0.003
MEDIAN_RAYLEIGH = 2 * np.log(2.0)
"""Median of r^2 / sigma^2 where x and y scatter by sigma."""
STARS_FOR_ORDER = {2: 40, 3: 80}
F_LIMIT = 12.0
"""F of the terms of the next order above which stars demand them: for 6 terms and 60 stars chance gives 1e-9."""
F_SHEAR = 60.0
"""The same of the two terms of shear, of few stars: for 8 of them chance gives 1e-6."""
BEND_PX = 0.05
"""Bend in a corner below which straight is straight enough."""
ROUNDS = 5
MATCHINGS = 2
BENT_MATCHINGS = 6
"""Of a map that bends: its stars are found from the middle outwards."""


def place_errors(x_err: NDArray, y_err: NDArray, flags: NDArray) -> NDArray[np.float64]:
    """Return the error of places (n,) px an axis, in single precision; NaN where they are not to be trusted."""
    error = np.hypot(np.asarray(x_err, np.float32), np.asarray(y_err, np.float32)) / np.float32(np.sqrt(2))
    trusted = (np.asarray(flags) & int(UNSURE) == 0) & (error > 0)
    return np.where(trusted, error, np.nan).astype(np.float64)


def polish(
    found: Registration, p: NDArray, q: NDArray, p_err: NDArray, q_err: NDArray, radius: float
) -> Registration:
    """Return a registration fitted to all stars, with weights; `found` itself where they are too few.

    Weights are 1 / (p_err^2 + q_err^2 + floor^2) with the floor that makes the residuals what the errors tell.
    Where a plane leaves more than stars allow (F test), the map becomes quadratic, then cubic: distorted optics,
    turned. `rms` is weighted too.

    Parameters
    ----------
    p : (n, 2), q : (m, 2) px; p_err : (n,), q_err : (m,) px an axis, NaN where a place is not to be trusted.
    radius : px, how near a mapped star must come to its partner.
    """
    fitter = _Fitter(p, q, p_err, q_err, radius)
    best = fitter.settle(found, 1)
    if best is None:
        return found
    for order, least in STARS_FOR_ORDER.items():
        if best.n_used < least or not fitter.demanded(best, order):
            break
        bent = fitter.settle(fitter.bent(best, order), order)
        if bent is None:
            break
        best = bent
    return best


class _Fitter:
    """Two lists of stars with the errors of their places, and maps between them of one order or another."""

    def __init__(self, p: NDArray, q: NDArray, p_err: NDArray, q_err: NDArray, radius: float) -> None:
        seen = np.isfinite(q).all(axis=1)
        self.p, self.q, self.radius = p, q, radius
        self.p_err, self.q_err = p_err, q_err
        self.rows = np.flatnonzero(seen)
        self.tree = cKDTree(q[seen])

    def settle(self, start: Registration, order: int) -> Registration | None:
        """Match, and fit until the pairs that count stand still, again until the matches do; None with too few."""
        found: Registration | None = start
        matched = None
        for _ in range(MATCHINGS if order == 1 else BENT_MATCHINGS):
            assert found is not None
            i, j = self._pairs(found)
            if matched is not None and np.array_equal(i, matched[0]) and np.array_equal(j, matched[1]):
                break
            matched = i, j
            error = self._errors(i, j, abs(found.transform.scale))
            found = None if error is None else self._clipped(found, i, j, error, order)
            if found is None:
                return None
        return found

    def _clipped(
        self, start: Registration, i: NDArray, j: NDArray, error: NDArray, order: int
    ) -> Registration | None:
        """Fit pairs, those beyond `CLIP` sigmas left out, until they stand still."""
        found, counted = start, None
        for _ in range(ROUNDS):
            r2 = ((found(self.p[i]) - self.q[j]) ** 2).sum(axis=1)
            variance = error**2 + floor_of(r2, error) ** 2
            used = r2 <= CLIP**2 * variance  # False where the error is NaN
            if used.sum() < FEWEST_SURE:
                return None
            found = self._fitted(i, j, used, np.where(used, 1 / variance, 0.0), order)
            if counted is not None and np.array_equal(used, counted):
                break
            counted = used
        return found

    def bent(self, found: Registration, order: int) -> Registration:
        """Return a map with the terms of an order, fitted to the pairs of one that has fewer."""
        i, j = found.first, found.second
        error = self._errors(i, j, abs(found.transform.scale))
        assert error is not None
        r2 = ((found(self.p[i]) - self.q[j]) ** 2).sum(axis=1)
        variance = error**2 + floor_of(r2, error) ** 2
        return self._fitted(i, j, found.used, np.where(found.used, 1 / variance, 0.0), order)

    def _pairs(self, start: Registration) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows of the pairs: each star of the second list with the nearest of those that have it nearest."""
        distance, nearest = self.tree.query(start(self.p), distance_upper_bound=self.radius)
        i = np.flatnonzero(np.isfinite(distance))
        i = i[np.argsort(distance[i], kind="stable")]
        _, first = np.unique(nearest[i], return_index=True)
        i = np.sort(i[first])
        return i, self.rows[nearest[i]]

    def _errors(self, i: NDArray, j: NDArray, scale: float) -> NDArray | None:
        error = np.hypot(self.p_err[i] * scale, self.q_err[j])
        sure = np.isfinite(error)
        if sure.sum() >= MANY_SURE:
            return error
        if sure.sum() >= FEWEST_SURE:  # too few to do without the others, which count little
            return np.where(sure, error, max(UNSURE_PX, 3 * float(np.median(error[sure]))))
        return None if len(i) < FEWEST_SURE else np.ones(len(i))  # nobody knows: all alike

    def _fitted(self, i: NDArray, j: NDArray, used: NDArray, weight: NDArray, order: int) -> Registration:
        p, q, w = self.p[i][used], self.q[j][used], weight[used]
        plane = _plane(p, q, w)
        curve = fit_curve(p, q, order, w) if order > 1 else None
        back = fit_curve(q, p, order, w) if order > 1 else None
        off = (plane(p) if curve is None else curve(p)) - q
        rms = float(np.sqrt((w @ (off**2).sum(axis=1)) / w.sum()))
        return Registration(plane, i, j, used, rms, curve, back)

    def demanded(self, found: Registration, order: int) -> bool:
        """Tell whether the stars of a map demand the next order: by the F test, and by how far it bends."""
        i, j = found.first[found.used], found.second[found.used]
        p, q = self.p[i], self.q[j]
        error = self._errors(i, j, abs(found.transform.scale))
        assert error is not None
        straight = found(p)
        w = 1 / (error**2 + floor_of(((straight - q) ** 2).sum(axis=1), error) ** 2)
        here = fit_curve(p, q, order, w)(p)
        before, after = (float(w @ ((v - q) ** 2).sum(axis=1)) for v in (straight, here))
        terms, free = 2 * (order + 1), 2 * len(p) - (order + 1) * (order + 2)
        bend = float(np.hypot(*(straight - here).T).max())
        return bend > BEND_PX and (before - after) / terms > F_LIMIT * after / free


def _plane(p: NDArray, q: NDArray, weight: NDArray) -> Affine:
    """Fit six terms, or four where the stars are few and do not demand six: those hold where stars are missing."""
    affine = fit_affine(p, q, weight)
    if len(p) >= AFFINE_FROM:
        return affine
    similar = fit_similarity(p, q, bool(np.linalg.det(affine.matrix) < 0), weight)
    before, after = (float(weight @ ((m(p) - q) ** 2).sum(axis=1)) for m in (similar, affine))
    demanded = (before - after) / 2 > F_SHEAR * after / (2 * len(p) - 6)
    return affine if demanded else similar


def floor_of(r2: NDArray, error: NDArray) -> float:
    """Return what is to be added in quadrature to errors (px an axis) to explain residuals: median(r^2/s^2) = 2 ln 2.

    Parameters
    ----------
    r2 : (n,) squared residuals, both axes together; error : (n,) px an axis, NaN for pairs that do not count.
    """
    sure = np.isfinite(error)
    r2, variance = r2[sure], error[sure] ** 2
    low, high = LEAST_FLOOR_PX**2, float(max(np.median(r2) / MEDIAN_RAYLEIGH, LEAST_FLOOR_PX**2))
    for _ in range(10):  # the median falls as the floor rises; at `high` it is below
        middle = 0.5 * (low + high)
        above = np.median(r2 / (variance + middle)) > MEDIAN_RAYLEIGH
        low, high = (middle, high) if above else (low, middle)
    return float(np.sqrt(high))
