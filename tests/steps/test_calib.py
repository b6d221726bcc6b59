"""Masters in the archive: built before the frames that need them, applied, told, dropped and undone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.errors import FrameError, NothingMatched, UsageError
from photodb.images.headers import CameraDescription
from photodb.images.masterchoice import Choice
from photodb.images.pipeline import read_reduced
from photodb.images.quality import Areas
from photodb.steps.calib import CalibSettings, build
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope
from photodb.steps.mastertables import drop, export_master, master_frames, master_remarks, master_table
from photodb.steps.requality import measure
from photodb.steps.runs import list_runs, undo_run
from photodb.steps.shelf import MasterShelf
from photodb.steps.verify import verify_archive
from photodb.storage import instruments
from photodb.storage.framelists import FrameFilter
from photodb.storage.rowhashes import row_hashes
from tests.helpers.raw_frames import TOML, Detector, write_raw
from tests.images.sky_frames import star_image

HERE = IngestSettings(jobs=0)
SKY = 800.0  # e- a pixel


def ask(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def describe(db, folder, more=""):
    file = Path(folder) / "camera.toml"
    file.write_text(TOML.format(more=more))
    add_telescope(db, file)


@pytest.fixture(scope="module")
def scene():
    """A detector and the light (e-) of a starry sky on it."""
    detector = Detector()
    rng = np.random.default_rng(12)
    counts, *_ = star_image(rng, n=40, shape=detector.shape, fwhm=3.2, sky=0.0, gain=1.0, read_noise=0.0)
    return detector, SKY + counts


@pytest.fixture(scope="module")
def night(tmp_path_factory, scene):
    """Raw frames of one night: bias, darks of 120 s, flats in V and one in R, and science in V and R."""
    detector, light = scene
    folder = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(99)

    def write(name, kind, when, band="V", seconds=0.0, light=0.0):
        counts = detector.expose(rng, light, seconds)
        write_raw(
            folder / f"{name}.fits", counts, kind, seconds, band, f"2024-03-01T{when}", **detector.cards
        )

    for k in range(5):
        write(f"z{k}", "Bias", f"18:0{k}:00")
    for k in range(4):
        write(f"d{k}", "Dark", f"18:1{k}:00", seconds=120.0)
        write(f"f{k}", "Flat", f"18:3{k}:00", seconds=3.0, light=40000.0 - 6000 * k)
    write("fr", "Flat", "18:40:00", band="R", seconds=3.0, light=30000.0)
    for k in range(2):
        write(
            f"a{k}", "Light", f"20:0{k}:00", seconds=60.0, light=light
        )  # sorts before all calibration frames
    write("ar", "Light", "20:10:00", band="R", seconds=60.0, light=light)
    return folder


def copy(night, folder, *patterns):
    folder.mkdir(exist_ok=True)
    for pattern in patterns:
        for path in night.glob(pattern):
            shutil.copy(path, folder)
    return folder


@pytest.fixture
def reduced(database, night, tmp_path):
    describe(database, tmp_path)
    return database, ingest(database, [night], HERE)


def description(db):
    with db.begin() as conn:
        (camera,) = instruments.list_cameras(conn)
    return CameraDescription.from_dict(camera.description, camera.name)


def test_one_ingest_of_everything_builds_the_masters_first_and_applies_them(reduced):
    db, report = reduced
    assert (report.n_accepted, report.n_calibration, report.n_rejected) == (3, 14, 0)
    assert report.n_masters == 3
    rows = ask(
        db, "SELECT kind, n_frames, status, bias_id IS NULL, dark_id IS NULL FROM master ORDER BY 1, 2"
    )
    assert rows == [
        ("bias", 5, "accepted", True, True), ("dark", 4, "accepted", False, True),
        ("flat", 1, "rejected", False, False), ("flat", 4, "accepted", False, False),
    ]  # fmt: skip
    used = ask(
        db,
        "SELECT f.path, array_agg(m.kind ORDER BY m.kind) FROM frame_master JOIN frame f USING (frame_id) "
        "JOIN master m USING (master_id) GROUP BY 1 ORDER BY 1",
    )
    assert [kinds for _, kinds in used] == [["bias", "dark", "flat"]] * 2 + [["bias", "dark"]]


def test_a_reduced_frame_is_the_truth_within_its_noise(reduced, night, scene):
    db, _ = reduced
    detector, light = scene
    d = description(db)
    frame_id = ask(db, "SELECT frame_id FROM frame WHERE path LIKE '%/a0.fits'")[0][0]
    with MasterShelf(db) as shelf:
        _, _, made = read_reduced(night / "a0.fits", d, shelf.of_frames([frame_id])[frame_id])
    _, _, plain = read_reduced(night / "a0.fits", d)
    good = ~made.bad
    assert made.bad[detector.dead].all() and made.bad[detector.hot].all()
    assert made.bad.sum() <= detector.n_hot + detector.n_dead + 5
    expected = detector.flat * light
    noise = np.sqrt(expected + detector.dark * 60 + detector.read_noise**2) / detector.flat
    off = (made.data * detector.gain - light) / noise
    # masters of 4 and 5 frames add their own noise: a twentieth of the variance here
    assert np.std(off[good]) == pytest.approx(1.0, abs=0.05)
    assert abs(off[good].mean()) < 0.05
    corner = np.zeros(good.shape, bool)
    corner[:40, :40] = True
    assert abs(off[good & corner].mean()) < 0.1
    unreduced = (plain.data * detector.gain - light) / noise
    assert np.std(unreduced[good]) > 2 and abs(unreduced[good & corner].mean()) > 2
    # masked pixels carry their neighbours' level: nothing that looks like a star or a hole
    quiet = made.bad & (light < 1.1 * SKY)
    assert np.abs(made.data[quiet] * detector.gain - SKY).max() < 6 * 45


def test_quality_measured_again_is_that_of_the_reduced_frame(reduced):
    db, _ = reduced
    measure(db, FrameFilter(), Areas(), jobs=0)
    rows = ask(
        db,
        "SELECT f.nonuniformity - q.nonuniformity, f.data_max - q.data_max FROM frame f "
        "JOIN frame_quality q USING (frame_id)",
    )
    assert rows == [(0.0, 0.0)] * 3


def test_a_frame_without_its_flat_is_taken_and_flagged(reduced):
    db, _ = reduced
    rows = ask(
        db,
        "SELECT b.name, f.status, f.reason, bool_and(d.flags & :bit <> 0), bool_or(d.flags & :bit <> 0) FROM frame f "
        "JOIN band b USING (band_id) JOIN detection d USING (frame_id) GROUP BY 1, 2, 3 ORDER BY 1, 3",
        bit=int(Flag.UNCALIBRATED),
    )
    assert rows[0][0] == "R" and rows[0][1] == "accepted"
    assert "no flat for band R: the archive has none" not in rows[0][2]
    assert "no flat for band R: this camera's flats are of V" in rows[0][2]
    assert ask(db, "SELECT assumed ->> 'masters' <> '' FROM frame WHERE path LIKE '%/ar.fits'") == [(True,)]
    assert rows[0][3] and all(row[0] == "V" and not row[4] for row in rows[1:])


def test_a_camera_may_refuse_frames_without_a_flat_and_take_them_later(database, night, tmp_path):
    describe(database, tmp_path, 'needs_flat = "refuse"')
    science = copy(night, tmp_path / "science", "a*.fits")
    report = ingest(database, [science], HERE)
    assert (report.n_accepted, report.n_rejected) == (0, 3)
    assert {code for _, code, _ in report.rejected} == {"no_master"}
    assert "no flat for band V: the archive has none of camera RAW1" in report.rejected[0][2]
    assert "photodb calib build" in report.rejected[0][2]
    ingest(database, [copy(night, tmp_path / "flats", "z*.fits", "f*.fits")], HERE)
    again = ingest(database, [science], IngestSettings(jobs=0, retry=True))
    assert (again.n_accepted, again.n_rejected) == (2, 1)  # R has one flat frame, which makes no master


def test_workers_and_parts_give_the_same_masters_and_frames(database, night, tmp_path, reduced_hashes):
    describe(database, tmp_path)
    ingest(database, [night], IngestSettings(jobs=2))
    with database.begin() as conn:
        found = row_hashes(conn, list(reduced_hashes))
    assert found == reduced_hashes


@pytest.fixture(scope="module")
def reduced_hashes(server, night, tmp_path_factory):
    """Hashes of what ingests without workers store, as if the first had been cut off before it built masters."""
    name = server.create()
    with server.database(name) as db:
        folder = tmp_path_factory.mktemp("parts")
        describe(db, folder, "build_masters = false")
        ingest(db, [copy(night, folder / "calibration", "z*", "d*", "f*")], HERE)
        assert ask(db, "SELECT count(*) FROM master") == [(0,)]
        describe(db, folder)
        ingest(db, [folder / "calibration"], HERE)  # nothing new but the masters
        ingest(db, [night], HERE)
        with db.begin() as conn:
            yield row_hashes(conn, ["master", "master_frame", "frame_master", "frame", "detection"])
    server.drop(name)


def test_building_again_builds_nothing_and_rejected_groups_are_tried_again(reduced):
    db, _ = reduced
    report = build(db)
    assert report.n_known == 3 and [b.status for b in report.built] == ["rejected"]
    assert "1 flat frame, 2 needed" in report.built[0].reason
    assert report.outcome == "partial"
    assert ask(db, "SELECT count(*) FROM master") == [(4,)]


def test_more_frames_of_the_night_make_a_better_master(database, night, tmp_path):
    describe(database, tmp_path)
    ingest(database, [copy(night, tmp_path / "first", "z[01]*")], HERE)
    ingest(database, [copy(night, tmp_path / "second", "z[234]*", "a0*")], HERE)
    rows = ask(database, "SELECT n_frames, noise, reason FROM master ORDER BY master_id")
    assert [row.n_frames for row in rows] == [2, 5]
    assert rows[1].noise < 0.75 * rows[0].noise and "made of 2 frames" in rows[0].reason
    assert ask(database, "SELECT n_frames FROM frame_master JOIN master USING (master_id)") == [(5,)]


def test_dry_run_plans_and_writes_nothing(database, night, tmp_path):
    describe(database, tmp_path, "build_masters = false")
    ingest(database, [copy(night, tmp_path / "part", "z*", "fr*")], HERE)
    report = build(database, CalibSettings(dry_run=True))
    assert [(b.kind, b.status, b.n_frames) for b in report.built] == [
        ("bias", "planned", 5),
        ("flat", "planned", 1),
    ]
    assert ask(database, "SELECT count(*) FROM master") == [(0,)]
    assert len(list_runs(database, "calib build")) == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"night": 58000}, "no calibration frame of night 58000; there are bias, flat R of the nights 60370"),
        ({"kind": "dark"}, "no calibration frame of kind dark; there are bias, flat R"),
        ({"band": "B"}, "no calibration frame of band B; there are bias, flat R"),
    ],
)
def test_nothing_to_build_of_tells_what_there_is(database, night, tmp_path, settings, told):
    describe(database, tmp_path)
    ingest(database, [copy(night, tmp_path / "part", "z*", "fr*")], HERE)
    with pytest.raises(NothingMatched, match=told):
        build(database, CalibSettings(**settings))


def test_an_empty_archive_and_an_unknown_camera_are_told(database):
    with pytest.raises(NothingMatched, match="no calibration frame in the archive"):
        build(database)
    with pytest.raises(UsageError, match="no camera 'x'"):
        build(database, CalibSettings(camera="x"))


def test_bad_calibration_frames_are_left_out_with_the_reason_and_may_leave_too_few(
    database, night, tmp_path, scene
):
    detector, _ = scene
    describe(database, tmp_path, "build_masters = false\nlinear_limit = 45000.0")
    folder = copy(night, tmp_path / "part", "z*", "d0*", "d1*", "f2*", "f3*")
    rng = np.random.default_rng(1)
    bright = detector.expose(rng, 100000.0, 3.0)
    bright[:20] = 65535
    zeros = detector.expose(rng, 30000.0, 3.0)
    zeros[50:100] = 0
    cards = {"band": "V", "seconds": 3.0, **detector.cards}
    write_raw(folder / "bright.fits", bright, "Flat", when="2024-03-01T18:50:00", **cards)
    write_raw(folder / "zeros.fits", zeros, "Flat", when="2024-03-01T18:51:00", **cards)
    other = Detector(shape=(150, 260))
    write_raw(folder / "small.fits", other.expose(rng, 3e4, 3.0), "Flat", when="2024-03-01T18:52:00",
              **{**cards, **other.cards})  # fmt: skip
    ingest(database, [folder], HERE)
    (folder / "d1.fits").unlink()
    report = build(database)
    made = {(b.kind, b.n_frames): b for b in report.built}
    assert made["bias", 5].status == "accepted"
    assert "1 dark frame, 2 needed" in made["dark", 2].reason and "cannot read" in made["dark", 2].reason
    assert made["flat", 4].status == "accepted"
    assert "1 flat frame, 2 needed" in made["flat", 1].reason  # of another size: a group of its own
    left = {Path(why.split(":")[0]).name: why for why in report.left_out}
    assert "10.0% of its pixels are saturated, at most 1%" in left["bright.fits"]
    assert "25.0% of its pixels are 0 or less without bias, at most 5%" in left["zeros.fits"]
    told = "\n".join(master_remarks(database, made["flat", 4].master_id))
    assert "bright.fits" in told and "bias 1 was taken off" in told


def test_a_damaged_master_rejects_the_frame_with_the_reason(database, night, tmp_path):
    describe(database, tmp_path)
    ingest(database, [copy(night, tmp_path / "z", "z*")], HERE)
    ask_none = "UPDATE master SET data_hash = repeat('0', 64)"
    with database.begin() as conn:
        conn.execute(text(ask_none))
    report = ingest(database, [night / "a0.fits"], HERE)
    assert [code for _, code, _ in report.rejected] == ["bad_master"]


def test_masters_are_listed_shown_exported_and_dropped(database, night, tmp_path):
    describe(database, tmp_path)
    ingest(database, [copy(night, tmp_path / "z", "z*", "fr*")], HERE)
    table = master_table(database)
    assert list(table["kind"]) == ["bias", "flat"] and list(table["status"]) == ["accepted", "rejected"]
    assert len(master_frames(database, 1)) == 5
    export_master(database, 1, tmp_path / "bias.fits")
    with pytest.raises(UsageError, match="exists"):
        export_master(database, 1, tmp_path / "bias.fits")
    with pytest.raises(UsageError, match="has no pixels"):
        export_master(database, 2, tmp_path / "flat.fits")
    drop(database, 1, "light leak", dry_run=True)
    assert ask(database, "SELECT status FROM master WHERE master_id = 1") == [("accepted",)]
    drop(database, 1, "light leak")
    assert ask(database, "SELECT count(*) FROM master_piece") == [(0,)]
    report = ingest(database, [night / "a0.fits"], HERE)
    assert report.n_masters == 0 and ask(database, "SELECT count(*) FROM frame_master") == [(0,)]
    with pytest.raises(UsageError, match="rejected already: light leak"):
        drop(database, 1, "again")
    with pytest.raises(NothingMatched, match="no master 9"):
        drop(database, 9, "none")
    with pytest.raises(UsageError, match="'photodb calib build' builds the master anew"):
        undo_run(database, list_runs(database, "calib drop")[0]["run_id"])


def test_undo_takes_masters_back_and_what_used_them_stands_in_the_way(database, night, tmp_path):
    describe(database, tmp_path)
    ingest(database, [copy(night, tmp_path / "calibration", "z*", "d*", "f*")], HERE)
    ingest(database, [copy(night, tmp_path / "science", "a*")], HERE)
    science, calibration = (row["run_id"] for row in list_runs(database, "ingest"))
    with pytest.raises(UsageError, match=f"frames of run {science} were reduced with its masters"):
        undo_run(database, calibration)
    with pytest.raises(UsageError, match="master 1 was used"):
        drop(database, 1, "no")
    undo_run(database, science)
    counts = undo_run(database, calibration)
    assert counts["master"] == 4 and counts["frame"] == 14
    assert [
        ask(database, f"SELECT count(*) FROM {t}")[0][0] for t in ("master", "master_piece", "frame")
    ] == [0] * 3
    assert verify_archive(database, deep=True).problems == []


def test_masters_of_a_build_of_their_own_are_undone_alone(database, night, tmp_path):
    describe(database, tmp_path, "build_masters = false")
    ingest(database, [copy(night, tmp_path / "calibration", "z*", "f*")], HERE)
    build(database)
    built, taken = list_runs(database, "calib build")[0]["run_id"], list_runs(database, "ingest")[0]["run_id"]
    with pytest.raises(UsageError, match=f"master 1 is made of its frames: undo its run {built} first"):
        undo_run(database, taken)
    assert undo_run(database, built) == {"master": 3}
    assert ask(database, "SELECT count(*) FROM frame") == [(10,)]


def test_a_master_of_another_size_is_never_applied(database, night, tmp_path, scene):
    describe(database, tmp_path)
    ingest(database, [copy(night, tmp_path / "z", "z*")], HERE)
    other = Detector(shape=(150, 260))
    rng = np.random.default_rng(5)
    light = star_image(rng, n=30, shape=other.shape, sky=SKY, gain=1.0, read_noise=0.0)[0]
    write_raw(
        tmp_path / "small.fits", other.expose(rng, light, 60.0), when="2024-03-01T21:00:00", **other.cards
    )
    ingest(database, [tmp_path / "small.fits"], HERE)
    (row,) = ask(database, "SELECT status, reason FROM frame WHERE path LIKE '%small.fits'")
    assert row.status == "accepted" and "the frame is 260x150 pixels, the masters 260x200" in row.reason
    d = description(database)
    with MasterShelf(database) as shelf, pytest.raises(FrameError, match="its masters 260x200"):
        read_reduced(tmp_path / "small.fits", d, shelf.correction(Choice(bias=shelf.known[0])))
