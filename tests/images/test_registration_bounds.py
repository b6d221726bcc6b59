"""Registration and astrometry against truth: drift on simulated frames, and what a catalogue's noise leaves."""

import numpy as np
import pytest

from benchmarks.pixels_score import reduced
from photodb.core.polish import place_errors
from photodb.core.tangent import UNIT, TangentWCS, fit_wcs
from photodb.images.measure import measure
from photodb.images.register import finish, register
from photodb.simulate.pixels import PixelCamera, pixel_frame, pixel_sky, standard_night

CAMERA = PixelCamera(nx=836, ny=632)


def stars(found):
    d = found.detections
    good = (d.kind == 1) & (d.flags & 1 == 0)
    return np.column_stack([d.x[good], d.y[good]]), place_errors(d.x_err[good], d.y_err[good], d.flags[good])


@pytest.mark.parametrize(
    ("seed", "camera", "bound"), [(61, PixelCamera(), 0.02), *((k, CAMERA, 0.02) for k in range(62, 66))]
)
def test_drift_is_known_also_through_cloud(seed, camera, bound):
    """To a fiftieth of a pixel on a full frame, and on a quarter of it with a quarter of the stars."""
    n = round(7500 * camera.nx * camera.ny / (1676 * 1266))
    sky, night = pixel_sky(seed, n, camera), standard_night(seed)
    frames = {k: pixel_frame(sky, night[k], seed) for k in (0, 3, 10)}
    places = {
        k: stars(measure(reduced(f), camera.gain, max_stars=2000, psf="none")) for k, f in frames.items()
    }
    for k in (3, 10):
        rough = register(places[0][0], places[k][0])
        found = finish(rough, places[0][0], places[k][0], places[0][1], places[k][1])
        middle = np.array([[(camera.nx - 1) / 2, (camera.ny - 1) / 2]])
        moved = found(middle)[0] - middle[0]
        expected = np.array(night[k].shift) - np.array(night[0].shift)
        assert np.abs(moved - expected).max() < bound


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("bend", "order"), [(0.0, 1), (3.0, 3)])
def test_a_fit_leaves_less_than_the_catalogues_noise(seed, bend, order):
    """100 stars with 0.1 arcsec of noise; a distortion of 3 px in the corners needs the cubic."""
    rng = np.random.default_rng([seed, 5])
    nx, ny, scale = 1676, 1266, 1.7
    plain = TangentWCS.approximate(83.0, -5.0, (nx - 1) / 2, (ny - 1) / 2, scale, 11.0)
    corner = np.hypot(nx, ny) / 2 / UNIT
    cubic = scale / 3600 * bend / corner**3  # radial: r^3
    xi, eta = np.zeros(10), np.zeros(10)
    xi[:3], eta[:3] = plain.xi, plain.eta
    xi[[6, 8]], eta[[7, 9]] = cubic, cubic
    truth = TangentWCS(plain.ra0, plain.dec0, plain.x0, plain.y0, tuple(xi), tuple(eta))
    x, y = rng.uniform(0, nx, 100), rng.uniform(0, ny, 100)
    ra, dec = truth.to_sky(x, y)
    noise = rng.normal(0, 0.1 / 3600, (2, 100))
    ra, dec = ra + noise[0] / np.cos(np.radians(dec)), dec + noise[1]
    made = fit_wcs(x, y, ra, dec, truth.ra0, truth.dec0, truth.x0, truth.y0, order)
    grid = np.meshgrid(np.linspace(0, nx - 1, 30), np.linspace(0, ny - 1, 25))
    off = 3600 * np.hypot(*(a - b for a, b in zip(made.to_plane(*grid), truth.to_plane(*grid))))
    assert np.median(off) < (0.06 if order == 1 else 0.1)
    assert off.max() < (0.15 if order == 1 else 0.4)
    if order == 3:
        linear = fit_wcs(x, y, ra, dec, truth.ra0, truth.dec0, truth.x0, truth.y0, 1)
        assert (
            3600 * np.hypot(*(a - b for a, b in zip(linear.to_plane(*grid), truth.to_plane(*grid)))).max()
            > 0.5
        )
