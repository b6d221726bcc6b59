"""Rendered frames: determinism, photon statistics, saturation, aperture losses."""

from dataclasses import replace

import numpy as np
import pytest
import sep

from photodb.simulate import Weather, plan
from photodb.simulate.frames import add_noise, expected, hot_pixels, positions, render, true_flux
from photodb.simulate.telescopes import ALDER, BIRCH, encircled_energy, psf_shape, scaled

CLEAN = Weather(satellites=0, cosmic_rays=0.0, tree=False)


@pytest.fixture(scope="module")
def survey():
    return plan(n_frames=12, n_stars=400, seed=4, weather=CLEAN)


def test_a_frame_depends_on_seed_and_exposure_alone(survey):
    exposure = survey.exposures[7]
    telescope = survey.telescopes[exposure.telescope]
    first = render(telescope, exposure, survey.sky, 4)
    render(telescope, survey.exposures[6], survey.sky, 4)
    np.testing.assert_array_equal(first, render(telescope, exposure, survey.sky, 4))
    assert (first != render(telescope, exposure, survey.sky, 5)).mean() > 0.5


def test_noise_is_poisson_with_read_noise():
    rng = np.random.default_rng(1)
    for level in (0.0, 5.0, 40.0, 200.0, 20_000.0):
        image = np.full((400, 400), level, np.float32)
        add_noise(image, 6.0, rng)
        assert image.mean() == pytest.approx(level, abs=5 * np.sqrt((level + 36) / image.size))
        assert image.astype(float).var() == pytest.approx(level + 36.0, rel=5 * np.sqrt(2 / image.size))


def test_stars_carry_their_flux(survey):
    exposure = survey.exposures[0]
    x, y = positions(ALDER, exposure, survey.sky)
    star = np.argmin(np.hypot(x - 400, y - 300))
    telescope = ALDER
    alone = replace(survey.sky, mag=np.full((len(survey.sky), 2), 40.0))
    alone.mag[star] = 13.0
    x, y = positions(telescope, exposure, alone)
    image = expected(telescope, exposure, alone) - expected(
        telescope, exposure, replace(alone, mag=alone.mag + 40)
    )
    flux = true_flux(telescope, exposure, alone, x, y)[star]
    assert image.sum() == pytest.approx(flux, rel=2e-4)


@pytest.mark.parametrize("index", [0, 2], ids=["Alder", "Birch"])
def test_apertures_pull_around_the_truth(survey, index):
    """Aperture fluxes over truth times encircled energy: pulls of mean 0 and scatter 1."""
    exposure = survey.exposures[index]
    telescope = survey.telescopes[exposure.telescope]
    x, y, flux = _isolated(survey, telescope, exposure)
    radius = 5.0
    share = encircled_energy(radius, *psf_shape(telescope, exposure.fwhm, x, y))
    pulls = []
    for seed in range(3):
        image = (render(telescope, exposure, survey.sky, seed, 0.0) - telescope.pedestal) * telescope.gain
        sky = expected(telescope, exposure, replace(survey.sky, mag=survey.sky.mag + 40))
        measured, _, _ = sep.sum_circle(np.ascontiguousarray(image - sky, np.float32), x, y, radius, subpix=0)
        area = np.pi * radius**2
        noise = area * (exposure.sky + telescope.read_noise**2 + telescope.gain**2 / 12)
        variance = flux * share + noise + (flux * share * telescope.noise_floor * np.log(10) / 2.5) ** 2
        pulls.append((measured - flux * share) / np.sqrt(variance))
    pulls = np.concatenate(pulls)
    assert len(pulls) > 120
    assert abs(np.mean(pulls)) < 5 / np.sqrt(len(pulls))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.17)


def _isolated(survey, telescope, exposure):
    """Return x, y and flux of unsaturated stars that no neighbour and no hot pixel disturbs."""
    x, y = positions(telescope, exposure, survey.sky)
    flux = true_flux(telescope, exposure, survey.sky, x, y)
    columns, rows, _ = hot_pixels(telescope)
    clear = (np.hypot(x[:, None] - columns, y[:, None] - rows) > 8).all(axis=1)
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    leak = (flux[None, :] / flux[:, None] * np.clip(distance / 4, 1, None) ** -6).sum(axis=1) < 2e-4
    far = (np.abs(x - telescope.nx / 2) < telescope.nx / 2 - 10) & (
        np.abs(y - telescope.ny / 2) < telescope.ny / 2 - 10
    )
    keep = clear & leak & far & (flux < 3e5)
    return x[keep], y[keep], flux[keep]


def test_encircled_energy_against_a_fine_grid():
    """The closed form over a profile summed on pixels, averaged over places within the pixel."""
    fwhm, radius = 2.6, 4.0
    alpha, e1, e2 = psf_shape(BIRCH, fwhm, np.array([40.0]), np.array([500.0]))
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:41, :41]
    shares = []
    for dx, dy in rng.uniform(-0.5, 0.5, (60, 2)):
        x, y = xx - 20 - dx, yy - 20 - dy
        q = ((1 - e1) * x**2 + (1 + e1) * y**2 - 2 * e2 * x * y) / np.sqrt(1 - e1**2 - e2**2)
        image = 2 / (np.pi * alpha**2) * (1 + q / alpha**2) ** -3
        shares.append(sep.sum_circle(image, [20 + dx], [20 + dy], radius, subpix=0)[0][0])
    assert encircled_energy(radius, alpha, e1, e2)[0] == pytest.approx(np.mean(shares), abs=2e-4)
    assert encircled_energy(np.inf, alpha, e1, e2)[0] == 1.0


def test_bright_stars_saturate_and_the_frame_is_16_bit(survey):
    for index, clip in ((0, 65535), (2, 62000)):
        exposure = survey.exposures[index]
        frame = render(survey.telescopes[exposure.telescope], exposure, survey.sky, 4)
        assert frame.dtype == np.uint16
        assert frame.max() == clip
        assert 2 <= (frame == clip).sum() < 400


def test_the_tree_darkens_one_side_and_brightens_the_sky():
    survey = plan(n_frames=48, n_stars=100, seed=2)
    behind = [e for e in survey.exposures if e.tree]
    assert {(e.telescope, e.night) for e in behind} == {(0, 1)}
    exposure = behind[-1]
    x, y = positions(ALDER, exposure, survey.sky)
    lost = true_flux(ALDER, exposure, survey.sky, x, y) / true_flux(
        ALDER, replace(exposure, tree=0.0), survey.sky, x, y
    )
    low = scaled(ALDER, x, y)[1] < -0.5
    assert np.median(lost[low]) < 0.3
    image, clear = (expected(ALDER, replace(exposure, tree=t), survey.sky) for t in (exposure.tree, 0.0))
    assert np.median(image) > 1.2 * np.median(clear)


def test_satellite_and_cosmic_rays_appear():
    survey = plan(n_frames=48, n_stars=100, seed=2)
    trailed = [e for e in survey.exposures if e.satellite]
    assert len(trailed) == 1
    exposure = trailed[0]
    trail = expected(ALDER, exposure, survey.sky) - expected(
        ALDER, replace(exposure, satellite=False), survey.sky
    )
    assert (trail > 100).any(axis=0).mean() > 0.8  # crosses the frame
    quiet, hit = (render(ALDER, exposure, survey.sky, 2, n).astype(int) for n in (0.0, 30.0))
    assert 30 < (hit - quiet > 200).sum() < 300
