"""The truth that goes with simulated frames: written beside them, read back for comparison.

OUT/truth/stars.ecsv, frames.ecsv, telescopes.ecsv and OUT/refcat.csv, the noisy catalogue that an observer
would have. In `frames`, a perfectly measured star of true magnitude m in the frame's band (with the
telescope's colour term) fulfils

    m = -2.5 log10(flux_e / exptime) + zero_point + x L1(u) + y L1(v) + xx L2(u) + xy u v + yy L2(v)

with the total flux in electrons and u, v the pixel coordinates scaled to [-1, 1]. What an aperture misses
depends on seeing and place; `Truth.expected_zero_point` adds it, and gives what a solution should find up to
one constant a telescope and band.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Row, Table
from numpy.typing import NDArray

from .nights import Exposure
from .sky import BANDS, Sky
from .telescopes import Telescope, encircled_energy, legendre, psf_shape
from .variables import Variable

Array = NDArray[np.float64]

TERMS = ("x", "y", "xx", "xy", "yy")
"""Columns of the spatial terms in the table of frames."""

REFCAT_POSITION_ARCSEC = 0.07
REFCAT_MAG_ERR = 0.02
REFCAT_FAINTEST = 16.8

CONSTANT = "constant"
"""Kind of the stars that do not vary."""

TELESCOPE_TUPLES = ("vignetting", "ellipticity")


@dataclass(frozen=True)
class Truth:
    """The tables of truth and the telescopes that go with them."""

    stars: Table
    frames: Table
    telescopes: tuple[Telescope, ...]

    def variable(self, row: Row) -> Variable | None:
        """Return how a star of `stars` varies, or None."""
        if row["kind"] == CONSTANT:
            return None
        return Variable(*(row[f.name] for f in fields(Variable)))

    def magnitudes(self, row: Row, band: str, bjd: Array) -> Array:
        """Return a star's true magnitudes in a band at BJD_TDB - 2400000.5."""
        variable = self.variable(row)
        quiet = np.full(np.shape(bjd), float(row[band]))
        return quiet if variable is None else quiet + variable.magnitude(np.asarray(bjd))

    def surface(self, row: Row, radius_px: float, n: int = 17) -> tuple[Array, Array, Array]:
        """Return u, v and the zero point there for apertures of `radius_px`, on a grid over the frame."""
        telescope = self.telescopes[row["telescope"]]
        u, v = (g.ravel() for g in np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n)))
        x, y = 0.5 * (u + 1) * (telescope.nx - 1), 0.5 * (v + 1) * (telescope.ny - 1)
        inside = encircled_energy(radius_px, *psf_shape(telescope, row["fwhm"], x, y))
        terms = np.array([row[f"term_{name}"] for name in TERMS]) @ legendre(u, v)
        return u, v, row["zero_point"] + terms + 2.5 * np.log10(inside)

    def expected_zero_point(self, row: Row, radius_px: float) -> float:
        """Return the zero point that a solution finds with apertures of `radius_px`, without a tree.

        It is the constant of the least-squares Legendre quadratic over the frame of transparency, spatial
        terms and aperture loss; `radius_px` = inf gives the zero point of total fluxes.
        """
        u, v, value = self.surface(row, radius_px)
        design = np.vstack([np.ones_like(u), legendre(u, v)]).T
        return float(np.linalg.lstsq(design, value, rcond=None)[0][0])

    def errors(self, star: Row, frames: Table, radius_fwhm: float = 1.5) -> Array:
        """Return the true error in mag of one star in each frame, for apertures of `radius_fwhm` FWHM.

        Photons of the star and of the sky, read-out noise, and the telescope's noise floor; clouds are in,
        trees are not.
        """
        return np.array([self._error(star, row, radius_fwhm) for row in frames])

    def _error(self, star: Row, row: Row, radius_fwhm: float) -> float:
        telescope = self.telescopes[row["telescope"]]
        mag = star[row["band"]] + telescope.colour_term * (star["V"] - star["R"])
        radius, centre = radius_fwhm * row["fwhm"], np.array([[telescope.nx / 2], [telescope.ny / 2]])
        share = encircled_energy(radius, *psf_shape(telescope, row["fwhm"], *centre))[0]
        flux = share * row["exptime"] * 10 ** (-0.4 * (mag - row["zero_point"]))
        pixel = row["sky"] + telescope.read_noise**2 + telescope.gain**2 / 12
        photons = 2.5 / np.log(10) * np.sqrt(flux + np.pi * radius**2 * pixel) / flux
        return float(np.hypot(photons, telescope.noise_floor))


