"""Forced photometry on simulated skies with known truth: at the photon limit, unbiased, over field, flip and pairs."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.pixels_forced import forced_frame, forced_night, light_curves
from benchmarks.pixels_score import average, know, reduced, score_flip, score_flux
from photodb.core.flags import Flag
from photodb.images.forced import Targets, force, refined_places
from photodb.images.measure import measure
from photodb.images.reduce import ReducedFrame
from photodb.simulate.frames import _add_moffat
from photodb.simulate.pixels import PixelCamera, pixel_frame, pixel_sky, standard_night
from photodb.simulate.psf_pixels import ALPHA_PER_FWHM, Shapes, add_stars

CAMERA = PixelCamera(nx=836, ny=632)
N_STARS = 1870
"""The density of 7,500 stars on a frame of 1676x1266."""


@pytest.fixture(scope="module")
def scores():
    """Scores of two frames of each of five skies: a plain one and one after the flip."""
    told = []
    for seed in (11, 12, 13, 14, 15):
        night = forced_night(seed, (1, 8), CAMERA, N_STARS)
        told += [score_flux(t, f.flux_psf, f.flux_psf_err) for t, f in zip(night.truths, night.forced)]
    return average(told)


def test_isolated_stars_are_measured_near_the_bound(scores):
    assert scores["rms 15-60"] < 1.25 and scores["rms 60-200"] < 1.6 and scores["rms 200-500"] < 2.5
    assert scores["rms 5-8"] < 1.25 and scores["rms 8-15"] < 1.25


def test_told_errors_are_true(scores):
    for name in ("pull 5-8", "pull 8-15", "pull 15-60"):
        assert 0.8 < scores[name] < 1.3, (name, scores[name])


def test_faint_stars_are_not_biased(scores):
    assert abs(scores["bias 5-8"]) < 15 and abs(scores["bias 8-15"]) < 15 and abs(scores["bias 15-60"]) < 10


def test_there_is_no_trend_over_the_field(scores):
    # a quarter of the full frame's stars carry the same PSF field: the full frame's bound of 10 mmag is benchmarked
    assert scores["trend low"] > -20 and scores["trend high"] < 20


def test_close_pairs_are_told_apart(scores):
    assert abs(scores["pair bias"]) < 15 and scores["pair rms"] < 35


def test_a_meridian_flip_moves_no_bright_star():
    night = forced_night(21, (1, 3, 8, 9), CAMERA, N_STARS)
    mags, snr = light_curves(night)
    bright = np.isfinite(mags).all(axis=0)
    bright[bright] = snr[:, bright].mean(axis=0) > 100
    assert bright.sum() > 8
    assert score_flip(mags, np.array([False, False, True, True]), bright) < 12


def test_order_of_the_sources_changes_nothing():
    truth = know(pixel_frame(pixel_sky(31, N_STARS, CAMERA), standard_night(31)[0], 31))
    frame, gain = reduced(truth.frame), CAMERA.gain
    found = measure(frame, gain, max_stars=5000)
    d = found.detections
    order = np.random.default_rng(1).permutation(len(d))
    results = []
    for rows in (np.arange(len(d)), order):
        targets = Targets(d.x[rows], d.y[rows], d.x[rows], d.y[rows], np.full(len(d), 50.0))
        results.append(force(frame, targets, found.psf, np.array(found.radii), gain))
    off = (results[1].flux_psf - results[0].flux_psf[order]) / results[0].flux_psf_err[order]
    assert np.nanmax(np.abs(off)) < 0.1
    assert (
        results[1].flags == results[0].flags[order]
    ).mean() > 0.995  # an outlier may lie on its very limit


def test_negative_fluxes_are_kept_and_empty_places_measure_zero():
    truth = know(pixel_frame(pixel_sky(41, N_STARS, CAMERA), standard_night(41)[0], 41))
    frame, gain = reduced(truth.frame), CAMERA.gain
    found = measure(frame, gain, max_stars=5000)
    rng = np.random.default_rng(2)
    d = found.detections
    x, y = rng.uniform(20, CAMERA.nx - 21, 3000), rng.uniform(20, CAMERA.ny - 21, 3000)
    far = np.min(np.hypot(x[:, None] - truth.x, y[:, None] - truth.y) + 0 * truth.flux, axis=1) > 8
    nan, zero = np.full(far.sum(), np.nan), np.zeros(far.sum())
    targets = Targets(
        np.append(d.x, x[far]), np.append(d.y, y[far]), np.append(d.x, nan), np.append(d.y, nan),
        np.append(np.full(len(d), 50.0), zero),
    )  # fmt: skip
    result = force(frame, targets, found.psf, np.array(found.radii), gain)
    empty = slice(len(d), None)
    pull = (result.flux_psf / result.flux_psf_err)[empty]
    assert np.isfinite(pull).mean() > 0.97  # cosmic rays, hot pixels and places that meet take the rest
    pull = pull[np.isfinite(pull)]
    assert (pull < 0).mean() > 0.3
    assert 0.8 < 1.4826 * np.median(np.abs(pull - np.median(pull))) < 1.25
    assert abs(np.median(pull)) < 0.3


def test_a_saturated_star_and_one_at_the_edge_say_so():
    camera = replace(CAMERA, saturation=12000.0)
    truth = know(pixel_frame(pixel_sky(51, N_STARS, camera), standard_night(51)[0], 51), border=0)
    result, _ = forced_frame(truth)
    told = np.isfinite(result.x)
    assert (result.flags[told & truth.saturated] & Flag.SATURATED != 0).all() and truth.saturated.sum() > 3
    edge = told & ((truth.x < 2) | (truth.y < 2))
    assert edge.any() and (result.flags[edge] & Flag.EDGE != 0).all()


def test_places_follow_the_frame_and_lean_on_own_centroids_when_bright():
    rng = np.random.default_rng(4)
    n = 400
    x, y = rng.uniform(0, 999, n), rng.uniform(0, 799, n)
    bend_x = 0.8 + 0.5 * ((x - 500) / 500) ** 2
    snr = 10 ** rng.uniform(0.5, 3, n)
    own = 3.0 / 2.3548 / snr
    shift = 0.05 * rng.normal(size=(2, n))  # what the archive's places are off
    seen = np.stack([x + bend_x, y - 0.4]) + own * rng.normal(size=(2, n))
    targets = Targets(
        x + shift[0], y + shift[1], *np.where(snr > 6, seen, np.nan), np.where(snr > 6, snr, 0.0)
    )
    px, py = refined_places(targets, (800, 1000), 3.0)
    off = np.hypot(px - x - bend_x, py - y + 0.4)
    assert np.median(off[snr < 10]) < 0.08 and np.median(off[snr > 200]) < 0.015


def test_without_bright_stars_the_predicted_places_stand():
    targets = Targets(
        *(np.array([5.0, 9.0]) for _ in range(2)), *(np.full(2, np.nan) for _ in range(2)), np.zeros(2)
    )
    px, _ = refined_places(targets, (30, 30), 3.0)
    assert (px == [5.0, 9.0]).all()


@pytest.mark.parametrize("part", [0.2, 0.4, 0.7])
def test_whole_counts_coarser_than_the_noise_bias_no_flux(part):
    """12 electrons a count, a sky noise of 1.2 counts, no flat that would spread the counts."""
    rng, gain, n = np.random.default_rng(round(10 * part)), 12.0, 240
    x, y = rng.uniform(15, 485, n), rng.uniform(15, 385, n)
    flux = np.where(np.arange(n) < 120, 10 ** rng.uniform(4, 5, n), 700.0)
    image = np.full((400, 500), (17 + part) * gain, np.float32)
    _add_moffat(image, x, y, flux, np.full(n, 2.75), np.zeros(n), np.zeros(n), 1e-3)
    raw = np.rint((image + rng.normal(0, np.sqrt(image))) / gain).astype(np.uint16)
    frame = ReducedFrame(raw, raw.astype(np.float32), raw >= 60000, 60000.0, np.inf, 0, 0)
    found = measure(frame, gain)
    targets = Targets(x, y, *np.full((2, n), np.nan), np.zeros(n))
    result = force(frame, targets, found.psf, np.array(found.radii), gain)
    faint = (np.arange(n) >= 120) & (result.flags == 0)
    pull = ((result.flux_psf - flux) / result.flux_psf_err)[faint]
    assert abs(np.median(pull)) < 0.5 and abs(np.median(result.sky[faint]) / image.min() - 1) < 0.03


def test_pixels_without_values_dig_no_hole_into_the_large_apertures():
    rng = np.random.default_rng(6)
    x, y = (
        v.ravel() + rng.uniform(-9, 9, 48)
        for v in np.meshgrid(30 + 44 * np.arange(8), 30 + 44 * np.arange(6))
    )
    image = np.full((290, 380), 900.0, np.float32)
    _add_moffat(image, x, y, np.full(48, 3e4), np.full(48, 2.75), np.zeros(48), np.zeros(48), 1e-3)
    raw = (image + rng.normal(0, np.sqrt(image))).astype(np.float32)
    for a, b in zip(np.rint(x).astype(int), np.rint(y).astype(int)):
        raw[b + 6 : b + 8, a - 4 : a + 5] = np.nan  # beyond the main aperture, inside the largest one
    holes = np.isnan(raw)
    frame = ReducedFrame(raw, np.where(holes, 0, raw).astype(np.float32), holes, 6e4, np.inf, 0, 0)
    targets = Targets(x, y, *np.full((2, 48), np.nan), np.zeros(48))
    result = force(frame, targets, None, np.array([2.0, 3.0, 4.2, 6.0, 8.4]), 1.0)
    told = result.flags & Flag.BAD_PIXEL == 0
    assert told.sum() > 40
    assert np.median((result.flux_aperture[:, 4] / result.flux_aperture[:, 2])[told]) > 0.95


def test_what_a_bad_fit_leaves_of_every_star_is_no_cosmic_ray():
    """Undersampled stars, measured beside their places."""
    rng, n = np.random.default_rng(12), 120
    x, y, flux = rng.uniform(15, 485, n), rng.uniform(15, 385, n), 10 ** rng.uniform(4.5, 5.0, n)
    image = np.full((400, 500), 300.0, np.float32)
    zero = np.zeros(n)
    add_stars(image, x, y, flux, Shapes(np.full(n, 1.4 * ALPHA_PER_FWHM), *[zero] * 4), np.zeros((1, 2)))
    raw = np.rint(image + rng.normal(0, np.sqrt(image))).astype(np.uint16)
    raw[np.rint(y[:3]).astype(int) + 2, np.rint(x[:3]).astype(int)] += 9000  # cosmic rays on three
    frame = ReducedFrame(raw, raw.astype(np.float32), raw >= 65000, 65000.0, np.inf, 0, 0)
    found = measure(frame, 1.0)
    nothing = np.full((2, n), np.nan)
    right, beside = (
        force(frame, Targets(x + off, y, *nothing, zero), found.psf, np.array(found.radii), 1.0)
        for off in (0.0, 0.15)
    )
    struck = [(r.flags & Flag.COSMIC_RAY) != 0 for r in (right, beside)]
    assert struck[0][:3].all() and struck[0][3:].mean() < 0.05 and struck[1].mean() < 0.05


def test_two_sources_of_one_star_do_not_share_its_light():
    truth = know(pixel_frame(pixel_sky(71, N_STARS, CAMERA), standard_night(71)[0], 71))
    frame, gain = reduced(truth.frame), CAMERA.gain
    found = measure(frame, gain, max_stars=5000)
    d = found.detections.take((found.detections.kind == 1) & (found.detections.flags == 0))
    one = Targets(d.x, d.y, d.x, d.y, np.full(len(d), 50.0))
    n = 20
    two = Targets(
        np.append(d.x, d.x[:n] + 0.4), np.append(d.y, d.y[:n]), np.append(d.x, np.full(n, np.nan)),
        np.append(d.y, np.full(n, np.nan)), np.append(np.full(len(d), 50.0), np.zeros(n)),
    )  # fmt: skip
    alone = force(frame, one, found.psf, np.array(found.radii), gain)
    doubled = force(frame, two, found.psf, np.array(found.radii), gain)
    assert (doubled.flags[len(d) :] == Flag.DUPLICATE).all() and np.isnan(doubled.flux_psf[len(d) :]).all()
    same = np.abs(doubled.flux_psf[: len(d)] - alone.flux_psf) < 0.05 * alone.flux_psf_err
    assert same[np.isfinite(alone.flux_psf)].all() and (doubled.flags[: len(d)] == alone.flags).all()


def test_a_star_with_a_masked_pixel_says_so_and_one_behind_a_mask_has_no_psf_flux():
    truth = know(pixel_frame(pixel_sky(81, N_STARS, CAMERA), standard_night(81)[0], 81))
    frame, gain = reduced(truth.frame), CAMERA.gain
    found = measure(frame, gain, max_stars=5000)
    d = found.detections
    one, two = np.flatnonzero((d.kind == 1) & (d.flags == 0))[:2]
    bad = frame.bad.copy()
    bad[round(float(d.y[one])) + 1, round(float(d.x[one]))] = True
    x, y = round(float(d.x[two])), round(float(d.y[two]))
    bad[y - 6 : y + 7, x - 6 : x + 7] = True
    targets = Targets(d.x, d.y, d.x, d.y, np.full(len(d), 50.0))
    result = force(replace(frame, bad=bad), targets, found.psf, np.array(found.radii), gain)
    assert result.flags[one] & Flag.BAD_PIXEL and result.flags[two] & Flag.BAD_PIXEL
    assert abs(result.flux_psf[one] / d.flux_psf[one] - 1) < 0.03 and np.isnan(result.flux_psf[two])
