"""The archive's schema: where the migrations are, which one the database has, and moving between them."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

import photodb
from photodb.errors import ConfigurationError, SchemaError, UsageError
from photodb.storage.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0002"
"""The newest migration; written here so that opening an archive need not load Alembic; a test holds it."""

MIGRATION_LOCK = 0x70686F746F6462  # 'photodb'


def migrations_folder() -> Path:
    """Find the migrations: inside the installed package, or beside it in a checkout."""
    spec = importlib.util.find_spec("photodb.migrations")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    beside = Path(photodb.__file__).resolve().parent.parent / "migrations"
    if (beside / "env.py").exists():
        return beside
    raise ConfigurationError(
        f"photodb's migrations are neither inside the package nor at {beside}: reinstall photodb"
    )


def alembic_config(conn: Connection | None = None) -> Config:
    """Build Alembic's configuration in code, with the open connection for env.py."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = conn
    return config


def current(conn: Connection) -> str | None:
    """Return the revision of the database's schema; None if it has none."""
    if conn.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = conn.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def check_head(conn: Connection) -> None:
    """Check that the schema is the one that this version of photodb writes.

    Raises
    ------
    SchemaError
        It is missing, older or newer; names 'photodb db upgrade' or a newer photodb.
    """
    revision = current(conn)
    if revision == HEAD:
        return
    if revision is None:
        raise SchemaError(
            "the database holds no archive; make its tables with 'photodb init' or 'photodb db upgrade'"
        )
    if revision > HEAD:
        raise SchemaError(
            f"the archive's schema is at {revision}, newer than this photodb ({photodb.__version__}, schema "
            f"{HEAD}); use a newer photodb, or 'photodb db downgrade' with the newer one"
        )
    raise SchemaError(
        f"the archive's schema is at {revision}, this photodb ({photodb.__version__}) needs {HEAD}; "
        "bring it up to date with: photodb db upgrade"
    )


def upgrade(conn: Connection, revision: str = "head") -> None:
    """Bring the schema up to a revision, in the connection's transaction; two at once wait for each other.

    Raises
    ------
    UsageError
        No such revision.
    """
    from alembic import command

    _lock(conn)
    with _told(revision):
        command.upgrade(alembic_config(conn), revision)


def downgrade(conn: Connection, revision: str) -> None:
    """Bring the schema down to a revision ('base' drops every table), in the connection's transaction.

    Raises
    ------
    UsageError
        No such revision.
    """
    from alembic import command

    _lock(conn)
    with _told(revision):
        command.downgrade(alembic_config(conn), revision)


@contextlib.contextmanager
def _told(revision: str) -> Iterator[None]:
    """Turn Alembic's refusal of a revision into UsageError, with the revisions that there are."""
    from alembic.util.exc import CommandError

    try:
        yield
    except CommandError as error:
        known = ", ".join(number for number, _ in reversed(history()))
        raise UsageError(
            f"revision {revision!r}: {error}; the revisions are base, {known}, or head for the newest"
        ) from error


def history() -> list[tuple[str, str]]:
    """List the migrations, newest first: revision and what it does."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config())
    return [(script.revision, script.doc) for script in scripts.walk_revisions()]


def differences(conn: Connection) -> list[str]:
    """Compare the database with `photodb.storage.tables`; empty if they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options = {"compare_type": True, "compare_server_default": False, "include_name": _is_ours}
    context = MigrationContext.configure(conn, opts=options)
    return [_one_line(change) for change in compare_metadata(context, metadata)]


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Leave out partitions and tables of others."""
    return kind != "table" or name in metadata.tables


def _one_line(change: object) -> str:
    return " ".join(str(change).split())


def _lock(conn: Connection) -> None:
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


def server_version(conn: Connection) -> str:
    """Return the version of the server, for example '18.4'."""
    version: str = conn.scalar(text("SHOW server_version"))  # type: ignore[assignment]
    return version.split()[0]


def may_create(conn: Connection) -> bool:
    """Tell whether the user may make tables, as the partitions of frames and solutions are."""
    return bool(conn.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")))
