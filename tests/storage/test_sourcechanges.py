"""Sources merged and split: nothing is lost, the archive stays sound, and taking it back leaves no trace."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.errors import NothingMatched, UsageError
from photodb.steps.runs import undo_run
from photodb.steps.verify import verify_archive
from photodb.storage import lightcurves, measurements, runs, solutions
from photodb.storage.rowhashes import row_hashes
from photodb.storage.sourcechanges import merge_sources, split_source
from photodb.storage.sourceids import history, living, members
from tests.storage.pieces import fill, solved


def change(db, what, *args, **more):
    """Merge or split as a run of its own; return the run and what changed."""
    with db.begin() as conn:
        run = runs.start_run(conn, "source change", {}, {})
        done = what(conn, run, *args, **more)
        runs.finish_run(conn, run, "done", {})
    return run, done


def hashes(db):
    with db.begin() as conn:
        return row_hashes(conn)


def rows(db, query, **values):
    with db.begin() as conn:
        return [tuple(row) for row in conn.execute(text(query), values)]


def everything(db):
    """All that merges and splits may touch, keys included."""
    return {
        table: sorted(rows(db, f"SELECT to_jsonb(t)::text FROM {table} t"))
        for table in ("source", "detection", "astrometric_match", "forced", "frame", "source_history")
    }


def sound(db):
    assert verify_archive(db, deep=True).problems == []


def test_merged_detections_belong_to_the_kept_source_and_its_mean_is_theirs(database):
    made = fill(database, seed=1)
    keep, other = map(int, made.sources[0])
    raw = rows(database, "SELECT detection_id, x, y, ra, dec, flux, flags FROM detection ORDER BY 1")
    _, (done,) = change(database, merge_sources, keep, [other], "one star")
    star = made.detections[0][made.detections[0] >= 0].tolist()
    assert done.n_detections == (made.seen[0] == 1).sum() and done.n_left == 0
    assert rows(database, "SELECT detection_id FROM detection WHERE source_id = :k ORDER BY 1", k=keep) == [
        (i,) for i in sorted(star)
    ]
    assert rows(database, "SELECT detection_id, x, y, ra, dec, flux, flags FROM detection ORDER BY 1") == raw
    ((ra, n, into),) = rows(
        database, "SELECT k.ra, k.n_detections, o.merged_into FROM source k, source o "
        "WHERE k.source_id = :k AND o.source_id = :o", k=keep, o=other,
    )  # fmt: skip
    weighted = (
        "SELECT sum(ra * w) / sum(w) FROM (SELECT ra, 1 / ((x_err ^ 2 + y_err ^ 2) / 2 + 0.0025) AS w "
        "FROM detection WHERE detection_id = ANY(:d)) AS q"
    )
    ((expected,),) = rows(database, weighted, d=star)
    assert abs(ra - expected) < 1e-8 and n == len(star) and into == keep
    sound(database)


def test_of_each_frame_the_kept_source_gets_the_measurement_with_the_flux(database):
    made = fill(database, seed=2, n_frames=8)
    keep, other = map(int, made.sources[0])
    _, (done,) = change(database, merge_sources, keep, [other])
    flags = rows(database, "SELECT flags FROM forced WHERE source_id = :k", k=keep)
    assert len(flags) == 8 and not any(flag & Flag.DUPLICATE for (flag,) in flags)
    assert done.n_swapped == (made.seen[0] == 1).sum()
    assert rows(database, "SELECT count(*) FROM forced")[0][0] == 8 * made.sources.size
    seen = rows(database, "SELECT frame_id, detection_id FROM forced WHERE source_id = :k ORDER BY 1", k=keep)
    assert [d for _, d in seen] == made.detections[0].tolist()


def test_a_solution_reads_each_star_once_a_frame(database):
    made = fill(database, seed=3, solve=False)
    for keep, other in made.sources.tolist():
        change(database, merge_sources, keep, [other])
    with database.begin() as conn:
        measured = measurements.read_forced(conn, np.array(made.frames), (-1,))
        seen = solutions.read_detections(conn, np.array(made.frames))
    assert len(measured) == made.sources.shape[0] * len(made.frames)
    assert np.isfinite(measured["flux"]).all()
    assert set(measured["source_id"]) == set(made.sources[:, 0].tolist()) == set(seen["source_id"])


def test_merging_again_changes_nothing(database):
    made = fill(database, seed=1)
    keep, other = map(int, made.sources[0])
    change(database, merge_sources, keep, [other])
    before = everything(database)
    assert change(database, merge_sources, keep, [other, other, keep])[1] == []
    assert change(database, merge_sources, other, [keep])[1] == []
    assert everything(database) == before


def test_sources_detected_side_by_side_are_merged_by_force_only(database):
    made = fill(database, seed=1, n_stars=2)
    one, two = int(made.sources[0, 0]), int(made.sources[1, 0])
    start = everything(database)
    with pytest.raises(UsageError, match="side by side on"):
        change(database, merge_sources, one, [two])
    run, (done,) = change(database, merge_sources, one, [two], force=True)
    both = ((made.seen[0] == 0) & (made.seen[1] == 0)).sum()
    assert done.n_left == both > 0
    ((left,),) = rows(database, "SELECT n_detections FROM source WHERE source_id = :i", i=two)
    assert left == both
    with database.begin() as conn:
        assert two not in solutions.read_detections(conn, np.array(made.frames))["source_id"]
    sound(database)
    undo_run(database, run)
    assert everything(database) == start


def test_what_is_far_apart_or_has_another_kind_of_place_is_refused(database):
    made = fill(database, seed=1, n_stars=3)
    far = int(made.sources[0, 0]), int(made.sources[2, 1])
    with pytest.raises(UsageError, match="arcsec apart"):
        change(database, merge_sources, far[0], [far[1]])
    rows_changed = "UPDATE source SET approximate = true WHERE source_id = :i RETURNING 1"
    rows(database, rows_changed, i=far[1])
    with pytest.raises(UsageError, match="approximate"):
        change(database, merge_sources, int(made.sources[2, 0]), [far[1]], force=True)
    with pytest.raises(NothingMatched, match="no source 7"):
        change(database, merge_sources, 7, [far[1]])


def test_an_old_id_leads_to_the_living_source_through_every_merge(database):
    made = fill(database, seed=4, n_stars=1, n_pieces=3)
    a, b, c = map(int, made.sources[0])
    change(database, merge_sources, b, [a])
    change(database, merge_sources, c, [b])
    with database.begin() as conn:
        assert [living(conn, i) for i in (a, b, c)] == [c, c, c]
        assert members(conn, [c]) == {a: c, b: c, c: c}
        assert members(conn, [b]) == {a: b, b: b}
        assert [(h["source_id"], h["other_source_id"]) for h in history(conn, [b])] == [(a, b), (b, c)]
    sound(database)


def test_a_split_makes_a_source_of_the_chosen_detections(database):
    made = fill(database, seed=5, n_stars=1, n_frames=8)
    keep, other = map(int, made.sources[0])
    change(database, merge_sources, keep, [other])
    chosen = made.detections[0][made.seen[0] == 1].tolist()
    start = everything(database)
    run, (done,) = change(database, split_source, other, chosen, "two stars")
    new = done.source_id
    assert done.other_source_id == keep and done.n_detections == len(chosen) == done.n_moved
    assert rows(database, "SELECT detection_id FROM detection WHERE source_id = :n ORDER BY 1", n=new) == [
        (i,) for i in sorted(chosen)
    ]
    counted = rows(
        database, "SELECT n_detections FROM source WHERE source_id IN (:k, :n) ORDER BY 1", k=keep, n=new
    )
    assert sorted(n for (n,) in counted) == sorted([len(chosen), int((made.seen[0] == 0).sum())])
    sound(database)
    assert change(database, split_source, keep, chosen)[1] == []
    undo_run(database, run)
    assert everything(database) == start


@pytest.mark.parametrize(("n", "words"), [(0, "nothing to split"), (99, "a part is needed")])
def test_none_or_all_detections_are_no_split(database, n, words):
    made = fill(database, seed=5, n_stars=1)
    own = made.detections[0][made.seen[0] == 0].tolist()
    with pytest.raises(UsageError, match=words):
        change(database, split_source, int(made.sources[0, 0]), own[:n])


def test_a_detection_of_another_source_is_refused(database):
    made = fill(database, seed=5)
    with pytest.raises(UsageError, match="are not of source"):
        change(database, split_source, int(made.sources[0, 0]), [int(made.detections[1, 0])])


def test_undoing_a_merge_leaves_no_trace(database):
    made = fill(database, seed=6)
    start, hashed = everything(database), hashes(database)
    run, _ = change(database, merge_sources, int(made.sources[0, 0]), made.sources[0, 1:].tolist())
    assert everything(database) != start and hashes(database) != hashed
    counts = undo_run(database, run)
    assert counts["source_history"] == 1
    assert everything(database) == start and hashes(database) == hashed


def test_what_was_built_on_a_change_is_told(database):
    made = fill(database, seed=6)
    keep, other = map(int, made.sources[0])
    run, _ = change(database, merge_sources, keep, [other])
    with pytest.raises(UsageError, match=f"run {run} merged or split sources that its frames saw"):
        undo_run(database, made.runs[1])
    again, _ = change(database, merge_sources, keep, [int(made.sources[1, 0])], force=True)
    with pytest.raises(UsageError, match=f"run {again} merged or split source {keep} after it"):
        undo_run(database, run)
    undo_run(database, again)
    solution, solve = solved(database, made.frames)
    with pytest.raises(UsageError, match=f"solution {solution} has light curves"):
        undo_run(database, run)
    undo_run(database, solve)
    undo_run(database, run)
    sound(database)


def test_frames_that_came_later_stay_with_the_kept_source(database):
    made = fill(database, seed=7, solve=False, n_stars=1)
    keep, other = map(int, made.sources[0])
    run, _ = change(database, merge_sources, keep, [other])
    late = int(made.detections[0][made.seen[0] == 0][-1])
    steal = "UPDATE source_history SET before = jsonb_set(before, '{1,n_detections}', '1') RETURNING 1"
    rows(database, steal)  # as if the kept source had one detection then, and the others came later
    undo_run(database, run)
    ((n, first, last),) = rows(
        database, "SELECT n_detections, first_mjd, last_mjd FROM source WHERE source_id = :k", k=keep
    )
    assert n == (made.seen[0] == 0).sum() and last >= first
    assert (late,) in rows(database, "SELECT detection_id FROM detection WHERE source_id = :k", k=keep)
    sound(database)


STEP = st.tuples(st.sampled_from(["merge", "split", "undo", "force"]), st.integers(0, 10**6))


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(seed=st.integers(0, 1000), steps=st.lists(STEP, min_size=2, max_size=6), force=st.booleans())
def test_any_sequence_of_changes_is_sound_and_taken_back_to_the_start(server, seed, steps, force):
    name = server.create()
    try:
        with server.database(name) as db:
            fill(db, seed=seed, n_stars=2, n_pieces=3, n_frames=6, force=force)
            stack = [(None, everything(db), hashes(db))]
            for kind, number in steps:
                _step(db, stack, kind, number)
            while len(stack) > 1:
                _step(db, stack, "undo", 0)
    finally:
        server.drop(name)


def _step(db, stack, kind, number):
    """Do one thing to the archive; `stack` holds the runs that stand and what was there after each."""
    if kind == "undo" and len(stack) > 1:
        run, *_ = stack.pop()
        undo_run(db, run)
        assert (everything(db), hashes(db)) == stack[-1][1:]
        return
    rng = np.random.default_rng(number)
    sources = [i for (i,) in rows(db, "SELECT source_id FROM source ORDER BY 1")]
    try:
        if kind == "split":
            source = int(rng.choice(sources))
            own = [
                d
                for (d,) in rows(
                    db, "SELECT detection_id FROM detection WHERE source_id = :s ORDER BY 1", s=source
                )
            ]
            run, done = change(db, split_source, source, [d for d in own if rng.random() < 0.5])
        else:
            keep, *others = rng.choice(
                sources, min(len(sources), 2 + int(rng.integers(2))), replace=False
            ).tolist()
            run, done = change(db, merge_sources, keep, others, force=kind == "force")
    except UsageError:
        assert (everything(db), hashes(db)) == stack[-1][1:]
        return
    sound(db)
    if done:
        stack.append((run, everything(db), hashes(db)))


def curve(db, source, solution, **more):
    with db.begin() as conn:
        place = rows_of(conn, "SELECT ra, dec FROM source WHERE source_id = :s", s=source)[0]
        found = lightcurves.sources_in_cone(conn, *place, 0.5 / 3600)
        return lightcurves.light_curves(conn, found[found["source_id"] == source], solution, **more)


def rows_of(conn, query, **values):
    return [tuple(row) for row in conn.execute(text(query), values)]


@pytest.mark.parametrize("force", [False, True])
def test_until_the_next_solution_the_light_curve_shows_the_points_of_both(database, force):
    made = fill(database, seed=8, n_frames=8, force=force)
    keep, other = map(int, made.sources[0])
    apart = [curve(database, i, made.solution) for i in (keep, other)]
    change(database, merge_sources, keep, [other])
    told = curve(database, keep, made.solution)
    seen = made.seen[0] >= 0
    frames = np.array(made.frames)
    assert told["frame_id"].tolist() == frames[seen].tolist()
    assert set(told["source_id"]) == {keep}
    by_frame = {(k, int(f)): m for k in (0, 1) for f, m in zip(apart[k]["frame_id"], apart[k]["mag"])}
    for frame, mag, piece in zip(told["frame_id"], told["mag"], made.seen[0][seen]):
        assert mag == by_frame[int(piece), int(frame)]
    detections = dict(zip(told["frame_id"].tolist(), told["detection_id"].tolist()))
    assert [detections[int(f)] for f in frames[seen]] == made.detections[0][seen].tolist()
    assert np.isfinite(told["x"][np.isin(told["frame_id"], frames[seen])]).all()
    solution, _ = solved(database, made.frames)
    new = curve(database, keep, solution)
    assert new["frame_id"].tolist() == told["frame_id"].tolist()
    assert new["mag"] == pytest.approx(told["mag"], abs=1e-5, nan_ok=True)


def test_runs_at_once_are_taken_back_in_any_order(server):
    """The run that began first merged, at its end, what both founded; then the later one goes, or the earlier."""
    for later_first in (True, False):
        name = server.create()
        try:
            with server.database(name) as db:
                made = fill(db, n_frames=2, n_stars=3, solve=False, force=False)
                early, late = made.runs[:2]
                # star by star: the source kept, then the one merged, is of the later run alone
                for star, (keep, other) in enumerate(made.sources[:, ::-1].tolist()):
                    keep, other = (keep, other) if star else (other, keep)
                    with db.begin() as conn:
                        merge_sources(conn, early, keep, [other])
                for run in (late, early) if later_first else (early,):
                    undo_run(db, run)
                    sound(db)
                left = rows(db, "SELECT count(*), count(*) FILTER (WHERE merged_into >= 0) FROM source")
                assert left == ([(0, 0)] if later_first else [(3, 0)])
        finally:
            server.drop(name)


def test_what_was_split_and_merged_back_can_be_split_again(database):
    made = fill(database, n_frames=6, n_stars=1)
    source, other = map(int, made.sources[0])
    change(database, merge_sources, source, [other])
    chosen = [int(made.detections[0].max())]
    _, (first,) = change(database, split_source, source, chosen)
    assert change(database, split_source, source, chosen)[1] == []
    change(database, merge_sources, source, [first.source_id])
    _, (second,) = change(database, split_source, source, chosen)
    assert second.n_detections == 1 and second.source_id != first.source_id
    sound(database)


def test_the_motion_that_a_catalogue_tells_goes_with_the_star(database):
    made = fill(database, n_stars=1)
    keep, other = map(int, made.sources[0])
    with database.begin() as conn:
        told = "UPDATE source SET pm_ra = 900, pm_dec = -700, pm_err = -1 WHERE source_id = :o"
        conn.execute(text(told), {"o": other})
    before = hashes(database)
    run, _ = change(database, merge_sources, keep, [other])
    motion = "SELECT pm_ra, pm_dec, pm_err FROM source WHERE source_id = :s"
    assert rows(database, motion, s=keep) == [(900, -700, -1)]
    undo_run(database, run)
    assert rows(database, motion, s=keep)[0][2] != -1 and hashes(database) == before
