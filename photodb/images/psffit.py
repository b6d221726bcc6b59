"""Fit the fluxes of all stars of a frame at known places, neighbours together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .detect import FWHM_PER_SIGMA, background, gaussian_kernel
from .fitkernels import (
    add_stamps,
    clean_centroids,
    judge_stars,
    marginal_errors,
    own_apertures,
    set_weights,
    sweep,
    without_far,
)
from .kernels import smooth
from .psf import PsfModel, Stamps

Array = NDArray[np.floating[Any]]

FIT_FWHM = 2.0
"""Radius of the pixels that tell a star's flux, in FWHM."""
MIN_FIT_PX = 2.5
TOLERANCE = 0.01
"""A flux that moves by less, in errors, is done."""
MOST_SWEEPS = 300
"""Only stars that a neighbour still moves are looked at again: pairs much closer than the FWHM need that many."""
FAINT_SIGMA = 2.0
"""Significance, in the smoothed residual, of what is left out of the background."""
SKY_MESH, SKY_STEP = 64, 2
"""px, of the second background, which looks at every second pixel of every second row."""
OUTLIER_SIGMA, MODEL_ERROR = 6.0, 0.05
"""Pixels farther from the fit, in errors that count this share of the model, are no part of the stars."""
BROADER = 0.14
"""ln of the size of the broad function over the function's."""


@dataclass(frozen=True)
class PsfFit:
    """What the fit tells of n stars; ADU."""

    flux: Array  # (n,) NaN where no pixel is good
    flux_err: Array  # (n,) neighbours' fluxes free
    chi2: Array  # (n,) a pixel
    size: Array  # (n,) ln of the size against the function's; 0 for a star
    size_err: Array  # (n,)
    seen: Array  # (n,) share of the star's light on good pixels
    data: NDArray[np.float32]  # (ny, nx) ADU, what was fitted
    residual: NDArray[np.float32]  # (ny, nx) ADU, what all stars leave of it
    stamps: Stamps


def stamp_radius(flux: Array, noise: float, fwhm: float) -> Array:
    """Return how far to draw each star (px): the brighter, the farther its wings stand out of the noise."""
    significance = np.maximum(np.nan_to_num(flux) / (noise * fwhm), 1.0)
    return fwhm * np.clip(FIT_FWHM + 0.2 + 0.9 * np.log10(significance), FIT_FWHM + 0.2, 7.0)


