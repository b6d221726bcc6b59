"""Frames rejected and restored: by hand, by quality, by shift."""

import pytest
from sqlalchemy import text

from photodb.errors import NothingMatched, UsageError
from photodb.steps import figures, judge, limits
from photodb.steps.judge import FrameFilter
from photodb.steps.limits import Limits, ShiftLimits
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
