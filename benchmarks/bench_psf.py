"""PSF photometry: accuracy against truth and bound over full-size simulated nights, and speed beside photutils.

`python -m benchmarks.bench_psf [--seeds 5] [--first 101] [--frames 0,3,8,9,10]`: simulated frames of 1676x1266 with
7,500 stars. The table gives, for forced PSF photometry of isolated stars, the rms over the Cramer-Rao bound by S/N and
what else photometry has to show; then the same for other models. Last, the PSF fit of all stars of one frame beside
photutils' grouped fit with a gridded PSF of some hundred of them, both on one core.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from astropy.nddata import NDData
from astropy.table import Table
from numpy.typing import NDArray
from photutils.psf import GriddedPSFModel, PSFPhotometry, SourceGrouper

from photodb.images import detect
from photodb.images.measure import measure
from photodb.images.psf import PsfModel
from photodb.images.psffit import fit_fluxes
from photodb.simulate.pixels import pixel_frame, pixel_sky, standard_night

from .pixels_forced import Night, forced_night, light_curves
from .pixels_score import Truth, average, know, match, reduced, score_flip, score_flux

ROWS = (
    ("rms 5-8", ""), ("rms 8-15", ""), ("rms 15-60", "1.25"), ("rms 60-200", ""), ("rms 200-500", "2.5"),
    ("pull 5-8", ".9 to 1.3"), ("pull 15-60", ".9 to 1.3"), ("bias 5-8", "15 mmag"), ("bias 8-15", ""),
    ("trend low", "-10 mmag"), ("trend high", "10 mmag"), ("pair bias", "15 mmag"), ("pair rms", "35 mmag"),
    ("flip", "12 mmag"),
)  # fmt: skip
KINDS = (
    ("Moffat, quadratic", "moffat", 1, "psf"),
    ("Gaussian, constant", "gaussian", 1, "psf"),
    ("Gaussian, 3x3 subimages", "gaussian", 3, "psf"),
    ("main aperture", "moffat", 1, "aperture"),
)
STARS_OF_PEER = 500


def score_night(night: Night, frames: tuple[int, ...], kind: str) -> dict[str, float]:
    """Return the mean scores of a night's frames, and the steps of bright stars across the flip."""
    told = []
    for truth, f in zip(night.truths, night.forced):
        flux, error = (
            (f.flux_psf, f.flux_psf_err)
            if kind == "psf"
            else (f.flux_aperture[:, 2], f.flux_aperture_err[:, 2])
        )
        told.append(score_flux(truth, flux, error))
    result = average(told)
    flipped = np.isin(frames, (8, 9))
    if flipped.any() and not flipped.all():
        mags, snr = light_curves(night, kind)
        bright = np.isfinite(mags).all(axis=0)
        bright[bright] = snr[:, bright].mean(axis=0) > 100
        result["flip"] = score_flip(mags, flipped, bright)
    return result


def accuracy(seeds: range, frames: tuple[int, ...]) -> None:
    """Print the table of accuracy: a column a model, the mean over the seeds and, for the first, the worst seed."""
    scores: dict[str, list[dict[str, float]]] = {}
    nights: dict[tuple[str, int, int], Night] = {}
    for name, model, grid, kind in KINDS:
        for seed in seeds:
            key = (model, grid, seed)
            if key not in nights:
                nights[key] = forced_night(seed, frames, psf=model, grid=grid)
            scores.setdefault(name, []).append(score_night(nights[key], frames, kind))
        print(f"  measured: {name}, {len(seeds)} skies of {len(frames)} frames", flush=True)
    names = [k[0] for k in KINDS]
    print(f"\n{'':14}{'bound':>12}{'worst sky':>12}" + "".join(f"{n:>26}" for n in names))
    for row, bound in ROWS:
        values = [[s[row] for s in scores[n] if row in s] for n in names]
        worst = max(values[0], key=abs) if values[0] else float("nan")
        means = "".join(f"{np.mean(v) if v else np.nan:26.2f}" for v in values)
        print(f"{row:14}{bound:>12}{worst:12.2f}{means}")


