"""Questions in SQL, read only."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from photodb.errors import StorageError, UsageError

READERS = ("select", "with", "values", "table", "explain", "show")
"""The words with which a question may begin."""

MOST_ROWS = 2**63 - 2
"""More rows than this cannot be counted."""

_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()+", re.DOTALL)


def begin_reading(conn: Connection, timeout_s: float) -> None:
    """Make the transaction read only, limit its statements in time, and give up the right to write.

    Must be the first statement of the transaction. A superuser acts as `pg_read_all_data` in it.
    """
    conn.execute(text("SET TRANSACTION READ ONLY"))
    conn.execute(
        text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": f"{int(timeout_s * 1000)}ms"}
    )
    if conn.execute(text("SELECT pg_has_role(current_user, 'pg_read_all_data', 'MEMBER')")).scalar():
        conn.execute(text("SET LOCAL ROLE pg_read_all_data"))


def check_question(sql: str) -> None:
    """Refuse what is not a question.

    Raises
    ------
    UsageError : the text is empty, no text, or begins with another word than `READERS`.
    """
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the query is no UTF-8 text: at character {error.start + 1}") from error
    if "\0" in sql:
        raise UsageError("the query holds a NUL character")
    begins = re.match(r"[A-Za-z]*", _COMMENTS.sub("", sql))
    word = begins.group().lower() if begins else ""
    if word not in READERS:
        told = f"begins with {word.upper()!r}" if word else "says nothing"
        raise UsageError(f"the query {told}; it is read only and begins with {', '.join(READERS).upper()}")


def answer(conn: Connection, sql: str, max_rows: int) -> tuple[list[str], list[tuple], bool]:
    """Ask one question; return the names of the columns, the rows, and whether more rows were left behind.

    The statement goes by the extended protocol, which takes one statement only. Double names get a number.

    Raises
    ------
    UsageError : PostgreSQL does not take the query. StorageError : it ran out of time, or the server went away.
    """
    check_question(sql)
    if not 1 <= max_rows <= MOST_ROWS:
        raise UsageError(f"max_rows {max_rows}: must be from 1 to {MOST_ROWS}")
    raw: Any = conn.connection.driver_connection
    cursor = raw.cursor()
    try:
        stream: Iterator[tuple] = cursor.stream(sql)  # type: ignore[arg-type]
        rows = list(itertools.islice(stream, max_rows + 1))
        described = [column.name for column in cursor.description or ()]
        stream.close()  # type: ignore[attr-defined]
    except psycopg.errors.QueryCanceled as error:
        raise StorageError(
            "the query took longer than its limit; narrow it, or give more time with --timeout"
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise UsageError(f"queries are read only: {_first_line(error)}") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise UsageError(f"queries may only read: {_first_line(error)}") from error
    except psycopg.errors.SyntaxError as error:
        if "multiple commands" in str(error):
            raise UsageError("one question at a time: leave out the semicolon and what follows it") from error
        raise UsageError(f"the query is not understood: {error}".rstrip()) from error
    except psycopg.ProgrammingError as error:
        raise UsageError(f"the query is not understood: {error}".rstrip()) from error
    except psycopg.DataError as error:
        raise UsageError(f"the query fails on its data: {_first_line(error)}") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise UsageError(f"the query is refused: {_first_line(error)}") from error
    names = _distinct(described if rows else _column_names(raw, sql))
    return names, rows[:max_rows], len(rows) > max_rows


def _column_names(raw: Any, sql: str) -> list[str]:
    """Return the names of a query's columns without running it; a stream without rows does not tell them."""
    raw.pgconn.prepare(b"", sql.encode())
    described = raw.pgconn.describe_prepared(b"")
    return [(described.fname(i) or b"").decode() for i in range(described.nfields)]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _distinct(names: list[str]) -> list[str]:
    """Number the second and later columns of one name: mag, mag_2."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return made
