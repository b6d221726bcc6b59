"""HEALPix keys, cones and the tangent plane against brute force."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core import sky

positions = st.tuples(st.floats(0, 359.999999), st.floats(-90, 90))


@settings(max_examples=300, deadline=None)
@given(positions, st.floats(-4, 0.8), st.integers(0, 2**31))
def test_every_position_in_a_cone_lies_in_its_ranges(centre, log_radius, seed):
    radius = 10**log_radius
    rng = np.random.default_rng(seed)
    xi, eta = rng.normal(size=(2, 200)) * radius
    ra, dec = sky.deproject(xi, eta, *centre)
    inside = sky.separation_deg(*centre, ra, dec) <= radius
    lo, hi = sky.cone_ranges(*centre, radius)
    key = sky.healpix29(ra, dec)
    slot = np.searchsorted(lo, key, side="right") - 1
    covered = (slot >= 0) & (key < hi[np.maximum(slot, 0)])
    assert covered[inside].all()
    assert (np.diff(lo) > 0).all() and (lo[1:] > hi[:-1]).all()


@settings(max_examples=200, deadline=None)
@given(positions, st.floats(-3, 3), st.floats(-3, 3))
def test_projection_and_its_inverse(centre, xi, eta):
    ra, dec = sky.deproject(xi, eta, *centre)
    back = sky.project(ra, dec, *centre)
    assert abs(back[0] - xi) < 1e-9 and abs(back[1] - eta) < 1e-9


def test_separation_of_tiny_and_opposite_angles():
    assert abs(float(sky.separation_deg(10, 60, 10 + 1e-7, 60)) * 3.6e6 - 0.18) < 1e-6
    assert abs(float(sky.separation_deg(0, 90, 123, -90)) - 180) < 1e-9
    assert float(sky.separation_deg(359.9999, 0, 0.0001, 0)) < 0.000201


def test_cells_hold_their_keys_and_unknown_stays_unknown():
    key = sky.healpix29([10.0, np.nan], [20.0, 5.0])
    cells = sky.cell_of(key, 5)
    assert cells[1] == key[1] == -1
    assert cells[0] == key[0] >> 48
    assert cells[0] in sky.cone_cells(10.0, 20.0, 0.01, 5)


def test_right_ascensions_wrap_below_360():
    assert (sky.wrap([-1e-15, 360.0, -1.0, 725.0]) == [0.0, 0.0, 359.0, 5.0]).all()
