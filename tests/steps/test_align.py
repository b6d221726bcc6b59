"""Registration through a field: drift beyond the frame, bad first frames, another reference, frames of two cameras."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.match import Affine
from photodb.errors import NothingMatched, UsageError
from photodb.steps.align import choose_others
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.judge import reject
from photodb.steps.runs import undo_run
from photodb.steps.shifts import set_reference
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


def sky_of(seed, n=400, size=1000.0):
    """Return places (n, 2) around (0, 0) and fluxes of stars."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-size / 2, size / 2, (n, 2)), 3000.0 * (1 - rng.random(n)) ** -0.9


def seen(stars, shape=(300, 400), turn=0.0, scale=1.0, mirror=False, offset=(0.0, 0.0), dim=1.0, seed=0):
    """Return counts of a frame of the stars, turned, scaled, mirrored around its middle."""
    rng = np.random.default_rng([seed, 3])
    (places, flux), (ny, nx) = stars, shape
    z = (places - np.asarray(offset)) @ np.array([1, 1j])
    z = (z.conj() if mirror else z) * scale * np.exp(1j * np.radians(turn))
    x, y = z.real + (nx - 1) / 2, z.imag + (ny - 1) / 2
    image = np.full(shape, 600.0)
    gy, gx = np.mgrid[-8:9, -8:9]
    inside = (x > 10) & (x < nx - 10) & (y > 10) & (y < ny - 10)
    for a, b, f in zip(x[inside], y[inside], np.minimum(flux[inside] * dim, 9e4)):
        i, j = round(b), round(a)
        image[i - 8 : i + 9, j - 8 : j + 9] += (
            f / (2 * np.pi * 1.8) * np.exp(-0.5 * ((gx + j - a) ** 2 + (gy + i - b) ** 2) / 1.8)
        )
    return (rng.poisson(image) + rng.normal(0, 8, shape)) / 2.0


def at(k):
    return {"DATE-OBS": f"2024-03-01T22:{10 + k:02d}:00"}


def test_a_bad_first_frame_stops_nothing(database, tmp_path):
    stars = sky_of(1)
    write_frame(tmp_path / "0.fits", seen(sky_of(99, n=60)), **at(0))  # stars that are not there
    for k in range(1, 5):
        write_frame(tmp_path / f"{k}.fits", seen(stars, offset=(7.0 * k, -4.0 * k), seed=k), **at(k))
    report = ingest(database, [tmp_path], HERE)
    assert report.n_accepted == 5, report.rejected
    rows = ask(database, "SELECT field_id, reference_frame_id, shift_x, reason FROM frame ORDER BY mjd")
    assert len({r[0] for r in rows[1:]}) == 1 and rows[0][0] != rows[1][0]
    assert [r[2] for r in rows[1:]] == pytest.approx([0, -7, -14, -21], abs=0.1)
    assert "which no other frame matches" in rows[1][3]
    # what the field has shown by now outweighs a frame that does not fit
    write_frame(tmp_path / "5.fits", seen(sky_of(98)), **at(5))
    assert [code for _, code, _ in ingest(database, [tmp_path], HERE).rejected] == ["not_registered"]


@pytest.mark.parametrize(("pixscale", "mirror"), [(1.25, False), (None, True)])
def test_two_cameras_without_a_catalogue_share_their_sources(database, tmp_path, pixscale, mirror):
    stars = sky_of(2, n=1500)
    for k in range(2):
        write_frame(tmp_path / f"a{k}.fits", seen(stars, offset=(3.0 * k, 0), seed=k), **at(k))
    for k in range(2, 4):
        counts = seen(stars, (330, 330), turn=123.0, scale=0.8, mirror=mirror, offset=(5.0, 2.0 * k), seed=k)
        write_frame(tmp_path / f"b{k}.fits", counts, INSTRUME="C2", PIXSCALE=pixscale, **at(k))
    report = ingest(database, [tmp_path], HERE)
    assert report.n_accepted == 4, report.rejected
    rows = ask(database, "SELECT astrometry, field_id, camera_id, reference_frame_id, pixel_scale, frame_id "
               "FROM frame ORDER BY mjd")  # fmt: skip
    assert {r[0] for r in rows} == {"approximate"} and len({r[1] for r in rows}) == 1
    assert len({r[2] for r in rows}) == 2 and rows[3][3] == rows[2][5]
    assert rows[2][4] == pytest.approx(1.25, rel=0.002) and rows[3][4] == pytest.approx(1.25, rel=0.002)
    shared = ask(database, "SELECT count(*) FROM (SELECT source_id FROM detection d JOIN frame f USING (frame_id) "
                 "WHERE source_id >= 0 GROUP BY source_id HAVING count(DISTINCT camera_id) = 2) s")  # fmt: skip
    twice = ask(database, "SELECT count(*) FROM source a JOIN source b ON a.source_id < b.source_id "
                "AND abs(a.dec - b.dec) < 1.0 / 3600 AND abs(a.ra - b.ra) < 1.0 / 3600")  # fmt: skip
    assert shared[0][0] > 60 and twice[0][0] <= 2


