"""Hot pixels and cosmic rays under a mosaic: pixels that shine alone.

Light that came through the optics spreads to the neighbours, which are of other colours; the charge of a hot pixel or
of most cosmic rays does not. So they are told on the mosaic, where stars are twice as wide as on a channel: there a
star in focus may cover a single pixel.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEAST_SIGMA = 10.0
"""Excess over the brightest pixel of the same colour around, in the noise of one, of a pixel that is looked at."""
SHARE = 0.07
"""Least share of a star's peak in the four pixels beside it: 0.2 for a very red star of FWHM 1.7 px."""


def lonely_pixels(data: NDArray[np.float32], spots: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Mark the pixels of one colour that shine alone.

    Parameters
    ----------
    data : (ny, nx) ADU, the reduced mosaic.
    spots : row and column of the colour's pixels in the 2x2 cell at the first pixel.
    """
    alone = np.zeros(data.shape, np.bool_)
    for y, x in spots:
        _mark(data, y, x, np.float32(_noise(data[y::2, x::2])), alone)
    return alone


def _noise(plane: NDArray[np.float32]) -> float:
    """Return the noise of a pixel from differences of neighbours, free of gradients, ADU."""
    apart = plane[::3, 1:] - plane[::3, :-1]
    return max(1.4826 * float(np.median(np.abs(apart))) / math.sqrt(2), 1e-6)


@njit(cache=True, nogil=True)
def _mark(data, first_y, first_x, noise, alone):
    ny, nx = data.shape
    for y in range(first_y, ny, 2):
        if y < 3 or y >= ny - 3:
            continue
        for x in range(first_x, nx, 2):
            if x < 3 or x >= nx - 3:
                continue
            around, top = 0.0, np.float32(-np.inf)
            for j in range(-2, 3, 2):
                for i in range(-2, 3, 2):
                    around += data[y + j, x + i]
                    if i or j:
                        top = max(top, data[y + j, x + i])
            v = data[y, x]
            if v - top < LEAST_SIGMA * noise:
                continue
            excess = v - (around - v) / 8
            beside = (
                data[y, x - 1] - data[y, x - 3] + data[y, x + 1] - data[y, x + 3]
                + data[y - 1, x] - data[y - 3, x] + data[y + 1, x] - data[y + 3, x]
            ) / 4  # fmt: skip
            if beside + 1.5 * noise < SHARE * excess:
                alone[y, x] = True
