"""Names in an archive: who is asked first, what is ambiguous, what is kept."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.errors import NetworkError, NothingMatched, UsageError
from photodb.steps.objects import drop_objects, list_objects, load_objects, show_object
from photodb.steps.places import find_place
from photodb.steps.refcat import load_refcat
from photodb.steps.runs import undo_run
from tests.helpers.fixtures import filled_archive
from tests.helpers.service import service

LIST = "Name,RAJ2000,DEJ2000,Type,Period\nAF Vel,163.26008,-49.90639,RRAB,0.527413\nV0470 Lyr,280.1,30.2,EA,1.5\n"


def written(path, text):
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def filled(server):
    yield from filled_archive(server)


@pytest.fixture
def known(database, tmp_path):
    load_objects(database, written(tmp_path / "vsx.csv", LIST), "mine")
    return database


@pytest.mark.parametrize("name", ["AF Vel", "V* AF Vel", "af_vel", "AFVel", "AF Velorum"])
def test_forms_of_a_name_are_found(known, name):
    place = find_place(known, name)
    assert (place.ra, place.dec, place.name, place.origin) == (163.26008, -49.90639, "AF Vel", "mine")
    assert find_place(known, "v470 lyr").name == "V0470 Lyr"


def test_what_is_not_known_is_told_with_near_names(known):
    with pytest.raises(
        NothingMatched, match=r"'AF Vul' is not known; did you mean AF Vel\?.*--online simbad"
    ):
        find_place(known, "AF Vul")
    with pytest.raises(NothingMatched, match="no source 12"):
        find_place(known, "source 12")
    with pytest.raises(NothingMatched, match="is not known"):
        find_place(known, "_ _")


def test_two_catalogues_must_agree(known, tmp_path):
    near = written(tmp_path / "b.csv", "name,ra,dec,position_error\naf vel,163.26108,-49.90639,0.1\n")
    load_objects(known, near, "near")
    assert find_place(known, "AF Vel").origin == "near"  # 2.3 arcsec apart: the one of known error
    load_objects(known, written(tmp_path / "c.csv", "name,ra,dec\nAF Vel,163.3,-49.9\n"), "far")
    with pytest.raises(
        UsageError, match=r"different places: .*mine: AF Vel at 163.26008 -49.90639.*far: AF Vel at 163.3"
    ):
        find_place(known, "AF Vel")
    assert drop_objects(known, "far") == 1
    assert find_place(known, "AF Vel").origin == "near"
    assert [row["catalogue"] for row in show_object(known, "AF_Vel")] == ["mine", "near"]


def test_reference_stars_come_after_known_objects(known, tmp_path):
    load_refcat(known, written(tmp_path / "r.csv", "id,ra,dec\nTYC 1-2-1,10,20\nAF Vel,50,50\n"), "tycho")
    assert find_place(known, "TYC 1-2-1").origin == "tycho" and find_place(known, "tyc 1-2-1").ra == 10
    assert find_place(known, "AF Vel").ra == 163.26008
    with known.begin() as conn:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(conn.scalars(text("EXPLAIN SELECT * FROM reference_star WHERE name = ANY('{a,b}')")))
    assert "reference_star_name_idx" in plan


def test_a_source_by_its_number_and_the_epoch_of_the_frames(filled, tmp_path):
    source_id = int(filled.truth.source_id[3])
    for form in (f"source {source_id}", f"#{source_id}", f"SOURCE{source_id}"):
        assert find_place(filled.db, form).name == f"source {source_id}"
    fast = written(tmp_path / "f.csv", "name,ra,dec,pmra,pmdec\nBarnard,269.45,4.69,-800,10360\n")
    load_objects(filled.db, fast, "fast")
    place = find_place(filled.db, "barnard")
    years = 2000 + (60000.5 - 51544.5) / 365.25 - 2000  # the frames are of MJD 60000 to 60001
    assert (place.dec - 4.69) * 3600 == pytest.approx(10.36 * years, abs=0.1)
    assert (place.ra - 269.45) * np.cos(np.radians(4.69)) * 3600 == pytest.approx(-0.8 * years, abs=0.1)


def test_answers_of_the_network_are_kept(database, monkeypatch):
    with service() as (base, asked):
        monkeypatch.setenv("PHOTODB_SIMBAD_URL", f"{base}/simbad?{{name}}")
        with pytest.raises(NothingMatched, match="simbad does not know 'Nobody' either"):
            find_place(database, "Nobody", "simbad")
        with pytest.raises(NothingMatched):
            find_place(database, "af vel")
        assert asked == ["/simbad Nobody"]  # nothing without the option
        first = find_place(database, "af vel", "simbad")
        assert first.origin == "simbad" and "is kept" in first.notes[0] and len(asked) == 2
        assert find_place(database, "AF Vel", "simbad").ra == first.ra and len(asked) == 2
    assert find_place(database, "HIP 53213").name == "V* AF Vel"
    assert [(row["name"], row["n_objects"]) for row in list_objects(database)] == [("simbad", 1)]
    with database.begin() as conn:
        run = conn.scalar(text("SELECT max(run_id) FROM run WHERE command = 'objects ask'"))
    assert undo_run(database, run) == {"known_object": 1}
    assert list_objects(database) == []
    with pytest.raises(NetworkError):
        find_place(database, "af vel", "simbad")


def test_loading_twice_replacing_dropping_undoing(known, tmp_path):
    assert load_objects(known, tmp_path / "vsx.csv", "mine").already
    other = written(tmp_path / "d.csv", "name,ra,dec\nX,1,2\n")
    with pytest.raises(UsageError, match="--replace"):
        load_objects(known, other, "mine")
    assert load_objects(known, other, "mine", replace_old=True, dry_run=True).n_objects == 1
    assert find_place(known, "AF Vel").ra == 163.26008
    assert load_objects(known, other, "mine", replace_old=True).n_objects == 1
    assert find_place(known, "x").ra == 1
    with pytest.raises(NothingMatched):
        show_object(known, "AF Vel")
    with pytest.raises(NothingMatched, match="loaded are: mine"):
        drop_objects(known, "yours")
    with known.begin() as conn:
        run = conn.scalar(text("SELECT max(run_id) FROM run WHERE command = 'objects load'"))
    assert undo_run(known, run) == {"known_object": 1}
    with known.begin() as conn:
        left = [
            conn.scalar(text(f"SELECT count(*) FROM {t}"))
            for t in ("known_catalogue", "known_object", "known_name")
        ]
    assert left == [0, 0, 0]