def write_truth(
    out: Path,
    sky: Sky,
    telescopes: tuple[Telescope, ...],
    exposures: list[Exposure],
    paths: list[str],
    seed: int,
) -> None:
    """Write the tables of truth below OUT/truth and the catalogue OUT/refcat.csv."""
    folder = out / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    stars = star_table(sky)
    stars.meta["seed"] = seed
    stars.write(folder / "stars.ecsv", overwrite=True)
    frame_table(exposures, telescopes, paths).write(folder / "frames.ecsv", overwrite=True)
    telescope_table(telescopes).write(folder / "telescopes.ecsv", overwrite=True)
    reference_catalogue(sky, np.random.default_rng([seed, 3])).write(out / "refcat.csv", overwrite=True)


def read_truth(out: Path) -> Truth:
    """Read the tables that `write_truth` wrote below OUT/truth."""
    folder = Path(out) / "truth"
    stars, frames, rows = (Table.read(folder / f"{name}.ecsv") for name in ("stars", "frames", "telescopes"))
    return Truth(stars, frames, tuple(_telescope(row) for row in rows))


def star_table(sky: Sky) -> Table:
    """Return a row a star: place, magnitudes, partner in a close pair, and how it varies."""
    table = Table({"id": sky.star_id, "ra": sky.ra, "dec": sky.dec})
    for k, band in enumerate(BANDS):
        table[band] = sky.mag[:, k]
    table["pair"] = sky.pair
    none = Variable(CONSTANT, 0.0, np.nan)
    for field in fields(Variable):
        table[field.name] = [getattr(sky.variables.get(i, none), field.name) for i in range(len(sky))]
    for name, unit in {"ra": "deg", "dec": "deg", "epoch": "d", "period": "d", "amplitude": "mag"}.items():
        table[name].unit = unit
    table.meta["comment"] = "epoch: BJD_TDB - 2400000.5; duration: share of the period, or days for flares"
    return table


def frame_table(exposures: list[Exposure], telescopes: tuple[Telescope, ...], paths: list[str]) -> Table:
    """Return a row a frame: path below OUT, times, and everything that is true of it."""
    rows = []
    for exposure, path in zip(exposures, paths, strict=True):
        row = {"path": path, "camera": telescopes[exposure.telescope].camera, **asdict(exposure)}
        row["mjd"] = exposure.mjd
        row |= {f"term_{name}": value for name, value in zip(TERMS, row.pop("terms"), strict=True)}
        row["shift_x"], row["shift_y"] = row.pop("shift")
        row["gradient_x"], row["gradient_y"] = row.pop("sky_gradient")
        rows.append(row)
    table = Table(rows=rows)
    units = {"mjd": "d", "mjd_start": "d", "bjd": "d", "exptime": "s", "fwhm": "pix", "zero_point": "mag"}
    units |= {"cloud": "mag", "shift_x": "pix", "shift_y": "pix", "rotation": "deg", "sky": "electron"}
    for name, unit in (units | {f"term_{name}": "mag" for name in TERMS}).items():
        table[name].unit = unit
    table.meta["comment"] = (
        "mjd: middle, UTC; bjd: middle, BJD_TDB - 2400000.5; x, y from 0 at the first pixel"
    )
    return table


def telescope_table(telescopes: tuple[Telescope, ...]) -> Table:
    """Return a row a telescope; tuples become numbered columns."""
    rows = []
    for telescope in telescopes:
        row = asdict(telescope)
        for name in TELESCOPE_TUPLES:
            row |= {f"{name}_{k}": value for k, value in enumerate(row.pop(name))}
        rows.append(row)
    return Table(rows=rows)


def _telescope(row: Row) -> Telescope:
    values: dict[str, Any] = {name: _plain(row[name]) for name in row.colnames}
    for name in TELESCOPE_TUPLES:
        values[name] = tuple(values.pop(key) for key in sorted(k for k in values if k.startswith(f"{name}_")))
    return Telescope(**values)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def reference_catalogue(sky: Sky, rng: np.random.Generator) -> Table:
    """Return an observer's catalogue: the brighter stars, with errors of place and magnitude."""
    rows = np.flatnonzero(sky.mag[:, 0] < REFCAT_FAINTEST)
    off = rng.normal(0, REFCAT_POSITION_ARCSEC / 3600, (2, len(rows)))
    table = Table({"id": [f"S{i:05d}" for i in sky.star_id[rows]]})
    table["ra"] = np.round(sky.ra[rows] + off[0] / np.cos(np.radians(sky.dec[rows])), 7)
    table["dec"] = np.round(sky.dec[rows] + off[1], 7)
    for k, band in enumerate(BANDS):
        table[band] = np.round(sky.mag[rows, k] + rng.normal(0, REFCAT_MAG_ERR, len(rows)), 4)
        table[f"{band}_err"] = REFCAT_MAG_ERR
    return table
