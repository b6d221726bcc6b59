"""Read what a frame's header says of the exposure, by its camera's header map."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs import wcs as astropy_wcs
from astropy.wcs.utils import wcs_to_celestial_frame

from ..core.tangent import TangentWCS, fit_wcs, n_terms
from ..core.timescales import after
from ..errors import FrameError
from .colour import colour_of
from .headers import CameraDescription
from .instants import interval_of

KINDS = {
    "bias": ("bias", "zero"),
    "dark": ("dark",),
    "flat": ("flat", "skyflat", "domeflat", "twilight"),
    "science": ("light", "object", "science", "expose", "target", "sci"),
}
SECTION = re.compile(r"^\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]$")
WCS_FIT_LIMIT_PX = 0.05
LONGEST_EXPOSURE = 86400.0
SCALES = (0.005, 600.0)
"""Pixel scales that are believed, arcsec/px; others count as unknown."""


@dataclass(frozen=True)
class Exposure:
    """What the header says of one frame; NaN and empty text stand for "not told"."""

    kind: str  # science, bias, dark, flat
    mjd_start: float  # d, MJD UTC
    exptime: float  # s
    band: str
    object: str
    ra: float  # deg, pointing
    dec: float  # deg
    pixel_scale: float  # arcsec/px
    gain: float  # e-/ADU
    read_noise: float  # e-
    saturation: float  # ADU
    soft_bias: float  # ADU
    airmass: float
    elapsed: float = 0.0  # s, from start to end, where there are gaps; else 0

    @property
    def mjd(self) -> float:
        """Middle of the exposure, gaps included, MJD UTC."""
        return after(self.mjd_start, max(self.elapsed, self.exptime) / 2)


def first_card(header: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of the cards that the header has with a value, or an empty text."""
    return next((n for n in names if str(header.get(n, "")).strip()), "")


def number(header: Mapping[str, Any], card: str) -> float:
    """Return a card as a number, also where it is written as text; NaN where absent or no number."""
    if not card:
        return float("nan")
    value = header.get(card)
    if isinstance(value, bool) or value is None:
        return float("nan")
    try:
        return float(str(value).strip().replace("D", "E"))
    except ValueError:
        return float("nan")


def angle(header: Mapping[str, Any], card: str, unit: str, hours: bool) -> float:
    """Return a coordinate card in degrees; text with colons or blanks is sexagesimal. NaN where absent or odd."""
    value = header.get(card) if card else None
    if value is None:
        return float("nan")
    text = str(value).strip()
    parts = re.split(r"[:\s]+", text.lstrip("+-"))
    try:
        numbers = [float(p) for p in parts if p]
    except ValueError:
        return float("nan")
    if not numbers or len(numbers) > 3:
        return float("nan")
    size = sum(v / 60**k for k, v in enumerate(numbers))
    sign = -1.0 if text.startswith("-") else 1.0
    in_hours = hours and (unit == "hour" or (unit == "auto" and len(numbers) > 1))
    return sign * size * (15.0 if in_hours else 1.0)


def frame_kind(header: Mapping[str, Any], d: CameraDescription) -> str:
    """Return science, bias, dark or flat; a frame that does not say is science."""
    text = str(header.get(d.header.kind, "")).strip()
    for written, kind in d.kinds.items():
        if text.lower() == written.lower():
            return kind
    squeezed = re.sub(r"[^a-z]", "", text.lower())
    for kind, words in KINDS.items():
        if any(word in squeezed for word in words):
            return kind
    return "science"


