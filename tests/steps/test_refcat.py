"""Reference catalogues in the archive: loaded piece by piece, replaced, dropped; corrections; fast stars."""

import numpy as np
import pytest
from astropy.table import Table
from sqlalchemy import text

from photodb.core.correction import Correction
from photodb.errors import NothingMatched, UsageError
from photodb.images import tabletext
from photodb.images.cataloguemap import CatalogueMap
from photodb.steps.refcat import drop_refcat, load_refcat, show_refcat
from photodb.steps.runs import undo_run
from photodb.storage import refcats

PLACED = """
INSERT INTO frame (path, data_hash, status, reason, reason_code, reference_catalogue_id)
VALUES ('a', 'h', 'rejected', 'cloud', 'user', :k)
"""


def write_stars(path, n=30, **more):
    rng = np.random.default_rng(3)
    columns = {
        "id": [f"s{k}" for k in range(n)],
        "ra": rng.uniform(100, 101, n),
        "dec": rng.uniform(-1, 1, n),
    }
    Table({**columns, "V": rng.uniform(8, 14, n), "V_err": np.full(n, 0.02), **more}).write(
        path, overwrite=True
    )
    return path


def count(db, query="SELECT count(*) FROM reference_star"):
    with db.begin() as conn:
        return conn.scalar(text(query))


def test_a_file_is_loaded_in_pieces_and_in_one_transaction(database, tmp_path, monkeypatch):
    monkeypatch.setattr(tabletext, "PIECE", 7)
    path = write_stars(tmp_path / "a.csv")
    report = load_refcat(
        database, path, "mine", told=CatalogueMap(position_error=0.2), correction=Correction(ra_arcsec=0.1)
    )
    assert (report.n_stars, count(database)) == (30, 30)
    row = show_refcat(database, "mine")
    assert row["n_stars"] == 30 and row["position_error"] == pytest.approx(0.2) and row["n_frames"] == 0
    assert Correction.from_dict(row["correction"]) == Correction(ra_arcsec=0.1)
    assert load_refcat(database, path, "mine").already
    with path.open("a") as file:
        file.write("s99,100,0,x,x\ns3,1,2,3,4\n" + "last,abc,def,1,1\n" * 20)
    report = load_refcat(database, path, "other")
    assert report.n_stars == 31 and report.dropped == {"id there already": 1, "without a position": 20}
    Table({"ra": np.linspace(0, 24, 20), "dec": np.zeros(20)}).write(tmp_path / "hours.csv")
    before = count(database)
    with pytest.raises(UsageError, match="hours or degrees"):  # told only at the end
        load_refcat(database, tmp_path / "hours.csv", "hours")
    assert count(database) == before
    assert count(database, "SELECT count(*) FROM reference_catalogue") == 2


def test_another_file_takes_the_place_only_when_told(database, tmp_path):
    load_refcat(database, write_stars(tmp_path / "a.csv"), "mine", priority=3)
    other = write_stars(tmp_path / "b.csv", n=12)
    with pytest.raises(UsageError, match="--replace"):
        load_refcat(database, other, "mine")
    assert load_refcat(database, other, "mine", replace_old=True, dry_run=True).n_stars == 12
    assert count(database) == 30
    assert load_refcat(database, other, "mine", replace_old=True).replaced
    assert count(database) == 12


def test_a_catalogue_that_frames_rest_on_stays(database, tmp_path):
    load_refcat(database, write_stars(tmp_path / "a.csv"), "mine")
    with database.begin() as conn:
        key = refcats.find_catalogue(conn, "mine")["reference_catalogue_id"]
        conn.execute(
            text(PLACED),
            {"k": key},
        )
    assert show_refcat(database, "mine")["n_frames"] == 1
    with pytest.raises(
        UsageError, match=r"1 frames were placed with the catalogue 'mine'.*solve --all --refcat"
    ):
        drop_refcat(database, "mine")
    with pytest.raises(UsageError, match="1 frames were placed"):
        load_refcat(database, write_stars(tmp_path / "b.csv", n=5), "mine", replace_old=True)
    with database.begin() as conn:
        conn.execute(text("DELETE FROM frame"))
    assert drop_refcat(database, "mine", dry_run=True) == 30 and count(database) == 30
    assert drop_refcat(database, "mine") == 30 and count(database) == 0
    with pytest.raises(NothingMatched, match="loaded are: none"):
        show_refcat(database, "mine")
    run = count(database, "SELECT max(run_id) FROM run WHERE command = 'refcat drop'")
    with pytest.raises(UsageError, match="loads it again"):
        undo_run(database, run)


def test_fast_stars_at_the_edge_of_a_cone_are_where_they_are_now(database, tmp_path):
    """Brute force over all stars moved one by one tells the same."""
    rng = np.random.default_rng(8)
    n, speed = 400, 10_000.0
    dec = rng.uniform(60, 62, n)
    angle = rng.uniform(0, 2 * np.pi, n)
    path = tmp_path / "fast.csv"
    Table({
        "id": np.arange(n), "ra": rng.uniform(0, 360, n), "dec": dec, "pmra": speed * np.sin(angle),
        "pmdec": speed * np.cos(angle),
    }).write(path)  # fmt: skip
    load_refcat(database, path, "fast", epoch=1991.25)
    with database.begin() as conn:
        catalogue = refcats.by_priority(conn)[0]
        assert catalogue.fastest == pytest.approx(speed, rel=1e-5) and catalogue.epoch == 1991.25
        everything = refcats.stars_in_cone(conn, catalogue, 0.0, 90.0, 60.0, 2026.0)
        assert len(everything) == n
        for k in range(60):
            ra, dec0, radius = rng.uniform(0, 360), rng.uniform(60, 62), rng.uniform(0.2, 2.0)
            found = refcats.stars_in_cone(conn, catalogue, ra, dec0, radius, 2026.0)
            apart = refcats.sky.separation_deg(ra, dec0, everything["ra"], everything["dec"])
            assert set(found["key"]) == set(everything["key"][apart <= radius]), k
