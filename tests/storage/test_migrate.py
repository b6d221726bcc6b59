"""The migrations and photodb.storage.tables agree, and every migration goes up, down and up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from photodb.errors import SchemaError, UsageError
from photodb.storage import migrate, tables
from photodb.storage.engine import Database

CATALOGUE = """
SELECT c.relname AS name, c.relkind::text AS kind, obj_description(c.oid) AS comment, p.partstrat::text AS strategy,
  ARRAY(SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
               || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
               || coalesce(' -- ' || col_description(c.oid, a.attnum), '')
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum) AS columns,
  ARRAY(SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = c.oid AND contype <> 'n' ORDER BY 1) AS constraints,
  ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = c.oid ORDER BY 1) AS indexes
FROM pg_class c LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v') AND c.relname <> 'alembic_version'
ORDER BY 1
"""


def catalogue(conn):
    """Read all that the database knows of its tables: columns, types, comments, keys, checks, indexes."""
    return {row["name"]: dict(row) for row in conn.execute(text(CATALOGUE.replace(":", "\\:"))).mappings()}


def test_the_migrations_make_exactly_the_tables(database, empty_database):
    with empty_database.begin() as conn:
        tables.metadata.create_all(conn)
        conn.execute(text(tables.CALIBRATED_VIEW))
        conn.execute(text(tables.CALIBRATED_COMMENT))
        for name, comment in tables.CALIBRATED_COMMENTS.items():
            quoted = comment.replace("'", "''")
            conn.execute(text(f"COMMENT ON COLUMN calibrated.{name} IS '{quoted}'"))
        declared = catalogue(conn)
    with database.begin() as conn:
        migrated = catalogue(conn)
    assert sorted(migrated) == sorted(declared)
    assert all(" -- [" in column for column in migrated["calibrated"]["columns"])
    for name, relation in declared.items():
        assert migrated[name] == relation


def test_the_view_is_the_declared_one(database, empty_database):
    with empty_database.begin() as conn:
        tables.metadata.create_all(conn)
        conn.execute(text(tables.CALIBRATED_VIEW))
        declared = conn.scalar(text("SELECT pg_get_viewdef('calibrated')"))
    with database.begin() as conn:
        assert conn.scalar(text("SELECT pg_get_viewdef('calibrated')")) == declared


def test_alembic_finds_no_difference_and_one_where_there_is_one(database):
    with database.begin() as conn:
        assert migrate.differences(conn) == []
        conn.execute(text("ALTER TABLE band DROP COLUMN wavelength"))
        assert "wavelength" in migrate.differences(conn)[0]


def test_every_table_and_column_has_a_comment_and_a_unit():
    for table in tables.metadata.tables.values():
        assert table.comment
        for column in table.columns:
            assert column.comment and column.comment.startswith("[") and "] " in column.comment


def test_up_down_up(empty_database):
    with empty_database.begin() as conn:
        before = catalogue(conn)
        migrate.upgrade(conn)
        first = catalogue(conn)
        migrate.downgrade(conn, "base")
        assert catalogue(conn) == before == {}
        assert migrate.current(conn) is None
        migrate.upgrade(conn)
        assert catalogue(conn) == first
        migrate.check_head(conn)


def test_partitions_go_with_their_tables(database):
    from photodb.storage.partitions import create_solution_partition, ensure_partitions

    with database.begin() as conn:
        ensure_partitions(conn, 1)
        create_solution_partition(conn, 1)
        assert migrate.differences(conn) == []
        migrate.downgrade(conn, "base")
        assert catalogue(conn) == {}


def test_rows_survive_the_step_to_forced_photometry_and_back(database):
    from photodb.storage.verify import row_hashes
    from tests.storage.rows import small_archive

    def content():
        return {
            k: v
            for k, v in row_hashes(conn).items()
            if k not in ("forced", "source_photometry", "frame_photometry")
        }

    small_archive(database)
    with database.begin() as conn:
        before = content()
        migrate.downgrade(conn, "0001")
        assert conn.scalar(text("SELECT to_regclass('forced')")) is None
        assert len(conn.execute(text("SELECT * FROM calibrated")).keys()) == 16
        migrate.upgrade(conn)
        assert content() == before


def test_a_failed_migration_leaves_nothing(empty_database):
    with pytest.raises(RuntimeError), empty_database.begin() as conn:
        migrate.upgrade(conn)
        raise RuntimeError
    with empty_database.begin() as conn:
        assert inspect(conn).get_table_names() == []


def test_the_archive_has_its_row(database):
    with database.begin() as conn:
        row = conn.execute(tables.archive.select()).one()
    assert len(row.archive_uuid) == 36
    assert row.cell_order == tables.CELL_ORDER
    assert row.frames_per_partition == tables.FRAMES_PER_PARTITION


def test_the_head_is_the_newest_migration():
    scripts = ScriptDirectory.from_config(migrate.alembic_config())
    assert scripts.get_current_head() == migrate.HEAD
    assert migrate.history()[0][0] == migrate.HEAD


@pytest.mark.parametrize(
    ("revision", "words"), [(None, "photodb init"), ("0000", "photodb db upgrade"), ("9999", "newer photodb")]
)
def test_another_schema_is_told(empty_database, revision, words):
    with empty_database.begin() as conn:
        if revision:
            conn.execute(text("CREATE TABLE alembic_version (version_num text)"))
            conn.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})
        with pytest.raises(SchemaError, match=words):
            migrate.check_head(conn)


def test_two_upgrades_at_once(server, empty_database):
    from concurrent.futures import ThreadPoolExecutor

    def upgrade(_):
        with Database("x", empty_database.conninfo) as db, db.begin() as conn:
            migrate.upgrade(conn)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upgrade, range(2)))
    with empty_database.begin() as conn:
        migrate.check_head(conn)


def test_developers_run_alembic_with_a_url(server, empty_database):
    root = Path(__file__).resolve().parents[2]
    url = server.url(empty_database.location)
    argv = [
        sys.executable,
        "-m",
        "alembic",
        "-c",
        str(root / "alembic.ini"),
        "-x",
        f"url={url}",
        "upgrade",
        "head",
    ]
    subprocess.run(argv, check=True, capture_output=True, cwd=root, env=dict(os.environ))
    with empty_database.begin() as conn:
        migrate.check_head(conn)


@pytest.mark.parametrize("move", [migrate.upgrade, migrate.downgrade])
def test_no_such_revision_is_told_with_those_that_there_are(database, move):
    with pytest.raises(UsageError, match=r"'nosuch'.*base, 0001, 0002, "), database.begin() as conn:
        move(conn, "nosuch")
