"""Coordinate frames of catalogues: what a file or a user says, and positions brought to ICRS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import FK4, FK5, ICRS, Galactic, SkyCoord
from astropy.time import Time
from numpy.typing import NDArray

from ..errors import UsageError

KNOWN = "icrs, fk5 (J2000), fk5:J1975, fk4 (B1950), fk4:B1900, galactic"
_EQUINOX = re.compile(r"(?:^|[:\s])(?P<equinox>[bj]?\s?\d{4}(?:\.\d*)?)$")
_NAMES = {"icrs": "icrs", "gaia": "icrs", "hipparcos": "icrs", "fk5": "fk5", "eq_fk5": "fk5", "fk4": "fk4",
          "eq_fk4": "fk4", "galactic": "galactic", "gal": "galactic", "": ""}  # fmt: skip
STEP_YEARS = 10.0
"""Length over which a proper motion is carried into another frame."""


@dataclass(frozen=True)
class SkyFrame:
    """A coordinate frame: `icrs`, `fk5`, `fk4` or `galactic`, and the equinox of the equatorial ones."""

    system: str
    equinox: str = ""

    def __str__(self) -> str:
        return f"{self.system}:{self.equinox}" if self.equinox else self.system

    @property
    def is_icrs(self) -> bool:
        """Whether nothing is to be done."""
        return self.system == "icrs"


def sky_frame(text: str) -> SkyFrame:
    """Read a frame as a user writes it: `icrs`, `fk4:B1950`, `J2000`, `galactic`.

    Raises
    ------
    UsageError : not one of the known frames.
    """
    words = text.strip().lower()
    found = _EQUINOX.search(words)
    system = _NAMES.get((words[: found.start()] if found else words).strip(" :"))
    if not words or system is None:
        raise UsageError(f"no coordinate frame {text!r}; known are {KNOWN}")
    return _with_equinox(system, found["equinox"].replace(" ", "") if found else "", text)


def _with_equinox(system: str, equinox: str, told: str) -> SkyFrame:
    """Choose the frame that an equinox belongs to, where the system is not told, and the usual equinox of a system."""
    if system in ("icrs", "galactic"):
        return SkyFrame(system)
    if not equinox:
        if not system:
            raise UsageError(f"no coordinate frame {told!r}; known are {KNOWN}")
        return SkyFrame(system, "B1950" if system == "fk4" else "J2000")
    year = float(equinox.lstrip("bj"))
    mark = equinox[0].upper() if equinox[0] in "bj" else ("B" if system == "fk4" or year < 1984 else "J")
    system = system or ("fk4" if mark == "B" else "fk5")
    if not 1800 <= year <= 2100:
        raise UsageError(f"{told!r}: an equinox between 1800 and 2100 needed")
    return SkyFrame(system, f"{mark}{year:g}")


def declared_frame(words: Mapping[str, str]) -> SkyFrame | None:
    """Return the frame that a file declares (COOSYS, RADESYS, EQUINOX); None where it says nothing.

    Raises
    ------
    UsageError : it declares one that photodb cannot bring to ICRS.
    """
    system = words.get("coosys") or words.get("radesys") or words.get("radecsys") or words.get("frame") or ""
    equinox = words.get("equinox") or ""
    if not system and not equinox and _is_equinox(words.get("epoch", "")):
        equinox = words["epoch"]  # FITS of old: EPOCH = 1950.0 is the equinox
    if not system and not equinox:
        return None
    name = system.strip().lower().replace("-", "_")
    if name in ("j2000", "b1950"):
        return sky_frame(name)
    if name == "icrs" or name.startswith("icrs"):
        return SkyFrame("icrs")
    if name not in _NAMES:
        raise UsageError(
            f"the file says that its positions are {system!r}; say what they are with --frame ({KNOWN})"
        )
    return sky_frame(f"{name} {equinox}".strip())


def _is_equinox(text: str) -> bool:
    try:
        return 1850 < float(text) < 2000
    except ValueError:
        return False


def declared_epoch(words: Mapping[str, str]) -> float:
    """Return the epoch that a VOTable declares (J2015.5), Julian years; NaN without one."""
    found = re.match(r"^[jJ](\d{4}(\.\d*)?)$", words.get("epoch", "").strip())
    return float(found[1]) if found else float("nan")


def to_icrs(
    frame: SkyFrame, lon: NDArray, lat: NDArray, pm_lon: NDArray, pm_lat: NDArray, epoch: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ra, dec (deg) and proper motions (mas/yr, the first times cos dec) in ICRS.

    Parameters
    ----------
    lon, lat : (n,) deg, finite
    pm_lon, pm_lat : (n,) mas/yr, the first times cos(lat)
    epoch : (n,) Julian years at which the stars were there

    Notes
    -----
    A proper motion is the difference of two positions ten years apart, each brought over for its own time, so that the
    slow turn of FK4 against ICRS is in it. Stars without a motion in the catalogue stay without one.
    """
    if frame.is_icrs or not len(lon):
        return lon, lat, pm_lon, pm_lat
    ra, dec = _transformed(frame, lon, lat, epoch)
    moving = (pm_lon != 0) | (pm_lat != 0)
    east, north = np.zeros(len(lon)), np.zeros(len(lon))
    if moving.any():
        cosine = np.maximum(np.cos(np.radians(lat[moving])), 1e-9)
        later_lon = lon[moving] + pm_lon[moving] * STEP_YEARS / 3.6e6 / cosine
        later = (later_lon, np.clip(lat[moving] + pm_lat[moving] * STEP_YEARS / 3.6e6, -90, 90))
        ra2, dec2 = _transformed(frame, *later, epoch[moving] + STEP_YEARS)
        d_ra = (ra2 - ra[moving] + 180.0) % 360.0 - 180.0
        east[moving] = d_ra * np.cos(np.radians(dec[moving])) * 3.6e6 / STEP_YEARS
        north[moving] = (dec2 - dec[moving]) * 3.6e6 / STEP_YEARS
    return ra, dec, east, north


def _transformed(frame: SkyFrame, lon: NDArray, lat: NDArray, epoch: NDArray) -> tuple[NDArray, NDArray]:
    if frame.system == "galactic":
        sky = SkyCoord(Galactic(l=lon * u.deg, b=lat * u.deg))
    elif frame.system == "fk5":
        sky = SkyCoord(FK5(ra=lon * u.deg, dec=lat * u.deg, equinox=Time(frame.equinox)))
    else:
        when = Time(epoch, format="jyear", scale="tt")
        sky = SkyCoord(FK4(ra=lon * u.deg, dec=lat * u.deg, equinox=Time(frame.equinox), obstime=when))
    there = sky.transform_to(ICRS())
    return np.asarray(there.ra.deg, float), np.asarray(there.dec.deg, float)
