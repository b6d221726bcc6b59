"""Where the observatory, the sun and a target are at a time, from ERFA's series: no file and no internet.

Where the rotation of the earth (UT1-UTC) and its pole are not given, UT1 is taken as UTC and the pole as unmoved: below
0.9 s of rotation, that is 13.5 arcsec of altitude and 465 m/s * 0.9 s = 420 m or 1.4 microseconds of light time. The
earth's barycentric place (epv00) is right to 5 km, or 15 microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .timescales import DAY, MJD_ZERO, quietly, tt_parts

LIGHT_SECOND_M = 299792458.0
AU_LIGHT_SECONDS = 149597870700.0 / LIGHT_SECOND_M


@dataclass(frozen=True)
class Rotation:
    """How far the earth has turned, and where its pole is."""

    ut1_utc: float = 0.0  # s
    x_pole: float = 0.0  # arcsec
    y_pole: float = 0.0  # arcsec


UNKNOWN_ROTATION = Rotation()


@dataclass(frozen=True)
class Place:
    """The observatory at one time."""

    mjd_tdb: float  # d
    barycentric: tuple[float, float, float]  # light-seconds, ICRS
    sun_altitude: float  # deg; NaN without a site
    sidereal_angle: float  # deg, local apparent sidereal time; NaN without a site
    heliocentric: tuple[float, float, float] = (0.0, 0.0, 0.0)  # light-seconds, from the centre of the sun


def _to_earth(mjd: ArrayLike, rotation: Rotation = UNKNOWN_ROTATION) -> NDArray[np.float64]:
    """Return the matrices (..., 3, 3) from the celestial to the terrestrial system."""
    ut1 = np.asarray(mjd, float) + rotation.ut1_utc / DAY
    pole = np.radians([rotation.x_pole / 3600, rotation.y_pole / 3600])
    made: NDArray[np.float64] = quietly(erfa.c2t06a, *tt_parts(mjd), MJD_ZERO, ut1, *pole)
    return made


def _direction(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
    """Return unit vectors (..., 3) of angles in deg."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack(np.broadcast_arrays(np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)), axis=-1)


def _altitudes(vectors: NDArray, matrices: NDArray, latitude: float, longitude: float) -> NDArray[np.float64]:
    zenith = np.swapaxes(matrices, -1, -2) @ _direction(longitude, latitude)
    sine = (vectors * zenith).sum(axis=-1) / np.linalg.norm(vectors, axis=-1)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1, 1))))


def _earth(tt: tuple[ArrayLike, ArrayLike]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the earth's places from the sun and from the barycentre, light-seconds."""
    heliocentric, barycentric = quietly(erfa.epv00, *tt)
    return tuple(np.asarray(place["p"]) * AU_LIGHT_SECONDS for place in (heliocentric, barycentric))  # type: ignore[return-value]


def place_at(
    mjd: float,
    latitude: float = np.nan,
    longitude: float = np.nan,
    elevation: float = 0.0,
    rotation: Rotation = UNKNOWN_ROTATION,
) -> Place:
    """Return the observatory's barycentric place and the sun's altitude.

    Parameters
    ----------
    mjd : MJD UTC
    latitude, longitude, elevation : deg, deg (east positive), m; NaN for an unknown site, then the geocentre serves
        (21 ms of light time at most).
    """
    first, second = (float(part) for part in tt_parts(mjd))
    tdb = second + quietly(erfa.dtdb, first, second, 0.0, 0.0, 0.0, 0.0) / DAY
    from_sun, from_barycentre = _earth((first, tdb))
    sun_altitude = sidereal = np.nan
    if np.isfinite(latitude) and np.isfinite(longitude):
        height = elevation if np.isfinite(elevation) else 0.0
        matrix = _to_earth(mjd, rotation)
        sun_altitude = float(_altitudes(-from_sun, matrix, latitude, longitude))
        site = erfa.gd2gc(1, np.radians(longitude), np.radians(latitude), height) / LIGHT_SECOND_M
        from_sun, from_barycentre = from_sun + matrix.T @ site, from_barycentre + matrix.T @ site
        turned = quietly(erfa.gst06a, MJD_ZERO, mjd + rotation.ut1_utc / DAY, first, second)
        sidereal = float(np.degrees(turned) + longitude) % 360.0
    x, y, z = (float(v) for v in from_barycentre)
    hx, hy, hz = (float(v) for v in from_sun)
    return Place(first - MJD_ZERO + tdb, (x, y, z), sun_altitude, sidereal, (hx, hy, hz))


def altitudes(
    ra: ArrayLike, dec: ArrayLike, mjd: ArrayLike, latitude: float, longitude: float
) -> NDArray[np.float64]:
    """Return the altitudes (deg, no refraction) of positions (deg) at times (MJD UTC), broadcast together."""
    return _altitudes(_direction(ra, dec), _to_earth(mjd), latitude, longitude)


def sun_altitudes(mjd: ArrayLike, latitude: float, longitude: float) -> NDArray[np.float64]:
    """Return the altitudes (deg, no refraction) of the sun at times (MJD UTC)."""
    from_sun, _ = _earth(tt_parts(mjd))
    return _altitudes(-from_sun, _to_earth(mjd), latitude, longitude)


def altitude_of(ra: float, dec: float, mjd: float, latitude: float, longitude: float) -> float:
    """Return the altitude (deg, no refraction) of a position; NaN without a site."""
    if not np.isfinite([ra, dec, latitude, longitude]).all():
        return float("nan")
    return float(altitudes(ra, dec, mjd, latitude, longitude))


def airmass(altitude_deg: float) -> float:
    """Return the airmass at an altitude (Kasten & Young 1989, doi:10.1364/AO.28.004735); NaN below the horizon."""
    return float(airmasses(altitude_deg))


def airmasses(altitude_deg: ArrayLike) -> NDArray[np.float64]:
    """Return the airmass at each altitude; NaN below the horizon."""
    altitude = np.asarray(altitude_deg, float)
    up = np.where(altitude > 0, altitude, np.nan)
    return np.asarray(1 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364))
