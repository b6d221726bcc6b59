"""Frames with known truth: light is kept, noise is as told, the bound is that of a plain sum over pixels."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from photodb.simulate.pixel_series import CENTRE, write_series
from photodb.simulate.pixels import (
    GALAXY,
    STAR,
    PixelCamera,
    PixelExposure,
    PixelFrame,
    cramer_rao,
    pixel_frame,
    pixel_sky,
    place,
    standard_night,
    true_variance,
)
from photodb.simulate.psf_pixels import (
    ALPHA_PER_FWHM,
    COMA_SHARE,
    COMA_WIDTH,
    Shapes,
    add_stars,
    detector_psf,
    trail_offsets,
)

SMALL = PixelCamera(nx=300, ny=260, n_hot=5)


def plain_psf(nx, ny, x, y, shape, k, sub=15):
    """Return the star's share of light in every pixel: the closed form, averaged over sub x sub points of each."""
    at = (np.arange(sub) + 0.5) / sub - 0.5
    gx = (np.arange(nx)[:, None] + at).ravel()[None, :]
    gy = (np.arange(ny)[:, None] + at).ravel()[:, None]
    total = np.zeros((ny * sub, nx * sub))
    e1, e2 = shape.e1[k], shape.e2[k]
    for share, alpha, step in (
        (1 - COMA_SHARE, shape.alpha[k], -COMA_SHARE),
        (COMA_SHARE, COMA_WIDTH * shape.alpha[k], 1 - COMA_SHARE),
    ):
        dx, dy = gx - x - step * shape.tail_x[k], gy - y - step * shape.tail_y[k]
        q = ((1 - e1) * dx**2 + (1 + e1) * dy**2 - 2 * e2 * dx * dy) / np.sqrt(1 - e1**2 - e2**2)
        total += share * 2 / (np.pi * alpha**2) * (1 + q / alpha**2) ** -3
    return total.reshape(ny, sub, nx, sub).mean(axis=(1, 3))


@pytest.mark.parametrize("fwhm", [1.5, 3.0])
def test_pixels_hold_the_integral_of_the_profile(fwhm):
    shape = Shapes(*(np.array([v]) for v in (fwhm * ALPHA_PER_FWHM, 0.12, -0.06, 0.9, -0.5)))
    image = np.zeros((61, 61))
    add_stars(image, np.array([30.3]), np.array([29.6]), np.array([1.0]), shape, np.zeros((1, 2)), 1e-12)
    plain = plain_psf(61, 61, 30.3, 29.6, shape, 0, 45)
    assert np.abs(image - plain).max() < 2e-4 * plain.max()  # the twin's own sampling
    assert image.sum() == pytest.approx(plain.sum(), rel=1e-5)
    grid = np.arange(61)
    assert (image.sum(axis=0) * grid).sum() / image.sum() == pytest.approx(30.3, abs=0.01)
    assert (image.sum(axis=1) * grid).sum() / image.sum() == pytest.approx(29.6, abs=0.01)


def test_psf_changes_quadratically_over_the_detector_within_its_limits():
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, 1675, 30), np.linspace(0, 1265, 30)))
    shape = detector_psf(x, y, 1676, 1266)
    fwhm, e = shape.alpha / ALPHA_PER_FWHM, np.hypot(shape.e1, shape.e2)
    ellipticity = 1 - np.sqrt((1 - e) / (1 + e))
    assert 2.55 < fwhm.min() < 2.7 and 3.3 < fwhm.max() < 3.45
    assert 0.045 < ellipticity.min() < 0.06 and 0.13 < ellipticity.max() < 0.16
    u, v = 2 * x / 1675 - 1, 2 * y / 1265 - 1
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)
    for values in (shape.alpha, shape.e1, shape.e2):
        left = values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]
        assert np.abs(left).max() < 1e-12


def test_bound_equals_the_plain_sum_over_all_pixels():
    sky = pixel_sky(3, 60, SMALL)
    frame = pixel_frame(sky, PixelExposure(seeing=0.6), 3)
    which = np.flatnonzero(frame.inside(30) & (frame.kind == STAR))[:4]
    of_flux, of_x, _ = cramer_rao(frame, which)
    variance = true_variance(frame).astype(float)
    for k, bound, bound_x in zip(which, of_flux, of_x):
        psf = plain_psf(300, 260, frame.x[k], frame.y[k], frame.shapes, k, 9)
        assert bound == pytest.approx(np.sum((frame.flat * psf) ** 2 / variance) ** -0.5, rel=2e-3)
        slope = (
            plain_psf(300, 260, frame.x[k] + 0.05, frame.y[k], frame.shapes, k, 9)
            - plain_psf(300, 260, frame.x[k] - 0.05, frame.y[k], frame.shapes, k, 9)
        ) / 0.1
        plain = np.sum((frame.flat * slope * frame.flux[k]) ** 2 / variance) ** -0.5
        assert bound_x == pytest.approx(plain, rel=5e-3)