def neighbours(
    x: Array, y: Array, radius: Array, reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, as first (n + 1,) and others, the stars whose pixels each star's light reaches, nearest first."""
    tree = cKDTree(np.column_stack([x, y]))
    pairs = tree.query_pairs(2 * reach, output_type="ndarray")
    far = np.flatnonzero(radius > reach)
    long = tree.query_ball_point(np.column_stack([x[far], y[far]]), radius[far] + reach) if len(far) else []
    many = np.repeat(far, [len(js) for js in long])
    more = np.column_stack([many, np.concatenate(long)]) if len(many) else np.zeros((0, 2), np.int64)
    both = np.vstack([pairs, pairs[:, ::-1], more]).astype(np.int64)
    both = np.unique(both[both[:, 0] != both[:, 1]], axis=0)
    distance = np.hypot(x[both[:, 0]] - x[both[:, 1]], y[both[:, 0]] - y[both[:, 1]])
    both = both[np.lexsort((distance, both[:, 0]))]
    first = np.searchsorted(both[:, 0], np.arange(len(x) + 1)).astype(np.int64)
    return first, np.ascontiguousarray(both[:, 1])


def fit_fluxes(
    data: NDArray[np.float32],
    variance: NDArray[np.float32],
    gain: float,
    psf: PsfModel,
    x: Array,
    y: Array,
    guess: Array,
    judge: bool = True,
) -> PsfFit:
    """Fit the flux of every star at its place; pixels weigh by the noise of the background and of the first model.

    Parameters
    ----------
    data, variance : (ny, nx) ADU and ADU^2 of the background; variance 0 where a pixel cannot be used.
    gain : e-/ADU.
    x, y : (n,) px.
    guess : (n,) ADU, first fluxes: they make the weights and tell how far each star is drawn.
    judge : whether errors, chi2 and sizes are wanted; they are NaN otherwise.
    """
    ny, nx = data.shape
    x, y = np.ascontiguousarray(x, float), np.ascontiguousarray(y, float)
    flux = np.maximum(np.nan_to_num(guess), 0.0)
    reach = max(FIT_FWHM * psf.fwhm, MIN_FIT_PX)
    typical = float(np.sqrt(np.median(variance[::7, ::7])))
    radius = np.maximum(stamp_radius(flux, max(typical, 1e-6), psf.fwhm), reach)
    stamps = psf.stamps(x, y, radius, nx, ny)
    where = (stamps.boxes, stamps.offsets, stamps.values)
    first, others = neighbours(x, y, radius, reach)
    residual, weight = np.zeros_like(data), np.empty_like(data)
    add_stamps(residual, *where, flux)
    set_weights(data, variance, np.float32(gain), residual, weight)
    sums = sweep(residual, weight, *where, x, y, reach, flux, first, others, TOLERANCE, MOST_SWEEPS)
    flux = np.where(sums[:, 0] > 0, flux, np.nan)
    seen = sums[:, 1] / np.maximum(sums[:, 2], 1e-9)
    if not judge:
        nothing = np.full(len(x), np.nan)
        return PsfFit(flux, nothing, nothing, nothing, nothing, seen, data, residual, stamps)
    error = marginal_errors(weight, *where, x, y, reach, sums, first, others)
    wide = replace(psf, cells=tuple(replace(c, shapes=_broader(c.shapes)) for c in psf.cells))
    broad = wide.stamps(x, y, radius, nx, ny).values
    told = judge_stars(residual, weight, *where, broad, x, y, reach, np.nan_to_num(flux))
    size = BROADER * told[:, 1:]
    return PsfFit(flux, error, told[:, 0], size[:, 0], size[:, 1], seen, data, residual, stamps)


def without_outliers(fit: PsfFit, variance: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    """Return the variance with 0 where a pixel is far from the fit: a cosmic ray or a star that nobody knows."""
    return np.asarray(
        without_far(fit.data, fit.residual, variance, np.float32(gain), MODEL_ERROR, OUTLIER_SIGMA)
    )


def sky_left(
    residual: NDArray[np.float32],
    variance: NDArray[np.float32],
    bad: NDArray[np.bool_],
    fwhm: float,
    grain: float = 0.0,
) -> NDArray[np.float32]:
    """Return the background under the stars taken off; what still stands out by `FAINT_SIGMA` is left out of it.

    Stars too faint to be found lift a median by some thousandths of the noise: a per cent of a star at 5 sigma.
    """
    smoothed = smooth(residual, gaussian_kernel(fwhm / FWHM_PER_SIGMA))[::SKY_STEP, ::SKY_STEP]
    sample = smoothed[::3, ::3]
    level = float(np.median(sample))
    spread = 1.4826 * float(np.median(np.abs(sample - level)))
    left_out = bad[::SKY_STEP, ::SKY_STEP] | (smoothed > level + FAINT_SIGMA * spread)
    thinned = np.ascontiguousarray(residual[::SKY_STEP, ::SKY_STEP])
    found = background(thinned, left_out, SKY_MESH // SKY_STEP, grain).level
    ny, nx = residual.shape
    return np.repeat(np.repeat(found, SKY_STEP, axis=0)[:ny], SKY_STEP, axis=1)[:, :nx]


def _broader(shapes: Array) -> Array:
    wider = shapes.copy()
    wider[0, 0] += BROADER
    return wider


def cleaned_sums(fit: PsfFit, x: Array, y: Array, radii: Array) -> tuple[Array, Array]:
    """Return each star's counts in circles (n, k) with all others taken off, and their light there, ADU."""
    s = fit.stamps
    x, y, radii = (np.ascontiguousarray(v, float) for v in (x, y, radii))
    told = own_apertures(fit.data, fit.residual, s.boxes, s.offsets, s.values, fit.flux, x, y, radii)
    return told[:, :, 0], told[:, :, 1]


def cleaned_centroids(fit: PsfFit, rows: NDArray, x: Array, y: Array, sigma: float) -> Array:
    """Return windowed centroids (m, 2) of the stars `rows` with their neighbours taken off; NaN where there is none."""
    s = fit.stamps
    flux = np.nan_to_num(fit.flux)
    return clean_centroids(fit.residual, s.boxes, s.offsets, s.values, flux, rows, x, y, sigma)
