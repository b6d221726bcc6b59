"""solve-field with an index of its own, built from a simulated sky; and without the program."""

import subprocess
import time

import numpy as np
import pytest

from photodb.core.sky import separation_deg
from photodb.errors import ConfigurationError, UsageError
from photodb.images.solvefield import SolveField

from ..helpers.index_files import NX, NY, SCALE, build_index, frame, make_sky


@pytest.fixture(scope="module")
def sky():
    return make_sky()


@pytest.fixture(scope="module")
def program(sky, tmp_path_factory):
    return build_index(sky, tmp_path_factory.mktemp("index"))


def off_arcsec(wcs, truth):
    x, y = np.array([0, NX, 0, NX, NX / 2]), np.array([0, 0, NY, NY, NY / 2])
    return 3600 * separation_deg(*wcs.to_sky(x, y), *truth.to_sky(x, y)).max()


def test_frames_are_solved_with_any_rotation_and_parity(sky, program):
    for seed in range(6):
        truth, xy = frame(sky, seed)
        solved = program.solve(xy, NX, NY, SCALE * (1.3 if seed == 2 else 1.0) if seed else float("nan"))
        assert solved is not None, seed
        assert off_arcsec(solved.wcs, truth) < 1.0
        fit = solved.refined(xy, NX, NY, np.full(xy.shape, 0.05))
        assert fit is not None and off_arcsec(fit.wcs, truth) < 0.15 and fit.n_used >= 10


def test_its_distortion_is_read(sky, program):
    truth, xy = frame(sky, 4, bent=True)
    solved = program.solve(xy, NX, NY, SCALE)
    assert solved is not None and solved.wcs.order == 3 and off_arcsec(solved.wcs, truth) < 2.5


def test_another_sky_is_not_solved(program):
    xy = np.random.default_rng(3).uniform(0, 1, (80, 2)) * [NX, NY]
    assert program.solve(xy, NX, NY, SCALE) is None


def test_it_is_stopped_with_its_children_when_it_takes_too_long(tmp_path, monkeypatch):
    """A program of that name that starts a child and never ends."""
    fake, mark = tmp_path / "solve-field", tmp_path / "child"
    fake.write_text(f"#!/bin/sh\n(sleep 3; touch {mark}) &\nsleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("photodb.images.solvefield.GRACE_SECONDS", 0.5)
    began = time.monotonic()
    assert SolveField(seconds=0.5).solve(np.ones((5, 2)), NX, NY) is None
    assert time.monotonic() - began < 2.9
    assert subprocess.run(["pgrep", "-f", str(mark)], capture_output=True, check=False).returncode == 1


def test_without_index_files_it_says_what_the_program_said(program, tmp_path):
    config = tmp_path / "empty.cfg"
    config.write_text(f"add_path {tmp_path}\nautoindex\n")
    with pytest.raises(ConfigurationError, match=r"solve-field failed: .*index"):
        SolveField(config).solve(np.random.default_rng(1).uniform(0, 1000, (40, 2)), NX, NY)


def test_without_the_program_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no program solve-field on PATH: install astrometry"):
        SolveField().check()
    with pytest.raises(UsageError, match="0 seconds"):
        SolveField(seconds=0)
