"""Alembic's environment: runs on the connection it is handed, or, for developers, on `-x url=postgresql://...`."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine

from photodb.storage.tables import metadata

BULK_TABLES = ("detection_", "astrometric_match_", "light_curve_point_")


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave out the partitions, which are made as frames and solutions come."""
    return not (kind == "table" and name is not None and name.startswith(BULK_TABLES))


def run(conn: Connection) -> None:
    """Run the migrations on a connection, in its transaction."""
    context.configure(connection=conn, target_metadata=metadata, include_name=include_name, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


def run_by_url() -> None:
    """Run the migrations on the database of `-x url=...`."""
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("alembic: give the database with -x url=postgresql+psycopg://...")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as conn:
        run(conn)


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    run_by_url()
