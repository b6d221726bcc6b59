"""Sources that are one star become one at the end of an ingest, also where an earlier one was killed before that."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.sky import separation_deg
from photodb.steps.onestar import has_doubles_to_look_for, merge_doubles
from photodb.steps.verify import verify_archive
from photodb.storage import runs
from photodb.storage.sourcechanges import split_source
from tests.storage.pieces import fill


def ask(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def write(db, sql, **values):
    with db.begin() as conn:
        conn.execute(text(sql), values)


def filled(db, scale=1.0, **more):
    """Stars in three pieces each, on frames that hold them all."""
    made = fill(db, n_pieces=3, n_frames=6, solve=False, force=False, **more)
    (place,) = ask(db, "SELECT avg(ra), avg(dec) FROM source")
    write(
        db, "UPDATE frame SET ra = :ra, dec = :dec, radius = 0.1, kind = 'science', pixel_scale = :scale",
        ra=place[0], dec=place[1], scale=scale,
    )  # fmt: skip
    return made


def living(db):
    return ask(db, "SELECT count(*) FROM source WHERE merged_into < 0")[0][0]


def new_run(db):
    with db.begin() as conn:
        return runs.start_run(conn, "ingest", {}, {})


def test_three_sources_of_one_star_become_one(database):
    made = filled(database, n_stars=4)
    assert merge_doubles(database, made.runs[0]) == 8 and living(database) == 4
    assert verify_archive(database, deep=True).problems == []
    assert merge_doubles(database, made.runs[0]) == 0


def test_what_a_killed_ingest_left_is_looked_at_by_the_next_one_alone(database):
    filled(database)
    assert not has_doubles_to_look_for(database)
    assert merge_doubles(database, new_run(database)) == 0  # all runs came to their end
    write(database, "UPDATE run SET outcome = 'interrupted'")
    assert has_doubles_to_look_for(database)
    run = new_run(database)
    assert merge_doubles(database, run) == 6 and living(database) == 3
    with database.begin() as conn:
        runs.finish_run(conn, run, "done", {})
    assert not has_doubles_to_look_for(database)


def test_what_was_split_meanwhile_and_what_an_error_alone_brings_together_stays_apart(database):
    made = filled(database, n_stars=1)
    merge_doubles(database, made.runs[0])
    (source,) = (row[0] for row in ask(database, "SELECT source_id FROM source WHERE merged_into < 0"))
    with database.begin() as conn:
        split_source(conn, made.runs[0], source, [int(made.detections[0].max())])
    assert merge_doubles(database, made.runs[0]) == 0 and living(database) == 2
    write(database, "DELETE FROM source_history")
    write(database, "UPDATE source SET position_err = 9, reach = 0.01 WHERE merged_into < 0")
    assert merge_doubles(database, made.runs[0]) == 0


@pytest.mark.parametrize("scale", [25.0, 500.0])
def test_cameras_of_coarse_pixels_see_across_the_border_of_cells(database, scale):
    made = filled(database, scale=scale, n_stars=1)
    a, b, c = made.sources[0].tolist()
    apart = 1.5 * scale / 3600
    for source, off in ((a, 0), (b, apart)):
        write(database, "UPDATE detection SET dec = 40 + :off WHERE source_id = :s", s=source, off=off)
    write(database, "UPDATE detection SET source_id = -1, cell = -1 WHERE source_id = :s", s=c)
    write(database, "DELETE FROM source WHERE source_id = :s", s=c)
    write(
        database, "UPDATE source s SET reach = 2 * :scale, dec = d.dec FROM detection d "
        "WHERE d.source_id = s.source_id", scale=scale,
    )  # fmt: skip
    places = np.array(ask(database, "SELECT ra, dec FROM source"), float)
    assert separation_deg(*places[0], *places[1]) > 0.9 * apart
    assert merge_doubles(database, made.runs[0]) == 1
