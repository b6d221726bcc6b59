"""Which error of the clock or the longitude would make impossible frames possible.

A frame is possible where the sun is down, the target up and, where the header tells an airmass, this is that of the
target. Whole and half hours and both signs of the longitude are tried. The date cannot be told this way: a day changes
the target's place by 4 minutes only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ephemeris import airmasses, altitudes, sun_altitudes

SUN_DOWN_DEG = -6.0
TARGET_UP_DEG = 10.0
AIRMASS_LIMIT = 0.2
"""Disagreement of two airmasses up to 2; a tenth of the airmass above."""
SAME_MISFIT = 0.05
"""Fits whose airmasses are so much worse than those of the best are left out."""
FITTING_SHARE = 0.9
MOST_FRAMES = 12
OFFSETS = np.arange(-14.0, 14.5, 0.5)


@dataclass(frozen=True)
class Sightings:
    """Frames of one camera, shapes (n,): MJD UTC as their clock has it, place in deg, the header's airmass or NaN."""

    mjd: NDArray[np.float64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    airmass: NDArray[np.float64]

    def spread(self) -> Sightings:
        """Return at most `MOST_FRAMES` of them, spread over their times."""
        if len(self.mjd) <= MOST_FRAMES:
            return self
        k = np.argsort(self.mjd)[np.linspace(0, len(self.mjd) - 1, MOST_FRAMES).astype(int)]
        return Sightings(self.mjd[k], self.ra[k], self.dec[k], self.airmass[k])


@dataclass(frozen=True)
class Fit:
    """An error that makes the frames possible."""

    offset: float  # h, what the clock showed minus UTC
    mirrored: bool  # the longitude with its other sign
    misfit: float  # rms difference of the airmasses; NaN where none is told


def told_airmass(value: float) -> float:
    """Return a header's airmass where it can be one; 1 exactly is what programs write that know none, so NaN."""
    return value if 1.0 < value < 40.0 else float("nan")


def airmass_limit(airmass: NDArray | float) -> NDArray[np.float64]:
    """Return by how much two airmasses may differ."""
    return np.maximum(AIRMASS_LIMIT, 0.1 * np.nan_to_num(np.asarray(airmass, float)))


def fits(seen: Sightings, latitude: float, longitude: float) -> list[Fit]:
    """Return the errors that make the frames possible; those that change nothing are left out, unless they fit.

    Empty where nothing does, or without frames or a site.
    """
    if not len(seen.mjd) or not np.isfinite([latitude, longitude]).all():
        return []
    seen = seen.spread()
    found = []
    for mirrored in (False, True):
        east = -longitude if mirrored else longitude
        mjd = seen.mjd - OFFSETS[:, None] / 24
        altitude = altitudes(seen.ra, seen.dec, mjd, latitude, east)
        possible = (sun_altitudes(mjd, latitude, east) < SUN_DOWN_DEG) & (altitude > TARGET_UP_DEG)
        difference = np.abs(airmasses(altitude) - seen.airmass)
        possible &= ~(difference > airmass_limit(seen.airmass))
        for k in np.flatnonzero(possible.mean(axis=1) >= FITTING_SHARE):
            told = difference[k][np.isfinite(difference[k])]
            misfit = float(np.sqrt(np.mean(told**2))) if told.size else float("nan")
            found.append(Fit(float(OFFSETS[k]), mirrored, misfit))
    best = min((f.misfit for f in found), default=np.nan)
    return [f for f in found if not f.misfit > best + SAME_MISFIT]


def advice(found: list[Fit], longitude: float, utc_offset: float = 0.0) -> str:
    """Say in a sentence what to set right.

    Parameters
    ----------
    found : what `fits` gives.
    utc_offset : h, what the camera's description takes off its local times already.
    """
    clock = [f for f in found if not f.mirrored and f.offset]
    mirror = any(f.mirrored and not f.offset for f in found)
    said = []
    if clock:
        said.append(_clock_advice(clock, longitude, utc_offset))
    if mirror:
        said.append(f"longitude of the wrong sign? It counts east positive: longitude = {-longitude:g}")
    if not said:
        return "no whole or half hour and no sign of the longitude explains it: check date, site and pointing"
    return f"the {'; or the '.join(said)}"


def _clock_advice(clock: list[Fit], longitude: float, utc_offset: float) -> str:
    best = _likeliest(clock, longitude)
    late = "ahead of" if best.offset > 0 else "behind"
    between = f" ({_runs([utc_offset + f.offset for f in clock])} would do)" if len(clock) > 1 else ""
    return (
        f'clock looks {abs(best.offset):g} h {late} UTC: local time? Then time_scale = "local" and utc_offset = '
        f"{utc_offset + best.offset:+g}{between}"
    )


def _runs(offsets: list[float]) -> str:
    """Write offsets as runs of half hours: -10 to -6 or +14."""
    values = np.array(sorted(offsets))
    parts = np.split(values, np.flatnonzero(np.diff(values) > 0.5) + 1)
    return " or ".join(f"{p[0]:+g} to {p[-1]:+g}" if len(p) > 1 else f"{p[0]:+g}" for p in parts)


def _likeliest(clock: list[Fit], longitude: float) -> Fit:
    """Return the fit of the best airmass, else the whole hour nearest to the longitude's zone or its summer time."""
    if np.isfinite(clock[0].misfit):
        return min(clock, key=lambda f: f.misfit)
    zone = round(longitude / 15)

    def rank(f: Fit) -> tuple[float, float]:
        return min(abs(f.offset - zone), abs(f.offset - zone - 1)), abs(f.offset - zone)

    return min(clock, key=rank)


def jump_back(number: NDArray[np.int64], mjd: NDArray[np.float64]) -> int:
    """Return after which of the frames, ordered by their numbers, the clock jumped back; -1 if it did not for sure.

    It did where five frames or more run on in time, but for one step back of a minute or more.
    """
    if len(number) < 5 or len(np.unique(number)) < len(number):
        return -1
    back = np.flatnonzero(np.diff(mjd) < 0)
    if len(back) != 1 or mjd[back[0]] - mjd[back[0] + 1] < 60 / 86400:
        return -1
    return int(back[0])
