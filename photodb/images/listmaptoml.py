"""Read the column map of star lists from TOML (docs/star-lists.md), strictly: an unknown key is an error."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..core.flags import Flag
from ..errors import ConfigurationError
from .listmaps import ROLES, WORDS, ListMap, Word
from .times import SCALES

NAMED = {name.lower(): int(flag) for name, flag in Flag.__members__.items() if int(flag) < 1 << 9}
FORMATS = ("auto", "text", "ecsv", "ipac", "fits", "sextractor", "daophot", "iraf")
FLUX_UNITS = ("auto", "e-", "adu", "e-/s", "adu/s")
ANGLES = ("auto", "deg", "hour")
REFERS = ("start", "middle", "end")


def load_list_map(path: Path) -> ListMap:
    """Read a map of TOML.

    Raises
    ------
    ConfigurationError : not TOML, or a key is unknown or wrong; file, key and choices are named.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return map_from_tables(tables, str(path), path.stem)


_KEYS = {
    "list": {"name", "match", "format", "hdu", "delimiter", "filename"},
    "units": {"flux", "angle", "first_pixel", "exposure_seconds"},
    "time": {"scale", "refers", "zero", "utc_offset"},
    "missing": {"values"},
}
_TOLD = {
    ("list", "match"): "match", ("list", "format"): "format", ("list", "hdu"): "hdu",
    ("list", "delimiter"): "delimiter", ("list", "filename"): "filename", ("units", "flux"): "flux_unit",
    ("units", "angle"): "angle", ("units", "first_pixel"): "first_pixel",
    ("units", "exposure_seconds"): "exposure_unit", ("time", "scale"): "time_scale", ("time", "refers"): "time_refers",
    ("time", "zero"): "time_zero", ("time", "utc_offset"): "utc_offset", ("missing", "values"): "missing",
}  # fmt: skip
_FREE = {"columns", "frame", "flags", "bands"}


def map_from_tables(tables: Mapping[str, Any], where: str, name: str = "map") -> ListMap:
    """Make a map of the tables of its file.

    Raises
    ------
    ConfigurationError : a key is unknown or wrong.
    """
    _refuse_unknown(tables, {*_KEYS, *_FREE}, where)
    for table in {*_KEYS, *_FREE} & set(tables):
        if not isinstance(tables[table], Mapping):
            raise ConfigurationError(f"{where}: [{table}] must be a table")
    for table, keys in _KEYS.items():
        _refuse_unknown(tables.get(table, {}), keys, f"{where} [{table}]")
    listed, units, time = (tables.get(t, {}) for t in ("list", "units", "time"))
    match = listed.get("match", ())
    _refuse_unknown(tables.get("columns", {}), set(ROLES), f"{where} [columns]")
    _refuse_unknown(tables.get("frame", {}), set(WORDS), f"{where} [frame]")
    made = ListMap(
        name=str(listed.get("name", name)),
        match=(match,) if isinstance(match, str) else tuple(match),
        format=listed.get("format", "auto"),
        hdu=listed.get("hdu"),
        delimiter=listed.get("delimiter", ""),
        filename=listed.get("filename", ""),
        columns={
            role: _names(value, f"{where} columns.{role}")
            for role, value in tables.get("columns", {}).items()
        },
        frame={
            word: _places(value, f"{where} frame.{word}") for word, value in tables.get("frame", {}).items()
        },
        flux_unit=units.get("flux", "auto"),
        angle=units.get("angle", "auto"),
        first_pixel=_number(units.get("first_pixel", 0.0), f"{where} units.first_pixel"),
        exposure_unit=_number(units.get("exposure_seconds", 1.0), f"{where} units.exposure_seconds"),
        time_scale=time.get("scale", "utc"),
        time_refers=time.get("refers", "start"),
        time_zero=_number(time.get("zero", 0.0), f"{where} time.zero"),
        utc_offset=_number(time.get("utc_offset", 0.0), f"{where} time.utc_offset"),
        missing=tuple(
            _number(v, f"{where} missing.values") for v in tables.get("missing", {}).get("values", ())
        ),
        flags=_flag_bits(tables.get("flags", {}), where),
        bands={str(k): str(v) for k, v in tables.get("bands", {}).items()},
        told=frozenset(name for (table, key), name in _TOLD.items() if key in tables.get(table, {})),
    )
    _check(made, where)
    return made


def _refuse_unknown(values: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigurationError(
            f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{where}: {value!r} is no number")
    return float(value)


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(n, str) and n for n in names):
        raise ConfigurationError(f"{where}: the name of a column, or a list of names, needed; not {value!r}")
    return tuple(names)


def _places(value: Any, where: str) -> tuple[Word, ...]:
    return tuple(_place(v, where) for v in (value if isinstance(value, list) else [value]))


def _place(value: Any, where: str) -> Word:
    if not isinstance(value, Mapping):
        return Word(value)
    _refuse_unknown(value, {f.name for f in fields(Word)}, where)
    if len(value) != 1:
        raise ConfigurationError(
            f"{where}: one of value, column, header, filename needed; not {dict(value)!r}"
        )
    return Word(**{k: v if k == "value" else str(v) for k, v in value.items()})


def _flag_bits(table: Mapping[str, Any], where: str) -> dict[int, int]:
    bits = {}
    for written, name in table.items():
        if not written.isdigit() or str(name).lower() not in {*NAMED, "none"}:
            raise ConfigurationError(
                f"{where} flags.{written} = {name!r}: a bit as number = one of {', '.join(NAMED)}, none"
            )
        bits[int(written)] = NAMED.get(str(name).lower(), 0)
    return bits


def _check(made: ListMap, where: str) -> None:
    problems = [
        f"{key} {value!r}, one of {', '.join(choices)} needed"
        for key, value, choices in (
            ("list.format", made.format, FORMATS),
            ("units.flux", made.flux_unit, FLUX_UNITS),
            ("units.angle", made.angle, ANGLES),
            ("time.scale", made.time_scale, SCALES),
            ("time.refers", made.time_refers, REFERS),
        )
        if value not in choices
    ]
    if not all(isinstance(p, str) for p in (*made.match, made.filename, made.delimiter)):
        problems.append("list.match, list.filename and list.delimiter must be text")
    if made.hdu is not None and (isinstance(made.hdu, bool) or not isinstance(made.hdu, int | str)):
        problems.append(f"list.hdu {made.hdu!r}, a number or name needed")
    try:
        groups = set(re.compile(str(made.filename)).groupindex)
    except re.error as error:
        problems.append(f"list.filename is no regular expression: {error}")
        groups = set()
    asked = {w.filename for places in made.frame.values() for w in places if w.filename}
    if asked - groups:
        problems.append(f"list.filename has no group (?P<{sorted(asked - groups)[0]}>...)")
    if problems:
        raise ConfigurationError(f"{where}: " + "; ".join(problems))
