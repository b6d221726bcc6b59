"""astrometry on the command line: what it says, its records, its figures, and its exit codes."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from photodb.core.tangent import TangentWCS
from tests.images.sky_frames import star_image, write_frame

SHAPE = (420, 520)
PLACE = TangentWCS.approximate(150.005, 20.003, (SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2, 1.5, 12.0)


@pytest.fixture
def night(tmp_path):
    """Two frames, turned by 12 degrees, whose headers tell a pointing; and the catalogue of their stars."""
    sky, x, y, flux = star_image(np.random.default_rng(4), n=90, shape=SHAPE)
    (tmp_path / "frames").mkdir()
    for k in range(2):
        cards = {"DATE-OBS": f"2024-03-01T22:1{k}:00", "PIXSCALE": 1.5}
        write_frame(tmp_path / "frames" / f"{k}.fits", sky, **cards)
    ra, dec = PLACE.to_sky(x, y)
    names = [f"star{k}" for k in range(len(x))]
    columns = {
        "id": names,
        "ra": ra,
        "dec": dec,
        "V": 25 - 2.5 * np.log10(flux),
        "V_err": np.full(len(x), 0.01),
    }
    Table(columns).write(tmp_path / "stars.csv")
    return tmp_path


def test_it_says_what_it_did_and_what_is_next(run, night):
    assert run("ingest", night / "frames", "--jobs", 0)[0] == 0
    code, out, err = run("astrometry", "solve")
    assert (code, out) == (1, "placed 0 of 2 frames; 2 keep the place that they had\n")
    assert "frames/0.fits): its " in err and "stars match no catalogue" in err
    assert "photodb astrometry solve" in run("refcat", "load", night / "stars.csv", "--name", "mine")[2]
    code, out, _ = run("astrometry", "solve", "--dry-run", "--format", "json")
    trial = json.loads(out)
    assert code == 0 and trial["dry_run"] and trial["n_placed"] == 2
    assert trial["placed"][0]["before"] == "approximate" and trial["placed"][0]["source"] == "mine"
    code, out, err = run("astrometry", "solve")
    assert (code, out) == (0, "placed 2 of 2 frames (2 by catalogue)\n") and "next: photodb measure" in err
    assert run("astrometry", "solve")[:2] == (
        0,
        "nothing to do: a catalogue placed all of these frames; --all places them anew\n",
    )
    assert "2 are where they were" in run("astrometry", "solve", "--all", "--refcat", "mine")[1]


def test_exit_codes(run, night):
    assert run("astrometry", "solve")[0] == 5
    assert run("ingest", night / "frames", "--jobs", 0)[0] == 0
    for words in (("--band", "X"), ("--refcat", "none"), ("77",), ("nowhere.fits",)):
        assert run("astrometry", "solve", *words)[0] == 5, words
    for words in (("--scale", "0"), ("--center", "1"), ("--center", "1", "91")):
        assert run("astrometry", "solve", *words)[0] == 2, words
    assert run("astrometry", "show", "77")[0] == 5
    assert run("astrometry", "show", "1-2")[0] == 2
    assert run("astrometry", "show", "1", "--matches")[0] == 5
    assert run("astrometry", "plot", "1", "-o", night / "x.png")[0] == 5
    assert run("astrometry", "plot", "-o", night / "x.png", "--camera", "none")[0] == 5


def test_a_place_is_told_and_drawn(run, night):
    run("refcat", "load", night / "stars.csv", "--name", "mine")
    assert run("ingest", night / "frames", "--jobs", 0)[0] == 0
    code, out, _ = run("astrometry", "show", "1", "--format", "json")
    told = json.loads(out)
    assert code == 0 and told["catalogue"] == "mine" and told["astrometry"] == "catalogue"
    assert told["pixel_scale"] == pytest.approx(1.5, rel=1e-3) and told["rotation"] == pytest.approx(
        12.0, abs=0.05
    )
    assert not told["mirrored"] and told["order"] >= 1 and told["n_used"] > 50
    code, out, _ = run("astrometry", "show", "0.fits", "--matches", "--format", "json")
    rows = json.loads(out)["rows"]
    assert code == 0 and len(rows) == told["n_used"] + told["n_clipped"]
    assert rows[0]["star"].startswith("star") and abs(rows[0]["dx"]) < 0.2
    assert "astrom_rms_arcsec" in run("astrometry", "show", "1")[1]
    for words in (("1",), (), ("--band", "V")):
        code, _, err = run("astrometry", "plot", *words, "-o", night / "plot.png")
        assert code == 0 and "wrote" in err and (night / "plot.png").stat().st_size > 10_000
    assert run("astrometry", "plot", "1", "--band", "V", "-o", night / "plot.png")[0] == 2


def test_a_frame_without_any_pointing_needs_one(run, night):
    for path in (night / "frames").iterdir():
        with fits.open(path, mode="update") as hdus:
            del hdus[0].header["RA"], hdus[0].header["DEC"]
    run("refcat", "load", night / "stars.csv", "--name", "mine")
    assert run("ingest", night / "frames", "--jobs", 0)[0] == 0
    code, _, err = run("astrometry", "solve")
    assert code == 1 and "say --center RA DEC" in err
    code, out, _ = run("astrometry", "solve", "--center", "10:00:00", "+20:00:00")
    assert (code, out) == (0, "placed 2 of 2 frames (2 by catalogue)\n")
    told = json.loads(run("astrometry", "show", "2", "--format", "json")[1])
    assert (told["placed_before"], told["remark"], told["field_approximate"]) == ("none", "", False)
    assert run("runs", "undo", 4, "--yes")[0] == 0
    assert json.loads(run("astrometry", "show", "2", "--format", "json")[1])["astrometry"] == "none"
    assert run("verify")[0] == 0
