"""Frames on the sky: which of many hold a position, where it falls on each, and how often positions are covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sky import project
from .tangent import UNIT, n_terms, terms

ORDER = 3
"""Highest order of a frame's polynomial; those of lower order are filled up with zeros."""

MARGIN = 1.05
"""A frame's circle is taken so much larger: its radius goes to the centre of the farthest corner pixel, and a distorted
border may bulge."""
_TURNS = 12
_AGREES_PX = 0.5
"""A place that does not lead back to the position within this is none: the polynomial does not hold so far out."""


def pixels_of(
    ra: float, dec: float, solutions: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x, y (n,) px of one position on frames with tangent-plane solutions of order 1 to 3.

    The same as `TangentWCS.to_pixel` of each (`solutions` are what `to_dict` gives), all frames at once. NaN where the
    position is on the far hemisphere, or so far off the frame that its polynomial does not lead back to it.
    """
    fixed = np.array([[s["ra0"], s["dec0"], s["x0"], s["y0"]] for s in solutions], float).reshape(-1, 4)
    ra0, dec0, x0, y0 = fixed.T
    plane = np.zeros((2, len(solutions), n_terms(ORDER)))
    for i, s in enumerate(solutions):
        plane[0, i, : len(s["xi"])], plane[1, i, : len(s["eta"])] = s["xi"], s["eta"]
    xi, eta = _project_on_each(ra, dec, ra0, dec0)
    inverse = np.linalg.inv(np.moveaxis(plane[:, :, 1:3], 0, 1)) if len(solutions) else np.empty((0, 2, 2))
    u, v, step = np.zeros(len(ra0)), np.zeros(len(ra0)), np.zeros((len(ra0), 2))
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_TURNS):
            monomials = terms(u, v, ORDER)
            left = np.stack(
                [xi - (monomials * plane[0]).sum(axis=1), eta - (monomials * plane[1]).sum(axis=1)], 1
            )
            step = np.einsum("nij,nj->ni", inverse, left)
            u, v = u + step[:, 0], v + step[:, 1]
        agrees = UNIT * np.hypot(step[:, 0], step[:, 1]) < _AGREES_PX
    return np.where(agrees, x0 + UNIT * u, np.nan), np.where(agrees, y0 + UNIT * v, np.nan)


def _project_on_each(ra: float, dec: float, ra0: NDArray, dec0: NDArray) -> tuple[NDArray, NDArray]:
    """Project one position on the planes tangent at many points; NaN for the far hemisphere."""
    a, d = np.radians(ra - ra0), np.radians(dec)
    s0, c0 = np.sin(np.radians(dec0)), np.cos(np.radians(dec0))
    cosine = s0 * np.sin(d) + c0 * np.cos(d) * np.cos(a)
    cosine = np.where(cosine > 1e-6, cosine, np.nan)
    xi = np.cos(d) * np.sin(a) / cosine
    eta = (c0 * np.sin(d) - s0 * np.cos(d) * np.cos(a)) / cosine
    return np.degrees(xi), np.degrees(eta)


def border_px(x: NDArray, y: NDArray, nx: NDArray, ny: NDArray) -> NDArray[np.float64]:
    """Return how far places lie from the border of frames of nx by ny pixels: inside positive, outside negative, px."""
    inside = np.minimum(np.minimum(x + 0.5, nx - 0.5 - x), np.minimum(y + 0.5, ny - 0.5 - y))
    out_x, out_y = (np.maximum(np.maximum(-0.5 - p, p - (n - 0.5)), 0.0) for p, n in ((x, nx), (y, ny)))
    return np.where(inside >= 0, inside, -np.hypot(out_x, out_y))


def count_coverage(
    frames: NDArray[Any], ra: NDArray[np.float64], dec: NDArray[np.float64], margin: float = 0.0
) -> NDArray[np.int64]:
    """Count, for each position, the frames whose footprint holds it, (n,).

    `frames` have ra, dec, radius and footprint (four corners in order around the frame, deg); frames without a place
    count for nothing. `margin` is the share of each side that is cut off at both ends.
    """
    count = np.zeros(ra.size, dtype=np.int64)
    by_dec = np.argsort(dec, kind="stable")
    ordered = dec[by_dec]
    for frame in frames:
        if not (np.isfinite(frame["footprint"]).all() and np.isfinite(frame["radius"])):
            continue
        low, high = np.searchsorted(ordered, frame["dec"] + np.array([-1.0, 1.0]) * frame["radius"] * 1.01)
        near = by_dec[low:high]
        near = near[_close(ra[near], dec[near], frame)]
        corners = frame["footprint"].reshape(4, 2)
        cx, cy = project(corners[:, 0], corners[:, 1], frame["ra"], frame["dec"])
        cx, cy = (c.mean() + (1.0 - 2.0 * margin) * (c - c.mean()) for c in (cx, cy))
        x, y = project(ra[near], dec[near], frame["ra"], frame["dec"])
        count[near[_inside(x, y, cx, cy)]] += 1
    return count


def _close(ra: NDArray, dec: NDArray, frame: Any) -> NDArray[np.bool_]:
    """Tell which positions lie within the frame's radius, so that the tangent plane is safe."""
    a, d = np.radians(ra - frame["ra"]), np.radians(dec)
    d0 = np.radians(frame["dec"])
    cosine = np.sin(d) * np.sin(d0) + np.cos(d) * np.cos(d0) * np.cos(a)
    return np.asarray(cosine >= np.cos(np.radians(min(1.01 * frame["radius"] + 1e-6, 80.0))))


def _inside(x: NDArray, y: NDArray, cx: NDArray, cy: NDArray) -> NDArray[np.bool_]:
    """Tell which points lie in a convex polygon of either sense of rotation."""
    left = np.ones(x.size, dtype=bool)
    right = np.ones(x.size, dtype=bool)
    for i in range(cx.size):
        j = (i + 1) % cx.size
        side = (cx[j] - cx[i]) * (y - cy[i]) - (cy[j] - cy[i]) * (x - cx[i])
        left &= side >= 0
        right &= side <= 0
    return left | right
