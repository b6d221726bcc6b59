"""The simulated telescopes: optics, detector, site and habits of their headers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOFFAT_BETA = 3
"""Exponent of the Moffat profile; an integer, so that stamps need no `pow`."""

SUN_TO_SIDEREAL = 360.98564736629
"""Degrees that the Earth turns in a day of UT1."""


@dataclass(frozen=True)
class Telescope:
    """One telescope with its camera; electrons, ADU, pixels, arcsec, degrees and metres."""

    name: str
    camera: str
    observatory: str
    latitude: float  # deg, north positive
    longitude: float  # deg, east positive
    elevation: float  # m
    aperture: float  # m, diameter
    first_hour: float  # UT hours after the MJD of the night: first exposure
    last_hour: float  # end of the last exposure
    nx: int
    ny: int
    scale: float  # arcsec/px
    rotation: float  # deg, position angle of the y axis, east of north
    flips: bool  # German mount: turned by 180 deg west of the meridian
    gain: float  # e-/ADU
    read_noise: float  # e-
    pedestal: float  # ADU, constant added to every pixel
    full_well: float  # ADU, where pixels clip
    zero_point: float  # mag of a star that gives 1 e-/s at the zenith
    colour_term: float  # mag a magnitude of V-R: the offset of the band pass
    extinction: float  # mag an airmass
    noise_floor: float  # mag, scatter of each star on each frame besides photons and read-out
    sky_mag: float  # mag/arcsec2 at the zenith
    seeing: float  # arcsec, median full width at half maximum at the zenith, optics included
    exptime: float  # s
    vignetting: tuple[float, float, float, float, float]  # mag, static terms x, y, xx, xy, yy (Legendre)
    ellipticity: tuple[float, float]  # of the PSF at the centre: along x, along the diagonal
    astigmatism: float  # growth of the ellipticity to the corner
    curvature: float  # relative growth of the FWHM from the centre to the corner
    header: str  # "modern" or "spartan"

    @property
    def area(self) -> float:
        """Return the collecting area in m2."""
        return float(np.pi * self.aperture**2 / 4)


ALDER = Telescope(
    name="Alder 0.6m",
    camera="AlderCam",
    observatory="Mount Alder",
    latitude=28.30,
    longitude=-16.51,
    elevation=2390.0,
    aperture=0.60,
    first_hour=21.9,
    last_hour=27.7,
    nx=800,
    ny=600,
    scale=1.0,
    rotation=0.4,
    flips=False,
    gain=1.5,
    read_noise=7.0,
    pedestal=100.0,
    full_well=65535.0,
    zero_point=22.6,
    colour_term=0.0,
    extinction=0.14,
    noise_floor=0.003,
    sky_mag=20.6,
    seeing=2.5,
    exptime=60.0,
    vignetting=(0.010, -0.006, 0.020, 0.004, 0.016),
    ellipticity=(0.03, -0.02),
    astigmatism=0.04,
    curvature=0.06,
    header="modern",
)
"""The larger one: world coordinates, gain and time in one card in its headers."""

BIRCH = Telescope(
    name="Birch 35cm",
    camera="BirchCCD",
    observatory="Birch Hill",
    latitude=32.44,
    longitude=-110.79,
    elevation=1510.0,
    aperture=0.35,
    first_hour=27.9,
    last_hour=34.0,
    nx=640,
    ny=512,
    scale=1.5,
    rotation=3.0,
    flips=True,
    gain=1.2,
    read_noise=9.0,
    pedestal=0.0,
    full_well=62000.0,
    zero_point=21.3,
    colour_term=0.012,
    extinction=0.19,
    noise_floor=0.005,
    sky_mag=20.3,
    seeing=3.7,
    exptime=90.0,
    vignetting=(-0.012, 0.008, 0.025, -0.006, 0.030),
    ellipticity=(-0.04, 0.03),
    astigmatism=0.06,
    curvature=0.08,
    header="spartan",
)
"""The smaller one, on a German mount, with date and time in two cards and neither WCS nor gain."""


def telescopes(number: int) -> tuple[Telescope, ...]:
    """Return `number` telescopes: the two above, then sisters of them, turned and a little different."""
    pair = (ALDER, BIRCH)
    return tuple(pair[i] if i < 2 else _sister(pair[i % 2], i) for i in range(number))


def _sister(model: Telescope, index: int) -> Telescope:
    return replace(
        model,
        name=f"{model.name} {index + 1}",
        camera=f"{model.camera}{index + 1}",
        rotation=model.rotation + 1.5 * index,
        zero_point=model.zero_point - 0.05 * index,
        noise_floor=model.noise_floor + 0.0005 * index,
    )


def altitude(telescope: Telescope, mjd: Array, ra: float, dec: float) -> Array:
    """Return the altitude in degrees, without refraction, from the mean sidereal time (good to 0.4 deg)."""
    hour, lat, delta = (
        np.radians(hour_angle(telescope, mjd, ra)),
        np.radians(telescope.latitude),
        np.radians(dec),
    )
    return np.degrees(np.arcsin(np.sin(lat) * np.sin(delta) + np.cos(lat) * np.cos(delta) * np.cos(hour)))


def hour_angle(telescope: Telescope, mjd: Array, ra: float) -> Array:
    """Return the hour angle in degrees, in [-180, 180), west positive."""
    sidereal = 280.46061837 + SUN_TO_SIDEREAL * (np.asarray(mjd) - 51544.5) + telescope.longitude
    return (sidereal - ra + 180) % 360 - 180


def make_wcs(
    telescope: Telescope, ra: float, dec: float, rotation: float, shift: tuple[float, float] = (0, 0)
) -> WCS:
    """Return the tangent-plane WCS with (ra, dec) at the centre of the frame plus `shift` pixels.

    `rotation` is the position angle of the y axis in degrees, east of north; east lies to the left at 0.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(telescope.nx - 1) / 2 + shift[0] + 1, (telescope.ny - 1) / 2 + shift[1] + 1]
    angle, scale = np.radians(rotation), telescope.scale / 3600
    cos, sin = np.cos(angle), np.sin(angle)
    wcs.wcs.cd = scale * np.array([[-cos, sin], [sin, cos]])
    wcs.wcs.set()
    return wcs


