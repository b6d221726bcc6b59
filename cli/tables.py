"""Tables on stdout: for people, for programs, for other astronomers' tools."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

FORMATS = ("table", "json", "jsonl", "csv", "ecsv", "votable")

SCHEMA_VERSION = 1
"""Raised whenever a name or a meaning in the JSON output changes."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that would move a terminal's cursor or change its colours."""

Columns = Sequence[str] | Mapping[str, str]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_table(table: Any, fmt: str = "table", stream: TextIO | None = None, columns: Columns = ()) -> None:
    """Write an astropy Table (or QTable), a structured array or a list of mappings.

    Parameters
    ----------
    table : Table, structured array, or sequence of mappings with the same keys
    fmt : one of `FORMATS`
    columns : names of the columns, for a sequence of mappings that may be empty; or names with their numpy types
        (`{"run_id": "i8", ...}`), which an empty table gets. Without types its columns are text

    Notes
    -----
    `json` is one object with `schema_version` and `rows`; `jsonl` an object a line. NaN is null there and
    `nan` in CSV; units go where the format has a place for them (table, JSON, ECSV, VOTable).
    """
    out = stream or sys.stdout
    if fmt == "ecsv":
        _as_astropy(table, columns).write(out, format="ascii.ecsv")
    elif fmt == "votable":
        _write_votable(_as_astropy(table, columns), out)
    else:
        names, units, rows = _contents(table, columns)
        _WRITERS[fmt](out, names, units, rows)
    out.flush()


def write_record(record: Mapping[str, Any], fmt: str = "table", stream: TextIO | None = None) -> None:
    """Write one thing with many properties: a property a line for people, one object or row for programs."""
    out = stream or sys.stdout
    if fmt == "json":
        json.dump(
            {"schema_version": SCHEMA_VERSION, **{k: plain(v) for k, v in record.items()}}, out, indent=2
        )
        out.write("\n")
    elif fmt == "table":
        width = max(map(len, record), default=0)
        for name, value in record.items():
            out.write(f"{name:<{width}}  {_nested(value, _for_people)}\n")
    elif fmt == "jsonl":
        write_table([record], fmt, out)
    else:
        write_table([{k: _nested(v, lambda cell: cell) for k, v in record.items()}], fmt, out)
    out.flush()


def _nested(value: Any, simple: Any) -> Any:
    """Return lists and mappings as JSON text, and anything else through `simple`."""
    return (
        json.dumps(plain(value)) if isinstance(value, Mapping | list | tuple | np.ndarray) else simple(value)
    )


def plain(value: Any) -> Any:
    """Turn a cell into what JSON has: numpy scalars to numbers, NaN and masked to None, arrays to lists."""
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.float32):
        value = float(str(value))  # 12.345, not 12.345000267028809
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value if isinstance(value, int | bool | str) else str(value)


def _contents(table: Any, columns: Columns) -> tuple[list[str], list[str], Iterator[tuple]]:
    """Return names, units ('' if none) and rows of whatever kind of table was given."""
    if isinstance(table, np.ndarray):
        names = list(table.dtype.names or ())
        return names, [""] * len(names), zip(*(table[n] for n in names), strict=True)
    if hasattr(table, "colnames"):
        units = [str(table[n].unit or "") for n in table.colnames]
        values = [getattr(table[n], "value", table[n]) for n in table.colnames]
        return list(table.colnames), units, zip(*values, strict=True)
    rows = list(table)
    names = list(rows[0]) if rows else list(columns)
    return names, [""] * len(names), (tuple(row[n] for n in names) for row in rows)


def _write_json(out: TextIO, names: Sequence[str], units: Sequence[str], rows: Iterable[tuple]) -> None:
    out.write(f'{{"schema_version": {SCHEMA_VERSION}, "units": ')
    json.dump({n: u for n, u in zip(names, units, strict=True) if u}, out)
    out.write(', "rows": [')
    before = "\n"
    for row in rows:
        out.write(before + json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False))
        before = ",\n"
    out.write("\n]}\n")


def _write_jsonl(out: TextIO, names: Sequence[str], units: Sequence[str], rows: Iterable[tuple]) -> None:
    for row in rows:
        out.write(json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False) + "\n")


def _write_csv(out: TextIO, names: Sequence[str], units: Sequence[str], rows: Iterable[tuple]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)


def _csv_cell(cell: Any) -> str:
    """Write a cell: shortest digits that read back the same, and no text that a spreadsheet would run."""
    if cell is None or cell is np.ma.masked:
        return ""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, np.ndarray | list | tuple | Mapping):
        return json.dumps(plain(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat()
    text = str(cell)
    guarded = isinstance(cell, str) and text.startswith(_FORMULA_STARTS) and not _is_number(text)
    return "'" + text if guarded else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_aligned(out: TextIO, names: Sequence[str], units: Sequence[str], rows: Iterable[tuple]) -> None:
    """Write columns side by side; numbers to the right; a line of units where there are any."""
    raw = list(rows)
    cells = [[_for_people(cell) for cell in row] for row in raw]
    head = [list(names), list(units)] if any(units) else [list(names)]
    if not names:
        return
    widths = [max(len(line[i]) for line in [*head, *cells]) for i in range(len(names))]
    right = [
        all(isinstance(row[i], int | float | np.number) for row in raw) and bool(raw)
        for i in range(len(names))
    ]
    for line in [*head, ["-" * w for w in widths], *cells]:
        padded = (t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right, strict=True))
        out.write("  ".join(padded).rstrip() + "\n")


def _for_people(cell: Any) -> str:
    """Write a cell with the digits that people want: times and angles in full, the rest to six."""
    if cell is None or cell is np.ma.masked:
        return ""
    if isinstance(cell, float | np.floating):
        return _digits(float(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    text = cell if isinstance(cell, str) else _csv_cell(cell)
    return _CONTROL.sub("?", " ".join(text.split()))


def _digits(value: float) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else str(value)
    return f"{value:.6f}".rstrip("0").rstrip(".") if 1e-3 <= abs(value) < 1e8 else f"{value:.6g}"


def _as_astropy(table: Any, columns: Columns) -> Any:
    """Return an astropy Table whose columns every writer takes: text as str, no objects."""
    from astropy.table import Table

    made = Table(table if hasattr(table, "colnames") else _columns(table, columns))
    for name in made.colnames:
        if made[name].dtype.hasobject:
            made[name] = [_csv_cell(cell) for cell in made[name]]
    return made


def _columns(table: Any, columns: Columns) -> dict[str, Any]:
    if isinstance(table, np.ndarray):
        return {n: table[n] for n in table.dtype.names or ()}
    rows = list(table)
    if not rows:
        types = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "U1")
        return {name: np.empty(0, kind) for name, kind in types.items()}
    return {n: _column([row[n] for row in rows]) for n in rows[0]}


def _column(cells: list[Any]) -> list[Any]:
    """Make cells of one kind: numbers with NaN for none, or text."""
    if all(cell is None or isinstance(cell, bool | int | float | np.number) for cell in cells):
        return [math.nan if cell is None else cell for cell in cells]
    return [cell if isinstance(cell, str) else _csv_cell(cell) for cell in cells]


def _write_votable(table: Any, out: TextIO) -> None:
    import io
    import warnings

    from astropy.io.votable.exceptions import W50

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W50)  # electrons: a unit of the VOUnits standard that astropy doubts
        table.write(buffer, format="votable")
    out.write(buffer.getvalue().decode("utf-8"))


_WRITERS = {"table": _write_aligned, "json": _write_json, "jsonl": _write_jsonl, "csv": _write_csv}
