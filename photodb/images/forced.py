"""Measure sources at places that are known beforehand, seen or not: the whole light curve at one place.

A flux fitted together with its place is too bright when the star is faint (the place climbs up the noise); a flux at a
known place is not. The places come from the archive through the frame's WCS; a smooth polynomial takes off what the
frame's own bright stars say against them, and each star's own centroid counts by its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..core.columns import Bundle, Floats
from ..core.flags import Flag
from ..core.robust import mad_sigma
from ..core.terms import N_TERMS, design, scale_pixels
from . import detect
from .aperture import (
    APERTURE_FWHM,
    BEST_RADIUS,
    aperture_fluxes,
    circle_sums,
    local_sky,
    net_fluxes,
    with_flat,
)
from .classify import EXTENDED_SIZE
from .find import masked
from .kernels import cores, count_bad
from .psf import PsfModel
from .psffit import PsfFit, cleaned_sums, fit_fluxes, sky_left, without_outliers
from .reduce import ReducedFrame
from .starflags import blend_flags, pixel_flags, pixel_of

REFINING_SNR = 15.0
REFINING_STARS = (5, 25, 60, 200)
"""Stars that a correction of the places of order 0, 1, 2, 3 needs."""
LEAST_PLACE_ERROR = 0.01
"""px, of a place from the archive."""
CORRECTION_SNR = 30.0
MOST_CORRECTION_STARS = 300
BRIGHT_SIGMA, LEAST_BRIGHT, MOST_STRUCK = 50.0, 8, 0.2
"""Where more than this share of the stars so bright has outliers in the aperture, they are no cosmic rays: the frame is
undersampled or trailed, or its places are off."""
CLOSEST_FWHM = 0.35
"""Sources nearer than this are one: their fluxes could not be told apart."""
LEAST_SEEN = 0.5
"""Share of a star's light that must fall on good pixels for a PSF flux."""


@dataclass(frozen=True)
class Targets(Bundle):
    """Sources to measure on one frame; n rows."""

    x: Floats  # (n,) px, by the frame's WCS and the source's mean place
    y: Floats
    x_seen: Floats  # (n,) px, centroid of the frame's own detection of it; NaN if none
    y_seen: Floats
    snr: Floats  # (n,) of that detection; 0 if none


@dataclass(frozen=True)
class Correction:
    """What brings one kind of flux onto the scale of the main aperture."""

    kind: str  # psf, or aperture:K
    mag: float  # to add to the magnitude
    mag_err: float  # NaN where fewer than three stars tell
    n_stars: int