def speed(seed: int) -> None:
    """Time the fit of all stars of one frame, and photutils' of some of them; print both, the ratio, the accuracies."""
    truth = know(pixel_frame(pixel_sky(seed), standard_night(seed)[3], seed))
    frame, gain = reduced(truth.frame), truth.frame.camera.gain
    found = measure(frame, gain, max_stars=10000)
    psf = PsfModel.from_dict(found.psf or {})
    sky = detect.background(frame.data, frame.bad)
    data = frame.data - sky.level
    variance = np.where(frame.bad, np.float32(0), sky.noise**2)
    d = found.detections.take(found.detections.kind != 3)
    guess = d.flux[:, 2] / gain
    ours = min(_timed(lambda: fit_fluxes(data, variance, gain, psf, d.x, d.y, guess))[0] for _ in range(3))
    fit = fit_fluxes(data, variance, gain, psf, d.x, d.y, guess)
    chosen = np.argsort(-guess)[: 4 * STARS_OF_PEER : 4]
    theirs, flux = _timed(lambda: photutils_fit(data, variance, psf, d.x[chosen], d.y[chosen], guess[chosen]))
    row = match(truth, d.x, d.y)
    scores = []
    for rows, values in ((np.arange(len(d.x)), fit.flux), (chosen, flux)):
        measured = np.full(len(d.x), np.nan)
        measured[rows] = values * gain
        scores.append(_core(truth, np.where(row >= 0, measured[np.maximum(row, 0)], np.nan)))
    a, b = ours / len(d.x), theirs / len(chosen)
    print(
        f"\nPSF fit, neighbours together: {len(d.x)} stars in {1000 * ours:.0f} ms, {1e6 * a:.0f} us a star"
    )
    print(
        f"photutils {_version()}, gridded PSF, grouped: {len(chosen)} stars in {theirs:.2f} s, {1e6 * b:.0f} us a star"
    )
    print(
        f"ratio a star {b / a:.0f}; scatter over the bound at S/N 15-60: {scores[0]:.2f} and {scores[1]:.2f}"
    )


def _core(truth: Truth, flux: NDArray) -> float:
    """Return the 68 % quantile of the errors over the bound of isolated stars of S/N 15 to 60."""
    return score_flux(truth, flux, np.ones_like(flux)).get("core 15-60", float("nan"))


def _timed(function) -> tuple[float, NDArray]:  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def _version() -> str:
    import photutils

    return str(photutils.__version__)


def photutils_fit(
    data: NDArray, variance: NDArray, psf: PsfModel, x: NDArray, y: NDArray, guess: NDArray, nodes: int = 5
) -> NDArray:
    """Fit with photutils: the same function on a grid of nodes, twofold oversampled, stars grouped with neighbours."""
    ny, nx = data.shape
    places = [(gx, gy) for gx in np.linspace(30, nx - 31, nodes) for gy in np.linspace(30, ny - 31, nodes)]
    stamps = [_oversampled(psf, gx, gy, nx, ny) for gx, gy in places]
    model = GriddedPSFModel(NDData(np.array(stamps), meta={"grid_xypos": places, "oversampling": 2}))
    error = np.where(variance > 0, np.sqrt(np.maximum(variance, 1e-6)), 1e6)
    photometry = PSFPhotometry(model, (13, 13), grouper=SourceGrouper(8.0), aperture_radius=4.0)
    table = photometry(data.astype(float), error=error, init_params=Table({"x": x, "y": y, "flux": guess}))
    table.sort("id")
    return np.array(table["flux_fit"])


def _oversampled(psf: PsfModel, x: float, y: float, nx: int, ny: int, half: int = 12) -> NDArray:
    """Return the function at one place, sampled at half pixels."""
    x, y = round(x), round(y)
    image = np.zeros((4 * half + 1, 4 * half + 1))
    for sy in range(2):
        for sx in range(2):
            stamp = psf.stamps([x - sx / 2], [y - sy / 2], np.array([2.0 * half]), nx, ny)
            x0, x1, y0, y1 = stamp.boxes[0]
            part = stamp.values.reshape(y1 - y0, x1 - x0)[
                y - half - y0 : y + half + 1 - y0, x - half - x0 : x + half + 1 - x0
            ]
            wide, high = (2 * half + 1 - sx), (2 * half + 1 - sy)
            image[sy::2, sx::2] = part[:high, :wide]
    return image


def main(arguments: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=101)
    parser.add_argument("--frames", default="0,3,8,9,10")
    chosen = parser.parse_args(arguments)
    frames = tuple(int(k) for k in chosen.frames.split(","))
    accuracy(range(chosen.first, chosen.first + chosen.seeds), frames)
    speed(chosen.first)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
