"""A night of simulated frames as FITS files, for benchmarks: headers that describe their camera by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.time import Time

from .pixels import PixelCamera, PixelExposure, PixelFrame, PixelSky, pixel_frame, pixel_sky, standard_night

SCALE = 1.2
"""arcsec/px of the unscaled frame."""
CENTRE = (150.0, 20.0)
FIRST_MJD = 60310.95
EXPTIME = 30.0
CYCLE = 40.0
"""s from start to start."""


def series(seed: int, n: int, *, special: bool = True) -> Iterator[PixelExposure]:
    """Yield `n` exposures of one night: slow drift and seeing; the special ones of `standard_night` come by turns.

    With `special`, the last quarter follows a meridian flip, and one frame each is cloudy, trailed, crossed by a
    satellite. The sky's and the drift's course depend on the seed alone.
    """
    rng = np.random.default_rng([seed, 80])
    phase = rng.uniform(0, 2 * np.pi, 3)
    speed = rng.normal(0, 30, 2)
    odd = dict(zip((n // 4, n // 3, n // 2), standard_night(seed)[-4:][::-1])) if special and n >= 8 else {}
    for k in range(n):
        t = k / max(n - 1, 1)
        flipped = special and t > 0.75
        shift = speed * (t - 0.5) + 2 * np.sin(7 * t + phase[:2]) + rng.normal(0, 0.3, 2)
        plain = PixelExposure(
            frame=k,
            seeing=1.1 + 0.15 * np.sin(5 * t + phase[2]) + rng.normal(0, 0.02),
            shift=(float(shift[0]), float(shift[1])),
            rotation=180.0 if flipped else 0.0,
            sky=400 * (1 + 0.2 * t),
        )
        yield replace(odd[k], frame=k, shift=plain.shift, rotation=0.0, scale=1.0) if k in odd else plain


def pixel_header(frame: PixelFrame, seed: int, wcs: bool = True) -> fits.Header:
    """Return the cards that photodb needs to describe the camera; `wcs` adds world coordinates true to 1e-3 px."""
    header = fits.Header()
    exposure, camera = frame.exposure, frame.camera
    header["TELESCOP"], header["INSTRUME"] = "Pixel 30cm", "PixelCam"
    header["OBJECT"], header["IMAGETYP"] = f"Field {seed}", "Light Frame"
    start = FIRST_MJD + np.round(exposure.frame * CYCLE / 86400, 9)
    header["DATE-OBS"] = (Time(start, format="mjd").isot, "UTC, start")
    header["EXPTIME"], header["FILTER"] = EXPTIME, "R"
    header["GAIN"], header["RDNOISE"] = camera.gain, camera.read_noise
    header["SATURATE"], header["PIXSCALE"] = camera.saturation, SCALE / exposure.scale
    header["SITELAT"], header["SITELONG"], header["SITEELEV"] = 32.0, 10.0, 500.0
    header["APTDIA"] = 300.0
    header["RA"], header["DEC"] = CENTRE
    if wcs:
        _add_wcs(header, exposure, camera)
    return header


def _add_wcs(header: fits.Header, exposure: PixelExposure, camera: PixelCamera) -> None:
    turn, scale = np.radians(exposure.rotation), SCALE / 3600 / exposure.scale
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = scale * np.array([[-cos, -sin], [-sin, cos]])  # east to the left at rotation 0
    for axis, size in ((0, camera.nx), (1, camera.ny)):
        header[f"CTYPE{axis + 1}"] = ("RA---TAN", "DEC--TAN")[axis]
        header[f"CUNIT{axis + 1}"] = "deg"
        header[f"CRVAL{axis + 1}"] = CENTRE[axis]
        header[f"CRPIX{axis + 1}"] = (size - 1) / 2 + exposure.shift[axis] + 1
        for other in (0, 1):
            header[f"CD{axis + 1}_{other + 1}"] = matrix[axis, other]


def write_frame(path: Path, frame: PixelFrame, seed: int, wcs: bool = True) -> Path:
    """Write a frame's raw counts, 16 bit."""
    fits.PrimaryHDU(frame.raw, pixel_header(frame, seed, wcs)).writeto(path, overwrite=True)
    return path


def write_series(
    folder: Path, n: int = 464, *, seed: int = 1, n_stars: int = 2000, wcs: bool = True, special: bool = True,
    camera: PixelCamera | None = None,
) -> PixelSky:  # fmt: skip
    """Write `n` frames of one night of one field into `folder`; return the field.

    The faintest of the stars have some 8 sigma, so that nearly all of `n_stars` can be found. Frames that are there
    already are kept: they are the same. A frame of 1676x1266 takes 4.2 MB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sky = pixel_sky(seed, n_stars, camera, faintest=800.0, n_galaxies=20)
    for exposure in series(seed, n, special=special):
        path = folder / f"pixels-{seed}-{exposure.frame:04d}.fits"
        if not path.exists():
            part = write_frame(path.with_suffix(".part"), pixel_frame(sky, exposure, seed), seed, wcs)
            part.rename(path)
    return sky
