"""What `photodb demo` says, without running the chain (tests/steps/test_demo.py runs it)."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from photodb.cli import cli
from photodb.cli.demo_text import times, truth_beside_result, what_next
from photodb.errors import UsageError
from photodb.simulate.results import Comparison, FalseCandidate, Scatter, VariableFound, ZeroPointError
from photodb.steps.demo import DemoReport, DemoSettings, check_folder, simulate_into
from photodb.steps.progress import Silent


def _variable(kind, rank, amplitude, period, found, match):
    return VariableFound(
        7, kind, 303.7, 35.01, 14.2, amplitude, 0.01, 90, 5 if rank else -1, rank, 12.0, period, found, match
    )


@pytest.fixture
def comparison():
    return Comparison(
        n_frames=96,
        n_accepted=95,
        n_used=94,
        n_tree=2,
        n_tree_set_aside=2,
        rejected=("aldercam-n2-016.fits: background uneven",),
        n_stars_matched=388,
        position_median=0.03,
        position_rms=0.05,
        variables=(
            _variable("rr_lyrae", 1, 0.8, 0.48, 0.4801, "true"),
            _variable("eclipsing", 3, 0.5, 0.69, 0.345, "1/2"),
            _variable("transit", 0, 0.06, 1.25, np.nan, ""),
            _variable("sine", 0, 0.02, 0.2, np.nan, ""),
        ),
        false=(
            FalseCandidate(2, 9, 303.8, 35.1, 15.0, 6.0, 12, ("iqr",)),
            FalseCandidate(4, 10, 1, 2, 3, 4, -1, ()),
        ),
        zero_points=(
            ZeroPointError("AlderCam", "V", 0, 46, 0.0006, 0.002, "frames/a.fits"),
            ZeroPointError("BirchCCD", "V", 0, 48, 0.0012, -0.003, "frames/b.fits"),
        ),
        scatter=(Scatter("V", 50, 0.0051, 0.0049, 1.03),),
    )


def test_truth_beside_result_tells_everything(comparison):
    text = truth_beside_result(comparison)
    for words in (
        "96 written, 95 accepted, 94 used",
        "2 of 2 behind the tree set aside",
        "background uneven",
        "AlderCam V: 46 frames, rms 0.60 mmag",
        "all: rms 0.95 mmag",
        "2 of 4 found; 1 clear ones missed",
        "1/2 of it",
        "not clear of the noise",
        "False candidates: 2, of which 1 stand above",
    ):
        assert words in text, words


def test_what_next_names_a_place_that_was_found(comparison):
    report = DemoReport(Path("d"), DemoSettings(), False, comparison, {"simulate": 1.0, "solve": 2.5})
    text = what_next(report, [Path("d/plots/noise.png")])
    assert "photodb lightcurve 303.70000 +35.01000" in text and "d/plots" in text
    assert "together 3.5" in times(report)


def test_refuses_folders_of_something_else(tmp_path):
    settings = DemoSettings(frames=2, stars=30)
    assert check_folder(tmp_path / "new", settings) is False
    simulate_into(tmp_path / "demo" / "simulated", settings, Silent())
    assert check_folder(tmp_path / "demo", settings) is True
    with pytest.raises(UsageError, match="frames 2"):
        check_folder(tmp_path / "demo", DemoSettings(frames=3, stars=30))
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "photo.jpg").touch()
    with pytest.raises(UsageError, match="files of something else"):
        check_folder(tmp_path / "else", settings)


def test_an_interrupted_simulation_is_completed(tmp_path):
    settings = DemoSettings(frames=3, stars=30)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    simulate_into(whole, settings, Silent())
    simulate_into(broken, settings, Silent())
    first, *others = sorted(broken.rglob("*.fits"))
    first.write_bytes(first.read_bytes()[:1000])
    others[0].unlink()
    (broken / "refcat.csv").unlink()
    simulate_into(broken, settings, Silent())
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        assert (broken / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_dry_run_writes_nothing(tmp_path):
    result = CliRunner().invoke(
        cli, ["demo", str(tmp_path / "d"), "--frames", "4", "--stars", "30", "--dry-run"]
    )
    assert result.exit_code == 0 and "4 frames of 30 stars" in result.stderr
    assert not (tmp_path / "d").exists()
