"""Frames rejected and restored: by hand, by quality, by shift."""

import pytest
from sqlalchemy import text

from photodb.errors import NothingMatched, UsageError
from photodb.steps import figures, judge, limits
from photodb.steps.judge import FrameFilter
from photodb.steps.limits import Limits, ShiftLimits
from photodb.steps.runs import undo_run
from photodb.storage.todo import todo
from tests.helpers.small_archive import fill


def statuses(db):
    with db.begin() as conn:
        rows = conn.execute(text("SELECT frame_id, status, reason, reason_code FROM frame ORDER BY frame_id"))
        return {i: (status, reason, code) for i, status, reason, code in rows}


def test_reject_and_restore_leave_their_trace(database):
    fill(database, n_frames=4, n_stars=6)
    before = statuses(database)
    report = judge.reject(database, {2: "satellite", 3: "cloud"})
    assert report.changed == {2: "satellite", 3: "cloud"}
    assert statuses(database)[2] == ("rejected", "satellite", "by_hand")
    assert statuses(database)[1][0] == "accepted"
    assert judge.reject(database, {2: "again"}).unchanged == (2,)
    judge.restore(database, [2, 3])
    assert statuses(database) == before
    record = judge.describe_frame(database, "2")
    assert [j["status"] for j in record["judgements"]] == ["rejected", "rejected", "accepted"]
    assert record["judgements"][0]["reason"] == "satellite"
    with database.begin() as conn:
        commands = list(conn.execute(text("SELECT command, outcome FROM run WHERE command LIKE 'frame%'")))
    assert ("frame reject", "done") in commands
    assert ("frame restore", "done") in commands


def test_dry_run_changes_nothing(database):
    fill(database, n_frames=4, n_stars=6)
    before = statuses(database)
    assert judge.reject(database, {2: "satellite"}, dry_run=True).changed == {2: "satellite"}
    assert statuses(database) == before


def test_a_rejection_wants_a_reason(database):
    fill(database, n_frames=4, n_stars=6)
    with pytest.raises(UsageError, match="reason"):
        judge.reject(database, {2: ""})


def test_a_frame_without_measurements_stays_rejected(database):
    fill(database, n_frames=4, n_stars=6)
    with database.begin() as conn:
        conn.execute(
            text("UPDATE frame SET status='rejected', reason='truncated', n_detections=0 WHERE frame_id=1")
        )
    report = judge.restore(database, [1])
    assert not report.changed
    assert "truncated" in report.refused[1]
    assert statuses(database)[1][0] == "rejected"


def test_quality_limits_tell_value_and_limit(database):
    fill(database, n_frames=8, n_stars=6)
    reasons = limits.beyond_limits(database, FrameFilter(), Limits(min_range=8500, max_nonuniformity=11.5))
    # dynamic range 8900 - 101 i, nonuniformity 5 + i
    assert sorted(reasons) == [5, 6, 7, 8]
    assert reasons[5] == "dynamic range 8496 ADU; at least 8500 asked"
    assert reasons[8] == (
        "dynamic range 8193 ADU; at least 8500 asked / background nonuniformity 12 ADU; at most 11.5 asked"
    )


def test_limits_heed_the_filter(database):
    fill(database, n_frames=8, n_stars=6)
    reasons = limits.beyond_limits(database, FrameFilter(camera="castor-ccd"), Limits(min_range=8500))
    assert sorted(reasons) == [6, 8]


def test_shift_limits(database):
    fill(database, n_frames=8, n_stars=6)
    assert sorted(limits.beyond_shift_limits(database, FrameFilter(), ShiftLimits(max_shift=6.0))) == [7, 8]
    assert limits.beyond_shift_limits(database, FrameFilter(), ShiftLimits(max_rms=0.1)) == {}


