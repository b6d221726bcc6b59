"""ingest, telescope and refcat on the command line: what is refused, shown, and advised."""

import io
import re

import numpy as np
import pytest
from astropy.io.votable import parse_single_table
from astropy.table import Table

from tests.images.sky_frames import star_image, write_frame

TOML = '[telescope]\nname = "K"\n[[camera]]\nname = "K9"\nmatch = { DETID = "K9" }\ngain = 2.0\n'


@pytest.fixture
def frame(tmp_path):
    """A frame whose header names neither telescope nor instrument."""
    counts, *_ = star_image(np.random.default_rng(1), n=60)
    (tmp_path / "my frames").mkdir()
    return write_frame(tmp_path / "my frames" / "x.fits", counts, TELESCOP=None, INSTRUME=None, DETID="K9")


@pytest.mark.parametrize(
    "options",
    [
        ["--center", "400", "100"],
        ["--center", "10", "nan"],
        ["--box", "5", "5", "1", "1"],
        ["--box", "-1", "0", "5", "5"],
        ["--scale", "nan"],
        ["--scale", "0"],
        ["--scale", "1e9"],
        ["--threshold", "nan"],
        ["--threshold", "0.5"],
        ["--max-stars", "0"],
        ["--jobs", "-1"],
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_numbers_that_make_no_sense_are_refused(run, tmp_path, options, dry):
    (tmp_path / "x.fits").write_bytes(b"nothing")
    code, out, err = run("ingest", tmp_path, *options, *dry)
    assert code == 2
    assert not out
    assert options[0].strip("-").replace("-", "_") in err.replace("-", "_")


def test_the_center_may_be_sexagesimal(run, frame):
    code, _, err = run("ingest", frame, "--center", "02:04:10.25", "-46:41:16", "--dry-run")
    assert code == 0
    assert "would ingest 1 of 1 files" in err


@pytest.mark.parametrize("command", ["ingest", "run"])
def test_the_description_to_fill_in_is_shown_once_and_then_works(run, frame, tmp_path, command):
    (frame.parent / "y.fits").write_bytes(frame.read_bytes()[:-2880] + bytes(2880))
    code, _, err = run(command, frame.parent, "--jobs", "0")
    assert code == 1
    assert err.count("[[camera]]") == 1
    assert f"afterwards: photodb {command} --retry '{frame.parent}'" in err
    (tmp_path / "k.toml").write_text(TOML)
    assert run("telescope", "add", tmp_path / "k.toml")[0] == 0
    told = "".join(run(command, frame, "--jobs", "0")[1:])
    assert "nothing to do" in told or "0 new frames" in told
    told = run(command, frame, "--jobs", "0", "--retry")
    assert "1 frames accepted" in told[2] or "1 accepted" in told[1]


def test_adding_says_what_changed_and_what_it_holds_for(run, tmp_path):
    path = tmp_path / "k.toml"
    path.write_text(TOML)
    assert "would be added: camera K9 on K" in run("telescope", "add", path, "--dry-run")[2]
    code, _, err = run("telescope", "add", path)
    assert code == 0
    assert "added camera K9 on K" in err and "photodb ingest --retry PATH" in err and "undo" not in err
    assert run("telescope", "add", path)[2] == "camera K9 on K: already there, unchanged\n"
    path.write_text(TOML.replace("2.0", "3.0"))
    err = run("telescope", "add", path)[2]
    assert "changed camera K9 on K" in err and "photodb runs undo RUN --yes" in err
    code, _, err = run("telescope", "add", tmp_path / "none.toml")
    assert code == 2
    assert err.count("none.toml") == 1 and "no such file" in err


def test_packaged_descriptions_are_shown(run, tmp_path):
    code, out, _ = run("telescope", "show", packaged_name())
    assert code == 0
    assert out.startswith("# comes with photodb")
    (tmp_path / "back.toml").write_text(out)
    assert run("telescope", "add", tmp_path / "back.toml")[0] == 0
    code, _, err = run("telescope", "show", "nothing")
    assert code == 5
    assert packaged_name() in err


def packaged_name() -> str:
    from photodb.images.headers import packaged

    return packaged()[0].name


@pytest.mark.parametrize("command", ["refcat", "telescope"])
def test_empty_lists_have_types(run, command):
    read = Table.read(run(command, "list", "--format", "ecsv")[1], format="ascii.ecsv")
    votable = run(command, "list", "--format", "votable")[1]
    for table in (read, parse_single_table(io.BytesIO(votable.encode())).to_table()):
        kinds = {name: table[name].dtype.kind for name in table.colnames}
        expected = {"name": "U", "n_stars": "i", "epoch": "f", "path": "U", "camera": "U", "gain": "f"}
        assert all(kinds[n] in (kind, "O") for n, kind in expected.items() if n in kinds)
        assert len(table) == 0 and len(kinds) >= 6


def test_a_catalogue_is_kept_with_its_whole_path(run, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("id,ra,dec,V,V_err\n1,02:04:10,+46:41:16,11.5,0.1\n")
    monkeypatch.chdir(tmp_path)
    code, _, err = run("refcat", "load", "a.csv", "--name", "mine")
    assert code == 0
    assert "frames ingested from now on" in err
    assert str(tmp_path / "a.csv") in run("refcat", "list", "--format", "csv")[1]
    assert run("refcat", "load", "a.csv", "--name", "b", "--column", "alpha=ra")[0] == 2
    assert run("refcat", "load", "a.csv", "--name", "b", "--epoch", "nan")[0] == 2


def test_the_advice_to_measure_anew_works(run, frame, tmp_path):
    """A corrected description holds for frames measured before, once their runs are undone."""
    path = tmp_path / "k.toml"
    path.write_text(TOML)
    assert run("telescope", "add", path)[0] == 0
    assert run("ingest", frame, "--jobs", "0")[0] == 0
    path.write_text(TOML.replace("2.0", "3.0"))
    advice = run("telescope", "add", path)[2]
    assert re.search(r"runs list; .*runs undo RUN --yes.*; photodb ingest PATH", advice)
    assert "nothing to do" in run("ingest", frame, "--jobs", "0")[2]
    assert gain_of(run) == 2.0
    listed = run("runs", "list", "--command", "ingest", "--format", "csv")[1]
    assert run("runs", "undo", listed.splitlines()[1].split(",")[0], "--yes")[0] == 0
    assert run("ingest", frame, "--jobs", "0")[0] == 0
    assert gain_of(run) == 3.0


def gain_of(run) -> float:
    return float(run("query", "SELECT gain FROM frame", "--format", "csv")[1].splitlines()[1])
