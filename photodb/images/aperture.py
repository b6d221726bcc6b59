"""Aperture photometry: exact circles, the sky of a clipped annulus, errors of photons, pixels and annulus."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import sep
from numpy.typing import NDArray

from .annulus import annulus_sky
from .reduce import ReducedFrame
from .starflags import pixel_of

RADII = (0.6, 0.8, 1.0, 1.4, 2.0)
"""Aperture radii in units of the main one."""
BEST_RADIUS = 2
"""Which of the radii gives `flux`: the main one."""
APERTURE_FWHM = 1.4
"""Main radius in units of the camera's typical FWHM. It is one number for all frames of a camera: radii that follow
each frame's own FWHM let its error into the light curves (HAT-P-32: bright stars 8.5 mmag at 1.25 FWHM of each frame,
7.2 to 7.9 at 2.5 to 3 px for all)."""
ANNULUS_FWHM = (3.0, 5.5)
MIN_ANNULUS_PX = (6.0, 11.0)


def local_sky(
    data: NDArray[np.float32],
    noise: NDArray[np.float32],
    bad: NDArray[np.bool_],
    x: NDArray,
    y: NDArray,
    aperture: float,
    grain: float = 0.0,
) -> NDArray:
    """Return median, noise a pixel and number of pixels (n, 3) of the annulus that goes with the main aperture (px)."""
    typical = aperture / APERTURE_FWHM
    inner = max(ANNULUS_FWHM[0] * typical, MIN_ANNULUS_PX[0])
    outer = max(ANNULUS_FWHM[1] * typical, MIN_ANNULUS_PX[1])
    return annulus_sky(data, noise, bad, x, y, inner, outer, grain)


def aperture_fluxes(
    data: NDArray[np.float32], x: NDArray, y: NDArray, radii: NDArray, local: NDArray, gain: float
) -> tuple[NDArray, NDArray]:
    """Sum exact circles and take off the annulus; returns fluxes and errors (n, k), e-.

    Parameters
    ----------
    data : (ny, nx) ADU.
    radii : (k,) px.
    local : (n, 3) as `local_sky` gives.
    """
    sums = circle_sums(data, x, y, radii)
    return net_fluxes(sums, np.zeros_like(sums), radii, local, gain)


def circle_sums(data: NDArray[np.float32], x: NDArray, y: NDArray, radii: Iterable[float]) -> NDArray:
    """Return the counts (n, k) in exact circles, ADU."""
    return np.stack([sep.sum_circle(data, x, y, r, subpix=0)[0] for r in radii], axis=1)


def net_fluxes(
    sums: NDArray, others: NDArray, radii: NDArray, local: NDArray, gain: float
) -> tuple[NDArray, NDArray]:
    """Take the annulus off sums (n, k) ADU in circles; returns fluxes and errors, e-.

    `others` (n, k) is the light of neighbours, ADU, that was taken off before: its photons made noise too.
    """
    area = np.pi * np.asarray(radii, float) ** 2
    flux = (sums - local[:, :1] * area) * gain
    pixel = (local[:, 1:2] * gain) ** 2
    annulus = area**2 * (np.pi / 2) * pixel / local[:, 2:3]  # a median is less sharp than a mean by pi / 2
    variance = np.maximum(flux, 0) + np.maximum(others, 0) * gain + area * pixel + annulus
    return flux, np.sqrt(variance)


def with_flat(frame: ReducedFrame, x: NDArray, y: NDArray, flux: NDArray, error: NDArray) -> NDArray:
    """Return errors (n,) or (n, k) that know the flat: where it is 0.8, a flux was made of 0.8 times its electrons.

    The background's noise is measured on the flat frame and needs no such care; the stars' own photons do.
    """
    if frame.multiplied is None:
        return error
    ny, nx = frame.multiplied.shape
    more = frame.multiplied[pixel_of(y, ny), pixel_of(x, nx)].astype(float) - 1.0
    more = more[:, None] if flux.ndim == 2 else more
    return np.sqrt(np.maximum(error**2 + np.maximum(np.nan_to_num(flux), 0.0) * more, 0.25 * error**2))
