"""Tell stars, extended objects and cosmic rays apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.classes import COSMIC_RAY, EXTENDED, EXTENDED_SIZE, SIZE_SIGMA, STAR
from ..core.columns import Detections
from ..core.flags import Flag
from . import detect

SHARP_LIMIT = 1.9
"""Peak over neighbours, against the frame's median, above which a detection is taken for a cosmic ray."""
SIDES = ((5, 8, 2.0), (6, 2, 2.5), (7, 2, 2.5))
"""Neighbours that a peak is compared with: column of `kernels.cores`, pixels, sigmas for chance. All eight tell hot
pixels and short tracks; two opposite ones, across the track, tell long ones."""
EXTENDED_LIMIT = 1.4
"""FWHM against the frame's, where there is no PSF."""
SHARP_SIZE = -0.35
MIN_SNR = 15.0
"""Fainter objects are not told apart by their size."""


def typical_sharpness(core: NDArray, widths: NDArray, snr: NDArray, flags: NDArray, fwhm: float) -> NDArray:
    """Return median and scatter (3, 2) of the sharpness (peak over neighbours) of the frame's stars, by `SIDES`."""
    typical = (flags & (Flag.SATURATED | Flag.EDGE | Flag.BAD_PIXEL | Flag.NEGATIVE) == 0) & (snr > MIN_SNR)
    as_wide = typical & np.isfinite(widths) & (np.abs(widths - fwhm) < 0.3 * fwhm)
    typical = as_wide if as_wide.sum() >= 5 else typical
    if typical.sum() < 5:
        typical = snr > 0
    if not typical.any():
        return np.ones((3, 2))
    peak = np.maximum(core[typical, 4], 1e-9)
    told = np.array([peak / np.maximum(core[typical, column], 0.02 * peak) for column, _, _ in SIDES])
    middle = np.median(told, axis=1)
    return np.stack([middle, 1.4826 * np.median(np.abs(told - middle[:, None]), axis=1)], axis=1)


def by_sharpness(
    core: NDArray,
    widths: NDArray,
    noise: NDArray,
    snr: NDArray,
    flags: NDArray,
    fwhm: float,
    typical: NDArray,
) -> tuple[NDArray, NDArray]:
    """Return class and flags (n,) by sharpness and width against the frame's own stars; saturated ones are stars."""
    saturated = flags & Flag.SATURATED != 0
    sharp = np.isfinite(widths) & (widths < 0.45 * fwhm) & (snr > MIN_SNR)
    for (middle, spread), (column, pixels, sigmas) in zip(typical, SIDES):
        limit = max(SHARP_LIMIT * middle, min(middle + 5 * spread, 2 * detect.HOT_SHARPNESS))
        # a faint star may look sharp by chance: the peak must stand out by more than its noise and its neighbours'
        chance = sigmas * noise * np.sqrt(1 + limit**2 / pixels)
        sharp |= core[:, 4] > limit * core[:, column] + chance
    sharp &= ~saturated
    wide = np.isfinite(widths) & (widths > EXTENDED_LIMIT * fwhm) & (snr > MIN_SNR) & ~sharp & ~saturated
    kind = np.full(len(snr), STAR)
    kind[wide], kind[sharp] = EXTENDED, COSMIC_RAY
    return kind, _with_flags(flags, kind)


def _with_flags(flags: NDArray, kind: NDArray) -> NDArray[np.int32]:
    marked = flags & ~int(Flag.COSMIC_RAY | Flag.EXTENDED)
    marked = marked | np.where(kind == COSMIC_RAY, int(Flag.COSMIC_RAY), 0)
    return (marked | np.where(kind == EXTENDED, int(Flag.EXTENDED), 0)).astype(np.int32)


def as_stars(stars: Detections) -> Detections:
    """Return the stars with none told apart, where pixels are too wide for it."""
    kind = np.full(len(stars), STAR)
    return replace(stars, kind=kind, flags=_with_flags(stars.flags, kind))


def by_psf(stars: Detections) -> Detections:
    """Return the stars with class and flags by their size against the PSF, where it was measured well enough.

    The neighbours are taken off there, so that a blend of two stars is no extended object.
    """
    assert stars.psf_size is not None and stars.psf_size_err is not None
    assert stars.flux_psf is not None and stars.flux_psf_err is not None
    told = np.isfinite(stars.psf_size) & (stars.flux_psf > MIN_SNR * stars.flux_psf_err)
    told &= stars.flags & Flag.SATURATED == 0
    wide = told & (stars.psf_size > np.maximum(EXTENDED_SIZE, SIZE_SIGMA * stars.psf_size_err))
    sharp = told & (stars.psf_size < np.minimum(SHARP_SIZE, -SIZE_SIGMA * stars.psf_size_err))
    kind = np.where(told & (stars.kind == EXTENDED), STAR, stars.kind)
    kind[wide], kind[sharp] = EXTENDED, COSMIC_RAY
    return replace(stars, kind=kind, flags=_with_flags(stars.flags, kind))