@dataclass(frozen=True)
class ForcedResult:
    """The sources measured; n rows, k apertures."""

    x: NDArray  # (n,) px, where measured
    y: NDArray
    flux_psf: NDArray  # (n,) e-, signed; NaN without a PSF or good pixels
    flux_psf_err: NDArray  # (n,) e-, neighbours' fluxes free
    psf_chi2: NDArray  # (n,) a pixel
    flux_aperture: NDArray  # (n, k) e-, signed
    flux_aperture_err: NDArray
    sky: NDArray  # (n,) e-/px
    sky_err: NDArray
    flags: NDArray[np.int32]  # (n,)
    corrections: tuple[Correction, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def spread(self, rows: NDArray, n: int, flags: int = 0) -> ForcedResult:
        """Return n rows: these at `rows` (indices or mask), NaN and `flags` elsewhere."""
        columns: dict[str, Any] = {}
        for f in fields(self):
            values = getattr(self, f.name)
            if isinstance(values, np.ndarray):
                blank = flags if f.name == "flags" else np.nan
                columns[f.name] = np.full((n, *values.shape[1:]), blank, values.dtype)
                columns[f.name][rows] = values
        return replace(self, **columns)


def force(
    frame: ReducedFrame, targets: Targets, psf: Mapping[str, Any] | None, radii: NDArray, gain: float
) -> ForcedResult:
    """Measure sources at their known places: PSF with neighbours fitted together, and apertures.

    Of two sources that no frame could part, only the one that the frame saw better (else the first) is fitted; the
    other has no flux there and the flag DUPLICATE.

    Parameters
    ----------
    psf : as `PsfModel.to_dict` gives; None for apertures only.
    radii : (k,) px, of the apertures; the main one is `BEST_RADIUS`.
    gain : e-/ADU.
    """
    radii = np.asarray(radii, float)
    main = radii[min(BEST_RADIUS, len(radii) - 1)]
    model = PsfModel.from_dict(psf) if psf else None
    fwhm = model.fwhm if model else main / APERTURE_FWHM
    x, y = refined_places(targets, frame.data.shape, fwhm)
    single = parted(x, y, targets.snr, CLOSEST_FWHM * fwhm)
    if not single.all():
        return _with_duplicates(force(frame, targets.take(single), psf, radii, gain), single, x, y)
    sky = detect.background(frame.data, frame.bad, grain=frame.grain)
    data, fit, hit = frame.data - sky.level, None, None
    if frame.raw.dtype.kind == "f":
        data[~np.isfinite(frame.raw)] = 0.0
    frame = masked(frame, data, sky, fwhm)
    stars_off = data
    if model is not None:
        data, fit, hit = _fit(data, sky, frame, model, x, y, main, gain)
        stars_off = fit.residual
    local = local_sky(stars_off, sky.noise, frame.bad, x, y, main, frame.grain)
    if fit is None:
        flux, error = aperture_fluxes(data, x, y, radii, local, gain)
    else:
        flux, error = net_fluxes(*cleaned_sums(fit, x, y, radii), radii, local, gain)
    error = with_flat(frame, x, y, flux, error)
    level = sky.level[pixel_of(y, data.shape[0]), pixel_of(x, data.shape[1])]
    nothing = np.full(len(x), np.nan)
    psf_flux, psf_err, chi2 = nothing, nothing, nothing
    if fit is not None:
        told = fit.seen > LEAST_SEEN
        psf_flux, psf_err, chi2 = (
            np.where(told, v, np.nan) for v in (fit.flux * gain, fit.flux_err * gain, fit.chi2)
        )
        psf_err = with_flat(frame, x, y, psf_flux, psf_err)
    best = flux[:, min(BEST_RADIUS, len(radii) - 1)]
    flags = _flags(frame, x, y, best, main, fwhm, hit)
    corrections = aperture_corrections(psf_flux, psf_err, flux, error, flags)
    return ForcedResult(
        x=x, y=y, flux_psf=psf_flux, flux_psf_err=psf_err, psf_chi2=chi2, flux_aperture=flux, flux_aperture_err=error,
        sky=(local[:, 0] + level) * gain, sky_err=local[:, 1] * gain, flags=flags, corrections=corrections,
    )  # fmt: skip


def parted(x: NDArray, y: NDArray, snr: NDArray, reach: float) -> NDArray[np.bool_]:
    """Tell which places (n,) to keep so that no two are nearer than `reach` px: those of higher S/N, else the first."""
    order = np.lexsort((np.arange(len(x)), -np.asarray(snr, float)))
    keep = np.ones(len(x), bool)
    keep[order] = detect.thin(np.column_stack([x, y])[order], np.full(len(x), reach))
    return keep


def _with_duplicates(result: ForcedResult, single: NDArray[np.bool_], x: NDArray, y: NDArray) -> ForcedResult:
    """Return the result with rows for the places that were left out: no fluxes, flag DUPLICATE."""
    whole = result.spread(single, len(single), int(Flag.DUPLICATE))
    return replace(whole, x=np.where(single, whole.x, x), y=np.where(single, whole.y, y))


def refined_places(targets: Targets, shape: tuple[int, ...], fwhm: float) -> tuple[NDArray, NDArray]:
    """Return x, y (n,) px: the predicted places, moved as the bright stars say, each star's own centroid weighed in.

    The polynomial's order is what the number of bright stars allows, up to cubic.
    """
    places = np.column_stack([targets.x, targets.y]).astype(float)
    off = np.column_stack([targets.x_seen, targets.y_seen]) - places
    own = fwhm / detect.FWHM_PER_SIGMA / np.maximum(targets.snr, 0.1)
    told = np.isfinite(off).all(axis=1) & (targets.snr > REFINING_SNR)
    told &= np.hypot(off[:, 0], off[:, 1]) < 2 * fwhm
    order = sum(told.sum() >= n for n in REFINING_STARS) - 1
    if order < 0:
        return places[:, 0], places[:, 1]
    u, v = scale_pixels(places[:, 0], shape[1]), scale_pixels(places[:, 1], shape[0])
    terms = design(u, v, order)
    shift, error = _smooth_shift(terms, off, told, own)
    places += shift
    left = off - shift
    seen = np.isfinite(left).all(axis=1) & (np.hypot(left[:, 0], left[:, 1]) < 5 * np.hypot(own, error) * 1.5)
    weight = np.where(seen, error**2 / (error**2 + own**2), 0.0)
    places += weight[:, None] * np.where(np.isfinite(left), left, 0.0)
    return places[:, 0], places[:, 1]


def _smooth_shift(
    terms: NDArray, off: NDArray, told: NDArray[np.bool_], own: NDArray
) -> tuple[NDArray, float]:
    """Fit the offsets of the stars `told`, clipped; returns the shift at all places and the error of a place, px."""
    kept = told.copy()
    weight = 1.0 / (own**2 + 0.02**2)
    shift, error = np.zeros_like(off), 1.0
    for _ in range(5):
        root = np.sqrt(weight[kept])[:, None]
        found = np.linalg.lstsq(terms[kept] * root, off[kept] * root, rcond=None)[0]
        shift = terms @ found
        left = off - shift
        scatter = mad_sigma(left[kept].ravel())
        error = float(np.sqrt(max(scatter**2 - np.median(own[kept]) ** 2, LEAST_PLACE_ERROR**2)))
        new = told & (np.abs(left) < 4 * np.hypot(own, error)[:, None]).all(axis=1)
        if new.sum() < max(terms.shape[1] + 2, N_TERMS[0] + 2) or np.array_equal(new, kept):
            break
        kept = new
    return shift, error


def _fit(
    data: NDArray[np.float32],
    sky: detect.Background,
    frame: ReducedFrame,
    model: PsfModel,
    x: NDArray,
    y: NDArray,
    main: float,
    gain: float,
) -> tuple[NDArray[np.float32], PsfFit, NDArray[np.bool_]]:
    """Fit all sources twice; returns the image on its second background, the fit, and the pixels that were left out."""
    variance = np.where(frame.bad, np.float32(0), sky.noise**2)
    guess = circle_sums(data, x, y, [main / APERTURE_FWHM])[:, 0]
    first = fit_fluxes(data, variance, gain, model, x, y, guess, judge=False)
    data = data - sky_left(first.residual, variance, frame.bad, model.fwhm, frame.grain)
    clean = without_outliers(first, variance, gain)
    if _misfit(first.flux, (clean == 0) & (variance > 0), x, y, main, sky.rms * np.sqrt(model.noise_area())):
        clean = variance
    last = fit_fluxes(data, clean, gain, model, x, y, first.flux)
    hit = (clean == 0) & (variance > 0)
    wide = np.flatnonzero(last.size > EXTENDED_SIZE)
    if len(wide) and hit.any():
        _spare(hit, x[wide], y[wide], main)
    return data, last, hit


def _misfit(
    flux: NDArray, hit: NDArray[np.bool_], x: NDArray, y: NDArray, radius: float, faintest: float
) -> bool:
    """Tell whether outliers stand on so many bright stars that the function or the places are to blame."""
    bright = np.flatnonzero(flux > BRIGHT_SIGMA * faintest)
    if len(bright) < LEAST_BRIGHT:
        return False
    return float(np.mean(count_bad(hit, x[bright], y[bright], radius) > 0)) > MOST_STRUCK


def _spare(hit: NDArray[np.bool_], x: NDArray, y: NDArray, radius: float) -> None:
    """Take back the outliers around extended objects, in place: they are the object."""
    ys, xs = np.nonzero(hit)
    distance, _ = cKDTree(np.column_stack([x, y])).query(
        np.column_stack([xs, ys]), distance_upper_bound=2 * radius
    )
    near = np.isfinite(distance)
    hit[ys[near], xs[near]] = False


def _flags(
    frame: ReducedFrame,
    x: NDArray,
    y: NDArray,
    best: NDArray,
    radius: float,
    fwhm: float,
    hit: NDArray | None,
) -> NDArray[np.int32]:
    core = cores(frame.raw, frame.data, frame.bad, x, y, max(2, round(0.7 * fwhm)), frame.saturation)
    flags = pixel_flags(frame, x, y, core, radius) | blend_flags(x, y, best, radius + fwhm)
    if hit is not None and hit.any():
        flags[(count_bad(hit, x, y, radius) > 0) & (core[:, 1] == 0)] |= Flag.COSMIC_RAY
    return flags


def aperture_corrections(
    psf: NDArray, psf_err: NDArray, flux: NDArray, error: NDArray, flags: NDArray
) -> tuple[Correction, ...]:
    """Return, for the PSF and each aperture, what brings its magnitudes onto the main aperture's scale on this frame.

    The median over bright stars with no flag; constant over the frame (the solution's terms take the rest).
    """
    best = min(BEST_RADIUS, flux.shape[1] - 1)
    clean = np.flatnonzero((flags == 0) & (flux[:, best] > CORRECTION_SNR * error[:, best]))
    clean = clean[np.argsort(-flux[clean, best])][:MOST_CORRECTION_STARS]
    main = flux[clean, best]
    made = [_correction("psf", main, np.where(psf_err[clean] > 0, psf[clean], np.nan))]
    made += [_correction(f"aperture:{k}", main, flux[clean, k]) for k in range(flux.shape[1])]
    return tuple(made)


def _correction(kind: str, main: NDArray, other: NDArray) -> Correction:
    with np.errstate(invalid="ignore", divide="ignore"):
        off = -2.5 * np.log10(main / other)
    off = off[np.isfinite(off)]
    if len(off) < 3:
        return Correction(kind, float(np.median(off)) if len(off) else 0.0, float("nan"), len(off))
    return Correction(
        kind, float(np.median(off)), float(1.2533 * mad_sigma(off) / np.sqrt(len(off))), len(off)
    )
