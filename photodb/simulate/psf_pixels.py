"""Light of stars on pixels: an elliptical Moffat profile with a comatic tail, integrated over each pixel.

The profile of exponent 3 is integrated over every pixel by Gauss-Legendre nodes, as many as its distance from the
star's centre asks for: 4x4 in the core, where the error stays below 1e-6 of the flux down to a FWHM of 1.5 px.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

COMA_SHARE = 0.06
"""Share of a star's light in the tail."""
COMA_REACH = 0.6
"""Distance of the tail from the main profile at the corners of the frame, in FWHM."""
COMA_WIDTH = 1.5
"""Width of the tail in units of the main profile's."""
ALPHA_PER_FWHM = 1 / (2 * np.sqrt(2 ** (1 / 3) - 1))
N_TRAIL = 15
"""Copies of a star along its trail."""
STAMP_HALF = 25
"""Half side of the stamp over which the bound is summed, px."""

_N1, _W1 = np.polynomial.legendre.leggauss(1)
_N2, _W2 = np.polynomial.legendre.leggauss(2)
_N4, _W4 = np.polynomial.legendre.leggauss(4)
_NODES = np.array([*_N1, *_N2, *_N4]) / 2
_WEIGHTS = np.array([*_W1, *_W2, *_W4]) / 2


@dataclass(frozen=True)
class Shapes:
    """The profile at each of n places of the detector; all arrays (n,)."""

    alpha: Array  # px, Moffat width of the main profile
    e1: Array  # ellipticity along x, as in telescopes.psf_shape
    e2: Array  # along the diagonal
    tail_x: Array  # px, from the main profile to the tail
    tail_y: Array

    def columns(self) -> Array:
        """Return the profiles as an array (n, 5)."""
        return np.column_stack([self.alpha, self.e1, self.e2, self.tail_x, self.tail_y])


def detector_psf(x: Array, y: Array, nx: int, ny: int, seeing: float = 1.0) -> Shapes:
    """Return the profile at x, y (px): FWHM, ellipticity and coma are quadratic and fixed to the detector.

    FWHM 2.6 to 3.4 px times `seeing`, ellipticity (1 - minor / major) .05 to .15, coma growing linearly outwards.
    """
    u, v = 2 * np.asarray(x, float) / (nx - 1) - 1, 2 * np.asarray(y, float) / (ny - 1) - 1
    fwhm = seeing * (2.65 + 0.3 * u**2 + 0.3 * v**2 + 0.08 * u - 0.05 * v)
    e1 = 0.05 + 0.06 * u**2 - 0.02 * u * v
    e2 = 0.02 + 0.05 * v**2 + 0.02 * u
    reach = COMA_REACH * fwhm / np.sqrt(2)
    return Shapes(fwhm * ALPHA_PER_FWHM, e1, e2, reach * u, reach * v)


def trail_offsets(length: float, angle: float) -> Array:
    """Return the places (k, 2) of a star during the exposure, relative to the middle of its trail."""
    if not length:
        return np.zeros((1, 2))
    along = np.linspace(-0.5, 0.5, N_TRAIL) * length
    return np.column_stack([along * np.cos(np.radians(angle)), along * np.sin(np.radians(angle))])


@numba.njit(cache=True, nogil=True)
def _add_profile(image, x, y, flux, alpha, e1, e2, faintest, nodes, weights):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    a2 = alpha * alpha
    norm = flux * 2.0 / (np.pi * a2)
    if norm <= faintest:
        return
    reach = 1.2 * alpha * (norm / faintest) ** (1.0 / 6.0) + 2.0
    scale = 1.0 / (np.sqrt(1.0 - e1 * e1 - e2 * e2) * a2)
    qxx, qyy, qxy = (1.0 - e1) * scale, (1.0 + e1) * scale, -2.0 * e2 * scale
    x0, x1 = max(0, int(np.ceil(x - reach))), min(nx - 1, int(np.floor(x + reach)))
    y0, y1 = max(0, int(np.ceil(y - reach))), min(ny - 1, int(np.floor(y + reach)))
    for j in range(y0, y1 + 1):
        for i in range(x0, x1 + 1):
            r2 = (i - x) ** 2 + (j - y) ** 2
            # the nodes of order 1, 2, 4 stand one after the other
            if r2 < 16.0 * a2:
                order, first = 4, 3
            elif r2 < 100.0 * a2:
                order, first = 2, 1
            else:
                order, first = 1, 0
            total = 0.0
            for b in range(first, first + order):
                dy = j + nodes[b] - y
                for a in range(first, first + order):
                    dx = i + nodes[a] - x
                    w = 1.0 / (1.0 + qxx * dx * dx + qyy * dy * dy + qxy * dx * dy)
                    total += weights[a] * weights[b] * w * w * w
            image[j, i] += norm * total


