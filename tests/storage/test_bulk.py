"""COPY BINARY against plain SELECT and INSERT."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sqlalchemy import text

from photodb.errors import UsageError
from photodb.storage import bulk
from photodb.storage.bulk import copy_in, copy_out

TABLE = """
CREATE TEMP TABLE t (b bool, i2 int2, i4 int4, i8 int8, f4 real, f8 float8, a4 real[], a8 float8[], ai int4[],
                     "class" int2 DEFAULT 7, serial bigserial)
"""
COLUMNS = "b, i2, i4, i8, f4, f8, a4, a8, ai"
DTYPE = [("b", "?"), ("i2", "i2"), ("i4", "i4"), ("i8", "i8"), ("f4", "f4"), ("f8", "f8")]
DTYPE += [("a4", "f4", (3,)), ("a8", "f8", (2,)), ("ai", "i4", (1,))]


@pytest.fixture
def conn(database):
    with database.begin() as conn:
        conn.execute(text(TABLE))
        yield conn


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_goes_in_is_what_select_gives(conn, data):
    rows = data.draw(hnp.arrays(np.dtype(DTYPE), st.integers(0, 40)))
    conn.execute(text("DELETE FROM t"))
    assert copy_in(conn, "t", rows) == len(rows)
    plain = conn.execute(text(f"SELECT {COLUMNS} FROM t ORDER BY serial")).all()
    back = np.zeros(len(rows), DTYPE)
    for i, row in enumerate(plain):
        back[i] = tuple(row)
    out = copy_out(conn, f"SELECT {COLUMNS} FROM t ORDER BY serial", DTYPE)
    for name in rows.dtype.names:
        np.testing.assert_array_equal(back[name], rows[name])
        np.testing.assert_array_equal(out[name], rows[name])


@pytest.mark.parametrize("block_bytes", [64, 1000, 4 << 20])
def test_blocks_of_any_size_give_the_same_rows(conn, monkeypatch, block_bytes):
    monkeypatch.setattr(bulk, "BLOCK_BYTES", block_bytes)
    rows = np.zeros(2000, DTYPE)
    rows["i4"] = np.arange(2000)
    rows["a4"] = np.arange(6000).reshape(2000, 3)
    copy_in(conn, "t", rows)
    out = copy_out(conn, f"SELECT {COLUMNS} FROM t WHERE i4 >= %s ORDER BY i4", DTYPE, [np.int32(5)])
    np.testing.assert_array_equal(out, rows[5:])


def test_defaults_fill_the_other_columns(conn):
    copy_in(conn, "t", np.array([(3,)], [("i4", "i8")]))
    assert conn.execute(text('SELECT i4, "class", f4 FROM t')).one() == (3, 7, None)


def test_numbers_are_converted_to_the_columns_types(conn):
    rows = np.array([(1.5, 2, 3, 1)], [("f8", "f4"), ("f4", "i4"), ("i8", "u1"), ("b", "i4")])
    copy_in(conn, "t", rows)
    assert conn.execute(text("SELECT f8, f4, i8, b FROM t")).one() == (1.5, 2.0, 3, True)


def test_nan_and_infinity_pass(conn):
    copy_in(conn, "t", np.array([(np.nan,), (np.inf,), (-np.inf,)], [("f4", "f4")]))
    out = copy_out(conn, "SELECT f4, f4 FROM t ORDER BY serial", [("f4", "f4"), ("f8", "f8")])
    np.testing.assert_array_equal(out["f8"], [np.nan, np.inf, -np.inf])


def test_text_takes_the_slower_path(conn):
    conn.execute(text("CREATE TEMP TABLE names (name text, code text, n int, mag real[])"))
    rows = np.zeros(3, [("name", "U20"), ("code", "O"), ("n", "i4"), ("mag", "f4", (2,))])
    rows["name"] = ["α\tCen", "b\\N\n", ""]
    rows["code"] = ["x", None, "'"]
    rows["mag"][1] = [1.5, np.nan]
    copy_in(conn, "names", rows)
    back = conn.execute(text("SELECT name, code, n, mag::text FROM names ORDER BY mag, name")).all()
    assert back == [("", "'", 0, "{0,0}"), ("α\tCen", "x", 0, "{0,0}"), ("b\\N\n", None, 0, "{1.5,NaN}")]


def test_empty_in_and_out(conn):
    assert copy_in(conn, "t", np.zeros(0, DTYPE)) == 0
    out = copy_out(conn, f"SELECT {COLUMNS} FROM t", DTYPE)
    assert out.shape == (0,) and out.dtype == np.dtype(DTYPE)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros(1, [("nothing", "i4")]), "no column nothing"),
        (np.array([(70000,)], [("i2", "i4")]), "beyond its column"),
        (np.array([(1.5,)], [("i4", "f8")]), "does not fit an integer column"),
        (np.zeros(1, [("f4", "f4", (2,))]), "does not fit a column"),
        (np.zeros(1, [("f4", "c8")]), "cannot be copied"),
        (np.zeros(1), "structured array"),
    ],
)
def test_what_does_not_fit_is_told(conn, rows, words):
    with pytest.raises(UsageError, match=words):
        copy_in(conn, "t", rows)


def test_a_table_that_is_not_there(database):
    with pytest.raises(UsageError, match="no table no_such"), database.begin() as conn:
        copy_in(conn, "no_such", np.zeros(1, [("a", "i4")]))


@pytest.mark.parametrize(
    "values", ["(1), (NULL)", "(NULL), (1)", "(NULL)", "(1), (NULL), (2), (3), (4), (NULL)"]
)
def test_null_is_told(database, values):
    with pytest.raises(UsageError, match="NULL"), database.begin() as conn:
        copy_out(conn, f"SELECT x::int FROM (VALUES {values}) AS v(x)", [("x", "i4")])


def test_parameters_are_literals(conn):
    nasty = "'; DROP TABLE t; -- %s"
    out = copy_out(
        conn, "SELECT length(%(s)s), (%(a)s::int8[])[2]", "i4,i8", {"s": nasty, "a": np.array([1, 2])}
    )
    assert out.tolist() == [(len(nasty), 2)]


def test_nothing_is_committed(database):
    with database.begin() as conn:
        conn.execute(text("CREATE TABLE kept (i int)"))
    with pytest.raises(RuntimeError), database.begin() as conn:
        copy_in(conn, "kept", np.array([(1,)], [("i", "i4")]))
        raise RuntimeError
    with database.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM kept")) == 0
