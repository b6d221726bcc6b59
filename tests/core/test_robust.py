"""Robust statistics: closed forms, outliers, empty samples."""

import numpy as np

from photodb.core import robust


def test_mad_of_a_normal_sample_is_its_sigma():
    sample = np.random.default_rng(1).normal(3.0, 2.0, 200_000)
    assert abs(robust.mad_sigma(sample) - 2.0) < 0.02


def test_clipped_mean_forgets_outliers():
    sample = np.concatenate([np.random.default_rng(2).normal(1.0, 0.1, 1000), np.full(30, 50.0), [np.nan]])
    mean, sigma, n = robust.clipped_mean(sample, 4.0)
    assert abs(mean - 1.0) < 0.01
    assert abs(sigma - 0.1) < 0.01
    assert 990 <= n <= 1000


def test_biweight_is_the_mean_of_symmetric_data_and_resists():
    assert robust.biweight_location([1.0, 2.0, 3.0]) == 2.0
    assert abs(robust.biweight_location([1.0, 1.1, 0.9, 1.05, 0.95, 99.0]) - 1.0) < 0.05


def test_nothing_gives_nan():
    assert np.isnan(robust.mad_sigma([]))
    assert np.isnan(robust.biweight_location([np.nan]))
    assert robust.clipped_mean([])[2] == 0
    assert robust.clipped_mean([5.0, 5.0, 5.0])[:2] == (5.0, 0.0)
