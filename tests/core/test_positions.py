"""Means, errors and proper motions of sources."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core import positions
from photodb.core.positions import (
    CATALOGUE_PM_ERR,
    YEAR,
    add_detection,
    at_epoch,
    error_at,
    first_means,
    grouped_means,
    position_sigma,
)  # fmt: skip


def detections(rng, n, *, ra=120.0, dec=30.0, pm=(0.0, 0.0), years=3.0, sigma=(0.02, 0.3)):
    """Make n detections of a star (deg; pm in mas/yr) with true errors (arcsec)."""
    mjd = 60000 + np.sort(rng.uniform(0, years, n)) * YEAR
    error = rng.uniform(*sigma, n)
    t = (mjd - 60000) / YEAR
    x = pm[0] / 1000 * t + error * rng.standard_normal(n)
    y = pm[1] / 1000 * t + error * rng.standard_normal(n)
    return (ra + x / 3600 / np.cos(np.radians(dec))) % 360, dec + y / 3600, error, mjd


def one_by_one(ra, dec, sigma, mjd):
    means = first_means(ra[:1], dec[:1], sigma[:1], mjd[0])
    for k in range(1, len(ra)):
        means = add_detection(means, ra[k : k + 1], dec[k : k + 1], sigma[k : k + 1], mjd[k])
    return means


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.sampled_from([0.0, 1e-7, 359.9999999, 120.0]),
    st.sampled_from([0.0, 30.0, -75.0, 89.0, -89.99]),
    st.integers(0, 2**31),
)
def test_one_by_one_is_all_at_once(n, ra, dec, seed):
    rng = np.random.default_rng(seed)
    seen = detections(rng, n, ra=ra, dec=dec, pm=rng.normal(0, 300, 2))
    a, b = one_by_one(*seen), grouped_means(np.zeros(n, int), *seen)
    away = np.hypot(((a["ra"] - b["ra"] + 180) % 360 - 180) * np.cos(np.radians(dec)), a["dec"] - b["dec"])[0]
    assert away * 3600 < 1e-3 / np.cos(np.radians(dec))  # the plane of each step is its own mean's
    assert a["weight"] == pytest.approx(b["weight"]) and a["mjd_mean"] == pytest.approx(
        b["mjd_mean"], abs=1e-6
    )
    assert a["n_detections"] == b["n_detections"] == n
    if abs(dec) < 80 and n > 1:
        for name in ("ra_scatter", "dec_scatter", "position_err"):
            assert a[name] == pytest.approx(b[name], rel=2e-3, abs=1e-4)
        assert a["t_moment"] == pytest.approx(b["t_moment"], rel=1e-6)


def test_the_order_does_not_matter():
    rng = np.random.default_rng()
    seen = detections(rng, 30)
    shuffled = rng.permutation(30)
    a, b = one_by_one(*seen), one_by_one(*(v[shuffled] for v in seen))
    assert np.abs(a["ra"] - b["ra"]) * 3600 < 1e-6 and np.abs(a["dec"] - b["dec"]) * 3600 < 1e-6
    assert a["weight"] == pytest.approx(b["weight"])


def test_the_told_error_of_a_mean_is_true():
    """Pulls of 2,000 means of 20 detections each; five standard errors of their rms allowed."""
    rng = np.random.default_rng()
    stars, n = 2000, 20
    group = np.repeat(np.arange(stars), n)
    sigma = rng.uniform(0.02, 0.3, stars * n)
    x, y = sigma * rng.standard_normal((2, stars * n))
    mjd = 60000 + rng.uniform(0, 1, stars * n)
    means = grouped_means(
        group, 120 + x / 3600 / np.cos(np.radians(40 + y / 3600)), 40 + y / 3600, sigma, mjd
    )
    error = means["position_err"].astype(float)
    pulls = np.r_[
        (means["ra"] - 120) * np.cos(np.radians(40)) * 3600 / error, (means["dec"] - 40) * 3600 / error
    ]
    # told from the larger of the errors' promise and the scatter: at most that of a true error
    assert 0.85 < np.sqrt(np.mean(pulls**2)) < 1 + 5 / np.sqrt(2 * len(pulls))
    assert not means["pm_ra"].any()


@pytest.mark.parametrize("motion", [(0.0, 0.0), (1500.0, -900.0), (-200.0, 60.0)])
def test_a_proper_motion_is_told_where_it_is_sure(motion):
    rng = np.random.default_rng()
    mean = one_by_one(*detections(rng, 60, dec=-60.0, pm=motion, years=4))
    if motion == (0.0, 0.0):
        assert mean["pm_ra"] == mean["pm_dec"] == 0 and mean["pm_err"] < 40
        return
    pull = np.hypot(mean["pm_ra"] - motion[0], mean["pm_dec"] - motion[1]) / mean["pm_err"]
    assert pull < 5 and mean["pm_err"] < 40
    ra, dec = at_epoch(mean, 60000 + 10 * YEAR)
    error = error_at(mean, 60000 + 10 * YEAR)
    off = np.hypot(
        (ra - 120) * 3600 * np.cos(np.radians(-60)) - motion[0] / 100, (dec + 60) * 3600 - motion[1] / 100
    )
    assert off < 6 * error < 2


def test_no_motion_out_of_noise():
    rng = np.random.default_rng()
    stars, n = 3000, 12
    group = np.repeat(np.arange(stars), n)
    sigma = np.full(stars * n, 0.1)
    x, y = sigma * rng.standard_normal((2, stars * n)) / 3600
    means = grouped_means(group, 10 + x, 0 + y, sigma, 60000 + rng.uniform(0, 900, stars * n))
    assert (means["pm_ra"] != 0).sum() <= 2


def test_a_motion_of_a_catalogue_stays_and_is_followed():
    seen = detections(np.random.default_rng(), 40, pm=(9000.0, 0.0), years=2, sigma=(0.05, 0.1))
    mean = first_means(*(v[:1] for v in seen[:3]), seen[3][0])
    mean["pm_ra"], mean["pm_err"] = 9000.0, CATALOGUE_PM_ERR
    for k in range(1, 40):
        ra, _ = at_epoch(mean, seen[3][k])
        assert abs(ra[0] - seen[0][k]) * 3600 < 0.8
        mean = add_detection(mean, seen[0][k : k + 1], seen[1][k : k + 1], seen[2][k : k + 1], seen[3][k])
    assert mean["pm_ra"] == 9000 and mean["pm_err"] == CATALOGUE_PM_ERR and mean["position_err"] < 0.05


def test_a_place_gets_unsure_with_time_where_no_motion_is_known():
    mean = first_means(np.array([10.0]), np.array([0.0]), np.array([0.1]), 60000.0)
    assert error_at(mean, 60000.0) == pytest.approx(0.1)
    assert error_at(mean, 60000 + 10 * YEAR) == pytest.approx(np.hypot(0.1, positions.UNKNOWN_PM / 100))


def test_errors_in_pixels_become_arcsec_with_a_floor():
    assert position_sigma([0.3], [0.4], 2.0) == pytest.approx(2 * np.hypot(np.sqrt(0.125), 0.05))
    assert position_sigma([np.nan], [0.1], 1.0) == pytest.approx(np.hypot(0.3, 0.05))
