"""Variability indices: closed forms, plain numpy twins, hygiene, flags."""

import numpy as np
import pytest

from photodb.core.variability import INDICES, compute_indices, quality_flags
from photodb.core.variability.compute import clean_series
from photodb.core.variability.registry import NAMES
from photodb.storage.tables import INDEX_COLUMNS


def indices_of(t, m, e=None):
    t, m = np.asarray(t, float), np.asarray(m, float)
    e = np.full(m.size, 0.01) if e is None else np.asarray(e, float)
    values = compute_indices(clean_series(np.zeros(m.size, dtype=int), t, m, e, 1))[0]
    return dict(zip(NAMES, values))


def test_the_registry_is_the_archive_s_columns():
    assert [(i.name, i.unit) for i in INDICES] == [(name, unit) for name, unit, _ in INDEX_COLUMNS]


def test_each_column_is_the_registered_function():
    rng = np.random.default_rng(5)
    t, m, e = np.sort(rng.uniform(0, 3, 60)), rng.normal(12, 0.05, 60), rng.uniform(0.01, 0.05, 60)
    values = indices_of(t, m, e)
    for index in INDICES:
        assert values[index.name] == pytest.approx(index.function(t, m, e), rel=1e-12), index.name


def test_a_well_sampled_sine():
    phase = np.arange(1000) / 1000
    v = indices_of(phase, 12 + 0.3 * np.sin(2 * np.pi * phase))
    assert v["stetson_k"] == pytest.approx(np.sqrt(8) / np.pi, rel=1e-4)
    assert v["global_noise"] == pytest.approx(0.3 / np.sqrt(2), rel=1e-3)
    assert v["mad"] == pytest.approx(1.482602 * 0.3 * np.sin(np.pi / 4), rel=1e-2)
    assert v["iqr"] == pytest.approx(2 * 0.3 * np.sin(np.pi / 4), rel=1e-2)
    assert v["kurtosis"] == pytest.approx(-1.5, abs=1e-3)
    assert v["skewness"] == pytest.approx(0, abs=1e-6)
    assert v["inverse_von_neumann"] == pytest.approx(1 / (2 - 2 * np.cos(2 * np.pi / 1000)), rel=3e-3)
    assert v["lag1"] == pytest.approx(np.cos(2 * np.pi / 1000), abs=1e-3)
    assert v["chi2_dof"] == pytest.approx(0.5 * (0.3 / 0.01) ** 2, rel=2e-3)
    assert v["local_noise"] < 0.001
    assert v["excess_abbe"] > 0


def test_white_noise():
    rng = np.random.default_rng(1)
    v = indices_of(np.arange(20_000) / 500, rng.normal(12, 0.01, 20_000))
    expected = {
        "sigma": 0.01,
        "weighted_sigma": 0.01,
        "clipped_sigma": 0.01,
        "mad": 0.01,
        "iqr": 0.01349,
        "global_noise": 0.01,
        "local_noise": 0.01,
        "chi2_dof": 1.0,
        "roms": np.sqrt(2 / np.pi),
        "stetson_k": np.sqrt(2 / np.pi),
        "excursions": 2 / np.sqrt(np.pi) / np.sqrt(2),
        "inverse_von_neumann": 0.5,
    }
    for name, value in expected.items():
        assert v[name] == pytest.approx(value, rel=0.05), name
    for name in ("lag1", "skewness", "norm_excess_variance", "stetson_j"):
        assert abs(v[name]) < 0.06, name
    assert v["n3"] == 0


def test_plain_numpy_twins():
    rng = np.random.default_rng(2)
    t, m, e = np.sort(rng.uniform(0, 0.1, 41)), rng.normal(12, 0.1, 41), rng.uniform(0.02, 0.2, 41)
    v, w = indices_of(t, m, e), e**-2.0
    mean = np.sum(w * m) / w.sum()
    assert v["weighted_mean"] == pytest.approx(mean)
    assert v["iqr"] == pytest.approx(np.subtract(*np.percentile(m, [75, 25])))
    assert v["chi2_dof"] == pytest.approx(np.sum(((m - mean) / e) ** 2) / 40)
    d = np.sqrt(41 / 40) * (m - mean) / e
    pairs = d[0:40:2] * d[1:40:2]
    single = d[40] ** 2 - 1
    total = np.sum(np.sign(pairs) * np.sqrt(np.abs(pairs))) + 0.5 * np.sign(single) * np.sqrt(abs(single))
    assert v["stetson_j"] == pytest.approx(total / 20.5)
    assert v["stetson_l"] == pytest.approx(np.sqrt(np.pi / 2) * v["stetson_j"] * v["stetson_k"])
    raw = (m - mean) / e
    assert v["welch_stetson_i"] == pytest.approx(np.sum(raw[0:40:2] * raw[1:40:2]) / np.sqrt(20 * 19))


def test_s_b_and_n3_of_a_short_series_by_hand():
    # residuals over errors: +1 +1 -1 -1 +1 -1; groups 2, -2, 1, -1
    m = 12 + 0.01 * np.array([1, 1, -1, -1, 1, -1])
    assert indices_of(np.arange(6), m)["s_b"] == pytest.approx((4 + 4 + 1 + 1) / (6 * 4))
    m = 12 + 0.01 * np.array([0, 0, 0, 5, 5, 5, 5, 0, 0, 0, -5, -5, 0, 5])
    assert indices_of(np.arange(14), m)["n3"] == pytest.approx(1 / 12)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_equal_points_have_no_scatter_and_no_traceback(n):
    """Magnitudes rounded to a hundredth are often all the same."""
    found = indices_of(np.arange(n), np.full(n, 12.34))
    assert found["sigma"] < 1e-12
    assert n < 3 or found["s_b"] < 1e-12


def test_hygiene_is_done_once():
    t = np.array([3.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    m = np.array([12.3, 12.1, 12.2, np.nan, 99.0, 98.0])
    e = np.array([0.01, 0.01, 0.01, 0.01, 0.0, np.nan])
    series = clean_series(np.zeros(6, dtype=int), t, m, e, 2)
    assert series.mag.tolist() == [12.1, 12.2, 12.3]
    values = compute_indices(series)
    assert values[0, NAMES.index("inverse_von_neumann")] == pytest.approx(0.02 / 0.02)
    assert np.isnan(values[1]).all()
    assert np.isnan(values[0, NAMES.index("excursions")])


def test_a_single_point_has_a_mean_and_nothing_else():
    v = indices_of([1.0], [12.5])
    assert v["mean_mag"] == v["median_mag"] == v["weighted_mean"] == 12.5
    assert sum(np.isfinite(x) for x in v.values()) == 3


def test_quality_flags_follow_bad_points_and_jumps():
    jumps = [0.0, 0.06, 0.10, 0.15, 0.25, 0.5]  # over errors of 0.01 a point: 0, 4.2, 7.1, 10.6, 17.7, 35
    n = 20
    series = np.repeat(np.arange(6), n)
    m = np.full(6 * n, 12.0) + np.repeat(jumps, n) * (np.tile(np.arange(n), 6) >= 10)
    clean = clean_series(series, np.tile(np.arange(n) / 100, 6), m, np.full(m.size, 0.01), 6)
    assert quality_flags(clean, np.zeros(6)).tolist() == [0, 0, 1, 2, 3, 4]
    assert quality_flags(clean, np.full(6, 0.21)).tolist() == [-1] * 6
    assert quality_flags(clean, np.full(6, 0.20))[0] == 0
