"""Tell stars, extended objects and cosmic rays apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.columns import Detections
from ..core.flags import Flag
from . import detect

STAR, EXTENDED, COSMIC_RAY = 1, 2, 3
SHARP_LIMIT = 1.9
"""Peak over neighbours, against the frame's median, above which a detection is taken for a cosmic ray."""
SHARP_SIGMA = 2.0
EXTENDED_LIMIT = 1.4
"""FWHM against the frame's, where there is no PSF."""
EXTENDED_SIZE = 0.10
"""ln of the size against the PSF's above which an object is extended."""
SHARP_SIZE = -0.35
SIZE_SIGMA = 4.0
MIN_SNR = 15.0
"""Fainter objects are not told apart by their size."""


def typical_sharpness(
    sharp: NDArray, widths: NDArray, snr: NDArray, flags: NDArray, fwhm: float
) -> tuple[float, float]:
    """Return median and scatter of the sharpness (peak over neighbours) of the frame's stars."""
    typical = (flags & (Flag.SATURATED | Flag.EDGE | Flag.BAD_PIXEL | Flag.NEGATIVE) == 0) & (snr > MIN_SNR)
    as_wide = typical & np.isfinite(widths) & (np.abs(widths - fwhm) < 0.3 * fwhm)
    typical = as_wide if as_wide.sum() >= 5 else typical
    if typical.sum() < 5:
        typical = snr > 0
    if not typical.any():
        return 1.0, 1.0
    middle = np.median(sharp[typical])
    return float(middle), float(1.4826 * np.median(np.abs(sharp[typical] - middle)))


def by_sharpness(
    core: NDArray,
    widths: NDArray,
    noise: NDArray,
    snr: NDArray,
    flags: NDArray,
    fwhm: float,
    typical: tuple[float, float],
) -> tuple[NDArray, NDArray]:
    """Return class and flags (n,) by sharpness and width against the frame's own stars; saturated ones are stars."""
    middle, spread = typical
    saturated = flags & Flag.SATURATED != 0
    limit = min(
        max(SHARP_LIMIT * middle, middle + 5 * spread), max(2 * detect.HOT_SHARPNESS, SHARP_LIMIT * middle)
    )
    # a faint star may look sharp by chance: the peak must stand out by more than its noise and its neighbours'
    chance = SHARP_SIGMA * noise * np.sqrt(1 + limit**2 / 8)
    sharp = (core[:, 4] > limit * core[:, 5] + chance) & ~saturated
    sharp |= np.isfinite(widths) & (widths < 0.45 * fwhm) & (snr > MIN_SNR) & ~saturated
    wide = np.isfinite(widths) & (widths > EXTENDED_LIMIT * fwhm) & (snr > MIN_SNR) & ~sharp & ~saturated
    kind = np.full(len(snr), STAR)
    kind[wide], kind[sharp] = EXTENDED, COSMIC_RAY
    return kind, _with_flags(flags, kind)


def _with_flags(flags: NDArray, kind: NDArray) -> NDArray[np.int32]:
    marked = flags & ~int(Flag.COSMIC_RAY | Flag.EXTENDED)
    marked = marked | np.where(kind == COSMIC_RAY, int(Flag.COSMIC_RAY), 0)
    return (marked | np.where(kind == EXTENDED, int(Flag.EXTENDED), 0)).astype(np.int32)


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
