"""Look the machine and the archive over: each finding is fine, a warning or a failure, with what to do."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from photodb.errors import PhotodbError, SchemaError
from photodb.settings import FILE, VARIABLE, ArchiveLocation, resolve_archive
from photodb.steps.clocks import check_clocks, doubted_frames
from photodb.storage import migrate, places, runs, serverconf, serveruser
from photodb.storage.binaries import find_binaries
from photodb.storage.engine import Database, open_location
from photodb.storage.server import EmbeddedServer

OLDEST_PYTHON = (3, 11)
LITTLE_SPACE = 2 << 30
OLD_EARTH_ROTATION_DAYS = 365
PACKAGES = (
    "numpy",
    "scipy",
    "astropy",
    "photutils",
    "sep",
    "numba",
    "sqlalchemy",
    "psycopg",
    "alembic",
    "click",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its state is 'ok', 'warn' or 'fail'."""

    what: str
    state: str
    text: str


def examine(location: str | None) -> Iterator[Finding]:
    """Look at the machine, then at the archive, starting its server if need be."""
    yield from (look() for look in (_python, _packages, _earth_rotation, _binaries, _user, _memory))
    try:
        where = resolve_archive(location)
    except PhotodbError as error:
        named = location or os.environ.get(VARIABLE) or Path(FILE).exists()
        yield Finding("archive", "fail" if named else "warn", str(error))
        return
    yield Finding("archive", "ok", f"{where} (from {where.origin})")
    yield from _settings_file(where)
    if where.directory is not None:
        yield from _embedded(where)
    yield from _database(where)


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "fail", f"{version}; 3.11 or newer is needed")
    return Finding("python", "ok", version)


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "fail", f"missing: {', '.join(missing)}; reinstall photodb with pip")
    return Finding("packages", "ok", ", ".join(found))


def _earth_rotation() -> Finding:
    """Tell how old the table of the earth's rotation is; beyond it altitudes lose 13 arcsec, times microseconds."""
    what = "earth rotation"
    try:
        version = importlib.metadata.version("astropy-iers-data")
        year, month, day = (int(part) for part in re.findall(r"\d+", version)[1:4])
        age = (datetime.date.today() - datetime.date(year, month, day)).days
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return Finding(what, "warn", "no dated astropy-iers-data; install it for leap seconds to come")
    if age > OLD_EARTH_ROTATION_DAYS:
        advice = "newer leap seconds are not known: pip install -U astropy-iers-data"
        return Finding(what, "warn", f"table of {year}-{month:02}-{day:02}, {age} days old; {advice}")
    return Finding(what, "ok", f"table of {year}-{month:02}-{day:02}")


def _binaries() -> Finding:
    try:
        binaries = find_binaries()
    except PhotodbError as error:
        return Finding("postgresql", "warn", str(error))
    return Finding("postgresql", "ok", f"PostgreSQL {binaries.major} in {binaries.folder}")


def _user() -> Finding:
    try:
        user = serveruser.server_user()
    except PhotodbError as error:
        return Finding("server user", "warn", str(error))
    if user.prefix:
        return Finding("server user", "ok", "root: the server runs in a user namespace")
    if user.name:
        text = (
            f"namespaces are refused to root: '{user.name}' runs the server, its data where that user reaches"
        )
        return Finding("server user", "warn", text)
    return Finding("server user", "ok", "an ordinary user: the server runs as you")


def _memory() -> Finding:
    memory = serverconf.memory_bytes() / 2**30
    state, advice = (
        ("ok", "") if memory >= 2 else ("warn", "; 2 GB or more are better: solve fewer frames at once")
    )
    return Finding("memory", state, f"{memory:.1f} GB{advice}")


def _settings_file(where: ArchiveLocation) -> Iterator[Finding]:
    path = Path(where.origin)
    if path.name != FILE or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if where.url and "***" in str(where) and mode & 0o077:
        text = f"{path} holds a password and others can read it (mode {mode:04o}); run: chmod 600 '{path}'"
        yield Finding("settings", "fail", text)
    else:
        yield Finding("settings", "ok", f"{path} (mode {mode:04o})")


def _embedded(where: ArchiveLocation) -> Iterator[Finding]:
    assert where.directory is not None
    server = EmbeddedServer(where.directory, where.server)
    yield _disk_space(server.home if server.home.exists() else where.directory)
    try:
        place = places.read_place(server.home)
    except PhotodbError as error:
        yield Finding("server folder", "fail", str(error))
        return
    if place is not None:
        yield Finding("server folder", "ok", f"data {place.data}, log {place.log}")
        yield Finding("socket", "ok", place.socket + "/" + places.SOCKET_NAME)


def _disk_space(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < LITTLE_SPACE:
        advice = "a frame of 5,000 stars takes about 1 MB, a solution half as much again: make room"
        return Finding("disk space", "warn", f"{free / 2**30:.1f} GB free at {existing}; {advice}")
    return Finding("disk space", "ok", f"{free / 2**30:.0f} GB free at {existing}")


def _database(where: ArchiveLocation) -> Iterator[Finding]:
    try:
        db = open_location(where, check_schema=False)
    except PhotodbError as error:
        yield Finding("server", "fail", str(error))
        return
    looks: list[Callable[[Database], Finding]] = [_server, _rights, _schema, _runs, _times]
    with db:
        for look in looks:
            try:
                finding = look(db)
            except PhotodbError as error:
                finding = Finding(look.__name__.strip("_"), "fail", str(error))
            yield finding
            if finding.state == "fail":  # what follows would only fail too
                return


def _server(db: Database) -> Finding:
    with db.begin() as conn:
        version = migrate.server_version(conn)
    kind = f"embedded, process {db.server.pid()}" if db.server else "by URL"
    return Finding("server", "ok", f"PostgreSQL {version}, {kind}")


def _schema(db: Database) -> Finding:
    with db.begin() as conn:
        try:
            migrate.check_head(conn)
        except SchemaError as error:
            return Finding("schema", "fail", str(error))
    return Finding("schema", "ok", f"at {migrate.HEAD}, the newest")


def _rights(db: Database) -> Finding:
    """Tell whether the user may make the partitions that frames and solutions need."""
    with db.begin() as conn:
        allowed = migrate.may_create(conn)
    if not allowed:
        text = (
            "the database user may not make tables in its schema: GRANT CREATE ON SCHEMA public TO the user"
        )
        return Finding("rights", "fail", text)
    return Finding("rights", "ok", "may read, write and make tables")


def _runs(db: Database) -> Finding:
    with db.begin() as conn:
        dead = runs.dead_runs(conn)
    if dead:
        first = dead[0]
        text = f"run {first['run_id']} ({first['command']}) was cut off; the same command, run again, goes on"
        return Finding("runs", "warn", text)
    return Finding("runs", "ok", "none was cut off")


def _times(db: Database) -> Finding:
    """Tell which cameras' clocks cannot be right, and how many frames are doubted."""
    clocks = [str(finding) for finding in check_clocks(db)]
    doubted = doubted_frames(db)
    if clocks or doubted:
        return Finding("times", "warn", "; ".join([*clocks, doubted]).strip("; "))
    return Finding("times", "ok", "sun, targets and pointings are where they can be")
