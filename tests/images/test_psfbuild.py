"""Making a frame's point-spread function: shapes over the field, few stars, intruders, models and subimages."""

import numpy as np
import pytest

from photodb.images.psf import PsfModel
from photodb.images.psfbuild import PsfStars, build_psf
from photodb.simulate.frames import _add_moffat

NX, NY, GAIN = 700, 560, 1.5
ALPHA_PER_FWHM = 1 / (2 * np.sqrt(2 ** (1 / 3) - 1))


def frame_with(n, seed, fwhm=lambda u, v: 3.0 + 0.4 * u + 0.3 * v * v, intruders=0):
    """Return data, variance and stars of a frame whose FWHM follows a quadratic; intruders are twice as wide."""
    rng = np.random.default_rng([seed, n])
    x, y = rng.uniform(25, NX - 26, 4 * n), rng.uniform(25, NY - 26, 4 * n)
    kept = [0]
    for k in range(1, len(x)):
        if np.hypot(x[kept] - x[k], y[kept] - y[k]).min() > 22 and len(kept) < n:
            kept.append(k)
    x, y = x[kept], y[kept]
    flux = 10 ** rng.uniform(4.0, 5.2, len(x))
    width = fwhm(2 * x / (NX - 1) - 1, 2 * y / (NY - 1) - 1)
    width[:intruders] *= 2.0
    image = np.zeros((NY, NX), np.float32)
    _add_moffat(
        image, x, y, flux, width * ALPHA_PER_FWHM, np.full(len(x), 0.08), np.full(len(x), -0.05), 1e-4
    )
    noisy = image + rng.normal(0, np.sqrt(image + 300.0))
    variance = np.full((NY, NX), 300.0 / GAIN**2, np.float32)
    stars = PsfStars(x, y, flux / GAIN, flux / np.sqrt(flux + 300 * 40))
    return (noisy / GAIN).astype(np.float32), variance, stars


@pytest.mark.parametrize("seed", range(3))
def test_shape_follows_the_field(seed):
    data, variance, stars = frame_with(120, seed)
    psf = build_psf(data, variance, GAIN, stars, 3.0)
    assert (psf.model, psf.order) == ("moffat", 2) and psf.n_stars > 90
    assert 0.7 < psf.chi2 < 1.2
    x, y = np.meshgrid(np.linspace(30, NX - 31, 7), np.linspace(30, NY - 31, 6))
    stamps = psf.stamps(x.ravel(), y.ravel(), np.full(42, 12.0), NX, NY)
    u, v = 2 * x.ravel() / (NX - 1) - 1, 2 * y.ravel() / (NY - 1) - 1
    truth = 3.0 + 0.4 * u + 0.3 * v * v
    for k in range(42):
        image = np.zeros((NY, NX), np.float32)
        one = (
            np.array([a]) for a in (x.ravel()[k], y.ravel()[k], 1.0, truth[k] * ALPHA_PER_FWHM, 0.08, -0.05)
        )
        _add_moffat(image, *one, 1e-9)
        x0, x1, y0, y1 = stamps.boxes[k]
        mine = stamps.values[stamps.offsets[k] : stamps.offsets[k + 1]].reshape(y1 - y0, x1 - x0)
        theirs = image[y0:y1, x0:x1]
        assert np.abs(mine - theirs)[mine > 0].max() < 0.05 * theirs.max()
        # what a flux would be wrong by, were the profile fitted to the true one
        assert (mine * theirs).sum() / (mine * mine).sum() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("n", "order"), [(120, 2), (25, 1), (8, 0), (3, 0)])
def test_few_stars_lower_the_order_and_say_so(n, order):
    psf = build_psf(*_with_gain(frame_with(n, 5)), 3.0)
    assert psf.order == order
    assert (psf.cells[0].note == "") == (order == 2)
    assert "needed for a quadratic" in psf.cells[0].note or order == 2


def _with_gain(made):
    data, variance, stars = made
    return data, variance, GAIN, stars


def test_fewer_than_three_stars_make_none():
    assert build_psf(*_with_gain(frame_with(2, 6)), 3.0) is None


def test_galaxies_among_the_stars_are_refused():
    clean = build_psf(*_with_gain(frame_with(80, 7)), 3.0)
    dirty = build_psf(*_with_gain(frame_with(80, 7, intruders=8)), 3.0)
    x = y = np.array([350.0])
    assert dirty.n_stars <= 72
    assert dirty.shape_at(x, y)[0] == pytest.approx(clean.shape_at(x, y)[0], rel=0.03)


def test_a_gaussian_does_not_vary_and_has_no_table():
    psf = build_psf(*_with_gain(frame_with(80, 8)), 3.0, model="gaussian")
    widths, _ = psf.shape_at(np.array([40.0, 650.0]), np.array([40.0, 500.0]))
    assert psf.twice_beta == 0 and widths[0] == widths[1]
    assert not psf.cells[0].table.any()


def test_subimages_have_functions_of_their_own():
    psf = build_psf(*_with_gain(frame_with(160, 9)), 3.0, model="gaussian", grid=3)
    widths, _ = psf.shape_at(np.array([60.0, 640.0]), np.array([280.0, 280.0]))
    assert len(psf.cells) == 9 and widths[1] - widths[0] > 0.3
    again = PsfModel.from_dict(psf.to_dict())
    assert again.shape_at(np.array([60.0]), np.array([280.0]))[0] == pytest.approx(widths[:1], rel=1e-5)


def test_a_subimage_without_stars_takes_those_of_the_frame():
    data, variance, stars = frame_with(60, 10)
    left = stars.x < NX / 2
    some = PsfStars(stars.x[left], stars.y[left], stars.flux[left], stars.snr[left])
    psf = build_psf(data, variance, GAIN, some, 3.0, grid=2)
    assert "that of the whole frame is taken" in psf.cells[1].note and psf.cells[0].n_stars > 5


@pytest.mark.parametrize("seed", range(3))
def test_stars_in_one_corner_hold_no_quadratic_in_the_others(seed):
    data, variance, stars = frame_with(300, 20 + seed, fwhm=lambda u, v: 3.0 + 0.0 * u)
    near = (stars.x < 0.36 * NX) & (stars.y < 0.44 * NY)
    assert near.sum() > 40
    some = PsfStars(stars.x[near], stars.y[near], stars.flux[near], stars.snr[near])
    psf = build_psf(data, variance, GAIN, some, 3.0)
    assert psf.order < 2 and "in a small part of the frame" in psf.cells[0].note
    width, _ = psf.shape_at(np.array([0.0, NX - 1.0, NX - 1.0]), np.array([NY - 1.0, 0.0, NY - 1.0]))
    assert np.abs(width / 3.0 - 1).max() < 0.1


def test_a_function_of_unlike_stars_says_so():
    unlike = frame_with(20, 3, fwhm=lambda u, v: 3.2 + 0.8 * np.sign(np.sin(37 * u)))
    psf = build_psf(*_with_gain(unlike), 3.0)
    assert psf.chi2 > 4 and "not alike" in psf.cells[0].note
    assert "not alike" not in build_psf(*_with_gain(frame_with(20, 3)), 3.0).cells[0].note