def exposure_time(header: Mapping[str, Any], d: CameraDescription, kind: str) -> float:
    """Return the exposure in seconds.

    Raises
    ------
    FrameError : missing or negative, or zero for a science frame.
    """
    seconds = number(header, d.header.exposure) * d.header.exposure_unit
    if kind == "bias" and not np.isfinite(seconds):
        return 0.0
    if not np.isfinite(seconds):
        raise FrameError(
            "no_exposure", f"card {d.header.exposure} missing or no number: {header.get(d.header.exposure)!r}"
        )
    if seconds > LONGEST_EXPOSURE:
        raise FrameError(
            "bad_exposure", f"{d.header.exposure} = {seconds:g} s; at most {LONGEST_EXPOSURE:g} s believed"
        )
    if seconds < 0 or (kind == "science" and seconds == 0):
        raise FrameError("bad_exposure", f"{d.header.exposure} = {seconds:g} s; more than 0 needed")
    return seconds


def filter_of(header: Mapping[str, Any], d: CameraDescription) -> str:
    """Return the filter as the header or else the description writes it; empty where neither does."""
    return str(header.get(d.header.filter, "")).strip() or d.default_filter


def band_of(header: Mapping[str, Any], d: CameraDescription, kind: str) -> str:
    """Return the band's name.

    Raises
    ------
    FrameError : a science frame or flat names no filter and the camera has no default.
    """
    text = filter_of(header, d)
    if not text and colour_of(header, d):
        return "none"  # colour cameras mostly have no filter; their channels are bands of their own
    if not text and kind in ("science", "flat"):
        raise FrameError(
            "no_filter", f"card {d.header.filter} missing; say default_filter in the camera's description"
        )
    return next((band for written, band in d.bands.items() if written.lower() == text.lower()), text)


def read_exposure(header: Mapping[str, Any], d: CameraDescription) -> Exposure:
    """Read all that the header says of the exposure.

    Raises
    ------
    FrameError : a needed card is missing or wrong; it is named with its value.
    """
    h = d.header
    kind = frame_kind(header, d)
    exptime = exposure_time(header, d, kind)

    def either(card: str, value: float | None) -> float:
        told = number(header, card)
        return told if np.isfinite(told) and told > 0 else (value if value is not None else float("nan"))

    dec = angle(header, h.dec, h.ra_unit, hours=False)
    ra = angle(header, h.ra, h.ra_unit, hours=True) % 360.0
    on_sky = np.isfinite([ra, dec]).all() and abs(dec) <= 90
    ra, dec = (ra, dec) if on_sky else (float("nan"), float("nan"))
    soft = number(header, h.soft_bias)
    passed = number(header, h.elapsed) * h.exposure_unit
    interval = interval_of(header, d, exptime, passed, ra, dec)
    return Exposure(
        kind=kind,
        mjd_start=interval.mjd_start,
        exptime=exptime,
        elapsed=interval.elapsed if interval.elapsed > exptime else 0.0,
        band=band_of(header, d, kind),
        object=str(header.get(h.object, "")).strip(),
        ra=ra,
        dec=dec,
        pixel_scale=_believable(either(h.pixel_scale, d.pixel_scale)),
        gain=either(h.gain, d.gain),
        read_noise=either(h.read_noise, d.read_noise),
        saturation=either(h.saturation, d.saturation),
        soft_bias=soft if np.isfinite(soft) else d.soft_bias,
        airmass=either(h.airmass, None),
    )


def _believable(scale: float) -> float:
    return scale if SCALES[0] <= scale <= SCALES[1] else float("nan")


