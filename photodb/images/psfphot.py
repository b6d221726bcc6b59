"""PSF photometry of the stars found on a frame: make the function, fit all stars, look again at what they leave."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.columns import Detections
from ..core.flags import Flag
from . import detect
from .aperture import BEST_RADIUS
from .classify import COSMIC_RAY
from .fitkernels import model_noise
from .psf import PsfModel
from .psfbuild import MIN_SNR, PsfStars, build_psf, isolated
from .psffit import PsfFit, cleaned_centroids, fit_fluxes, sky_left

UNFIT = Flag.SATURATED | Flag.EDGE | Flag.COSMIC_RAY | Flag.BAD_PIXEL | Flag.NONLINEAR | Flag.NEGATIVE
"""Stars with any of these do not make a function; whether a star stands alone is `isolated`'s to tell."""
MODEL_ERROR = 0.1
"""Share of a subtracted star that may be left of it without being another star."""


@dataclass(frozen=True)
class Image:
    """A frame as the PSF photometry sees it; ADU."""

    data: NDArray[np.float32]  # (ny, nx) background taken off
    noise: NDArray[np.float32]  # (ny, nx) of the background
    variance: NDArray[np.float32]  # (ny, nx) its square; 0 where a pixel cannot be used
    bad: NDArray[np.bool_]
    gain: float  # e-/ADU
    grain: float = 0.0  # step of the counts


def image_of(
    data: NDArray[np.float32], noise: NDArray[np.float32], bad: NDArray[np.bool_], gain: float, grain: float
) -> Image:
    """Return the image with its variance."""
    return Image(data, noise, np.where(bad, np.float32(0), noise * noise), bad, gain, grain)


def frame_psf(
    image: Image, stars: Detections, fwhm: float, model: str, grid: int
) -> tuple[PsfModel | None, str]:
    """Make the function of a frame of its stars (brightest first); None with the reason where they are too few.

    Returns the function and a remark: what falls short.
    """
    flux = stars.flux[:, BEST_RADIUS]
    snr = flux / stars.flux_err[:, BEST_RADIUS]
    rows = np.flatnonzero((stars.flags & UNFIT == 0) & (stars.kind == 1) & (snr > MIN_SNR))
    alone = rows[isolated(stars.x, stars.y, flux, rows, fwhm)] if len(rows) else rows
    chosen = alone if len(alone) >= min(len(rows), 40) else rows
    some = PsfStars(stars.x[chosen], stars.y[chosen], flux[chosen] / image.gain, snr[chosen])
    psf = build_psf(image.data, image.variance, image.gain, some, fwhm, model, grid)
    if psf is None:
        return (
            None,
            f"no PSF: {len(chosen)} isolated unsaturated stars above {MIN_SNR:g} sigma; 3 alike needed",
        )
    return psf, "; ".join(sorted({c.note for c in psf.cells if c.note}))


def first_fit(image: Image, stars: Detections, psf: PsfModel) -> PsfFit:
    """Fit all detections, to see what is left.

    Cosmic rays start from no flux, and are fitted along: their light is not to be taken for their neighbours'.
    """
    guess = np.where(stars.kind == COSMIC_RAY, 0.0, stars.flux[:, BEST_RADIUS] / image.gain)
    return fit_fluxes(image.data, image.variance, image.gain, psf, stars.x, stars.y, guess, judge=False)


def hidden_stars(image: Image, stars: Detections, psf: PsfModel, fit: PsfFit, threshold: float) -> NDArray:
    """Return x, y (n, 2) of stars on the residual image, most significant first.

    The noise there counts the photons of what was taken off and a share of it: no function is perfect.
    """
    noise = model_noise(image.data, fit.residual, image.noise**2, np.float32(image.gain), MODEL_ERROR)
    residual = np.where(image.bad, np.float32(0), fit.residual)
    return detect.left_over(residual, noise, stars.x, stars.y, psf.fwhm, threshold)[:, :2]


def last_fit(image: Image, stars: Detections, psf: PsfModel, first: PsfFit) -> tuple[Detections, PsfFit]:
    """Fit all stars again, the background measured where the first fit took them off; blends get cleaned places.

    The stars of the first fit come first.
    """
    n = len(first.flux)
    real = stars.kind != COSMIC_RAY
    guess = np.where(real, stars.flux[:, BEST_RADIUS] / image.gain, 0.0)
    guess[:n] = np.where(real[:n], np.nan_to_num(first.flux), 0.0)
    data = image.data - sky_left(first.residual, image.variance, image.bad, psf.fwhm, image.grain)
    significant = stars.flux[:n, BEST_RADIUS] > 5 * stars.flux_err[:n, BEST_RADIUS]
    blended = np.flatnonzero((stars.flags[:n] & Flag.BLEND != 0) & real[:n] & significant)
    if len(blended):
        stars = _moved(stars, first, blended, psf.fwhm)
    return stars, fit_fluxes(data, image.variance, image.gain, psf, stars.x, stars.y, guess)


def _moved(stars: Detections, fit: PsfFit, rows: NDArray, fwhm: float) -> Detections:
    """Move blended stars to their centroids with the neighbours taken off."""
    places = cleaned_centroids(fit, rows, stars.x, stars.y, fwhm / detect.FWHM_PER_SIGMA)
    good = np.isfinite(places[:, 0])
    x, y = stars.x.copy(), stars.y.copy()
    x[rows[good]], y[rows[good]] = places[good].T
    return replace(stars, x=x, y=y)


def with_fit(stars: Detections, fit: PsfFit, gain: float) -> Detections:
    """Return the stars with their PSF photometry, e-; cosmic rays have none."""
    none = (stars.kind == COSMIC_RAY) | ~(fit.seen > 0.3)

    def told(values: NDArray) -> NDArray:
        return np.where(none, np.nan, values)

    return replace(
        stars, flux_psf=told(fit.flux * gain), flux_psf_err=told(fit.flux_err * gain), psf_chi2=told(fit.chi2),
        psf_size=told(fit.size), psf_size_err=told(fit.size_err),
    )  # fmt: skip
