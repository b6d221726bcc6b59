"""Rows in and out by COPY BINARY, as numpy structured arrays.

A structured array is written as one buffer: a twin of its dtype holds PostgreSQL's field counts and length
prefixes between the values, all big-endian, so that neither side touches a row. Array columns are subarray
fields with a constant header. Text columns take the slower COPY of rows. Nothing here commits.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection

from photodb.errors import UsageError

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = SIGNATURE + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
BLOCK_BYTES = 4 << 20
"""Size of the buffers that are handed over at once."""


@dataclass(frozen=True)
class Kind:
    """A type that PostgreSQL and numpy both know: its names, numpy's big-endian code and its OID."""

    name: str
    code: str
    oid: int


KINDS = {
    kind.name: kind
    for kind in (
        Kind("bool", "?", 16),
        Kind("int2", ">i2", 21),
        Kind("int4", ">i4", 23),
        Kind("int8", ">i8", 20),
        Kind("float4", ">f4", 700),
        Kind("float8", ">f8", 701),
    )
}
BY_NUMPY = {"b1": "bool", "i2": "int2", "i4": "int4", "i8": "int8", "f4": "float4", "f8": "float8"}
BY_NUMPY |= {"i1": "int2", "u1": "int2", "u2": "int4", "u4": "int8"}

