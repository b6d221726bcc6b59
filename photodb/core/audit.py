"""What an audit of two telescopes found, and its verdict in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .auditdrift import Drift, Nights
from .auditmap import FieldMap
from .auditplace import CommonPlaces, PlaceComparison
from .auditstars import CommonStars, StarComparison

DAYS_A_YEAR = 365.25
MIN_RAW_NIGHTS = 4
"""Fewest nights of both sides of which one can be told to be unlike the others."""


@dataclass(frozen=True)
class Thresholds:
    """From where on a difference is worth a word: it must be both significant and large."""

    sigma: float = 4.0  # of offset, slopes, shift, scale, rotation, trend
    chance: float = 1e-4  # of a flat map, or of steady nights, to look like this
    mag: float = 0.005  # mag: of an offset, over the field, between nights, and of slopes over the range seen
    pixels: float = (
        0.1  # of the finer camera: of a shift, and of scale and rotation at the stars' mean distance
    )
    arcsec: float = 0.1  # the same where no pixel scale is known
    raw: float = 0.1  # mag: of the instrumental offset of a night against the other nights


@dataclass(frozen=True)
class BandAudit:
    """Two telescopes in one band."""

    band: str
    stars: CommonStars
    found: StarComparison
    raw_offset: float  # mag, instrumental: with the zero points taken off again; NaN if unknown
    colour: str  # what the colour is, for example 'B-V'; empty if there is none
    nights: Nights
    raw_nights: NDArray[
        np.float64
    ]  # (n,) mag, instrumental offset of each night; NaN where one side has no frame
    drift: Drift
    maps: Mapping[str, FieldMap]  # by camera, those of A first
    joint: bool = False  # whether one component of a solution holds both: then their mean offset is near zero

    @property
    def told_nights(self) -> NDArray[np.bool_]:
        """Which nights have an instrumental offset: those on which both observed."""
        return np.isfinite(self.raw_nights)


@dataclass(frozen=True)
class PairAudit:
    """Two telescopes (or cameras): their bands in common, and their positions."""

    a: str
    b: str
    bands: tuple[BandAudit, ...]
    places: CommonPlaces
    place: PlaceComparison
    pixel_scale: float  # arcsec/px, the finer one; NaN if unknown
    notes: tuple[str, ...] = field(default=())


def words(pair: PairAudit, band: BandAudit | None, limits: Thresholds | None = None) -> str:
    """Give the verdict on one band of a pair (None for the positions alone); 'agree' where nothing stands out."""
    limits = limits or Thresholds()
    told = [] if band is None else list(_of_magnitudes(band, limits))
    told += _of_places(pair, limits)
    if not told and (band is None or math.isnan(band.found.offset)) and math.isnan(pair.place.east):
        return "too few sources"
    return "; ".join(told) or "agree"


def _of_magnitudes(band: BandAudit, limits: Thresholds) -> Iterator[str]:
    found = band.found
    if _stands_out(found.offset, found.offset_err, 1.0, limits.mag, limits.sigma):
        yield f"offset {_signed(found.offset, found.offset_err)} mag"
    for name, slope in ((f"colour term ({band.colour})", found.by_colour), ("non-linear", found.by_mag)):
        if _stands_out(slope.value, slope.error, slope.span, limits.mag, limits.sigma):
            yield f"{name} {_signed(slope.value, slope.error)} mag a mag"
    for camera, seen in band.maps.items():
        if seen.p < limits.chance and seen.rms > limits.mag:
            yield f"differs over the field of {camera} by {seen.rms:.3f} mag rms"
    drift = band.drift
    if drift.p < limits.chance and drift.rms > limits.mag:
        yield f"drift between nights, {drift.rms:.3f} mag rms"
    span = float(np.ptp(band.nights.mjd)) if len(band.nights) else 0.0
    if _stands_out(drift.trend, drift.trend_err, span, limits.mag, limits.sigma):
        yield f"trend {_signed(drift.trend * DAYS_A_YEAR, drift.trend_err * DAYS_A_YEAR)} mag a year"
    yield from _of_zero_points(band, limits)


def _of_zero_points(band: BandAudit, limits: Thresholds) -> Iterator[str]:
    """Tell of nights whose instrumental offset is unlike the others': a solution hides it in its zero points."""
    told = band.told_nights
    if told.sum() < MIN_RAW_NIGHTS:
        return
    raw = band.raw_nights[told]
    away = raw - np.median(raw)
    usual = 1.4826 * float(np.median(np.abs(away)))
    odd = np.flatnonzero(np.abs(away) > max(limits.raw, limits.sigma * usual))
    if len(odd):
        worst = odd[np.argmax(np.abs(away[odd]))]
        yield (
            f"zero points of {len(odd)} of {len(raw)} nights are off, "
            f"{away[worst]:+.2f} mag on {band.nights.night[told][worst]}"
        )


def _of_places(pair: PairAudit, limits: Thresholds) -> Iterator[str]:
    place = pair.place
    least = limits.pixels * pair.pixel_scale if math.isfinite(pair.pixel_scale) else limits.arcsec
    length, error = place.shift
    if place.significance > limits.sigma and length > least:
        yield f"positions {_signed(length, error)[1:]} arcsec apart"
    reach = place.reach * 3600  # arcsec
    if _stands_out(place.scale_ppm, place.scale_ppm_err, reach * 1e-6, least, limits.sigma):
        yield f"scale {_signed(place.scale_ppm, place.scale_ppm_err)} ppm"
    turned = math.radians(1 / 3600) * reach  # arcsec at that distance, an arcsec of rotation
    if _stands_out(place.rotation, place.rotation_err, turned, least, limits.sigma):
        yield f"rotation {_signed(place.rotation, place.rotation_err)} arcsec"


def _stands_out(value: float, error: float, span: float, least: float, sigma: float) -> bool:
    """Tell whether a value is significant, and large over the span that was seen; NaN never is."""
    return abs(value) > sigma * error and abs(value * span) > least


def _signed(value: float, error: float) -> str:
    """Write a value and its error with two digits of the error."""
    digits = int(np.clip(1 - math.floor(math.log10(error)), 0, 6)) if error > 0 else 3
    return f"{value:+.{digits}f} +- {error:.{digits}f}"
