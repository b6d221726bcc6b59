"""Read the text of the General Catalogue of Variable Stars: columns between bars, positions without separators."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .tablefile import NO_TABLE, TableFile
from .tabletext import PIECE, opened

LINE = re.compile(r"^\d{6}[A-Za-z ]?\s*\|[^|]{8,14}\|[^|]*\|")
_PLACE = re.compile(r"^(\d\d)(\d\d)(\d\d(?:\.\d*)?)\s*([+-])(\d\d)(\d\d)(\d\d(?:\.\d*)?)?\s*(:?)$")
LOOKED_AT = 60
JD_ZERO = 2_400_000.0
LEAST_ERROR = 1.0
DOUBTFUL_ERROR = 30.0
"""arcsec, of a position with a colon."""

COLUMNS = (
    "name",
    "ra",
    "dec",
    "position_error",
    "type",
    "period",
    "epoch",
    "mag_max",
    "mag_min",
    "mag_band",
    "aliases",
)


def is_gcvs(path: Path) -> bool:
    """Tell whether a file has lines as gcvs5.txt and gcvs_cat.txt have them."""
    try:
        with opened(path) as file:
            return any(LINE.match(line) for line in itertools.islice(file, LOOKED_AT))
    except NO_TABLE:
        return False  # damaged: the reader of tables tells how


def open_gcvs(path: Path) -> TableFile:
    """Open the text of the catalogue as a table of `COLUMNS`; positions in degrees, J2000."""
    return TableFile(path, COLUMNS, -1, lambda wanted: _pieces(path, wanted), {"position_error": "arcsec"})


def _pieces(path: Path, wanted: Sequence[str]) -> Iterator[dict[str, NDArray]]:
    with opened(path) as file:
        lines = (line for line in file if LINE.match(line))
        while piece := list(itertools.islice(lines, PIECE)):
            rows = list(zip(*map(_row, piece), strict=True))
            yield {name: np.array(rows[COLUMNS.index(name)]) for name in wanted}


def _row(line: str) -> tuple[str | float, ...]:
    cells = [cell.strip() for cell in line.rstrip("\r\n").split("|")]
    cells += [""] * (14 - len(cells))
    name = " ".join(cells[1].rstrip("*").split())
    ra, dec, error = place_of(cells[2])
    epoch = _number(cells[8])
    return (
        name, ra, dec, error, cells[3], _number(cells[10]), epoch + JD_ZERO if epoch < JD_ZERO else epoch,
        cells[4], cells[5], cells[7], " ".join(cells[13].split()),
    )  # fmt: skip


def _number(text: str) -> float:
    found = re.search(r"\d+\.?\d*(?:[eE][+-]?\d+)?", text)
    return float(found[0]) if found else float("nan")


def place_of(text: str) -> tuple[float, float, float]:
    """Return ra, dec (deg) and error (arcsec) of `002401.95+383437.3`; NaN of anything else.

    The error is half a unit of the coarser last digit, an arcsecond at least, and half a minute with a colon.
    """
    found = _PLACE.match(text.strip())
    if found is None:
        return float("nan"), float("nan"), float("nan")
    hours, minutes, seconds, sign, degrees, arcmin, arcsec, doubt = found.groups()
    ra = 15.0 * (int(hours) + int(minutes) / 60 + float(seconds) / 3600)
    dec = int(degrees) + int(arcmin) / 60 + float(arcsec or 30.0) / 3600
    in_dec = 0.5 * 10.0 ** -_decimals(arcsec) if arcsec else DOUBTFUL_ERROR
    in_ra = 0.5 * 15.0 * np.cos(np.radians(dec)) * 10.0 ** -_decimals(seconds)
    error = max(in_dec, float(in_ra), DOUBTFUL_ERROR if doubt else LEAST_ERROR)
    return ra, -dec if sign == "-" else dec, error


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
