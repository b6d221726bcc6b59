"""The stars of a list in house units: positions, fluxes in electrons with their errors, flags.

Rows that cannot be used fall out with a count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.columns import Detections
from ..core.flags import Flag
from ..errors import FrameError
from .detect import FWHM_PER_SIGMA
from .listframe import Words

EMPTY_WORDS = ("", "nan", "null", "none", "indef", "--", "n/a", "na", "-", "*")
HUGE = 1e29
FAINTEST, WORST_ERROR = 40.0, 9.0
"""Magnitudes beyond +-40 and errors from 9 on stand for "none" (99.999, 9.999)."""
OUTSIDE_PX = 2.0
OUTSIDE_SHARE = 0.1
COUNTING = 1.5
"""Flux over squared error, both in electrons, is at most 1; more tells that they are something else."""
MAG_PER_SHARE = 2.5 / np.log(10)
FLUX_UNITS = {"e-": "e-", "electron": "e-", "electrons": "e-", "e": "e-", "adu": "adu", "count": "adu", "counts": "adu",
              "ct": "adu", "cts": "adu", "dn": "adu", "e-/s": "e-/s", "electron/s": "e-/s", "electrons/s": "e-/s",
              "adu/s": "adu/s", "count/s": "adu/s", "counts/s": "adu/s", "ct/s": "adu/s", "dn/s": "adu/s"}  # fmt: skip


@dataclass(frozen=True)
class ListStars:
    """The usable rows of a list, brightest first."""

    detections: Detections  # x, y NaN where the list has none
    ra: NDArray[np.float64]  # (n,) deg, NaN where none
    dec: NDArray[np.float64]
    remarks: tuple[str, ...]
    electrons: bool  # whether the fluxes are electrons, not electrons times an unknown gain


def _missing(name: str, words: Words) -> FrameError:
    shown = ", ".join(list(words.table.columns)[:20])
    return FrameError(
        "no_column", f"no column for {name}; columns are {shown}; name it in a column map, [columns]"
    )


def _name(words: Words, role: str) -> str:
    """Return the first of a role's columns that the list has; empty without one."""
    return next((n for n in words.map.columns.get(role, ()) if words.table.column(n) is not None), "")


def numbers(words: Words, name: str) -> NDArray[np.float64]:
    """Return a column as numbers; values that stand for "none" are NaN.

    Raises
    ------
    FrameError : code `bad_column`, it holds other text.
    """
    values = words.table.column(name)
    assert values is not None
    if values.dtype.kind == "U":
        values = np.where(np.isin(np.char.lower(values), EMPTY_WORDS), "nan", values)
        try:
            values = values.astype(np.float64)
        except ValueError as error:
            raise FrameError("bad_column", f"column {name} holds no numbers: {str(error)[:80]}") from error
    values = np.where(np.isfinite(values) & (np.abs(values) < HUGE), values, np.nan)
    for absent in words.map.missing:
        values[values == absent] = np.nan
    return values


def _role(words: Words, role: str) -> NDArray[np.float64] | None:
    name = _name(words, role)
    return numbers(words, name) if name else None


def pixels(words: Words) -> tuple[NDArray, NDArray]:
    """Return x, y (px, 0 at the centre of the first pixel); NaN where the list has none.

    Raises
    ------
    FrameError : code `units`.
    """
    both = []
    for role in ("x", "y"):
        name = _name(words, role)
        unit = words.table.unit(name).lower() if name else ""
        if unit not in ("", "pix", "pixel", "pixels", "px", "none") and role not in words.map.told:
            raise FrameError("units", f"column {name} is in {unit}; pixels needed")
        both.append(
            numbers(words, name) - words.map.first_pixel if name else np.full(len(words.table), np.nan)
        )
    return both[0], both[1]


def sky_positions(words: Words) -> tuple[NDArray, NDArray]:
    """Return ra, dec (deg); NaN where the list has none.

    Raises
    ------
    FrameError : code `units`, values that are no positions.
    """
    names = _name(words, "ra"), _name(words, "dec")
    if not all(names):
        return np.full(len(words.table), np.nan), np.full(len(words.table), np.nan)
    ra, dec = _angles(words, names[0], True), _angles(words, names[1], False)
    told = np.isfinite(ra) & np.isfinite(dec)
    wrong = told & ~((np.abs(ra) <= 360) & (np.abs(dec) <= 90))
    if wrong.sum() > OUTSIDE_SHARE * told.sum():
        k = int(np.argmax(wrong))
        raise FrameError(
            "units", f"ra {ra[k]:g}, dec {dec[k]:g} is no place on the sky in degrees: say the unit"
        )
    good = told & ~wrong
    return np.where(good, ra % 360.0, np.nan), np.where(good, dec, np.nan)


