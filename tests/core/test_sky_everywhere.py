"""Poles and right ascension zero: ten thousand places, round trips and fits, with nothing special about any of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core import sky
from photodb.core.tangent import TangentWCS, fit_wcs, n_terms

HARD_DEC = (90.0, -90.0, 89.9, -89.99, 89.999999, 0.0, -1e-12)
HARD_RA = (0.0, 360.0, 359.9999999, 1e-12, 180.0, 90.0)
ra_values = st.one_of(st.sampled_from(HARD_RA), st.floats(0, 360))
dec_values = st.one_of(st.sampled_from(HARD_DEC), st.floats(-90, 90))


def centres(n, seed):
    """Return places all over the sky, half of them within arcseconds to degrees of a pole or of right ascension 0."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    near = 10 ** rng.uniform(-6, 0.5, n)
    kind = rng.integers(0, 6, n)
    dec = np.where(kind == 0, 90 - near, np.where(kind == 1, near - 90, dec))
    ra = np.where(kind == 2, near * rng.choice([-1, 1], n) % 360, ra)
    for k, value in enumerate(HARD_DEC):
        dec[k::997] = value
    return ra, dec


def test_project_and_deproject_ten_thousand_times():
    """A hundred points around each of 10,000 centres, within 1.5 deg: back to a hundred-millionth of a degree."""
    ra0, dec0 = centres(10_000, 1)
    rng = np.random.default_rng(2)
    xi, eta = rng.uniform(-1.5, 1.5, (2, 100, 10_000))
    ra, dec = sky.deproject(xi, eta, ra0, dec0)
    assert ((ra >= 0) & (ra < 360) & (np.abs(dec) <= 90)).all()
    back = sky.project(ra, dec, ra0, dec0)
    assert max(np.abs(back[0] - xi).max(), np.abs(back[1] - eta).max()) < 1e-8
    length = np.degrees(np.arctan(np.radians(np.hypot(xi, eta))))
    assert np.abs(sky.separation_deg(ra, dec, ra0, dec0) - length).max() < 1e-9


def test_pixels_to_the_sky_and_back_ten_thousand_times():
    """Every scale from 0.1 to 10 arcsec/px, rotation and parity; linear, and with two pixels of distortion."""
    rng = np.random.default_rng(3)
    places = list(zip(*centres(10_000, 4)))
    x, y = rng.uniform(0, 2000, (2, 8))
    for k, (ra0, dec0) in enumerate(places):
        scale, turn = 10 ** rng.uniform(-1, 1), rng.uniform(0, 360)
        w = TangentWCS.approximate(ra0, dec0, 999.5, 999.5, scale, turn)
        xi, eta = w.xi, w.eta
        if k % 2:
            xi = tuple(-v for v in xi)
        if k % 5 == 0:
            bend = rng.normal(0, 0.3 * scale / 3600, (2, n_terms(3) - 3))
            xi, eta = (*xi, *bend[0]), (*eta, *bend[1])
        w = TangentWCS(ra0, dec0, 999.5, 999.5, xi, eta)
        back = np.stack(w.to_pixel(*w.to_sky(x, y)))
        assert np.abs(back - [x, y]).max() < 1e-4, (ra0, dec0, scale)


@settings(max_examples=300, deadline=None)
@given(ra_values, dec_values, st.floats(-1, 1), st.floats(0, 360), st.booleans(), st.integers(0, 2**31))
def test_a_fit_finds_the_wcs_wherever_it_is(ra0, dec0, log_scale, turn, mirrored, seed):
    """From the exact places of 20 stars, from a tangent point half a frame off: the same sky to a ten-thousandth px."""
    rng = np.random.default_rng(seed)
    scale = 10**log_scale
    w = TangentWCS.approximate(ra0, dec0, 500.0, 500.0, scale, turn)
    if mirrored:
        w = TangentWCS(ra0, dec0, 500.0, 500.0, tuple(-v for v in w.xi), w.eta)
    x, y = rng.uniform(0, 1000, (2, 20))
    ra, dec = w.to_sky(x, y)
    made = fit_wcs(x, y, ra, dec, *(float(v) for v in w.to_sky(500.0, 500.0)), 500.0, 500.0)
    off = sky.separation_deg(*made.to_sky(x, y), ra, dec) * 3600
    assert off.max() < 1e-4 * scale
    assert made.scale_arcsec == pytest.approx(scale, rel=1e-6) and made.mirrored == mirrored


@settings(max_examples=300, deadline=None)
@given(ra_values, dec_values, st.floats(-4, 0.8), st.integers(0, 2**31))
def test_a_cone_holds_its_stars_wherever_it_is(ra0, dec0, log_radius, seed):
    radius = 10**log_radius
    rng = np.random.default_rng(seed)
    length, angle = radius * np.sqrt(rng.random(60)), rng.uniform(0, 2 * np.pi, 60)
    ra, dec = sky.deproject(length * np.cos(angle), length * np.sin(angle), ra0, dec0)
    inside = sky.separation_deg(ra0, dec0, ra, dec) <= radius
    lo, hi = sky.cone_ranges(ra0, dec0, radius)
    key = sky.healpix29(ra, dec)
    slot = np.searchsorted(lo, key, side="right") - 1
    assert ((slot >= 0) & (key < hi[np.maximum(slot, 0)]))[inside].all()
