"""The local sky: the histogram tells what sorting tells."""

import numpy as np
import pytest

from photodb.images.annulus import annulus_sky


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(5)
    data = rng.normal(3.0, 10.0, (300, 400)).astype(np.float32)
    data[::7, ::5] += 400.0  # stars
    bad = rng.uniform(size=data.shape) < 0.01
    x, y = rng.uniform(20, 380, 200), rng.uniform(20, 280, 200)
    return data, bad, x, y


def test_histogram_and_sorting_agree(scene):
    data, bad, x, y = scene
    noise = np.full(data.shape, 10.0, np.float32)
    quick = annulus_sky(data, noise, bad, x, y, 8.0, 16.0)
    exact = annulus_sky(data, 0 * noise, bad, x, y, 8.0, 16.0)  # without a scale it sorts
    assert np.abs(quick[:, 0] - exact[:, 0]).max() < 0.6 and np.std(quick[:, 0] - exact[:, 0]) < 0.15
    assert np.abs(quick[:, 1] / exact[:, 1] - 1).max() < 0.06
    assert np.abs(quick[:, 2] - exact[:, 2]).max() <= 6
    assert exact[:, 0].mean() == pytest.approx(3.0, abs=0.15)
    assert exact[:, 1].mean() == pytest.approx(10.0, rel=0.03)


def test_far_from_the_scale_it_sorts(scene):
    """In a halo, or where the noise is told wrongly, the answer is the sorted one."""
    data, bad, x, y = scene
    for noise, offset in ((10.0, 900.0), (300.0, 0.0), (0.01, 0.0)):
        scale = np.full(data.shape, noise, np.float32)
        quick = annulus_sky(data + np.float32(offset), scale, bad, x, y, 8.0, 16.0)
        exact = annulus_sky(data + np.float32(offset), 0 * scale, bad, x, y, 8.0, 16.0)
        assert np.array_equal(quick, exact)


def test_too_few_pixels_are_nan(scene):
    data, _, x, y = scene
    told = annulus_sky(data, np.ones_like(data), np.ones(data.shape, bool), x, y, 8.0, 16.0)
    assert np.isnan(told).all()


@pytest.mark.parametrize("noise", [1.2, 2.5, 12.0])
def test_the_sky_of_whole_counts_is_no_whole_count(noise):
    rng = np.random.default_rng(8)
    x, y = rng.uniform(20, 380, 300), rng.uniform(20, 280, 300)
    for part in (0.0, 0.25, 0.4, 0.75):
        sky = 100.0 + part
        counts = np.rint(sky + rng.normal(0, noise, (300, 400))).astype(np.float32)
        scale, bad = np.full(counts.shape, noise, np.float32), np.zeros(counts.shape, bool)
        told = annulus_sky(counts - np.float32(100), scale, bad, x, y, 9.0, 16.5, 1.0)
        assert told[:, 0].mean() == pytest.approx(part, abs=0.02 + 0.01 * noise)
