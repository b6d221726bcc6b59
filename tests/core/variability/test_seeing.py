"""Light curves that follow the seeing, and variables that do not."""

import numpy as np
import pytest

from photodb.core.variability.seeing import explained_by_seeing

N = 94
RNG = np.random.default_rng(5)
TELESCOPE = np.repeat([3, 7], N // 2)
FWHM = np.exp(RNG.normal(0, 0.1, N)) * np.where(TELESCOPE == 3, 3.0, 4.5)
TIME = np.sort(RNG.uniform(0, 3, N))
SEEING = np.log(FWHM / np.where(TELESCOPE == 3, 3.0, 4.5))


def explained(shape, err=0.01, telescope=TELESCOPE, fwhm=FWHM):
    """Judge one star of this shape among constant ones, shuffled."""
    mags = [RNG.normal(0, err, N), shape + RNG.normal(0, err, N), RNG.normal(0, err, N)]
    star = np.repeat(np.arange(3), N)
    mix = RNG.permutation(3 * N)
    columns = (star, np.tile(telescope, 3), np.tile(fwhm, 3), np.concatenate(mags), np.full(3 * N, err))
    answer = explained_by_seeing(*(c[mix] for c in columns), n_stars=4)
    assert not answer[[0, 2, 3]].any()
    return bool(answer[1])


@pytest.mark.parametrize(
    "shape",
    [
        np.where(TELESCOPE == 3, 0.0, 0.08),  # another band pass
        -0.4 * SEEING,  # a neighbour
        np.where(TELESCOPE == 3, -0.3, -0.9) * SEEING - 2.0 * SEEING**2 + 0.05 * (TELESCOPE == 7),
    ],
    ids=["offset", "slope", "each its own"],
)
def test_blends_and_band_passes_are_explained(shape):
    assert explained(shape)


def test_one_bad_point_does_not_hide_a_blend():
    shape = -0.5 * SEEING
    shape[10] -= 2.0
    assert explained(shape)


@pytest.mark.parametrize(
    "shape",
    [
        0.1 * np.sin(2 * np.pi * TIME / 0.3),
        0.05 * ((TIME % 1.25) < 0.13),
        -0.8 * np.exp(-np.maximum(TIME - 1.4, 0) / 0.1) * (TIME > 1.4),
        0.3 * np.sin(2 * np.pi * TIME / 0.55) - 0.3 * SEEING,
    ],
    ids=["pulsator", "transit", "flare", "variable in a blend"],
)
def test_variables_are_not(shape):
    assert not explained(shape)


def test_unknown_seeing_and_few_points_fit_constants_only():
    assert not explained(-0.5 * SEEING, fwhm=np.full(N, np.nan))
    assert not explained_by_seeing(
        *(np.array([], dtype=t) for t in ("i8", "i8", "f8", "f8", "f8")), n_stars=2
    ).any()
    few = np.arange(6)
    curve = 0.1 * few.astype(float)
    assert not explained_by_seeing(few * 0, few * 0, np.exp(curve), curve, np.full(6, 0.01), 1).any()
