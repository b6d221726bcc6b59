"""refcat and objects on the command line: options of files, what is told, shown and refused."""

import json

import numpy as np
import pytest

TEXT = "star,alpha,delta,V,V_err\n1,2.5,-10,11.5,0.1\n2,2.6,-11,99.9,0.1\n2,2.7,-12,12,0.1\n3,x,-12,12,0.1\n"


@pytest.fixture
def stars(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(TEXT)
    return path


ROLES = ("--column", "id=star", "--column", "ra=alpha", "--column", "dec=delta")


def test_options_of_a_file(run, stars, tmp_path):
    code, _, err = run("refcat", "load", stars, "--name", "n")
    assert (
        code == 2 and "no column for ra; columns are star, alpha, delta" in err and "--column ra=NAME" in err
    )
    code, _, err = run("refcat", "load", stars, "--name", "n", *ROLES, "--unit", "ra=hour", "--position-error", 0.5,
                       "--epoch", 2015.5, "--dry-run")  # fmt: skip
    assert code == 0 and "would load 2 stars, bands V" in err
    assert "1 rows without a position left out" in err and "1 rows id there already left out" in err
    assert "1 magnitudes V beyond -30 to 40" in err
    (tmp_path / "m.toml").write_text('[columns]\nid="star"\nra="alpha"\ndec="delta"\n[units]\nra="hour"\n')
    (tmp_path / "c.toml").write_text("ra_arcsec = 0.25\n")
    more = (
        "--columns",
        tmp_path / "m.toml",
        "--correction",
        tmp_path / "c.toml",
        "--epoch",
        2015.5,
        "--position-error",
        0.5,
    )
    assert run("refcat", "load", stars, "--name", "n", *more)[0] == 0
    record = json.loads(run("refcat", "show", "n", "--format", "json")[1])
    assert (record["n_stars"], record["epoch"], record["position_error"], record["n_frames"]) == (
        2,
        2015.5,
        0.5,
        0,
    )
    assert record["correction"] == {"ra_arcsec": 0.25} and record["systems"] == ["unknown"]
    ra = run("query", "SELECT min(ra) AS ra FROM reference_star", "--format", "csv")[1].splitlines()[1]
    assert float(ra) == pytest.approx(37.5)
    assert '"ra_arcsec"' in run("refcat", "list", "--format", "csv")[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--unit", "ra=parsec"], "'parsec'"),
        (["--unit", "hour"], "--unit takes ROLE=UNIT"),
        (["--frame", "moon"], "no coordinate frame 'moon'"),
        (["--columns", "none.toml"], "none.toml"),
        (["--correction", "none.toml"], "none.toml"),
        (["--band", "W"], "no column W; columns are"),
        (["--epoch", "1066"], "epoch"),
        (["--position-error", "-1"], "position-error"),
    ],
)
def test_options_that_make_no_sense(run, stars, options, words):
    code, _, err = run("refcat", "load", stars, "--name", "n", *ROLES, *options)
    assert code == 2 and words in err
    assert len(run("refcat", "list", "--format", "csv")[1].splitlines()) == 1


def test_replacing_and_dropping(run, stars, tmp_path):
    assert run("refcat", "load", stars, "--name", "n", *ROLES)[0] == 0
    assert "nothing to do" in run("refcat", "load", stars, "--name", "n", *ROLES)[2]
    other = tmp_path / "b.csv"
    other.write_text(
        "id,ra,dec\n" + "".join(f"{k},{k * 20.0},{d}\n" for k, d in enumerate(np.linspace(-80, 80, 15)))
    )
    assert run("refcat", "load", other, "--name", "n")[0] == 2
    assert run("refcat", "load", other, "--name", "n", "--replace")[0] == 0
    assert "would drop 15 stars" in run("refcat", "drop", "n", "--dry-run")[1]
    assert run("refcat", "drop", "n")[0] == 2
    assert run("refcat", "drop", "n", "--yes")[0] == 0
    assert run("refcat", "show", "n")[0] == 5 and run("refcat", "drop", "n", "--yes")[0] == 5


def test_a_frame_that_is_told(run, tmp_path):
    (tmp_path / "old.csv").write_text("id,ra,dec\na,0,0\nb,90,45\n")
    _, _, err = run("refcat", "load", tmp_path / "old.csv", "--name", "n", "--frame", "B1950")
    assert "positions brought from fk4:B1950 to ICRS" in err
    ra = run("query", "SELECT ra FROM reference_star WHERE name = 'a'", "--format", "csv")[1].splitlines()[1]
    assert float(ra) == pytest.approx(0.6406, abs=1e-3)
