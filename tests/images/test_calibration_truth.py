"""From raw frames of a known detector to the light that fell on it: masters, their application, and the noise."""

import numpy as np
import pytest

from photodb.images.masters import combine
from photodb.images.reduce import NO_PLANES, Planes, apply_planes, overscan_level
from tests.helpers.raw_frames import Detector


def plane(detector, raw, planes=NO_PLANES):
    nx = detector.shape[1]
    return apply_planes(raw[:, :nx], overscan_level(raw[:, nx:]), 60000.0, planes)


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_light_comes_back_within_the_noise(seed):
    detector, rng = Detector(seed=seed, hot_rate=30.0), np.random.default_rng([seed, 5])
    bias = combine("bias", [plane(detector, detector.expose(rng))[0] for _ in range(9)])
    less = Planes(bias.data, bad=bias.bad)
    dark = combine("dark", [plane(detector, detector.expose(rng, 0.0, 300.0), less)[0] for _ in range(7)])
    flats = [plane(detector, detector.expose(rng, 50000.0 - 8000 * k, 2.0), less)[0] for k in range(5)]
    flat = combine("flat", flats, ["V"] * 5)
    # each as true as it says
    assert (bias.data - detector.bias).std() == pytest.approx(bias.noise, rel=0.05)
    off = dark.data - detector.dark * 300 / detector.gain
    assert off[~dark.bad].std() == pytest.approx(np.hypot(dark.noise, bias.noise), rel=0.05)
    off = (flat.data / detector.flat - 1)[~flat.bad]
    assert 0.8 < 1.4826 * np.median(np.abs(off)) / flat.noise < 1.2
    assert dark.bad[detector.hot].all() and (dark.bad & ~detector.hot).sum() <= 2
    assert flat.bad[detector.dead].all() and (flat.bad & ~detector.dead).sum() <= 2
    # a frame of a fifth of the dark's exposure
    planes = Planes(bias.data + dark.data / 5, np.where(flat.bad, 1, 1 / flat.data).astype(np.float32),
                    bias.bad | dark.bad | flat.bad)  # fmt: skip
    light = np.full(detector.shape, 1500.0)
    data, bad = plane(detector, detector.expose(rng, light, 60.0), planes)
    noise = np.sqrt(light * detector.flat + detector.dark * 60 + detector.read_noise**2) / detector.flat
    pull = ((data * detector.gain - light) / noise)[~bad]
    assert pull.std() == pytest.approx(1.0, abs=0.03) and abs(pull.mean()) < 0.03
    # the flat scales the noise: what is measured after it, area by area, is the truth
    measured = np.std((data * detector.gain - light)[:60, :60][~bad[:60, :60]])
    assert measured == pytest.approx(np.sqrt(np.mean(noise[:60, :60][~bad[:60, :60]] ** 2)), rel=0.05)
