"""The commands that ask and judge, on a small archive."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner, Result

from photodb.cli import cli
from photodb.errors import NothingMatched
from tests.helpers.fixtures import filled_archive
from tests.helpers.small_archive import DEC, RA, fill


@pytest.fixture(scope="module")
def filled(server):
    yield from filled_archive(server)


def call(url: str, *arguments: object) -> Result:
    return CliRunner().invoke(cli, ["--archive", url, *map(str, arguments)])


def ok(url: str, *arguments: object) -> Result:
    result = call(url, *arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


CONTRACT = {
    "lightcurve": "mjd bjd_tdb band telescope camera frame_id mag mag_err flags source_id solution_id",
    "frame": (
        "frame_id path camera band mjd status reason n_detections fwhm zero_point astrometry "
        "astrom_rms_arcsec"
    ),
}


def test_lightcurve_has_the_promised_columns(filled):
    result = ok(filled.url, "lightcurve", RA, DEC, "--format", "csv")
    table = rows(result)
    assert set(CONTRACT["lightcurve"].split()) <= set(table[0])
    assert len(table) == 16
    assert {row["source_id"] for row in table} == {str(filled.truth.source_id[0])}
    assert "2 sources within" in result.stderr


@pytest.mark.parametrize(
    "place", [("2:04:10.248", "-46:41:16.08"), ("31.0427d", "-46.6878"), ("31d02m33.72s", DEC)]
)
def test_positions_may_be_sexagesimal(filled, place):
    if place[0].endswith("7d"):
        assert call(filled.url, "lightcurve", *place).exit_code == 2
    else:
        assert len(rows(ok(filled.url, "lightcurve", *place, "--format", "csv"))) == 16


@pytest.mark.parametrize("fmt", ["table", "json", "jsonl", "csv", "ecsv", "votable"])
def test_every_format(filled, fmt):
    for command in (
        ["lightcurve", RA, DEC],
        ["cone", RA, DEC, 0.1],
        ["frame", "list"],
        ["query", "SELECT 1 AS n"],
    ):
        assert ok(filled.url, *command, "--format", fmt).stdout


def test_lightcurve_plot(filled, tmp_path):
    ok(filled.url, "lightcurve", RA, DEC, "--plot", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_there(filled):
    result = call(filled.url, "lightcurve", RA, 40, "--format", "csv")
    assert isinstance(result.exception, NothingMatched)
    assert result.stdout == ""
    assert isinstance(call(filled.url, "cone", RA, 40, 0.1).exception, NothingMatched)


def test_cone_lists_nearest_first(filled):
    table = rows(ok(filled.url, "cone", RA, DEC, 0.2, "--format", "csv"))
    distance = [float(row["separation_arcsec"]) for row in table]
    assert distance == sorted(distance)
    assert len(table) == 30


def test_query_tells_when_there_is_more(filled):
    result = ok(
        filled.url, "query", "SELECT frame_id FROM frame ORDER BY 1", "--max-rows", 2, "--format", "csv"
    )
    assert [row["frame_id"] for row in rows(result)] == ["1", "2"]
    assert "only the first 2 rows" in result.stderr


def test_query_without_rows_still_names_its_columns(filled):
    result = ok(filled.url, "query", "SELECT frame_id, path FROM frame WHERE false", "--format", "csv")
    assert result.stdout == "frame_id,path\n"


def test_frame_list_and_show(filled):
    table = rows(ok(filled.url, "frame", "list", "--format", "csv"))
    assert list(table[0]) == CONTRACT["frame"].split()
    assert len(rows(ok(filled.url, "frame", "list", "--camera", "castor-ccd", "--format", "csv"))) == 8
    assert len(rows(ok(filled.url, "frame", "list", "--night", 60001, "--band", "V", "--format", "csv"))) == 4
    assert isinstance(call(filled.url, "frame", "list", "--band", "K").exception, NothingMatched)
    record = json.loads(ok(filled.url, "frame", "show", "frame003.fits", "--format", "json").stdout)
    assert record["frame_id"] == 4
    assert record["solutions"][0]["zero_point"] == pytest.approx(25.003)
    assert "castor-ccd" in ok(filled.url, "frame", "show", 4).stdout


def test_all_columns(filled):
    table = rows(ok(filled.url, "frame", "list", "--all-columns", "--format", "csv"))
    assert {"airmass", "shift_x", "nonuniformity"} <= set(table[0])


def test_reject_apply_restore(server, tmp_path):
    name = server.create()
    with server.database(name) as db:
        fill(db, n_frames=8, n_stars=6)
    url = server.url(name)

    def rejected() -> list[str]:
        result = call(url, "frame", "list", "--status", "rejected", "--format", "csv")
        return [row["frame_id"] for row in rows(result)]

    assert "would be rejected" in ok(url, "frame", "reject", 2, "--reason", "cloud", "--dry-run").stderr
    assert rejected() == []
    ok(url, "frame", "reject", 2, "--reason", "cloud")
    assert rejected() == ["2"]
    ok(url, "qa", "apply", "--min-range", 8500, "--max-nonuniformity", 11.5)
    assert rejected() == ["2", "5", "6", "7", "8"]
    ok(url, "frame", "restore", "2-8")
    assert rejected() == []
    ok(url, "shift", "reject", "--max-shift", 6)
    assert rejected() == ["7", "8"]
    ok(url, "frame", "restore", "7", "8")
    ok(url, "shift", "reject", "frame001.fits")
    assert rejected() == ["2"]
    ok(url, "qa", "plot", "-o", tmp_path / "q.png", "--min-range", 8500)
    server.drop(name)


@pytest.mark.parametrize(
    "command",
    [
        ["qa", "plot"],
        ["shift", "plot"],
        ["plot", "noise"],
        ["plot", "zeropoints"],
        ["plot", "residuals"],
        ["plot", "coverage"],
    ],
)
def test_plots(filled, command, tmp_path):
    ok(filled.url, *command, "-o", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_export_text_reads_back(filled, tmp_path):
    ok(filled.url, "export", "text", "-o", tmp_path / "all.txt", "--band", "V")
    lines = (tmp_path / "all.txt").read_text().splitlines()
    remarks = [line for line in lines if line.startswith("#")]
    table = list(csv.DictReader([line for line in lines if not line.startswith("#")], delimiter="\t"))
    truth = filled.truth
    assert len(table) == 30
    assert sum(line.startswith("# frame ") for line in remarks) == 8
    assert [float(row["mean_mag"]) for row in table] == pytest.approx(sorted(truth.mag), abs=1e-4)
    row = next(r for r in table if r["source_id"] == str(truth.source_id[7]))
    for frame_id, band, mag in zip(truth.frame_ids, truth.band, truth.points[7], strict=True):
        if band == "V":
            assert float(row[f"mag_{frame_id}"]) == pytest.approx(mag, abs=1e-4)
    assert float(row["global_noise"]) > float(row["local_noise"]) > 0


def test_export_to_stdout_and_dry_run(filled, tmp_path):
    ok(filled.url, "export", "text", "-o", tmp_path / "all.txt")
    assert ok(filled.url, "export", "text", "-o", "-").stdout == (tmp_path / "all.txt").read_text()
    told = ok(filled.url, "export", "text", "-o", tmp_path / "none.txt", "--dry-run").stderr
    assert told.startswith("would write") and "60 stars" in told
    assert not (tmp_path / "none.txt").exists()
    refused = call(filled.url, "export", "text", "-o", tmp_path / "no" / "all.txt")
    assert str(tmp_path / "no") + ": no such folder" in str(refused.exception)


def test_export_leaves_bad_points_out(filled, tmp_path):
    ok(filled.url, "export", "text", "-o", tmp_path / "all.txt")
    lines = [line for line in (tmp_path / "all.txt").read_text().splitlines() if not line.startswith("#")]
    table = list(csv.DictReader(lines, delimiter="\t"))
    saturated = next(
        r
        for r in table
        if r["source_id"] == str(filled.truth.source_id[0]) and r["band"] == filled.truth.band[3]
    )
    assert np.isnan(float(saturated[f"mag_{filled.truth.frame_ids[3]}"]))
    assert len(table) == 60
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["lightcurve", str(RA), str(DEC), "--format", "csv"], 0),
        (["lightcurve", str(RA), "40"], 5),
        (["lightcurve", str(RA), "95"], 2),
        (["query", "DROP TABLE frame"], 2),
        (["qa", "apply"], 2),
        (["frame", "show", "nothing.fits"], 5),
        (["export", "text", "-o", "/nowhere/at/all.txt"], 2),
    ],
)
def test_exit_codes_of_the_real_thing(filled, arguments, code):
    script = os.path.join(os.path.dirname(sys.executable), "photodb")
    result = subprocess.run([script, "--archive", filled.url, *arguments], capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert bool(result.stdout) == (code == 0)
