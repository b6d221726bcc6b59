"""Detection on full-size simulated frames against truth, and the time of each stage beside its peers in the same run.

`python -m benchmarks.bench_pixels [--seeds 5] [--first 201] [--frames 0,3,8,13] [--repeats 5]`: frames of 1676x1266
with 7,500 stars. First the table of what is found, by S/N over the Cramer-Rao bound, what is false, cosmic rays and
centroids, for photodb's first pass, photodb with the second pass, and its peers: sep with a matched filter,
DAOStarFinder of photutils, and SExtractor where it is installed (Debian: source-extractor). Then the times, each the
least of the repeats, on one core.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sep
from astropy.io import fits
from numpy.typing import NDArray
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.background import Background2D
from photutils.detection import DAOStarFinder

from photodb.images import detect
from photodb.images.annulus import annulus_sky
from photodb.images.aperture import RADII, aperture_fluxes
from photodb.images.find import find_stars
from photodb.images.kernels import moments
from photodb.images.measure import measure
from photodb.images.reduce import ReducedFrame
from photodb.simulate.pixels import pixel_frame, pixel_sky, standard_night

from .pixels_score import Truth, average, know, reduced, score_centroids, score_detection

Places = tuple[NDArray, NDArray, NDArray | None]
ROWS = (
    ("found 5-6", ""), ("found 6-8", ""), ("found 8-12", ""), ("found 12-30", ""), ("found >30", ""),
    ("found 10-20", ".90"), ("found >20", ".95"), ("false", ""), ("false share", ".01"),
    ("cosmic flagged", ".90"), ("wrongly", ".015"), ("place 8-15", "1.2"), ("place 15-60", "1.2"),
    ("place 60-200", "1.2"), ("place 200-500", ""), ("floor px", ""), ("pull px", ""),
)  # fmt: skip
SEXTRACTOR = shutil.which("source-extractor") or shutil.which("sex")
SETTINGS = """CATALOG_TYPE FITS_1.0
PARAMETERS_NAME {folder}/out.param
FILTER Y
FILTER_NAME {folder}/gauss.conv
DETECT_THRESH 1.5
ANALYSIS_THRESH 1.5
DETECT_MINAREA 3
BACK_SIZE 64
SATUR_LEVEL 60000
GAIN {gain}
CATALOG_NAME {folder}/out.fits
VERBOSE_TYPE QUIET
"""


def photodb(psf: str) -> Callable[[ReducedFrame, float], Places]:
    """Return photodb's detection, `psf` none for the first pass alone."""

    def run(frame: ReducedFrame, gain: float) -> Places:
        found = measure(frame, gain, max_stars=20000, psf=psf).detections
        return found.x, found.y, found.kind

    return run


def by_sep(frame: ReducedFrame, _gain: float) -> Places:
    """Detect with sep: the matched filter and its other defaults."""
    sky = detect.background(frame.data, frame.bad)
    kernel = np.outer(*[detect.gaussian_kernel(3.0 / detect.FWHM_PER_SIGMA)] * 2)
    found = sep.extract(
        frame.data - sky.level, 1.5, err=sky.noise, mask=frame.bad, minarea=3, filter_kernel=kernel
    )
    return found["x"], found["y"], None


def by_daofind(frame: ReducedFrame, _gain: float) -> Places:
    """Detect with DAOStarFinder, 5 sigma of its filtered frame."""
    sky = detect.background(frame.data, frame.bad)
    data = frame.data - sky.level
    fwhm = detect.star_width(data, sky.noise, frame.bad)
    finder = DAOStarFinder(threshold=5 * sky.rms, fwhm=fwhm)
    found = finder(data, mask=frame.bad)
    x = "xcentroid" if "xcentroid" in found.colnames else "x_centroid"
    return np.asarray(found[x]), np.asarray(found[x.replace("x", "y", 1)]), None


def both_maps(frame: ReducedFrame) -> tuple[NDArray, NDArray]:
    """Return level and noise of the background as photutils does."""
    found = Background2D(frame.data, 64, mask=frame.bad)
    return found.background, found.background_rms


def by_sextractor(frame: ReducedFrame, gain: float) -> Places:
    """Detect with SExtractor, its own background, a Gaussian filter of 3 px."""
    with tempfile.TemporaryDirectory() as folder:
        run_sextractor(frame, gain, Path(folder))
        found = fits.getdata(Path(folder) / "out.fits")
        return found["XWIN_IMAGE"] - 1.0, found["YWIN_IMAGE"] - 1.0, None


def run_sextractor(frame: ReducedFrame, gain: float, folder: Path) -> float:
    """Run SExtractor on the frame; returns its seconds."""
    (folder / "out.param").write_text("XWIN_IMAGE\nYWIN_IMAGE\nFLUX_APER(1)\nFLAGS\n")
    rows = np.outer(*[detect.gaussian_kernel(3.0 / detect.FWHM_PER_SIGMA)[1:-1]] * 2)
    (folder / "gauss.conv").write_text(
        "CONV NORM\n" + "\n".join(" ".join(f"{v:.5f}" for v in row) for row in rows) + "\n"
    )
    (folder / "run.sex").write_text(SETTINGS.format(folder=folder, gain=gain))
    fits.writeto(folder / "in.fits", frame.data, overwrite=True)
    began = time.perf_counter()
    command = [str(SEXTRACTOR), str(folder / "in.fits"), "-c", str(folder / "run.sex")]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - began


