"""Cones against brute force, over the whole sky; covering frames."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodb.core import sky
from photodb.storage import lightcurves, runs
from tests.helpers.small_archive import DEC, RA, add_sources, fill


@pytest.fixture(scope="module")
def spread_sources(server):
    """2,000 sources: some anywhere, most around the poles and around right ascension zero."""
    rng = np.random.default_rng(5)
    ra = np.concatenate([rng.uniform(0, 360, 1200), rng.normal(0, 0.05, 800) % 360])
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 2000)))
    dec[:300] = 90 - np.abs(rng.normal(0, 0.2, 300))
    dec[300:600] = -90 + np.abs(rng.normal(0, 0.2, 300))
    dec[1200:] = rng.normal(0, 0.05, 800)
    name = server.create()
    with server.database(name) as db:
        with db.begin() as conn:
            run_id = runs.start_run(conn, "ingest", {}, {})
            source_id, _ = add_sources(conn, run_id, ra, dec)
        yield db, source_id, ra, dec
    server.drop(name)


PLACES = st.one_of(
    st.tuples(st.floats(0, 360), st.floats(-90, 90)),
    st.tuples(st.floats(0, 360), st.floats(89.5, 90)),
    st.tuples(st.floats(0, 360), st.floats(-90, -89.5)),
    st.tuples(st.floats(-0.2, 0.2).map(lambda a: a % 360), st.floats(-0.2, 0.2)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=PLACES, radius=st.floats(1e-4, 2.0))
def test_cone_equals_brute_force(spread_sources, place, radius):
    db, source_id, ra, dec = spread_sources
    with db.begin() as conn:
        found = lightcurves.sources_in_cone(conn, *place, radius)
    expected = source_id[sky.separation_deg(*place, ra, dec) <= radius]
    assert set(found["source_id"]) == set(expected)
    assert np.all(np.diff(found["separation_arcsec"]) >= 0)


def test_merged_sources_are_left_out(database):
    with database.begin() as conn:
        run_id = runs.start_run(conn, "ingest", {}, {})
        add_sources(conn, run_id, np.array([10.0]), np.array([5.0]))
        add_sources(conn, run_id, np.array([10.0]), np.array([5.0]), merged_into=1)
        assert len(lightcurves.sources_in_cone(conn, 10.0, 5.0, 0.001)) == 1


def test_cover_counts_frames_by_their_outline(database):
    fill(database, n_frames=4)
    with database.begin() as conn:
        inside = lightcurves.cover(conn, RA, DEC)
        # 100 px of 2 arcsec to the edge in x, 80 px in y: beyond the outline, within the circle
        beside = lightcurves.cover(conn, RA, DEC + 90 * 2 / 3600)
        outside = lightcurves.cover(conn, RA, DEC + 1)
    assert (inside.n_frames, beside.n_frames, outside.n_frames) == (4, 0, 0)
    assert inside.radius_arcsec == pytest.approx(max(1.5, 3 * 0.3, 0.5 * 3.015 * 2.0))
    assert not inside.approximate


def test_nearest_source(database):
    with database.begin() as conn:
        run_id = runs.start_run(conn, "ingest", {}, {})
        add_sources(conn, run_id, np.array([10.0]), np.array([0.0]))
        assert lightcurves.nearest_source_arcsec(conn, 10.0, 0.1) == pytest.approx(360.0)
        assert np.isnan(lightcurves.nearest_source_arcsec(conn, 200.0, 0.0))
