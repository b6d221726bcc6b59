"""Sources measured at their known places: at ingest, afterwards, and for those that came later."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.errors import NothingMatched, UsageError
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.measure import MeasureSettings, _force, _jobs, _write, measure, waiting
from photodb.steps.runs import list_runs, undo_run
from photodb.steps.sourcechange import SplitRule, merge, split
from photodb.steps.verify import verify_archive
from photodb.storage.rowhashes import row_hashes
from photodb.storage.todo import todo
from tests.images.sky_frames import star_image, write_frame

HERE = IngestSettings(jobs=0)
NEW = (400.0, 300.0)  # px, where a star lights up on the last frame
NEW_FLUX = 20000.0  # e-
GAIN = 2.0


def ask(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def hashes(db):
    with db.begin() as conn:
        return row_hashes(conn)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Four frames of one sky; a star lights up on the last, and one star in five is too faint to be always seen."""
    folder = tmp_path_factory.mktemp("night")
    rng = np.random.default_rng(12)
    expected, *_ = star_image(rng, n=110, flux=(600.0, 60000.0), spacing=22.0, read_noise=0.0)
    gy, gx = np.mgrid[0 : expected.shape[0], 0 : expected.shape[1]]
    sky = expected - np.where(np.hypot(gx - NEW[0], gy - NEW[1]) < 12, expected - 300.0, 0.0)
    sigma = 3.2 / 2.3548
    star = (
        np.exp(-0.5 * ((gx - NEW[0]) ** 2 + (gy - NEW[1]) ** 2) / sigma**2)
        * NEW_FLUX
        / (2 * np.pi * sigma**2)
    )
    for k in range(4):
        noise = rng.normal(0, 1, sky.shape) * np.sqrt(np.maximum(sky, 1) * GAIN + 64) / GAIN
        counts = sky + noise + (star / GAIN if k == 3 else 0)
        write_frame(folder / f"{k}.fits", counts, **{"DATE-OBS": f"2024-03-01T22:1{k}:00"})
    return folder


@pytest.fixture
def filled(database, night):
    """An archive of the four frames, measured as ingest does."""
    report = ingest(database, [night], HERE)
    assert (report.n_accepted, report.not_measured) == (4, [])
    return report


def new_star(db):
    """Return the source that lit up."""
    rows = ask(
        db,
        "SELECT s.source_id FROM source s JOIN detection d USING (source_id) JOIN frame f USING (frame_id) "
        "WHERE s.n_detections = 1 AND abs(d.x - :x) < 1 AND abs(d.y - :y) < 1",
        x=NEW[0],
        y=NEW[1],
    )
    assert len(rows) == 1
    return rows[0][0]


def test_every_source_seen_twice_is_measured_on_every_frame(database, filled):
    sources = ask(database, "SELECT count(*) FROM source WHERE n_detections >= 2")[0][0]
    rows = ask(database, "SELECT frame_id, n_forced, aperture_corrections FROM frame ORDER BY mjd")
    assert sum(r[1] for r in rows) == filled.n_forced
    assert all(sources <= r[1] <= sources + 25 for r in rows)
    kinds = [c["kind"] for c in rows[0][2]]
    assert kinds[0] == "psf" and kinds[1:] == [f"aperture:{k}" for k in range(5)]
    unseen = ask(
        database,
        "SELECT count(*), count(*) FILTER (WHERE flags & :f <> 0), count(*) FILTER (WHERE detection_id < 0) "
        "FROM forced",
        f=int(Flag.FORCED),
    )[0]
    assert unseen[1] == unseen[2] > 3
    lost = ask(
        database,
        "SELECT count(*) FROM detection d WHERE source_id >= 0 AND NOT EXISTS (SELECT FROM forced r WHERE "
        "r.frame_id = d.frame_id AND r.source_id = d.source_id AND r.detection_id = d.detection_id)",
    )
    assert lost == [(0,)]
    assert verify_archive(database).problems == []


def test_a_star_of_the_last_frame_is_measured_on_the_earlier_ones(database, filled):
    source, before = new_star(database), hashes(database)
    of_it = (
        "SELECT flux_psf, flux_psf_err, flux_aperture[3], flux_aperture_err[3], detection_id, forced.run_id "
        "FROM forced JOIN frame USING (frame_id) WHERE source_id = :s ORDER BY mjd"
    )
    seen = ask(database, of_it, s=source)
    assert len(seen) == 1 and seen[0][2] == pytest.approx(NEW_FLUX, rel=0.03)
    dry = measure(database, settings=MeasureSettings(missing=True, jobs=0, dry_run=True))
    assert hashes(database) == before
    report = measure(database, settings=MeasureSettings(missing=True, jobs=0))
    assert (report.outcome, report.n_forced) == ("done", dry.n_forced) and report.n_forced >= 3
    rows = ask(database, of_it, s=source)
    assert len(rows) == 4 and [r[4] >= 0 for r in rows] == [False, False, False, True]
    for flux, error in [(r[0], r[1]) for r in rows[:3]] + [(r[2], r[3]) for r in rows[:3]]:
        assert abs(flux) < 4.5 * error and error < 0.05 * NEW_FLUX
    assert rows[3] == seen[0] and {r[5] for r in rows[:3]} == {list_runs(database, "measure")[0]["run_id"]}
    assert verify_archive(database).problems == []
    again = measure(database, settings=MeasureSettings(missing=True, jobs=0))
    assert (again.n_frames, again.n_forced) == (0, 0)
    undo_run(database, list_runs(database, "measure")[0]["run_id"])
    assert hashes(database) == before


