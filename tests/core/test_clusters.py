"""One place, two places, or a moving one: each is told for what it is."""

import numpy as np
import pytest

from photodb.core.clusters import two_places

SEEDS = range(20)


def clouds(seed, *centres, n=40, sigma=0.2):
    rng = np.random.default_rng(seed)
    which = np.arange(n) % len(centres)
    xy = np.array(centres)[which] + rng.normal(0, sigma, (n, 2))
    return *xy.T, rng.uniform(0, 300, n), which


def test_two_places_are_told_apart_and_their_points_too():
    for seed in SEEDS:
        x, y, t, which = clouds(seed, (0, 0), (1.2, 0.9), (0, 0))
        found = two_places(x, y, t)
        assert found.sure
        assert found.second.tolist() == (which == 1).tolist()
        assert found.separation_arcsec == pytest.approx(1.5, abs=0.25)


@pytest.mark.parametrize("n", [8, 20, 200])
def test_one_place_is_not_parted(n):
    for seed in SEEDS:
        x, y, t, _ = clouds(seed, (0, 0), n=n)
        assert not two_places(x, y, t).sure
        assert not two_places(4 * x, y, t).sure  # long, but one


def test_a_moving_star_is_no_pair():
    for seed in SEEDS:
        x, y, t, _ = clouds(seed, (0, 0), n=60)
        for times in (t, np.where(t > 150, 300.0, 0.0)):  # all along, or two visits
            assert not two_places(x + times / 300 * 2.5, y, times).sure


def test_too_few_points_or_equal_ones_are_one_place():
    assert not two_places(np.array([0, 5.0]), np.zeros(2), np.zeros(2)).sure
    assert not two_places(np.zeros(20), np.zeros(20), np.arange(20.0)).sure
    assert not two_places(
        np.r_[np.zeros(18), 9, 9.0], np.zeros(20), np.arange(20.0) % 7
    ).sure  # two wild ones