WAYS: dict[str, Callable[[ReducedFrame, float], Places]] = {
    "first pass": photodb("none"), "second pass": photodb("moffat"), "sep": by_sep, "DAOStarFinder": by_daofind,
} | ({"SExtractor": by_sextractor} if SEXTRACTOR else {})  # fmt: skip


def scores(seeds: list[int], frames: list[int]) -> dict[str, dict[str, float]]:
    """Return the mean scores of every way over the seeds and frames."""
    told: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for seed in seeds:
        sky, night = pixel_sky(seed), standard_night(seed)
        for k in frames:
            frame = pixel_frame(sky, night[k], seed)
            truth, image = know(frame), reduced(frame)
            for name, way in WAYS.items():
                told[name].append(scored(truth, way(image, frame.camera.gain)))
    return {name: average(all_) for name, all_ in told.items()}


def scored(truth: Truth, places: Places) -> dict[str, float]:
    """Return the scores of one frame."""
    x, y, kind = places
    return score_detection(truth, x, y, kind) | score_centroids(truth, x, y)


def least(repeats: int, work: Callable[[], Any]) -> float:
    """Return the least time of a piece of work, ms."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


def timings(
    seed: int, repeats: int, n_stars: int = 7500, faintest: float = 220.0
) -> list[tuple[str, float, str]]:
    """Return name, ms and remark of every stage on one frame."""
    frame = pixel_frame(pixel_sky(seed, n_stars, faintest=faintest), standard_night(seed)[0], seed)
    image, gain = reduced(frame), frame.camera.gain
    sky = detect.background(image.data, image.bad)
    data = image.data - sky.level
    fwhm = detect.star_width(data, sky.noise, image.bad)
    places = detect.candidates(data, sky.noise, fwhm, 5.0)
    x, y = places[:, 0], places[:, 1]
    radii = np.array(RADII) * 1.4 * fwhm
    local = annulus_sky(data, sky.noise, image.bad, x, y, 3 * fwhm, 5.5 * fwhm)
    finder = DAOStarFinder(threshold=5 * sky.rms, fwhm=fwhm)
    n = f"{len(x)} places"
    told = [
        ("background", least(repeats, lambda: detect.background(image.data, image.bad)), ""),
        ("  Background2D", least(1, lambda: both_maps(image)), ""),
        ("star width", least(repeats, lambda: detect.star_width(data, sky.noise, image.bad)), ""),
        ("detection", least(repeats, lambda: detect.candidates(data, sky.noise, fwhm, 5.0)), n),
        ("  with width, saturated, trails", least(repeats, lambda: find_stars(image, data, sky, 5.0, 20000)), ""),
        ("  sep", least(1, lambda: by_sep(image, gain)), "background included"),
        ("  DAOStarFinder", least(1, lambda: finder(data, mask=image.bad)), ""),
        ("centroids", least(repeats, lambda: moments(data, x, y, fwhm / 2.3548, False)), n),
        ("local sky", least(repeats, lambda: annulus_sky(data, sky.noise, image.bad, x, y, 3 * fwhm, 5.5 * fwhm)), n),
        ("five apertures", least(repeats, lambda: aperture_fluxes(data, x, y, radii, local, gain)), n),
        ("  photutils", least(1, lambda: by_photutils(data, x, y, radii)), n),
        ("measure, apertures only", least(repeats, lambda: measure(image, gain, psf="none")), "2000 stars at most"),
        ("measure, with PSF", least(repeats, lambda: measure(image, gain)), "2000 stars at most"),
    ]  # fmt: skip
    if SEXTRACTOR:
        with tempfile.TemporaryDirectory() as folder:
            seconds = min(run_sextractor(image, gain, Path(folder)) for _ in range(2))
        told.append(("  SExtractor", 1000 * seconds, "one aperture, reading included"))
    return told


def by_photutils(data: NDArray, x: NDArray, y: NDArray, radii: NDArray) -> None:
    """Measure apertures as photutils does."""
    places = np.column_stack([x, y])
    aperture_photometry(data, [CircularAperture(places, r) for r in radii])


def main(arguments: list[str] | None = None) -> int:
    """Score and time, and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=201)
    parser.add_argument("--frames", default="0,3,8,13")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    seeds = list(range(options.first, options.first + options.seeds))
    frames = [int(k) for k in options.frames.split(",")]
    told = scores(seeds, frames)
    print(f"detection, {len(seeds)} seeds, frames {options.frames} of the night, 7,500 stars each")
    print(f"{'':16s}{'limit':>8s}" + "".join(f"{name:>15s}" for name in told))
    for row, limit in ROWS:
        print(f"{row:16s}{limit:>8s}" + "".join(f"{t.get(row, float('nan')):15.3f}" for t in told.values()))
    for title, n_stars, faintest in (
        ("7,500 stars", 7500, 220.0),
        ("2,000 stars above 8 sigma", 2000, 800.0),
    ):
        print(f"milliseconds a frame of 1676x1266, {title}, least of {options.repeats}")
        for name, value, remark in timings(seeds[0], options.repeats, n_stars, faintest):
            print(f"  {name:34s}{value:9.1f}  {remark}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