def test_min_detections_keeps_what_was_seen_once_out(database, filled):
    report = measure(database, settings=MeasureSettings(missing=True, min_detections=2, jobs=0))
    assert report.n_forced == 0
    with pytest.raises(UsageError, match="min_detections 0"):
        MeasureSettings(min_detections=0)


def test_frames_are_chosen_by_name_and_filter(database, filled):
    last = ask(database, "SELECT max(frame_id) FROM frame")[0][0]
    report = measure(database, ["0.fits", str(last)], settings=MeasureSettings(missing=True, jobs=0))
    assert report.n_measured <= 2 and report.n_forced >= 1
    source = new_star(database)
    assert len(ask(database, "SELECT 1 FROM forced WHERE source_id = :s", s=source)) == 2
    with pytest.raises(NothingMatched, match="no frame with the path"):
        measure(database, ["nowhere.fits"])


def test_what_waits_is_measured_by_the_next_ingest(database, filled, night):
    before = hashes(database)
    with database.begin() as conn:
        conn.execute(text("DELETE FROM forced WHERE frame_id IN (SELECT max(frame_id) FROM frame)"))
        conn.execute(
            text(
                "UPDATE frame SET n_forced = NULL, aperture_corrections = NULL "
                "WHERE frame_id = (SELECT max(frame_id) FROM frame)"
            )
        )
    report = ingest(database, [night], HERE)
    assert (report.n_new, report.n_known) == (0, 4) and report.n_forced > 50
    assert hashes(database) == before
    assert ingest(database, [night], HERE).n_forced == 0


def test_files_that_are_gone_or_changed_are_told_and_nothing_is_lost(database, night, tmp_path):
    folder = tmp_path / "moving"
    shutil.copytree(night, folder)
    ingest(database, [folder], HERE)
    before = ask(database, "SELECT count(*) FROM forced")
    (folder / "0.fits").unlink()
    with fits.open(folder / "1.fits", mode="update") as hdus:
        hdus[0].data[5, 5] += 7
    report = measure(database, settings=MeasureSettings(missing=True, jobs=0))
    assert report.outcome == "partial" and report.n_measured == 1
    told = {code: reason for _, _, code, reason in report.failed}
    assert set(told) == {"missing", "changed"}
    assert "put it back" in told["missing"] and "1.fits" in told["changed"]
    after = ask(database, "SELECT count(*) FROM forced")
    assert after[0][0] == before[0][0] + report.n_forced
    assert list_runs(database, "measure")[0]["outcome"] == "partial"
    shutil.copy(night / "0.fits", folder / "0.fits")
    shutil.copy(night / "1.fits", folder / "1.fits")
    assert measure(database, settings=MeasureSettings(missing=True, jobs=0)).outcome == "done"
    assert verify_archive(database).problems == []


def test_frames_whose_files_are_gone_do_not_stop_an_ingest(database, night, tmp_path):
    folder = tmp_path / "moving"
    shutil.copytree(night, folder)
    ingest(database, [folder], HERE)
    with database.begin() as conn:
        conn.execute(text("DELETE FROM forced"))
        conn.execute(text("UPDATE frame SET n_forced = NULL"))
    shutil.rmtree(folder)
    folder.mkdir()
    write_frame(folder / "other.fits", star_image(np.random.default_rng(5))[0], RA="11:00:00", OBJECT="other")
    report = ingest(database, [folder], HERE)
    assert (report.n_accepted, report.outcome) == (1, "done") and report.n_forced > 50
    assert ask(database, "SELECT count(*) FROM frame WHERE n_forced IS NULL") == [(4,)]


def test_workers_measure_as_one_process_does(database, night, filled, server):
    name = server.create(server.template)
    with server.database(name) as other:
        ingest(other, [night], IngestSettings(jobs=2))
        assert hashes(other) == hashes(database)
    server.drop(name)


def test_undoing_the_ingest_takes_its_measurements(database, filled):
    assert undo_run(database, list_runs(database, "ingest")[0]["run_id"])["forced"] == filled.n_forced
    assert ask(database, "SELECT count(*) FROM forced") == [(0,)]


def test_a_rejected_frame_is_left_alone(database, filled):
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET status = 'rejected', reason = 'x' WHERE path LIKE '%0.fits'"))
    report = measure(database, settings=MeasureSettings(missing=True, jobs=0))
    assert report.failed == [] and report.n_measured == 2


