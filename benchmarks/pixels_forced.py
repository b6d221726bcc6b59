"""Forced photometry of simulated nights: what the measurement gives of every object, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.images.forced import ForcedResult, Targets, force
from photodb.images.measure import Measured, measure
from photodb.simulate.pixels import PixelCamera, PixelExposure, pixel_frame, pixel_sky, standard_night

from .pixels_score import Truth, know, match, reduced

PLAIN, FLIPPED, CLOUDY = range(8), (8, 9), 10
WCS_ERROR = (0.3, -0.2)
"""px; what the predicted places are off all over the frame."""


@dataclass(frozen=True)
class Night:
    """The frames of a night, measured."""

    truths: list[Truth]
    forced: list[ForcedResult]  # rows of the truth
    measured: list[Measured]
    n_objects: int  # of the sky


def targets_of(truth: Truth, found: Measured, least_snr: float = 4.0) -> tuple[Targets, NDArray[np.int64]]:
    """Return what an archive would hand over of the stars above `least_snr`, and their rows in the truth."""
    rows = np.flatnonzero((truth.snr > least_snr) & truth.star)
    d = found.detections
    real = np.flatnonzero(d.kind != 3)
    seen = match(truth, d.x[real], d.y[real])[rows]
    which = real[np.maximum(seen, 0)]
    return Targets(
        truth.x[rows] + WCS_ERROR[0], truth.y[rows] + WCS_ERROR[1],
        np.where(seen >= 0, d.x[which], np.nan), np.where(seen >= 0, d.y[which], np.nan),
        np.where(seen >= 0, d.flux[which, 2] / d.flux_err[which, 2], 0.0),
    ), rows  # fmt: skip


def forced_frame(
    truth: Truth, psf: str = "moffat", grid: int = 1, aperture: float | None = None
) -> tuple[ForcedResult, Measured]:
    """Measure one frame as ingest and forced photometry do; the rows are those of the truth, NaN where not asked."""
    frame, gain = reduced(truth.frame), truth.frame.camera.gain
    found = measure(frame, gain, aperture=aperture, max_stars=10000, psf=psf, grid=grid)
    targets, rows = targets_of(truth, found)
    result = force(frame, targets, found.psf, np.array(found.radii), gain)
    return result.spread(rows, len(truth.x)), found


def forced_night(
    seed: int, frames: tuple[int, ...], camera: PixelCamera | None = None, n_stars: int = 7500, psf: str = "moffat",
    grid: int = 1,
) -> Night:  # fmt: skip
    """Simulate and measure some frames of a standard night."""
    sky = pixel_sky(seed, n_stars, camera)
    exposures: list[PixelExposure] = standard_night(seed)
    truths = [know(pixel_frame(sky, exposures[k], seed)) for k in frames]
    both = [forced_frame(t, psf, grid) for t in truths]
    return Night(truths, [f for f, _ in both], [m for _, m in both], len(sky))


def light_curves(night: Night, kind: str = "psf") -> tuple[NDArray, NDArray]:
    """Return magnitudes (frames, objects of the sky) and the mean S/N (objects,), NaN where not isolated or flagged."""
    mags = np.full((len(night.truths), night.n_objects), np.nan)
    snr = np.full_like(mags, np.nan)
    for k, (truth, result) in enumerate(zip(night.truths, night.forced)):
        flux = result.flux_psf if kind == "psf" else result.flux_aperture[:, 2]
        good = truth.isolated & (flux > 0) & (result.flags == 0)
        mags[k, truth.row[good]] = -2.5 * np.log10(flux[good])
        snr[k, truth.row[good]] = truth.snr[good]
    return mags, snr
