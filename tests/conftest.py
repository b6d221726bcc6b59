"""Fixtures that every test may ask for: an archive database of its own, an archive folder, the real frames.

The databases come from one PostgreSQL a worker: our own embedded one in a scratch folder, or the server of
PHOTODB_TEST_URL. A migrated template is made once; each test gets a copy of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from photodb.storage import migrate
from photodb.storage.engine import Database
from photodb.storage.server import EmbeddedServer

TEST_URL = os.environ.get("PHOTODB_TEST_URL")
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "256MB"}
"""Settings of scratch servers only: their data need not outlive a crash of the machine."""


@dataclass
class TestServer:
    """A server on which tests make databases; `template` is a migrated, empty archive."""

    __test__ = False
    conninfo: dict[str, Any]
    template: str = ""

    def create(self, template: str | None = None) -> str:
        """Make a database from a template ('template0' for an empty one) and return its name."""
        name = f"photodb_test_{uuid.uuid4().hex[:16]}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._run(statement.format(sql.Identifier(name), sql.Identifier(template or self.template)))
        return name

    def drop(self, name: str) -> None:
        """Drop a database, and throw its users out."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def database(self, name: str) -> Database:
        """Open a database of this server."""
        return Database(name, {**self.conninfo, "dbname": name})

    def url(self, name: str) -> str:
        """Return the URL of a database, as a user would give it."""
        info = {k: v for k, v in self.conninfo.items() if k != "dbname"}
        return f"postgresql:///{name}?" + "&".join(f"{k}={_quote(str(v))}" for k, v in info.items())

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(**self.conninfo, autocommit=True) as conn:
            conn.execute(statement)


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    """A PostgreSQL for the tests of this worker, with a migrated template database."""
    if TEST_URL:
        yield from _with_template(TestServer(conninfo_to_dict(TEST_URL)))
        return
    folder = Path(tempfile.mkdtemp(prefix="photodb-tests-"))
    embedded = EmbeddedServer(folder, FAST, idle_seconds=5)
    lease = embedded.lease()
    try:
        yield from _with_template(TestServer(dict(embedded.conninfo("postgres"))))
    finally:
        lease.close()
        embedded.stop(force=True)
        shutil.rmtree(folder)


def _with_template(tests: TestServer) -> Iterator[TestServer]:
    tests.template = tests.create("template0")
    try:
        with tests.database(tests.template) as db, db.begin() as conn:
            migrate.upgrade(conn)
        yield tests
    finally:
        tests.drop(tests.template)


@pytest.fixture
def empty_database(server: TestServer) -> Iterator[Database]:
    """A database without any table."""
    yield from _opened(server, "template0")


@pytest.fixture
def database(server: TestServer) -> Iterator[Database]:
    """A fresh, migrated archive database of this test's own."""
    yield from _opened(server, server.template)


def _opened(server: TestServer, template: str) -> Iterator[Database]:
    name = server.create(template)
    try:
        with server.database(name) as db:
            yield db
    finally:
        server.drop(name)


@pytest.fixture
def archive_url(server: TestServer) -> Iterator[str]:
    """The URL of a fresh, migrated archive database: what `--archive` takes."""
    name = server.create()
    try:
        yield server.url(name)
    finally:
        server.drop(name)


@pytest.fixture
def another_database(server: EmbeddedServer) -> Iterator[Database]:
    """A second fresh archive database, to compare with the first."""
    name = server.create(server.template)
    try:
        with server.database(name) as db:
            yield db
    finally:
        server.drop(name)


@pytest.fixture
def archive_dir(tmp_path: Path, archive_url: str) -> Path:
    """A folder made an archive, for `--archive`; it uses the tests' server, which costs no start."""
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "photodb.toml").write_text(f'[archive]\nurl = "{archive_url}"\n')
    (folder / "photodb.toml").chmod(0o600)
    return folder


@pytest.fixture
def embedded_archive(tmp_path: Path) -> Iterator[Path]:
    """A folder that `photodb init` made, with an embedded server of its own; slower than `archive_dir`."""
    from photodb.steps.archive import init_embedded

    folder = tmp_path / "embedded"
    init_embedded(folder)
    yield folder
    EmbeddedServer(folder).stop(force=True)


def find_data(name: str = "") -> Path | None:
    """Return a folder or file of the real data: below PHOTODB_DATA, else ../shared/data; None if absent."""
    roots = [os.environ.get("PHOTODB_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"]
    for root in roots:
        if root and (Path(root) / name).exists():
            return Path(root) / name
    return None


@pytest.fixture
def data_dir() -> Callable[[str], Path]:
    """A function that gives a folder or file of the real data by name; skips the test where it is absent."""

    def find(name: str) -> Path:
        path = find_data(name)
        if path is None:
            pytest.skip(f"real data '{name}' are not here: set PHOTODB_DATA to their folder")
        return path

    return find