def test_no_limit_is_a_usage_error(database):
    with pytest.raises(UsageError):
        limits.beyond_limits(database, FrameFilter(), Limits())


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["2"], [2]),
        (["2-4", "3"], [2, 3, 4]),
        (["frame001.fits"], [2]),
        (["night60000/frame000.fits", "/data/night60001/frame002.fits"], [1, 3]),
    ],
)
def test_frames_by_id_range_and_path(database, names, ids):
    fill(database, n_frames=4, n_stars=6)
    assert judge.find_frames(database, names) == ids


@pytest.mark.parametrize("names", [["99"], ["rame001.fits"], ["nothing.fits"], ["%"]])
def test_unknown_frames(database, names):
    fill(database, n_frames=4, n_stars=6)
    with pytest.raises(NothingMatched):
        judge.find_frames(database, names)


def test_zero_points_come_from_the_published_solution(database):
    fill(database, n_frames=4, n_stars=6)
    columns = judge.frame_columns(database, FrameFilter(), ("frame_id", "zero_point", "fwhm", "path"))
    assert columns["zero_point"] == pytest.approx([25.0, 25.001, 25.002, 25.003])


def test_a_filter_that_names_nothing_tells_what_there_is(database):
    fill(database, n_frames=4, n_stars=6)
    asked = Limits(min_range=1.0)
    with pytest.raises(NothingMatched, match=r"no band Q .* bands: R, V"):
        judge.frame_columns(database, FrameFilter(band="Q"), ("frame_id",))
    with pytest.raises(NothingMatched, match=r"no camera none .* castor-ccd, pollux-ccd"):
        limits.beyond_limits(database, FrameFilter(camera="none"), asked)
    with pytest.raises(NothingMatched, match="no science frame of band V, night 5 "):
        limits.beyond_limits(database, FrameFilter(band="V", night=5), asked)
    for draw in (figures.zero_point_columns, figures.residual_columns, figures.coverage_columns):
        with pytest.raises(NothingMatched, match="no camera x"):
            draw(database, camera="x")


@pytest.mark.parametrize("limit", [float("nan"), float("inf")])
def test_limits_are_finite(limit):
    with pytest.raises(UsageError, match="min-range"):
        Limits(min_range=limit)
    with pytest.raises(UsageError, match="max-rms"):
        ShiftLimits(max_rms=limit)


@pytest.mark.parametrize("name", ["9" * 20, "1-" + "9" * 20])
def test_frame_ids_beyond_the_archive(database, name):
    with pytest.raises(UsageError, match="ids of frames"):
        judge.find_frames(database, [name])


def run_of(db, command):
    with db.begin() as conn:
        query = text("SELECT max(run_id) FROM run WHERE command = :command")
        return conn.scalar(query, {"command": command})


def twice(db):
    """Frame 2 rejected by hand and by quality; frames 3 and 4 by one of them."""
    fill(db, n_frames=4, n_stars=6)
    judge.reject(db, {2: "satellite", 3: "cloud"})
    judge.reject(db, {2: "dynamic range", 4: "dynamic range"}, judge.BY_QUALITY, "qa apply")
    return run_of(db, "frame reject"), run_of(db, "qa apply")


def test_each_rejection_stands_by_itself(database):
    by_hand, by_quality = twice(database)
    assert statuses(database)[2] == ("rejected", "satellite", "by_hand")
    report = judge.restore(database, run_id=by_hand)
    assert sorted(report.changed) == [3]
    assert report.kept == {2: f"dynamic range (run {by_quality})"}
    assert statuses(database)[2] == ("rejected", "dynamic range", "qa")
    assert sorted(judge.restore(database, run_id=by_quality).changed) == [2, 4]
    assert {status for status, _, _ in statuses(database).values()} == {"accepted"}


def test_by_frame_every_rejection_of_it_is_taken_back(database):
    twice(database)
    assert sorted(judge.restore(database, [2]).changed) == [2]
    assert statuses(database)[2][0] == "accepted"


