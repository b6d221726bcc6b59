"""photodb source: what it shows, merges and splits, and what it says."""

import json

import pytest
from sqlalchemy import text

from photodb.storage.engine import open_database
from tests.storage.pieces import fill


@pytest.fixture
def made(archive_url):
    """An archive of two stars in two pieces each."""
    with open_database(archive_url) as db:
        yield fill(db, seed=3, n_frames=8, n_stars=2)


def shown(run, *words):
    code, out, err = run("source", "show", *words, "--format", "json")
    assert code == 0, err
    return json.loads(out), err


def test_show_tells_all_by_id_and_by_position(run, made):
    source = int(made.sources[0, 0])
    record, _ = shown(run, source)
    assert record["source_id"] == source
    assert (
        record["n_detections"] == (made.seen[0] == 0).sum() == sum(row["n"] for row in record["detections"])
    )
    assert {row["camera"] for row in record["detections"]} == {"C"}
    assert [m["band"] for m in record["magnitudes"]] == ["V"]
    assert record["n_measured"] == 8
    assert record["n_measured_unseen"] == (made.seen[0] != 0).sum()
    again, _ = shown(run, record["ra"], record["dec"], "--radius", 0.05)
    assert again == record


def test_show_for_people_has_a_table_a_list(run, made):
    code, out, _ = run("source", "show", int(made.sources[0, 0]))
    assert code == 0
    assert "position_err" in out and "\ndetections\n" in out and "\npublished magnitudes\n" in out


def test_an_old_id_shows_the_source_that_it_was_merged_into(run, made):
    keep, other = map(int, made.sources[0])
    code, out, err = run("source", "merge", keep, other, "--note", "one star")
    assert code == 0
    assert out.startswith(f"source {other} merged into {keep}: {(made.seen[0] == 1).sum()} detections")
    assert "'photodb solve' makes a new one" in err
    record, told = shown(run, other)
    assert f"source {other} was merged into {keep}" in told
    assert record["source_id"] == keep and record["merged_from"] == [other]
    assert [h["note"] for h in record["history"]] == ["one star"]
    assert {m["source_id"] for m in record["magnitudes"]} == {keep, other}
    code, out, err = run("source", "merge", keep, other)
    assert code == 0 and out == "" and "already" in err


def test_merging_can_be_tried_taken_back_and_is_told(run, made, archive_url):
    keep, other = map(int, made.sources[0])
    before, _ = shown(run, keep)
    assert run("source", "merge", keep, other, "--dry-run")[1].startswith(f"source {other} would be merged")
    assert run("source", "history")[0] == 5
    assert shown(run, keep)[0] == before
    code, out, _ = run("source", "merge", keep, other, "--format", "json")
    report = json.loads(out)
    assert code == 0 and report["changes"][0]["source_id"] == other
    code, out, _ = run("source", "history", other, "--format", "json")
    (row,) = json.loads(out)["rows"]
    assert code == 0 and row["kind"] == "merged"
    assert run("runs", "undo", row["run_id"], "--yes")[0] == 0
    assert shown(run, keep)[0] == before
    with open_database(archive_url) as db, db.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM run WHERE command = 'source merge'")) == 1


def test_two_stars_are_not_merged_and_the_reason_is_told(run, made):
    code, _, err = run("source", "merge", int(made.sources[0, 0]), int(made.sources[1, 0]))
    assert code == 2 and "side by side" in err and "--force" in err


def test_splits_by_frames_time_and_detections(run, made):
    keep, other = map(int, made.sources[0])
    run("source", "merge", keep, other)
    chosen = [str(f) for f, seen in zip(made.frames, made.seen[0]) if seen == 1]
    code, out, err = run("source", "split", keep, "--frames", ",".join(chosen), "--dry-run")
    assert code == 0 and f"split off {keep}: {len(chosen)} detections" in out
    code, out, err = run("source", "split", keep, "--after", "58002.5", "--note", "moved")
    assert code == 0 and "photodb measure --missing" in err
    new = int(out.split()[1])
    record, _ = shown(run, new)
    assert record["first_mjd"] > 58002.5 and record["history"][-1]["kind"] == "split"
    assert run("source", "merge", keep, new)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["source", "show", "77"], 5, "no source 77"),
        (["source", "show", "No", "Such", "Star"], 5, "No Such Star"),
        (["source", "show", "1.5"], 2, "is one coordinate"),
        (["source", "show", "1.0", "-2.0"], 5, "no source within"),
        (["source", "merge", "77", "78"], 5, "no source 77"),
        (["source", "split", "77"], 2, "split by one of"),
        (["source", "split", "77", "--camera", "x"], 5, "no source 77"),
        (["source", "history"], 5, "no source was merged"),
        (["source", "pairs", "--radius", "0.000001"], 5, "no pair"),
    ],
)
def test_what_is_not_there_is_told(run, made, words, code, told):
    got, _, err = run(*words)
    assert got == code and told in err


def test_split_refuses_what_fits_no_rule(run, made):
    source = int(made.sources[0, 0])
    code, _, err = run("source", "split", source, "--camera", "x")
    assert code == 5 and "cameras: C" in err
    code, _, err = run("source", "split", source, "--by", "position")
    assert code == 2 and "needed to tell two places apart" in err
    code, _, err = run("source", "split", source, "--camera", "C")
    assert code == 2 and "a part is needed" in err


def test_pairs_are_those_of_one_star(run, made):
    code, out, _ = run("source", "pairs", "--radius", "3", "--format", "json")
    assert code == 0
    found = {frozenset((row["keep"], row["other"])) for row in json.loads(out)["rows"]}
    assert found == {frozenset(map(int, pair)) for pair in made.sources}


def test_show_draws(run, made, tmp_path):
    code, _, err = run("source", "show", int(made.sources[0, 0]), "--plot", tmp_path / "a.png")
    assert code == 0 and "wrote" in err
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_sources_are_listed_by_what_they_are(run, made):
    keep, other = map(int, made.sources[0])
    run("source", "merge", keep, other)

    def listed(*words):
        code, out, err = run("source", "list", *words, "--format", "json")
        assert code == 0, err
        return {row["source_id"] for row in json.loads(out)["rows"]}, err

    everything = set(made.sources.ravel().tolist())
    assert listed()[0] == everything - {other}
    assert listed("--merged")[0] == {other}
    assert listed("--min-detections", 5)[0] <= everything - {other}
    assert listed("--limit", 1) == (
        {min(everything - {other})},
        "there are more than 1; --limit shows more\n",
    )
    assert run("source", "list", "--moving")[0] == 5
