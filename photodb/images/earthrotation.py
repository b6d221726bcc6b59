"""The earth's rotation and the leap seconds from the tables that come with astropy: no internet, ever.

finals2000A of the IERS tells UT1-UTC and the pole since 1973, measured until the table was made and predicted for a
year after. Outside it UT1 is taken as UTC (`photodb.core.ephemeris` tells what that costs).
"""

from __future__ import annotations

import functools

import numpy as np
from astropy.utils import iers
from astropy_iers_data import IERS_A_FILE, IERS_LEAP_SECOND_FILE
from numpy.typing import NDArray

from ..core import timescales
from ..core.ephemeris import UNKNOWN_ROTATION, Rotation

MOST_DAILY_S = 0.5
"""UT1-UTC changes by more from one day to the next only by a leap second."""


@functools.cache
def leap_seconds_until() -> float:
    """Read the newest leap seconds that are installed; return the MJD until which they are known."""
    timescales.read_leap_seconds(iers.LeapSeconds.from_iers_leap_seconds(IERS_LEAP_SECOND_FILE))
    return timescales.sure_until()


@functools.cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return MJD (n,), and UT1-UTC without its leaps, the pole, and the leaps so far, (4, n)."""
    found = iers.IERS_A.open(IERS_A_FILE)
    ut1_utc = np.asarray(found["UT1_UTC"].to_value("s"), float)
    steps = np.diff(ut1_utc, prepend=ut1_utc[0])
    leaps = np.cumsum(np.where(np.abs(steps) > MOST_DAILY_S, np.round(steps), 0.0))
    pole = [np.asarray(found[name].to_value("arcsec"), float) for name in ("PM_x", "PM_y")]
    return np.asarray(found["MJD"].to_value("d"), float), np.array([ut1_utc - leaps, *pole, leaps])


def rotation_at(mjd: float) -> Rotation:
    """Return UT1-UTC and the pole at an MJD UTC, interpolated; unknown outside the table."""
    days, values = _table()
    if not days[0] <= mjd < days[-1]:
        return UNKNOWN_ROTATION
    k = int(np.searchsorted(days, mjd, side="right")) - 1
    smooth = values[:3, k] + (mjd - days[k]) / (days[k + 1] - days[k]) * (values[:3, k + 1] - values[:3, k])
    ut1_utc, x, y = (float(v) for v in smooth)
    return Rotation(ut1_utc + float(values[3, k]), x, y)


def covered() -> tuple[float, float]:
    """Return the first and the last MJD of which the rotation is known or predicted."""
    days, _ = _table()
    return float(days[0]), float(days[-1])
