"""Match sources with known objects: the nearest within a radius that follows the errors of both."""

from __future__ import annotations

import numpy as np
from cdshealpix.nested import neighbours
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .sky import KEY_ORDER, unit_vectors

ERRORS = 3.0
LEAST_ARCSEC = 1.5
MOST_ARCSEC = 30.0
UNTOLD_ARCSEC = 1.0
"""Error of an object whose catalogue tells none."""
NEAREST = 8
CELL_ORDER = 9
"""Cells of 0.11 deg: their neighbours hold whatever lies within the radius, or has moved there in decades."""


def nearest_objects(
    ra: NDArray, dec: NDArray, error: NDArray, known_ra: NDArray, known_dec: NDArray, known_error: NDArray
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return, for each of n positions, the row of the nearest of m objects within reach and its distance in arcsec.

    -1 and NaN where there is none. The reach is three times the combined error, 1.5 arcsec at least and 30 at most.

    Parameters
    ----------
    ra, dec, known_ra, known_dec : (n,) and (m,) deg, at one epoch
    error, known_error : (n,) and (m,) arcsec, of a position on one axis; NaN for 0 and for 1
    """
    row, distance = np.full(len(ra), -1), np.full(len(ra), np.nan)
    if not len(known_ra):
        return row, distance
    tree = cKDTree(unit_vectors(known_ra, known_dec))
    vectors, own = unit_vectors(ra, dec), np.nan_to_num(error)
    told = np.append(np.where(np.isfinite(known_error), known_error, UNTOLD_ARCSEC), 0.0)
    left, k = np.arange(len(ra)), min(NEAREST, len(known_ra))
    while len(left):
        at, arcsec = _nearest(tree, vectors[left], k)
        reach = np.clip(ERRORS * np.hypot(told[at], own[left][:, None]), LEAST_ARCSEC, MOST_ARCSEC)
        within = arcsec <= reach
        first, found = np.argmax(within, axis=1), within.any(axis=1)
        row[left[found]] = at[found, first[found]]
        distance[left[found]] = arcsec[found, first[found]]
        more = ~found & np.isfinite(arcsec[:, -1])  # in a crowd the one within reach may lie behind others
        left, k = left[more], min(8 * k, len(known_ra)) if k < len(known_ra) else 0
        left = left if k else left[:0]
    return row, distance


def _nearest(tree: cKDTree, vectors: NDArray, k: int) -> tuple[NDArray, NDArray]:
    """Return the k nearest within the farthest reach, rows (n, k) and arcsec; infinite where there are fewer."""
    chord = 2 * np.sin(np.radians(MOST_ARCSEC / 3600) / 2)
    apart, at = tree.query(vectors, k=np.arange(1, k + 1), distance_upper_bound=chord * (1 + 1e-9))
    known = np.isfinite(apart)
    arcsec = 3600 * np.degrees(2 * np.arcsin(np.where(known, apart, 0.0) / 2))
    return at, np.where(known, arcsec, np.inf)


def key_ranges_around(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ranges [lo, hi) of order-29 HEALPix keys, merged: the cells of keys (n,) and the cells beside them."""
    shift = 2 * (KEY_ORDER - CELL_ORDER)
    own = np.unique(keys[keys >= 0] >> shift)
    if not len(own):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    around = np.asarray(neighbours(own.astype(np.uint64), CELL_ORDER)).astype(np.int64).ravel()
    cells = np.unique(around[around >= 0])
    first = np.concatenate(([True], np.diff(cells) > 1))
    last = np.concatenate((first[1:], [True]))
    return cells[first] << shift, (cells[last] + 1) << shift
