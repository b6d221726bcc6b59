"""The spatial terms of a frame: Legendre polynomials on pixel coordinates scaled to [-1, 1].

The order of the terms is fixed and stored in the archive:

====== ======================================================== =======
degree terms                                                    in all
====== ======================================================== =======
0      1                                                        1
1      x, y                                                     3
2      P2(x), x y, P2(y)                                        6
3      P3(x), P2(x) y, x P2(y), P3(y)                           10
====== ======================================================== =======

with P2(t) = (3 t^2 - 1) / 2 and P3(t) = (5 t^3 - 3 t) / 2. The first coefficient is the zero point of the frame.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

N_TERMS: tuple[int, ...] = (1, 3, 6, 10)
"""Number of terms of each order, the constant included."""

MAX_ORDER = len(N_TERMS) - 1


def n_terms(order: int) -> int:
    """Return the number of terms of an order; ValueError unless 0 <= order <= 3."""
    if not 0 <= order <= MAX_ORDER:
        raise ValueError(f"order {order}: spatial polynomials have order 0 to {MAX_ORDER}")
    return N_TERMS[order]


def scale_pixels(pixels: ArrayLike, size: ArrayLike) -> NDArray[np.float64]:
    """Scale pixel coordinates (0 at the centre of the first of `size` pixels) to [-1, 1]."""
    size = np.asarray(size, dtype=np.float64)
    return 2.0 * np.asarray(pixels, dtype=np.float64) / np.maximum(size - 1.0, 1.0) - 1.0


@numba.njit(cache=True)
def fill_terms(x, y, k, out):  # type: ignore[no-untyped-def]
    """Write the first `k` terms at one scaled position into `out`; k is one of N_TERMS."""
    out[0] = 1.0
    if k >= 3:
        out[1] = x
        out[2] = y
    if k >= 6:
        px = 1.5 * x * x - 0.5
        py = 1.5 * y * y - 0.5
        out[3] = px
        out[4] = x * y
        out[5] = py
        if k >= 10:
            out[6] = x * (2.5 * x * x - 1.5)
            out[7] = px * y
            out[8] = x * py
            out[9] = y * (2.5 * y * y - 1.5)


@numba.njit(cache=True)
def _design(x, y, k, out):  # type: ignore[no-untyped-def]
    for n in range(x.size):
        fill_terms(x[n], y[n], k, out[n])


@numba.njit(cache=True)
def _evaluate(frame, x, y, coefficients, k, out):  # type: ignore[no-untyped-def]
    phi = np.empty(10)
    for n in range(x.size):
        fill_terms(x[n], y[n], k, phi)
        base = frame[n] * k
        total = 0.0
        for a in range(k):
            total += coefficients[base + a] * phi[a]
        out[n] = total


@numba.njit(cache=True)
def _variance(frame, x, y, covariance, k, out):  # type: ignore[no-untyped-def]
    phi = np.empty(10)
    for n in range(x.size):
        fill_terms(x[n], y[n], k, phi)
        base = frame[n] * k * k
        total = 0.0
        for a in range(k):
            for b in range(k):
                total += phi[a] * covariance[base + a * k + b] * phi[b]
        out[n] = total


def _columns(*columns: ArrayLike) -> list[NDArray[np.float64]]:
    return [np.ascontiguousarray(c, dtype=np.float64) for c in columns]


def design(x: ArrayLike, y: ArrayLike, order: int) -> NDArray[np.float64]:
    """Return the terms, shape (n, k), at scaled positions `x`, `y`, each (n,)."""
    x, y = _columns(x, y)
    out = np.empty((x.size, n_terms(order)))
    _design(x, y, n_terms(order), out)
    return out


def evaluate(
    coefficients: NDArray[np.float64], frame: NDArray[np.integer], x: ArrayLike, y: ArrayLike
) -> NDArray[np.float64]:
    """Return sum_k coefficients[frame, k] phi_k(x, y), shape (n,); coefficients are (n_frames, k)."""
    x, y = _columns(x, y)
    out = np.empty(x.size)
    _evaluate(
        np.asarray(frame, np.uint32),
        x,
        y,
        np.ascontiguousarray(coefficients).ravel(),
        coefficients.shape[1],
        out,
    )
    return out


def variance(
    covariance: NDArray[np.float64], frame: NDArray[np.integer], x: ArrayLike, y: ArrayLike
) -> NDArray[np.float64]:
    """Return phi^T covariance[frame] phi, shape (n,); covariances are (n_frames, k, k)."""
    x, y = _columns(x, y)
    out = np.empty(x.size)
    _variance(
        np.asarray(frame, np.uint32), x, y, np.ascontiguousarray(covariance).ravel(), covariance.shape[1], out
    )
    return out
