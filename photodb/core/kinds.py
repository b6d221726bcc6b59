"""Which kind of photometry makes the better light curve of a star: PSF or one of the apertures.

Each kind is first brought to the scale of one of them, the reference, by a polynomial for each frame (an aperture
correction over the frame). The scatter of a star's light curve in each kind then tells; but the least of several noisy
numbers is not the best kind, so the constant neighbours in magnitude decide together, those in crowds by themselves,
and a star's own scatter overrules them only where it differs significantly, by the test of Pitman (1939,
doi:10.1093/biomet/31.1-2.9) for two variances of paired values: corr(a + b, a - b) = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from photodb.core import terms
from photodb.core.robust import MAD_TO_SIGMA

DEFAULT, NEIGHBOURS, OWN = 0, 1, 2
REASONS = ("default", "neighbours", "own")
"""Why a kind was chosen, by code."""

_RELATION_POINTS = 3  # that a star needs
_RELATION_STARS = 300  # brightest of a frame that give its relation
_RELATION_FLOORS = (
    0.1,
    0.05,
    0.02,
    0.01,
    0.005,
    0.005,
    0.005,
    0.005,
)  # mag, added to the errors of differences
_RELATION_TAU = 0.02  # mag, prior scatter of a spatial coefficient
_RELATION_ROUNDS = 5  # with the first floors, in which no star has a constant of its own
_CLIP = 5.0  # sigma


@dataclass(frozen=True)
class KindSettings:
    """How a kind is chosen."""

    min_points: int = 10  # of a star, to judge kinds; those with fewer follow the others
    neighbours: int = 31  # constant stars of nearly its magnitude that decide
    min_neighbours: int = 7  # below which the reference kind stays
    neighbour_sigma: float = 3.0  # by which neighbours must prefer another kind than the reference
    own_sigma: float = 4.0  # by which a star's own scatter must differ to overrule them
    own_gain: float = 0.1  # share by which it must be less
    foreign_light: float = 0.03  # mag by which a star may be brighter in the kind that is its own
    constant: float = 2.0  # times its neighbours' scatter up to which a star counts as constant


@dataclass(frozen=True)
class Relation:
    """What brings one kind to the scale of the reference."""

    coefficients: NDArray[np.float64]  # (n_frames, k) mag, to be added; 0 where nothing tells
    n_stars: NDArray[np.int64]  # (n_frames,) stars that gave it


@dataclass(frozen=True)
class Choice:
    """The chosen kind of each star and camera."""

    kind: NDArray[np.int64]  # (n,) column of the kinds compared; 0 is the reference
    reason: NDArray[np.int64]  # (n,) code of REASONS
    scatter: NDArray[np.float64]  # (n, n_kinds) mag, clipped; NaN with too few points
    n_obs: NDArray[np.int64]  # (n,) points compared


def relate(
    difference: NDArray[np.float64],
    variance: NDArray[np.float64],
    star: NDArray[np.integer],
    frame: NDArray[np.integer],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    n_frames: int,
    order: int,
) -> Relation:
    """Fit difference = polynomial of the frame + a constant of the star, robustly, by turns.

    Differences are small where the frames' own corrections were applied: those beyond half a magnitude are outliers.

    Parameters
    ----------
    difference : (n,) mag, reference minus kind; NaN rows are left out. variance : (n,) mag2, of it.
    star : (n,) dense index of star and camera. x, y : (n,) scaled to [-1, 1].
    order : of the polynomial, with the priors of the solver on all terms but the constant.
    """
    rows = np.flatnonzero(np.isfinite(difference) & np.isfinite(variance))
    often = np.bincount(star[rows], minlength=int(star.max(initial=-1)) + 1) >= _RELATION_POINTS
    rows = rows[often[star[rows]]]  # what was seen once may be no star
    rows = rows[_first_of_each(frame[rows], variance[rows], _RELATION_STARS)]
    s, f, xs, ys = star[rows], frame[rows], x[rows], y[rows]
    d, var = difference[rows], variance[rows]
    n_stars = int(s.max(initial=-1)) + 1
    matrix = terms.design(xs, ys, order)
    offset, coefficients = np.zeros(n_stars), np.zeros((n_frames, terms.n_terms(order)))
    for turn, floor in enumerate(_RELATION_FLOORS):  # outliers leave as the floor shrinks
        left = d - terms.evaluate(coefficients, f, xs, ys)
        total = var + floor**2
        weight = np.clip(1.0 - (left - offset[s]) ** 2 / (_CLIP**2 * total), 0.0, 1.0) ** 2 / total
        if (
            turn >= _RELATION_ROUNDS
        ):  # before, blends are outliers: what stars have in common belongs to the frames
            offset = _means(left, s, weight, n_stars)
        coefficients = _fit_frames(d - offset[s], weight, f, matrix, n_frames)
    return Relation(coefficients, np.bincount(f[weight > 0], minlength=n_frames))


def _first_of_each(group: NDArray, value: NDArray, most: int) -> NDArray[np.intp]:
    """Return the rows of the `most` smallest values of each group."""
    order = np.lexsort((value, group))
    if not order.size:
        return order
    first = np.flatnonzero(np.r_[True, group[order][1:] != group[order][:-1]])
    rank = np.arange(order.size) - np.repeat(first, np.diff(np.r_[first, order.size]))
    return order[rank < most]


def _means(values: NDArray, star: NDArray, weight: NDArray, n_stars: int) -> NDArray[np.float64]:
    """Return each star's weighted mean, the plain one where no point has weight."""
    total, count = np.bincount(star, weight, n_stars), np.bincount(star, minlength=n_stars)
    plain = np.bincount(star, values, n_stars) / np.maximum(count, 1)
    return np.where(
        total > 0, np.bincount(star, weight * values, n_stars) / np.where(total > 0, total, 1.0), plain
    )