def test_the_best_weights_reach_the_bound():
    """The estimate with the true profile as weights, over many noise draws, scatters as the bound says."""
    sky = pixel_sky(4, 40, SMALL, n_pairs=0)
    frames = [pixel_frame(sky, PixelExposure(frame=k, n_cosmic=0), 4) for k in range(40)]
    first = frames[0]
    gap = np.hypot(first.x[:, None] - first.x, first.y[:, None] - first.y) + 1e3 * np.eye(len(first.x))
    fit = first.inside(30) & (gap.min(axis=1) > 12) & (first.kind == STAR) & ~first.saturated
    which = np.flatnonzero(fit)[:12]
    bound = cramer_rao(first, which)[0]
    pulls = []
    for k, sigma in zip(which, bound):
        psf = first.flat * plain_psf(300, 260, first.x[k], first.y[k], first.shapes, k, 5)
        weight = psf / true_variance(first)
        rest = first.expected - first.flux[k] * psf
        for frame in frames:
            data = (frame.raw.astype(float) - SMALL.bias) * SMALL.gain
            pulls.append(((weight * (data - rest)).sum() * sigma**2 - first.flux[k]) / sigma)
    assert len(pulls) >= 240
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)
    assert abs(np.mean(pulls)) < 0.15


def test_field_and_night_hold_what_is_promised():
    sky = pixel_sky(5)
    night = standard_night(5)
    frame = pixel_frame(sky, night[0], 5)
    assert frame.raw.shape == (1266, 1676) and frame.raw.dtype == np.uint16
    stars = frame.inside() & (frame.kind == STAR)
    assert 7000 < stars.sum() < 8000
    assert 2 < (frame.saturated & stars).sum() < 40
    assert (frame.inside() & (frame.kind == GALAXY)).sum() > 30
    assert len(frame.cosmic_x) == 150
    assert sum(e.rotation == 180 for e in night) == 2 and sum(1 <= e.cloud <= 2 for e in night) == 1
    assert sum(e.scale != 1 for e in night) == 1
    assert sum(e.trail[0] > 5 for e in night) == 1 and sum(e.satellite > 0 for e in night) == 1
    again = pixel_frame(sky, night[0], 5)
    assert np.array_equal(frame.raw, again.raw)
    x, y = place(sky, PixelExposure(rotation=180.0))
    assert np.allclose(x, 1675 - sky.x) and np.allclose(y, 1265 - sky.y)


def test_noise_is_photons_and_read_out():
    sky = pixel_sky(6, 0, SMALL, n_galaxies=0)
    frame = pixel_frame(sky, PixelExposure(n_cosmic=0), 6)
    left = (frame.raw.astype(float) - SMALL.bias) * SMALL.gain - frame.expected
    pull = left / np.sqrt(true_variance(frame))
    assert np.std(pull) == pytest.approx(1.0, abs=0.01) and abs(pull.mean()) < 0.01


def test_bleeding_keeps_the_charge_in_the_column():
    camera = PixelCamera(nx=120, ny=200, n_hot=0, bleeds=True)
    one = pixel_sky(7, 0, camera, n_galaxies=0)
    star = type(one)(
        np.array([60.0]), np.array([100.0]), np.array([1e7]), np.array([STAR]),
        np.zeros(1), np.ones(1), np.zeros(1), camera,
    )  # fmt: skip
    exposure = PixelExposure(n_cosmic=0)
    frame: PixelFrame = pixel_frame(star, exposure, 7)
    clipped = (frame.raw >= camera.saturation - 1).sum(axis=0)
    assert clipped[60] > 15 and clipped[:50].sum() == 0
    column = (frame.raw[:, 60].astype(float) - camera.bias) * camera.gain
    assert column.sum() == pytest.approx(frame.expected[:, 60].sum(), rel=0.01)


def test_trails_keep_flux_and_middle():
    shape = detector_psf(np.array([50.0]), np.array([50.0]), 101, 101)
    image = np.zeros((101, 101))
    add_stars(
        image, np.array([50.2]), np.array([49.7]), np.array([1e4]), shape, trail_offsets(12.0, 30.0), 1e-5
    )
    assert image.sum() == pytest.approx(1e4, rel=1e-3)
    assert (image.sum(axis=0) * np.arange(101)).sum() / image.sum() == pytest.approx(50.2, abs=0.02)


def test_series_describes_itself(tmp_path):
    camera = PixelCamera(nx=200, ny=160, n_hot=3)
    sky = write_series(tmp_path, 8, seed=2, n_stars=40, camera=camera)
    paths = sorted(tmp_path.glob("*.fits"))
    assert len(paths) == 8
    for path in paths:
        data, header = fits.getdata(path, header=True)
        assert data.shape == (160, 200)
        for card in ("DATE-OBS", "EXPTIME", "FILTER", "GAIN", "RDNOISE", "SATURATE", "RA", "DEC", "PIXSCALE"):
            assert card in header
    # the same star has the same coordinates before and after the flip
    first, last = (WCS(fits.getheader(p)) for p in (paths[0], paths[-1]))
    exposures = [pixel_frame_places(sky, p) for p in (paths[0], paths[-1])]
    ra_dec = [np.array(w.all_pix2world(*e, 0)) for w, e in zip((first, last), exposures)]
    assert np.abs(ra_dec[0] - ra_dec[1]).max() * 3600 < 0.01
    assert np.abs(ra_dec[0].mean(axis=1) - CENTRE).max() < 0.02
    before = [p.stat().st_mtime_ns for p in paths]
    write_series(tmp_path, 8, seed=2, n_stars=40, camera=camera)
    assert before == [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("*.fits"))]


def pixel_frame_places(sky, path):
    from photodb.simulate.pixel_series import series

    number = int(path.stem.split("-")[-1])
    return place(sky, list(series(2, 8))[number])