def _angles(words: Words, name: str, right_ascension: bool) -> NDArray[np.float64]:
    values = words.table.column(name)
    assert values is not None
    chosen = words.map.angle
    text = values.dtype.kind == "U" and np.char.find(values, ":").max() > 0
    degrees = _sexagesimal(values) if text else numbers(words, name)
    if chosen != "auto":
        return degrees * (15.0 if chosen == "hour" and right_ascension else 1.0)
    if text:
        return degrees * (15.0 if right_ascension else 1.0)
    return degrees * _to_degrees(words.table.unit(name), name)


def _to_degrees(unit: str, name: str) -> float:
    if not unit:
        return 1.0
    try:
        return float(u.Unit("deg" if unit.lower() in ("degrees", "degree") else unit).to(u.deg))
    except (ValueError, TypeError, u.UnitsError) as error:
        raise FrameError("units", f"column {name} is in {unit}: no angle") from error


def _sexagesimal(values: NDArray) -> NDArray[np.float64]:
    """Return texts like 12:34:56.7 in units of their first part; NaN for others."""
    parts = np.full((len(values), 3), np.nan)
    for k, value in enumerate(values.tolist()):
        found = re.fullmatch(r"[+-]?(\d+):(\d+)(?::(\d+\.?\d*))?", value)
        if found:
            parts[k] = [float(p or 0) for p in found.groups()]
    size = parts[:, 0] + parts[:, 1] / 60 + parts[:, 2] / 3600
    return np.where(np.char.startswith(values, "-"), -size, size)


def _pair(words: Words, role: str) -> tuple[str, str] | None:
    """Return the columns of a brightness and its error that belong together."""
    names, errors = (words.map.columns.get(r, ()) for r in (role, f"{role}_err"))
    for name, error in zip(names, errors):
        if words.table.column(name) is not None and words.table.column(error) is not None:
            return name, error
    return None


def fluxes(words: Words, exptime: float, gain: float) -> tuple[NDArray, NDArray, bool]:
    """Return flux and its error (e-), and whether they are electrons for sure.

    Raises
    ------
    FrameError : codes `no_column`, `units`.
    """
    pair = _pair(words, "flux")
    factor = 1.0 if np.isnan(gain) else gain
    if pair:
        unit = _flux_unit(words, pair[0])
        times = (factor if unit.startswith("adu") else 1.0) * (exptime if unit.endswith("/s") else 1.0)
        sure = unit.startswith("e-") or np.isfinite(gain)
        flux, error = numbers(words, pair[0]) * times, numbers(words, pair[1]) * times
        return flux, error, bool(sure) and _possible(flux, error)
    pair = _pair(words, "mag")
    if not pair:
        absent = "flux or mag" if not (_name(words, "flux") or _name(words, "mag")) else "flux_err or mag_err"
        raise _missing(absent, words)
    mag, error = numbers(words, pair[0]), numbers(words, pair[1])
    none = ~(np.abs(mag) < FAINTEST) | ~(error < WORST_ERROR)
    zero, seconds = words.number("mag_zero"), words.positive("mag_seconds")
    unit = words.map.flux_unit
    times = (seconds if np.isfinite(seconds) else exptime) * (factor if unit.startswith("adu") else 1.0)
    with np.errstate(over="ignore"):
        flux = np.where(none, np.nan, times * 10 ** (-0.4 * (mag - (zero if np.isfinite(zero) else 0.0))))
    error = flux * error / MAG_PER_SHARE
    return flux, error, bool(not unit.startswith("adu") or np.isfinite(gain)) and _possible(flux, error)


def _possible(flux: NDArray, error: NDArray) -> bool:
    """Tell whether fluxes can be electrons: their errors are not below what counting them leaves."""
    good = (flux > 0) & (error > 0)
    return not good.any() or float(np.median(flux[good] / error[good] ** 2)) < COUNTING


def _flux_unit(words: Words, name: str) -> str:
    if words.map.flux_unit != "auto":
        return words.map.flux_unit
    written = words.table.unit(name)
    unit = re.sub(r"\s+", "", written.lower()).replace("s-1", "/s").replace("^", "").replace("sec", "s")
    if not unit:
        return "e-"
    if unit not in FLUX_UNITS:
        raise FrameError(
            "units", f"column {name} is in {written!r}; electrons, ADU, or either a second needed"
        )
    return FLUX_UNITS[unit]


