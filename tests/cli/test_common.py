"""Exit codes, tables, positions and progress, with click's runner and with real processes."""

import csv
import functools
import io
import json
import os
import subprocess
import sys

import astropy.units as u
import click
import numpy as np
import pytest
from astropy.io.votable import parse_single_table
from astropy.table import QTable, Table
from click.testing import CliRunner

from photodb import errors
from photodb.cli import common
from photodb.cli.position import parse_angle
from photodb.cli.progress import duration, progress_line


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def table() -> QTable:
    return QTable(
        {
            "source_id": np.array([2**52 + 1, 7]),
            "mag": np.array([12.345, np.nan], "f4") * u.mag,
            "path": ["=cmd()", "night 1/a.fits"],
            "used": [True, False],
        }
    )


def written(table, fmt: str, **options) -> str:
    out = io.StringIO()
    common.write_table(table, fmt, out, **options)
    return out.getvalue()


def test_json_has_version_units_and_null_for_nan(table):
    read = json.loads(written(table, "json"))
    assert read["schema_version"] == common.SCHEMA_VERSION
    assert read["units"] == {"mag": "mag"}
    assert read["rows"][0] == {"source_id": 2**52 + 1, "mag": 12.345, "path": "=cmd()", "used": True}
    assert read["rows"][1]["mag"] is None


def test_jsonl_is_an_object_a_line(table):
    assert [json.loads(line)["source_id"] for line in written(table, "jsonl").splitlines()] == [2**52 + 1, 7]


def test_csv_reads_back_and_guards_formulas(table):
    rows = list(csv.DictReader(io.StringIO(written(table, "csv"))))
    assert rows[0] == {"source_id": str(2**52 + 1), "mag": "12.345", "path": "'=cmd()", "used": "true"}
    assert np.isnan(float(rows[1]["mag"]))


def test_csv_leaves_signed_numbers_alone():
    assert "\n-5.5,+3\n" in written([{"a": -5.5, "b": "+3"}], "csv")


@pytest.mark.parametrize("fmt", ["ecsv", "votable"])
def test_astronomers_formats_keep_units(table, fmt):
    text = written(table, fmt)
    if fmt == "ecsv":
        read = Table.read(text, format="ascii.ecsv")
    else:
        read = parse_single_table(io.BytesIO(text.encode())).to_table()
    assert read["mag"].unit == u.mag
    assert list(read["source_id"]) == [2**52 + 1, 7]
    assert np.isnan(np.ma.filled(read["mag"], np.nan)[1])


@pytest.mark.parametrize("fmt", common.FORMATS)
def test_every_format_takes_every_kind_of_table(table, fmt):
    array = np.array([(1, 2.5)], dtype=[("n", "i8"), ("x", "f8")])
    mappings = [{"n": 1, "x": 2.5, "tags": ["a", "b"], "none": None}]
    for kind in (table, Table(table), array, mappings):
        assert "n" in written(kind, fmt)


@pytest.mark.parametrize("fmt", [f for f in common.FORMATS if f != "jsonl"])
def test_an_empty_list_still_names_its_columns(fmt):
    text = written([], fmt, columns=("frame_id", "path"))
    assert "frame_id" in text or json.loads(text)["rows"] == []


def test_an_empty_list_has_the_types_it_was_told():
    read = Table.read(
        written([], "ecsv", columns={"frame_id": "i8", "mjd": "f8", "path": "U9"}), format="ascii.ecsv"
    )
    assert [read[name].dtype.kind for name in read.colnames] == ["i", "f", "U"]
    read = Table.read(written([], "ecsv", columns=("frame_id", "path")), format="ascii.ecsv")
    assert [read[name].dtype.kind for name in read.colnames] == ["U", "U"]


def test_table_for_people_aligns_numbers_and_shows_units(table):
    lines = written(table, "table").splitlines()
    assert lines[0].split() == ["source_id", "mag", "path", "used"]
    assert lines[1].split() == ["mag"]
    assert lines[3].startswith(str(2**52 + 1))
    assert lines[4].split()[1] == "-"


def test_record_as_json_keeps_its_structure():
    out = io.StringIO()
    common.write_record({"n_frames": np.int64(3), "floor": {"cam": np.float64("nan")}}, "json", out)
    assert json.loads(out.getvalue()) == {"schema_version": 1, "n_frames": 3, "floor": {"cam": None}}


@pytest.mark.parametrize(
    ("text", "hours", "degrees"),
    [
        ("31.0427", True, 31.0427),
        ("02:04:10.248", True, 31.0427),
        ("2h04m10.248s", True, 31.0427),
        ("2 4 10.248", True, 31.0427),
        ("31d02m33.72s", True, 31.0427),
        ("+46:41:16.08", False, 46.6878),
        ("-0:30:00", False, -0.5),
        ("-46.5", False, -46.5),
        ("\u221212:30", False, -12.5),
    ],
)
def test_angles(text, hours, degrees):
    assert parse_angle(text, hours) == pytest.approx(degrees, abs=1e-9)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "12:61:00", "12:00:60", "north", "", "1:2:3:4"])
