"""Saturated stars: one detection each, their bleeds masked, their spikes and halos no stars."""

import numpy as np
import pytest

from benchmarks.pixels_score import know, reduced, score_detection
from photodb.core.flags import Flag
from photodb.images.measure import measure
from photodb.images.reduce import ReducedFrame
from photodb.images.saturated import find_saturated, with_bleeds
from photodb.simulate.pixels import STAR, PixelCamera, PixelExposure, PixelSky, pixel_frame, pixel_sky

CAMERA = PixelCamera(nx=420, ny=400, n_hot=0, bleeds=True)


def with_stars(seed, x, y, flux):
    """Return a field of 300 stars and bright ones more."""
    sky = pixel_sky(seed, 300, CAMERA, n_galaxies=0, brightest=1e5)
    n = len(x)
    columns = [np.append(a, b) for a, b in ((sky.x, x), (sky.y, y), (sky.flux, flux))]
    return PixelSky(
        *columns, np.append(sky.kind, np.full(n, STAR)), np.append(sky.size, np.zeros(n)),
        np.append(sky.axis_ratio, np.ones(n)), np.append(sky.angle, np.zeros(n)), CAMERA,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[1, 2])
def bled(request):
    x, y, flux = np.array([100.3, 250.6, 330.2]), np.array([120.0, 210.4, 300.7]), np.array([6e6, 2e7, 3.5e6])
    frame = pixel_frame(with_stars(request.param, x, y, flux), PixelExposure(n_cosmic=0), request.param)
    return frame, x, y


def test_each_saturated_star_is_one_and_in_its_place(bled):
    frame, x, y = bled
    r = reduced(frame)
    found = find_saturated(r.raw, r.bad, r.data, r.saturation)
    order = np.argsort(found.x)
    assert len(found) == 3
    assert np.hypot(found.x[order] - x, found.y[order] - y).max() < 1.0
    assert found.n_pixels.max() > 100 and found.radius.max() < 8  # the bleed does not count for the width
    stars = measure(r, CAMERA.gain, psf="none").detections
    flagged = stars.take(stars.flags & Flag.SATURATED != 0)
    assert len(flagged) == 3
    for a, b in zip(x, y):
        assert np.hypot(flagged.x - a, flagged.y - b).min() < 1.0


@pytest.mark.parametrize("psf", ["none", "moffat"])
def test_bleeds_found_no_stars_and_mark_what_lies_on_them(bled, psf):
    frame, *_ = bled
    r = reduced(frame)
    stars = measure(r, CAMERA.gain, psf=psf).detections
    told = score_detection(know(frame), stars.x, stars.y, stars.kind)
    assert told["false"] <= 3
    bright = find_saturated(r.raw, r.bad, r.data, r.saturation)
    mask = with_bleeds(r.bad, bright)
    clipped = np.argwhere(frame.raw >= CAMERA.saturation - 1)
    ends = clipped[clipped[:, 1] == 251]
    assert mask[ends[:, 0].max() + 2, 251] and mask[ends[:, 0].min() - 2, 251]
    assert not mask[:, :80].any()
    on = mask[np.rint(stars.y).astype(int), np.rint(stars.x).astype(int)]
    assert (stars.flags[on] & (Flag.SATURATED | Flag.BAD_PIXEL) != 0).all()


def test_spikes_and_halos_are_no_stars():
    rng = np.random.default_rng(5)
    yy, xx = np.mgrid[0:300, 0:300]
    image = np.full((300, 300), 300.0)

    def star(x, y, flux):
        return flux / (2 * np.pi * 1.5**2) * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / 1.5**2)

    r = np.hypot(xx - 150, yy - 150)
    image += star(150, 150, 3e7) + 4e4 / (1 + (r / 6) ** 2) ** 1.5
    for dx, dy in ((1, 0), (0, 1)):
        across, along = np.abs((xx - 150) * dy - (yy - 150) * dx), np.abs((xx - 150) * dx + (yy - 150) * dy)
        beads = 1 + 0.5 * np.cos(2 * np.pi * along / 9)
        image += 3000 * np.exp(-0.5 * across**2) * beads * np.exp(-along / 20)
    others = [(60.3, 70.2, 6000), (230.7, 220.1, 8000), (40.0, 250.0, 4000), (176.0, 128.0, 40000)]
    for x, y, flux in others:
        image += star(x, y, flux)
    counts = image + rng.normal(0, np.sqrt(image))
    raw = np.clip(np.rint(counts), 0, 60000).astype(np.uint16)
    frame = ReducedFrame(raw, raw.astype(np.float32), raw >= 60000, 60000.0, np.inf, 0, 0)
    found = measure(frame, 1.0, psf="none").detections
    for x, y, _ in others:
        assert np.hypot(found.x - x, found.y - y).min() < 0.5
    assert len(found) <= len(others) + 4  # with the saturated star itself


def test_a_saturated_hot_pixel_is_no_star():
    rng = np.random.default_rng(6)
    raw = np.rint(rng.normal(300, 17, (200, 200))).astype(np.uint16)
    raw[50, 60] = 60000
    raw[120, 0] = 60000
    raw[199, 199] = 60000
    data = raw.astype(np.float32) - 300
    found = find_saturated(raw, raw >= 60000, data, 60000.0)
    assert len(found) == 0 and len(found.bleed) == 0


def test_nothing_saturated_and_everything_saturated():
    data = np.zeros((50, 60), np.float32)
    none = find_saturated(data, data > 1, data, np.inf)
    assert len(none) == 0 and with_bleeds(data > 1, none).sum() == 0
    full = np.full((300, 300), 60000, np.uint16)
    assert len(find_saturated(full, full >= 60000, full.astype(np.float32), 60000.0)) == 1
