"""Maps of star lists: which column, header word or part of the file name means what, and in which units.

A map is written in TOML (`listmaptoml`). The formats that photodb knows by themselves have maps of their own,
here; a user's map says only what differs from them.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.flags import Flag

ROLES = (
    "x", "y", "ra", "dec", "flux", "flux_err", "mag", "mag_err", "flags", "fwhm", "ellipticity", "theta", "sky", "peak",
    "sharpness", "x_err", "y_err",
)  # fmt: skip
"""What a column may hold, one value a star."""
BRIGHTNESS = ("flux", "flux_err", "mag", "mag_err")
WORDS = (
    "mjd", "time", "date", "clock", "exptime", "band", "telescope", "camera", "airmass", "object", "nx", "ny", "gain",
    "aperture", "pixel_scale", "ra_center", "dec_center", "mag_zero", "mag_seconds", "bjd_tdb", "bjd_utc", "hjd_utc",
    "hjd_tt", "hjd_tdb", "hjd", "bjd",
)  # fmt: skip
"""What holds for the whole list, one value a frame."""


@dataclass(frozen=True)
class Word:
    """Where a frame's word is: a value, a column that does not vary, a header word, a group of the file name."""

    value: Any = None
    column: str = ""
    header: str = ""
    filename: str = ""


@dataclass(frozen=True)
class ListMap:
    """How to read one kind of star list."""

    name: str
    match: tuple[str, ...] = ()  # file names; empty: every list that has the columns
    format: str = "auto"
    hdu: int | str | None = None  # of a FITS file
    delimiter: str = ""  # of a text file; found out where empty
    filename: str = ""  # regular expression with named groups: the words that the file's name holds
    columns: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # role -> names, the first present counts
    frame: Mapping[str, tuple[Word, ...]] = field(
        default_factory=dict
    )  # word -> places, the first that tells counts
    flux_unit: str = "auto"
    angle: str = "auto"  # auto: degrees for numbers, hours of right ascension for text with colons
    first_pixel: float = 0.0  # coordinate of the centre of the first pixel
    exposure_unit: float = 1.0  # s
    time_scale: str = "utc"
    time_refers: str = "start"  # of the word `time`; the word `mjd` is the middle
    time_zero: float = 0.0  # d, to be added to a number
    utc_offset: float = 0.0  # hours, for time scale local
    missing: tuple[float, ...] = ()  # values that stand for "none"
    flags: Mapping[int, int] = field(default_factory=dict)  # bit of the list -> bits of photodb.core.flags
    bands: Mapping[str, str] = field(default_factory=dict)  # band as written -> band
    told: frozenset[str] = frozenset()  # fields that the user's file says

    def takes(self, path: Path) -> bool:
        """Tell whether the map names this file."""
        return any(fnmatch.fnmatch(path.name.lower(), pattern.lower()) for pattern in self.match)

    def words(self, name: str) -> tuple[Word, ...]:
        """Return the places where a frame's word may be written."""
        told = self.frame.get(name, ())
        return (*told, Word(filename=name)) if self.filename else tuple(told)


def _own(names: Sequence[str]) -> tuple[Word, ...]:
    return tuple(w for n in names for w in (Word(column=n), Word(header=n)))


OWN = ListMap(
    "photodb",
    columns={role: (role,) for role in ROLES},
    frame={word: _own((word,)) for word in WORDS if word not in ("time", "date", "clock")}
    | {"telescope": _own(("telescope", "telescop")), "camera": _own(("camera", "instrume"))}
    | {"band": _own(("band", "filter")), "exptime": _own(("exptime", "exposure"))},
    flags={int(flag): int(flag) for flag in Flag if int(flag) < 1 << 9},
)
"""photodb's own layout: columns and words bear their names."""

