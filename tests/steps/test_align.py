"""Registration through a field: drift beyond the frame, bad first frames, another reference, frames of two cameras."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.match import Affine
from photodb.steps.align import choose_others
from photodb.steps.ingest import IngestSettings, ingest
from photodb.storage.registrations import Registered, is_followed, refer_to, registered_with

from ..images.sky_frames import star_image, write_frame

HERE = IngestSettings(jobs=0)


def ask(db, query, **values):
    with db.begin() as conn:
        return [tuple(r) for r in conn.execute(text(query), values)]


def write_cuts(folder, counts, corners, size=(300, 300), first=0, **cards):
    """Write cuts of one sky as frames a minute apart."""
    for k, (x, y) in enumerate(corners, first):
        cut = counts[y : y + size[1], x : x + size[0]]
        write_frame(
            folder / f"{cards.get('INSTRUME', 'C1')}{k:02d}.fits", cut,
            **{"DATE-OBS": f"2024-03-01T22:{10 + k}:00", "PIXSCALE": 1.0, **cards},
        )  # fmt: skip


@pytest.fixture(scope="module")
def strip():
    return star_image(np.random.default_rng(11), n=420, shape=(300, 1500), flux=(2000.0, 60000.0))[0]


def test_a_drift_beyond_the_field_is_followed(database, tmp_path, strip):
    corners = [(60 * k, 0) for k in range(16)]
    write_cuts(tmp_path, strip, corners)
    report = ingest(database, [tmp_path], HERE)
    assert report.n_accepted == 16, report.rejected
    rows = ask(database, "SELECT shift_x, shift_y, shift_rms, shift_n, via_frame_id, reference_frame_id, "
               "shift_rotation FROM frame ORDER BY mjd")  # fmt: skip
    assert len({r[5] for r in rows}) == 1
    for (x, _), row in zip(corners, rows):
        assert row[0] == pytest.approx(-x, abs=0.2) and row[1] == pytest.approx(0, abs=0.2)
        assert abs(row[6]) < 0.05
    assert rows[2][4] is None and rows[-1][4] is not None  # the last ones share no star with the first
    assert rows[-1][2] > rows[2][2] > 0 and rows[-1][3] > 20
    ids = {r[0] for r in ask(database, "SELECT frame_id FROM frame")}
    by = ask(database, "SELECT DISTINCT m.frame_id, m.reference_detection_id >> 20, f.via_frame_id, "
             "f.reference_frame_id FROM astrometric_match m JOIN frame f USING (frame_id)")  # fmt: skip
    assert by and all(b in ids and b == (via if via is not None else ref) for _, b, via, ref in by)


def maps(db):
    with db.begin() as conn:
        (reference,) = conn.scalars(text("SELECT DISTINCT reference_frame_id FROM frame"))
        return {r.frame_id: r for r in registered_with(conn, reference, accepted=False)}


def test_another_reference_moves_every_shift(database, tmp_path, strip):
    write_cuts(tmp_path, strip, [(0, 0), (40, 0), (90, 0), (150, 0), (230, 0), (300, 0)])
    assert ingest(database, [tmp_path], HERE).n_accepted == 6
    before, ids = maps(database), sorted(maps(database))
    (field_id, camera_id), *_ = ask(database, "SELECT field_id, camera_id FROM field_reference")
    with database.begin() as conn:
        assert is_followed(conn, ids[0]) and refer_to(conn, field_id, camera_id, ids[3]) == 6
    after = maps(database)
    points = np.array([[0.0, 0], [299, 10], [20, 280]])
    for k in ids:
        through = after[k].transform(before[ids[3]].transform(points))
        assert np.allclose(through, before[k].transform(points), atol=1e-9)
    rows = ask(database, "SELECT shift_x, shift_n, via_frame_id FROM frame ORDER BY frame_id")
    assert rows[3] == (0.0, None, None)
    assert [r[0] for r in rows] == pytest.approx([150, 110, 60, 0, -80, -150], abs=0.3)
    assert rows[0][1] > 20 and rows[0][2] is None and rows[1][2] == ids[0]
    assert after[ids[1]].rms > before[ids[1]].rms
    assert ask(database, "SELECT frame_id FROM field_reference") == [(ids[3],)]
    # and the next frame is registered with the new one
    write_cuts(tmp_path, strip, [(330, 0)], first=6)
    ingest(database, [tmp_path], HERE)
    row = ask(database, "SELECT reference_frame_id, shift_x FROM frame ORDER BY frame_id DESC LIMIT 1")[0]
    assert row[0] == ids[3] and row[1] == pytest.approx(-180, abs=0.3)


def test_frames_to_try_are_the_last_the_nearest_and_a_spread():
    def at(frame_id, x, mjd):
        return Registered(frame_id, mjd, (300, 300), Affine(np.eye(2), np.array([x, 0.0])), 0.1, 30)

    known = [at(k, -10.0 * k, 60000 + k) for k in range(30, 0, -1)]
    chosen = [k.frame_id for k in choose_others(known, 60008.2)]
    assert chosen[:2] == [30, 8] and 18 <= chosen[2] <= 20 and len(chosen) == 4
    assert [k.frame_id for k in choose_others(known[:1], 0.0)] == [30]
    assert choose_others([], 0.0) == []


@pytest.mark.parametrize("scale", [1.0, -0.7])
def test_a_shift_makes_the_map_again(scale):
    made = Affine.of_shift((12.0, -7.0), 33.0, scale, (300, 200), (500, 400))
    assert made.scale == pytest.approx(scale) and made.rotation_deg == pytest.approx(33.0)
    assert made.shift((300, 200), (500, 400)) == pytest.approx([12.0, -7.0])
