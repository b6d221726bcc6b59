"""How near to the truth a fit comes: catalogue noise, distortion, few stars, corners without stars, wrong stars."""

import numpy as np
import pytest

from .astrometry_scenes import lens, scene

SEEDS = range(2000, 2024)


def fitted(seeds, **what):
    """Return the fits of many scenes, their errors on the frame and those of a linear fit, arcsec."""
    scenes = [scene(seed, **what) for seed in seeds]
    fits = [s.fit() for s in scenes]
    assert all(fit is not None for fit in fits)
    errors = np.array([s.error_arcsec(f.wcs) for s, f in zip(scenes, fits)])
    return fits, errors, np.array([s.linear_arcsec(f) for s, f in zip(scenes, fits)])


def test_a_hundred_stars_of_a_tenth_of_an_arcsecond():
    fits, errors, _ = fitted(SEEDS)
    assert np.median(errors, axis=1).max() < 0.06
    assert errors.max() < 0.15
    assert all(f.wcs.order == 1 for f in fits)
    assert np.median([f.floor_arcsec for f in fits]) == pytest.approx(0.1, abs=0.015)
    assert np.median([f.n_used for f in fits]) >= 99


def test_three_pixels_of_distortion_at_the_corners():
    fits, errors, linear = fitted(SEEDS, warp=lens(3.0))
    assert all(f.wcs.order == 3 for f in fits)
    assert np.median(errors, axis=1).max() < 0.1
    assert np.quantile(errors.max(axis=1), 0.9) < 0.3
    assert np.median(linear) > 0.25 and np.median(linear.max(axis=1)) > 1.5


def test_distortion_that_the_first_match_cannot_follow():
    fits, errors, _ = fitted(SEEDS[:8], n=200, warp=lens(15.0))
    assert all(f.n_used > 190 for f in fits) and errors.max() < 0.3


SHAPES = {
    "none": lens(0.0),
    "lens": lens(3.0),
    "tilt": lambda u, v: (3 * u**2, 3 * u * v),
    "fifth": lambda u, v: (3 * u * (u**2 + v**2) ** 2, 3 * v * (u**2 + v**2) ** 2),
    "decentred": lambda u, v: lens(3.0)(u - 0.2, v + 0.15),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("n", "cover"), [(15, (0, 1)), (40, (0, 1)), (100, (0, 1)), (100, (0, 0.5)), (100, (0.2, 0.8))]
)
def test_no_corner_is_worse_than_with_a_linear_fit(shape, n, cover):
    _, errors, linear = fitted(SEEDS[:8], n=n, warp=SHAPES[shape], cover=cover)
    assert (errors.max(axis=1) < 1.1 * linear.max(axis=1) + 0.03).all()


def test_wrong_stars_are_refused_and_kept_with_their_residuals():
    fits, errors, _ = fitted(SEEDS, wrong=0.15)
    assert errors.max() < 0.2
    refused = [np.hypot(f.dra, f.ddec)[~f.used] for f in fits]
    assert sum(map(len, refused)) > 0.7 * 0.15 * 100 * len(fits)
    assert np.median(np.concatenate(refused)) > 0.6
    assert all(np.hypot(f.dra, f.ddec)[f.used].max() < 0.7 for f in fits)
    assert all(f.rms_arcsec < 0.25 for f in fits)


def test_weights_follow_the_centroids_and_the_catalogue():
    """Half the detections are ten times worse: with their errors told the fit is as good as with the others alone."""
    from photodb.images.astrometry import SkyStars, fit_near

    told, untold, catalogue = [], [], []
    for seed in SEEDS:
        s = scene(seed, n=60, noise_arcsec=0.02, false=0.0)
        rng = np.random.default_rng(seed)
        sigma = np.where(rng.random(60) < 0.5, 0.5, 0.02)
        xy = s.xy + rng.normal(0, 1, (60, 2)) * sigma[:, None]
        err = np.column_stack([sigma, sigma])
        start = s.truth.linear
        told.append(s.error_arcsec(fit_near(xy, s.stars, start, 1676, 1266, xy_err=err).wcs).max())
        untold.append(s.error_arcsec(fit_near(xy, s.stars, start, 1676, 1266).wcs).max())
        worse = rng.random(60) < 0.5
        off = rng.normal(0, 0.4 / 3600, 60) * worse
        stars = SkyStars(s.stars.key, s.stars.ra, s.stars.dec + off, s.stars.mag, np.where(worse, 0.4, 0.02))
        catalogue.append(s.error_arcsec(fit_near(s.xy, stars, start, 1676, 1266).wcs).max())
    assert np.median(told) < 0.05 < np.median(untold)
    assert np.median(catalogue) < 0.06


def test_the_brightest_match_and_all_fit():
    """2,000 stars: matched by the brightest 400, fitted by all, and the formal error is what the truth shows."""
    fits, errors, _ = fitted(SEEDS[:4], n=2000)
    assert all(f.n_used > 1900 for f in fits)
    assert errors.max() < 0.03
    assert all(0.004 < f.corner_arcsec < 0.012 for f in fits)
