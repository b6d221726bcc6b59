"""Robust fits: closed forms, and errors that are true."""

import numpy as np
import pytest

from photodb.core.robustfit import CAP, CAP_MEAN, robust_fit, robust_mean


def line(n):
    x = np.linspace(-1, 1, n)
    return np.column_stack([np.ones(n), x])


def test_the_mean_of_capped_squares_is_that_of_a_normal_sample():
    z = np.random.default_rng(11).normal(size=2_000_000)
    assert pytest.approx(np.minimum(z**2, CAP**2).mean(), rel=2e-3) == CAP_MEAN


def test_points_on_a_line_give_the_line():
    fit = robust_fit(line(9), line(9) @ [0.3, -2.0], np.full(9, 0.1))
    np.testing.assert_allclose(fit.coefficients, [0.3, -2.0], atol=1e-9)
    assert fit.scatter < 1e-9
    assert fit.excess == 0


def test_a_fifth_of_wild_points_does_not_move_it():
    values = line(30) @ [1.0, 0.5] + 0.01 * np.tile([1, -1], 15)
    values[::5] += 50
    fit = robust_fit(line(30), values, np.full(30, 0.01))
    np.testing.assert_allclose(fit.coefficients, [1.0, 0.5], atol=0.02)


def test_too_few_points_give_nan():
    fit = robust_mean(np.array([1.0]), np.array([0.1]))
    assert np.isnan([*fit.coefficients, *fit.errors, fit.excess, fit.scatter]).all()
    assert fit.n == 1


@pytest.mark.parametrize("excess", [0.0, 0.01])
@pytest.mark.parametrize("promised", [0.5, 1.0, 2.0])
def test_errors_are_true_whatever_was_promised(excess, promised):
    pulls, scatter = [], []
    for seed in range(300):
        rng = np.random.default_rng([401, seed])
        n = int(rng.integers(60, 200))
        error = rng.uniform(0.005, 0.03, n)
        design = np.column_stack([np.ones(n), rng.normal(size=n)])
        values = design @ [0.03, 0.02] + rng.normal(size=n) * np.hypot(error, excess)
        wild = rng.random(n) < 0.03
        values[wild] += rng.uniform(-1, 1, wild.sum())
        fit = robust_fit(design, values, promised * error)
        pulls.append((fit.coefficients - [0.03, 0.02]) / fit.errors)
        scatter.append(fit.excess)
    assert ((np.std(pulls, axis=0) > 0.9) & (np.std(pulls, axis=0) < 1.1)).all()
    assert (np.abs(np.mean(pulls, axis=0)) < 0.2).all()
    if promised == 1.0:
        assert np.median(scatter) == pytest.approx(excess, abs=0.005)  # wild points make some of it
