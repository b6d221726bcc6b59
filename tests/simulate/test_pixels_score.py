"""The scores of the pixel benchmarks: a measurement of known error gets the score of that error."""

import numpy as np
import pytest

from benchmarks.pixels_score import (
    know,
    match,
    score_centroids,
    score_detection,
    score_flip,
    score_flux,
)
from photodb.simulate.pixels import PixelCamera, PixelExposure, pixel_frame, pixel_sky


@pytest.fixture(scope="module")
def truth():
    return know(pixel_frame(pixel_sky(8, 2500, PixelCamera(nx=900, ny=800)), PixelExposure(n_cosmic=60), 8))


def test_measurements_at_the_bound_score_one(truth):
    rng = np.random.default_rng(1)
    flux = 0.9 * (truth.flux + truth.bound * rng.normal(size=len(truth.x)))
    told = score_flux(truth, flux, 0.9 * truth.bound)
    assert told["factor"] == pytest.approx(0.9, rel=0.01)
    for name in ("8-15", "15-60"):
        assert told[f"rms {name}"] == pytest.approx(1, abs=0.25)
        assert told[f"pull {name}"] == pytest.approx(1, abs=0.25)
    assert abs(told["bias 5-8"]) < 60
    assert abs(told["trend low"]) < 15 and abs(told["trend high"]) < 15
    x, y = (a + b * rng.normal(size=len(a)) for a, b in ((truth.x, truth.bound_x), (truth.y, truth.bound_y)))
    told = score_centroids(truth, x + 0.02 * (x / 900) ** 2, y)
    assert told["place 15-60"] == pytest.approx(1, abs=0.2)
    assert 0.002 < told["pull px"] < 0.03


def test_faults_show(truth):
    rng = np.random.default_rng(2)
    noisy = truth.flux + truth.bound * rng.normal(size=len(truth.x))
    tilted = noisy * (1 + 0.05 * ((truth.x - 450) / 450) ** 2)
    assert score_flux(truth, tilted, truth.bound)["trend low"] < -20
    twice = truth.flux + 2 * truth.bound * rng.normal(size=len(truth.x))
    assert score_flux(truth, twice, truth.bound)["rms 15-60"] == pytest.approx(2, abs=0.4)
    assert score_flux(truth, twice, truth.bound)["pull 15-60"] == pytest.approx(2, abs=0.4)
    paired = np.where(truth.pair, 1.1, 1.0) * noisy
    assert score_flux(truth, paired, truth.bound)["pair bias"] == pytest.approx(-103, abs=25)


def test_detection_counts(truth):
    bright = np.flatnonzero(truth.snr > 20)
    frame = truth.frame
    x = np.concatenate([truth.x[bright], frame.cosmic_x])
    y = np.concatenate([truth.y[bright], frame.cosmic_y])
    kind = np.concatenate([np.ones(len(bright), int), np.full(len(frame.cosmic_x), 3)])
    told = score_detection(truth, x, y, kind)
    assert told["found >20"] > 0.97 and told["cosmic flagged"] == 1 and told["false"] == 0
    half = np.arange(len(x)) % 2 == 0
    told = score_detection(truth, x[half], y[half], np.ones(half.sum(), int))
    assert told["found >20"] == pytest.approx(0.5, abs=0.1)
    assert told["cosmic flagged"] == 0 and told["false"] > 10
    assert (match(truth, truth.x, truth.y)[truth.snr > 2] >= 0).mean() > 0.99


def test_flip_is_the_scatter_of_steps():
    rng = np.random.default_rng(3)
    mags = rng.normal(0, 1e-4, (10, 400)) + rng.uniform(10, 12, 400)
    flipped = np.arange(10) >= 6
    mags[flipped] += 0.3 + rng.normal(0, 0.02, 400)
    assert score_flip(mags, flipped, np.ones(400, bool)) == pytest.approx(20, rel=0.12)