def stars_of(words: Words, exptime: float, gain: float, nx: int, ny: int) -> ListStars:
    """Return the usable stars of a list, brightest first.

    Parameters
    ----------
    gain : e-/ADU; NaN where nobody tells.
    nx, ny : px, size of the frame; 0 where nobody tells.

    Raises
    ------
    FrameError : codes `empty`, `no_column`, `bad_column`, `units`, `outside`, `no_stars`.
    """
    if not len(words.table):
        raise FrameError("empty", "the list has no rows")
    x, y = pixels(words)
    ra, dec = sky_positions(words)
    if not (np.isfinite(x + y).any() or np.isfinite(ra).any()):
        named = (_name(words, "x") and _name(words, "y")) or (_name(words, "ra") and _name(words, "dec"))
        if named:
            raise FrameError("no_stars", f"none of the {len(words.table)} rows has a position")
        raise _missing("x and y, or ra and dec", words)
    flux, error, sure = fluxes(words, exptime, gain)
    placed = np.isfinite(x) & np.isfinite(y) if np.isfinite(x + y).any() else np.isfinite(ra)
    inside = placed & ~_outside(x, y, nx, ny)
    measured = np.isfinite(flux) & (error > 0)
    keep = np.flatnonzero(inside & measured)
    counts = (int((~placed).sum()), "without a position"), (int((placed & ~inside).sum()), "outside the frame"), (
        int((inside & ~measured).sum()), "without a flux and its error")  # fmt: skip
    remarks = tuple(f"{n} of {len(x)} rows {what} left out" for n, what in counts if n)
    if not len(keep):
        raise FrameError("no_stars", f"no usable row: {'; '.join(remarks)}")
    keep = keep[np.argsort(-flux[keep], kind="stable")]
    found = _detections(words, keep, x, y, flux, error, gain)
    return ListStars(found, ra[keep], dec[keep], remarks, sure)


def _outside(x: NDArray, y: NDArray, nx: int, ny: int) -> NDArray[np.bool_]:
    """Return which positions lie off the frame.

    Raises
    ------
    FrameError : code `outside`, more than a tenth do.
    """
    told = np.isfinite(x) & np.isfinite(y)
    off = np.zeros(len(x), bool)
    for values, size in ((x, nx), (y, ny)):
        if size > 0:
            off |= told & ~((values > -0.5 - OUTSIDE_PX) & (values < size - 0.5 + OUTSIDE_PX))
    if off.sum() > OUTSIDE_SHARE * told.sum():
        k = int(np.argmax(off))
        raise FrameError(
            "outside",
            f"{off.sum()} of {told.sum()} positions lie off the frame of {nx}x{ny} px, as x {x[k]:g}, y {y[k]:g}",
        )
    return off


def _detections(
    words: Words, keep: NDArray, x: NDArray, y: NDArray, flux: NDArray, error: NDArray, gain: float
) -> Detections:
    n = len(keep)

    def told(role: str) -> NDArray[np.float64]:
        try:
            values = _role(words, role)
        except FrameError:  # text in a column that nothing hangs on: as if it were not there
            values = None
        return np.full(n, np.nan) if values is None else values[keep]

    fwhm = told("fwhm") * _fwhm_unit(words)
    width = fwhm / FWHM_PER_SIGMA
    with np.errstate(invalid="ignore", divide="ignore"):
        guess = np.where(flux[keep] > 0, width * error[keep] / flux[keep], np.nan)
    x_err, y_err = told("x_err"), told("y_err")
    factor = 1.0 if np.isnan(gain) else gain
    return Detections(
        x=x[keep], y=y[keep], x_err=np.where(np.isfinite(x_err), x_err, guess),
        y_err=np.where(np.isfinite(y_err), y_err, guess), flux=flux[keep, None], flux_err=error[keep, None],
        sky=told("sky") * factor, sky_err=np.full(n, np.nan), peak=told("peak"), fwhm=fwhm,
        ellipticity=told("ellipticity"), theta=told("theta"), sharpness=told("sharpness"), kind=np.zeros(n, np.int64),
        flags=_flags(words, keep) | np.where(flux[keep] > 0, 0, int(Flag.NEGATIVE)).astype(np.int32),
    )  # fmt: skip


def _fwhm_unit(words: Words) -> float:
    """Return what turns the column of widths into pixels; NaN where its unit is no width, or no scale is told."""
    unit = words.table.unit(_name(words, "fwhm")).lower() if _name(words, "fwhm") else ""
    if unit in ("", "pix", "pixel", "pixels", "px", "none"):
        return 1.0
    try:
        return _to_degrees(unit, "fwhm") * 3600 / words.positive("pixel_scale")
    except FrameError:
        return float("nan")


def _flags(words: Words, keep: NDArray) -> NDArray[np.int32]:
    values = _role(words, "flags")
    if values is None:
        return np.zeros(len(keep), np.int32)
    raw = np.clip(np.nan_to_num(values[keep]), 0, 2**31 - 1).astype(np.int64)
    flags = np.zeros(len(keep), np.int32)
    for bit, ours in words.map.flags.items():
        flags |= np.where(raw & bit, ours, 0).astype(np.int32)
    return flags
