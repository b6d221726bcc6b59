"""Between UTC, TAI, TT and TDB, as MJD; ERFA knows the calendar and the leap seconds.

On a day with a leap second an MJD UTC runs through 86401 s, as ERFA and astropy count it. Years that ERFA calls dubious
(before 1960, or long after its table) are taken without a warning: `sure_until` tells where the table ends.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

MJD_ZERO = 2400000.5
DAY = 86400.0
ORDINAL_OF_MJD_ZERO = 678576
"""Proleptic ordinal of 1858-11-17, as Python's dates count it."""
Parts = tuple[Any, Any]


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """Call an ERFA function without its warning of a dubious year."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        return function(*args)


def tt_parts(mjd: ArrayLike) -> Parts:
    """Return TT as a two-part Julian date of MJD UTC."""
    tai = quietly(erfa.utctai, MJD_ZERO, np.asarray(mjd, float))
    parts: Parts = erfa.taitt(*tai)
    return parts


def tdb_of(mjd: float) -> float:
    """Return MJD TDB (of the geocentre, 2 microseconds) of an MJD UTC."""
    first, second = tt_parts(mjd)
    return float(first - MJD_ZERO + second + erfa.dtdb(first, second, 0.0, 0.0, 0.0, 0.0) / DAY)


def to_utc(first: float, second: float, scale: str) -> float:
    """Return the MJD UTC of a two-part Julian date in `tai`, `tt` or `tdb`."""
    if scale == "tdb":
        second -= erfa.dtdb(first, second, 0.0, 0.0, 0.0, 0.0) / DAY
    if scale in ("tt", "tdb"):
        first, second = erfa.tttai(first, second)
    first, second = quietly(erfa.taiutc, first, second)
    return float(first - MJD_ZERO + second)


def leap_of(day: int) -> float:
    """Return the leap seconds (s) at the end of a day, an MJD UTC; before 1972 what UTC was stepped by."""
    return float(np.round(_tai_minus_utc(day + 1) - _tai_minus_utc(day), 1))


def _tai_minus_utc(day: int) -> float:
    year, month, of_month, _ = erfa.jd2cal(MJD_ZERO, day)
    return float(quietly(erfa.dat, year, month, of_month, 0.0))


def after(mjd: float, seconds: float) -> float:
    """Return the MJD UTC so many seconds after another, leap seconds counted."""
    plain = mjd + seconds / DAY
    days = range(int(np.floor(min(mjd, plain))), int(np.floor(max(mjd, plain))) + 1)
    if not any(leap_of(day) for day in days):
        return plain
    first, second = quietly(erfa.utctai, MJD_ZERO, mjd)
    return to_utc(first, second + seconds / DAY, "tai")


def sure_until() -> float:
    """Return the MJD until which the leap seconds are known; later ones may be off by a second or more."""
    return float(erfa.leap_seconds.expires.toordinal() - ORDINAL_OF_MJD_ZERO)


def read_leap_seconds(table: NDArray[Any]) -> None:
    """Add the leap seconds of a newer table (astropy's LeapSeconds) to ERFA's, and take over when it ends."""
    erfa.leap_seconds.update(table)


def ordinal_of(mjd: float) -> int:
    """Return the proleptic ordinal of a day, as Python's dates count it."""
    return int(np.floor(mjd)) + ORDINAL_OF_MJD_ZERO


def night_of(mjd: float, longitude: float) -> int:
    """Return the number of a night: the MJD, counted in local mean time, of the noon that began it.

    Parameters
    ----------
    mjd : MJD UTC; longitude : deg, east positive. Nights on both sides of the date line are a number apart.
    """
    return int(np.floor(mjd + longitude / 360.0 - 0.5))
