"""The texts that SExtractor, DAOPHOT and IRAF write, as plain columns; whole columns at a time, no loop over rows."""

from __future__ import annotations

import itertools
import re
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from .listtable import ListTable, comments_meta

SEXTRACTOR_LINE = re.compile(r"^#\s*(\d+)\s+(\S+)\s*(.*?)\s*(?:\[([^\]]*)\])?\s*$")
DAOPHOT_ROW = ("ID", "X", "Y", "MAG", "MERR", "SKY", "NITER", "CHI", "SHARP")
DAOPHOT_WORDS = {"PH/ADU": "gain", "AP1": "aperture", "NX": "nx", "NY": "ny"}


def _numbers(lines: list[str]) -> NDArray[np.float64]:
    """Return the (n, k) numbers of lines of one width; INDEF is NaN."""
    if not lines:
        return np.empty((0, 0))
    return np.loadtxt(
        StringIO("\n".join(lines).replace("INDEF", "nan")), ndmin=2, comments=None, dtype=np.float64
    )


def sextractor(text: str) -> ListTable:
    """Read SExtractor's ASCII_HEAD: `#  1 NAME  comment  [unit]`, then rows; columns of several values skip numbers."""
    lines = text.splitlines()
    comments = [line for line in lines if line.lstrip().startswith("#")]
    found = [m for m in map(SEXTRACTOR_LINE.match, comments) if m]
    data = _numbers([line for line in lines if line.strip() and not line.lstrip().startswith("#")])
    first = [int(m[1]) - 1 for m in found]
    if not data.size:
        empty = {m[2]: np.empty(0) for m in found}
        return ListTable("sextractor", empty, {}, comments_meta(comments))
    if sorted(first) != first or first[-1] >= data.shape[1]:
        raise FrameError("unreadable", f"the header names column {max(first) + 1}, rows have {data.shape[1]}")
    columns, units = {}, {}
    for match, start, end in zip(found, first, [*first[1:], data.shape[1]]):
        for k in range(start, end):
            label = match[2] if k == start else f"{match[2]}[{k - start}]"
            columns[label], units[label] = data[:, k], match[4] or ""
    return ListTable("sextractor", columns, units, comments_meta(comments))


def daophot(text: str) -> ListTable:
    """Read what DAOPHOT II and ALLSTAR write: two lines of settings, then rows (NL 1), or two lines a star (NL 2)."""
    lines = [line for line in text.splitlines() if line.strip()]
    names = lines[0].split()
    values = _numbers(lines[1:2])[0] if len(lines) > 1 else np.empty(0)
    settings = dict(zip((n.upper() for n in names), values.tolist()))
    meta: dict[str, Any] = {DAOPHOT_WORDS.get(n, n): v for n, v in settings.items()}
    rows = [line for line in lines[2:] if not line.lstrip().startswith("#")]
    if settings.get("NL") == 2:
        return ListTable("daophot", _two_lines(rows), {}, meta)
    data = _numbers(rows)
    k = data.shape[1] if data.size else len(DAOPHOT_ROW)
    if k < 5:
        raise FrameError("no_column", f"rows of {k} numbers; id, x, y, magnitude and its error needed")
    known = DAOPHOT_ROW if k == len(DAOPHOT_ROW) else DAOPHOT_ROW[:5]
    return ListTable(
        "daophot", {n: data[:, j] if data.size else np.empty(0) for j, n in enumerate(known)}, {}, meta
    )


def _two_lines(rows: list[str]) -> dict[str, NDArray]:
    """Return the columns of aperture photometry: id, x, y, magnitudes; below them sky, its scatter, skew, errors."""
    if len(rows) % 2:
        raise FrameError("truncated", f"{len(rows)} lines of rows; two a star needed")
    upper, lower = _numbers(rows[0::2]), _numbers(rows[1::2])
    if not upper.size:
        return {name: np.empty(0) for name in ("ID", "X", "Y", "MAG", "SKY", "MERR")}
    if upper.shape[1] < 4 or lower.shape[1] != upper.shape[1]:
        raise FrameError(
            "no_column", f"lines of {upper.shape[1]} and {lower.shape[1]} numbers: not DAOPHOT's"
        )
    columns = {"ID": upper[:, 0], "X": upper[:, 1], "Y": upper[:, 2], "SKY": lower[:, 0]}
    for k in range(upper.shape[1] - 3):
        tail = f"[{k}]" if k else ""
        columns[f"MAG{tail}"], columns[f"MERR{tail}"] = upper[:, 3 + k], lower[:, 3 + k]
    return columns


def iraf(text: str) -> ListTable:
    """Read a text database of IRAF's apphot or daophot: `#K` settings, `#N` names, `#F` widths, then records.

    The lines of a record end in a backslash but the last; fields have fixed widths and may touch. Further lines of
    the last kind are further apertures: NAME is the first one's, NAME[1] the next one's.
    """
    lines = text.splitlines()
    meta = {}
    for line in lines:
        match = re.match(r"#K\s+(\S+)\s*=\s*(\S+)", line)
        if match:
            meta[match[1]] = match[2].strip('"')
    names, units = _cells(lines, "#N"), _cells(lines, "#U")
    widths = [[int(w) for w in re.findall(r"%-?(\d+)", line)] for line in lines if line.startswith("#F")]
    if not names or [len(g) for g in names] != [len(w) for w in widths]:
        raise FrameError("unreadable", "the lines #N and #F do not name columns and their widths")
    told = {n: u for group, row in zip(names, units) if len(group) == len(row) for n, u in zip(group, row)}
    columns = {}
    for k, rows in enumerate(
        _records([line for line in lines if line.strip() and line[0] != "#"], len(names))
    ):
        group = min(k, len(names) - 1)
        for name, field in zip(names[group], _fields(rows, widths[group])):
            columns[f"{name}[{k - group}]" if k > group else name] = field
    return ListTable("iraf", columns, told, meta)


def _cells(lines: list[str], mark: str) -> list[list[str]]:
    return [line[2:].replace("\\", " ").split() for line in lines if line.startswith(mark)]


def _records(body: list[str], least: int) -> list[list[str]]:
    """Return the lines of all records by their place in the record."""
    ends = [k for k, line in enumerate(body) if not line.rstrip().endswith("\\")]
    sizes = {b - a for a, b in zip([-1, *ends], ends)}
    if not body:
        return [[] for _ in range(least)]
    if len(sizes) != 1 or min(sizes) < least or ends[-1] != len(body) - 1:
        shown = ", ".join(map(str, sorted(sizes)[:4]))
        raise FrameError("unreadable", f"records of {shown} lines; the header names {least}: cut short?")
    n = sizes.pop()
    return [body[k::n] for k in range(n)]


def _fields(rows: list[str], widths: list[int]) -> list[NDArray]:
    """Cut lines into fields of fixed widths."""
    edges = np.cumsum([0, *widths]).tolist()
    return [_column(np.array([row[a:b].strip() for row in rows], str)) for a, b in itertools.pairwise(edges)]


def _column(words: NDArray) -> NDArray:
    """Return numbers where a column holds nothing else (INDEF is NaN), else its text."""
    try:
        return np.where(words == "INDEF", "nan", words).astype(np.float64)
    except ValueError:
        return np.where(words == "INDEF", "", words)
