"""Where the observatory and the sun are at a time, from ERFA's series: no file and no internet.

UT1 is taken as UTC and the pole as unmoved: below 0.9 s of rotation, that is 15 arcsec of altitude and 1 microsecond
of light time. The earth's barycentric place (epv00) is right to 5 km, or 15 microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import erfa
import numpy as np

MJD_ZERO = 2400000.5
LIGHT_SECOND_M = 299792458.0
AU_LIGHT_SECONDS = 149597870700.0 / LIGHT_SECOND_M


@dataclass(frozen=True)
class Place:
    """The observatory at one time."""

    mjd_tdb: float  # d
    barycentric: tuple[float, float, float]  # light-seconds, ICRS
    sun_altitude: float  # deg; NaN without a site
    sidereal_angle: float  # deg, local apparent sidereal time; NaN without a site


def _observer(
    tt: tuple[float, float], mjd: float, latitude: float, longitude: float, elevation: float
) -> np.ndarray:
    """Return the geocentric celestial position of the site, light-seconds."""
    xyz = erfa.gd2gc(1, np.radians(longitude), np.radians(latitude), elevation)
    rotation = erfa.c2t06a(*tt, MJD_ZERO, mjd, 0.0, 0.0)
    place: np.ndarray = rotation.T @ xyz / LIGHT_SECOND_M
    return place


def _altitude(vector: np.ndarray, zenith: np.ndarray) -> float:
    return float(np.degrees(np.arcsin(np.clip(vector @ zenith / np.linalg.norm(vector), -1, 1))))


def _zenith(tt: tuple[float, float], mjd: float, latitude: float, longitude: float) -> np.ndarray:
    lat, lon = np.radians(latitude), np.radians(longitude)
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    zenith: np.ndarray = erfa.c2t06a(*tt, MJD_ZERO, mjd, 0.0, 0.0).T @ up
    return zenith


def _tt(mjd: float) -> tuple[float, float]:
    tai = erfa.utctai(MJD_ZERO, mjd)
    tt = erfa.taitt(*tai)
    return float(tt[0]), float(tt[1])


def place_at(
    mjd: float, latitude: float = np.nan, longitude: float = np.nan, elevation: float = 0.0
) -> Place:
    """Return the observatory's barycentric place and the sun's altitude.

    Parameters
    ----------
    mjd : MJD UTC
    latitude, longitude, elevation : deg, deg (east positive), m; NaN for an unknown site, then the geocentre serves
        (21 ms of light time at most).
    """
    tt = _tt(mjd)
    known = np.isfinite(latitude) and np.isfinite(longitude)
    height = elevation if np.isfinite(elevation) else 0.0
    tdb = tt[1] + erfa.dtdb(*tt, 0.0, 0.0, 0.0, 0.0) / 86400.0
    heliocentric, barycentric = erfa.epv00(tt[0], tdb)
    earth = np.asarray(barycentric["p"]) * AU_LIGHT_SECONDS
    sun_altitude = sidereal = np.nan
    if known:
        earth = earth + _observer(tt, mjd, latitude, longitude, height)
        zenith = _zenith(tt, mjd, latitude, longitude)
        sun_altitude = _altitude(-np.asarray(heliocentric["p"]), zenith)
        sidereal = float(np.degrees(erfa.gst06a(MJD_ZERO, mjd, *tt)) + longitude) % 360.0
    x, y, z = (float(v) for v in earth)
    return Place(tt[0] - MJD_ZERO + tdb, (x, y, z), sun_altitude, sidereal)


def altitude_of(ra: float, dec: float, mjd: float, latitude: float, longitude: float) -> float:
    """Return the altitude (deg, no refraction) of a position; NaN without a site."""
    if not np.isfinite([ra, dec, latitude, longitude]).all():
        return float("nan")
    a, d = np.radians(ra), np.radians(dec)
    star = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    return _altitude(star, _zenith(_tt(mjd), mjd, latitude, longitude))


def airmass(altitude_deg: float) -> float:
    """Return the airmass at an altitude (Kasten & Young 1989, doi:10.1364/AO.28.004735); NaN below the horizon."""
    if not altitude_deg > 0:
        return float("nan")
    return float(1 / (np.sin(np.radians(altitude_deg)) + 0.50572 * (altitude_deg + 6.07995) ** -1.6364))
