"""What went wrong with a header's pointing, told from where the frame really looks."""

from __future__ import annotations

from collections.abc import Callable

import erfa
import numpy as np

from .sky import separation_deg
from .timescales import MJD_ZERO, tt_parts

MJD_OF_1950 = 33281.923
FAR_ARCMIN = 6.0
"""A pointing this near is never remarked: telescopes point no better."""


def remark(
    ra_told: float, dec_told: float, ra: float, dec: float, radius_deg: float, mjd: float, unit: str = "auto"
) -> str:
    """Say by how much a header's pointing is off and what would explain it; empty where it lies on the frame.

    Parameters
    ----------
    ra_told, dec_told : deg, the header's; NaN where it tells none.
    ra, dec, radius_deg : deg, the middle of the frame and the distance to its corners.
    mjd : MJD UTC, for coordinates of the date.
    unit : what the description says of a plain number of right ascension: auto, deg or hour.
    """
    if not np.isfinite([ra_told, dec_told, ra, dec]).all():
        return ""
    off = _separation(ra_told, dec_told, ra, dec)
    if off <= max(radius_deg, FAR_ARCMIN / 60):
        return ""
    near = min(max(radius_deg, FAR_ARCMIN / 60), 0.3 * off)
    for words, move in _EXPLANATIONS.items():
        there = move(ra_told, dec_told, ra, mjd)
        if _separation(*there, ra, dec) <= near:
            return f"{_off(off)}: {words.format(unit=unit)}"
    return _off(off)


def _off(degrees: float) -> str:
    size = f"{degrees:.0f} deg" if degrees >= 10 else f"{60 * degrees:.0f} arcmin"
    return f"the header's pointing is off by {size}"


def _separation(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    return float(separation_deg(np.array([ra1]), np.array([dec1]), np.array([ra2]), np.array([dec2]))[0])


def _hours_as_degrees(ra_told: float, dec: float, ra: float, mjd: float) -> tuple[float, float]:
    return 15 * ra_told, dec


def _degrees_as_hours(ra_told: float, dec: float, ra: float, mjd: float) -> tuple[float, float]:
    """Return the right ascension that 15 times itself, whole turns off, gave this one: of fifteen the nearest."""
    return ra_told / 15 + 24 * round((ra - ra_told / 15) / 24), dec


def _other_hemisphere(ra_told: float, dec: float, ra: float, mjd: float) -> tuple[float, float]:
    return ra_told, -dec


def _opposite(ra_told: float, dec: float, ra: float, mjd: float) -> tuple[float, float]:
    return (ra_told + 180) % 360, dec


def _of_date(ra_told: float, dec: float, ra: float, mjd: float) -> tuple[float, float]:
    """Return the ICRS position of one whose equinox is the date."""
    return _turned(erfa.pmat06(*tt_parts(mjd)).T, ra_told, dec)


def _of_1950(ra_told: float, dec: float, ra: float, mjd: float) -> tuple[float, float]:
    """Return the ICRS position of one of equinox 1950, to a few arcsec."""
    return _turned(erfa.pmat06(MJD_ZERO, MJD_OF_1950).T, ra_told, dec)


def _turned(matrix: np.ndarray, ra: float, dec: float) -> tuple[float, float]:
    found = erfa.c2s(matrix @ erfa.s2c(np.radians(ra), np.radians(dec)))
    return float(np.degrees(found[0]) % 360), float(np.degrees(found[1]))


_EXPLANATIONS: dict[str, Callable[[float, float, float, float], tuple[float, float]]] = {
    'its right ascension is in hours and was read as degrees (ra_unit = "{unit}"): ra_unit = "hour"': _hours_as_degrees,
    'its right ascension is in degrees and was read as hours (ra_unit = "{unit}"): ra_unit = "deg"': _degrees_as_hours,
    "its declination has the wrong sign": _other_hemisphere,
    "its right ascension is 12 h off": _opposite,
    "it is of the equinox of the date, not J2000": _of_date,
    "it is of the equinox 1950, not J2000": _of_1950,
}
