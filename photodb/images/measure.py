"""Measure every star of a reduced frame: place, shape, apertures with a local clipped annulus, flags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..core.columns import Detections
from ..core.flags import Flag
from ..errors import FrameError
from . import detect
from .kernels import annulus_sky, cores, count_bad, moments
from .reduce import ReducedFrame

RADII = (0.6, 0.8, 1.0, 1.4, 2.0)
"""Aperture radii in units of the main one."""
BEST_RADIUS = 2
"""Which of the radii gives `flux`: the main one."""
APERTURE_FWHM = 1.4
"""Main radius in units of the camera's typical FWHM. It is one number for all frames of a camera: radii that follow
each frame's own FWHM let its error into the light curves (HAT-P-32: bright stars 8.5 mmag at 1.25 FWHM of each frame,
7.2 to 7.9 at 2.5 to 3 px for all)."""
ANNULUS_FWHM = (3.0, 5.5)
MIN_ANNULUS_PX = (6.0, 11.0)
SHARP_LIMIT = 1.9
"""Peak over neighbours, against the frame's median, above which a detection is taken for a cosmic ray."""
SHARP_SIGMA = 2.0
EXTENDED_LIMIT = 1.4
BLEND_SHARE = 0.2
STAR, EXTENDED, COSMIC_RAY = 1, 2, 3


@dataclass(frozen=True)
class Measured:
    """The stars of one frame and what they tell of it."""

    detections: Detections
    radii: tuple[float, ...]  # px
    fwhm: float  # px, median of stars
    ellipticity: float
    background: float  # ADU
    background_rms: float  # ADU a pixel
    n_saturated: int
    limiting_flux: float  # e-, of a star at 5 sigma in the best aperture


def measure(
    frame: ReducedFrame,
    gain: float,
    *,
    aperture: float | None = None,
    max_stars: int = 2000,
    threshold: float = detect.THRESHOLD,
) -> Measured:
    """Detect and measure the brightest stars of a frame; saturated ones are kept, flagged, and not counted.

    Parameters
    ----------
    frame : the reduced frame.
    gain : e-/ADU.
    aperture : px, radius of the main aperture; by default `APERTURE_FWHM` times the frame's own FWHM.
    max_stars : brightest stars to keep.
    threshold : significance of a detection, sigmas of the matched filter.

    Raises
    ------
    FrameError : code `no_stars`, nothing was found.
    """
    sky = detect.background(frame.data, frame.bad)
    data = frame.data - sky.level
    data[~np.isfinite(frame.raw)] = 0.0 if frame.raw.dtype.kind == "f" else data[~np.isfinite(frame.raw)]
    fwhm = detect.star_width(data, sky.noise, frame.bad)
    found = _choose(frame, data, sky, fwhm, threshold, max_stars)
    if len(found) == 0:
        raise FrameError("no_stars", f"no star above {threshold:g} sigma (noise {sky.rms:.3g} ADU a pixel)")
    aperture = aperture or APERTURE_FWHM * fwhm
    stars = _photometry(frame, data, found, fwhm, aperture, gain)
    return _summary(stars, sky, fwhm, aperture, gain)


def frame_fwhm(frame: ReducedFrame) -> float:
    """Return the median FWHM (px) of a frame's bright stars; NaN where there are too few to tell."""
    sky = detect.background(frame.data, frame.bad)
    return detect.star_width(
        np.where(frame.bad, 0, frame.data - sky.level), sky.noise, frame.bad, default=np.nan
    )


def _choose(
    frame: ReducedFrame, data: NDArray, sky: detect.Background, fwhm: float, threshold: float, max_stars: int
) -> NDArray:
    """Return x, y of the stars to measure: all saturated ones, and the brightest `max_stars` others."""
    found = detect.candidates(data, sky.noise, fwhm, threshold)
    if not len(found):
        return found[:, :2]
    reach = max(2, round(fwhm))
    core = cores(frame.raw, data, frame.bad, found[:, 0], found[:, 1], reach, frame.saturation)
    saturated = core[:, 1] > 0
    flux = found[:, 2] * sky.noise[found[:, 1].astype(int), found[:, 0].astype(int)]
    order = np.lexsort((-flux, ~saturated))
    found, saturated, flux, core = found[order], saturated[order], flux[order], core[order]
    spread = np.where(saturated, np.maximum(2.5 * fwhm, 1.5 * np.sqrt(core[:, 1])), 0.9 * fwhm)
    keep = detect.thin(found[:, :2], spread)
    found, saturated = found[keep], saturated[keep]
    room = np.cumsum(~saturated) <= max_stars
    return found[saturated | room][:, :2]


