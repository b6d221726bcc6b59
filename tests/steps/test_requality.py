"""Quality measured again from files: over boxes and masks, beside what ingest measured."""

import shutil

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.errors import NothingMatched
from photodb.images.quality import Areas
from photodb.simulate.survey import simulate
from photodb.steps import judge
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.judge import FrameFilter
from photodb.steps.requality import measure
from photodb.steps.runs import undo_run

BOX = (50, 50, 200, 180)
MASK = (0, 0, 399, 299)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    out = tmp_path_factory.mktemp("night") / "sim"
    simulate(out, n_frames=5, n_stars=150, n_telescopes=1, n_nights=1, seed=31)
    return out / "frames"


def ranges(db):
    names = ("frame_id", "dynamic_range", "nonuniformity")
    return judge.frame_columns(db, FrameFilter(), names)


def test_a_box_counts_from_its_measurement_until_that_is_undone(database, night):
    ingest(database, [night], IngestSettings(jobs=0))
    before = ranges(database)
    report = measure(database, FrameFilter(), Areas(BOX), jobs=0)
    assert (report.n_measured, report.n_known, report.failed) == (5, 0, {})
    after = ranges(database)
    assert (after["dynamic_range"] < before["dynamic_range"]).all()
    np.testing.assert_array_equal(after["nonuniformity"], before["nonuniformity"])
    with database.begin() as conn:
        stored = conn.execute(text("SELECT dynamic_range FROM frame ORDER BY mjd")).scalars().all()
        run_id = conn.scalar(text("SELECT max(run_id) FROM run WHERE command = 'qa measure'"))
    np.testing.assert_array_equal(np.array(stored, "f4"), before["dynamic_range"])
    assert measure(database, FrameFilter(), Areas(BOX), jobs=0).n_known == 5
    assert judge.describe_frame(database, "1")["quality"][0]["box"] == list(BOX)
    assert undo_run(database, run_id) == {"frame_quality": 5}
    np.testing.assert_array_equal(ranges(database)["dynamic_range"], before["dynamic_range"])


def test_the_same_areas_at_ingest_and_afterwards_give_the_same_numbers(database, night):
    areas = Areas(BOX, ((60, 60, 90, 90), (300, 300, 500, 400)))
    ingest(database, [night], IngestSettings(jobs=0, box=areas.box, masks=areas.masks))
    before = ranges(database)
    assert measure(database, FrameFilter(), areas, jobs=2).n_measured == 5
    after = ranges(database)
    for name in ("dynamic_range", "nonuniformity"):
        np.testing.assert_array_equal(after[name], before[name])


def test_files_that_are_gone_or_others_are_told_and_the_rest_is_measured(database, night, tmp_path):
    here = shutil.copytree(night, tmp_path / "frames")
    ingest(database, [here], IngestSettings(jobs=0))
    first, second = sorted(here.rglob("*.fits"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes() + b"\0" * 2880)
    report = measure(database, FrameFilter(), Areas(BOX), jobs=0)
    assert report.n_measured == 3 and report.outcome == "partial"
    assert "is gone" in report.failed[1] and "bytes differ" in report.failed[2]
    report = measure(database, FrameFilter(), Areas((5000, 5000, 6000, 6000)), jobs=0)
    assert report.n_measured == 0 and "100 needed" in report.failed[3]


def test_nothing_is_written_by_a_dry_run(database, night):
    ingest(database, [night], IngestSettings(jobs=0))
    report = measure(database, FrameFilter(), Areas(BOX), dry_run=True)
    assert report.n_frames == 5 and report.n_measured == 0
    with database.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM frame_quality")) == 0
        assert conn.scalar(text("SELECT count(*) FROM run WHERE command = 'qa measure'")) == 0
    with pytest.raises(NothingMatched):
        measure(database, FrameFilter(band="K"), Areas(BOX), dry_run=True)


def test_stars_in_masks_are_measured_but_do_not_register(database, night):
    report = ingest(database, [night], IngestSettings(jobs=0, masks=(MASK,)))
    assert report.n_accepted == 5
    query = text(
        "SELECT d.flags & :bit <> 0 AS masked, count(*), count(m.detection_id) FROM detection d "
        "LEFT JOIN astrometric_match m USING (frame_id, cell, detection_id) GROUP BY 1 ORDER BY 1"
    )
    with database.begin() as conn:
        (_, n_free, matched), (_, n_masked, masked_matched) = conn.execute(query, {"bit": int(Flag.MASKED)})
        inside = conn.scalar(text("SELECT count(*) FROM detection WHERE x < 399 AND y < 299"))
    assert n_masked >= inside > 50 and matched > 100 and n_free > n_masked
    assert masked_matched == 0
