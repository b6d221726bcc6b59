"""Measure every star of a reduced frame: place, shape, apertures with a local clipped annulus, flags."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.columns import Detections
from ..core.flags import Flag
from ..errors import FrameError
from . import detect, psfphot
from .aperture import APERTURE_FWHM, BEST_RADIUS, RADII, aperture_fluxes, local_sky, with_flat
from .classify import STAR, as_stars, by_psf, by_sharpness, typical_sharpness
from .find import find_stars, sharpest
from .kernels import cores, moments
from .psf import PsfModel
from .reduce import ReducedFrame
from .starflags import blend_flags, pixel_flags, pixel_of
from .trails import trailed_remark

WANDER = 0.35
"""Farthest that a windowed centroid may lie from its peak, in FWHM: beyond, it has run to a neighbour."""
CONCENTRATED = 0.30
"""Share of a star's light in one pixel of a channel, median of the frame, above which (FWHM below 1.5 px) the pixels
tell neither a PSF nor a star from a cosmic ray."""
UNDERSAMPLED = (
    "none: stars in focus fall between the pixels of a colour, and their fluxes depend on where; defocus to a FWHM of "
    "3 px of the camera or more"
)


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
    limiting_flux: float  # e-, of a star at 5 sigma in the best aperture, or by the PSF where there is one
    psf: dict[str, Any] | None = None  # as photodb.images.psf.PsfModel.to_dict
    remark: str = ""  # what the PSF falls short of
    notes: tuple[str, ...] = ()  # of the frame: trails masked, stars trailed
    best: int = BEST_RADIUS  # which of the radii is the main one


def measure(
    frame: ReducedFrame,
    gain: float,
    *,
    aperture: float | None = None,
    max_stars: int = 2000,
    threshold: float = detect.THRESHOLD,
    psf: str = "moffat",
    grid: int = 1,
) -> Measured:
    """Detect and measure the brightest stars of a frame; saturated ones are kept, flagged, and not counted.

    Parameters
    ----------
    frame : the reduced frame.
    gain : e-/ADU.
    aperture : px, radius of the main aperture; by default `APERTURE_FWHM` times the frame's own FWHM.
    max_stars : brightest stars to keep.
    threshold : significance of a detection, sigmas of the matched filter.
    psf : model of the point-spread function, moffat or gaussian; or none, for apertures only.
    grid : subimages along each axis, each with a function of its own.

    Raises
    ------
    FrameError : code `no_stars`, nothing was found.
    """
    sky = detect.background(frame.data, frame.bad, grain=frame.grain)
    data = frame.data - sky.level
    if frame.raw.dtype.kind == "f":
        data[~np.isfinite(frame.raw)] = 0.0
    found = find_stars(frame, data, sky, threshold, max_stars)
    frame, fwhm = found.frame, found.fwhm
    if len(found.places) == 0:
        raise FrameError("no_stars", f"no star above {threshold:g} sigma (noise {sky.rms:.3g} ADU a pixel)")
    aperture = aperture or APERTURE_FWHM * fwhm
    stars, sharpness = _photometry(frame, data, sky.noise, found.places, fwhm, aperture, gain)
    made, remark = None, ""
    if frame.step > 1 and _concentration(data, stars, gain) > CONCENTRATED:
        stars, psf, remark = (
            as_stars(stars),
            "none",
            UNDERSAMPLED,
        )  # cosmic rays were told before, on the mosaic
    if psf != "none":
        image = psfphot.image_of(data, sky.noise, frame.bad, gain, frame.grain)
        made, remark = psfphot.frame_psf(image, _ordered(stars), fwhm, psf, grid)
        if made is not None:
            room = max_stars - int((stars.flags & Flag.SATURATED == 0).sum())
            stars = _psf_photometry(frame, image, stars, made, sharpness, aperture, threshold, room)
    level = sky.level[pixel_of(stars.y, data.shape[0]), pixel_of(stars.x, data.shape[1])]
    stars = replace(stars, flags=stars.flags | _blends(stars, aperture + fwhm), sky=stars.sky + level * gain)
    stars = _ordered(stars)
    return _summary(stars, sky, fwhm, aperture, gain, made, remark, found.notes)


def _concentration(data: NDArray[np.float32], stars: Detections, gain: float) -> float:
    """Return the median share of a bright star's light in its brightest pixel; 0 where there is none."""
    flux, error = stars.flux[:, BEST_RADIUS], stars.flux_err[:, BEST_RADIUS]
    bright = (flux > 30 * error) & (stars.flags & (Flag.SATURATED | Flag.EDGE | Flag.BAD_PIXEL) == 0)
    if not bright.any():
        return 0.0
    y, x = pixel_of(stars.y[bright], data.shape[0]), pixel_of(stars.x[bright], data.shape[1])
    return float(np.median(data[y, x] * gain / flux[bright]))


def _blends(stars: Detections, reach: float) -> NDArray[np.int32]:
    return blend_flags(stars.x, stars.y, stars.flux[:, BEST_RADIUS], reach)


def _ordered(stars: Detections) -> Detections:
    """Return the stars, brightest first."""
    return stars.take(np.argsort(-stars.flux[:, BEST_RADIUS], kind="stable"))


