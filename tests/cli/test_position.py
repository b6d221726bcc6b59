"""Words for a position: RA DEC, the name of an object, and what is neither."""

import csv
import io

import click
import numpy as np
import pytest

from photodb.cli import cli
from photodb.cli.common import _invoke
from photodb.cli.position import place_words
from tests.helpers.fixtures import filled_archive
from tests.helpers.service import service
from tests.helpers.small_archive import DEC, RA


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["31.5", "-46.25"], (31.5, -46.25)),
        (["31.5 -46.25"], (31.5, -46.25)),
        (["31.5,-46.25"], (31.5, -46.25)),
        (["2:04:00", "-46:15:00"], (31.0, -46.25)),
        (["2", "4", "0", "-46", "15", "0"], (31.0, -46.25)),
        (["2 4 0", "-46 15 0"], (31.0, -46.25)),
        (["2h4m0s", "+46d15m0s"], (31.0, 46.25)),
        (["-1", "2"], (359.0, 2.0)),
        (["AF", "Vel"], "AF Vel"),
        (["AF Vel"], "AF Vel"),
        (["V470", "Lyr"], "V470 Lyr"),
        (["3", "Cen"], "3 Cen"),
        (["3C 273"], "3C 273"),
        (["source", "12"], "source 12"),
        (["#12"], "#12"),
        (["4295806720"], "4295806720"),
        (["2MASS J00012+0103"], "2MASS J00012+0103"),
        (["TYC", "3281-800-1"], "TYC 3281-800-1"),
        (["ASAS", "J043223-6103.9"], "ASAS J043223-6103.9"),
        (["4U", "1700-37"], "4U 1700-37"),
    ],
)
def test_words(words, place):
    told = place_words(words)
    assert told == (place if isinstance(place, str) else pytest.approx(place, abs=1e-9))


@pytest.mark.parametrize(
    "words", [["31.5", "95"], ["31.5", "north"], ["31.0427d", "-46.7"], ["31.5"], [""], ["400", "-1"]]
)
def test_words_that_are_no_position(words):
    with pytest.raises(click.UsageError):
        place_words(words)


@pytest.fixture(scope="module")
def filled(server):
    yield from filled_archive(server)


@pytest.fixture
def call(filled, capsys):
    """A function that runs a command on the filled archive and returns exit code, rows and stderr."""

    def run(*words):
        code = _invoke(cli, ["--archive", filled.url, *map(str, words)], None)
        captured = capsys.readouterr()
        return code, list(csv.DictReader(io.StringIO(captured.out))), captured.err

    return run


@pytest.fixture
def loaded(filled, call, tmp_path):
    """The archive with a list of its own stars as known objects."""
    (tmp_path / "list.csv").write_text(
        f"name,ra,dec,type,period\nAF Vel,{RA},{DEC},RRAB,0.5\nFar Away,10,10,EA,2\nHAT-P-32,{RA},{DEC},,\n"
    )
    assert call("objects", "load", tmp_path / "list.csv", "--name", "mine", "--replace")[0] == 0
    return call


def test_every_command_of_a_position_takes_a_name(loaded, filled):
    expected = loaded("lightcurve", RA, DEC, "--format", "csv")[1]
    for words in (["AF Vel"], ["af", "vel"], ["HATP32"], [f"#{filled.truth.source_id[0]}"]):
        code, rows, err = loaded("lightcurve", *words, "--format", "csv")
        assert code == 0 and rows == expected
        assert "RA 31.04270 Dec -46.68780" in err
    assert (
        loaded("cone", "AF Vel", 0.1, "--format", "csv")[1]
        == loaded("cone", RA, DEC, 0.1, "--format", "csv")[1]
    )
    assert loaded("cone", "AF", "Vel", 0.1)[0] == 0
    assert loaded("source", "show", "AF Vel", "--format", "json")[0] == 0
    assert loaded("period", "AF Vel", "--format", "csv")[1] == loaded("period", RA, DEC, "--format", "csv")[1]
    assert (
        loaded("coverage", "AF Vel", "--format", "csv")[1]
        == loaded("coverage", RA, DEC, "--format", "csv")[1]
    )


