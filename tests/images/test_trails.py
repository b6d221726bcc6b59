"""Satellites leave no sources, chains of stars are no trails, trailed frames are told."""

import numpy as np
import pytest

from benchmarks.pixels_score import know, reduced, score_detection
from photodb.core.flags import Flag
from photodb.images.forced import Targets, force
from photodb.images.measure import measure
from photodb.images.trails import Trail, find_trails
from photodb.simulate.pixels import PixelCamera, PixelExposure, pixel_frame, pixel_sky

CAMERA = PixelCamera(nx=620, ny=560, n_hot=12)


def field(seed):
    return pixel_sky(seed, 500, CAMERA, n_galaxies=4)


@pytest.mark.parametrize("crest", [80.0, 300.0, 3000.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_satellite_founds_no_sources(seed, crest):
    sky = field(seed)
    frame = pixel_frame(sky, PixelExposure(satellite=crest, n_cosmic=20), seed)
    truth = know(frame)
    measured = measure(reduced(frame), CAMERA.gain)
    stars = measured.detections
    told = score_detection(truth, stars.x, stars.y, stars.kind)
    plain = pixel_frame(sky, PixelExposure(n_cosmic=20), seed)
    same = measure(reduced(plain), CAMERA.gain).detections
    before = score_detection(know(plain), same.x, same.y, same.kind)
    assert told["false"] <= before["false"] + 4
    assert told["found >20"] > before["found >20"] - 0.06
    assert any("trail" in note for note in measured.notes)
    assert (stars.flags & Flag.BAD_PIXEL != 0).sum() > 0


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_stars_make_no_trails(seed):
    frame = pixel_frame(pixel_sky(seed, 1200, CAMERA, cluster=0.3), PixelExposure(), seed)
    assert measure(reduced(frame), CAMERA.gain, max_stars=10000, psf="none").notes == ()


def test_a_row_of_stars_is_no_trail():
    """Peaks on a line make a trail only where the line is lit between them."""
    rng = np.random.default_rng(6)
    data = rng.normal(0, 1, (400, 500)).astype(np.float32)
    x = np.arange(20.0, 480.0, 12.0)
    points = np.column_stack([x, 100 + 0.5 * x])
    noise = np.ones_like(data)
    assert find_trails(points, data, noise, 3.0) == []
    yy, xx = np.mgrid[0:400, 0:500]
    lit = data + 4 * np.exp(-0.5 * ((yy - 100 - 0.5 * xx) / 1.5) ** 2).astype(np.float32)
    (trail,) = find_trails(points, lit, noise, 3.0)
    assert trail.holds(x, 100 + 0.5 * x).all() and not trail.holds(x, 130 + 0.5 * x).any()
    assert trail.length > 480 and 2 < trail.half_width < 8


def test_ends_of_a_trail():
    trail = Trail(10.0, 10.0, 110.0, 10.0, 3.0)
    x, y = np.array([60.0, 60.0, 5.0, 114.0, 112.0]), np.array([12.9, 13.5, 10.0, 10.0, 9.0])
    assert trail.holds(x, y).tolist() == [True, False, False, False, True]
    assert trail.holds(x, y, 3.0).all()


@pytest.mark.parametrize(("length", "angle"), [(7.0, 30.0), (10.0, 130.0)])
def test_trailed_frames_are_told(length, angle):
    measured = measure(
        reduced(pixel_frame(field(7), PixelExposure(trail=(length, angle)), 7)), CAMERA.gain, psf="none"
    )
    (note,) = measured.notes
    assert note.startswith("trailed") and measured.ellipticity > 0.35
    told = float(note.split(" along ")[1].split()[0])
    assert abs((told - angle + 90) % 180 - 90) < 6


def test_optics_alone_are_no_trail():
    measured = measure(reduced(pixel_frame(field(8), PixelExposure(seeing=0.9), 8)), CAMERA.gain, psf="none")
    assert measured.notes == () and measured.ellipticity < 0.15


def test_forced_photometry_knows_the_trail():
    """A source under a trail is flagged though it was not found on this frame."""
    frame = pixel_frame(field(2), PixelExposure(satellite=300.0, n_cosmic=0), 2)
    truth, image = know(frame), reduced(frame)
    found = measure(image, CAMERA.gain)
    rows = np.flatnonzero(truth.snr > 5)
    none = np.full(len(rows), np.nan)
    targets = Targets(truth.x[rows], truth.y[rows], none, none, np.zeros(len(rows)))
    result = force(image, targets, found.psf, np.array(found.radii), CAMERA.gain)
    plain = pixel_frame(field(2), PixelExposure(n_cosmic=0), 2)
    light = (frame.expected - plain.expected)[np.rint(truth.y).astype(int), np.rint(truth.x).astype(int)][
        rows
    ]
    lit = light > 100
    assert lit.sum() >= 3
    assert (result.flags[lit] & Flag.BAD_PIXEL != 0).all()
    assert (result.flags[light < 1e-3] & Flag.BAD_PIXEL != 0).mean() < 0.05