def test_restoring_by_code_and_the_last_judgement(database):
    _, by_quality = twice(database)
    assert judge.last_judgement(database) == by_quality
    report = judge.restore(database, reason_code="qa", dry_run=True)
    assert (sorted(report.changed), sorted(report.kept), report.dry_run) == ([4], [2], True)
    assert sorted(judge.restore(database, reason_code="qa").changed) == [4]
    with pytest.raises(NothingMatched, match=r"no rejection of the code qa stands; .* codes: by_hand"):
        judge.restore(database, reason_code="qa")
    judge.restore(database, reason_code="by_hand")
    with pytest.raises(NothingMatched, match="runs with one: none"):
        judge.last_judgement(database)


def test_the_same_rejection_again_is_not_a_second_one(database):
    fill(database, n_frames=4, n_stars=6)
    judge.reject(database, {2: "cloud"})
    assert judge.reject(database, {2: "cloud"}).unchanged == (2,)
    assert len(judge.describe_frame(database, "2")["judgements"]) == 1


def test_undoing_a_judgement_and_undoing_its_undoing(database):
    by_hand, by_quality = twice(database)
    before = statuses(database)
    judge.restore(database, [2, 4])
    restored = run_of(database, "frame restore")
    assert undo_run(database, restored) == {"frame_judgement": 3}
    assert statuses(database) == before
    undo_run(database, by_quality)
    assert [statuses(database)[i][0] for i in (2, 3, 4)] == ["rejected", "rejected", "accepted"]
    undo_run(database, by_hand)
    assert {status for status, _, _ in statuses(database).values()} == {"accepted"}
    with pytest.raises(UsageError, match="none of its judgements stands"):
        undo_run(database, _empty_run(database))


def _empty_run(db):
    judge.reject(db, {1: "cloud"})
    judge.restore(db, [1])
    return run_of(db, "frame reject")


def test_a_remark_comes_back_with_the_frame(database):
    fill(database, n_frames=4, n_stars=6)
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET reason = 'the sun stood high' WHERE frame_id = 1"))
    judge.reject(database, {1: "cloud"})
    judge.reject(database, {1: "satellite"})
    judge.restore(database, [1])
    assert statuses(database)[1] == ("accepted", "the sun stood high", "")


def test_what_ingest_rejected_cannot_be_judged(database):
    fill(database, n_frames=4, n_stars=6)
    with database.begin() as conn:
        conn.execute(
            text("UPDATE frame SET status='rejected', reason='torn', n_detections=0 WHERE frame_id=1")
        )
    assert judge.reject(database, {1: "cloud"}).unchanged == (1,)
    assert judge.describe_frame(database, "1")["judgements"] == []
    assert "torn" in judge.restore(database, [1]).refused[1]


def test_the_published_solution_is_told_of(database):
    truth = fill(database, n_frames=4, n_stars=6)
    report = judge.reject(database, {2: "cloud", 3: "cloud"})
    assert (report.solution_id, report.n_in_solution) == (truth.solution_id, 2)
    with database.begin() as conn:
        assert todo(conn).solve
        conn.execute(text("DELETE FROM frame_term WHERE frame_id = 3"))
    report = judge.restore(database, [2, 3])
    assert (report.solution_id, report.n_in_solution) == (truth.solution_id, 1)


def test_several_limits_and_numbers_that_are_not_there(database):
    fill(database, n_frames=8, n_stars=6)
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET fwhm = NULL WHERE frame_id = 8"))
    found = limits.beyond_limits(database, FrameFilter(), Limits(max_fwhm=3.055, min_stars=29, max_loss=0.5))
    assert found == {7: "FWHM 3.06 px; at most 3.055 asked"}
    found = limits.beyond_shift_limits(database, FrameFilter(night=60001), ShiftLimits(max_jump=1.0))
    assert sorted(found) == [5, 6, 7, 8]
    assert found[5].endswith("px; at most 1 asked")


def test_frames_of_one_ingest(database):
    fill(database, n_frames=8, n_stars=6)
    assert len(judge.frame_columns(database, FrameFilter(run=1), ("frame_id",))["frame_id"]) == 8
    with pytest.raises(NothingMatched, match="run 7"):
        judge.frame_columns(database, FrameFilter(run=7), ("frame_id",))
