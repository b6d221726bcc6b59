"""Place a frame with the program `solve-field` of astrometry.net, where the user has it and its index files.

It is run as a program of its own on a list of stars; see https://astrometry.net and Lang et al. 2010
(doi:10.1088/0004-6256/139/5/1782).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from ..core.tangent import TangentWCS, fit_wcs
from ..errors import ConfigurationError, UsageError
from .astrometry import SkyFit, SkyStars, fit_near

PROGRAM = "solve-field"
MOST_STARS = 300
"""Brightest stars that are handed over."""
SCALE_SPREAD = 2.0
"""Factor by which a scale that the header tells may be wrong."""
GRACE_SECONDS = 10.0
"""What the program may take beyond its own limit before it is stopped."""
LINEAR_PX = 0.02
SEARCH_PX = 4.0


@dataclass(frozen=True)
class Solved:
    """What `solve-field` found: a WCS, and the index's stars on the frame, brightest first."""

    wcs: TangentWCS
    stars: SkyStars

    def refined(self, xy: NDArray, nx: int, ny: int, xy_err: NDArray | None = None) -> SkyFit | None:
        """Fit the index's stars as those of a catalogue; None where too few meet."""
        return fit_near(xy, self.stars, self.wcs, nx, ny, search_px=SEARCH_PX, xy_err=xy_err)


@dataclass(frozen=True)
class SolveField:
    """How to run `solve-field`."""

    config: Path | None = (
        None  # of the engine, which names the folders of index files; None: the program's own
    )
    seconds: float = 30.0  # of CPU that a frame may take

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise UsageError(f"solve-field: {self.seconds} seconds a frame: more than 0 needed")

    def check(self) -> str:
        """Return the path of the program.

        Raises
        ------
        ConfigurationError : it is not on PATH, or its configuration file is not there.
        """
        program = shutil.which(PROGRAM)
        if program is None:
            raise ConfigurationError(
                f"no program {PROGRAM} on PATH: install astrometry.net (Debian: apt install astrometry.net) and index "
                "files for the width of the frames, or ingest without '--blind solve-field'"
            )
        if self.config is not None and not self.config.is_file():
            raise ConfigurationError(
                f"{self.config}: no such file; {PROGRAM} needs it to find its index files"
            )
        return program

    def solve(self, xy: NDArray, nx: int, ny: int, scale_arcsec: float = float("nan")) -> Solved | None:
        """Find a frame's place among the index files' stars; None where it finds none in time.

        Parameters
        ----------
        xy : (n, 2) px, the frame's stars, brightest first.
        scale_arcsec : pixel scale, right to a factor of two; NaN if unknown.

        Raises
        ------
        ConfigurationError : as `check`; or the program finds no index files, or fails.
        """
        program = self.check()
        with tempfile.TemporaryDirectory(prefix="photodb-solve-field-") as folder:
            base = Path(folder)
            _write_stars(base / "stars.xyls", xy[:MOST_STARS])
            said = _run([program, *self._arguments(base, nx, ny, scale_arcsec)], self.seconds + GRACE_SECONDS)
            if not (base / "stars.wcs").is_file():
                if said is not None and "index" in said and "Did not solve" not in said:
                    raise ConfigurationError(f"{PROGRAM} failed: {_tail(said)}")
                return None
            return Solved(_read_wcs(base / "stars.wcs", nx, ny), _read_stars(base / "stars.corr"))

    def _arguments(self, base: Path, nx: int, ny: int, scale: float) -> list[str]:
        """Return the command line without the program."""
        words = [
            str(base / "stars.xyls"), "--dir", str(base), "--temp-dir", str(base), "--overwrite", "--no-plots",
            "--width", str(nx), "--height", str(ny), "--x-column", "X", "--y-column", "Y", "--sort-column", "FLUX",
            "--crpix-center", "--cpulimit", f"{self.seconds:.0f}", "--new-fits", "none", "--rdls", "none",
            "--match", "none", "--index-xyls", "none", "--corr", str(base / "stars.corr"),
        ]  # fmt: skip
        if np.isfinite(scale):
            words += ["--scale-units", "arcsecperpix", "--scale-low", f"{scale / SCALE_SPREAD:.6g}"]
            words += ["--scale-high", f"{scale * SCALE_SPREAD:.6g}"]
        return words + (["--config", str(self.config)] if self.config else [])


def _write_stars(path: Path, xy: NDArray) -> None:
    """Write the list; the program counts pixels from 1, and sorts by flux: here the rank."""
    columns = [
        fits.Column("X", "D", array=xy[:, 0] + 1), fits.Column("Y", "D", array=xy[:, 1] + 1),
        fits.Column("FLUX", "E", array=np.arange(len(xy), 0, -1)),
    ]  # fmt: skip
    fits.BinTableHDU.from_columns(columns).writeto(path)


def _run(command: list[str], seconds: float) -> str | None:
    """Run a program and return what it says; None where it took too long and was stopped, with its children."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return said.decode(errors="replace")


def _tail(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return " ".join(lines[-3:])[:300] or "it said nothing"


def _read_wcs(path: Path, nx: int, ny: int) -> TangentWCS:
    """Return the WCS of a header, its SIP terms as a polynomial of order 3 where they bend the frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        world = WCS(fits.getheader(path))
    x, y = (g.ravel() for g in np.meshgrid(np.linspace(0, nx - 1, 12), np.linspace(0, ny - 1, 12)))
    ra, dec = world.all_pix2world(x, y, 0)
    middle = (nx - 1) / 2, (ny - 1) / 2
    centre = [float(v) for v in world.all_pix2world(*middle, 0)]
    linear = fit_wcs(x, y, ra, dec, centre[0], centre[1], *middle)
    off = np.hypot(*(np.stack(linear.to_pixel(ra, dec)) - np.stack([x, y])))
    return linear if off.max() < LINEAR_PX else fit_wcs(x, y, ra, dec, centre[0], centre[1], *middle, 3)


def _read_stars(path: Path) -> SkyStars:
    """Return the index's stars that met the frame's, in the order of the frame's."""
    table = fits.getdata(path, 1)
    table = table[np.argsort(table["field_id"], kind="stable")]
    n = len(table)
    return SkyStars(
        np.full(n, -1, np.int64), np.asarray(table["index_ra"], float) % 360.0,
        np.asarray(table["index_dec"], float), np.arange(n, dtype=float),
    )  # fmt: skip


def solver_of(program: str | None, config: str | None) -> SolveField | None:
    """Return the program that a user asks for, None without one; UsageError for what there is not."""
    if program not in (None, PROGRAM):
        raise UsageError(f"blind {program!r}: {PROGRAM} is the only program known")
    if config and not program:
        raise UsageError(f"a configuration file ({config}) needs --blind {PROGRAM}")
    return SolveField(Path(config) if config else None) if program else None
