"""Star lists on the command line, from a folder of lists to a light curve."""

import csv
import io

import numpy as np

from photodb.simulate.measurements import SurveySettings, simulate_survey
from tests.helpers.star_lists import frames_of, write_lists


def test_from_lists_to_a_light_curve(run, tmp_path):
    survey = simulate_survey(
        SurveySettings(n_frames=8, n_stars=120, order=1, outliers=0, variables=0), seed=9
    )
    frames = frames_of(survey)
    (told,) = write_lists(frames, tmp_path / "lists", "foreign")
    code, _, err = run("ingest", "--jobs", 0, tmp_path / "lists")
    assert (
        code == 5 and "no star list" in err and "8 other files" in err
    )  # they mean nothing without their map
    code, _, err = run("run", "--jobs", 0, "--list-map", told, tmp_path / "lists")
    assert code == 0, err
    star = int(frames[0].star[5])
    ra, dec = frames[0].ra[5], frames[0].dec[5]
    code, out, err = run("lightcurve", ra, dec, "--format", "csv")
    assert code == 0, err
    points = list(csv.DictReader(io.StringIO(out)))
    seen = [f for f in frames if star in f.star]
    assert len(points) == len(seen) and {p["telescope"] for p in points} == {f.telescope for f in seen}
    mag = np.array([float(p["mag"]) for p in points])
    assert np.std(mag) < 0.03
    shown = list(csv.DictReader(io.StringIO(run("frame", "list", "--format", "csv")[1])))
    assert {(f["status"], f["astrometry"]) for f in shown} <= {("accepted", "header"), ("accepted", "frames")}
    assert run("ingest", "--jobs", 0, "--list-map", told, tmp_path / "lists")[2].count("nothing to do") == 1


def test_a_wrong_map_is_a_configuration_error(run, tmp_path):
    (tmp_path / "map.toml").write_text("[colums]\nx = 'a'\n")
    code, out, err = run("ingest", "--list-map", tmp_path / "map.toml", tmp_path)
    assert (code, out) == (3, "") and "unknown key colums" in err
