"""How often, or how deep, a piece of sky was observed: outlines of frames added up on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .sky import unit_vectors

GRID = 240
"""Cells along the longer side of a map."""


def areas_of_sky(
    ra: NDArray[np.float64], dec: NDArray[np.float64], radius: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Number the pieces of sky that frames make together, the one of most frames 0, (n,).

    Frames whose circles (centre ra, dec and radius, deg) touch are of one piece, and so on.
    """
    rounded = np.stack([*np.round(unit_vectors(ra, dec), 5).T, np.round(radius, 3)], axis=1)
    unique, frame = np.unique(rounded, axis=0, return_inverse=True)
    place, reach = unique[:, :3], np.radians(unique[:, 3])
    pairs = cKDTree(place).query_pairs(
        2 * min(float(reach.max(initial=0.0)) + 1e-4, 2.0), output_type="ndarray"
    )
    apart = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1)
    pairs = pairs[2 * np.arcsin(np.clip(apart / 2, 0, 1)) <= reach[pairs].sum(axis=1)]
    links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(unique), len(unique)))
    label = connected_components(links, directed=False)[1][frame.ravel()]
    rank = np.argsort(np.argsort(-np.bincount(label, minlength=1), kind="stable"), kind="stable")
    return np.asarray(rank[label], np.int64)


def grid_of(corners: NDArray[np.float64], cells: int = GRID) -> tuple[NDArray, NDArray]:
    """Return the edges of square cells along x and y that hold all corners (n, 4, 2)."""
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    side = float((high - low).max()) / cells or 1.0
    return tuple(
        a + side * np.arange(int(np.ceil((b - a) / side - 1e-9)) + 1) for a, b in zip(low, high, strict=True)
    )  # type: ignore[return-value]


def add_up(
    corners: NDArray[np.float64], weight: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sum of the weights of the frames that hold the centre of each cell, (ny, nx).

    Parameters
    ----------
    corners : (n, 4, 2) of convex outlines, in the order around them
    weight : (n,)
    x, y : edges of the cells, evenly spaced and ascending
    """
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    steps = np.zeros((len(middle_y), len(middle_x) + 1))
    rows = np.arange(len(middle_y))
    for outline, w in zip(corners, weight, strict=True):
        low, high = _chord(outline, middle_y)
        first, last = np.searchsorted(middle_x, low, "left"), np.searchsorted(middle_x, high, "right")
        inside = last > first
        np.add.at(steps, (rows[inside], first[inside]), w)
        np.add.at(steps, (rows[inside], last[inside]), -w)
    return np.asarray(np.cumsum(steps, axis=1)[:, :-1])


def _chord(outline: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Return where lines of constant y enter and leave a convex outline; inf and -inf where they miss it."""
    low, high = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        bottom, top = (a, b) if a[1] <= b[1] else (b, a)
        if bottom[1] == top[1]:
            continue
        crossed = (y >= bottom[1]) & (y < top[1])
        at = bottom[0] + (y - bottom[1]) / (top[1] - bottom[1]) * (top[0] - bottom[0])
        low, high = np.where(crossed, np.minimum(low, at), low), np.where(crossed, np.maximum(high, at), high)
    return low, high


def stacked_limit(
    corners: NDArray[np.float64], limit: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the limiting magnitude of all frames added with their best weights, (ny, nx); NaN where there is none.

    limit : (n,) mag of each frame, at so many sigma; NaN leaves the frame out. Inverse variances add:
    10^(0.8 m) = sum 10^(0.8 m_i).
    """
    known = np.isfinite(limit)
    if not known.any():
        return np.full((len(y) - 1, len(x) - 1), np.nan)
    deepest = float(limit[known].max())
    total = add_up(corners[known], 10 ** (0.8 * (limit[known] - deepest)), x, y)
    least = 0.5 * 10 ** (0.8 * float(limit[known].min() - deepest))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > least, deepest + 1.25 * np.log10(total), np.nan)
