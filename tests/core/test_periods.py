"""Periods: sines, eclipses, noise, and real RR Lyrae where they are at hand."""

import numpy as np
import pytest

from photodb.core.periods import best_period, frequency_grid


def nights(rng, n_nights=8, per_night=40):
    return np.sort(np.concatenate([n + rng.uniform(0.0, 0.3, per_night) for n in range(n_nights)]))


@pytest.mark.parametrize("period", [0.0931, 0.41, 0.63, 2.37])
def test_a_sine_over_several_nights(period):
    rng = np.random.default_rng(int(period * 1000))
    t = nights(rng)
    m = 12 + 0.1 * np.sin(2 * np.pi * t / period) + rng.normal(0, 0.02, t.size)
    found = best_period(t, m, np.full(t.size, 0.02))
    assert found.period == pytest.approx(period, rel=2e-3)
    assert found.fap < 1e-6
    assert found.amplitude == pytest.approx(0.1, rel=0.1)


def test_an_eclipsing_star_gets_its_whole_period():
    rng = np.random.default_rng(3)
    t, period = nights(rng, 12, 60), 0.713
    phase = t / period % 1.0
    m = (
        12
        + 0.5 * np.exp(-0.5 * ((phase - 0.25) / 0.05) ** 2)
        + 0.25 * np.exp(-0.5 * ((phase - 0.75) / 0.05) ** 2)
    )
    found = best_period(t, m + rng.normal(0, 0.01, t.size), np.full(t.size, 0.01))
    assert found.period == pytest.approx(period, rel=2e-3)


def test_a_sawtooth_is_not_doubled():
    rng = np.random.default_rng(4)
    t, period = nights(rng, 12, 40), 0.53
    phase = t / period % 1.0
    m = 15 + 0.8 * np.where(phase < 0.15, 1 - phase / 0.15, (phase - 0.15) / 0.85)
    found = best_period(t, m + rng.normal(0, 0.02, t.size), np.full(t.size, 0.02))
    assert found.period == pytest.approx(period, rel=2e-3)


def test_noise_is_told_from_a_period():
    rng = np.random.default_rng(5)
    t = nights(rng)
    faps = [best_period(t, rng.normal(12, 0.02, t.size), np.full(t.size, 0.02)).fap for _ in range(10)]
    assert min(faps) > 1e-4


def test_too_few_points_or_no_span_give_nothing():
    assert not best_period(np.arange(5.0), np.ones(5), np.ones(5)).found
    assert not best_period(np.zeros(50), np.ones(50), np.ones(50)).found
    assert np.isnan(best_period(np.full(20, np.nan), np.ones(20), np.ones(20)).period)


def test_the_grid_spans_what_the_cadence_allows():
    grid = frequency_grid(np.arange(0, 10, 0.1))
    assert grid[0] == pytest.approx(1.5 / 9.9)
    assert grid[-1] == pytest.approx(5.0, abs=0.02)
