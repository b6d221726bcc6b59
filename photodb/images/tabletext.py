"""Read delimited text of any length piece by piece: CSV, TSV as VizieR writes it, columns parted by blanks."""

from __future__ import annotations

import bz2
import csv
import gzip
import itertools
import lzma
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

PIECE = 50_000
"""Rows that are held at once."""

PACKED: dict[bytes, Callable[..., IO[str]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_DASHES = re.compile(r"^-+$")


def opened(path: Path) -> IO[str]:
    """Open a text file, plain or packed by gzip, bzip2 or xz; odd bytes become question marks."""
    with path.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in PACKED.items() if start.startswith(magic)), open)
    return opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="")


@dataclass(frozen=True)
class TextLayout:
    """How a text is cut into columns."""

    columns: tuple[str, ...]
    units: tuple[str, ...]  # a column each, '' where none is written; perhaps none at all
    delimiter: str  # ' ' for runs of blanks
    skip: int  # lines with something in them before the first row


def layout(path: Path) -> TextLayout:
    """Find the delimiter, the names of the columns and, where there is such a line, their units.

    The names stand in the first line that is no comment; or in the last comment before it, where that has as many
    words and the line does not. A line of dashes below the names, and a line of units between them, are VizieR's.
    """
    comments: deque[str] = deque(maxlen=1)
    with opened(path) as file:
        told = _told(file, comments)
        first = [line for _, line in zip(range(3), told, strict=False)]
    if not first:
        return TextLayout((), (), ",", 0)
    delimiter = _delimiter(first[0])
    rows = [_cut(line, delimiter) for line in first]
    above = _cut(comments[0].lstrip("# "), delimiter) if comments else []
    if above and len(above) == len(rows[0]) and any(map(_is_number, rows[0])):
        return TextLayout(tuple(above), (), delimiter, 0)
    dashes = next((i for i, row in enumerate(rows) if i and all(map(_DASHES.match, row))), 0)
    units = tuple(rows[1]) if dashes == 2 else ()
    return TextLayout(tuple(rows[0]), units, delimiter, 1 + dashes)


def text_pieces(
    path: Path, told: TextLayout, wanted: Sequence[str], odd: Callable[[int], None]
) -> Iterator[dict[str, NDArray]]:
    """Give the wanted columns as text, `PIECE` rows at a time; `odd` is told how many rows have other columns."""
    n = len(told.columns)
    at = [told.columns.index(name) for name in wanted]
    with opened(path) as file:
        lines = itertools.islice(_told(file, deque(maxlen=1)), told.skip, None)
        rows = _reader(lines, told.delimiter)
        try:
            while piece := list(itertools.islice(rows, PIECE)):
                whole = [row for row in (r[:n] if not any(r[n:]) else r for r in piece) if len(row) == n]
                odd(len(piece) - len(whole))
                columns = list(zip(*whole, strict=True)) or [()] * n
                yield {
                    name: np.char.strip(np.array(columns[i], str)) for name, i in zip(wanted, at, strict=True)
                }
        except (csv.Error, EOFError, OSError, lzma.LZMAError) as error:
            raise UsageError(f"{path} cannot be read to its end: {error}") from error


def _told(file: IO[str], comments: deque[str]) -> Iterator[str]:
    """Give the lines that are neither blank nor comments, and note the comments."""
    for line in file:
        if line.startswith("#"):
            comments.append(line.strip())
        elif line.strip():
            yield line.rstrip("\r\n")


def _delimiter(line: str) -> str:
    return next((mark for mark in (",", "\t", "|", ";") if mark in line), " ")


def _reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        return csv.reader((line.strip() for line in lines), delimiter=" ", skipinitialspace=True)
    return csv.reader((line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=delimiter == ",")


def _cut(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(_reader(iter([line]), delimiter), [])]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
