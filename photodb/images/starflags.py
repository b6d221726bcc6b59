"""Flags of stars that their pixels and their neighbours give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..core.flags import Flag
from .kernels import count_bad
from .reduce import ReducedFrame

BLEND_SHARE = 0.2


def pixel_flags(
    frame: ReducedFrame, x: NDArray, y: NDArray, core: NDArray, radius: float
) -> NDArray[np.int32]:
    """Return the bits (n,) of saturation, edge, bad pixels and non-linearity.

    Parameters
    ----------
    core : (n, 8) as `kernels.cores` gives.
    radius : px, of the main aperture.
    """
    ny, nx = frame.data.shape
    flags = np.zeros(len(x), np.int32)
    flags[core[:, 1] > 0] |= Flag.SATURATED
    outside = (x < radius - 0.5) | (y < radius - 0.5) | (x > nx - 0.5 - radius) | (y > ny - 0.5 - radius)
    flags[outside] |= Flag.EDGE
    flags[(count_bad(frame.bad, x, y, radius + 0.5) > 0) & (core[:, 1] == 0)] |= Flag.BAD_PIXEL
    flags[core[:, 0] > frame.linear_limit] |= Flag.NONLINEAR
    return flags


def pixel_of(place: NDArray, size: int) -> NDArray[np.int64]:
    """Return the pixel (n,) along one axis of a frame of `size` in which a place lies, the nearest for one outside."""
    return np.clip(np.rint(place), 0, size - 1).astype(np.int64)


def blend_flags(x: NDArray, y: NDArray, flux: NDArray, reach: float) -> NDArray[np.int32]:
    """Return the BLEND bit (n,) of stars with a neighbour of more than `BLEND_SHARE` of the flux within `reach` px."""
    flags = np.zeros(len(x), np.int32)
    i, j = cKDTree(np.column_stack([x, y])).query_pairs(reach, output_type="ndarray").T
    flags[i[flux[j] > BLEND_SHARE * np.abs(flux[i])]] |= Flag.BLEND
    flags[j[flux[i] > BLEND_SHARE * np.abs(flux[j])]] |= Flag.BLEND
    return flags
