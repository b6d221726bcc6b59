"""Association in the archive: poles, RA 0, moving stars, pairs that one telescope parts and the other does not."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from sqlalchemy import text

from photodb.core.association import MOST_REACH_PX
from photodb.core.flags import Flag
from photodb.core.sky import cell_of, deproject, healpix29, separation_deg
from photodb.steps.associate import Seen, Sight, associate, search_deg
from photodb.steps.refcat import load_refcat
from photodb.steps.writeframe import LOCK_ORDER, cells_of
from photodb.storage import runs
from photodb.storage.sources import sources_in_cone

YEAR = 365.25


def start(db):
    with db.begin() as conn:
        return runs.start_run(conn, "test", {}, {})


def sight(ra, dec, mjd, radius=0.4, scale=1.0, fwhm=2.5):
    return Sight(1, False, mjd, (ra, dec, radius), scale, fwhm)


def seen(ra, dec, sigma, mag=None):
    n = len(ra)
    mag = np.zeros(n) if mag is None else np.asarray(mag, float)
    sigma = np.broadcast_to(np.asarray(sigma, float), n).copy()
    return Seen(
        np.asarray(ra, float), np.asarray(dec, float), sigma, mag, np.full(n, 20.0), np.zeros(n, np.int32)
    )


def sources(db, ra, dec, radius=1.0):
    with db.begin() as conn:
        return sources_in_cone(conn, ra, dec, radius)


@pytest.mark.parametrize(
    "centre", [(0.0, 0.0), (359.999, -45.0), (77.0, 90.0), (10.0, -89.95), (200.0, 89.7)]
)
def test_stars_stay_one_source_each_at_ra_0_and_the_poles(database, centre):
    """20 frames of 150 stars with errors of .05 to .35 arcsec: completeness and purity of what is 6 arcsec alone."""
    rng = np.random.default_rng()
    run_id = start(database)
    x, y = rng.uniform(-0.25, 0.25, (2, 150))
    ra, dec = deproject(x, y, *centre)
    error = rng.uniform(0.05, 0.35, 150)
    alone = np.array([np.sort(np.hypot(x - a, y - b))[1] * 3600 > 6 for a, b in zip(x, y)])
    owner, looked = np.full((20, 150), -1, np.int64), np.zeros((20, 150), bool)
    for k in range(20):
        shift = rng.uniform(-0.05, 0.05, 2)
        order = rng.permutation(150)[: rng.integers(120, 151)]
        noise = rng.normal(0, error, (2, 150)) / 3600
        here = deproject(x + noise[0], y + noise[1], *centre)
        middle = [float(v[0]) for v in deproject([shift[0]], [shift[1]], *centre)]
        with database.begin() as conn:
            done = associate(
                conn, run_id, sight(*middle, 60000.0 + k), seen(here[0][order], here[1][order], error[order])
            )
        owner[k, order], looked[k, order] = done.source_id, True
    linked = owner[:, alone] >= 0
    assert linked.sum() >= 0.995 * looked[:, alone].sum() > 1500
    per_star = [set(column[column >= 0]) for column in owner[:, alone].T]
    assert sum(len(s) != 1 for s in per_star) <= 1
    firsts = [next(iter(s)) for s in per_star]
    assert len(set(firsts)) == len(firsts)
    found = sources(database, *centre)
    # means are those of all detections: pulls of the distance from the truth
    row = {int(i): k for k, i in enumerate(found["source_id"])}
    stars = np.flatnonzero(alone)
    rows = found[[row[int(i)] for i in firsts]]
    pulls = separation_deg(rows["ra"], rows["dec"], ra[stars], dec[stars]) * 3600 / rows["position_err"]
    assert np.sqrt(np.mean(pulls**2) / 2) < 1.25


def test_a_moving_star_is_one_source_and_its_motion_is_told(database):
    """1.2 arcsec a year, seen every month for four years among stars that stand."""
    rng = np.random.default_rng()
    run_id = start(database)
    x, y = rng.uniform(-0.2, 0.2, (2, 60))
    x[0] = y[0] = 0.0
    owner = []
    for k in range(48):
        years = k / 12
        move = np.zeros((2, 60))
        move[:, 0] = np.array([0.9, -0.8]) * years / 3600
        noise = rng.normal(0, 0.1 / 3600, (2, 60))
        ra, dec = deproject(x + move[0] + noise[0], y + move[1] + noise[1], 150.0, 20.0)
        with database.begin() as conn:
            done = associate(conn, run_id, sight(150.0, 20.0, 59000 + years * YEAR), seen(ra, dec, 0.1))
        owner.append(done.source_id[0])
    assert len(set(owner)) == 1
    found = sources(database, 150.0, 20.0)
    star = found[found["source_id"] == owner[0]][0]
    assert star["n_detections"] == 48 and len(found) == 60
    assert np.hypot(star["pm_ra"] - 900, star["pm_dec"] + 800) < 5 * star["pm_err"] < 200
    assert (found["pm_ra"] != 0).sum() <= 1 + 1


def test_a_very_fast_star_is_followed_by_the_motion_of_a_catalogue(database, tmp_path):
    """10.4 arcsec a year, once a year for six years: without the catalogue it would be six sources."""
    epoch2000 = 51544.5
    catalogue = Table(
        {"id": ["fast"], "ra": [269.4521], "dec": [4.6934], "pm_ra": [-802.0], "pm_dec": [10362.0]}
    )
    catalogue.write(tmp_path / "fast.csv")
    load_refcat(database, tmp_path / "fast.csv", "fast", bands=[])
    run_id = start(database)
    for year in range(20, 26):
        ra, dec = deproject(-0.802 * year / 3600, 10.362 * year / 3600, 269.4521, 4.6934)
        with database.begin() as conn:
            done = associate(
                conn,
                run_id,
                sight(269.45, 4.75, epoch2000 + year * YEAR),
                seen([float(ra)], [float(dec)], 0.1),
            )
        assert done.n_new == (year == 20)
    (star,) = sources(database, 269.45, 4.75)
    assert star["n_detections"] == 6 and star["pm_dec"] == 10362 and star["pm_err"] == -1


@pytest.mark.parametrize("sharp_first", [True, False])
def test_a_pair_that_only_one_telescope_parts_is_two_sources_in_either_order(database, sharp_first):
    """Two stars 3 arcsec apart, the brighter by 1 mag; the other telescope sees one light between them."""
    run_id = start(database)
    x = np.array([0.0, 3.0]) / 3600
    light = float((x * [1, 0.4]).sum() / 1.4)

    def look(sharp, mjd):
        ra, dec = deproject(x if sharp else [light], np.zeros(2 if sharp else 1), 40.0, 10.0)
        how = {"scale": 1.0, "fwhm": 2.5} if sharp else {"scale": 4.0, "fwhm": 2.2}
        with database.begin() as conn:
            mag = [0.0, 1.0] if sharp else [-0.4]
            return associate(
                conn, run_id, sight(40.0, 10.0, mjd, **how), seen(ra, dec, 0.05 if sharp else 0.3, mag)
            )

    order = [True, False, True, False] if sharp_first else [False, True, False, True]
    done = [look(sharp, 60000.0 + k) for k, sharp in enumerate(order)]
    found = sources(database, 40.0, 10.0)
    assert len(found) == 2
    brighter = {int(d.source_id[0]) for d in done}
    assert len(brighter) == 1  # the coarse light and the brighter star are one source, whoever came first
    assert sorted(found["n_detections"].tolist()) == [2, 4]
    assert done[-1 if sharp_first else 2].flags[0] & Flag.BLEND
    assert np.bitwise_or.reduce(found["flags"]) & Flag.BLEND


def test_a_frame_is_associated_alike_twice_and_other_fields_keep_theirs(database):
    run_id = start(database)
    ra, dec = deproject(np.array([0.0, 0.01]), np.zeros(2), 10.0, 0.0)
    with database.begin() as conn:
        first = associate(conn, run_id, sight(10.0, 0.0, 60000.0), seen(ra, dec, 0.1))
        again = associate(conn, run_id, sight(10.0, 0.0, 60001.0), seen(ra, dec, 0.1))
        approximate = Sight(7, True, 60002.0, (10.0, 0.0, 0.4), 1.0, 2.5)
        apart = associate(conn, run_id, approximate, seen(ra, dec, 0.1))
    assert first.source_id.tolist() == again.source_id.tolist() and again.n_new == 0
    assert apart.n_new == 2
    with database.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM source WHERE approximate")) == 2


def test_what_lies_nowhere_has_no_source(database):
    run_id = start(database)
    with database.begin() as conn:
        done = associate(conn, run_id, sight(10.0, 0.0, 60000.0), seen([np.nan, 10.0], [np.nan, 0.0], 0.1))
    assert done.source_id[0] == -1 and done.flags[0] & Flag.UNMATCHED and done.source_id[1] > 0


@pytest.mark.parametrize("scale", [0.3, 20.0, 90.0])
def test_all_sources_that_a_frame_may_change_lie_in_cells_that_it_locks(scale):
    rng = np.random.default_rng()
    for ra, dec in zip(rng.uniform(0, 360, 8), (*rng.uniform(-85, 85, 6), 89.9, -90.0)):
        cells = cells_of(ra, dec, 0.2, scale)
        farthest = 0.2 + search_deg(MOST_REACH_PX * scale)
        turn = np.linspace(0, 2 * np.pi, 60)
        edge = deproject(farthest * np.cos(turn), farthest * np.sin(turn), ra, dec)
        assert np.isin(cell_of(healpix29(*edge), LOCK_ORDER), cells).all()
