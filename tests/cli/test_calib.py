"""photodb calib: what it says, what it gives to programs, its exit codes."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from tests.helpers.raw_frames import TOML, Detector, write_raw


@pytest.fixture
def frames(tmp_path, run):
    """Three bias frames and a single flat, ingested without building masters."""
    (tmp_path / "camera.toml").write_text(TOML.format(more="build_masters = false"))
    detector, rng = Detector(shape=(80, 100), n_hot=0, n_dead=0), np.random.default_rng(3)
    folder = tmp_path / "raw"
    folder.mkdir()
    for k in range(3):
        write_raw(folder / f"z{k}.fits", detector.expose(rng), "Bias", 0.0, "V", f"2024-03-01T18:0{k}:00",
                  **detector.cards)  # fmt: skip
    write_raw(folder / "f.fits", detector.expose(rng, 3e4, 2.0), "Flat", 2.0, "V", **detector.cards)
    assert run("telescope", "add", tmp_path / "camera.toml")[0] == 0
    assert run("ingest", folder, "--jobs", 0)[0] == 0
    return folder


def test_build_list_show_drop(run, frames, tmp_path):
    code, out, _ = run("calib", "build", "--dry-run")
    assert (
        code == 0
        and "would build bias of RAW1, night 60370, 3 frames" in out
        and "would build 2 masters" in out
    )
    code, out, _ = run("calib", "build")
    assert code == 1
    assert "master 1: bias of RAW1, night 60370, 3 frames" in out and "1 flat frame, 2 needed" in out
    code, out, _ = run("calib", "list", "--format", "csv")
    table = Table.read(out, format="ascii.csv")
    assert list(table["kind"]) == ["bias", "flat"] and list(table["status"]) == ["accepted", "rejected"]
    code, out, err = run("calib", "show", 1, "-o", tmp_path / "bias.fits", "--format", "csv")
    assert code == 0 and len(Table.read(out, format="ascii.csv")) == 3 and "accepted" in err
    with fits.open(tmp_path / "bias.fits") as hdus:
        assert (
            hdus["MASTER"].shape == hdus["BPM"].shape == (80, 100) and hdus["MASTER"].header["NFRAMES"] == 3
        )
    code, out, err = run("calib", "drop", 1, "--format", "json")
    assert code == 0 and json.loads(out)["master_id"] == 1 and "dropped master 1" in err


def test_a_program_gets_a_record(run, frames):
    code, out, err = run("calib", "build", "--kind", "bias", "--format", "json")
    record = json.loads(out)
    assert code == 0 and record["built"][0]["status"] == "accepted" and "master 1: bias" in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["build", "--kind", "dark"], 5, "no calibration frame of kind dark; there are bias, flat V"),
        (["build", "--kind", "lamp"], 2, "lamp"),
        (["build", "--camera", "nosuch"], 2, "no camera 'nosuch'; known are RAW1"),
        (["build", "--days", "0"], 2, "days"),
        (["show", "7"], 5, "no master 7"),
        (["drop", "7"], 5, "no master 7"),
    ],
)
def test_what_cannot_be_done_is_told(run, frames, arguments, code, told):
    found, _, err = run("calib", *arguments)
    assert found == code and told in err
