"""Descriptions of cameras: which header card means what, and how the pixels behave.

A description is written in TOML (docs/header-map.md), kept with the camera in the archive, and read here without
knowing any archive. A new telescope needs a description, never code.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .lighttime import UNTOLD
from .times import SCALES

REFERS = ("start", "middle", "end")
DATE_REFERS = ("clock", "local", "night")
LONGEST_LAG = 60.0
NEEDS = ("bias", "dark", "flat")
NEED_VALUES = ("auto", "no", "flag", "refuse")
PSF_MODELS = ("moffat", "gaussian", "none")
MOST_SUBIMAGES = 16
BAYER = ("header", "no", "RGGB", "BGGR", "GRBG", "GBRG")
CHANNEL_VALUES = ("gain", "read_noise", "saturation", "linear_limit", "soft_bias")


@dataclass(frozen=True)
class HeaderMap:
    """Which cards hold what; an empty text means that the header does not tell."""

    time: tuple[str, ...] = ("DATE-OBS",)  # one card, or date and time of day
    time_scale: str = "utc"  # one of times.SCALES
    time_refers: str = "start"  # start, middle, end of the exposure
    time_end: tuple[str, ...] = ()  # of the end, where there are gaps: one card, or date and time of day
    date_refers: str = "clock"  # a date in a card of its own: clock (of the time of day), local, night
    utc_offset: float = 0.0  # hours, local minus UTC, for time_scale local without a written offset
    exposure: str = "EXPTIME"
    exposure_unit: float = 1.0  # s
    elapsed: str = ""  # from the start to the end, gaps included, where they matter
    filter: str = "FILTER"
    object: str = "OBJECT"
    kind: str = "IMAGETYP"
    ra: str = "RA"
    dec: str = "DEC"
    ra_unit: str = "auto"  # auto, deg, hour: of a plain number; text with colons is hours
    gain: str = ""
    read_noise: str = ""
    saturation: str = ""
    pixel_scale: str = ""
    binning: str = ""
    airmass: str = ""
    soft_bias: str = ""
    wcs: bool = True  # whether the header's WCS is worth a look
    wcs_error: str = ""  # card that is not 0 where the WCS failed


@dataclass(frozen=True)
class CameraDescription:
    """A camera on its telescope, as the TOML file says it."""

    telescope: str
    name: str
    match: dict[str, str]  # card -> value; * and ? as in file names
    latitude: float | None = None  # deg
    longitude: float | None = None  # deg, east positive
    elevation: float | None = None  # m
    aperture_area: float | None = None  # m2
    pixel_scale: float | None = None  # arcsec/px
    gain: float | None = None  # e-/ADU
    read_noise: float | None = None  # e-
    saturation: float | None = None  # ADU
    linear_limit: float | None = None  # ADU
    soft_bias: float = 0.0  # ADU to subtract
    shutter_lag: float = 0.0  # s from the time in the header to the light
    data_section: str = ""  # FITS section [x1:x2,y1:y2], or the name of the card that holds it
    overscan_section: str = ""
    hdu: int | str | None = None
    checksum: str = "require"  # require, ignore
    psf_model: str = "moffat"  # moffat, gaussian, none
    psf_grid: int = 1  # subimages along each axis, each with a PSF of its own
    aperture: float | None = None  # px, radius of the main aperture; the others are fixed multiples of it
    default_filter: str = ""  # band where the filter card is missing
    needs_bias: str = "auto"  # of a frame without one: auto, no, flag, refuse
    needs_dark: str = "auto"
    needs_flat: str = "auto"
    master_days: float = 30.0  # d, how long before and after its frames a master holds
    build_masters: bool = True  # whether ingest builds masters of the calibration frames that it meets
    bayer: str = "header"  # colours of the file's first 2x2 pixels; "header": as the header says; "no": none
    channels: dict[str, dict[str, float]] = field(
        default_factory=dict
    )  # R, G, B: values that differ, of one pixel
    header: HeaderMap = field(default_factory=HeaderMap)
    bands: dict[str, str] = field(default_factory=dict)  # filter as in the header -> band
    kinds: dict[str, str] = field(default_factory=dict)  # image type as in the header -> kind
    assumed: dict[str, str] = field(default_factory=dict)  # what was not told but taken, and how

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        values = asdict(self)
        for name in ("time", "time_end"):
            values["header"][name] = list(getattr(self.header, name))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "camera") -> CameraDescription:
        """Make a description of plain values.

        Raises
        ------
        ConfigurationError : a key is unknown, missing, or of the wrong kind; it is named.
        """
        rest = dict(values)
        header = dict(rest.pop("header", {}) or {})
        _refuse_unknown(header, HeaderMap, f"{where}.header")
        _refuse_unknown(rest, cls, where)
        for key in ("telescope", "name", "match"):
            if not rest.get(key):
                raise ConfigurationError(f"{where}: {key} missing; see docs/header-map.md")
        for name in ("time", "time_end"):
            if name in header:
                cards = header[name]
                header[name] = ((cards,) if cards else ()) if isinstance(cards, str) else tuple(cards)
        wrong = [
            f.name
            for f in fields(HeaderMap)
            if isinstance(f.default, str) and not isinstance(header.get(f.name, ""), str)
        ]
        if wrong:
            raise ConfigurationError(
                f"{where}.header: {', '.join(wrong)} must be the name of a card, in quotes; numbers go below [[camera]]"
            )
        rest["match"] = {k.upper(): str(v) for k, v in rest["match"].items()}
        made = cls(**rest, header=HeaderMap(**header))
        _check(made, where)
        return made


def _refuse_unknown(values: Mapping[str, Any], kind: type, where: str) -> None:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigurationError(
            f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )


def _check(d: CameraDescription, where: str) -> None:
    problems = []
    if d.header.time_scale not in SCALES:
        problems.append(f"time_scale {d.header.time_scale!r}, one of {', '.join(SCALES)} needed")
    if d.header.time_scale in ("hjd", "bjd"):
        problems[-1] += f": {UNTOLD}"
    if d.header.time_refers not in REFERS:
        problems.append(f"time_refers {d.header.time_refers!r}, one of {', '.join(REFERS)} needed")
    if d.header.date_refers not in DATE_REFERS:
        problems.append(f"date_refers {d.header.date_refers!r}, one of {', '.join(DATE_REFERS)} needed")
    if not 1 <= len(d.header.time) <= 2:
        problems.append("header.time needs one card, or two (date, time of day)")
    problems += _wrong_ends(d)
    if d.checksum not in ("require", "ignore"):
        problems.append(f"checksum {d.checksum!r}, require or ignore needed")
    for kind in NEEDS:
        need = getattr(d, f"needs_{kind}")
        if need not in NEED_VALUES:
            problems.append(f"needs_{kind} {need!r}, one of {', '.join(NEED_VALUES)} needed")
    if not isinstance(d.build_masters, bool):
        problems.append(f"build_masters {d.build_masters!r}, true or false needed")
    if d.psf_model not in PSF_MODELS:
        problems.append(f"psf_model {d.psf_model!r}, one of {', '.join(PSF_MODELS)} needed")
    if not (isinstance(d.psf_grid, int) and 1 <= d.psf_grid <= MOST_SUBIMAGES):
        problems.append(f"psf_grid {d.psf_grid!r}, 1 to {MOST_SUBIMAGES} subimages along each axis needed")
    for name in (
        "pixel_scale", "gain", "saturation", "aperture_area", "linear_limit", "aperture", "master_days"
    ):  # fmt: skip
        value = getattr(d, name)
        if value is not None and not (isinstance(value, int | float) and value > 0):
            problems.append(f"{name} {value!r} must be a positive number")
    if d.bayer not in BAYER:
        problems.append(f"bayer {d.bayer!r}, one of {', '.join(BAYER)} needed")
    problems += _wrong_channels(d.channels)
    if d.latitude is not None and not -90 <= d.latitude <= 90:
        problems.append(f"latitude {d.latitude} is outside -90 to 90")
    if problems:
        raise ConfigurationError(f"{where}: " + "; ".join(problems))


def _wrong_ends(d: CameraDescription) -> list[str]:
    problems = []
    if len(d.header.time_end) > 2:
        problems.append("header.time_end needs one card, or two (date, time of day)")
    if d.header.time_end and (d.header.elapsed or d.header.time_refers != "start"):
        problems.append('time_end tells the middle together with time: no elapsed, and time_refers = "start"')
    lag = d.shutter_lag
    if isinstance(lag, bool) or not isinstance(lag, int | float) or not abs(lag) <= LONGEST_LAG:
        problems.append(f"shutter_lag {lag!r}, -{LONGEST_LAG:g} to {LONGEST_LAG:g} s needed")
    return problems


def _wrong_channels(channels: Mapping[str, Any]) -> list[str]:
    problems = [
        f"channels.{name}: only R, G and B are known" for name in channels if name not in ("R", "G", "B")
    ]
    for name, values in channels.items():
        if not isinstance(values, Mapping):
            problems.append(f"channels.{name} needs a table, as {{ gain = 1.2 }}")
            continue
        for key, value in values.items():
            if key not in CHANNEL_VALUES:
                problems.append(f"channels.{name}.{key} is none of {', '.join(CHANNEL_VALUES)}")
            elif not isinstance(value, int | float) or (value <= 0 and key != "soft_bias"):
                problems.append(f"channels.{name}.{key} {value!r} must be a positive number")
    return problems


def load_toml(path: Path) -> list[CameraDescription]:
    """Read a telescope file: one `[telescope]` table and one or more `[[camera]]` tables.

    Raises
    ------
    ConfigurationError : not TOML, or the description is wrong; file, key and limit are named.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return from_tables(tables, str(path))