def scaled(telescope: Telescope, x: Array, y: Array) -> tuple[Array, Array]:
    """Return pixel coordinates scaled to [-1, 1] over the frame."""
    return 2 * np.asarray(x) / (telescope.nx - 1) - 1, 2 * np.asarray(y) / (telescope.ny - 1) - 1


def legendre(u: Array, v: Array) -> Array:
    """Return the five terms x, y, xx, xy, yy in Legendre form on scaled coordinates, shape (5, n)."""
    return np.stack([u, v, 1.5 * u**2 - 0.5, u * v, 1.5 * v**2 - 0.5])


def psf_shape(telescope: Telescope, fwhm: float, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Return (alpha, e1, e2) of the Moffat profile at each position.

    The profile is (MOFFAT_BETA - 1) / (pi alpha^2) (1 + q / alpha^2)^-MOFFAT_BETA with
    q = ((1 - e1) dx^2 + (1 + e1) dy^2 - 2 e2 dx dy) / sqrt(1 - e1^2 - e2^2).
    """
    u, v = scaled(telescope, x, y)
    alpha = fwhm * (1 + telescope.curvature * (u**2 + v**2) / 2) / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    e1 = telescope.ellipticity[0] + telescope.astigmatism * (u**2 - v**2)
    e2 = telescope.ellipticity[1] + telescope.astigmatism * 2 * u * v
    return alpha, e1, e2


def encircled_energy(radius: float, alpha: Array, e1: Array, e2: Array) -> Array:
    """Return the share of a star's light within a circle of `radius` px.

    The radial integral of the elliptical Moffat profile is done in closed form, the one over the angle by 64
    nodes; the second term is what exact apertures on square pixels lose besides (a pixel's variance is 1/12).
    """
    if not np.isfinite(radius):
        return np.ones_like(alpha)
    theta = np.linspace(0, np.pi, 64, endpoint=False)[:, None]
    norm = np.sqrt(1 - e1**2 - e2**2)
    q = ((1 - e1) * np.cos(theta) ** 2 + (1 + e1) * np.sin(theta) ** 2 - e2 * np.sin(2 * theta)) / norm
    inside = np.mean((1 - (1 + radius**2 * q / alpha**2) ** (1 - MOFFAT_BETA)) / q, axis=0)
    u = radius**2 / alpha**2
    slope = -2 * MOFFAT_BETA * (MOFFAT_BETA - 1) * radius / (np.pi * alpha**4) * (1 + u) ** (-MOFFAT_BETA - 1)
    return inside + 2 * np.pi * radius * slope / 24
