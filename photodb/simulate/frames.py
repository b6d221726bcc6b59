"""Rendering: from a sky and an exposure to the pixels that a camera would have written.

The stars' light is spread over the pixels by the Moffat profile of `telescopes.psf_shape`, taken at the
middle of each pixel (which keeps the flux to 1e-6 for a FWHM above 2 px). Photon and read-out noise are
drawn pixel by pixel, Poisson where fewer than `POISSON_BELOW` electrons are expected and normal above; then
gain, pedestal, rounding to whole ADU and clipping at the full well: so the errors of what is measured here
are true ones.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from .nights import Exposure
from .sky import CENTRE, Sky
from .telescopes import MOFFAT_BETA, Telescope, legendre, make_wcs, psf_shape, scaled

Array = NDArray[np.float64]
Floats = NDArray[np.floating]

POISSON_BELOW = 80.0
"""Electrons a pixel above which photon noise is drawn from a normal distribution."""

FAINTEST_PIXEL = 0.02
"""Stamps end where a star gives less than this many electrons a pixel."""

MARGIN = 40
"""Stars up to so many pixels outside the frame still throw light into it."""

TREE_LOSS = 3.5
"""Magnitudes lost behind the thickest part of the tree."""


@numba.njit(cache=True, nogil=True)
def _add_moffat(image, x, y, flux, alpha, e1, e2, faintest):  # type: ignore[no-untyped-def]
    """Add elliptical Moffat profiles of exponent 3 to `image` (electrons), in place."""
    ny, nx = image.shape
    for k in range(len(x)):
        a2 = alpha[k] * alpha[k]
        norm = flux[k] * 2.0 / (np.pi * a2)
        if norm <= faintest:
            continue
        reach = 1.2 * alpha[k] * (norm / faintest) ** (1.0 / 6.0) + 2.0
        scale = 1.0 / (np.sqrt(1.0 - e1[k] * e1[k] - e2[k] * e2[k]) * a2)
        qxx, qyy, qxy = (1.0 - e1[k]) * scale, (1.0 + e1[k]) * scale, -2.0 * e2[k] * scale
        x0, x1 = max(0, int(np.ceil(x[k] - reach))), min(nx - 1, int(np.floor(x[k] + reach)))
        y0, y1 = max(0, int(np.ceil(y[k] - reach))), min(ny - 1, int(np.floor(y[k] + reach)))
        for j in range(y0, y1 + 1):
            dy = j - y[k]
            for i in range(x0, x1 + 1):
                dx = i - x[k]
                w = 1.0 / (1.0 + qxx * dx * dx + qyy * dy * dy + qxy * dx * dy)
                image[j, i] += norm * w * w * w


def positions(telescope: Telescope, exposure: Exposure, sky: Sky) -> tuple[Array, Array]:
    """Return the true x, y of every star, 0 at the centre of the first pixel."""
    wcs = make_wcs(telescope, *CENTRE, exposure.rotation, exposure.shift)
    x, y = wcs.wcs_world2pix(sky.ra, sky.dec, 0)
    return x, y


def true_flux(
    telescope: Telescope, exposure: Exposure, sky: Sky, x: Array, y: Array, jitter: Array | float = 0.0
) -> Array:
    """Return the electrons that each star sends to the detector in the exposure, besides photon noise.

    `jitter` is added to the magnitudes: the noise floor of each star on this frame.
    """
    mag = sky.magnitudes(exposure.band, exposure.bjd) + telescope.colour_term * sky.colour + jitter
    u, v = scaled(telescope, x, y)
    surface = np.array(exposure.terms) @ legendre(u, v)
    flux = exposure.exptime * 10 ** (-0.4 * (mag - exposure.zero_point - surface))
    return flux * tree_transmission(exposure, u, v) if exposure.tree else flux


def tree_transmission(exposure: Exposure, u: Floats, v: Floats) -> Array:
    """Return the share of light that the tree lets through at scaled coordinates.

    The tree rises from the lower edge of the frame with a ragged outline; its leaves are a sum of random
    waves, since nothing so near is in focus.
    """
    rng = np.random.default_rng([11, exposure.frame])
    edge = 1.2 - 2.4 * exposure.tree + 0.15 * _waves(u, np.zeros_like(u), rng, 9)
    cover = 1 / (1 + np.exp((v + edge) / 0.18))
    leaves = np.clip(0.7 + 0.25 * _waves(u, v, rng, 14), 0.1, 1.3)
    return 10 ** (-0.4 * TREE_LOSS * cover * leaves)


def _waves(u: Floats, v: Floats, rng: np.random.Generator, number: int) -> Array:
    """Return a smooth random surface of zero mean and unit variance."""
    total = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(v)))
    for kx, ky, phase in zip(
        rng.normal(0, 7, number), rng.normal(0, 7, number), rng.uniform(0, 2 * np.pi, number)
    ):
        total = total + np.sin(kx * u + ky * v + phase)
    return total / np.sqrt(number / 2)


def render(
    telescope: Telescope, exposure: Exposure, sky: Sky, seed: int, cosmic_rays: float = 8.0
) -> NDArray[np.uint16]:
    """Return the 16-bit frame, shape (ny, nx), in ADU.

    The same seed and exposure give the same frame, whatever was rendered before.
    """
    rng = np.random.default_rng([seed, 7, exposure.frame])
    jitter = rng.normal(0, telescope.noise_floor, len(sky))
    image = expected(telescope, exposure, sky, jitter)
    add_noise(image, telescope.read_noise, rng)
    _add_cosmic_rays(image, rng.poisson(cosmic_rays), rng)
    adu = image / np.float32(telescope.gain) + np.float32(telescope.pedestal)
    return np.clip(np.rint(adu), 0, min(telescope.full_well, 65535)).astype(np.uint16)


def expected(
    telescope: Telescope, exposure: Exposure, sky: Sky, jitter: Array | float = 0.0
) -> NDArray[np.float32]:
    """Return the expected electrons of every pixel: sky, stars, trail and hot pixels, without noise."""
    image = _background(telescope, exposure)
    x, y = positions(telescope, exposure, sky)
    near = (x > -MARGIN) & (x < telescope.nx + MARGIN) & (y > -MARGIN) & (y < telescope.ny + MARGIN)
    flux = true_flux(telescope, exposure, sky, x, y, jitter)
    alpha, e1, e2 = psf_shape(telescope, exposure.fwhm, x[near], y[near])
    _add_moffat(image, x[near], y[near], flux[near], alpha, e1, e2, FAINTEST_PIXEL)
    if exposure.satellite:
        _add_trail(image)
    columns, rows, rate = hot_pixels(telescope)
    image[rows, columns] += rate * exposure.exptime
    return image


def add_noise(image: NDArray[np.float32], read_noise: float, rng: np.random.Generator) -> None:
    """Draw photons and read-out noise, in place."""
    faint = image < POISSON_BELOW
    photons = rng.poisson(image[faint]) if faint.any() else None
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    variance = image + np.float32(read_noise**2)
    if photons is not None:
        image[faint] = photons
        variance[faint] = read_noise**2
    image += noise * np.sqrt(variance)


def hot_pixels(telescope: Telescope, number: int = 15) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Return columns, rows and rates (e-/s) of the camera's hot pixels: the same on every frame."""
    rng = np.random.default_rng([telescope.nx, telescope.ny, len(telescope.camera)])
    columns, rows = rng.integers(0, telescope.nx, number), rng.integers(0, telescope.ny, number)
    return columns, rows, 10 ** rng.uniform(0.5, 1.4, number)


