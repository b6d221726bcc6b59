"""The door to an archive's database: find it, start it if embedded, check its schema, give connections."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, create_engine, exc

from photodb.errors import ConfigurationError, StorageError, UsageError
from photodb.settings import ArchiveLocation, mask_password, resolve_archive
from photodb.storage import migrate
from photodb.storage.binaries import OLDEST_MAJOR
from photodb.storage.server import EmbeddedServer, Lease

SESSION = (
    "SET TIME ZONE 'UTC'; SET jit = off; SET extra_float_digits = 1; "
    "SET default_transaction_isolation = 'read committed'"
)
CONNECT_SECONDS = "10"


class Database:
    """An open archive database.

    Attributes
    ----------
    location : str
        Where it is, without a password.
    engine : sqlalchemy.Engine
        SQLAlchemy's engine over psycopg.
    server : EmbeddedServer or None
        The embedded server, if it is one; it stays up while the database is open.
    """

    def __init__(
        self,
        location: str,
        conninfo: dict[str, Any],
        server: EmbeddedServer | None = None,
        lease: Lease | None = None,
    ) -> None:
        self.location = location
        self.server = server
        self._lease = lease
        self._conninfo = conninfo
        self._starting = threading.Lock()
        self.engine: Engine = create_engine(
            "postgresql+psycopg://", creator=self._connect, pool_pre_ping=True, pool_size=4, max_overflow=16
        )

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a connection in one transaction: committed at the end, rolled back on any exception.

        Raises
        ------
        StorageError
            The server cannot be reached, went away, or has no room left.
        """
        with _told(self.location), self.engine.begin() as conn:
            yield conn

    @contextlib.contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Open a connection without a transaction, for what cannot run in one (VACUUM, CREATE DATABASE)."""
        with _told(self.location), self.engine.connect() as conn:
            yield conn.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def conninfo(self) -> dict[str, Any]:
        """libpq's parameters of a connection, with the password if one was given: never print them."""
        return dict(self._conninfo)

    def close(self) -> None:
        """Close all connections and let go of the embedded server; a second call does nothing."""
        self.engine.dispose()
        if self._lease is not None:
            self._lease.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({self.location!r})"

    def _connect(self) -> psycopg.Connection:
        """Connect; an embedded server that died is started again."""
        try:
            return connect(self._conninfo)
        except psycopg.OperationalError:
            if self.server is None:
                raise
            with self._starting:
                self.server.ensure()
                self._conninfo = {**self._conninfo, **self.server.conninfo(self._conninfo["dbname"])}
            return connect(self._conninfo)


def connect(conninfo: dict[str, Any]) -> psycopg.Connection:
    """Connect with psycopg and set what the archive relies on: UTC, READ COMMITTED, exact floats."""
    defaults = {"connect_timeout": CONNECT_SECONDS, "application_name": "photodb"}
    conn = psycopg.connect(make_conninfo(**{**defaults, **conninfo}), autocommit=True)
    conn.execute(SESSION)
    conn.autocommit = False
    return conn


def open_database(location: str | None = None, check_schema: bool = True) -> Database:
    """Open an archive.

    Parameters
    ----------
    location : str, optional
        Folder or URL; else PHOTODB_ARCHIVE, else ./photodb.toml.
    check_schema : bool, optional
        Whether to insist on the schema that this version of photodb writes.

    Raises
    ------
    ConfigurationError
        No archive there.
    StorageError
        The database cannot be reached or started, or is older than PostgreSQL 14.
    SchemaError
        The schema is older or newer than this version of photodb.
    """
    return open_location(resolve_archive(location), check_schema)


def open_location(where: ArchiveLocation, check_schema: bool = True) -> Database:
    """Open the archive of a resolved location; see `open_database`."""
    db = _embedded(where) if where.directory is not None else _by_url(where)
    try:
        with db.begin() as conn:
            _check_version(conn, db.location)
            if check_schema:
                migrate.check_head(conn)
    except BaseException:
        db.close()
        raise
    return db


def _embedded(where: ArchiveLocation) -> Database:
    assert where.directory is not None
    server = EmbeddedServer(where.directory, where.server)
    if not server.exists():
        raise ConfigurationError(
            f"the archive in {where.directory} (from {where.origin}) has no database; make it with: "
            f"photodb init '{where.directory}'"
        )
    lease = server.lease()
    return Database(str(where), server.conninfo(), server, lease)


def _by_url(where: ArchiveLocation) -> Database:
    assert where.url is not None
    try:
        return Database(str(where), conninfo_to_dict(where.url))
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"{where}: {mask_password(str(error)).strip()}") from None


def _check_version(conn: Connection, location: str) -> None:
    version = conn.connection.driver_connection.info.server_version  # type: ignore[union-attr]
    if version < OLDEST_MAJOR * 10000:
        raise StorageError(
            f"{location} runs PostgreSQL {version // 10000}; photodb needs {OLDEST_MAJOR} or newer: give "
            "another server with --url, or use the embedded one"
        )


@contextlib.contextmanager
def _told(location: str) -> Iterator[None]:
    """Turn failures of the database as such into StorageError, values it cannot hold into UsageError."""
    try:
        yield
    except exc.OperationalError as error:
        raise StorageError(_words(location, error.orig or error)) from error
    except exc.IntegrityError as error:
        told = _first_line(error.orig or error)
        raise StorageError(
            f"database {location}: {told}; the archive changed meanwhile: run the command again"
        ) from error
    except exc.DataError as error:
        raise UsageError(
            f"a value that the archive cannot hold: {_first_line(error.orig or error)}"
        ) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise StorageError(_words(location, error.orig or error)) from error
        raise
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
        raise StorageError(_words(location, error)) from error


def _first_line(error: BaseException) -> str:
    return next(iter(mask_password(str(error)).splitlines()), type(error).__name__)


def _words(location: str, error: BaseException) -> str:
    text = " ".join(mask_password(str(error)).split())
    if isinstance(error, psycopg.errors.DiskFull):
        advice = (
            "the disk of the database is full; nothing of this step was written: make room and run it again"
        )
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        advice = "the database user lacks a right: the archive's user must own the database or its schema"
    elif isinstance(error, psycopg.errors.QueryCanceled):
        advice = "the server cancelled the query (its statement timeout?)"
    else:
        advice = (
            "check it with 'photodb doctor'; what was committed is safe, and the command, run again, resumes"
        )
    return f"database {location}: {text}; {advice}"
