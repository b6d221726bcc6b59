"""Maps fitted to all stars with weights: truth within the errors, bends found where optics bend and nowhere else."""

import numpy as np
import pytest

from photodb.core.flags import Flag
from photodb.core.match import Affine, Registration, refine
from photodb.core.polish import floor_of, place_errors, polish

NX, NY = 1676, 1266
CENTRE = np.array([(NX - 1) / 2, (NY - 1) / 2])
SHIFT = np.array([4.0, -3.0])
CORNERS = np.array([[0.0, 0.0], [NX, 0], [0, NY], [NX, NY]])


def bent(points, px, axis):
    """Move points by a radial distortion of `px` in the corners, around an axis that is not the centre."""
    r = (points - axis) / np.hypot(*CENTRE)
    return points + px * r * (r**2).sum(axis=1, keepdims=True)


def two_views(seed, angle=180.0, distortion=0.0, n=900, wrong=0.1):
    """Return stars (n, 2) of two frames turned by an angle, their errors, and the true map."""
    rng = np.random.default_rng([seed, 9])
    axis = CENTRE + np.array([120.0, -90.0])
    turn = np.radians(angle)
    m = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ideal = rng.uniform(0, 1, (n, 2)) * [NX, NY]

    def truth(first_ideal):
        return (first_ideal - CENTRE) @ m.T + CENTRE + SHIFT

    error = rng.choice([0.01, 0.03, 0.1, 0.2], n, p=[0.05, 0.15, 0.3, 0.5])
    p = bent(ideal, distortion, axis) + rng.normal(0, 1, (n, 2)) * error[:, None]
    q = bent(truth(ideal), distortion, axis) + rng.normal(0, 1, (n, 2)) * error[:, None]
    false = rng.random(n) < wrong
    q[false] = rng.uniform(0, 1, (false.sum(), 2)) * [NX, NY]
    blend = rng.random(n) < 0.2  # moved by up to a pixel, and flagged
    q[blend] += rng.uniform(-0.7, 0.7, (blend.sum(), 2))
    errors = np.where(blend, np.nan, error)
    order = np.argsort(error, kind="stable")
    return p[order], q[order], errors[order], Affine(m, CENTRE + SHIFT - m @ CENTRE), axis


@pytest.mark.parametrize("seed", range(5))
def test_weights_give_what_the_stars_can(seed):
    p, q, error, truth, _ = two_views(seed, angle=0.6)
    rough = refine(p[:400], q[:400], truth, 6.0, final_radius=1.5)
    fine = polish(rough, p, q, error, error, 1.5)
    assert fine.curve is None and fine.n_used > 500
    off = np.hypot(*(fine(CORNERS) - truth(CORNERS)).T).max()
    assert off < 0.02 and off < np.hypot(*(rough(CORNERS) - truth(CORNERS)).T).max()
    assert fine.rms < 0.5 * rough.rms


@pytest.mark.parametrize("seed", range(5))
def test_distorted_optics_turned_are_followed_into_the_corners(seed):
    p, q, error, truth, axis = two_views(seed, distortion=3.0)
    rough = refine(p[:400], q[:400], truth, 6.0, final_radius=1.5)
    fine = polish(rough, p, q, error, error, 1.5)
    ideal = np.stack(np.meshgrid(np.linspace(0, NX, 9), np.linspace(0, NY, 7)), -1).reshape(-1, 2)
    first, second = bent(ideal, 3.0, axis), bent(truth(ideal), 3.0, axis)
    assert fine.curve is not None and fine.curve.order in (2, 3)
    off = np.hypot(*(fine(first) - second).T)
    assert np.median(off) < 0.03 and off.max() < 0.15
    assert np.hypot(*(rough(first) - second).T).max() > 0.5
    assert np.hypot(*(fine.inverse(second) - first).T).max() < 0.15


def test_no_bend_without_need():
    n_bent = 0
    for seed in range(40):
        p, q, error, truth, _ = two_views(1000 + seed, n=250)
        rough = refine(p, q, truth, 6.0, final_radius=1.5)
        n_bent += polish(rough, p, q, error, error, 1.5).curve is not None
    assert n_bent == 0


def test_few_stars_or_no_errors_are_left_as_they_are():
    p, q, error, truth, _ = two_views(3, n=6)
    rough = refine(p, q, truth, 6.0, final_radius=1.5)
    assert polish(rough, p, q, error, error, 1.5) is rough
    p, q, error, truth, _ = two_views(4)
    rough = refine(p[:400], q[:400], truth, 6.0, final_radius=1.5)
    unknown = np.full(len(p), np.nan)
    fine = polish(rough, p, q, unknown, unknown, 1.5)
    assert fine.n_used > 500 and np.hypot(*(fine(CORNERS) - truth(CORNERS)).T).max() < 0.1


def test_the_floor_explains_the_residuals():
    rng = np.random.default_rng(5)
    error = np.where(rng.random(20_000) < 0.1, np.nan, 0.03)
    r2 = (rng.normal(0, 0.05, (20_000, 2)) ** 2).sum(axis=1)
    assert floor_of(r2, error) == pytest.approx(0.04, rel=0.05)
    assert floor_of(r2 * 0.01, error) < 0.005


def test_places_that_move_are_not_trusted():
    flags = np.array([0, Flag.BLEND, Flag.SATURATED, Flag.UNCALIBRATED | Flag.UNMATCHED, 0])
    error = place_errors(np.full(5, 0.03), np.array([0.04, 0.04, 0.04, 0.04, np.nan]), flags)
    assert list(np.isfinite(error)) == [True, False, False, True, False]
    assert error[0] == pytest.approx(0.05 / np.sqrt(2))


def test_the_error_of_a_map_grows_where_it_is_extrapolated():
    rng = np.random.default_rng(6)
    p = rng.uniform(0, 300, (200, 2))
    rows, used = np.arange(200), np.ones(200, bool)
    found = Registration(Affine(np.eye(2), np.zeros(2)), rows, rows, used, 0.1)
    inside, outside = (found.error(p, np.array([[v, v]])) for v in (150.0, 1500.0))
    assert inside == pytest.approx(0.1 / np.sqrt(2 * 200), rel=0.2) and outside > 5 * inside
    offs = [_refitted(rng, p)(np.array([[1500.0, 1500.0]]))[0] - 1500 for _ in range(300)]
    assert np.std(offs) == pytest.approx(outside, rel=0.2)
    assert found.error(p[:, [0, 0]], p) == np.inf


def _refitted(rng, p):
    from photodb.core.match import fit_affine

    return fit_affine(p, p + rng.normal(0, 0.1 / np.sqrt(2), p.shape))
