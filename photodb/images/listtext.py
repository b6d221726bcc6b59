"""The texts that SExtractor, DAOPHOT and IRAF write, as plain columns; whole columns at a time, no loop over rows."""

from __future__ import annotations

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
    """Read a text database of IRAF's apphot or daophot: `#K` settings, `#N` names, rows continued by backslashes.

    The last line of names repeats, once an aperture: NAME is the first aperture's, NAME[1] the next one's.
    """
    lines = text.splitlines()
    meta = {}
    for line in lines:
        match = re.match(r"#K\s+(\S+)\s*=\s*(\S+)", line)
        if match:
            meta[match[1]] = match[2].strip('"')
    groups = [line[2:].replace("\\", " ").split() for line in lines if line.startswith("#N")]
    units = [line[2:].replace("\\", " ").split() for line in lines if line.startswith("#U")]
    names = [n for group in groups for n in group]
    body = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    joined = re.sub(r"\*?\\[ \t]*\n", " ", body)
    records = [re.sub(r"\*\s*$", "", r).split() for r in joined.splitlines()]
    if not names:
        raise FrameError("unreadable", "no line #N names the columns")
    if not records:
        return ListTable("iraf", {n: np.empty(0) for n in names}, {}, meta)
    names += _repeated(names, groups[-1], {len(r) for r in records})
    table = np.array(records)
    flat = [u for line in units for u in line]
    known = dict(zip(names, flat)) if len(flat) == sum(map(len, groups)) else {}
    return ListTable("iraf", {n: _column(table[:, k]) for k, n in enumerate(names)}, known, meta)


def _repeated(names: list[str], last: list[str], widths: set[int]) -> list[str]:
    """Return the names of the further apertures, checked against the widths of the records."""
    more = max(widths) - len(names)
    if len(widths) > 1 or more < 0 or more % len(last):
        shown = ", ".join(map(str, sorted(widths)[:4]))
        raise FrameError(
            "unreadable", f"records of {shown} words; {len(names)} columns are named: cut short?"
        )
    return [f"{name}[{k}]" for k in range(1, more // len(last) + 1) for name in last]


def _column(words: NDArray) -> NDArray:
    """Return numbers where a column holds nothing else (INDEF is NaN), else its text."""
    try:
        return np.where(words == "INDEF", "nan", words).astype(np.float64)
    except ValueError:
        return np.where(words == "INDEF", "", words)
