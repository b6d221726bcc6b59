"""solve-field with an index of its own, built from a simulated sky; and without the program."""

import shutil
import subprocess
import time

import numpy as np
import pytest
from astropy.io import fits

from photodb.core.sky import deproject, separation_deg
from photodb.core.tangent import TangentWCS, fit_wcs
from photodb.errors import ConfigurationError, UsageError
from photodb.images.solvefield import SolveField

NX, NY, SCALE = 1676, 1266, 1.0
RA, DEC = 0.02, 71.0
BUILDER = "build-astrometry-index"


@pytest.fixture(scope="module")
def sky():
    rng = np.random.default_rng(31)
    n = 4000
    radius, angle = 1.5 * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    ra, dec = deproject(radius * np.cos(angle), radius * np.sin(angle), RA, DEC)
    return ra, dec, np.sort(16 + 2.5 * np.log10(rng.random(n)))


@pytest.fixture(scope="module")
def program(sky, tmp_path_factory):
    """The program with an index built from the sky."""
    if not (shutil.which("solve-field") and shutil.which(BUILDER)):
        pytest.skip("astrometry.net (solve-field, build-astrometry-index) is not installed")
    folder = tmp_path_factory.mktemp("index")
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


def off_arcsec(wcs, truth):
    x, y = np.array([0, NX, 0, NX, NX / 2]), np.array([0, 0, NY, NY, NY / 2])
    return 3600 * separation_deg(*wcs.to_sky(x, y), *truth.to_sky(x, y)).max()


def test_frames_are_solved_with_any_rotation_and_parity(sky, program):
    for seed in range(6):
        truth, xy = frame(sky, seed)
        solved = program.solve(xy, NX, NY, SCALE * (1.3 if seed == 2 else 1.0) if seed else float("nan"))
        assert solved is not None, seed
        assert off_arcsec(solved.wcs, truth) < 1.0
        fit = solved.refined(xy, NX, NY, np.full(xy.shape, 0.05))
        assert fit is not None and off_arcsec(fit.wcs, truth) < 0.15 and fit.n_used >= 10


def test_its_distortion_is_read(sky, program):
    truth, xy = frame(sky, 4, bent=True)
    solved = program.solve(xy, NX, NY, SCALE)
    assert solved is not None and solved.wcs.order == 3 and off_arcsec(solved.wcs, truth) < 2.5


def test_another_sky_is_not_solved(program):
    xy = np.random.default_rng(3).uniform(0, 1, (80, 2)) * [NX, NY]
    assert program.solve(xy, NX, NY, SCALE) is None


def test_it_is_stopped_with_its_children_when_it_takes_too_long(tmp_path, monkeypatch):
    """A program of that name that starts a child and never ends."""
    fake, mark = tmp_path / "solve-field", tmp_path / "child"
    fake.write_text(f"#!/bin/sh\n(sleep 3; touch {mark}) &\nsleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("photodb.images.solvefield.GRACE_SECONDS", 0.5)
    began = time.monotonic()
    assert SolveField(seconds=0.5).solve(np.ones((5, 2)), NX, NY) is None
    assert time.monotonic() - began < 2.9
    assert subprocess.run(["pgrep", "-f", str(mark)], capture_output=True, check=False).returncode == 1


def test_without_the_program_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no program solve-field on PATH: install astrometry"):
        SolveField().check()
    with pytest.raises(UsageError, match="0 seconds"):
        SolveField(seconds=0)
