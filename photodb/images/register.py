"""Match a frame with a reference frame: shift, rotation, scale and mirror, by stars.

The brightest find the map; then all stars, each weighted by the error of its place, make it exact (`finish`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.match import Affine, Registration, refine
from ..core.patterns import believable, find_map, vote_shift
from ..core.polish import polish

RADIUS_PX = 1.5
SEARCH_PX = 6.0
ROUNDS = 7
BRIGHT = 400
"""Brightest stars that find a map."""
ATTEMPTS = (25, 40, 60)
SAME_SCALE = (0.97, 1.03)
MIDDLES = (0.6, 0.35)
"""Parts of a frame to which another, narrower one is compared."""
FEWEST_OF_TWO = 8
"""Stars that frames of two cameras must have in common."""


def register(
    reference: NDArray, stars: NDArray, hint: Affine | None = None, scale: tuple[float, float] = SAME_SCALE
) -> Registration | None:
    """Find the affine map from a reference frame's pixels to this frame's, or None where chance would do as well.

    What is likely is tried first (`register_near`), then any shift, rotation and mirror (`register_far`).

    Parameters
    ----------
    reference : (n, 2), stars : (m, 2) px, brightest first, cosmic rays left out.
    hint : map to try first.
    scale : allowed range of the scale.
    """
    return register_near(reference, stars, hint, scale) or register_far(reference, stars, scale)


def register_near(
    reference: NDArray, stars: NDArray, hint: Affine | None = None, scale: tuple[float, float] = SAME_SCALE
) -> Registration | None:
    """Match by a hint (the last frame's map, say), then by a vote on the shift alone; parameters of `register`."""
    p, q = reference[:BRIGHT], stars[:BRIGHT]
    size = float(np.ptp(q, axis=0).max()) if len(q) else 0.0
    for guess in (lambda: hint, lambda: vote_shift(p, q, reach=0.8 * size, bin_size=3.0)):
        start = guess()
        if start is None:
            continue
        found = refine(p, q, start, SEARCH_PX, final_radius=RADIUS_PX, rounds=ROUNDS)
        if found and believable(p, q, found, RADIUS_PX, *scale) and _good(found, p, q):
            return found
    return None


def register_far(
    reference: NDArray, stars: NDArray, scale: tuple[float, float] = SAME_SCALE
) -> Registration | None:
    """Match frames by the triangles of their brightest stars, then of more of them; parameters of `register`."""
    p, q = reference[:BRIGHT], stars[:BRIGHT]
    for n in ATTEMPTS:
        found = find_map(p, q, radius=RADIUS_PX, n_stars=n, scale=scale)
        if found:
            return found
    return None


def register_scaled(reference: NDArray, stars: NDArray, scale: tuple[float, float]) -> Registration | None:
    """Match frames of two cameras by patterns: the whole of both, then the middle of either with the other's whole.

    The wider field's brightest stars are mostly outside the narrower one; both point at the same place.
    """
    p, q = reference[:BRIGHT], stars[:BRIGHT]
    radius = RADIUS_PX * max(1.0, min(scale[1], 2.0))
    parts = [(p, q)]
    for part in MIDDLES:
        parts += [(_middle(reference, part)[:BRIGHT], q), (p, _middle(stars, part)[:BRIGHT])]
    for n in ATTEMPTS[:2]:
        for a, b in parts:
            start = find_map(a, b, radius=radius, n_stars=n, scale=scale)
            if start is None or start.n_used < FEWEST_OF_TWO:
                continue
            found = refine(p, q, start.transform, 2 * radius, final_radius=radius)
            if found and found.n_used >= FEWEST_OF_TWO:
                return found
    return None


def _middle(points: NDArray, part: float) -> NDArray:
    """Return the points in the middle part of a frame."""
    if not len(points):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    inside = np.abs(points - (low + high) / 2) <= part * (high - low) / 2
    middle: NDArray = points[inside.all(axis=1)]
    return middle


def finish(
    found: Registration, reference: NDArray, stars: NDArray, reference_err: NDArray, stars_err: NDArray
) -> Registration:
    """Return a match fitted anew to all stars with weights, bent where they demand it (`photodb.core.polish`).

    Parameters
    ----------
    reference_err, stars_err : (n,), (m,) px an axis, NaN where a place is not to be trusted.
    """
    return polish(found, reference, stars, reference_err, stars_err, RADIUS_PX)


def _good(found: Registration, p: NDArray, q: NDArray) -> bool:
    """Tell whether a quick match holds enough of the stars that should meet to need no pattern search."""
    mapped = found.transform(p)
    inside = ((mapped >= q.min(axis=0)) & (mapped <= q.max(axis=0))).all(axis=1)
    return found.n_used >= max(6, 0.25 * min(int(inside.sum()), len(q)))
