"""Where a position falls on many frames at once: the twin one by one, and what the circles before it may lose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core import sky
from photodb.core.footprints import MARGIN, border_px, pixels_of
from photodb.core.tangent import TangentWCS

NX, NY = 500, 400


def random_wcs(rng, ra, dec, scale, order=3):
    """A frame turned and distorted by up to some pixels at its corners, mirrored or not."""
    turn = np.radians(rng.uniform(0, 360))
    s, c = scale / 3.6 * np.sin(turn), scale / 3.6 * np.cos(turn)
    mirror = rng.choice([-1.0, 1.0])
    bend = scale / 3.6 * rng.normal(0, 0.02, (2, 7)) * (order == 3)
    xi = (0.0, -c * mirror, s, *bend[0])
    eta = (0.0, s * mirror, c, *bend[1])
    keep = 10 if order == 3 else 3
    return TangentWCS(ra, dec, (NX - 1) / 2, (NY - 1) / 2, xi[:keep], eta[:keep])


def circle(wcs):
    """The centre and the radius that ingest stores: to the farthest corner pixel's centre."""
    x, y = NX - 1, NY - 1
    ra, dec = wcs.to_sky([x / 2, 0, x, x, 0], [y / 2, 0, 0, y, y])
    return ra[0], dec[0], sky.separation_deg(ra[0], dec[0], ra[1:], dec[1:]).max()


def test_all_frames_at_once_are_as_each_by_itself():
    rng = np.random.default_rng(5)
    frames = [
        random_wcs(rng, rng.uniform(0, 0.3), rng.uniform(-0.3, 0.3), 2.0, order) for order in (1, 3) * 150
    ]
    x, y = pixels_of(0.1, -0.05, [w.to_dict() for w in frames])
    one = np.array([w.to_pixel(0.1, -0.05) for w in frames])
    assert np.isfinite(x).all()
    np.testing.assert_allclose(np.stack([x, y], 1), one, atol=1e-6)


def test_the_far_hemisphere_and_no_frames_give_nothing():
    wcs = TangentWCS.approximate(10.0, 20.0, 250.0, 200.0, 2.0).to_dict()
    x, y = pixels_of(190.0, -20.0, [wcs, wcs])
    assert np.isnan(x).all() and np.isnan(y).all()
    assert pixels_of(1.0, 2.0, [])[0].shape == (0,)


def test_a_polynomial_that_does_not_hold_so_far_out_gives_no_place():
    bent = TangentWCS(
        0.0, 0.0, 250.0, 200.0, (0, 0.5, 0, 0, 0, 0, -0.4, 0, 0, 0), (0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0)
    )
    x, _ = pixels_of(0.9, 0.0, [bent.to_dict()])
    assert np.isnan(x[0])


def test_the_border_is_that_of_the_pixels():
    x, y = np.array([-0.5, 249.5, 499.5, 502.5, -3.5]), np.array([200.0, 199.5, 200.0, 403.5, 10.0])
    np.testing.assert_allclose(border_px(x, y, NX, NY), [0.0, 200.0, 0.0, -5.0, -3.0])
    assert np.isnan(border_px(np.array([np.nan]), np.array([1.0]), NX, NY)[0])


SPOTS = [(0.0, 90.0), (0.0, -90.0), (0.0, 0.0), (359.99, 45.0), (180.0, 89.9), (77.0, -89.99), (0.01, -30.0)]


def test_no_frame_that_holds_a_position_is_lost_by_its_circle_or_its_cells():
    """10,000 places on frames at the poles, at 0 h and elsewhere: each is within the circle and its HEALPix ranges."""
    rng = np.random.default_rng(11)
    n_frames, n_places = 500, 20
    for number in range(n_frames):
        ra, dec = SPOTS[number % len(SPOTS)] if number % 3 else (rng.uniform(0, 360), rng.uniform(-90, 90))
        ra, dec = (ra + rng.normal(0, 0.2)) % 360, float(np.clip(dec + rng.normal(0, 0.2), -90, 90))
        wcs = random_wcs(rng, ra, dec, rng.choice([0.5, 2.0, 20.0]))
        ra0, dec0, radius = circle(wcs)
        x, y = rng.uniform(-0.5, NX - 0.5, n_places), rng.uniform(-0.5, NY - 0.5, n_places)
        x[:4], y[:4] = [-0.5, NX - 0.5, NX - 0.5, -0.5], [-0.5, -0.5, NY - 0.5, NY - 0.5]
        places = np.stack(wcs.to_sky(x, y), 1)
        assert (sky.separation_deg(ra0, dec0, *places.T) <= MARGIN * radius).all()
        key = sky.healpix29([ra0], [dec0])[0]
        for a, d in places:
            lo, hi = sky.cone_ranges(a, d, MARGIN * radius)
            assert ((lo <= key) & (key < hi)).any()
        back = pixels_of(*places[number % n_places], [wcs.to_dict()])
        there = x[number % n_places], y[number % n_places]
        assert (back[0][0], back[1][0]) == pytest.approx(there, abs=1e-4)


@settings(max_examples=200, deadline=None)
@given(
    spot=st.sampled_from(SPOTS),
    turn=st.floats(0, 360),
    x=st.floats(-0.5, NX - 0.5),
    y=st.floats(-0.5, NY - 0.5),
)
def test_there_and_back_wherever_the_frame_is(spot, turn, x, y):
    wcs = TangentWCS.approximate(*spot, (NX - 1) / 2, (NY - 1) / 2, 5.0, turn)
    ra, dec = wcs.to_sky(x, y)
    there = pixels_of(float(ra), float(dec), [wcs.to_dict()])
    assert np.hypot(there[0][0] - x, there[1][0] - y) < 1e-6
