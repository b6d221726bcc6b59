"""Match two lists of points in a plane: nearest neighbours and affine fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import binom


def mutual_nearest(a: NDArray, b: NDArray, radius: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices of the pairs that are each other's nearest neighbour within `radius`.

    Parameters
    ----------
    a : (n, d), b : (m, d) points in the same units as radius; rows that are not finite match nothing.
    """
    rows_a = np.flatnonzero(np.isfinite(a).all(axis=1))
    rows_b = np.flatnonzero(np.isfinite(b).all(axis=1))
    if not len(rows_a) or not len(rows_b):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    a, b = a[rows_a], b[rows_b]
    distance, nearest_b = cKDTree(b).query(a, distance_upper_bound=radius)
    _, nearest_a = cKDTree(a).query(b)
    i = np.flatnonzero(np.isfinite(distance))
    i = i[nearest_a[nearest_b[i]] == i]
    return rows_a[i], rows_b[nearest_b[i]]


@dataclass(frozen=True)
class Affine:
    """The plane map q = matrix @ p + offset."""

    matrix: NDArray[np.float64]  # (2, 2)
    offset: NDArray[np.float64]  # (2,)
    order: ClassVar[int] = 1

    def __call__(self, points: NDArray) -> NDArray[np.float64]:
        """Map points (n, 2)."""
        mapped: NDArray[np.float64] = points @ self.matrix.T + self.offset
        return mapped

    @property
    def scale(self) -> float:
        """Geometric mean of the scales; negative for a mirror image."""
        det = float(np.linalg.det(self.matrix))
        return float(np.sign(det) * np.sqrt(abs(det)))

    @property
    def rotation_deg(self) -> float:
        """Rotation of the x axis, degrees."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    def shift(self, size: tuple[int, int], other: tuple[int, int]) -> NDArray[np.float64]:
        """Return where the centre of a frame of `size` (nx, ny) falls on one of size `other`, minus its centre, px."""
        shift: NDArray[np.float64] = self(_centre(size)[None])[0] - _centre(other)
        return shift

    @classmethod
    def of_shift(
        cls,
        shift: tuple[float, float],
        rotation_deg: float,
        scale: float,
        size: tuple[int, int],
        other: tuple[int, int],
    ) -> Affine:
        """Return the map without shear that has these `shift`, `rotation_deg` and `scale`."""
        c, s = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
        sign = np.sign(scale) or 1.0
        matrix = abs(scale) * np.array([[c, -s * sign], [s, c * sign]])
        return cls(matrix, _centre(other) + np.asarray(shift, float) - matrix @ _centre(size))

    def inverse(self) -> Affine:
        """Return the inverse map."""
        m: NDArray[np.float64] = np.linalg.inv(self.matrix).astype(np.float64)
        return Affine(m, -m @ self.offset)

    def after(self, first: Affine) -> Affine:
        """Return the map that applies `first` and then this one."""
        return Affine(self.matrix @ first.matrix, self.matrix @ first.offset + self.offset)


def _centre(size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the middle pixel of a frame of nx times ny pixels."""
    return (np.asarray(size, np.float64) - 1) / 2


IDENTITY = Affine(np.eye(2), np.zeros(2))


def fit_affine(p: NDArray, q: NDArray, weight: NDArray | None = None) -> Affine:
    """Fit q = matrix @ p + offset by least squares; needs three points that are not in a line.

    Parameters
    ----------
    weight : (n,) 1 / sigma^2; all alike if None.
    """
    design = np.column_stack([p, np.ones(len(p))]).astype(np.float64)
    root = 1.0 if weight is None else np.sqrt(weight)[:, None]
    solution, *_ = np.linalg.lstsq(design * root, q * root, rcond=None)
    return Affine(np.array(solution[:2].T, np.float64), np.array(solution[2], np.float64))


def fit_similarity(p: NDArray, q: NDArray, mirrored: bool = False, weight: NDArray | None = None) -> Affine:
    """Fit shift, rotation and scale (and a mirror where told) by least squares; needs two points.

    Parameters
    ----------
    weight : (n,) 1 / sigma^2; all alike if None.
    """
    zp, zq = p[:, 0] + 1j * p[:, 1], q[:, 0] + 1j * q[:, 1]
    if mirrored:
        zp = zp.conj()
    w = np.ones(len(p)) if weight is None else np.asarray(weight, np.float64)
    cp, cq = (w @ zp) / w.sum(), (w @ zq) / w.sum()
    a = np.vdot(zp - cp, w * (zq - cq)) / max(np.vdot(zp - cp, w * (zp - cp)).real, 1e-300)
    b = cq - a * cp
    sign = -1.0 if mirrored else 1.0
    matrix = np.array([[a.real, -a.imag * sign], [a.imag, a.real * sign]])
    return Affine(matrix, np.array([b.real, b.imag]))


@dataclass(frozen=True)
class Curve:
    """The plane map q = sum of c (x^a y^b), a + b up to `order`, with x, y = (p - centre) / unit."""

    order: int
    centre: NDArray[np.float64]  # (2,)
    unit: float
    coefficients: NDArray[np.float64]  # (k, 2)

    def __call__(self, points: NDArray) -> NDArray[np.float64]:
        """Map points (n, 2)."""
        mapped: NDArray[np.float64] = (
            _monomials(points, self.centre, self.unit, self.order) @ self.coefficients
        )
        return mapped


