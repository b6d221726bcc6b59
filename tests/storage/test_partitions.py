"""Partitions come when they are needed, once, also from two sides at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sqlalchemy import text

from photodb.storage import tables
from photodb.storage.bulk import copy_in
from photodb.storage.partitions import (
    create_solution_partition,
    drop_solution_partition,
    ensure_partitions,
    partitions,
)
from tests.storage.rows import detection_rows, dtype_of


def test_frames_of_one_range_share_a_partition(database):
    with database.begin() as conn:
        for frame_id in (1, 9_999, 10_000, 1):
            ensure_partitions(conn, frame_id)
        assert partitions(conn, "detection") == ["detection_p0", "detection_p1"]
        assert partitions(conn, "astrometric_match") == ["astrometric_match_p0", "astrometric_match_p1"]


def test_rows_go_to_their_partition(database):
    with database.begin() as conn:
        for frame_id in (9_999, 10_000):
            ensure_partitions(conn, frame_id)
            copy_in(conn, "detection", detection_rows(frame_id, n=3))
        count = text("SELECT tableoid::regclass::text, count(*) FROM detection GROUP BY 1 ORDER BY 1")
        assert conn.execute(count).all() == [("detection_p0", 3), ("detection_p1", 3)]


def test_two_at_once_make_one(database):
    def make(i):
        with database.begin() as conn:
            ensure_partitions(conn, 25_000)
            return create_solution_partition(conn, 3)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(make, range(16))) == {"light_curve_point_s3"}
    with database.begin() as conn:
        assert partitions(conn, "detection") == ["detection_p2"]


def test_a_reader_is_not_held_up(database):
    with database.begin() as writer, database.begin() as reader:
        reader.execute(text("SET LOCAL lock_timeout = '2s'"))
        ensure_partitions(writer, 1)
        create_solution_partition(writer, 1)
        assert reader.scalar(text("SELECT count(*) FROM detection")) == 0
        assert reader.scalar(text("SELECT count(*) FROM light_curve_point")) == 0


def test_a_partition_has_the_keys_of_its_table(database):
    query = text("SELECT indexdef FROM pg_indexes WHERE tablename = 'detection_p0' ORDER BY 1")
    with database.begin() as conn:
        ensure_partitions(conn, 0)
        keys = [definition.split(" USING ")[1] for definition in conn.scalars(query)]
    assert sorted(keys) == ["btree (frame_id, cell, detection_id)", "btree (source_id)"]


def test_light_curves_of_a_solution_come_and_go(database):
    rows = np.zeros(1, dtype_of(tables.light_curve_point))
    with database.begin() as conn:
        for solution_id in (4, 5):
            rows["solution_id"] = solution_id
            create_solution_partition(conn, solution_id)
            copy_in(conn, "light_curve_point", rows)
        drop_solution_partition(conn, 4)
        drop_solution_partition(conn, 4)
        assert conn.scalars(text("SELECT solution_id FROM light_curve_point")).all() == [5]


def test_a_size_frozen_in_the_archive_is_obeyed(database):
    with database.begin() as conn:
        conn.execute(text("UPDATE archive SET frames_per_partition = 10"))
        ensure_partitions(conn, 42)
        assert partitions(conn, "detection") == ["detection_p4"]
        bound = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'detection_p4'"
        assert conn.scalar(text(bound)) == "FOR VALUES FROM ('40') TO ('50')"
