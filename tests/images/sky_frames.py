"""Small synthetic frames with known stars, for the tests of measuring."""

from __future__ import annotations

import numpy as np
from astropy.io import fits


def star_image(
    rng,
    n=150,
    shape=(400, 500),
    fwhm=3.2,
    sky=300.0,
    gain=2.0,
    read_noise=8.0,
    flux=(300.0, 60000.0),
    spacing=14.0,
):
    """Return counts (float), x, y and flux (e-) of isolated Gaussian stars with photon and read noise."""
    ny, nx = shape
    x, y = [], []
    while len(x) < n:
        px, py = rng.uniform(25, nx - 25), rng.uniform(25, ny - 25)
        if all((px - a) ** 2 + (py - b) ** 2 > spacing**2 for a, b in zip(x, y)):
            x.append(px)
            y.append(py)
    x, y = np.array(x), np.array(y)
    f = np.exp(rng.uniform(*np.log(flux), n))
    sigma = fwhm / 2.3548
    image = np.full(shape, sky * gain)
    gy, gx = np.mgrid[-15:16, -15:16]
    for px, py, v in zip(x, y, f):
        ix, iy = round(px), round(py)
        stamp = (
            np.exp(-0.5 * ((gx + ix - px) ** 2 + (gy + iy - py) ** 2) / sigma**2) * v / (2 * np.pi * sigma**2)
        )
        image[iy - 15 : iy + 16, ix - 15 : ix + 16] += stamp
    counts = (rng.poisson(image) + rng.normal(0, read_noise, shape)) / gain
    return counts, x, y, f


def write_frame(path, counts, **cards):
    """Write counts as a 16-bit frame with the cards of a plain camera."""
    header = fits.Header()
    values = {
        "TELESCOP": "T1", "INSTRUME": "C1", "DATE-OBS": "2024-03-01T22:10:00.5", "EXPTIME": 60.0, "FILTER": "V",
        "RA": "10:00:00", "DEC": "+20:00:00", "GAIN": 2.0, "RDNOISE": 8.0, "SATURATE": 60000, "PIXSCALE": 1.0,
        "SITELAT": 30.0, "SITELONG": 0.0,
    }  # fmt: skip
    for key, value in {**values, **cards}.items():
        if value is not None:
            header[key] = value
    fits.PrimaryHDU(np.clip(np.round(counts), 0, 65535).astype(np.uint16), header).writeto(
        path, overwrite=True
    )
    return path
