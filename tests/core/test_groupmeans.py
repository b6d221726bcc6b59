"""Means of groups of magnitudes: without a lean to the bright side, and with true errors."""

import numpy as np
import pytest

from photodb.core.groupmeans import group_medians, mean_magnitudes


def test_medians_by_group():
    values = np.array([3.0, 1.0, 2.0, 10.0, 20.0])
    group = np.array([0, 0, 0, 2, 2])
    np.testing.assert_array_equal(group_medians(values, group, 4), [2.0, np.nan, 15.0, np.nan])


def test_points_that_agree_give_their_value_and_the_root_of_n():
    means = mean_magnitudes(np.full(4, 15.0), np.full(4, 0.02), np.zeros(4, int), 2)
    assert means.mag[0] == pytest.approx(15.0)
    assert means.mag_err[0] == pytest.approx(0.01)
    assert means.n.tolist() == [4, 0]
    assert means.chi2_dof[0] == 0
    assert np.isnan(means.mag[1])


def test_a_wild_point_has_no_weight():
    means = mean_magnitudes(np.array([15.0, 15.01, 14.99, 12.0]), np.full(4, 0.01), np.zeros(4, int), 1)
    assert means.mag[0] == pytest.approx(15.0, abs=0.001)


def test_faint_stars_neither_lean_nor_promise_too_much():
    rng = np.random.default_rng(77)
    n_groups, n = 20_000, 12
    group = np.repeat(np.arange(n_groups), n)
    true = rng.uniform(14, 18.3, n_groups)
    noise = np.tile([0.03, 0.06], n_groups * n // 2) * 10 ** (-0.4 * 1.5)
    flux = 10 ** (-0.4 * (true[group] - 16)) + noise * rng.normal(size=group.size)
    mag = 16 - 2.5 * np.log10(flux)
    means = mean_magnitudes(mag, 1.0857 * noise / flux, group, n_groups)
    pull = (means.mag - true) / means.mag_err
    for part in (true < 15, true > 17.8):
        assert 0.95 < pull[part].std() < 1.06
        assert abs(np.mean((means.mag - true)[part])) < 0.0008
    # the usual mean of magnitudes by their own errors is several mmag too bright there
    weight = (flux / noise) ** 2
    usual = np.bincount(group, weight * mag) / np.bincount(group, weight)
    assert np.mean((usual - true)[true > 17.8]) < -0.002


def test_the_error_of_a_variable_star_is_its_scatter():
    rng = np.random.default_rng(78)
    mag = 15 + 0.3 * np.sin(rng.uniform(0, 2 * np.pi, (500, 40)))
    means = mean_magnitudes(mag.ravel(), np.full(20_000, 0.005), np.repeat(np.arange(500), 40), 500)
    assert np.median(means.mag_err) == pytest.approx(0.3 / np.sqrt(2) / np.sqrt(40), rel=0.2)