COLUMN_TYPES = """
SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""


def copy_in(conn: Connection, table_name: str, rows: NDArray[Any]) -> int:
    """Append rows to a table and return how many.

    Parameters
    ----------
    conn : Connection
        In a transaction, which the caller commits.
    table_name : str
        Table or partition; may carry a schema.
    rows : structured array, (n,)
        Fields are named as columns; columns that are not among them take their defaults. Numbers are
        converted to the column's type. A subarray field ``(name, 'f4', (k,))`` fills an array column. Text
        (U, S, object) is allowed, and slower.

    Raises
    ------
    UsageError
        A field that is no column, a type that cannot be copied, an integer out of the column's range.
    """
    names = rows.dtype.names
    if names is None:
        raise UsageError(f"copy_in to {table_name} needs a structured array, not one of {rows.dtype}")
    if len(rows) == 0:
        return 0
    driver = driver_of(conn)
    types = _column_types(driver, table_name)
    unknown = [name for name in names if name not in types]
    if unknown:
        raise UsageError(f"{table_name} has no column {', '.join(unknown)}")
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    target = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(*table_name.split(".")), columns)
    if all(types[name].lstrip("_") in KINDS for name in names):
        _copy_binary(driver, target + sql.SQL(" (FORMAT BINARY)"), rows, types)
    else:
        _copy_rows(driver, target, rows)
    return len(rows)


def copy_out(
    conn: Connection, select: str, dtype: Any, params: Sequence[Any] | Mapping[str, Any] | None = None
) -> NDArray[Any]:
    """Run a SELECT and return its rows as a structured array.

    Parameters
    ----------
    conn : Connection
        In a transaction.
    select : str
        SQL text; its columns in the order of `dtype`, numbers and booleans (or arrays of one length), no
        NULL. They are cast to the types of `dtype`.
    dtype : numpy dtype
        Structured; fields of bool, int2, int4, int8, float4, float8, or one-dimensional subarrays of those.
    params : sequence or mapping, optional
        Values of ``%s`` or ``%(name)s`` in the text, put in as literals. Numpy scalars and arrays are
        welcome.

    Raises
    ------
    UsageError
        A NULL, an array of another length, or a field type that PostgreSQL does not have.
    """
    wanted = np.dtype(dtype)
    if wanted.names is None:
        raise UsageError(f"copy_out needs a structured dtype, not {wanted}")
    layout = _layout(wanted, [kind_of(wanted[name]) for name in wanted.names])
    driver = driver_of(conn)
    text = select if params is None else _mogrify(driver, select, params)
    casts = ", ".join(f"c{i}::{_sql_type(wanted[name])}" for i, name in enumerate(wanted.names))
    aliases = ", ".join(f"c{i}" for i in range(len(wanted.names)))
    statement = f"COPY (SELECT {casts} FROM (\n{text}\n) AS q({aliases})) TO STDOUT (FORMAT BINARY)"
    blocks: list[NDArray[Any]] = []
    pending = bytearray()
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for message in copy:
            pending += message
            if len(pending) >= BLOCK_BYTES:
                pending = _take_rows(pending, layout, wanted, blocks)
    pending = _take_rows(pending, layout, wanted, blocks)
    if bytes(pending[-2:]) != TRAILER or len(pending) != (2 if blocks else len(HEADER) + 2):
        raise UsageError(f"a NULL, or an array of another length, in one of {', '.join(wanted.names)}")
    if not blocks:
        return np.empty(0, wanted)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _take_rows(
    pending: bytearray, layout: np.dtype, wanted: np.dtype, blocks: list[NDArray[Any]]
) -> bytearray:
    """Move whole rows from the buffer to the blocks, return what is left; the first call drops the header."""
    start = 0 if blocks else len(HEADER)
    n = (len(pending) - start) // layout.itemsize
    if len(pending) - start - n * layout.itemsize < 2 and pending[-2:] != TRAILER and n > 0:
        n -= 1  # never take what might be half of the trailer
    if n <= 0:
        return pending
    raw = np.frombuffer(pending, layout, count=n, offset=start)
    expected = _empty(layout, wanted)
    for name in layout.names or ():
        if name.startswith("_") and not (raw[name] == expected[name]).all():
            raise UsageError(
                f"a NULL, or an array of another length, in one of {', '.join(wanted.names or ())}"
            )
    block = np.empty(n, wanted)
    for i, name in enumerate(wanted.names or ()):
        block[name] = raw[f"v{i}"]["v"] if wanted[name].subdtype else raw[f"v{i}"]
    del raw
    blocks.append(block)
    return pending[start + n * layout.itemsize :]


def _copy_binary(
    driver: psycopg.Connection, statement: sql.Composed, rows: NDArray[Any], types: dict[str, str]
) -> None:
    names = rows.dtype.names or ()
    kinds = [KINDS[types[name].lstrip("_")] for name in names]
    for name in names:
        _check_shape(name, rows.dtype[name], types[name])
    layout = _layout(rows.dtype, kinds)
    size = max(1, min(len(rows), BLOCK_BYTES // layout.itemsize))
    buffer = np.empty(size, layout)
    buffer[:] = _empty(layout, rows.dtype)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEADER)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            block = buffer[: len(part)]
            for i, name in enumerate(names):
                _check_range(name, part[name], kinds[i])
                if rows.dtype[name].subdtype:
                    block[f"v{i}"]["v"] = part[name]
                else:
                    block[f"v{i}"] = part[name]
            copy.write(block.view(np.uint8).data)
        copy.write(TRAILER)


def _copy_rows(driver: psycopg.Connection, statement: sql.Composed, rows: NDArray[Any]) -> None:
    """Copy row by row, for tables with text."""
    decoded = rows.astype([(n, _text_type(rows.dtype[n])) for n in rows.dtype.names or ()])
    columns = [decoded[name].tolist() for name in decoded.dtype.names or ()]
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in zip(*columns, strict=True):
            copy.write_row(row)


def _layout(rows: np.dtype, kinds: list[Kind]) -> np.dtype:
    """Build the dtype of one row in COPY BINARY: field count, then length and value of each column.

    Constants are named with a leading underscore, values `v0`, `v1`, ...; an array value is a nested record
    of its header and, for each element, length and value.
    """
    fields: list[Any] = [("_count", ">i2")]
    for i, (name, kind) in enumerate(zip(rows.names or (), kinds, strict=True)):
        fields.append((f"_n{i}", ">i4"))
        sub = rows[name].subdtype
        if sub is None:
            fields.append((f"v{i}", kind.code))
            continue
        fields.append((f"_a{i}", ">i4", (5 if sub[1][0] else 3,)))
        fields.append((f"v{i}", [("n", ">i4"), ("v", kind.code)], sub[1]))
    return np.dtype(fields)


def _empty(layout: np.dtype, rows: np.dtype) -> NDArray[Any]:
    """Return one row with all its constants."""
    row = np.zeros((), layout)
    names = rows.names or ()
    row["_count"] = len(names)
    for i, name in enumerate(names):
        row[f"_n{i}"] = layout[f"v{i}"].itemsize
        sub = rows[name].subdtype
        if sub is not None:
            element = layout[f"v{i}"].subdtype[0]["v"]  # type: ignore[index]
            length = sub[1][0]
            oid = next(kind.oid for kind in KINDS.values() if np.dtype(kind.code) == element)
            row[f"_a{i}"] = [1, 0, oid, length, 1] if length else [0, 0, oid]
            row[f"_n{i}"] += layout[f"_a{i}"].itemsize
            row[f"v{i}"]["n"] = element.itemsize
    return row


def kind_of(field: np.dtype) -> Kind:
    base = field.base.str[1:]
    if base not in BY_NUMPY or (field.subdtype and len(field.shape) != 1):
        raise UsageError(
            f"a field of type {field} cannot be copied; use bool, integers, floats or (k,) of those"
        )
    return KINDS[BY_NUMPY[base]]


def _sql_type(field: np.dtype) -> str:
    return kind_of(field).name + ("[]" if field.subdtype else "")


def _check_shape(name: str, field: np.dtype, column_type: str) -> None:
    if field.base.kind not in "biuf" or (field.subdtype and len(field.shape) != 1):
        raise UsageError(f"field {name} of type {field} cannot be copied into a column of type {column_type}")
    if (field.subdtype is not None) != column_type.startswith("_"):
        raise UsageError(
            f"field {name} of type {field} does not fit a column of type {column_type.lstrip('_')}"
        )
    if field.base.kind == "f" and column_type.lstrip("_") not in ("float4", "float8"):
        raise UsageError(f"field {name} of type {field} does not fit an integer column ({column_type})")


def _check_range(name: str, values: NDArray[Any], kind: Kind) -> None:
    target = np.dtype(kind.code)
    if target.kind != "i" or values.size == 0 or np.can_cast(values.dtype, target):
        return
    limits = np.iinfo(target)
    if values.min() < limits.min or values.max() > limits.max:
        raise UsageError(
            f"field {name} holds {values.min()} to {values.max()}, beyond its column ({kind.name})"
        )


def _text_type(field: np.dtype) -> Any:
    if field.kind == "S":
        return f"U{max(field.itemsize, 1)}"
    return field


def _column_types(driver: psycopg.Connection, table_name: str) -> dict[str, str]:
    name = sql.Identifier(*table_name.split(".")).as_string(driver)
    try:
        return dict(driver.execute(COLUMN_TYPES, (name,)).fetchall())
    except psycopg.errors.UndefinedTable:
        raise UsageError(f"there is no table {table_name}") from None


def _mogrify(driver: psycopg.Connection, text: str, params: Sequence[Any] | Mapping[str, Any]) -> str:
    if isinstance(params, Mapping):
        plain: Any = {name: _plain(value) for name, value in params.items()}
    else:
        plain = [_plain(value) for value in params]
    return psycopg.ClientCursor(driver).mogrify(text, plain)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def driver_of(conn: Connection) -> psycopg.Connection:
    """Return the psycopg connection below SQLAlchemy's, in its transaction."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
