"""Find a small list of points inside a much larger one, by the triangles of each neighbourhood.

As `photodb.core.patterns`, but the second list covers many times the area of the first: all triangles of its brightest
points would be too many, and hardly any of them would fit into the first. So only triangles no larger than the first
list are made, from points as bright as those of the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .match import Affine, Registration, refine
from .patterns import Triangles, as_affine, believable, fullest_cells, similarities, triangles

N_STARS = 24
"""Brightest stars of the small list whose triangles are looked for."""
LONGEST = 0.4
"""Longest side of a triangle in diagonals of the small list."""
MOST_POINTS = 4000
MOST_NEIGHBOURS = 24
LEAST_PAIRS = 8
CHECKED = 400


def near_triangles(points: NDArray, longest: float, most: int = MOST_NEIGHBOURS) -> Triangles:
    """Make the triangles of points with no side above `longest`, with up to `most` neighbours a point."""
    pairs = cKDTree(points).query_pairs(longest, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first, start, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    index = []
    for a, s, n in zip(first.tolist(), start.tolist(), np.minimum(count, most).tolist()):
        i, j = np.triu_indices(n, 1)
        others = pairs[s : s + n, 1]
        index.append(np.column_stack([np.full(len(i), a), others[i], others[j]]))
    return triangles(points, index=np.concatenate(index) if index else np.empty((0, 3), np.intp))


def find_far(
    p: NDArray, q: NDArray, *, radius: float, scale: tuple[float, float], depth: float = 1.0, cells: int = 12
) -> Registration | None:
    """Find the map from a list p into a list q of much larger area, or None where chance would do as well.

    Parameters
    ----------
    p : (n, 2), q : (m, 2) plane points, brightest first.
    radius : how near a mapped point must come to its partner, units of q.
    scale : range of the scale from p to q.
    depth : points of q for each of p on the same area.
    """
    if min(len(p), len(q)) < LEAST_PAIRS:
        return None
    size = np.ptp(p, axis=0)
    share = np.prod(np.maximum(np.ptp(q, axis=0), size)) / max(float(np.prod(size)), 1e-30)
    n_points = int(min(MOST_POINTS, max(N_STARS, depth * N_STARS * share)))
    diagonal = float(np.hypot(*size))
    small = triangles(p, N_STARS, 0.1 * diagonal)
    found = near_triangles(q[:n_points], LONGEST * diagonal * scale[1])
    if not len(small.vertices) or not len(found.vertices):
        return None
    a, b, mirrored = similarities(p, q, small, found, scale)
    keep = (np.abs(a) > scale[0]) & (np.abs(a) < scale[1])
    a, b, mirrored = a[keep], b[keep], mirrored[keep]
    centre = complex(*p[:N_STARS].mean(axis=0))
    best: Registration | None = None
    for rows in fullest_cells(a, b, mirrored, centre, diagonal, cells) if len(a) else []:
        start = as_affine(_median(a[rows]), _median(b[rows]), bool(mirrored[rows[0]]))
        match = _check(p, q, start, radius, scale, size)
        if match and (best is None or match.n_used > best.n_used):
            best = match
    return best


def _check(
    p: NDArray, q: NDArray, start: Affine, radius: float, scale: tuple[float, float], size: NDArray
) -> Registration | None:
    """Fit a map to the points of q around where it puts p, and tell whether chance would do as well."""
    middle = start(0.5 * (p.min(axis=0) + p.max(axis=0))[None])[0]
    near = np.flatnonzero(np.hypot(*(q - middle).T) < 0.6 * np.hypot(*size) * abs(start.scale))[:CHECKED]
    if len(near) < LEAST_PAIRS:
        return None
    found = refine(p[:CHECKED], q[near], start, 4 * radius, final_radius=radius)
    if not found or found.n_used < LEAST_PAIRS:
        return None
    back = refine(q[near], p[:CHECKED], found.transform.inverse(), 4 * radius, final_radius=radius)
    if not back or not believable(q[near], p[:CHECKED], back, radius, 1 / scale[1], 1 / scale[0]):
        return None
    return Registration(found.transform, found.first, near[found.second], found.used, found.rms)


def _median(values: NDArray) -> complex:
    return complex(np.median(values.real), np.median(values.imag))