def _background(telescope: Telescope, exposure: Exposure) -> NDArray[np.float32]:
    u = np.linspace(-1, 1, telescope.nx, dtype=np.float32)[None, :]
    v = np.linspace(-1, 1, telescope.ny, dtype=np.float32)[:, None]
    slope = 1 + np.float32(exposure.sky_gradient[0]) * u + np.float32(exposure.sky_gradient[1]) * v
    level = np.float32(exposure.sky) * (slope - np.float32(0.03) * (u * u + v * v))
    if exposure.tree:
        share = tree_transmission(exposure, u, v).astype(np.float32)
        level *= 1 + np.float32(1.5 * exposure.tree) * (1 - share)
    return np.ascontiguousarray(level)


def _add_trail(image: NDArray[np.float32], peak: float = 900.0, width: float = 1.6) -> None:
    """Add a satellite's trail across the frame, in place."""
    ny, nx = image.shape
    y, x = np.mgrid[:ny, :nx].astype(np.float32)
    angle = np.float32(0.35)
    distance = (x - 0.1 * nx) * np.sin(angle) - (y - 0.35 * ny) * np.cos(angle)
    image += (peak * np.exp(-0.5 * (distance / width) ** 2)).astype(np.float32)


def _add_cosmic_rays(image: NDArray[np.float32], number: int, rng: np.random.Generator) -> None:
    """Add hits of one to several pixels with 800 to 20,000 electrons, in place."""
    ny, nx = image.shape
    for _ in range(number):
        x, y, angle = rng.uniform(0, nx), rng.uniform(0, ny), rng.uniform(0, 2 * np.pi)
        length = 1 + int(rng.exponential(2.0))
        charge = 10 ** rng.uniform(2.9, 4.3) / length
        for step in range(length):
            i, j = int(x + step * np.cos(angle)), int(y + step * np.sin(angle))
            if 0 <= i < nx and 0 <= j < ny:
                image[j, i] += charge


assert MOFFAT_BETA == 3, "the stamps are written for an exponent of 3"
