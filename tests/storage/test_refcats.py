"""Stars of reference catalogues: corrected, moved to the epoch, and told by cones at the poles."""

import numpy as np
import pytest

from photodb.core.sky import project, separation_deg
from photodb.steps.refcat import load_refcat
from photodb.storage import refcats

STAR = np.dtype([("name", "O"), ("ra", "f8"), ("dec", "f8"), ("pm_ra", "f4"), ("pm_dec", "f4"),
                 ("mag", "f4", (1,)), ("mag_err", "f4", (1,))])  # fmt: skip


def load(db, tmp_path, places, **more):
    """Load a catalogue by the front door (it makes the run), then one with what is given under the name 'other'."""
    path = tmp_path / "one.csv"
    path.write_text("id,ra,dec,V,V_err\na,10,10,9,0.1\n")
    load_refcat(db, path, "front")
    stars = np.zeros(len(places), STAR)
    stars["name"] = [f"s{k}" for k in range(len(places))]
    for k, place in enumerate(places):
        for name, value in zip(("ra", "dec", "pm_ra", "pm_dec", "mag"), place):
            stars[name][k] = value
    stars["mag_err"] = np.nan
    with db.begin() as conn:
        run_id = refcats.list_catalogues(conn)[0]["run_id"]
        refcats.insert_catalogue(conn, run_id, "other", "", "", 2000.0, 5, ["V"], stars, **more)
        return refcats.by_priority(conn)


def test_a_catalogue_without_a_correction(database, tmp_path):
    first, second = load(database, tmp_path, [(1.0, 2.0, 0, 0, 12.0)])
    assert (first.name, second.name) == ("other", "front")
    assert np.isnan(first.position_error) and not first.correction


def test_the_correction_and_the_epoch_hold_at_the_pole_too(database, tmp_path):
    places = [(0.0, 90.0, 3000.0, 4000.0, 8.0), (200.0, 89.99, 0, 0, np.nan), (359.9999, 10.0, 100.0, 0, 9.0)]
    correction = {"ra_arcsec": 0.5, "ra_per_mag_arcsec": 0.1, "mag0": 8.0}
    catalogue, _ = load(database, tmp_path, places, position_error=0.2, correction=correction)
    assert catalogue.position_error == pytest.approx(0.2) and catalogue.correction.to_dict() == correction
    with database.begin() as conn:
        pole = refcats.stars_in_cone(conn, catalogue, 0.0, 90.0, 0.1, 2010.0)
        zero = refcats.stars_in_cone(conn, catalogue, 0.0, 10.0, 0.1, 2010.0)
    xi, eta = project(pole["ra"], pole["dec"], 0.0, 90.0)
    assert np.array([xi[0], eta[0]]) * 3600 == pytest.approx([30.5, 40.0], abs=1e-3)
    moved = separation_deg(pole["ra"][1], pole["dec"][1], 200.0, 89.99) * 3600
    assert pole["mag"][1] == refcats.NO_MAG and moved == pytest.approx(0.5, abs=1e-4)
    east = ((zero["ra"][0] - 359.9999 + 180) % 360 - 180) * np.cos(np.radians(10)) * 3600
    assert east == pytest.approx(1.0 + 0.6, abs=1e-3)