SEXTRACTOR = replace(
    OWN,
    name="sextractor",
    columns={
        "x": ("XWIN_IMAGE", "X_IMAGE"),
        "y": ("YWIN_IMAGE", "Y_IMAGE"),
        "ra": ("ALPHAWIN_J2000", "ALPHA_J2000", "ALPHAWIN_SKY", "ALPHA_SKY"),
        "dec": ("DELTAWIN_J2000", "DELTA_J2000", "DELTAWIN_SKY", "DELTA_SKY"),
        "flux": ("FLUX_APER", "FLUX_AUTO", "FLUX_PSF", "FLUX_ISO"),
        "flux_err": ("FLUXERR_APER", "FLUXERR_AUTO", "FLUXERR_PSF", "FLUXERR_ISO"),
        "mag": ("MAG_APER", "MAG_AUTO", "MAG_PSF", "MAG_ISO"),
        "mag_err": ("MAGERR_APER", "MAGERR_AUTO", "MAGERR_PSF", "MAGERR_ISO"),
        "flags": ("FLAGS",),
        "fwhm": ("FWHM_IMAGE",),
        "ellipticity": ("ELLIPTICITY",),
        "theta": ("THETA_IMAGE", "THETAWIN_IMAGE"),
        "sky": ("BACKGROUND",),
        "peak": ("FLUX_MAX",),
    },
    flux_unit="adu",
    first_pixel=1.0,
    frame={**OWN.frame, "mag_zero": (*OWN.frame["mag_zero"], Word(0.0)), "mag_seconds": (Word(1.0),)},
    flags={
        1: int(Flag.BLEND), 2: int(Flag.BLEND), 4: int(Flag.SATURATED), 8: int(Flag.EDGE), 16: int(Flag.BAD_PIXEL),
        32: 0, 64: int(Flag.BLEND), 128: int(Flag.BAD_PIXEL),
    },
)  # fmt: skip
"""SExtractor's catalogues: counts, pixels from 1, magnitudes of the whole exposure."""

DAOPHOT = replace(
    OWN,
    name="daophot",
    columns={
        "x": ("X",),
        "y": ("Y",),
        "mag": ("MAG",),
        "mag_err": ("MERR",),
        "sky": ("SKY",),
    },
    flux_unit="adu",
    first_pixel=1.0,
    frame={**OWN.frame, "mag_zero": (*OWN.frame["mag_zero"], Word(25.0)), "mag_seconds": (Word(1.0),)},
)
"""DAOPHOT II and ALLSTAR: magnitudes of the whole exposure in counts, 25 for one count."""

IRAF = replace(
    OWN,
    name="iraf",
    columns={
        "x": ("XCENTER",),
        "y": ("YCENTER",),
        "mag": ("MAG",),
        "mag_err": ("MERR",),
        "sky": ("MSKY",),
    },
    flux_unit="adu",
    first_pixel=1.0,
    time_refers="start",
    frame={
        **OWN.frame,
        "time": (Word(column="OTIME"), Word(header="OTIME")),
        "exptime": (*OWN.frame["exptime"], Word(column="ITIME"), Word(header="ITIME")),
        "band": (*OWN.frame["band"], Word(column="IFILTER"), Word(header="IFILTER")),
        "airmass": (*OWN.frame["airmass"], Word(column="XAIRMASS"), Word(header="XAIRMASS")),
        "gain": (*OWN.frame["gain"], Word(header="EPADU")),
        "aperture": (*OWN.frame["aperture"], Word(column="RAPERT")),
        "mag_zero": (*OWN.frame["mag_zero"], Word(header="ZMAG"), Word(25.0)),
        "mag_seconds": (Word(column="ITIME"), Word(header="ITIME"), Word(1.0)),
    },
)
"""Tables of IRAF's apphot and daophot: magnitudes of counts a second of ITIME."""

BUILT_IN = {"sextractor": SEXTRACTOR, "ldac": SEXTRACTOR, "daophot": DAOPHOT, "iraf": IRAF}


def effective(user: ListMap | None, format_name: str) -> ListMap:
    """Return the map of a list: the user's words before those of the format."""
    base = BUILT_IN.get(format_name, OWN)
    if user is None:
        return base
    columns = {**base.columns, **user.columns}
    told = set(user.columns)
    if told & {
        "flux",
        "mag",
    }:  # brightness and error of one kind: what the format has of the other does not count
        columns = {r: n for r, n in columns.items() if r not in BRIGHTNESS or r in told}
    places = {w: (*user.frame.get(w, ()), *base.frame.get(w, ())) for w in {*user.frame, *base.frame}}
    return replace(
        base,
        **{name: getattr(user, name) for name in user.told},
        name=f"map:{user.name}",
        columns=columns,
        frame=places,
        flags=user.flags or base.flags,
        bands=user.bands,
    )
