"""Simulated frames of a colour camera: known stars of known colours under a mosaic, with true noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits
from scipy.special import erf

SHARE = {"R": 0.25, "G": 0.5, "B": 0.25}
"""Share of the pixels that a channel has."""


@dataclass
class ColourSky:
    """Stars on the pixels of the whole mosaic: places, and electrons in each channel if all pixels were its own."""

    x: np.ndarray  # px
    y: np.ndarray  # px
    flux: dict[str, np.ndarray]  # e-
    level: dict[str, float] = field(default_factory=lambda: {"R": 260.0, "G": 420.0, "B": 330.0})  # e-/px

    @classmethod
    def make(cls, rng, n=150, shape=(700, 900), flux=(8000.0, 400000.0), spacing=30.0, edge=40.0):
        """Isolated stars of random colours."""
        ny, nx = shape
        places = np.empty((0, 2))
        while len(places) < n:
            new = rng.uniform([edge, edge], [nx - edge, ny - edge])
            if not len(places) or np.hypot(*(places - new).T).min() > spacing:
                places = np.vstack([places, new])
        green = np.exp(rng.uniform(*np.log(flux), n))
        colour = rng.normal(0, 0.4, n)
        fluxes = {
            "G": green,
            "R": 0.7 * green * 10 ** (0.4 * colour),
            "B": 0.8 * green * 10 ** (-0.4 * colour),
        }
        return cls(places[:, 0], places[:, 1], fluxes)

    def true_flux(self, channel):
        """Electrons that fall on a channel's own pixels, on average over the phase."""
        return self.flux[channel] * SHARE[channel]


def expected(sky, shape, fwhm, channel, shift=(0.0, 0.0)):
    """Electrons in every pixel of the mosaic if all were of one channel; Gaussian stars, integrated over pixels."""
    ny, nx = shape
    sigma = fwhm / 2.3548 * np.sqrt(2)
    gy, gx = np.mgrid[0:ny, 0:nx]
    image = sky.level[channel] * (1 + 0.1 * gx / nx - 0.05 * gy / ny)
    reach = int(5 * fwhm) + 2
    for x, y, v in zip(sky.x + shift[0], sky.y + shift[1], sky.flux[channel]):
        x0, y0 = round(x), round(y)
        ex = erf((np.arange(x0 - reach, x0 + reach + 2) - 0.5 - x) / sigma)
        ey = erf((np.arange(y0 - reach, y0 + reach + 2) - 0.5 - y) / sigma)
        stamp = v / 4 * np.outer(np.diff(ey), np.diff(ex))
        a, b, c, d = max(0, y0 - reach), min(ny, y0 + reach + 1), max(0, x0 - reach), min(nx, x0 + reach + 1)
        if a < b and c < d:
            image[a:b, c:d] += stamp[a - y0 + reach : b - y0 + reach, c - x0 + reach : d - x0 + reach]
    return image


def mosaic(sky, pattern, rng, *, shape=(700, 900), fwhm=4.0, gain=0.8, read_noise=3.0, pedestal=500.0, full=65535,
           shift=(0.0, 0.0)):  # fmt: skip
    """Counts (uint16) of a frame whose first 2x2 pixels have the colours of `pattern`, row by row."""
    electrons = np.empty(shape)
    for channel in "RGB":
        image = expected(sky, shape, fwhm, channel, shift)
        for k in range(4):
            if pattern[k] == channel:
                electrons[k // 2 :: 2, k % 2 :: 2] = image[k // 2 :: 2, k % 2 :: 2]
    counts = (rng.poisson(electrons) + rng.normal(0, read_noise, shape)) / gain + pedestal
    return np.clip(np.rint(counts), 0, full).astype(np.uint16)


def wcs_cards(shape, scale=1.2, rotation=20.0, centre=(150.0, 30.0)):
    """A tangent-plane WCS of the whole mosaic."""
    ny, nx = shape
    c, s = np.cos(np.radians(rotation)) * scale / 3600, np.sin(np.radians(rotation)) * scale / 3600
    return {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": centre[0], "CRVAL2": centre[1],
        "CRPIX1": nx / 2 + 0.5, "CRPIX2": ny / 2 + 0.5, "CD1_1": -c, "CD1_2": s, "CD2_1": s, "CD2_2": c,
    }  # fmt: skip


def write(path, counts, **cards):
    """Write a frame with the cards of a capture program; None leaves a card out."""
    header = fits.Header()
    values = {
        "TELESCOP": "Scope", "INSTRUME": "OSC 533", "DATE-OBS": "2024-03-01T22:10:00.5", "EXPTIME": 30.0,
        "IMAGETYP": "LIGHT", "GAIN": 100, "OFFSET": 50, "EGAIN": 0.8, "BAYERPAT": "RGGB", "XBAYROFF": 0,
        "YBAYROFF": 0, "ROWORDER": "TOP-DOWN", "OBJECT": "field", "RA": 150.0, "DEC": 30.0, "SITELAT": 48.0,
        "SITELONG": 11.0,
    }  # fmt: skip
    for key, value in {**values, **cards}.items():
        if value is not None:
            header[key] = value
    fits.PrimaryHDU(counts, header).writeto(path, overwrite=True)
    return path