def test_names_that_lead_nowhere(loaded):
    code, _, err = loaded("lightcurve", "AF Vul")
    assert code == 5 and "did you mean AF Vel?" in err and "photodb objects load" in err
    assert loaded("lightcurve", "Far Away")[0] == 5
    assert loaded("lightcurve")[0] == 2
    assert loaded("period")[0] == 2
    assert loaded("period", "AF Vel", "--source", 1)[0] == 2
    assert loaded("lightcurve", "AF Vel", "--raduis", 3)[0] == 2
    assert loaded("lightcurve", "AF Vel", "-x")[0] == 2


def test_the_network_is_asked_only_when_told(loaded, monkeypatch):
    with service() as (base, asked):
        monkeypatch.setenv("PHOTODB_VSX_URL", f"{base}/vsx?{{name}}")
        assert loaded("cone", "T CrB", 0.1)[0] == 5 and not asked
        code, _, err = loaded("cone", "T CrB", 0.1, "--online", "vsx")
        assert (
            code == 5
            and "T CrB (vsx): RA 239.87567 Dec +25.92017" in err
            and "next time" in err
            and len(asked) == 1
        )
    assert "T CrB (vsx)" in loaded("cone", "T CrB", 0.1)[2]
    code, _, err = loaded("cone", "R Leo", 0.1, "--online", "vsx")
    assert code == 3 and "vsx (127.0.0.1" in err and "cannot be asked" in err


def test_objects_are_listed_shown_and_dropped(loaded):
    rows = loaded("objects", "list", "--format", "csv")[1]
    assert ("mine", "3") in [(row["name"], row["n_objects"]) for row in rows]
    rows = loaded("objects", "show", "af", "vel", "--format", "csv")[1]
    assert (rows[0]["type"], rows[0]["period"]) == ("RRAB", "0.5") and float(rows[0]["ra"]) == RA
    assert loaded("objects", "show", "nothing")[0] == 5
    assert loaded("objects", "drop", "mine", "--dry-run")[0] == 0
    assert loaded("objects", "drop", "mine")[0] == 2  # nobody is there to ask
    assert loaded("objects", "drop", "mine", "--yes")[0] == 0
    assert loaded("lightcurve", "AF Vel")[0] == 5


def test_python_takes_names_too(filled, loaded):
    import photodb

    with photodb.open(filled.url) as archive:
        by_name, by_place = archive.lightcurve("AF Vel"), archive.lightcurve(RA, DEC)
        np.testing.assert_array_equal(by_name["mag"], by_place["mag"])
        assert len(archive.cone("AF Vel", radius_deg=0.1)) == len(archive.cone(RA, DEC, 0.1))
        with pytest.raises(photodb.errors.NothingMatched):
            archive.lightcurve("nobody")
        with pytest.raises(photodb.errors.UsageError, match="dec"):
            archive.lightcurve(RA)


def test_variables_and_match_on_the_command_line(loaded):
    rows = loaded("variables", "--all", "--known", "--format", "csv")[1]
    assert {row["known"] for row in rows} <= {"AF Vel", "HAT-P-32"}  # they are at one place
    assert list(rows[0])[:9] == [
        "source_id",
        "ra",
        "dec",
        "band",
        "n_obs",
        "mag",
        "score",
        "period",
        "reason",
    ]
    assert loaded("variables", "--known")[0] == 5
    code, rows, _ = loaded("objects", "match", "--type", "rr", "--measured", "--format", "csv")
    assert code == 0 and [row["name"] for row in rows] == ["AF Vel"] and int(rows[0]["n_obs"]) == 16
    code, rows, err = loaded("objects", "match", "--type", "EA", "--format", "csv")
    assert code == 5 and rows == [] and "no known object" in err
