"""solve, solution, stats, variables and period on the command line: output, formats, exit codes."""

import json

import pytest
from astropy.table import Table
from click.testing import CliRunner

from photodb.cli import cli
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.storage.engine import open_database
from tests.helpers import survey_archive

SURVEY = SurveySettings(
    n_frames=16, n_stars=120, variables=0.0, outliers=0.0, completeness=(1.0, 1.0), dither=0.02
)


@pytest.fixture
def filled(archive_url):
    survey = simulate_survey(SURVEY, seed=2)
    with open_database(archive_url) as db:
        return survey_archive.fill(db, survey)


def test_the_chain_of_commands(run, filled):
    code, out, _ = run("solve", "--order", "1", "--dry-run")
    assert code == 0
    assert out.startswith("dry run, nothing was written: 16 frames")
    code, out, _ = run("solve", "--order", "1")
    assert code == 0
    assert "solution 1 (published): 16 frames" in out
    assert "mmag" in out
    code, out, _ = run("solution", "show", "--format", "json")
    shown = json.loads(out)
    wanted = {
        "n_frames",
        "n_sources",
        "n_measurements",
        "chi2_dof",
        "components",
        "error_floor",
        "bright_scatter",
    }
    assert wanted <= set(shown)
    assert shown["n_frames"] == 16
    assert len(shown["components"]) == 1
    code, out, _ = run("stats")
    assert code == 0
    assert "reference stars" in out
    code, out, err = run("variables", "--format", "csv")
    assert code == 5
    assert out.splitlines()[0].startswith("source_id,ra,dec,band,n_obs,mag,score,period,reason")
    assert "no candidate" in err
    code, out, _ = run("variables", "--all", "--format", "csv")
    assert code == 0
    assert len(out.splitlines()) > 100
    code, out, _ = run("variables", "--all", "--format", "ecsv")
    units = {name: str(column.unit) for name, column in Table.read(out, format="ascii.ecsv").items()}
    assert [units[n] for n in ("ra", "dec", "mag", "period", "global_noise", "n_obs")] == [
        "deg", "deg", "mag", "d", "mag", "None",
    ]  # fmt: skip
    code, _, err = run("variables", "--band", "Q")
    assert code == 5
    assert "no band Q in the archive; bands: R" in err
    code, out, _ = run("period", "--source", str(filled.source_id[0]), "--format", "json")
    assert code == 0
    assert json.loads(out)["rows"][0]["band"] == "R"
    assert json.loads(out)["units"] == {"period": "d", "amplitude": "mag"}


def test_too_few_points_for_a_period_are_told(run, archive_url):
    few = SurveySettings(n_frames=6, n_stars=120, variables=0.0, outliers=0.0, completeness=(1.0, 1.0))
    with open_database(archive_url) as db:
        filled = survey_archive.fill(db, simulate_survey(few, seed=2))
    assert run("solve", "--order", "0")[0] == 0
    code, out, err = run("period", "--source", str(filled.source_id[0]), "--format", "csv")
    assert code == 5
    assert "6 good points; 8 needed" in err
    assert out.splitlines()[1].split(",")[2:4] == ["6", "nan"]


def test_solutions_are_listed_compared_published_dropped(run, filled):
    assert run("solve", "--order", "0")[0] == 0
    assert run("solve", "--order", "2", "--draft")[0] == 0
    code, out, _ = run("solution", "list", "--format", "csv")
    assert [line.split(",")[:2] for line in out.splitlines()[1:]] == [["2", "draft"], ["1", "published"]]
    code, out, _ = run("solution", "diff", "1", "2", "--format", "json")
    assert json.loads(out)["zero_point_n_common"] == 16
    code, _, err = run("solution", "drop", "1", "--yes")
    assert code == 2
    assert "published" in err
    assert run("solution", "publish", "2")[0] == 0
    assert run("solution", "drop", "1")[0] == 2  # nobody to ask
    assert run("solution", "drop", "1", "--yes")[0] == 0
    assert run("solution", "show", "1")[0] == 5
    assert run("solution", "drop", "77")[0] == 5  # before anybody is asked


def test_what_cannot_be_done_is_said_with_its_exit_code(run):
    code, _, err = run("solve")
    assert code == 5
    assert "frame list" in err
    assert run("stats")[0] == 5
    assert run("variables")[0] == 5
    assert run("solution", "show")[0] == 5
    assert run("solve", "--order", "4")[0] == 2
    assert run("period")[0] == 2


@pytest.mark.parametrize("command", ["solve", "solution", "stats", "variables", "period"])
def test_help_is_there_without_an_archive(command):
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