def _photometry(
    frame: ReducedFrame, data: NDArray, found: NDArray, fwhm: float, aperture: float, gain: float
) -> Detections:
    sigma = fwhm / detect.FWHM_PER_SIGMA
    shape = moments(data, found[:, 0], found[:, 1], sigma, False)
    good = np.isfinite(shape[:, 0]) & (
        np.hypot(shape[:, 0] - found[:, 0], shape[:, 1] - found[:, 1]) < max(1.5, fwhm)
    )
    x, y = np.where(good, shape[:, 0], found[:, 0]), np.where(good, shape[:, 1], found[:, 1])
    radii = np.array(RADII) * aperture
    typical = aperture / APERTURE_FWHM
    inner = max(ANNULUS_FWHM[0] * typical, MIN_ANNULUS_PX[0])
    outer = max(ANNULUS_FWHM[1] * typical, MIN_ANNULUS_PX[1])
    local = annulus_sky(data, frame.bad, x, y, inner, outer)
    flux, flux_err = _apertures(data, x, y, radii, local, gain)
    core = cores(frame.raw, data, frame.bad, x, y, max(2, round(0.7 * fwhm)), frame.saturation)
    flags = _flags(frame, x, y, flux, core, radii[BEST_RADIUS], fwhm)
    snr = flux[:, BEST_RADIUS] / flux_err[:, BEST_RADIUS]
    kind, flags, sharpness, widths = _classify(shape, core, local[:, 1], snr, flags, fwhm)
    error = np.where(snr > 0, sigma / np.maximum(snr, 0.1), np.nan)
    order = np.argsort(-flux[:, BEST_RADIUS], kind="stable")
    xx, yy, xy = shape[:, 2], shape[:, 3], shape[:, 4]
    root = np.hypot((xx - yy) / 2, xy)
    minor = np.sqrt(np.maximum((xx + yy) / 2 - root, 0))
    major = np.sqrt((xx + yy) / 2 + root)
    ones = Detections(
        x=x, y=y, x_err=error, y_err=error, flux=flux, flux_err=flux_err,
        sky=local[:, 0] * gain, sky_err=local[:, 1] * gain, peak=core[:, 0], fwhm=widths,
        ellipticity=1 - minor / major, theta=np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)),
        sharpness=sharpness, kind=kind, flags=flags,
    )  # fmt: skip
    return ones.take(order)


def _apertures(
    data: NDArray, x: NDArray, y: NDArray, radii: NDArray, local: NDArray, gain: float
) -> tuple[NDArray, NDArray]:
    """Sum exact circles, take off the annulus; errors of star photons, of the pixels' noise and of the annulus, e-."""
    flux, variance = np.empty((len(x), len(radii))), np.empty((len(x), len(radii)))
    for k, r in enumerate(radii):
        total, _, _ = sep.sum_circle(data, x, y, r, subpix=0)
        area = np.pi * r * r
        flux[:, k] = (total - local[:, 0] * area) * gain
        pixel = (local[:, 1] * gain) ** 2
        annulus = area**2 * (np.pi / 2) * pixel / local[:, 2]  # a median is less sharp than a mean by pi / 2
        variance[:, k] = np.maximum(flux[:, k], 0) + area * pixel + annulus
    return flux, np.sqrt(variance)


