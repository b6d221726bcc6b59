"""Candidates and reference stars on simulated samples, small and large."""

from itertools import combinations

import numpy as np
import pytest

from photodb.core.variability import compute_indices
from photodb.core.variability.candidates import judge, local_z
from photodb.core.variability.compute import clean_series
from photodb.core.variability.references import best_references, ensemble_noise2


def a_night(n_stars, n_points=142, seed=0):
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 0.25, n_points)
    err = np.hypot(0.003, 0.002 * 10 ** (0.3 * np.linspace(0, 5, n_stars)))[:, None]
    m = np.linspace(10, 15, n_stars)[:, None] + rng.normal(0, 1, (n_stars, n_points)) * err
    return t, m, np.broadcast_to(err, m.shape)


def verdict_of(t, m, e, vetoes=None):
    n, k = m.shape
    series = clean_series(np.repeat(np.arange(n), k), np.tile(t, n), m.ravel(), e.ravel(), n)
    return judge(compute_indices(series), np.full(n, k), vetoes)


@pytest.mark.parametrize("n_stars", [40, 60, 150, 300, 600])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_transit_and_a_pulsator_stand_out_alone(n_stars, seed):
    t, m, e = a_night(n_stars, seed=seed)
    transit, pulsator = n_stars // 12, n_stars // 2
    m[transit] += 0.026 * ((t > 0.08) & (t < 0.2))
    m[pulsator] += 0.2 * np.sin(2 * np.pi * t / 0.11)
    verdict = verdict_of(t, m, e)
    ranked = np.argsort(-np.where(verdict.candidate, verdict.score, 0))
    assert set(ranked[:2]) == {transit, pulsator}
    assert verdict.candidate.sum() == 2


@pytest.mark.parametrize("n_points", [12, 30, 142])
def test_constants_pass_rarely(n_points):
    false = sum(verdict_of(*a_night(200, n_points, seed=s)).candidate.sum() for s in range(20))
    assert false <= 4


def test_an_eclipse_of_a_few_points_is_found_by_its_run():
    t, m, e = a_night(200)
    m[60, 40:47] += 0.3
    m[60, 100:107] += 0.3
    verdict = verdict_of(t, m, e)
    assert verdict.candidate[60]
    assert "pass:runs+sigma" in verdict.tags[60]


def test_vetoes_stay_as_tags():
    t, m, e = a_night(200)
    m[60] += 0.2 * np.sin(2 * np.pi * t / 0.11)
    blend = np.arange(200) == 60
    verdict = verdict_of(t, m, e, {"blend": blend})
    assert not verdict.candidate[60]
    assert "veto:blend" in verdict.tags[60]
    assert "pass:iqr" in verdict.tags[60]
    assert verdict.score[60] > 5
    assert "veto:brightest" in verdict.tags[0]


def test_z_of_a_sample_has_unit_spread_along_a_steep_trend():
    rng = np.random.default_rng(4)
    mag = np.sort(rng.uniform(10, 18, 2000))
    z = local_z(mag, np.exp(0.7 * (mag - 14) + rng.normal(0, 0.3, 2000)), np.full(2000, 1000))
    assert abs(np.median(z)) < 0.05
    assert 1.4826 * np.median(np.abs(z)) == pytest.approx(1.0, abs=0.1)


def test_a_handful_of_stars_gives_no_z():
    assert np.isnan(local_z(np.arange(5.0), np.ones(5), np.full(5, 50))).all()


def test_reference_stars_equal_the_exhaustive_search():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        clouds = rng.normal(0, 0.3, 50)
        noise = rng.normal(0, 1, (10, 50)) * rng.uniform(0.003, 0.03, (10, 1))
        mags = np.linspace(10, 12, 10)[:, None] + clouds + noise
        covariance = np.cov(mags)
        best = min(combinations(range(10), 5), key=lambda c: ensemble_noise2(covariance, np.array(c)))
        assert best_references(mags, 10, 5).tolist() == sorted(best)


def test_reference_stars_are_good_on_every_frame_and_quiet():
    rng = np.random.default_rng(0)
    mags = np.linspace(10, 14, 60)[:, None] + rng.normal(0, 0.004, (60, 80))
    mags[3] += 0.1 * np.sin(np.arange(80) / 5)
    mags[5, 7] = np.nan
    chosen = best_references(mags)
    assert chosen.size == 20
    assert not {3, 5} & set(chosen)
    assert chosen.max() <= 41
    assert best_references(mags[:4]).size == 4
    assert best_references(mags[:, :1]).size == 0