def _fit_frames(
    values: NDArray, weight: NDArray, frame: NDArray, matrix: NDArray, n_frames: int
) -> NDArray[np.float64]:
    """Fit each frame's polynomial by weighted least squares with the prior, (n_frames, k)."""
    k = matrix.shape[1]
    normal, right = np.zeros((n_frames, k, k)), np.zeros((n_frames, k))
    for a in range(k):
        right[:, a] = np.bincount(frame, weight * values * matrix[:, a], n_frames)
        for b in range(a, k):
            normal[:, a, b] = normal[:, b, a] = np.bincount(
                frame, weight * matrix[:, a] * matrix[:, b], n_frames
            )
        normal[:, a, a] += 1e-6 if a == 0 else _RELATION_TAU**-2.0
    return np.asarray(np.linalg.solve(normal, right[:, :, None])[:, :, 0])


@numba.njit(cache=True)
def covariances(start, values, weight, clip, n_obs, mean, covariance):  # type: ignore[no-untyped-def]
    """Fill means and covariance of the kinds over each star's points, weighted, and how many were not clipped.

    start (n + 1,), values (rows, kinds) calibrated magnitudes sorted by star, weight (rows,), n_obs (n,), mean
    (n, kinds), covariance (n, kinds, kinds). A point beyond `clip` robust sigmas of the star's median in any kind is
    left out of all.
    """
    n_kinds = values.shape[1]
    for j in range(start.size - 1):
        low, high = start[j], start[j + 1]
        covariance[j] = np.nan
        mean[j] = np.nan
        keep = np.ones(high - low, dtype=np.bool_)
        for a in range(n_kinds):
            column = values[low:high, a]
            if column.size == 0:
                continue
            middle = np.median(column)
            reach = clip * 1.4826 * np.median(np.abs(column - middle))
            keep &= np.abs(column - middle) <= reach
        n_obs[j] = np.sum(keep)
        if n_obs[j] < 1:
            continue
        total, square = 0.0, 0.0
        mean[j] = 0.0
        for i in range(high - low):
            if keep[i]:
                total += weight[low + i]
                square += weight[low + i] ** 2
                mean[j] += weight[low + i] * values[low + i]
        mean[j] /= total
        if n_obs[j] < 3:
            continue
        covariance[j] = 0.0
        for i in range(high - low):
            if keep[i]:
                for a in range(n_kinds):
                    for b in range(n_kinds):
                        covariance[j, a, b] += (
                            weight[low + i]
                            * (values[low + i, a] - mean[j, a])
                            * (values[low + i, b] - mean[j, b])
                        )
        covariance[j] /= total - square / total


