"""The joint PSF fit against a dense twin, and the function's closed forms."""

import json

import numpy as np
import pytest
import sep

from photodb.images.fitkernels import circle_share
from photodb.images.psf import Cell, PsfModel, constant_shape, empty_table, fwhm_of_size
from photodb.images.psffit import FIT_FWHM, fit_fluxes

NX, NY = 70, 60


def plain_psf(fwhm=3.0, twice_beta=6, grid=1, table=None):
    """Return a function that is the same all over the frame."""
    shape = constant_shape(np.log(fwhm / fwhm_of_size(twice_beta)), 0.1, -0.05)
    cells = tuple(
        Cell(i * NX / grid, j * NY / grid, NX // grid, NY // grid, shape,
             empty_table() if table is None else table, 0, 9, 1.0)
        for j in range(grid) for i in range(grid)
    )  # fmt: skip
    return PsfModel("gaussian" if twice_beta == 0 else "moffat", twice_beta, fwhm / 6, fwhm, grid, cells)


@pytest.mark.parametrize("twice_beta", [0, 4, 5, 6, 8, 10])
def test_a_stamp_has_unit_integral(twice_beta):
    stamps = plain_psf(3.0, twice_beta).stamps([200.3], [199.6], [190.0], 400, 400)
    lost = (
        0.0
        if twice_beta == 0
        else (1 + (190 / (3.0 / fwhm_of_size(twice_beta))) ** 2) ** (1 - twice_beta / 2)
    )
    assert stamps.values.sum() == pytest.approx(1 - lost, abs=2e-3 if twice_beta == 4 else 3e-4)


def test_the_width_of_a_profile_is_its_fwhm():
    for twice_beta in (0, 4, 5, 10):
        width, ellipticity = plain_psf(2.7, twice_beta).shape_at(np.array([20.0]), np.array([30.0]))
        e = np.hypot(0.1, 0.05)
        assert width[0] == pytest.approx(2.7) and ellipticity[0] == pytest.approx(
            1 - np.sqrt((1 - e) / (1 + e))
        )


def test_noise_area_of_a_gaussian():
    psf = plain_psf(3.0, 0)
    sigma2 = (3.0 / fwhm_of_size(0)) ** 2
    assert psf.noise_area() == pytest.approx(4 * np.pi * sigma2, rel=0.02)  # King 1983, doi:10.1086/131139


def test_a_function_survives_the_archive():
    rng = np.random.default_rng(5)
    table = rng.normal(0, 0.01, (3, 27, 27))
    psf = plain_psf(table=table, grid=2)
    back = PsfModel.from_dict(json.loads(json.dumps(psf.to_dict())))
    x, y, r = np.array([10.2, 40.7, 55.5]), np.array([12.1, 41.9, 8.0]), np.full(3, 8.0)
    ours, theirs = psf.stamps(x, y, r, NX, NY), back.stamps(x, y, r, NX, NY)
    assert np.abs(ours.values - theirs.values).max() < 1e-5 * ours.values.max()
    assert (back.grid, back.n_stars, back.order) == (2, 36, 0)