def _psf_photometry(
    frame: ReducedFrame,
    image: psfphot.Image,
    stars: Detections,
    psf: PsfModel,
    sharpness: NDArray,
    aperture: float,
    threshold: float,
    room: int,
) -> Detections:
    """Fit all stars, add up to `room` of those that the first fit leaves, fit all again and tell what they are."""
    first = psfphot.first_fit(image, stars, psf)
    found = psfphot.hidden_stars(image, stars, psf, first, threshold)[:room]
    if len(found):
        hidden, _ = _photometry(
            frame, first.residual, image.noise, found, psf.fwhm, aperture, image.gain, sharpness
        )
        stars = _joined(stars, hidden.take(hidden.flux[:, BEST_RADIUS] > 0))
    stars = replace(stars, flags=stars.flags | _blends(stars, aperture + psf.fwhm))
    stars, fit = psfphot.last_fit(image, stars, psf, first)
    stars = psfphot.with_fit(stars, fit, image.gain)
    assert stars.flux_psf is not None and stars.flux_psf_err is not None
    error = with_flat(frame, stars.x, stars.y, stars.flux_psf, stars.flux_psf_err)
    return by_psf(replace(stars, flux_psf_err=error))


def _joined(first: Detections, second: Detections) -> Detections:
    """Return both, without the columns of the PSF."""
    names = [f.name for f in fields(first) if getattr(first, f.name) is not None]
    return Detections(**{n: np.concatenate([getattr(first, n), getattr(second, n)]) for n in names})


def frame_fwhm(frame: ReducedFrame) -> float:
    """Return the median FWHM (px) of a frame's bright stars; NaN where there are too few to tell."""
    sky = detect.background(frame.data, frame.bad, grain=frame.grain)
    return detect.star_width(
        np.where(frame.bad, 0, frame.data - sky.level), sky.noise, frame.bad, default=np.nan,
        sharpest=sharpest(frame),
    )  # fmt: skip


def _photometry(
    frame: ReducedFrame,
    data: NDArray,
    noise: NDArray,
    found: NDArray,
    fwhm: float,
    aperture: float,
    gain: float,
    sharpness: NDArray | None = None,
) -> tuple[Detections, NDArray]:
    """Measure the stars found; returns them and the typical sharpness, measured here unless given."""
    sigma = fwhm / detect.FWHM_PER_SIGMA
    shape = moments(data, found[:, 0], found[:, 1], sigma, False)
    good = np.isfinite(shape[:, 0]) & (
        np.hypot(shape[:, 0] - found[:, 0], shape[:, 1] - found[:, 1]) < max(1.0, WANDER * fwhm)
    )
    x, y = np.where(good, shape[:, 0], found[:, 0]), np.where(good, shape[:, 1], found[:, 1])
    radii = np.array(RADII) * aperture
    local = local_sky(data, noise, frame.bad, x, y, aperture, frame.grain)
    flux, flux_err = aperture_fluxes(data, x, y, radii, local, gain)
    flux_err = with_flat(frame, x, y, flux, flux_err)
    core = cores(frame.raw, data, frame.bad, x, y, max(2, round(0.7 * fwhm)), frame.saturation)
    flags = pixel_flags(frame, x, y, core, radii[BEST_RADIUS])
    flags[~(flux[:, BEST_RADIUS] > 0)] |= Flag.NEGATIVE
    snr = flux[:, BEST_RADIUS] / flux_err[:, BEST_RADIUS]
    widths = detect.FWHM_PER_SIGMA * np.sqrt(np.maximum(0.5 * (shape[:, 2] + shape[:, 3]), 0))
    if sharpness is None:
        sharpness = typical_sharpness(core, widths, snr, flags, fwhm)
    kind, flags = by_sharpness(core, widths, local[:, 1], snr, flags, fwhm, sharpness)
    error = np.where(snr > 0, sigma / np.maximum(snr, 0.1), np.nan)
    xx, yy, xy = shape[:, 2], shape[:, 3], shape[:, 4]
    root = np.hypot((xx - yy) / 2, xy)
    minor = np.sqrt(np.maximum((xx + yy) / 2 - root, 0))
    major = np.sqrt((xx + yy) / 2 + root)
    ones = Detections(
        x=x, y=y, x_err=error, y_err=error, flux=flux, flux_err=flux_err,
        sky=local[:, 0] * gain, sky_err=local[:, 1] * gain, peak=core[:, 0], fwhm=widths,
        ellipticity=1 - minor / major, theta=np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)),
        sharpness=core[:, 3] / sharpness[0, 0], kind=kind, flags=flags,
    )  # fmt: skip
    return ones, sharpness


def _summary(
    stars: Detections,
    sky: detect.Background,
    fwhm: float,
    aperture: float,
    gain: float,
    psf: PsfModel | None,
    remark: str,
    notes: tuple[str, ...],
) -> Measured:
    radii = tuple(float(r) for r in np.array(RADII) * aperture)
    bright = (stars.kind == STAR) & (stars.flags & (Flag.SATURATED | Flag.EDGE | Flag.BLEND) == 0)
    bright &= stars.flux[:, BEST_RADIUS] > 15 * stars.flux_err[:, BEST_RADIUS]
    shapes = stars.ellipticity[bright] if bright.any() else stars.ellipticity
    widths = stars.fwhm[bright] if bright.sum() >= 3 else np.array([fwhm])
    area = psf.noise_area() if psf else np.pi * radii[BEST_RADIUS] ** 2
    trailed = trailed_remark(stars, bright)
    return Measured(
        detections=stars,
        radii=radii,
        fwhm=float(np.nanmedian(widths)),
        ellipticity=float(np.nanmedian(shapes)),
        background=sky.median,
        background_rms=sky.rms,
        n_saturated=int((stars.flags & Flag.SATURATED != 0).sum()),
        limiting_flux=float(5 * sky.rms * gain * np.sqrt(area)),
        psf=psf.to_dict() if psf else None,
        remark=remark,
        notes=notes + ((trailed,) if trailed else ()),
    )