def choose_kinds(
    values: NDArray[np.float64],
    weight: NDArray[np.float64],
    group: NDArray[np.integer],
    sample: NDArray[np.integer],
    crowded: NDArray[np.bool_],
    settings: KindSettings | None = None,
) -> Choice:
    """Choose the kind of each star and camera.

    Parameters
    ----------
    values : (rows, n_kinds) mag, calibrated, the reference kind first; finite in every kind.
    weight : (rows,) relative weights, the same for all kinds.
    group : (rows,) dense index of star and camera, 0 .. n - 1.
    sample : (n,) stars of different samples (camera and band) are never neighbours in magnitude.
    crowded : (n,) stars with another one close by.
    """
    settings = settings or KindSettings()
    n, n_kinds = sample.size, values.shape[1]
    order = np.argsort(group, kind="stable")
    start = np.searchsorted(group[order], np.arange(n + 1))
    n_obs, mean, covariance = (
        np.zeros(n, dtype=np.int64),
        np.empty((n, n_kinds)),
        np.empty((n, n_kinds, n_kinds)),
    )
    covariances(start, np.ascontiguousarray(values[order]), weight[order], _CLIP, n_obs, mean, covariance)
    variance = np.einsum("jaa->ja", covariance)
    mag = np.where(np.isfinite(mean[:, 0]), mean[:, 0], np.inf)  # without a clear point: as the faintest
    known = (n_obs >= settings.min_points) & (variance > 0).all(axis=1)
    scatter = np.where(known[:, None], np.sqrt(np.where(variance > 0, variance, np.nan)), np.nan)
    kind, reason = np.zeros(n, dtype=np.int64), np.full(n, DEFAULT)
    for value in np.unique(sample[known]):
        every, mine = np.flatnonzero(sample == value), np.flatnonzero(known & (sample == value))
        usual = _usual(scatter[mine].min(axis=1), mag[mine], mag[mine], settings.neighbours)
        constant = scatter[mine].min(axis=1) <= settings.constant * usual
        for crowd in (False, True):
            alike = constant & (crowded[mine] == crowd)
            judges = mine[alike if alike.sum() >= settings.min_neighbours else constant]
            judged = every[crowded[every] == crowd]
            if judges.size >= settings.min_neighbours:
                kind[judged] = _preferred(np.log(scatter[judges]), mag[judges], mag[judged], settings)
                reason[judged] = NEIGHBOURS
        _overrule(kind, reason, mean, covariance, n_obs, mine[constant], settings)
    return Choice(kind, reason, scatter, n_obs)


def _windows(mag: NDArray, at: NDArray, size: int) -> NDArray[np.intp]:
    """Return the `size` rows nearest in rank of magnitude to each of `at`, (at.size, size) or all there are."""
    by_mag = np.argsort(mag, kind="stable")
    size = min(size, mag.size)
    place = np.searchsorted(mag[by_mag], at) - size // 2
    return by_mag[np.clip(place, 0, mag.size - size)[:, None] + np.arange(size)]


def _usual(scatter: NDArray, mag: NDArray, at: NDArray, size: int) -> NDArray[np.float64]:
    return np.asarray(np.median(scatter[_windows(mag, at, size)], axis=1))


def _preferred(log_scatter: NDArray, mag: NDArray, at: NDArray, settings: KindSettings) -> NDArray[np.int64]:
    """Return the kind of least scatter among the neighbours, unless the reference is as good within the errors."""
    ratio = log_scatter - log_scatter[:, :1]
    near = ratio[_windows(mag, at, settings.neighbours)]  # (at, neighbours, kinds)
    middle = np.median(near, axis=1)
    spread = MAD_TO_SIGMA * np.median(np.abs(near - middle[:, None, :]), axis=1)
    error = 1.2533 * spread / np.sqrt(near.shape[1])  # a median is less sharp than a mean by (pi / 2)^0.5
    best = np.argmin(middle, axis=1)
    rows = np.arange(best.size)
    sure = middle[rows, best] < -settings.neighbour_sigma * error[rows, best]
    return np.where(sure, best, 0)


def _overrule(
    kind: NDArray,
    reason: NDArray,
    mean: NDArray,
    covariance: NDArray,
    n_obs: NDArray,
    own: NDArray,
    settings: KindSettings,
) -> None:
    """Let constant stars have the kind of their own that is significantly better than the neighbours', in place.

    A star that varies is left to its neighbours, and no star gets a kind in which it is brighter: the light of a
    companion in an aperture makes a star vary less.
    """
    rows = np.arange(own.size)
    c = covariance[own]
    variance = np.einsum("jaa->ja", c)
    usual, cross = variance[rows, kind[own]], c[rows, kind[own]]
    root = (usual[:, None] + variance) ** 2 - 4 * cross**2
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip((usual[:, None] - variance) / np.sqrt(np.maximum(root, 1e-300)), -0.999999, 0.999999)
        t = r * np.sqrt((n_obs[own][:, None] - 2) / (1 - r**2))
    better = (t > settings.own_sigma) & (variance < (1 - settings.own_gain) ** 2 * usual[:, None])
    better &= mean[own] > mean[own, kind[own]][:, None] - settings.foreign_light
    t = np.where(better, t, -np.inf)
    best = np.argmax(t, axis=1)
    sure = better[rows, best]
    kind[own[sure]], reason[own[sure]] = best[sure], OWN


def kind_name(number: int) -> str:
    """Name a kind of photometry by its number in the archive."""
    return {-1: "psf", -2: "detection"}.get(int(number), f"aperture:{int(number)}")
