"""Placing frames on the sky: by patterns and from a first guess, with false stars, and never wrongly."""

import numpy as np
import pytest

from photodb.core.tangent import TangentWCS
from photodb.images.astrometry import SkyStars, compose, fit_blind, fit_near
from photodb.images.brightlist import bright_stars
from photodb.images.register import register

NX, NY = 650, 500


def sky_and_frame(seed, rotation=33.0, scale=2.0, n=120, noise_arcsec=0.1, false=40):
    rng = np.random.default_rng(seed)
    wcs = TangentWCS.approximate(150.0, 25.0, (NX - 1) / 2, (NY - 1) / 2, scale, rotation)
    x, y = rng.uniform(-300, NX + 300, 4 * n), rng.uniform(-300, NY + 300, 4 * n)
    mag = 10 + 6 * rng.power(3, 4 * n)
    ra, dec = wcs.to_sky(x, y)
    order = np.argsort(mag)
    jitter = rng.normal(0, noise_arcsec / 3600, (2, 4 * n))
    stars = SkyStars(
        np.arange(4 * n),
        (ra + jitter[0] / np.cos(np.radians(25)))[order],
        (dec + jitter[1])[order],
        mag[order],
    )
    on = (x > 0) & (x < NX) & (y > 0) & (y < NY) & (rng.random(4 * n) > 0.2)
    xy = np.column_stack([x, y])[on] + rng.normal(0, 0.05, (on.sum(), 2))
    bright = np.concatenate([mag[on] + rng.normal(0, 0.2, on.sum()), rng.uniform(11, 16, false)])
    xy = np.vstack([xy, rng.uniform(0, 1, (false, 2)) * [NX, NY]])
    return wcs, stars, xy[np.argsort(bright)]


def error_arcsec(wcs, truth):
    x, y = np.meshgrid(np.linspace(0, NX, 6), np.linspace(0, NY, 6))
    a, b = wcs.to_sky(x.ravel(), y.ravel()), truth.to_sky(x.ravel(), y.ravel())
    return np.hypot((a[0] - b[0]) * np.cos(np.radians(25)), a[1] - b[1]).max() * 3600


@pytest.mark.parametrize("seed", range(6))
def test_blind_within_the_catalogues_noise(seed):
    truth, stars, xy = sky_and_frame(seed, rotation=60.0 * seed)
    fit = fit_blind(xy, stars, 150.05, 24.97, 2.05, NX, NY)
    assert fit is not None
    assert error_arcsec(fit.wcs, truth) < 0.15
    assert fit.rms_arcsec < 0.35
    assert fit.wcs.scale_arcsec == pytest.approx(2.0, abs=0.002)


@pytest.mark.parametrize("seed", range(10))
def test_a_wrong_field_is_refused(seed):
    _, stars, _ = sky_and_frame(seed)
    _, _, xy = sky_and_frame(100 + seed)
    assert fit_blind(xy, stars, 150.0, 25.0, 2.0, NX, NY) is None
    wcs = TangentWCS.approximate(150.0, 25.0, NX / 2, NY / 2, 2.0, 33.0)
    assert fit_near(xy, stars, wcs, NX, NY, shift_px=40) is None


def test_a_header_that_is_off_is_mended_by_a_vote():
    truth, stars, xy = sky_and_frame(3)
    off = TangentWCS(truth.ra0 + 0.018, truth.dec0 - 0.012, truth.x0, truth.y0, truth.xi, truth.eta)
    fit = fit_near(xy, stars, off, NX, NY, shift_px=45)
    assert fit is not None and error_arcsec(fit.wcs, truth) < 0.15


def test_compose_is_exact():
    from photodb.core.match import Affine

    truth, *_ = sky_and_frame(4)
    turn = Affine(np.array([[0.99, -0.1], [0.1, 0.99]]), np.array([12.0, -30.0]))
    made = compose(truth, turn, NX, NY)
    p = np.random.default_rng(0).uniform(0, 500, (50, 2))
    old = turn(p)
    assert np.allclose(made.to_sky(p[:, 0], p[:, 1]), truth.to_sky(old[:, 0], old[:, 1]), atol=1e-9)


def test_the_built_in_list_is_at_2016_and_its_last_columns_are_magnitudes():
    from photodb.images.brightlist import _table

    stars = bright_stars(269.45, 4.74, 0.1)
    assert np.all(np.diff(stars.mag) >= 0)
    barnard = int(np.argmin(np.abs(stars.mag - 8.19)))
    assert stars.dec[barnard] == pytest.approx(
        4.6934 + 16 * 10.362 / 3600, abs=2e-4
    )  # 10.362 arcsec a year since 2000
    colour = _table()["bp"] - _table()["rp"]
    assert 0.5 < np.median(colour) < 2.0  # were they proper motions, they would scatter around 0


def test_registration_with_half_the_field_and_a_flip():
    rng = np.random.default_rng(5)
    stars = rng.uniform(-700, 1300, (2500, 2))

    def view(turn, offset):
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        p = (
            (stars - offset - [NX / 2, NY / 2]) @ np.array([[c, s], [-s, c]])
            + [NX / 2, NY / 2]
            + rng.normal(0, 0.05, stars.shape)
        )
        on = (p > 0).all(axis=1) & (p[:, 0] < NX) & (p[:, 1] < NY)
        return p[on]

    reference = view(0, [0, 0])
    for turn, offset in ((0.6, [250, 60]), (180, [10, 4]), (0.0, [0, 0])):
        found = register(reference, view(turn, offset))
        assert found is not None and found.rms < 0.12
        assert (found.transform.rotation_deg - turn + 180) % 360 - 180 == pytest.approx(0, abs=0.05)
    assert register(reference, rng.uniform(0, 500, (300, 2))) is None