def _flags(
    frame: ReducedFrame, x: NDArray, y: NDArray, flux: NDArray, core: NDArray, radius: float, fwhm: float
) -> NDArray[np.int32]:
    ny, nx = frame.data.shape
    best = flux[:, BEST_RADIUS]
    flags = np.zeros(len(x), np.int32)
    flags[core[:, 1] > 0] |= Flag.SATURATED
    flags[(x < radius - 0.5) | (y < radius - 0.5) | (x > nx - 0.5 - radius) | (y > ny - 0.5 - radius)] |= (
        Flag.EDGE
    )
    broken = count_bad(frame.bad, x, y, radius + 0.5)
    flags[(broken > 0) & (core[:, 1] == 0)] |= Flag.BAD_PIXEL
    flags[core[:, 0] > frame.linear_limit] |= Flag.NONLINEAR
    flags[~(best > 0)] |= Flag.NEGATIVE
    tree = cKDTree(np.column_stack([x, y]))
    for i, j in tree.query_pairs(radius + fwhm):
        if best[j] > BLEND_SHARE * best[i]:
            flags[i] |= Flag.BLEND
        if best[i] > BLEND_SHARE * best[j]:
            flags[j] |= Flag.BLEND
    return flags


def _classify(
    shape: NDArray, core: NDArray, noise: NDArray, snr: NDArray, flags: NDArray, fwhm: float
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Tell stars, extended objects and cosmic rays apart by sharpness and width against the frame's own stars."""
    widths = detect.FWHM_PER_SIGMA * np.sqrt(np.maximum(0.5 * (shape[:, 2] + shape[:, 3]), 0))
    typical = (flags & (Flag.SATURATED | Flag.EDGE | Flag.BAD_PIXEL | Flag.NEGATIVE) == 0) & (snr > 15)
    as_wide = typical & np.isfinite(widths) & (np.abs(widths - fwhm) < 0.3 * fwhm)
    typical = as_wide if as_wide.sum() >= 5 else typical
    if typical.sum() < 5:
        typical = snr > 0
    middle = np.median(core[typical, 3]) if typical.any() else 1.0
    spread = 1.4826 * np.median(np.abs(core[typical, 3] - middle)) if typical.any() else 1.0
    sharpness = core[:, 3] / middle
    saturated = flags & Flag.SATURATED != 0
    limit = min(
        max(SHARP_LIMIT * middle, middle + 5 * spread), max(2 * detect.HOT_SHARPNESS, SHARP_LIMIT * middle)
    )
    # a faint star may look sharp by chance: the peak must stand out by more than its noise and its neighbours'
    chance = SHARP_SIGMA * noise * np.sqrt(1 + limit**2 / 8)
    sharp = (core[:, 4] > limit * core[:, 5] + chance) & ~saturated
    sharp |= np.isfinite(widths) & (widths < 0.45 * fwhm) & (snr > 15) & ~saturated
    wide = np.isfinite(widths) & (widths > EXTENDED_LIMIT * fwhm) & (snr > 15) & ~sharp & ~saturated
    kind = np.full(len(snr), STAR)
    kind[wide], kind[sharp] = EXTENDED, COSMIC_RAY
    flags = (
        flags
        | np.where(sharp, Flag.COSMIC_RAY, 0).astype(np.int32)
        | np.where(wide, Flag.EXTENDED, 0).astype(np.int32)
    )
    return kind, flags, sharpness, widths


def _summary(
    stars: Detections, sky: detect.Background, fwhm: float, aperture: float, gain: float
) -> Measured:
    radii = tuple(float(r) for r in np.array(RADII) * aperture)
    bright = (stars.kind == STAR) & (stars.flags & (Flag.SATURATED | Flag.EDGE | Flag.BLEND) == 0)
    bright &= stars.flux[:, BEST_RADIUS] > 15 * stars.flux_err[:, BEST_RADIUS]
    shapes = stars.ellipticity[bright] if bright.any() else stars.ellipticity
    widths = stars.fwhm[bright] if bright.sum() >= 3 else np.array([fwhm])
    noise = sky.rms * gain * np.sqrt(np.pi) * radii[BEST_RADIUS]
    return Measured(
        detections=stars,
        radii=radii,
        fwhm=float(np.nanmedian(widths)),
        ellipticity=float(np.nanmedian(shapes)),
        background=sky.median,
        background_rms=sky.rms,
        n_saturated=int((stars.flags & Flag.SATURATED != 0).sum()),
        limiting_flux=float(5 * noise),
    )
