"""Raw frames of an invented detector with known bias pattern, dark current, vignetting, hot and dead pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

OVERSCAN = 24
TOP = 65535


@dataclass(frozen=True)
class Detector:
    """What is true of the detector; ADU, ADU/s, e-/ADU, e-."""

    shape: tuple[int, int] = (200, 260)  # ny, nx of the data section
    gain: float = 2.0
    read_noise: float = 6.0
    level: float = 1000.0  # of the bias, drifting from frame to frame
    hot_rate: float = 60.0  # e-/s
    n_hot: int = 25
    n_dead: int = 20
    seed: int = 1
    bias: NDArray = field(init=False)
    dark: NDArray = field(init=False)  # e-/s
    flat: NDArray = field(init=False)
    hot: NDArray = field(init=False)
    dead: NDArray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 77])
        ny, nx = self.shape
        y, x = np.mgrid[:ny, :nx]
        bias = 25 * np.sin(x / 40) + 0.05 * y + rng.normal(0, 3, nx)
        radius2 = ((x - nx / 2) / nx) ** 2 + ((y - ny / 2) / ny) ** 2
        flat = (1 - 0.8 * radius2) * rng.normal(1, 0.01, self.shape)
        spots = rng.permutation(ny * nx)
        hot, dead = np.zeros(ny * nx, bool), np.zeros(ny * nx, bool)
        hot[spots[: self.n_hot]], dead[spots[self.n_hot : self.n_hot + self.n_dead]] = True, True
        hot, dead = hot.reshape(self.shape), dead.reshape(self.shape)
        dark = rng.uniform(0.3, 0.5, self.shape)
        dark[hot] += self.hot_rate
        flat[dead] = 0.02
        for name, value in {
            "bias": bias, "dark": dark, "flat": flat / np.median(flat), "hot": hot, "dead": dead
        }.items():  # fmt: skip
            object.__setattr__(self, name, value)

    def expose(self, rng, light=0.0, seconds=0.0) -> NDArray[np.uint16]:
        """Return a raw frame (ny, nx + OVERSCAN); `light` is e- a pixel before the flat."""
        ny, nx = self.shape
        expected = np.broadcast_to(light, self.shape) * self.flat + self.dark * seconds
        electrons = rng.poisson(np.maximum(expected, 0)) + rng.normal(0, self.read_noise, self.shape)
        level = self.level + rng.normal(0, 5)
        counts = np.empty((ny, nx + OVERSCAN))
        counts[:, :nx] = electrons / self.gain + self.bias + level
        counts[:, nx:] = rng.normal(0, self.read_noise / self.gain, (ny, OVERSCAN)) + level
        return np.clip(np.round(counts), 0, TOP).astype(np.uint16)

    @property
    def cards(self) -> dict:
        """Cards of its headers, with its sections."""
        ny, nx = self.shape
        return {
            "TELESCOP": "T1", "INSTRUME": "RAW1", "GAIN": self.gain, "RDNOISE": self.read_noise, "SATURATE": 60000,
            "TRIMSEC": f"[1:{nx},1:{ny}]", "BIASSEC": f"[{nx + 1}:{nx + OVERSCAN},1:{ny}]", "PIXSCALE": 1.0,
            "SITELAT": 30.0, "SITELONG": 0.0, "RA": "10:00:00", "DEC": "+20:00:00",
        }  # fmt: skip


TOML = """
[telescope]
name = "T1"
latitude = 30.0
longitude = 0.0
aperture_diameter = 0.5

[[camera]]
name = "RAW1"
match = {{ TELESCOP = "T1", INSTRUME = "RAW1" }}
data_section = "TRIMSEC"
overscan_section = "BIASSEC"
aperture = 4.5
{more}

[header]
gain = "GAIN"
read_noise = "RDNOISE"
saturation = "SATURATE"
pixel_scale = "PIXSCALE"
"""
"""The detector's description, for `telescope add`; `more` are further keys of the camera."""


def write_raw(path, counts, kind="Light", seconds=60.0, band="V", when="2024-03-01T22:10:00", **cards):
    """Write a raw frame."""
    header = fits.Header()
    values = {"IMAGETYP": kind, "EXPTIME": seconds, "FILTER": band, "DATE-OBS": when, **cards}
    for key, value in values.items():
        if value is not None:
            header[key] = value
    fits.PrimaryHDU(counts, header).writeto(path, overwrite=True)
    return path