@numba.njit(cache=True, nogil=True)
def _add_star(image, x, y, flux, shape, offsets, faintest, nodes, weights):  # type: ignore[no-untyped-def]
    alpha, e1, e2, tail_x, tail_y = shape
    for k in range(len(offsets)):
        part = flux / len(offsets)
        # main profile and tail balance on the star's place
        px, py = x + offsets[k, 0] - COMA_SHARE * tail_x, y + offsets[k, 1] - COMA_SHARE * tail_y
        _add_profile(image, px, py, part * (1 - COMA_SHARE), alpha, e1, e2, faintest, nodes, weights)
        _add_profile(
            image, px + tail_x, py + tail_y, part * COMA_SHARE, alpha * COMA_WIDTH, e1, e2, faintest, nodes, weights
        )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _add_all(image, x, y, flux, shapes, offsets, faintest, nodes, weights):  # type: ignore[no-untyped-def]
    for k in range(len(x)):
        _add_star(image, x[k], y[k], flux[k], shapes[k], offsets, faintest, nodes, weights)


@numba.njit(cache=True, nogil=True)
def _information(variance, flat, x, y, shapes, offsets, half, nodes, weights):  # type: ignore[no-untyped-def]
    """Return sum (flat P)^2 / V and the sums of the squared slopes of P along x and y over V."""
    ny, nx = variance.shape
    side = 2 * half + 1
    out = np.zeros((len(x), 3))
    step = 0.02
    for k in range(len(x)):
        ix, iy = round(x[k]), round(y[k])
        stamps = np.zeros((5, side, side), np.float64)
        for m in range(5):
            dx = step * ((m == 1) - (m == 2))
            dy = step * ((m == 3) - (m == 4))
            _add_star(
                stamps[m], x[k] - ix + half + dx, y[k] - iy + half + dy, 1.0, shapes[k], offsets, 1e-8, nodes, weights
            )  # fmt: skip
        for j in range(max(0, iy - half), min(ny, iy + half + 1)):
            for i in range(max(0, ix - half), min(nx, ix + half + 1)):
                b, a = j - iy + half, i - ix + half
                weight = flat[j, i] ** 2 / variance[j, i]
                out[k, 0] += weight * stamps[0, b, a] ** 2
                out[k, 1] += weight * ((stamps[1, b, a] - stamps[2, b, a]) / (2 * step)) ** 2
                out[k, 2] += weight * ((stamps[3, b, a] - stamps[4, b, a]) / (2 * step)) ** 2
    return out


def add_stars(
    image: NDArray, x: Array, y: Array, flux: Array, shapes: Shapes, offsets: Array, faintest: float = 0.002
) -> None:
    """Add stars of `flux` (e-) to `image` (e-), in place; stamps end below `faintest` e- a pixel."""
    _add_all(image, x, y, flux, shapes.columns(), offsets, faintest, _NODES, _WEIGHTS)


def information(
    variance: NDArray, flat: NDArray, x: Array, y: Array, shapes: Shapes, offsets: Array
) -> tuple[Array, Array, Array]:
    """Return what the pixels know of a star's flux (e-^-2), and of x and y (px^-2) for a flux of 1 e-."""
    found = _information(variance, flat, x, y, shapes.columns(), offsets, STAMP_HALF, _NODES, _WEIGHTS)
    return found[:, 0], found[:, 1], found[:, 2]
