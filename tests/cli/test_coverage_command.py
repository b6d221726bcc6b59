"""photodb coverage on a small archive: rows, summary, near misses, formats and exit codes."""

import csv
import io
import json

import pytest

from photodb.cli import cli
from photodb.cli.common import _invoke
from tests.helpers.fixtures import filled_archive
from tests.helpers.small_archive import DEC, NX, RA, SCALE_ARCSEC

OFF = NX * SCALE_ARCSEC / 3600


@pytest.fixture(scope="module")
def filled(server):
    yield from filled_archive(server)


@pytest.fixture
def ask(filled, capsys):
    def call(*words):
        code = _invoke(cli, ["--archive", filled.url, "coverage", *map(str, words)], None)
        return code, *capsys.readouterr()

    return call


def table(out):
    return list(csv.DictReader(io.StringIO(out)))


def test_a_row_a_frame_and_a_sentence(ask):
    code, out, err = ask(RA, DEC, "--format", "csv")
    rows = table(out)
    assert code == 0 and len(rows) == 16
    assert [r["coverage"] for r in rows].count("measured") == 16
    assert {r["astrometry"] for r in rows} == {"catalogue"}
    assert err == "16 frames cover it: 16 measured\n"
    assert float(rows[0]["x"]) == pytest.approx((NX - 1) / 2, abs=1e-6)
    assert rows[0]["limit_5sigma"] == "17.0"


def test_filters_columns_and_sexagesimal(ask):
    _, out, _ = ask(
        "2:04:10.248", "-46:41:16.08", "--camera", "castor-ccd", "--night", 60001, "--format", "csv"
    )
    assert len(table(out)) == 4
    _, out, _ = ask(RA, DEC, "--band", "V", "--all-columns", "--format", "csv")
    assert len(table(out)) == 8 and {"path", "distance_arcsec", "snr", "flags"} <= set(table(out)[0])
    assert ask(RA, DEC, "--camera", "none-such")[0] == 5


def test_a_summary_by_band(ask):
    _, out, _ = ask(RA, DEC + 0.02, "--summary", "--format", "json")
    rows = json.loads(out)["rows"]
    assert [r["band"] for r in rows] == ["R", "V"]
    assert [(r["n_frames"], r["n_limit"], r["n_nights"]) for r in rows] == [(8, 8, 2)] * 2
    assert rows[0]["stacked_limit_5sigma"] > rows[0]["deepest_limit_5sigma"] > 16.9


@pytest.mark.parametrize("fmt", ["table", "json", "jsonl", "csv", "ecsv", "votable"])
def test_every_format(ask, fmt):
    assert ask(RA, DEC + 0.02, "--format", fmt)[0] == 0
    assert ask(RA, DEC, "--summary", "--format", fmt)[0] == 0


def test_nothing_covers_it_but_some_nearly_do(ask):
    code, out, err = ask(RA + 0.6 * OFF / 0.686, DEC)
    assert (code, out) == (5, "")
    assert "no frame covers" in err and "the nearest is frame" in err and "arcsec away" in err
    code, out, err = ask(RA + 0.6 * OFF / 0.686, DEC, "--all", "--format", "csv")
    assert code == 0 and {r["coverage"] for r in table(out)} == {"outside"}
    assert float(table(out)[0]["distance_px"]) == pytest.approx(0.1 * NX, abs=0.5)
    assert "no frame covers it" in err and "16 frames nearly" in err


def test_what_is_no_position_or_radius(ask):
    assert ask(RA, 95)[0] == 2
    assert ask(RA, DEC, "--radius", 0)[0] == 2
    assert ask(RA, DEC, "--raduis", 3)[0] == 2


@pytest.mark.parametrize(
    "words", [["--map"], ["--map", "limit"], ["--at", RA, DEC], ["--at", RA, DEC, "--band", "V"]]
)
def test_figures(filled, capsys, tmp_path, words):
    words = ["plot", "coverage", *map(str, words), "-o", str(tmp_path / "a.png")]
    assert _invoke(cli, ["--archive", filled.url, *words], None) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert f": {8 if 'V' in words else 16} frames" in capsys.readouterr().err


def test_a_figure_of_a_place_that_nothing_covers_or_of_two_things(filled, capsys, tmp_path):
    where = ["-o", str(tmp_path / "a.png")]
    assert _invoke(cli, ["--archive", filled.url, "plot", "coverage", "--at", "1", "-80", *where], None) == 5
    assert "no frame covers" in capsys.readouterr().err
    assert _invoke(cli, ["--archive", filled.url, "plot", "coverage", "--at", *where], None) == 2
    both = ["plot", "coverage", "--at", str(RA), str(DEC), "--map", "limit", *where]
    assert _invoke(cli, ["--archive", filled.url, *both], None) == 2
    assert not (tmp_path / "a.png").exists()
