"""Simbad and VSX asked over a local transport; without the network the error comes at once."""

import socket
import time

import numpy as np
import pytest

from photodb.errors import NetworkError, UsageError
from photodb.images.nameservices import ask
from tests.helpers.service import service


@pytest.fixture
def asked(monkeypatch):
    with service() as (base, asked):
        for name in ("simbad", "vsx"):
            monkeypatch.setenv(f"PHOTODB_{name.upper()}_URL", f"{base}/{name}?{{name}}")
        yield asked


def test_simbad_answers(asked):
    row = ask("simbad", "AF Vel")[0]
    assert (row["name"], row["type"]) == ("V* AF Vel", "RRLyr")
    assert (row["ra"], row["dec"]) == (163.260075, -49.906389)
    assert (row["pm_ra"], row["pm_dec"]) == (-12.0, 3.5) and row["position_error"] == pytest.approx(1.5e-5)
    assert "HIP 53213" in row["aliases"] and np.isnan(row["period"])
    assert ask("simbad", "Nobody & Co?") is None
    assert asked == ["/simbad AF Vel", "/simbad Nobody & Co?"]


def test_vsx_answers(asked):
    row = ask("vsx", "T CrB")[0]
    assert (row["name"], row["type"], row["period"], row["epoch"]) == ("T CrB", "NR+ELL", 227.5528, 2455828.9)
    assert [float(row["mag_max"]), float(row["mag_min"])] == pytest.approx([2.0, 10.8]) and row[
        "mag_band"
    ] == "V"
    assert ask("vsx", "WeSb 1") is None


@pytest.mark.parametrize("path", ["broken", "500"])
@pytest.mark.parametrize("name", ["simbad", "vsx"])
def test_answers_that_are_none(monkeypatch, name, path):
    with service() as (base, _):
        monkeypatch.setenv(f"PHOTODB_{name.upper()}_URL", f"{base}/{path}?{{name}}")
        with pytest.raises(
            NetworkError, match=rf"^{name} \(127.0.0.1:\d+\) (answered with what is no|cannot be asked)"
        ):
            ask(name, "AF Vel")


def test_without_the_network_the_error_comes_at_once(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("PHOTODB_SIMBAD_URL", f"http://127.0.0.1:{port}/{{name}}")
    started = time.monotonic()
    with pytest.raises(NetworkError, match=r"cannot be asked: .*photodb objects load FILE"):
        ask("simbad", "AF Vel")
    assert time.monotonic() - started < 5


def test_a_service_that_does_not_answer_is_given_up(monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("PHOTODB_VSX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/{{name}}")
        with pytest.raises(NetworkError, match=r"vsx .* cannot be asked: .*timed out"):
            ask("vsx", "AF Vel", time_limit_s=0.2)


@pytest.mark.parametrize("address", ["file:///etc/{name}", "ftp://x/{name}", "https://x/"])
def test_addresses_that_are_none(monkeypatch, address):
    monkeypatch.setenv("PHOTODB_VSX_URL", address)
    with pytest.raises(UsageError, match="PHOTODB_VSX_URL"):
        ask("vsx", "AF Vel")
    with pytest.raises(UsageError, match="no service 'ned'"):
        ask("ned", "AF Vel")