def test_measurements_that_came_later_call_for_a_solution(database, filled):
    from photodb.steps.solve import SolveSettings, solve

    solve(database, SolveSettings(min_stars=5))
    with database.begin() as conn:
        assert not todo(conn).solve
    measure(database, settings=MeasureSettings(missing=True, jobs=0))
    with database.begin() as conn:
        assert todo(conn).solve


def measured_frames(db, source):
    """Return the frames on which a source has a measurement with a flux."""
    query = "SELECT frame_id FROM forced WHERE source_id = :s AND flux_aperture[4] <> 'NaN' ORDER BY 1"
    return [row[0] for row in ask(db, query, s=source)]


def test_what_is_split_is_measured_where_it_has_no_measurement_and_merged_again_without(database, filled):
    source = ask(
        database, "SELECT source_id FROM detection WHERE flags = 0 GROUP BY 1 HAVING count(*) = 4 ORDER BY max(mag)"
    )[0][0]  # fmt: skip
    frames = measured_frames(database, source)
    before = hashes(database)
    (change,) = split(database, source, SplitRule(frames=(f"{frames[2]}-{frames[3]}",))).changes
    assert measured_frames(database, source) == frames[:2]
    assert measured_frames(database, change.source_id) == frames[2:]
    measure(database, settings=MeasureSettings(missing=True, jobs=0))
    counts = "SELECT count(*) FROM forced WHERE source_id = :s"
    assert [ask(database, counts, s=s) for s in (source, change.source_id)] == [[(4,)], [(4,)]]
    assert verify_archive(database).problems == []
    split_run, measure_run = (list_runs(database, c)[0]["run_id"] for c in ("source split", "measure"))
    with pytest.raises(UsageError, match=f"run {measure_run} measured the source {source}"):
        undo_run(database, split_run)
    merge(database, source, [change.source_id])
    assert measured_frames(database, source) == frames
    assert verify_archive(database).problems == []
    undo_run(database, list_runs(database, "source merge")[0]["run_id"])
    undo_run(database, measure_run)
    undo_run(database, split_run)
    assert hashes(database) == before


@pytest.mark.parametrize("merged_first", [False, True])
def test_what_is_merged_or_split_between_reading_and_writing_is_one_row_a_source(
    database, filled, merged_first
):
    """Another process changes sources, or undoes what founded one, while the workers measure."""
    source, gone = (
        row[0]
        for row in ask(
            database,
            "SELECT source_id FROM detection WHERE flags = 0 GROUP BY 1 HAVING count(*) = 4 ORDER BY max(mag) LIMIT 2",
        )
    )
    frames = [row[0] for row in ask(database, "SELECT frame_id FROM frame ORDER BY 1")]
    later = SplitRule(frames=(f"{frames[2]}-{frames[3]}",))
    (change,) = split(database, source, later).changes if merged_first else (None,)
    with database.begin() as conn:
        conn.execute(text("DELETE FROM forced"))
        conn.execute(text("UPDATE frame SET n_forced = NULL"))
    jobs = list(_jobs(database, waiting(database)[0], least=1))
    if merged_first:
        merge(database, source, [change.source_id])
    else:
        (change,) = split(database, source, later).changes
    with database.begin() as conn:
        conn.execute(text("UPDATE detection SET source_id = -1, cell = -1 WHERE source_id = :s"), {"s": gone})
        conn.execute(text("DELETE FROM source WHERE source_id = :s"), {"s": gone})
    run = list_runs(database, "ingest")[0]["run_id"]
    assert all(_write(database, run, job, _force(job.job)) > 80 for job in jobs)
    seen = "SELECT frame_id FROM forced WHERE source_id = :s AND detection_id >= 0 ORDER BY 1"
    parts = [frames] if merged_first else [frames[:2], frames[2:]]
    ids = [source] if merged_first else [source, change.source_id]
    assert [[f for (f,) in ask(database, seen, s=s)] for s in ids] == parts
    owners = """SELECT count(*) FROM forced r JOIN source s USING (source_id) LEFT JOIN detection d
                ON d.frame_id = r.frame_id AND d.detection_id = r.detection_id WHERE s.merged_into < 0
                AND (r.detection_id < 0 OR d.source_id = r.source_id)"""
    assert ask(database, owners) == ask(database, "SELECT count(*) FROM forced")


def test_a_frame_placed_anew_while_it_is_measured_waits_on(database, filled):
    with database.begin() as conn:
        conn.execute(text("DELETE FROM forced"))
        conn.execute(text("UPDATE frame SET n_forced = NULL"))
    job = next(_jobs(database, waiting(database)[0], least=2))
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET wcs = jsonb_set(wcs, '{order}', '1') || '{\"placed\": 2}'"))
    assert _write(database, list_runs(database, "ingest")[0]["run_id"], job, _force(job.job)) == -1
    assert ask(database, "SELECT count(*) FROM frame WHERE n_forced IS NULL") == [(4,)]
