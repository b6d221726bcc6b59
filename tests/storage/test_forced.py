"""Frames that wait for their forced measurement, the sources around them, and their rows."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.storage import forced, runs
from tests.storage.rows import add_forced, add_frames

READY = """
UPDATE frame SET wcs = '{}', aperture_radii = '{2,3}', file_hash = path, ra = 30.5, dec = 40.5, radius = :radius,
    gain = 1.5, mjd_start = mjd
"""


@pytest.fixture
def frames(database):
    """Three frames of five sources, measurable."""
    with database.begin() as conn:
        run_id = runs.start_run(conn, "ingest", {}, {})
        made = add_frames(conn, run_id, 3, 5)
        conn.execute(text(READY), {"radius": 0.8})
    return run_id, made


def test_frames_wait_until_they_are_measured(database, frames):
    run_id, made = frames
    with database.begin() as conn:
        waiting = forced.pending(conn)
        assert [f.frame_id for f in waiting] == made
        assert (waiting[0].radii, waiting[0].gain, waiting[0].camera) == ((2.0, 3.0), 1.5, "C")
        add_forced(conn, run_id, made[:1])
        conn.execute(
            text("UPDATE frame SET status = 'rejected', reason = 'x' WHERE frame_id = :f"), {"f": made[1]}
        )
        assert [f.frame_id for f in forced.pending(conn)] == made[2:]
        assert forced.state(conn, made[0]) == ("accepted", 5)
        assert forced.state(conn, made[1]) == ("rejected", -1)
        assert forced.state(conn, 999) == ("gone", -1)


def test_frames_without_pixels_or_place_are_left_out(database, frames):
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET aperture_radii = NULL WHERE frame_id = :f"), {"f": frames[1][0]})
        conn.execute(text("UPDATE frame SET wcs = NULL WHERE frame_id = :f"), {"f": frames[1][1]})
        assert [f.frame_id for f in forced.frames(conn, frames[1])] == frames[1][2:]
        assert forced.frames(conn, frames[1][:1]) == forced.frames(conn, []) == []
        conn.execute(text("UPDATE frame SET source_format = 'csv' WHERE frame_id = :f"), {"f": frames[1][2]})
        assert forced.pending(conn) == []


def test_targets_tell_what_the_frame_saw(database, frames):
    run_id, made = frames
    with database.begin() as conn:
        frame = forced.frames(conn, made[:1])[0]
        conn.execute(
            text("UPDATE detection SET source_id = -1 WHERE detection_id = :d"), {"d": made[0] << 20}
        )
        before = forced.targets(conn, frame)
        assert len(before) == 5 and not before["measured"].any()
        unseen = before["detection_id"] < 0
        assert unseen.sum() == 1 and np.isnan(before["x_seen"][unseen]).all() and before["snr"][unseen] == 0
        assert np.isfinite(before["x_seen"][~unseen]).all() and (before["snr"][~unseen] > 0).all()
        add_forced(conn, run_id, made[:1])
        after = forced.targets(conn, frame)
        assert after["measured"].tolist() == (~unseen).tolist()


def test_a_small_circle_holds_few(database, frames):
    with database.begin() as conn:
        conn.execute(text(READY), {"radius": 1e-4})
        assert len(forced.targets(conn, forced.frames(conn, frames[1])[0])) == 0


def test_rows_added_later_count_too_and_corrections_stay(database, frames):
    run_id, made = frames
    with database.begin() as conn:
        add_forced(conn, run_id, made[:1])
        rows = np.zeros(0, [("cell", "i4")])
        assert forced.insert(conn, made[0], rows, None) == 0
        row = conn.execute(
            text("SELECT n_forced, aperture_corrections->0->>'kind' FROM frame WHERE frame_id = :f"),
            {"f": made[0]},
        )
        assert row.one() == (5, "psf")
        assert forced.insert(conn, made[1], rows, []) == 0 and forced.state(conn, made[1])[1] == 0
