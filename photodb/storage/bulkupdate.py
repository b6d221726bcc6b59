"""Columns of numbers in and out as PostgreSQL's binary arrays: one message for all rows.

For some thousand rows at once: quicker than COPY, which hands over each row by itself. `bulk` is for millions.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection

from photodb.errors import UsageError
from photodb.storage.bulk import driver_of, kind_of

ARRAY_HEADER = 20
"""Bytes before the elements of a binary array of one dimension: dimensions, has-NULL, type, length, lower bound."""


def fetch_columns(conn: Connection, select: str, dtype: Any, params: Sequence[Any] = ()) -> NDArray[Any]:
    """Run a SELECT and return its rows as a structured array, fetched column by column.

    Parameters
    ----------
    select : SQL text with %s for `params` (numbers; arrays, with a cast to their type); its columns in the order
        of `dtype`, no NULL.
    dtype : structured numpy dtype of plain numbers.

    Raises
    ------
    UsageError : a NULL in a column.
    """
    wanted = np.dtype(dtype)
    kinds = [kind_of(wanted[name]) for name in wanted.names or ()]
    columns = ", ".join(f"array_agg(c{i}::{kind.name})" for i, kind in enumerate(kinds))
    names = ", ".join(f"c{i}" for i in range(len(kinds)))
    given = [_Column(p) if isinstance(p, np.ndarray) else p for p in params]
    with driver_of(conn).cursor(binary=True) as cursor:
        cursor.adapters.register_dumper(_Column, _ColumnDumper)
        cursor.execute(f"SELECT {columns} FROM ({select}) AS q({names})".encode(), given)
        result = cursor.pgresult
        assert result is not None
        values = [result.get_value(0, i) for i in range(len(kinds))]
    if not values or values[0] is None:
        return np.empty(0, wanted)
    rows: NDArray[Any] = np.empty(struct.unpack_from(">i", values[0], ARRAY_HEADER - 8)[0], wanted)
    for name, kind, value in zip(wanted.names or (), kinds, values, strict=True):
        if value is None or struct.unpack_from(">i", value, 4)[0]:
            raise UsageError(f"a NULL in column {name}")
        rows[name] = np.frombuffer(value, [("n", ">i4"), ("v", kind.code)], offset=ARRAY_HEADER)["v"]
    return rows


def update_rows(conn: Connection, table_name: str, rows: NDArray[Any], keys: Sequence[str]) -> int:
    """Update rows of a table by key in one statement and return how many there were.

    Parameters
    ----------
    rows : structured array (n,) of numbers
        Fields are named as columns; those of `keys` find the row, the others are set.
    """
    names = rows.dtype.names or ()
    if not len(rows):
        return 0
    driver = driver_of(conn)
    types = {name: kind_of(rows.dtype[name]).name for name in names}
    given = ", ".join(f"%s::{types[name]}[]" for name in names)
    statement = sql.SQL("UPDATE {} AS t SET {} FROM unnest(" + given + ") AS u({}) WHERE {}").format(
        sql.Identifier(table_name),
        sql.SQL(", ").join(
            sql.SQL("{0} = u.{0}").format(sql.Identifier(name)) for name in names if name not in keys
        ),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(" AND ").join(sql.SQL("t.{0} = u.{0}").format(sql.Identifier(name)) for name in keys),
    )
    with driver.cursor() as cursor:
        cursor.adapters.register_dumper(_Column, _ColumnDumper)
        return cursor.execute(statement, [_Column(rows[name]) for name in names], binary=True).rowcount


@dataclass(frozen=True)
class _Column:
    """Numbers on their way into a statement, as one array of PostgreSQL's."""

    values: NDArray[Any]


class _ColumnDumper(psycopg.adapt.Dumper):
    """Writes numbers in PostgreSQL's binary form of an array, without touching them one by one."""

    format = psycopg.pq.Format.BINARY

    def dump(self, obj: _Column) -> bytes:
        """Return header, then length and value of each element."""
        kind = kind_of(obj.values.dtype)
        cells = np.empty(len(obj.values), [("n", ">i4"), ("v", kind.code)])
        cells["n"], cells["v"] = np.dtype(kind.code).itemsize, obj.values
        return struct.pack(">iiiii", 1, 0, kind.oid, len(cells), 1) + cells.tobytes()
