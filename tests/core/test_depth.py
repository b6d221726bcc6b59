"""Outlines added up on a grid, against a point-in-polygon twin and closed forms."""

import numpy as np
import pytest
from matplotlib.path import Path

from photodb.core.depth import add_up, areas_of_sky, grid_of, stacked_limit


def outlines(rng, n):
    turn = rng.uniform(0, 2 * np.pi, n)[:, None] + np.arange(4) * np.pi / 2
    size = rng.uniform(0.1, 0.5, n)[:, None]
    middle = rng.uniform(-1, 1, (2, n, 1))
    return np.stack([middle[0] + size * np.cos(turn), middle[1] + size * np.sin(turn)], axis=-1)


def test_the_sum_is_that_of_a_twin_that_asks_for_every_cell():
    rng = np.random.default_rng(3)
    corners, weight = outlines(rng, 60), rng.uniform(0.1, 5, 60)
    x, y = grid_of(corners, 83)
    middle = np.stack(np.meshgrid((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2), axis=-1).reshape(-1, 2)
    expected = sum(w * Path(c).contains_points(middle) for c, w in zip(corners, weight, strict=True))
    np.testing.assert_allclose(add_up(corners, weight, x, y).ravel(), expected, atol=1e-9)


def test_either_sense_and_upright_squares():
    square = np.array([[[0, 0], [0, 1], [1, 1], [1, 0]]], float)
    x, y = np.linspace(-1, 2, 31), np.linspace(-1, 2, 31)
    for corners in (square, square[:, ::-1]):
        assert add_up(corners, np.ones(1), x, y).sum() == pytest.approx(100)


def test_four_equal_frames_go_three_quarters_of_a_magnitude_deeper():
    square = np.repeat(np.array([[[0, 0], [0, 1], [1, 1], [1, 0]]], float), 5, axis=0)
    limit = np.array([20.0, 20.0, 20.0, 20.0, np.nan])
    depth = stacked_limit(square, limit, np.linspace(-1, 2, 31), np.linspace(-1, 2, 31))
    assert depth[15, 15] == pytest.approx(20 + 1.25 * np.log10(4))
    assert np.isnan(depth[0, 0]) and np.isfinite(depth).sum() == 100
    assert np.isnan(stacked_limit(square[:1], limit[4:], np.arange(3.0), np.arange(3.0))).all()


def test_pieces_of_sky_hang_together_by_touching_circles_over_0_h_and_the_pole():
    ra = np.array([359.9, 0.1, 0.3, 40.0, 200.0, 20.0, 200.0, 40.05])
    dec = np.array([5.0, 5.0, 5.0, -20.0, 89.9, 89.9, 89.9, -20.0])
    area = areas_of_sky(ra, dec, np.full(8, 0.12))
    assert area[:3].tolist() == [area[0]] * 3 and area[4] == area[5] == area[6] and area[3] == area[7]
    assert sorted(set(area.tolist())) == [0, 1, 2] and area[3] == 2
    assert areas_of_sky(ra[:1], dec[:1], np.array([0.1])).tolist() == [0]
