"""Times at the barycentre or the sun, brought back to the observatory that saw the light."""

from __future__ import annotations

import numpy as np

from ..core.ephemeris import Place, place_at
from ..core.timescales import DAY, MJD_ZERO, tt_parts
from ..errors import FrameError
from .earthrotation import rotation_at

LIGHT_SCALES = ("bjd_tdb", "bjd_utc", "hjd_utc", "hjd_tt", "hjd_tdb")
"""Where the light arrives (barycentre, centre of the sun) and the scale of the clock."""
UNTOLD = "heliocentric and barycentric times need their scale, for UTC and TDB are more than a minute apart"
ITERATIONS = 4
"""The observatory moves 30 km/s: each step is right to 1e-4 of the one before, from 500 s."""


def at_observatory(
    mjd: float, scale: str, ra: float, dec: float, site: tuple[float, float, float] = (np.nan, np.nan, 0.0)
) -> float:
    """Return the MJD UTC at which a site (deg, deg, m; the geocentre where unknown) saw light of a target.

    Parameters
    ----------
    mjd : JD - 2400000.5 of the arrival, in one of `LIGHT_SCALES`.
    ra, dec : deg, of the target.

    Raises
    ------
    FrameError : code `bad_time`, nobody tells where the target is.
    """
    if not np.isfinite([ra, dec]).all():
        raise FrameError(
            "bad_time", f"{scale}: times at the barycentre or the sun need ra and dec of the target"
        )
    centre, clock = scale.split("_")
    a, d = np.radians(ra), np.radians(dec)
    star = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    found = mjd
    for _ in range(ITERATIONS):
        place = place_at(found, *site, rotation_at(found))
        where = place.barycentric if centre == "bjd" else place.heliocentric
        found += mjd - _clock(place, found, clock) - float(star @ np.array(where)) / DAY
    return float(found)


def _clock(place: Place, mjd: float, scale: str) -> float:
    """Return what a clock of the scale shows at an MJD UTC."""
    if scale == "tdb":
        return place.mjd_tdb
    if scale == "tt":
        first, second = tt_parts(mjd)
        return float(first - MJD_ZERO + second)
    return mjd
