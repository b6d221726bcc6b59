"""Columns in and out as binary arrays."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.errors import UsageError
from photodb.storage.bulkupdate import fetch_columns, update_rows

KINDS = [("k", "i4"), ("n", "i8"), ("s", "i2"), ("x", "f8"), ("y", "f4"), ("b", "?")]


@pytest.fixture
def filled(database):
    rng = np.random.default_rng()
    rows = np.zeros(1000, KINDS)
    rows["k"], rows["n"] = np.arange(1000), rng.integers(-(2**62), 2**62, 1000)
    rows["s"], rows["x"], rows["y"] = rng.integers(-9, 9, 1000), rng.normal(size=1000), rng.normal(size=1000)
    rows["x"][3], rows["x"][4], rows["b"] = np.nan, np.inf, rng.random(1000) < 0.5
    with database.begin() as conn:
        conn.execute(
            text("CREATE TABLE t (k int PRIMARY KEY, n bigint, s smallint, x float8, y real, b boolean)")
        )
        conn.execute(text("INSERT INTO t (k) SELECT generate_series(0, 1004)"))
        assert update_rows(conn, "t", rows, ("k",)) == 1000
    return rows


def test_what_was_written_is_read_back(database, filled):
    with database.begin() as conn:
        back = fetch_columns(conn, "SELECT * FROM t WHERE k < %s ORDER BY k", KINDS, (1000,))
        assert back.tobytes() == filled.tobytes()
        some = fetch_columns(
            conn,
            "SELECT k FROM t WHERE k = ANY(%s::bigint[]) ORDER BY k",
            [("k", "i4")],
            (np.array([7, 5, 2000]),),
        )
    assert some["k"].tolist() == [5, 7]


def test_nothing_and_null(database, filled):
    with database.begin() as conn:
        assert len(fetch_columns(conn, "SELECT k FROM t WHERE k < 0", [("k", "i4")])) == 0
        assert update_rows(conn, "t", filled[:0], ("k",)) == 0
        with pytest.raises(UsageError, match="a NULL in column n"):
            fetch_columns(conn, "SELECT n FROM t", [("n", "i8")])