def dense_fluxes(data, variance, gain, psf, x, y, guess):
    """Solve the same equations with one matrix over all pixels."""
    yy, xx = np.mgrid[:NY, :NX]
    profiles = np.zeros((len(x), NY, NX))
    for i in range(len(x)):
        stamp = psf.stamps(x[i : i + 1], y[i : i + 1], np.array([200.0]), NX, NY)
        profiles[i] = stamp.values.reshape(NY, NX)
    weight = 1 / (variance + np.tensordot(guess, profiles, 1) / gain)
    near = np.array(
        [(xx - x[i]) ** 2 + (yy - y[i]) ** 2 <= (FIT_FWHM * psf.fwhm) ** 2 for i in range(len(x))]
    )
    test = near * profiles * weight
    matrix = np.einsum("iyx,jyx->ij", test, profiles)
    return np.linalg.solve(matrix, np.einsum("iyx,yx->i", test, data)), np.linalg.inv(
        np.einsum("iyx,iyx,jyx->ij", test, np.ones_like(profiles), profiles)
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_joint_fit_equals_a_dense_one_in_a_crowd(seed):
    rng = np.random.default_rng([seed, 4])
    psf, gain, n = plain_psf(), 2.0, 12
    x, y = rng.uniform(15, NX - 15, n), rng.uniform(15, NY - 15, n)
    x[1], y[1] = x[0] + 2.4, y[0] + 1.1  # a close pair
    flux = 10 ** rng.uniform(2.5, 4, n)
    image = np.zeros((NY, NX))
    for i in range(n):
        image += flux[i] * psf.stamps(x[i : i + 1], y[i : i + 1], np.array([200.0]), NX, NY).values.reshape(
            NY, NX
        )
    variance = np.full((NY, NX), 25.0)
    image += rng.normal(0, np.sqrt(variance + image / gain))
    fit = fit_fluxes(image.astype(np.float32), variance.astype(np.float32), gain, psf, x, y, flux)
    dense, covariance = dense_fluxes(image, variance, gain, psf, x, y, flux)
    assert np.abs((fit.flux - dense) / fit.flux_err).max() < 0.1  # the stamps end somewhere
    assert fit.flux_err[:2] == pytest.approx(np.sqrt(np.diag(covariance))[:2], rel=0.05)
    order = rng.permutation(n)
    again = fit_fluxes(
        image.astype(np.float32), variance.astype(np.float32), gain, psf, x[order], y[order], flux[order]
    )
    assert np.abs((again.flux - fit.flux[order]) / fit.flux_err[order]).max() < 0.1


def test_errors_of_a_pair_count_its_covariance():
    psf = plain_psf()
    rng = np.random.default_rng(9)
    x, y, flux = np.array([34.2, 36.0]), np.array([30.1, 30.9]), np.array([3000.0, 1500.0])
    clean = sum(
        f * psf.stamps([a], [b], np.array([200.0]), NX, NY).values.reshape(NY, NX)
        for f, a, b in zip(flux, x, y)
    )
    off, told = [], []
    for _ in range(300):
        image = (clean + rng.normal(0, 10, clean.shape)).astype(np.float32)
        fit = fit_fluxes(image, np.full((NY, NX), 100.0, np.float32), 1e9, psf, x, y, flux)
        off.append(fit.flux - flux)
        told.append(fit.flux_err)
    assert np.std(off, axis=0) / np.mean(told, axis=0) == pytest.approx([1, 1], abs=0.12)
    assert np.abs(np.mean(off, axis=0)).max() < 4 * np.mean(told) / np.sqrt(300)


def test_masked_pixels_tell_nothing_and_a_star_behind_them_has_no_flux():
    psf = plain_psf()
    x, y = np.array([20.0, 50.0]), np.array([30.0, 30.0])
    image = 1e4 * psf.stamps(x[1:], y[1:], np.array([200.0]), NX, NY).values.reshape(NY, NX)
    variance = np.full((NY, NX), 9.0, np.float32)
    variance[:, :35] = 0.0
    image[:, :35] = 6e4
    fit = fit_fluxes(image.astype(np.float32), variance, 1.0, psf, x, y, np.array([1e4, 1e4]))
    assert np.isnan(fit.flux[0]) and fit.seen[0] == 0
    assert fit.flux[1] == pytest.approx(1e4, rel=0.01)


def test_size_tells_a_wide_object_from_a_star():
    psf, wide = plain_psf(3.0), plain_psf(3.6)
    x, y = np.array([20.0, 50.0]), np.array([30.0, 30.0])
    image = sum(
        1e5 * p.stamps(x[k : k + 1], y[k : k + 1], np.array([200.0]), NX, NY).values.reshape(NY, NX)
        for k, p in enumerate((psf, wide))
    )
    fit = fit_fluxes(
        image.astype(np.float32), np.full((NY, NX), 25.0, np.float32), 1.0, psf, x, y, np.array([1e5, 1e5])
    )
    assert abs(fit.size[0]) < 0.01
    assert fit.size[1] == pytest.approx(np.log(3.6 / 3.0), abs=0.03) and fit.size_err[1] < 0.01


def drawn(psf, x, y, flux, nx=NX, ny=NY):
    """Return a frame of stars without noise."""
    stars = (
        f * psf.stamps([a], [b], np.array([200.0]), nx, ny).values.reshape(ny, nx)
        for f, a, b in zip(flux, x, y)
    )
    return sum(stars).astype(np.float32)


@pytest.mark.parametrize("apart", [0.25, 0.5, 1.0])
def test_two_stars_much_closer_than_the_fwhm_are_parted_whatever_their_order(apart):
    psf = plain_psf()
    x, y, flux = np.array([34.2, 34.2 + apart]), np.array([30.1, 30.1]), np.array([8e4, 1e4])
    image, variance = drawn(psf, x, y, flux), np.full((NY, NX), 100.0, np.float32)
    for order in ([0, 1], [1, 0]):
        guess = np.full(2, flux.sum())  # what an aperture tells of both
        fit = fit_fluxes(image, variance, 1.0, psf, x[order], y[order], guess)
        assert np.abs((fit.flux - flux[order]) / fit.flux_err).max() < 0.15


def test_a_wrong_first_flux_of_a_far_bright_star_does_no_harm():
    psf = plain_psf()
    x, y, flux = np.array([22.0, 37.0]), np.array([30.0, 30.0]), np.array([300.0, 1e6])
    image, variance = drawn(psf, x, y, flux), np.full((NY, NX), 25.0, np.float32)
    for order in ([0, 1], [1, 0]):
        fit = fit_fluxes(image, variance, 1.0, psf, x[order], y[order], 1.5 * flux[order])
        assert np.abs((fit.flux - flux[order]) / fit.flux_err).max() < 0.1


def test_own_sums_equal_a_star_alone():
    from photodb.images.psffit import cleaned_sums

    psf = plain_psf()
    x, y, flux = np.array([30.3, 34.1, 60.2]), np.array([30.0, 31.7, 50.4]), np.array([9e4, 5e4, 3e4])
    each = [
        f * psf.stamps([a], [b], np.array([200.0]), NX, NY).values.reshape(NY, NX)
        for f, a, b in zip(flux, x, y)
    ]
    variance = np.full((NY, NX), 25.0, np.float32)
    fit = fit_fluxes(sum(each).astype(np.float32), variance, 1.0, psf, x, y, flux)
    radii = np.array([1.5, 3.0, 6.0])
    mine, others = cleaned_sums(fit, x, y, radii)
    for k, r in enumerate(radii):
        alone = [sep.sum_circle(e, x[i : i + 1], y[i : i + 1], r, subpix=0)[0][0] for i, e in enumerate(each)]
        both = sep.sum_circle(sum(each), x, y, r, subpix=0)[0]
        assert mine[:, k] == pytest.approx(alone, rel=3e-3)
        assert others[:, k] == pytest.approx(both - alone, abs=3e-3 * flux.max())


@pytest.mark.parametrize("seed", range(3))
def test_share_of_a_pixel_in_a_circle_sums_to_its_area(seed):
    rng = np.random.default_rng(seed)
    x0, y0, r = *rng.uniform(-0.5, 0.5, 2), rng.uniform(0.7, 9)
    total = sum(circle_share(x - x0, y - y0, r) for x in range(-11, 12) for y in range(-11, 12))
    assert total == pytest.approx(np.pi * r * r, rel=2e-3)
