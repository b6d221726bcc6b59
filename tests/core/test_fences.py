"""Suggested limits on closed forms, and the light that frames lost."""

import numpy as np
import pytest

from photodb.core.fences import MIN_VALUES, densest_half, fence, grouped_median, jumps, light_lost


def test_the_densest_half_of_a_normal_sample():
    middle, sigma = densest_half(np.random.default_rng(1).normal(50, 3, 40_000))
    assert middle == pytest.approx(50, abs=0.8) and sigma == pytest.approx(3, rel=0.05)


def test_a_third_of_bad_values_moves_the_limit_little():
    rng = np.random.default_rng(2)
    good = rng.normal(100, 2, 200)
    clean = fence(good, low=True).limit
    spoilt = fence(np.concatenate([good, rng.uniform(0, 60, 100)]), low=True)
    assert clean == pytest.approx(100 - 6.24 * 2, abs=2)
    assert spoilt.limit == pytest.approx(clean, abs=8)


@pytest.mark.parametrize("low", [True, False])
def test_an_even_trend_rejects_nothing(low):
    found = fence(np.linspace(10, 20, 60), low)
    assert not (found.limit > 10 if low else found.limit < 20)


def test_the_limit_keeps_its_least_and_most_distance():
    same = np.full(30, 4.0)
    assert fence(same, low=False, least=1.5).limit == 5.5
    assert fence(same, low=False, share=0.5).limit == 6.0
    wide = np.random.default_rng(3).normal(0, 1, 30)
    assert fence(wide, low=False, most=0.5).limit < 1.5


def test_few_values_suggest_nothing_and_say_so():
    found = fence(np.r_[np.arange(MIN_VALUES - 1.0), np.nan], low=False)
    assert np.isnan(found.limit) and found.n == MIN_VALUES - 1
    assert "9 frames, 10 needed" in found.note


def test_two_kinds_of_frames_suggest_nothing():
    values = np.r_[np.full(26, 1.0), np.full(24, 50.0)] + np.linspace(0, 0.1, 50)
    found = fence(values, low=False, least=0.5)
    assert np.isnan(found.limit) and "two kinds" in found.note


def test_no_limit_below_zero_for_what_is_never_negative():
    found = fence(np.linspace(1, 100, 40), low=True, share=0.3)
    assert np.isnan(found.limit) and "differ too much" in found.note


def test_light_lost_is_found_though_every_frame_sees_other_stars():
    rng = np.random.default_rng(4)
    n_frames, n_stars = 40, 60
    true = np.where(np.arange(n_frames) >= 30, rng.uniform(0.3, 2, n_frames), 0.0)
    mags = rng.uniform(10, 14, n_stars)
    frame, star = np.nonzero(rng.random((n_frames, n_stars)) < 0.6)
    found = light_lost(frame, star, mags[star] + true[frame] + rng.normal(0, 0.01, len(frame)))
    np.testing.assert_allclose(found, true, atol=0.02)


def test_frames_that_share_no_star_have_no_loss():
    found = light_lost(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 7]), np.array([1.0, 2, 1.5, 2.5, 9]))
    assert found[1] - found[0] == pytest.approx(0.5)
    assert np.isnan(found[2])
    assert len(light_lost(np.empty(0, int), np.empty(0, int), np.empty(0))) == 0


def test_grouped_median_is_the_median_of_each_group():
    rng = np.random.default_rng(5)
    group, values = rng.integers(0, 9, 200), rng.normal(size=200)
    expected = [np.median(values[group == k]) for k in range(9)]
    np.testing.assert_allclose(grouped_median(group, values), expected)
    np.testing.assert_array_equal(grouped_median(np.array([0, 2]), np.array([1.0, 3.0])), [1, np.nan, 3])


def test_a_jump_stands_out_and_a_flip_does_not():
    x = np.r_[np.linspace(0, 5, 15), np.linspace(40, 45, 15)]
    y = np.zeros(30)
    y[7] = 25.0
    x[20] = np.nan
    found = jumps(x, y)
    assert found[7] == pytest.approx(25, abs=1)
    assert np.nanmax(np.delete(found, 7)) < 3
    assert np.isnan(found[20])
    assert jumps(np.array([3.0]), np.array([4.0]))[0] == 0
