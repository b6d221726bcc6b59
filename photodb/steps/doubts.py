"""What looks wrong with the time and the pointing of one frame: bits for `frame.doubts`, words for `frame.reason`."""

from __future__ import annotations

import datetime

import numpy as np

from photodb.core import clock, pointing, timescales
from photodb.core.doubts import Doubt
from photodb.core.ephemeris import airmasses, altitudes
from photodb.images.earthrotation import leap_seconds_until
from photodb.images.headers import CameraDescription
from photodb.images.pipeline import FrameResult

SUN_LIMIT_DEG = -3.0
Centre = tuple[float, float, float]
Said = tuple[int, list[str]]


def doubts_of(result: FrameResult, astrometry: str, centre: Centre, d: CameraDescription) -> Said:
    """Return the bits and the remarks of a frame.

    Parameters
    ----------
    astrometry : how the frame was placed; pointings are judged by places that stars gave.
    centre : ra, dec and radius in deg; NaN without a place.
    """
    bits, remarks = _clock(result, centre, d)
    if result.exposure.mjd > leap_seconds_until():
        bits |= Doubt.LEAP_SECONDS
        remarks.append(_unknown_leap_seconds())
    if astrometry in ("catalogue", "frames"):
        told = result.exposure
        off = pointing.remark(told.ra, told.dec, *centre, told.mjd, d.header.ra_unit)
        bits |= Doubt.POINTING if off else 0
        remarks += [off] if off else []
    return int(bits), remarks


def _unknown_leap_seconds() -> str:
    last = datetime.date.fromordinal(timescales.ordinal_of(leap_seconds_until()))
    return (
        f"leap seconds are known until {last} only: its times may be a second off; 'pip install -U astropy-iers-data', "
        "then ingest it anew"
    )


def _clock(result: FrameResult, centre: Centre, d: CameraDescription) -> Said:
    """Compare sun, target and airmass with what they can be at the frame's time."""
    site = (d.latitude, d.longitude)
    if site[0] is None or site[1] is None:
        return 0, []
    latitude, longitude = float(site[0]), float(site[1])
    bits, what = _impossible(result, centre, latitude, longitude)
    if not bits:
        return 0, []
    one = np.array(
        [[result.exposure.mjd], [centre[0]], [centre[1]], [clock.told_airmass(result.header_airmass)]]
    )
    found = clock.fits(clock.Sightings(*one), latitude, longitude) if np.isfinite(centre[0]) else []
    if not np.isfinite(centre[0]):
        return bits, [f"{what}: check time zone and longitude of the camera"]
    return bits, [f"{what}: {clock.advice(found, longitude, offset_of(d))}"]


def offset_of(d: CameraDescription) -> float:
    """Return the hours that the description takes off the header's times already."""
    return d.header.utc_offset if d.header.time_scale == "local" else 0.0


def _impossible(result: FrameResult, centre: Centre, latitude: float, longitude: float) -> tuple[int, str]:
    """Return which of sun, target and airmass cannot be, and say it."""
    sun, exposure = result.place.sun_altitude, result.exposure
    if sun > SUN_LIMIT_DEG:
        return Doubt.SUN_UP, f"the sun stood {sun:.0f} deg high"
    if not np.isfinite(centre[0]):
        return 0, ""
    times = np.array([exposure.mjd_start, exposure.mjd, 2 * exposure.mjd - exposure.mjd_start])
    height = altitudes(centre[0], centre[1], times, latitude, longitude)
    if height[1] < 0:
        return Doubt.BELOW_HORIZON, f"the target stood {height[1]:.0f} deg high"
    told, computed = clock.told_airmass(result.header_airmass), airmasses(height)
    off = np.nanmin(np.abs(computed - told)) if np.isfinite(told) and np.isfinite(computed).any() else 0.0
    if off > clock.airmass_limit(told):
        return (
            Doubt.AIRMASS,
            f"the header's airmass is {told:.2f}, that of its time and place {computed[1]:.2f}",
        )
    return 0, ""
