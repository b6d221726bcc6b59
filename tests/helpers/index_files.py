"""A simulated sky, an index of solve-field built from it, and frames of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photodb.core.sky import deproject
from photodb.core.tangent import TangentWCS, fit_wcs
from photodb.images.solvefield import SolveField

NX, NY, SCALE = 1676, 1266, 1.0
RA, DEC = 0.02, 71.0
BUILDER = "build-astrometry-index"


def make_sky():
    """Return ra, dec (deg) and mag of 4,000 stars within 1.5 deg, brightest first."""
    rng = np.random.default_rng(31)
    n = 4000
    radius, angle = 1.5 * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    ra, dec = deproject(radius * np.cos(angle), radius * np.sin(angle), RA, DEC)
    return ra, dec, np.sort(16 + 2.5 * np.log10(rng.random(n)))


def build_index(sky, folder: Path) -> SolveField:
    """Return the program with an index of the sky in a folder; skip the test where it is not installed."""
    if not (shutil.which("solve-field") and shutil.which(BUILDER)):
        pytest.skip("astrometry.net (solve-field, build-astrometry-index) is not installed")
    columns = [fits.Column(n, "D", array=v) for n, v in zip(("RA", "DEC", "MAG"), sky)]
    fits.BinTableHDU.from_columns(columns).writeto(folder / "sky.fits")
    words = [
        BUILDER,
        "-i",
        "sky.fits",
        "-o",
        "index-1.fits",
        "-P",
        "2",
        "-S",
        "MAG",
        "-E",
        "-I",
        "1",
        "-j",
        "0.1",
    ]
    made = subprocess.run(
        [*words, "-t", str(folder)], cwd=folder, capture_output=True, check=False, timeout=120
    )
    assert (folder / "index-1.fits").is_file(), made.stderr[-500:]
    (folder / "engine.cfg").write_text(f"add_path {folder}\nautoindex\ninparallel\n")
    return SolveField(folder / "engine.cfg", seconds=20)


def frame(sky, seed, bent=False):
    """Return a true WCS anywhere on the sky's middle, and what a frame there shows."""
    rng = np.random.default_rng([seed, 9])
    centre = deproject(*rng.uniform(-0.7, 0.7, 2), RA, DEC)
    w = TangentWCS.approximate(*map(float, centre), (NX - 1) / 2, (NY - 1) / 2, SCALE, rng.uniform(0, 360))
    if seed % 2:
        w = TangentWCS(w.ra0, w.dec0, w.x0, w.y0, tuple(-v for v in w.xi), w.eta)
    if bent:
        x, y = (g.ravel() for g in np.meshgrid(np.linspace(0, NX, 15), np.linspace(0, NY, 15)))
        r2 = ((x - w.x0) ** 2 + (y - w.y0) ** 2) / (w.x0**2 + w.y0**2) ** 1.5
        places = w.to_sky(x + 3 * r2 * (x - w.x0), y + 3 * r2 * (y - w.y0))
        w = fit_wcs(x, y, *places, w.ra0, w.dec0, w.x0, w.y0, 3)
    x, y = w.to_pixel(*sky[:2])
    on = (x > 0) & (x < NX) & (y > 0) & (y < NY) & (rng.random(len(x)) > 0.1)
    n_false = round(0.2 * on.sum())
    xy = np.vstack([np.column_stack([x, y])[on], rng.uniform(0, 1, (n_false, 2)) * [NX, NY]])
    bright = np.concatenate([sky[2][on] + rng.normal(0, 0.1, on.sum()), rng.choice(sky[2][on], n_false)])
    return w, (xy + rng.normal(0, 0.05, xy.shape))[np.argsort(bright)]
