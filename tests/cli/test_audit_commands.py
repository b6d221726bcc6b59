"""photodb audit at the command line."""

import json
from types import SimpleNamespace

import pytest

from photodb.cli.run import _next
from photodb.storage.engine import open_database
from tests.helpers import audit_archive
from tests.helpers.audit_archive import Truth


@pytest.fixture
def filled(archive_url):
    with open_database(archive_url) as db:
        audit_archive.build(db, Truth(80, 4, offset=0.1), 8)


def test_the_table_for_people_is_narrow_and_others_have_all(run, filled):
    code, out, err = run("audit")
    assert code == 0
    assert max(map(len, out.splitlines())) < 200
    assert "offset +0.0" in out or "offset +0.1" in out
    assert "no slope with colour: no colours" in err
    code, out, _ = run("audit", "north", "south", "--band", "V", "--format", "json")
    assert code == 0
    (row,) = json.loads(out)["rows"]
    assert row["n_sources"] > 70
    assert abs(row["offset"] - 0.1) < 5 * row["offset_err"]
    assert row["slope_colour"] is None
    for name in (
        "raw_offset",
        "scatter",
        "drift_p",
        "map_p",
        "dra",
        "dra_err",
        "ddec",
        "rotation",
        "scale_ppm",
    ):
        assert name in row


@pytest.mark.parametrize(
    ("which", "column"),
    [("nights", "raw_offset"), ("map", "difference_err"), ("stars", "source_id"), ("places", "ddec")],
)
def test_other_tables(run, filled, which, column):
    code, out, _ = run("audit", "--table", which, "--format", "csv")
    assert code == 0
    head, *rows = out.splitlines()
    assert column in head.split(",")
    assert rows


@pytest.mark.parametrize("fmt", ["table", "jsonl", "ecsv", "votable"])
def test_every_format_writes_an_empty_table_too(run, filled, fmt):
    code, out, _ = run("audit", "--min-sources", "1000", "--table", "summary", "--format", fmt)
    assert code == 0
    assert "too few sources" in out


def test_a_figure(run, filled, tmp_path):
    code, _, err = run("audit", "--by", "camera", "--plot", tmp_path / "audit.png")
    assert code == 0
    assert "wrote" in err
    assert (tmp_path / "audit.png").stat().st_size > 20_000


def test_what_cannot_be_done(run, filled):
    assert run("audit", "north")[0] == 2
    assert run("audit", "north", "north")[0] == 2
    code, out, err = run("audit", "north", "east")
    assert (code, out) == (5, "")
    assert "no telescope east in the archive; there is north, south" in err


def test_an_empty_archive(run):
    code, _, err = run("audit")
    assert code == 5
    assert "no accepted frames" in err


@pytest.mark.parametrize(("telescopes", "told"), [(["north"], False), (["north", "south"], True)])
def test_run_points_to_it_where_telescopes_share_a_field(capsys, telescopes, told):
    solve = SimpleNamespace(components=[{"telescopes": telescopes}])
    _next(SimpleNamespace(left=object(), why_not_solved="", solve=solve))
    assert ("photodb audit" in capsys.readouterr().err) == told
