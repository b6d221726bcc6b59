"""Pairs of sources that may be one star, against the obvious double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core.pairs import common_frames, near_pairs, one_star_pairs
from photodb.core.sky import separation_deg


def dense(ra, dec, error, reach):
    pairs = set()
    for i in range(len(ra)):
        for j in range(i + 1, len(ra)):
            limit = max(reach[i], reach[j], 3 * np.hypot(error[i], error[j]))
            if 3600 * separation_deg(ra[i], dec[i], ra[j], dec[j]) <= limit:
                pairs.add((i, j))
    return pairs


@pytest.mark.parametrize(
    ("ra0", "dec0"), [(180.0, 0.0), (0.0, 0.0), (12.0, 90.0), (300.0, -90.0), (359.9999, 60.0)]
)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_near_pairs_are_found_everywhere_on_the_sky(ra0, dec0, seed):
    rng = np.random.default_rng(seed)
    n = 60
    ra = (ra0 + rng.normal(0, 10, n) / 3600 / max(np.cos(np.radians(dec0)), 1e-2)) % 360
    dec = np.clip(dec0 + rng.normal(0, 10, n) / 3600, -90, 90)
    error, reach = rng.uniform(0, 0.5, n), rng.uniform(0.5, 3, n)
    found = near_pairs(ra, dec, error, reach)
    assert set(zip(found.first.tolist(), found.second.tolist())) == dense(ra, dec, error, reach)
    expected = 3600 * separation_deg(ra[found.first], dec[found.first], ra[found.second], dec[found.second])
    assert np.allclose(found.separation_arcsec, expected, atol=1e-8)
    assert (np.diff(found.separation_arcsec) >= 0).all()


def test_what_has_no_place_is_in_no_pair():
    found = near_pairs(np.array([1.0, np.nan, 1.0]), np.array([2.0, 2.0, 2.0]), np.nan, 1.0)
    assert found.first.tolist() == [0] and found.second.tolist() == [2]
    assert len(near_pairs(np.empty(0), np.empty(0), 0.1, 1.0)) == 0


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_common_frames_are_those_of_the_sets(seed):
    rng = np.random.default_rng(seed)
    n = 12
    pairs = near_pairs(rng.uniform(10, 10.001, n), rng.uniform(0, 0.001, n), 0.0, 2.0)
    m = int(rng.integers(0, 40))
    row, frame = rng.integers(0, n, m), rng.integers(0, 6, m) * 1_000_003
    sets = [set(frame[row == i].tolist()) for i in range(n)]
    expected = [len(sets[i] & sets[j]) for i, j in zip(pairs.first, pairs.second)]
    assert common_frames(pairs, row, frame).tolist() == expected
    one = one_star_pairs(pairs, row, frame)
    assert len(one) == expected.count(0)
