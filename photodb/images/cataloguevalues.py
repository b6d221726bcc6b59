"""Cells of a catalogue as numbers: units honoured, sexagesimal text read, empty cells NaN."""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

EMPTY = ("", "nan", "null", "none", "--", "-", "n/a", "na", "...", "~", "inf", "-inf", "masked")
HOURS = ("h", "hr", "hour", "hours", "hourangle")
CLOCK = ('"h:m:s"', '"d:m:s"', "h:m:s", "d:m:s", "hms", "dms")
"""Units that VizieR writes over sexagesimal text."""

_SEXAGESIMAL = re.compile(
    r"^(?P<sign>[+-]?)\s*(?P<whole>\d+)\s*(?P<unit>[:hd°\s])\s*(?P<minutes>\d+(?:\.\d*)?)"
    r"\s*(?:[:m'′\s]\s*(?P<seconds>\d+(?:\.\d*)?)?\s*[s\"″]?)?\s*$"
)


def texts(column: Any) -> NDArray[np.str_]:
    """Return a column as stripped text; masked cells are empty, whole numbers keep every digit."""
    values = np.ma.asarray(column)
    if values.dtype.kind == "S":
        values = np.ma.array(np.char.decode(values.data, "utf-8", "replace"), mask=values.mask)
    return np.char.strip(np.ma.filled(values.astype(str), ""))


def numbers(column: Any, name: str, strict: bool = True) -> NDArray[np.float64]:
    """Return a column as numbers: NaN where it is empty, masked or holds no number.

    Raises
    ------
    UsageError : where `strict`, nothing in it is a number, and something else is.
    """
    values = np.ma.asarray(column)
    if values.dtype.kind in "iufb":
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    cells = texts(values)
    try:
        made = cells.astype(np.float64)
    except ValueError:
        made = _numbers_among(cells, name, strict)
    return np.where(np.isfinite(made), made, np.nan)


def _numbers_among(cells: NDArray[np.str_], name: str, strict: bool) -> NDArray[np.float64]:
    lower = np.char.lower(cells)
    empty = np.isin(lower, EMPTY)
    made = np.full(len(cells), np.nan)
    try:
        made[~empty] = cells[~empty].astype(np.float64)
    except ValueError:
        made[~empty] = [_number(cell) for cell in cells[~empty]]
        if strict and not np.isfinite(made).any():
            raise UsageError(f"column {name} does not hold numbers: {str(cells[~empty][0])!r}") from None
    return made


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def parse_unit(text: str) -> u.UnitBase | None:
    """Return a unit as a catalogue writes it (mas/yr, mas.yr-1, deg, nJy); None where it is none that is known."""
    if text.strip().lower() in HOURS:
        return u.hourangle
    if text.strip().lower().replace(" ", "") in ("s/yr", "s.yr-1", "s.yr**-1"):
        return u.hourangle / 3600 / u.yr
    if text.strip().lower() == "mag(ab)":
        return u.mag
    for style in ("generic", "cds", "vounit"):
        try:
            return u.Unit(text.strip(), format=style)
        except (ValueError, TypeError):
            continue
    return None


def factor(text: str, house: u.UnitBase, what: str) -> float:
    """Return what a number in a unit is to be multiplied by to be in the house's unit; 1 where no unit is written.

    Raises
    ------
    UsageError : the unit is not one of that kind.
    """
    if not text.strip() or text.strip().lower() in CLOCK:
        return 1.0
    unit = parse_unit(text)
    if unit is None or not unit.is_equivalent(house):
        raise UsageError(f"{what} is in {text!r}, which is no unit like {house}; say another with --unit")
    return float(unit.to(house))


def degrees(column: Any, name: str, unit: str, hours: bool, strict: bool = True) -> NDArray[np.float64]:
    """Return a column of angles in degrees: numbers in `unit` (degrees without one), or sexagesimal text.

    Sexagesimal text is hours where `hours`, unless it says otherwise (31d02m33s). What is neither becomes NaN.

    Raises
    ------
    UsageError : where `strict`, nothing in it is an angle, and something else is.
    """
    scale = factor(unit, u.deg, f"column {name}")
    if np.ma.asarray(column).dtype.kind in "iufb":
        return numbers(column, name) * scale
    cells = texts(column)
    try:
        made = cells.astype(np.float64) * scale
    except ValueError:
        made = np.array([_angle(cell, scale, hours) for cell in cells], np.float64)
    made = np.where(np.isfinite(made), made, np.nan)
    if (
        strict
        and len(cells)
        and not np.isfinite(made).any()
        and not np.isin(np.char.lower(cells), EMPTY).all()
    ):
        first = next(cell for cell in cells if cell.lower() not in EMPTY)
        raise UsageError(f"column {name} holds no angles: {str(first)!r} is neither degrees nor 02:04:10.25")
    return made


def _angle(text: str, scale: float, hours: bool) -> float:
    try:
        return float(text) * scale
    except ValueError:
        pass
    found = _SEXAGESIMAL.match(text.replace("\u2212", "-"))
    if found is None:
        return float("nan")
    minutes, seconds = float(found["minutes"]), float(found["seconds"] or 0)
    if minutes >= 60 or seconds > 60:
        return float("nan")
    value = int(found["whole"]) + minutes / 60 + seconds / 3600
    in_hours = found["unit"] == "h" or (hours and found["unit"] not in "d°")
    return (-value if found["sign"] == "-" else value) * (15.0 if in_hours else 1.0)


def is_number(text: str) -> bool:
    """Tell whether a text is a finite number."""
    return bool(np.isfinite(_number(text)))
