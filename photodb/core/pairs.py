"""Pairs of sources that may be one star: nearer than they can be told apart, and never seen side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from .sky import unit_vectors

ERRORS = 3.0
"""Combined errors of two positions within which they may be the same."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows, the nearest first; n pairs."""

    first: NDArray[np.int64]  # (n,) row, below `second`
    second: NDArray[np.int64]  # (n,)
    separation_arcsec: NDArray[np.float64]  # (n,)
    limit_arcsec: NDArray[np.float64]  # (n,) within which the two cannot be told apart

    def __len__(self) -> int:
        return len(self.first)

    def take(self, chosen: NDArray) -> Pairs:
        """Return some of the pairs, by index or mask."""
        columns = (self.first, self.second, self.separation_arcsec, self.limit_arcsec)
        return Pairs(*(column[chosen] for column in columns))


def near_pairs(ra: NDArray, dec: NDArray, error_arcsec: ArrayLike, reach_arcsec: ArrayLike) -> Pairs:
    """Return the pairs nearer than the larger reach of the two, or three times their combined errors.

    A million sources take seconds: a k-d tree of unit vectors, which knows neither poles nor RA 0.

    Parameters
    ----------
    ra, dec : (n,) deg; what is not finite is in no pair.
    error_arcsec : (n,) or one number, of the mean position on one axis; NaN for none.
    reach_arcsec : (n,) or one number: within which the frames that saw a source take two positions for one.
    """
    rows = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    error = np.nan_to_num(np.broadcast_to(np.asarray(error_arcsec, float), np.shape(ra))[rows])
    reach = np.nan_to_num(np.broadcast_to(np.asarray(reach_arcsec, float), np.shape(ra))[rows])
    farthest = max(float(reach.max(initial=0)), ERRORS * np.sqrt(2) * float(error.max(initial=0)))
    vectors = unit_vectors(np.asarray(ra)[rows], np.asarray(dec)[rows])
    chord = 2 * np.sin(np.radians(min(farthest / 3600, 180.0)) / 2)
    found = (
        cKDTree(vectors).query_pairs(chord * (1 + 1e-12), output_type="ndarray")
        if len(rows)
        else np.empty((0, 2), int)
    )
    i, j = np.sort(found, axis=1).T
    apart = np.linalg.norm(vectors[i] - vectors[j], axis=1)
    separation = 3600 * np.degrees(2 * np.arcsin(np.clip(apart / 2, 0, 1)))
    limit = np.maximum(np.maximum(reach[i], reach[j]), ERRORS * np.hypot(error[i], error[j]))
    near = np.flatnonzero(separation <= limit)
    order = near[np.lexsort((j[near], i[near], separation[near]))]
    return Pairs(rows[i[order]], rows[j[order]], separation[order], limit[order])


def common_frames(pairs: Pairs, row: NDArray, frame_id: NDArray) -> NDArray[np.int64]:
    """Count the frames on which both of a pair have a detection, (n_pairs,): with one or more they are two stars.

    Parameters
    ----------
    row, frame_id : (m,) a detection each: the row of its source, and its frame, in any order. Sources that are in no
        pair may be left out.
    """
    frames, frame = np.unique(frame_id, return_inverse=True)
    there = np.unique(np.asarray(row, np.int64) * max(len(frames), 1) + frame)
    owner = there // max(len(frames), 1)
    start, stop = np.searchsorted(owner, pairs.first), np.searchsorted(owner, pairs.first, side="right")
    pair = np.repeat(np.arange(len(pairs)), stop - start)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(stop - start) - (stop - start), stop - start)
    seen = there[np.repeat(start, stop - start) + within] % max(len(frames), 1)
    wanted = pairs.second[pair] * max(len(frames), 1) + seen
    at = np.minimum(np.searchsorted(there, wanted), max(len(there) - 1, 0))
    both = there[at] == wanted if len(there) else np.zeros(len(wanted), bool)
    return np.bincount(pair[both], minlength=len(pairs)).astype(np.int64)


def one_star_pairs(pairs: Pairs, row: NDArray, frame_id: NDArray) -> Pairs:
    """Return the pairs that were never detected on the same frame; `row` and `frame_id` as in `common_frames`."""
    return pairs.take(common_frames(pairs, row, frame_id) == 0)