def from_tables(tables: Mapping[str, Any], where: str) -> list[CameraDescription]:
    """Make descriptions of the tables of a telescope file."""
    scope = dict(tables.get("telescope", {}))
    name = scope.pop("name", "")
    if not name:
        raise ConfigurationError(f"{where}: [telescope] name missing; see docs/header-map.md")
    diameter = scope.pop("aperture_diameter", None)
    if diameter and "aperture_area" not in scope:
        scope["aperture_area"] = 3.141592653589793 * diameter**2 / 4
    cameras = tables.get("camera", [])
    if isinstance(cameras, Mapping):
        cameras = [cameras]
    if not cameras:
        raise ConfigurationError(f"{where}: no [[camera]] table; see docs/header-map.md")
    shared_header = dict(tables.get("header", {}))
    made = []
    for k, camera in enumerate(cameras):
        header = {**shared_header, **camera.get("header", {})}
        bands = {**tables.get("bands", {}), **camera.get("bands", {})}
        kinds = {**tables.get("kinds", {}), **camera.get("kinds", {})}
        values = {**scope, **camera, "telescope": name, "header": header, "bands": bands, "kinds": kinds}
        made.append(CameraDescription.from_dict(values, f"{where}: camera {camera.get('name', k)}"))
    return made


def packaged() -> list[CameraDescription]:
    """Return the descriptions that come with photodb."""
    folder = resources.files(__package__).joinpath("cameras")
    made: list[CameraDescription] = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            made += from_tables(tomllib.loads(entry.read_text(encoding="utf-8")), entry.name)
    return made


def matches(description: CameraDescription, header: Mapping[str, Any]) -> bool:
    """Tell whether every card of `match` has its value (text compared without case, wildcards allowed)."""
    return all(_card_matches(header.get(card), wanted) for card, wanted in description.match.items())


def _card_matches(value: Any, wanted: str) -> bool:
    if value is None:
        return wanted == "absent"
    return fnmatch.fnmatchcase(str(value).strip().lower(), str(wanted).strip().lower())


def recognise(header: Mapping[str, Any], known: Iterable[CameraDescription]) -> CameraDescription | None:
    """Return the description with the most cards in `match` among those that fit, or None."""
    fitting = [d for d in known if matches(d, header)]
    return max(fitting, key=lambda d: len(d.match), default=None)


def with_assumed(description: CameraDescription, **values: tuple[Any, str]) -> CameraDescription:
    """Return the description with values filled in, each with how it was come by."""
    assumed = {**description.assumed, **{name: how for name, (_, how) in values.items()}}
    return replace(description, **{name: value for name, (value, _) in values.items()}, assumed=assumed)