def _monomials(points: NDArray, centre: NDArray, unit: float, order: int) -> NDArray[np.float64]:
    x, y = ((np.asarray(points, np.float64) - centre) / unit).T
    return np.stack([x ** (p - k) * y**k for p in range(order + 1) for k in range(p + 1)], axis=1)


def fit_curve(p: NDArray, q: NDArray, order: int, weight: NDArray) -> Curve:
    """Fit q as polynomials of p by weighted least squares, `weight` being 1 / sigma^2 (n,)."""
    centre, unit = p.mean(axis=0), max(float(np.abs(p - p.mean(axis=0)).max()), 1e-9)
    root = np.sqrt(weight)[:, None]
    solution, *_ = np.linalg.lstsq(_monomials(p, centre, unit, order) * root, q * root, rcond=None)
    return Curve(order, centre, unit, solution)


@dataclass(frozen=True)
class Registration:
    """Two lists matched: which rows belong together, the map, and how good it is."""

    transform: Affine  # from the first list to the second
    first: NDArray[np.intp]  # (n,) rows of the first list
    second: NDArray[np.intp]  # (n,) rows of the second list
    used: NDArray[np.bool_]  # (n,) took part in the last fit
    rms: float  # px of the second list, a star, both axes together, of the used
    curve: Curve | None = (
        None  # the map where straight lines do not stay straight; `transform` is then its best plane
    )
    back: Curve | None = None  # its inverse

    def __call__(self, points: NDArray) -> NDArray[np.float64]:
        """Map points (n, 2) of the first list, by the curve where there is one."""
        return self.transform(points) if self.curve is None else self.curve(points)

    @property
    def inverse(self) -> Affine | Curve:
        """The map from the second list to the first."""
        return self.back or self.transform.inverse()

    @property
    def n_used(self) -> int:
        """Stars of the last fit."""
        return int(self.used.sum())

    def error(self, points: NDArray, places: NDArray) -> float:
        """Return the largest error of the map (px, one sigma an axis) among places, as the fitted stars leave it.

        sigma^2 x' (X'X)^-1 x with the rows (1, x, y) of the fitted stars in X: it grows where a map is extrapolated.

        Parameters
        ----------
        points : (n, 2) px, the first list; places : (k, 2) px of the first list.
        """
        fitted = points[self.first[self.used]]
        if len(fitted) < 4:
            return float("inf")
        middle, width = fitted.mean(axis=0), max(float(fitted.std()), 1e-9)
        design, at = (
            np.column_stack([np.ones(len(v)), (v - middle) / width])
            for v in (fitted, np.asarray(places, float))
        )
        normal = design.T @ design
        if np.linalg.cond(normal) > 1e8:
            return float("inf")
        lever = np.einsum("ij,jk,ik->i", at, np.linalg.inv(normal), at)
        return float(self.rms * np.sqrt(0.5 * len(fitted) / (len(fitted) - 3) * lever.max()))


def refine(
    p: NDArray,
    q: NDArray,
    start: Affine,
    radius: float,
    *,
    final_radius: float,
    rounds: int = 12,
    affine_from: int = 6,
) -> Registration | None:
    """Match by nearest neighbours and fit the affine map, again and again until the pairs stand still.

    Outliers beyond four times the robust scatter (floor `final_radius / 6`) are clipped from the fit. Returns None
    when fewer than three pairs are left; chance matches are the caller's to refuse (`chance_inliers`).

    Parameters
    ----------
    p : (n, 2), q : (m, 2) the two lists.
    start : first guess of the map from p to q.
    radius, final_radius : matching radius of the first and of the last rounds, units of q.
    affine_from : pairs from which six terms are fitted instead of a similarity's four.
    """
    transform, previous = start, None
    for k in range(rounds):
        reach = max(final_radius, radius * 0.5**k)
        i, j = mutual_nearest(transform(p), q, reach)
        if len(i) < 3:
            return None
        residual = np.hypot(*(transform(p[i]) - q[j]).T)
        clip = max(4 * 1.4826 * float(np.median(residual)), final_radius / 6)
        used = residual <= clip
        if used.sum() < 3:
            return None
        mirrored = bool(np.linalg.det(transform.matrix) < 0)
        fit = fit_affine if used.sum() >= affine_from else lambda a, b, m=mirrored: fit_similarity(a, b, m)
        transform = fit(p[i][used], q[j][used])
        state = (i.tobytes(), j.tobytes(), used.tobytes())
        if reach == final_radius and state == previous:
            break
        previous = state
    residual = np.hypot(*(transform(p[i]) - q[j]).T)
    return Registration(transform, i, j, used, float(np.sqrt(np.mean(residual[used] ** 2))))


def chance_inliers(
    n_points: int, n_targets: int, area: float, radius: float, n_matched: int, trials: float = 1e4
) -> float:
    """Return the probability that chance alone gives `n_matched` pairs in any of `trials` maps.

    Each of `n_points` mapped points meets one of `n_targets` targets spread over `area` with probability
    min(1, n_targets pi radius^2 / area); three pairs are spent on the map itself.
    """
    probability = min(1.0, n_targets * np.pi * radius**2 / max(area, 1e-30))
    tail = binom.sf(n_matched - 4, max(n_points - 3, 1), probability)
    return float(min(1.0, trials * tail))