def test_no_angles(text):
    with pytest.raises(ValueError):
        parse_angle(text, hours=False)


def without_archive(function):
    return functools.wraps(function)(lambda **options: function(None, **options))


@click.command(cls=common.SkyCommand)
@without_archive
@common.position_arguments
@click.option("--radius", type=float)
def where(database, ra, dec, radius):
    click.echo(f"{ra} {dec} {radius}")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["10", "-46.5"], "10.0 -46.5 None"),
        (["10", "-46.5", "--radius", "3"], "10.0 -46.5 3.0"),
        (["--radius", "3", "10", "-.5"], "10.0 -0.5 3.0"),
        (["--", "10", "-46.5"], "10.0 -46.5 None"),
        (["0:40:00", "-46:30:00"], "10.0 -46.5 None"),
        (["-10", "5"], "350.0 5.0 None"),
    ],
)
def test_positions_as_arguments(arguments, output):
    result = CliRunner().invoke(where, arguments)
    assert (result.exit_code, result.output.strip()) == (0, output)


@pytest.mark.parametrize(
    "arguments", [["10", "91"], ["10.5"], ["10", "--raduis"], ["10", "5", "--raduis", "3"]]
)
def test_wrong_positions_are_usage_errors(arguments):
    assert CliRunner().invoke(where, arguments).exit_code == 2


def test_progress_off_a_terminal_writes_messages_only():
    out = io.StringIO()
    progress = common.TerminalProgress(out)
    progress.start(3, "ingest")
    progress.advance(2)
    progress.message("camera X is new")
    progress.finish()
    assert out.getvalue() == "camera X is new\n"


def test_progress_on_a_terminal_shows_the_count():
    out = Terminal()
    progress = common.TerminalProgress(out)
    progress.start(4, "ingest")
    progress.advance(4)
    progress.finish()
    assert "ingest" in out.getvalue()
    assert "ingest: 4 frames in" in out.getvalue()


def test_progress_line_tells_rate_and_time_left():
    line = progress_line("ingest", 20, 140, 10.0, "frames", "b.fits")
    assert "20/140" in line
    assert "2.0 frames/s" in line
    assert "1 min 00 s left" in line
    assert duration(7500) == "2 h 05 min"


PROGRAM = """
import sys, click
from photodb import errors
from photodb.cli.common import message, run_command_line, write_table

@click.command()
@click.argument("what")
def main(what):
    if what == "pipe":
        for n in range(100_000):
            click.echo(n)
    elif what == "table":
        write_table([{"n": n} for n in range(100_000)], "csv")
    elif what == "interrupt":
        raise KeyboardInterrupt
    elif what == "exit":
        click.get_current_context().exit(1)
    elif what == "full":
        raise OSError(28, "No space left on device", "/dev/full")
    elif what == "bug":
        raise ZeroDivisionError
    elif what == "usage":
        raise click.UsageError("no such thing")
    elif what == "colour":
        click.echo(click.style("red", fg="red"))
    elif what != "done":
        raise getattr(errors, what)("42 given, 7 at most; try 5")

run_command_line(main)
"""


def run(*arguments: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    env = {**os.environ, **environment}
    if shell:
        return subprocess.run(
            ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *command],
            capture_output=True,
            text=True,
            env=env,
        )
    return subprocess.run(command, capture_output=True, text=True, env=env)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("done", 0),
        ("exit", 1),
        ("usage", 2),
        ("UsageError", 2),
        ("ConfigurationError", 3),
        ("StorageError", 3),
        ("full", 3),
        ("SchemaError", 4),
        ("NothingMatched", 5),
        ("interrupt", 130),
    ],
)
def test_exit_codes_without_tracebacks(what, code):
    result = run(what)
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    if hasattr(errors, what):
        assert "42 given, 7 at most; try 5" in result.stderr


def test_a_bug_is_a_traceback():
    result = run("bug")
    assert result.returncode not in (0, 2, 3, 4, 5, 130)
    assert "ZeroDivisionError" in result.stderr


@pytest.mark.parametrize("what", ["pipe", "table"])
def test_a_reader_that_leaves_early_is_no_error(what):
    result = run(what, shell="| head -n 1")
    assert (result.returncode, result.stderr) == (0, "")


def test_confirm_without_a_terminal_wants_yes():
    common.confirm("Drop it?", yes=True)
    with pytest.raises(errors.UsageError, match="--yes"):
        common.confirm("Drop it?", yes=False)


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["-h"]])
def test_photodb_answers(command):
    script = os.path.join(os.path.dirname(sys.executable), "photodb")
    result = subprocess.run([script, *command], capture_output=True, text=True)
    assert result.returncode == 0
    assert "photodb" in result.stdout.lower()
