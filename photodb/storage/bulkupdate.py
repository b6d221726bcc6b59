"""Update many rows by key in one statement, numbers given as PostgreSQL's binary arrays."""

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

from photodb.storage.bulk import driver_of, kind_of


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
