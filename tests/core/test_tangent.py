"""The tangent-plane WCS against astropy's and its own inverse."""

import numpy as np
import pytest
from astropy.wcs import WCS

from photodb.core.tangent import TangentWCS, fit_wcs, n_terms


def astropy_wcs(ra, dec, scale_arcsec, rotation_deg):
    world = WCS(naxis=2)
    world.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    world.wcs.crval = [ra, dec]
    world.wcs.crpix = [326, 251]
    c, s = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
    world.wcs.cd = np.array([[-c, s], [s, c]]) * scale_arcsec / 3600
    return world


@pytest.mark.parametrize(("ra", "dec"), [(31.0, 46.7), (0.01, -0.02), (359.99, 89.2), (120.0, -89.5)])
@pytest.mark.parametrize("rotation", [0.0, 37.0, 180.0])
def test_agrees_with_astropy(ra, dec, rotation):
    world = astropy_wcs(ra, dec, 5.16, rotation)
    made = TangentWCS.approximate(ra, dec, 325, 250, 5.16, rotation)
    x, y = np.random.default_rng(1).uniform(0, 600, (2, 50))
    theirs = world.all_pix2world(np.column_stack([x, y]), 0)
    ours = np.column_stack(made.to_sky(x, y))
    off = (ours - theirs + 180) % 360 - 180
    assert np.abs(off * 3600 * np.array([np.cos(np.radians(dec)), 1])).max() < 1e-5
    assert made.scale_arcsec == pytest.approx(5.16)
    assert (made.rotation_deg - rotation + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert not made.mirrored
    back = made.to_pixel(*made.to_sky(x, y))
    assert np.abs(np.array(back) - [x, y]).max() < 1e-7


def test_a_cubic_is_recovered_and_inverted():
    rng = np.random.default_rng(2)
    plain = TangentWCS.approximate(200.0, -30.0, 1000, 1000, 0.5, 12.0)
    xi = (*plain.xi, *(rng.normal(0, 2e-6, n_terms(3) - 3)))
    eta = (*plain.eta, *(rng.normal(0, 2e-6, n_terms(3) - 3)))
    truth = TangentWCS(200.0, -30.0, 1000.0, 1000.0, xi, eta)
    x, y = rng.uniform(0, 2000, (2, 300))
    made = fit_wcs(x, y, *truth.to_sky(x, y), 200.0, -30.0, 1000, 1000, 3)
    assert np.allclose(made.xi, xi, atol=1e-12) and np.allclose(made.eta, eta, atol=1e-12)
    assert made.order == 3
    assert np.abs(np.array(made.to_pixel(*made.to_sky(x, y))) - [x, y]).max() < 1e-6
    assert TangentWCS.from_dict(made.to_dict()) == made


def test_too_few_stars_are_refused():
    with pytest.raises(ValueError, match="2 stars cannot fix 3 terms"):
        fit_wcs([1, 2], [1, 2], [10, 10.1], [5, 5.1], 10, 5, 0, 0)
