"""Matching with known objects: brute force tells the same, at RA 0 and the poles too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core.knownmatch import key_ranges_around, nearest_objects
from photodb.core.sky import deproject, healpix29, separation_deg, wrap


def brute(ra, dec, error, known_ra, known_dec, known_error):
    """Compare every source with every object."""
    rows, apart = [], []
    for a, d, e in zip(ra, dec, np.nan_to_num(error)):
        arcsec = 3600 * separation_deg(a, d, known_ra, known_dec)
        reach = np.clip(3 * np.hypot(e, np.where(np.isfinite(known_error), known_error, 1.0)), 1.5, 30)
        near = np.where(arcsec <= reach, arcsec, np.inf)
        rows.append(int(np.argmin(near)) if np.isfinite(near).any() else -1)
        apart.append(near.min() if np.isfinite(near).any() else np.nan)
    return np.array(rows), np.array(apart)


@pytest.mark.parametrize(
    "place", [(0.0, 0.0), (359.9995, -30.0), (10.0, 90.0), (200.0, -89.999), (120.0, 45.0)]
)
@pytest.mark.parametrize("seed", range(4))
def test_brute_force_tells_the_same(place, seed):
    rng = np.random.default_rng(seed)
    spread = 0.02 / max(np.cos(np.radians(place[1])), 1e-4)
    ra = wrap(place[0] + rng.uniform(-spread, spread, 140))
    dec = np.clip(place[1] + rng.uniform(-0.02, 0.02, 140), -90, 90)
    error = np.where(rng.random(140) < 0.2, np.nan, rng.uniform(0, 3, 140))
    parts = [
        column for half in (slice(0, 60), slice(60, 140)) for column in (ra[half], dec[half], error[half])
    ]
    row, apart = nearest_objects(*parts)
    expected, distance = brute(*parts)
    assert (row >= 0).sum() > 3
    np.testing.assert_array_equal(row, expected)
    np.testing.assert_allclose(apart, distance, rtol=1e-5, atol=1e-6)


def test_nothing_and_nothing():
    none, one = np.empty(0), np.array([1.0])
    assert nearest_objects(none, none, none, one, one, one)[0].tolist() == []
    assert nearest_objects(one, one, one, none, none, none)[0].tolist() == [-1]
    assert [len(r) for r in key_ranges_around(np.array([-1]))] == [0, 0]


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 359.999999), st.floats(-90, 90), st.floats(0, 360), st.floats(0, 60))
def test_ranges_hold_whatever_is_within_a_minute(ra, dec, angle, arcsec):
    lo, hi = key_ranges_around(healpix29([ra], [dec]))
    east, north = np.sin(np.radians(angle)) * arcsec / 3600, np.cos(np.radians(angle)) * arcsec / 3600
    there = deproject(east, north, ra, dec)
    key = healpix29(*there)[0]
    assert ((lo <= key) & (key < hi)).any()