def shifts(db):
    return ask(db, "SELECT frame_id, reference_frame_id, shift_x, shift_y, shift_rotation, shift_scale, shift_rms, "
               "shift_n, shift_map, via_frame_id FROM frame ORDER BY frame_id")  # fmt: skip


def test_a_reference_is_chosen_by_hand_and_given_back(database, tmp_path):
    stars = sky_of(5, n=900)
    for k in range(4):
        write_frame(tmp_path / f"{k}.fits", seen(stars, offset=(9.0 * k, 0), seed=k), **at(k))
    ingest(database, [tmp_path], HERE)
    before, ids = shifts(database), [row[0] for row in shifts(database)]
    told = set_reference(database, str(ids[2]), dry_run=True)
    assert told.n_frames == 4 and told.before == ids[0] and shifts(database) == before
    set_reference(database, "2.fits")
    assert [row[2] for row in shifts(database)] == pytest.approx([18, 9, 0, -9], abs=0.05)
    with pytest.raises(UsageError, match="already"):
        set_reference(database, str(ids[2]))
    (run_id,) = ask(database, "SELECT run_id FROM run WHERE command = 'shift reference'")[0]
    set_reference(database, str(ids[3]))
    with pytest.raises(UsageError, match="changed again"):
        undo_run(database, run_id)
    undo_run(database, run_id + 1)
    write_frame(tmp_path / "4.fits", seen(stars, offset=(36.0, 0), seed=4), **at(4))
    ingest(database, [tmp_path], HERE)
    undo_run(database, run_id)  # the later frame follows, all others are as they were
    after = shifts(database)
    assert after[:4] == before and after[4][1] == ids[0] and after[4][2] == pytest.approx(-36, abs=0.05)
    assert ask(database, "SELECT frame_id FROM field_reference") == [(ids[0],)]


def test_frames_that_cannot_be_a_reference_are_refused(database, tmp_path):
    stars = sky_of(6, n=900)
    for k in range(2):
        write_frame(tmp_path / f"{k}.fits", seen(stars, offset=(9.0 * k, 0), seed=k), **at(k))
    ingest(database, [tmp_path], HERE)
    with pytest.raises(UsageError, match="2 frames"):
        set_reference(database, f"{shifts(database)[0][0]}-{shifts(database)[1][0]}")
    with pytest.raises(NothingMatched):
        set_reference(database, "99")
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET status = 'rejected', reason = 'x' WHERE path LIKE '%1.fits'"))
    with pytest.raises(UsageError, match="is rejected"):
        set_reference(database, "1.fits")
    assert ask(
        database, "SELECT count(*) FROM run WHERE command = 'shift reference' AND outcome <> 'failed'"
    ) == [(0,)]


def test_a_rejected_reference_gives_way_to_the_best_of_its_frames(database, tmp_path):
    stars = sky_of(7, n=900)
    for k in range(4):
        offset = (9.0 * k, 0.0) if k != 2 else (150.0, 0.0)  # fewer stars in common
        write_frame(tmp_path / f"{k}.fits", seen(stars, offset=offset, seed=k), **at(k))
    ingest(database, [tmp_path], HERE)
    ids = [row[0] for row in shifts(database)]
    reject(database, {ids[0]: "clouds"}, "by_hand", "frame reject")
    write_frame(tmp_path / "4.fits", seen(stars, offset=(36.0, 0), seed=4), **at(4))
    ingest(database, [tmp_path], HERE)
    (reference,) = {row[1] for row in shifts(database)}
    assert reference in (ids[1], ids[3]) and len(ask(database, "SELECT FROM field")) == 1
    first = {ids[1]: 9, ids[3]: 27}[reference]
    assert [row[2] for row in shifts(database)] == pytest.approx(
        [first - v for v in (0, 9, 150, 27, 36)], abs=0.1
    )
