"""Sources merged and split after a real ingest: two telescopes whose astrometry differs, blends, two at once."""

import threading

import pytest
from sqlalchemy import text

from photodb.errors import UsageError
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.steps.ask import light_curve
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.runs import undo_run
from photodb.steps.solve import solve
from photodb.steps.sourcechange import SplitRule, merge, split
from photodb.steps.sourceshow import describe_source, find_pairs
from photodb.steps.verify import verify_archive
from photodb.storage.rowhashes import row_hashes
from photodb.storage.todo import todo
from tests.helpers.star_lists import frames_of, write_lists
from tests.storage.pieces import fill


@pytest.fixture(scope="module")
def frames():
    survey = simulate_survey(
        SurveySettings(n_frames=10, n_stars=40, order=0, outliers=0.0, variables=0.0), seed=3
    )
    return frames_of(survey)


@pytest.fixture
def one_sky(database, frames, tmp_path):
    """An archive of two telescopes, which all agree on the sources."""
    write_lists(frames, tmp_path / "lists", "csv")
    report = ingest(database, [tmp_path / "lists"], IngestSettings(jobs=0))
    assert report.n_accepted == len(frames)
    return database


def in_pieces(db):
    """Give the telescope 'small' sources of its own; return those that were split, and the new ones."""
    by_both = """SELECT array_agg(source_id) FROM (SELECT source_id FROM detection JOIN frame USING (frame_id)
                 GROUP BY 1 HAVING count(DISTINCT camera_id) = 2) AS b"""
    sources = counted(db, by_both)
    changes = [split(db, source, SplitRule(camera="small-ccd")).changes[0] for source in sources]
    return [(change.other_source_id, change.source_id) for change in changes]


def hashes(db):
    with db.begin() as conn:
        return row_hashes(conn)


def counted(db, query):
    with db.begin() as conn:
        return conn.scalar(text(query))


def sound(db):
    assert verify_archive(db, deep=True).problems == []


def test_pieces_of_stars_are_merged_solved_and_taken_apart_again(one_sky):
    db = one_sky
    start = hashes(db)
    found = in_pieces(db)
    assert len(found) > 30
    sound(db)
    for keep, other in found:
        assert merge(db, keep, [other]).changes
    sound(db)
    solve(db)
    n_living = counted(db, "SELECT count(*) FROM source WHERE merged_into < 0")
    assert counted(db, "SELECT count(DISTINCT source_id) FROM source_mag") == n_living
    record, _ = describe_source(db, found[0][1])
    assert {row["camera"] for row in record["detections"]} == {"big-ccd", "small-ccd"}
    curve = light_curve(db, record["ra"], record["dec"]).points
    assert set(curve["camera"]) == {"big-ccd", "small-ccd"} and len(curve["mjd"]) == record["n_detections"]
    sound(db)
    commands = "('solve', 'source merge', 'source split')"
    for run in counted(
        db, f"SELECT array_agg(run_id ORDER BY run_id DESC) FROM run WHERE command IN {commands}"
    ):
        undo_run(db, run)
    assert hashes(db) == start


def test_a_merge_asks_for_a_new_solution_and_shows_both_before(one_sky):
    db = one_sky
    keep, other = in_pieces(db)[0]
    solve(db)
    with db.begin() as conn:
        assert not todo(conn).solve
    counts = [describe_source(db, i)[0]["n_detections"] for i in (keep, other)]
    report = merge(db, keep, [other])
    assert report.solution_id == counted(db, "SELECT published_solution_id FROM archive")
    with db.begin() as conn:
        assert todo(conn).solve
    record, _ = describe_source(db, keep)
    curve = light_curve(db, record["ra"], record["dec"]).points
    assert set(curve["camera"]) == {"big-ccd", "small-ccd"}
    assert len(curve["mjd"]) == sum(counts)


def test_what_was_split_is_not_merged_again_by_a_later_ingest(database, frames, tmp_path):
    write_lists(frames[:8], tmp_path / "first", "csv")
    write_lists(frames[8:], tmp_path / "later", "csv")
    ingest(database, [tmp_path / "first"], IngestSettings(jobs=0))
    pairs = in_pieces(database)
    assert len(pairs) > 30 and find_pairs(database) == []
    ingest(database, [tmp_path / "later"], IngestSettings(jobs=0))
    living = counted(database, "SELECT array_agg(source_id) FROM source WHERE merged_into < 0")
    assert {i for pair in pairs for i in pair} <= set(living)
    with database.begin() as conn:  # without the splits in the history they are pairs like any other
        conn.execute(text("DELETE FROM source_history"))
    assert len(find_pairs(database)) > 20


def test_two_clouds_are_split_by_position_and_one_is_not(database):
    made = fill(database, n_frames=40, n_stars=1, seed=2)
    keep, other = map(int, made.sources[0])
    with database.begin() as conn:
        conn.execute(text("UPDATE detection SET dec = dec + 1.5 / 3600 WHERE source_id = :s"), {"s": other})
    merge(database, keep, [other], force=True)
    (change,) = split(database, keep, SplitRule(position=True), dry_run=True).changes
    report = split(database, keep, SplitRule(position=True))
    assert report.changes[0].n_detections == change.n_detections
    assert report.why.startswith("two places 1.")
    few = min((made.seen[0] == k).sum() for k in (0, 1))
    assert change.n_detections == few
    with pytest.raises(UsageError, match="are those of one place"):
        split(database, keep, SplitRule(position=True))
    sound(database)


def test_two_who_merge_at_once_merge_once(server):
    name = server.create()
    try:
        with server.database(name) as db, server.database(name) as another:
            made = fill(db, n_stars=1)
            keep, other = map(int, made.sources[0])
            ready, changes, finished = threading.Barrier(2), [], []

            def work(mine, a, b):
                ready.wait()
                changes.extend(merge(mine, a, [b]).changes)
                finished.append(a)

            threads = [
                threading.Thread(target=work, args=args)
                for args in ((db, keep, other), (another, other, keep))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert len(finished) == 2 and len(changes) == 1
            assert counted(db, "SELECT count(*) FROM source WHERE merged_into < 0") == 1
            sound(db)
    finally:
        server.drop(name)
