"""What is told of misspelt words and impossible numbers; colours, control characters, records."""

import io
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from photodb.cli import cli, common
from tests.cli.test_common import PROGRAM

PHOTODB = os.path.join(os.path.dirname(sys.executable), "photodb")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lightcruve", "1", "2"], "did you mean lightcurve?"),
        (["nosuchthing"], "photodb --help"),
        (["frame", "list", "--archive", "my nights"], "photodb --archive 'my nights' frame list"),
        (["frame", "list", "--archive=nights"], "photodb --archive=nights frame list"),
        (["cone", "1", "2", "0.1", "--archive", "x"], "photodb --archive x cone 1 2 0.1"),
        (["lightcurve", "1", "-2", "--raduis", "3"], "--raduis"),
    ],
)
def test_what_was_misspelt_is_told_with_what_was_meant(words, told):
    result = subprocess.run([PHOTODB, *words], capture_output=True, text=True)
    assert result.returncode == 2
    assert told in result.stderr


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Return what a process writes to a terminal."""
    master, slave = os.openpty()
    env = {k: v for k, v in {**os.environ, **environment}.items() if v}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=slave, stderr=slave, env=env
    ) as child:
        os.close(slave)
        written = b""
        try:
            while chunk := os.read(master, 4096):
                written += chunk
        except OSError:  # the other end is closed
            pass
        child.wait()
    os.close(master)
    return written.decode()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
@pytest.mark.parametrize("what", ["UsageError", "colour"])
def test_no_color_is_honoured_on_a_terminal(what):
    assert "\x1b[" in on_a_terminal(what, NO_COLOR="", TERM="xterm")
    assert "\x1b[" not in on_a_terminal(what, NO_COLOR="1", TERM="xterm")


def test_control_characters_do_not_reach_a_terminal():
    out = io.StringIO()
    common.write_table([{"path": "a\x1b[31mb\x07.fits"}], "table", out)
    common.write_record({"path": "a\x1b[2Jb"}, "table", out)
    assert "\x1b" not in out.getvalue() and "\x07" not in out.getvalue()
    assert "a?[31mb?.fits" in out.getvalue()


def test_a_record_as_a_line_of_json_keeps_its_structure():
    out = io.StringIO()
    common.write_record({"components": [{"n_frames": 3}]}, "jsonl", out)
    assert json.loads(out.getvalue()) == {"components": [{"n_frames": 3}]}


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "show", "9" * 20],
        ["runs", "list", "--limit", "9" * 20],
        ["runs", "undo", "0"],
        ["solution", "show", "9" * 20],
        ["stats", "--solution", "9" * 20],
        ["query", "SELECT 1", "--max-rows", "9" * 23],
        ["simulate", "out", "--seed", "-1"],
        ["solve", "--exclude-frame", "9" * 20],
    ],
)
def test_numbers_beyond_the_archive_are_usage_errors(words):
    result = CliRunner().invoke(cli, ["--archive", "nowhere", *words])
    assert result.exit_code == 2, result.output
    assert "range" in result.output
    assert "Traceback" not in result.stderr
