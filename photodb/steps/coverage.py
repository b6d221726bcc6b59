"""Which frames cover which sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.sky import project


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
