"""Known objects among variables, and among what the frames cover."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.errors import NothingMatched
from photodb.steps.known import covered_objects
from photodb.steps.objects import load_objects
from photodb.steps.variables import variables
from photodb.storage.stats import VARIABLE_DTYPE
from tests.helpers.fixtures import filled_archive
from tests.helpers.small_archive import DEC, RA


@pytest.fixture(scope="module")
def filled(server, tmp_path_factory):
    """The archive, and a catalogue: on source 5, 2 arcsec beside source 7, on nothing, off the frames."""
    for archive in filled_archive(server):
        with archive.db.begin() as conn:
            rows = conn.execute(text("SELECT source_id, ra, dec FROM source"))
            place = {row[0]: (row[1], row[2]) for row in rows}
        ids = archive.truth.source_id
        (ra5, dec5), (ra7, dec7) = place[int(ids[5])], place[int(ids[7])]
        rows = [
            f"AF Vel,{ra5},{dec5},RRAB,0.5274", f"Beside,{ra7},{dec7 + 2.0 / 3600},EA,",
            f"Empty,{RA},{DEC + 0.02},M,300",
            "Away,10,10,M,300",
        ]  # fmt: skip
        path = tmp_path_factory.mktemp("known") / "v.csv"
        path.write_text("\n".join(["name,ra,dec,type,period", *rows]) + "\n")
        assert (variables(archive.db)["known"] == "").all()
        with pytest.raises(NothingMatched, match="no catalogue of known objects"):
            covered_objects(archive.db)
        load_objects(archive.db, path, "vsx")
        yield archive


def test_variables_tell_what_is_known_of_them(filled):
    found = variables(filled.db)
    assert list(found.dtype.names)[: len(VARIABLE_DTYPE.names)] == list(VARIABLE_DTYPE.names)
    assert set(found["source_id"]) == {filled.truth.source_id[5]}
    assert set(found["known"]) == {"AF Vel"} and set(found["known_type"]) == {"RRAB"}
    assert set(found["known_period"]) == {0.5274} and set(found["known_catalogue"]) == {"vsx"}
    assert len(variables(filled.db, known=True)) == len(found) and len(variables(filled.db, known=False)) == 0


def test_all_stars_by_what_is_known_of_them(filled):
    everything = variables(filled.db, all_stars=True)
    known = variables(filled.db, all_stars=True, known=True)
    new = variables(filled.db, all_stars=True, known=False)
    assert len(known) + len(new) == len(everything)
    assert set(known["known"]) == {"AF Vel", "Beside"}
    beside = known[known["known"] == "Beside"]
    assert set(beside["source_id"]) == {filled.truth.source_id[7]} and np.isnan(beside["known_period"]).all()
    np.testing.assert_allclose(beside["known_arcsec"], 2.0, atol=1e-4)
    assert len(variables(filled.db, all_stars=True, known=False, limit=5)) == 5


def test_covered_objects_with_their_sources(filled):
    rows = {row["name"]: row for row in covered_objects(filled.db, "vsx")}
    assert set(rows) == {"AF Vel", "Beside", "Empty"}
    with filled.db.begin() as conn:
        frames = conn.scalar(
            text("SELECT count(*) FROM frame WHERE status = 'accepted' AND kind = 'science'")
        )
    assert (
        rows["Empty"]["n_frames"] == frames
        and rows["Empty"]["source_id"] == -1
        and rows["Empty"]["n_obs"] == 0
    )
    assert rows["AF Vel"]["source_id"] == filled.truth.source_id[5]
    assert (rows["AF Vel"]["n_obs"], rows["AF Vel"]["bands"]) == (16, "R V")
    with pytest.raises(NothingMatched, match="loaded are: vsx"):
        covered_objects(filled.db, "gcvs")


def test_approximate_sources_are_not_taken_for_known_objects(filled):
    with filled.db.begin() as conn:
        conn.execute(text("UPDATE source SET approximate = true"))
    assert len(variables(filled.db, all_stars=True, known=True)) == 0
    with filled.db.begin() as conn:
        conn.execute(text("UPDATE source SET approximate = false"))
    assert len(variables(filled.db, all_stars=True, known=True)) > 0