def section(text: str, header: Mapping[str, Any], shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the (row, column) slices of a FITS section, given itself or by the card that holds it; None if empty.

    Raises
    ------
    FrameError : not a section, or outside the frame.
    """
    if not text:
        return None
    written = text if text.startswith("[") else str(header.get(text, ""))
    found = SECTION.match(written.strip())
    if not found:
        raise FrameError("bad_section", f"{text} = {written!r} is no section [x1:x2,y1:y2]")
    x1, x2, y1, y2 = (int(g) for g in found.groups())
    if not (1 <= x1 <= x2 <= shape[1] and 1 <= y1 <= y2 <= shape[0]):
        raise FrameError(
            "bad_section", f"{text} = {written} leaves the frame of {shape[1]}x{shape[0]} pixels"
        )
    return slice(y1 - 1, y2), slice(x1 - 1, x2)


def section_shape(header: Mapping[str, Any], d: CameraDescription) -> tuple[int, int]:
    """Return ny, nx of the data section as the header alone tells them; (0, 0) where it does not."""
    sides = [number(header, f"NAXIS{k}") for k in range(1, 5)]
    sides = [n for n in sides if np.isfinite(n) and n > 1]
    if len(sides) != 2:
        return 0, 0
    try:
        area = section(d.data_section, header, (int(sides[1]), int(sides[0])))
    except FrameError:  # told when the frame is read
        return 0, 0
    if area is None:
        return int(sides[1]), int(sides[0])
    return area[0].stop - area[0].start, area[1].stop - area[1].start


def header_wcs(
    header: fits.Header, d: CameraDescription, nx: int, ny: int, x_first: float, y_first: float, step: int = 1
) -> TangentWCS | None:
    """Return the header's WCS as a tangent-plane polynomial, or None where there is none that can be used.

    Parameters
    ----------
    nx, ny : size of the image measured; x_first, y_first : where its first pixel lies on the frame, px.
    step : px of the frame from one pixel of the image to the next.
    """
    if not d.header.wcs or "CTYPE1" not in header or not np.isfinite(number(header, "CRVAL1")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            world = WCS(header, naxis=2)
            if not world.has_celestial:
                return None
            gx, gy = np.meshgrid(np.linspace(0, nx - 1, 12), np.linspace(0, ny - 1, 12))
            sky = _icrs(world, step * gx.ravel() + x_first, step * gy.ravel() + y_first)
    except (ValueError, TypeError, KeyError, MemoryError, astropy_wcs.WcsError, OSError, AttributeError):
        return None
    if not np.isfinite(sky).all() or np.abs(sky[:, 1]).max() > 90:
        return None
    return _as_tangent(gx.ravel(), gy.ravel(), sky, nx, ny)


def _icrs(world: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ra, dec (n, 2) in ICRS of pixels, whatever the order of the axes and the frame of the WCS."""
    lon, lat = world.celestial.all_pix2world(x, y, 0)
    if world.celestial.wcs.lng == 1:
        lon, lat = lat, lon
    frame = wcs_to_celestial_frame(world.celestial)
    if frame.name in ("icrs", "fk5") and getattr(frame, "equinox", None) in (None, Time("J2000")):
        return np.column_stack([lon, lat])
    there = SkyCoord(lon, lat, unit="deg", frame=frame).icrs
    return np.column_stack([there.ra.deg, there.dec.deg])


def _as_tangent(x: np.ndarray, y: np.ndarray, sky: np.ndarray, nx: int, ny: int) -> TangentWCS | None:
    """Fit the lowest order that follows the header's WCS to a twentieth of a pixel; None if none does."""
    middle = len(x) // 2 + 6
    ra0, dec0 = float(sky[middle, 0] % 360.0), float(sky[middle, 1])
    for order in (1, 2, 3):
        if len(x) < n_terms(order):
            break
        made = fit_wcs(x, y, sky[:, 0], sky[:, 1], ra0, dec0, (nx - 1) / 2, (ny - 1) / 2, order)
        if not np.isfinite(made.xi + made.eta).all() or made.scale_arcsec < 1e-3:
            return None
        back = np.hypot(*(np.stack(made.to_pixel(sky[:, 0], sky[:, 1])) - np.stack([x, y])))
        if np.isfinite(back).all() and back.max() < WCS_FIT_LIMIT_PX:
            return made
    return None


def wcs_failed(header: Mapping[str, Any], d: CameraDescription) -> bool:
    """Tell whether the header says that its own astrometry failed."""
    value = number(header, d.header.wcs_error)
    return bool(np.isfinite(value) and value != 0)
