"""What looks wrong with the time and the pointing of one frame: bits for `frame.doubts`, words for `frame.reason`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from photodb.core import clock, pointing, timescales
from photodb.core.doubts import CLOCK, Doubt
from photodb.core.ephemeris import airmasses, altitudes
from photodb.images.earthrotation import leap_seconds_until
from photodb.images.headers import CameraDescription
from photodb.images.pipeline import FrameResult

SUN_LIMIT_DEG = -3.0
OF_PLACE = CLOCK | Doubt.POINTING
"""Doubts that hang on where a frame is."""
_REST = r"(?:[^;]|; or the )*"
POINTING_REMARK = re.compile(rf"(?:; )?the header's pointing is off by{_REST}")
OLD_REMARK = re.compile(
    rf"(?:; )?(?:the sun stood|the target stood|the header's airmass is|the header's pointing is off by){_REST}"
)
"""What `frame.reason` says of these."""
Centre = tuple[float, float, float]
Said = tuple[int, list[str]]


@dataclass(frozen=True)
class Told:
    """What a frame's header tells, and what follows of its time and site; NaN where it is not told."""

    mjd: float  # d, middle of the exposure, UTC
    mjd_start: float  # d
    ra: float  # deg, pointing
    dec: float
    airmass: float
    sun_altitude: float  # deg


def told_by(result: FrameResult) -> Told:
    """Return what a frame that was read just now tells."""
    e = result.exposure
    return Told(e.mjd, e.mjd_start, e.ra, e.dec, result.header_airmass, result.place.sun_altitude)


def doubts_of(told: Told, astrometry: str, centre: Centre, d: CameraDescription) -> Said:
    """Return the bits and the remarks of a frame.

    Parameters
    ----------
    astrometry : how the frame was placed; pointings are judged by places that stars gave.
    centre : ra, dec and radius in deg; NaN without a place.
    """
    bits, remarks = _of_place(told, astrometry, centre, d)
    if told.mjd > leap_seconds_until():
        bits |= Doubt.LEAP_SECONDS
        remarks.append(_unknown_leap_seconds())
    return int(bits), remarks


def renewed_doubts(row: Mapping[str, Any], astrometry: str, centre: Centre) -> tuple[int, str, list[str]]:
    """Return the bits of a stored frame under a new place, its reason without the old remarks, and the new ones.

    What does not hang on its place (leap seconds, other frames of its time) stays as it is.
    """
    names = ("mjd", "mjd_start", "header_ra", "header_dec", "header_airmass", "sun_altitude")
    told = Told(*(float("nan") if row[name] is None else row[name] for name in names))
    d = CameraDescription.from_dict(row["description"], row["camera"])
    bits, remarks = _of_place(told, astrometry, centre, d)
    kept, reason = row["doubts"] & ~int(OF_PLACE), OLD_REMARK.sub("", row["reason"])
    if row["header_ra"] is None:  # stored before headers' pointings were: judged at ingest only
        pointing_said = POINTING_REMARK.search(row["reason"])
        kept |= row["doubts"] & int(Doubt.POINTING)
        remarks += [pointing_said[0].removeprefix("; ")] if pointing_said else []
    return int(bits) | kept, reason.removeprefix("; "), remarks


def _of_place(told: Told, astrometry: str, centre: Centre, d: CameraDescription) -> Said:
    bits, remarks = _clock(told, centre, d)
    if astrometry in ("catalogue", "frames"):
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


def _clock(told: Told, centre: Centre, d: CameraDescription) -> Said:
    """Compare sun, target and airmass with what they can be at the frame's time."""
    site = (d.latitude, d.longitude)
    if site[0] is None or site[1] is None:
        return 0, []
    latitude, longitude = float(site[0]), float(site[1])
    bits, what = _impossible(told, centre, latitude, longitude)
    if not bits:
        return 0, []
    one = np.array([[told.mjd], [centre[0]], [centre[1]], [clock.told_airmass(told.airmass)]])
    found = clock.fits(clock.Sightings(*one), latitude, longitude) if np.isfinite(centre[0]) else []
    if not np.isfinite(centre[0]):
        return bits, [f"{what}: check time zone and longitude of the camera"]
    return bits, [f"{what}: {clock.advice(found, longitude, offset_of(d))}"]


def offset_of(d: CameraDescription) -> float:
    """Return the hours that the description takes off the header's times already."""
    return d.header.utc_offset if d.header.time_scale == "local" else 0.0


def _impossible(told: Told, centre: Centre, latitude: float, longitude: float) -> tuple[int, str]:
    """Return which of sun, target and airmass cannot be, and say it."""
    sun = told.sun_altitude
    if sun > SUN_LIMIT_DEG:
        return Doubt.SUN_UP, f"the sun stood {sun:.0f} deg high"
    if not np.isfinite(centre[0]):
        return 0, ""
    times = np.array([told.mjd_start, told.mjd, 2 * told.mjd - told.mjd_start])
    height = altitudes(centre[0], centre[1], times, latitude, longitude)
    if height[1] < 0:
        return Doubt.BELOW_HORIZON, f"the target stood {height[1]:.0f} deg high"
    said, computed = clock.told_airmass(told.airmass), airmasses(height)
    off = np.nanmin(np.abs(computed - said)) if np.isfinite(said) and np.isfinite(computed).any() else 0.0
    if off > clock.airmass_limit(said):
        return (
            Doubt.AIRMASS,
            f"the header's airmass is {said:.2f}, that of its time and place {computed[1]:.2f}",
        )
    return 0, ""
