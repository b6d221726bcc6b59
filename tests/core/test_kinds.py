"""The choice of a kind of photometry on simulated measurements whose better kind is known."""

import numpy as np
import pytest

from photodb.core import terms
from photodb.core.kinds import DEFAULT, NEIGHBOURS, OWN, choose_kinds, covariances, relate


def light_curves(rng, noise, common=0.0, n_obs=120, variable=()):
    """Return values (rows, 2), weight and group of stars with given noise (n, 2) of their own and in common."""
    n = len(noise)
    group = np.repeat(np.arange(n), n_obs)
    mag = np.repeat(np.linspace(12.0, 16.0, n), n_obs)
    values = mag[:, None] + rng.normal(0, 1, (n * n_obs, 2)) * noise[group]
    values += rng.normal(0, common, n * n_obs)[:, None]
    for j in variable:
        values[group == j] += 0.3 * np.sin(np.arange(n_obs))[:, None]
    return values, np.ones(n * n_obs), group


def chosen(seed, noise, crowded=None, **more):
    n = len(noise)
    values, weight, group = light_curves(np.random.default_rng(seed), noise, **more)
    crowded = np.zeros(n, bool) if crowded is None else crowded
    return choose_kinds(values, weight, group, np.zeros(n, int), crowded)


@pytest.mark.parametrize("seed", range(5))
def test_the_better_kind_is_chosen_by_magnitude(seed):
    """Apertures win for bright stars, the PSF for faint ones: all stars follow their neighbours, few the chance."""
    step = np.linspace(0, 1, 300)
    noise = np.column_stack([0.004 + 0.03 * step, 0.007 + 0.02 * step])
    choice = chosen(seed, noise)
    assert (choice.kind[step < 0.2] == 0).mean() > 0.99 and (choice.kind[step > 0.55] == 1).mean() > 0.99
    assert np.nanmedian(choice.scatter[:, 0] / noise[:, 0]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_equal_kinds_stay_with_the_reference(seed):
    choice = chosen(seed, np.full((300, 2), 0.01), common=0.003)
    assert (choice.kind == 0).mean() > 0.95 and (choice.reason == OWN).mean() < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_a_star_of_its_own_overrules_and_a_variable_does_not(seed):
    noise = np.tile([0.012, 0.010], (200, 1))
    noise[50] = [0.012, 0.030]  # a galaxy: the PSF does not fit it
    choice = chosen(seed, noise, variable=(100,))
    assert (choice.kind[50], choice.reason[50]) == (0, OWN)
    assert (choice.kind[100], choice.reason[100]) == (1, NEIGHBOURS)
    assert (np.delete(choice.kind, 50) == 1).mean() > 0.97


def test_a_companion_in_the_aperture_is_no_reason(seed=3):
    """A star that varies by 2 % in the PSF and is diluted to constancy in the aperture keeps the PSF."""
    rng = np.random.default_rng(seed)
    values, weight, group = light_curves(rng, np.tile([0.013, 0.010], (200, 1)))
    mine = group == 80
    values[mine, 1] += 0.015 * np.sin(np.arange(mine.sum()))
    values[mine, 0] += 0.002 * np.sin(np.arange(mine.sum())) - 1.2 - rng.normal(0, 0.009, mine.sum())
    values[mine, 0] = values[mine, 0].mean() + 0.4 * (values[mine, 0] - values[mine, 0].mean())
    choice = choose_kinds(values, weight, group, np.zeros(200, int), np.zeros(200, bool))
    assert choice.scatter[80, 0] < 0.6 * choice.scatter[80, 1]
    assert choice.kind[80] == 1


def test_crowded_stars_judge_for_themselves():
    noise = np.tile([0.010, 0.012], (200, 1))
    crowded = np.arange(200) % 4 == 0
    noise[crowded] = [0.020, 0.012]
    choice = chosen(1, noise, crowded)
    assert (choice.kind[crowded] == 1).mean() > 0.95 and (choice.kind[~crowded] == 0).mean() > 0.95


def test_too_few_points_or_stars_stay_with_the_reference():
    few = chosen(1, np.tile([0.02, 0.01], (50, 1)), n_obs=5)
    assert (few.reason == DEFAULT).all() and np.isnan(few.scatter).all()
    values, weight, group = light_curves(np.random.default_rng(1), np.tile([0.02, 0.01], (50, 1)))
    kept = (group > 0) & (
        (group != 7) | (np.arange(group.size) % 60 == 0)
    )  # star 0 has none, star 7 two points
    some = choose_kinds(values[kept], weight[kept], group[kept], np.zeros(50, int), np.zeros(50, bool))
    assert some.kind[[0, 7]].tolist() == [1, 1] and np.isnan(some.scatter[[0, 7]]).all()
    lonely = chosen(1, np.tile([0.0104, 0.01], (4, 1)))
    assert (lonely.reason == DEFAULT).all() and (lonely.kind == 0).all()
    assert choose_kinds(
        np.empty((0, 2)), np.empty(0), np.empty(0, int), np.zeros(3, int), np.zeros(3, bool)
    ).kind.tolist() == [0, 0, 0]


def test_covariances_are_those_of_numpy():
    rng = np.random.default_rng(2)
    values = rng.multivariate_normal([1, 2], [[1, 0.5], [0.5, 2]], 80)
    n_obs, mean, covariance = np.zeros(2, int), np.empty((2, 2)), np.empty((2, 2, 2))
    covariances(np.array([0, 80, 80]), values, np.ones(80), 1e9, n_obs, mean, covariance)
    np.testing.assert_allclose(covariance[0], np.cov(values.T), rtol=1e-12)
    np.testing.assert_allclose(mean[0], values.mean(axis=0), rtol=1e-12)
    assert n_obs.tolist() == [80, 0] and np.isnan(covariance[1]).all()


@pytest.mark.parametrize("seed", range(3))
def test_relations_are_found_among_blends_and_outliers(seed):
    rng = np.random.default_rng(seed)
    n_frames, n_stars = 12, 200
    frame, star = (a.ravel() for a in np.meshgrid(np.arange(n_frames), np.arange(n_stars), indexing="ij"))
    drift = rng.normal(0, 0.2, (n_frames, 2))
    place = rng.uniform(-0.8, 0.8, (n_stars, 2))
    x, y = (place[star] + drift[frame]).T
    truth = rng.normal(0, 0.02, (n_frames, 6))
    blend = np.where(rng.random(n_stars) < 0.1, -0.5, 0.0)
    error = 10 ** rng.uniform(-2.7, -1.3, n_stars)[star]
    difference = terms.evaluate(truth, frame, x, y) + blend[star] + rng.normal(0, error)
    difference[rng.random(star.size) < 0.02] += 1.0
    spoilt = np.flatnonzero((frame == 5) & (rng.random(star.size) < 0.15))  # half of it behind a tree
    difference[spoilt] += rng.exponential(0.5, spoilt.size)
    difference[::97] = np.nan
    seen_once = np.arange(star.size) >= star.size - 150  # on the last frame, no stars
    star = np.where(seen_once, n_stars + np.arange(star.size), star)
    difference[seen_once] -= 0.3
    found = relate(difference, error**2, star, frame, x, y, n_frames, 2)
    at = rng.uniform(-0.7, 0.7, (500, 2))
    which = rng.integers(0, n_frames - 1, 500)
    off = terms.evaluate(found.coefficients - truth, which, *at.T)
    assert np.std(off) < 0.006 and (found.n_stars[:-1] > 130).all()
    last = found.coefficients[-1] - truth[-1]
    assert abs(last[0]) < 0.01 and found.n_stars[-1] <= 50
    assert abs(off.mean()) < 0.005


def test_frames_without_a_difference_have_no_relation():
    nothing = relate(
        np.full(4, np.nan), np.ones(4), np.arange(4), np.zeros(4, int), np.zeros(4), np.zeros(4), 3, 2
    )
    assert (nothing.coefficients == 0).all() and nothing.n_stars.tolist() == [0, 0, 0]
