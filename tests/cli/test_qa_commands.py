"""photodb qa, shift and frame restore through the command line: words, records, exit codes."""

import csv
import io
import json

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from photodb.cli import cli
from photodb.cli.common import run_command_line
from photodb.simulate.survey import simulate
from tests.helpers.fixtures import filled_archive
from tests.helpers.small_archive import fill


@pytest.fixture(scope="module")
def filled(server):
    yield from filled_archive(server)


def call(url, *words):
    return CliRunner().invoke(cli, ["--archive", url, *map(str, words)])


def ok(url, *words):
    result = call(url, *words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


@pytest.fixture
def own(server, archive_url):
    """A small archive of this test's own: 48 frames, the seventh blurred."""
    from photodb.storage.engine import open_database

    with open_database(archive_url) as db:
        fill(db, n_frames=48, n_stars=6)
        with db.begin() as conn:
            conn.execute(text("UPDATE frame SET camera_id = 1, band_id = 1, dynamic_range = 8000, fwhm = 3"))
            conn.execute(text("UPDATE frame SET fwhm = 12, dynamic_range = 900 WHERE frame_id = 7"))
    return archive_url


def test_suggest_list_apply_and_restore_with_one_command(own):
    rows = list(csv.DictReader(io.StringIO(ok(own, "qa", "suggest", "--format", "csv").stdout)))
    assert {row["measure"] for row in rows} >= {"dynamic range", "FWHM", "background nonuniformity"}
    assert {row["limit"] for row in rows if row["measure"] == "FWHM"} == {"4.5"}
    result = ok(own, "qa", "list")
    assert "12 px; at most 4.5 suggested" in result.stdout and "1 frames to look at" in result.stderr
    result = ok(own, "qa", "apply", "--auto", "--min-range", 5000)
    reason = "dynamic range 900 ADU; at least 5000 asked / FWHM 12 px; at most 4.5 suggested by the series"
    assert result.stdout == f"7\trejected\t{reason}\n"
    assert "the published solution 1 used 1 of them: 'photodb solve'" in result.stderr
    assert ok(own, "frame", "list", "--status", "rejected", "--format", "csv").stdout.count("\n") == 2
    record = json.loads(ok(own, "frame", "restore", "--last", "--format", "json").stdout)
    assert record["changed"] == {"7": ""} and record["kept"] == {}
    assert "restored are left alone: 7" in ok(own, "qa", "apply", "--auto").stderr


@pytest.mark.parametrize("option", ["--run", "--reason-code", "--last"])
def test_restoring_what_was_not_rejected_is_5(filled, option):
    words = {"--run": ["--run", "99"], "--reason-code": ["--reason-code", "qa"], "--last": ["--last"]}[option]
    with pytest.raises(SystemExit) as end:
        run_command_line(cli, ["--archive", filled.url, "frame", "restore", *words])
    assert end.value.code == 5


@pytest.mark.parametrize("words", [[], ["--last", "--run", "3"]])
def test_restore_wants_to_know_which(filled, words):
    assert call(filled.url, "frame", "restore", *words).exit_code == 2


def test_a_frame_that_stays_rejected_is_told(own):
    ok(own, "frame", "reject", 7, "--reason", "satellite")
    ok(own, "qa", "apply", "--max-fwhm", 5)
    result = ok(own, "frame", "restore", "--reason-code", "by_hand")
    assert "frame 7 stays rejected: FWHM 12 px; at most 5 asked" in result.stderr
    assert "0 frames were accepted, 1 stay rejected for other reasons" in result.stderr


def test_limits_of_shifts_and_their_plot(own, tmp_path):
    result = ok(own, "shift", "reject", "--max-shift", 20, "--run", 1, "--dry-run")
    assert "30 frames would be rejected" in result.stderr
    for limits in (["--max-rms", 0.1, "--max-jump", 3], ["--suggest"], ["--min-stars", 10, "--night", 60001]):
        ok(own, "shift", "plot", "-o", tmp_path / "s.png", *limits)
    ok(own, "qa", "plot", "-o", tmp_path / "q.svg", "--suggest", "--max-background", 300)
    assert call(own, "qa", "plot", "-o", tmp_path / "q.png", "--run", 77).exit_code != 0


@pytest.mark.parametrize("limit", ["--max-fwhm", "--max-loss", "--min-limit", "--max-background"])
def test_a_limit_is_a_finite_number(filled, limit):
    assert call(filled.url, "qa", "apply", limit, "inf").exit_code == 2


@pytest.mark.parametrize("box", [["10,20,110,120"], ["10", "20", "110", "120"], ["10, 20, 110, 120"]])
def test_boxes_with_commas_or_as_four_words(tmp_path, archive_url, box):
    simulate(tmp_path / "sim", n_frames=1, n_stars=100, n_telescopes=1, n_nights=1, seed=5)
    frames = tmp_path / "sim" / "frames"
    ok(
        archive_url,
        "ingest",
        "--jobs",
        0,
        "--box",
        *box,
        "--mask",
        "0,0,50,50",
        "--mask",
        "60,0,90,9",
        frames,
    )
    run = json.loads(ok(archive_url, "runs", "show", 1, "--format", "json").stdout)
    assert run["settings"]["box"] == [10, 20, 110, 120]
    assert run["settings"]["masks"] == [[0, 0, 50, 50], [60, 0, 90, 9]]
    result = ok(archive_url, "qa", "measure", "--jobs", 0, "--mask", *box, "--format", "json")
    assert json.loads(result.stdout)["n_measured"] == 1
    next(frames.rglob("*.fits")).unlink()
    result = call(archive_url, "qa", "measure", "--jobs", 0)
    assert result.exit_code == 1 and "is gone" in result.stderr


@pytest.mark.parametrize("box", ["1,2,3", "9,9,5,20", "a,b,c,d", "-1,0,5,5", "1.5,0,5,5"])
def test_boxes_that_are_none(filled, box):
    result = call(filled.url, "qa", "measure", "--box", box)
    assert result.exit_code == 2 and "--box" in result.stderr
