"""Maps between star lists: every kind of change is found, an unrelated field never."""

import numpy as np
import pytest

from photodb.core.match import chance_inliers, fit_affine, fit_similarity, mutual_nearest
from photodb.core.patterns import find_map, vote_shift

NX, NY = 650, 500


class Field:
    """An invented field, seen again and again with missing and false stars."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.stars = self.rng.uniform(-1500, 1500, (3600, 2))
        self.flux = self.rng.pareto(1.0, 3600) + 0.1

    def view(
        self, rotation=0.0, scale=1.0, mirror=False, offset=(0.0, 0.0), false=0.3, missing=0.2, noise=0.05
    ):
        z = (self.stars - offset) @ np.array([1, 1j])
        z = (z.conj() if mirror else z) * scale * np.exp(1j * np.radians(rotation))
        p = (
            np.column_stack([z.real, z.imag])
            + np.array([NX / 2, NY / 2])
            + self.rng.normal(0, noise, (len(z), 2))
        )
        seen = (p > 0).all(axis=1) & (p[:, 0] < NX) & (p[:, 1] < NY) & (self.rng.random(len(p)) > missing)
        p, f = p[seen], self.flux[seen] * self.rng.lognormal(0, 0.1, seen.sum())
        n = int(false * len(p))
        p = np.vstack([p, self.rng.uniform(0, 1, (n, 2)) * [NX, NY]])
        f = np.concatenate([f, self.rng.choice(f, n)])
        return p[np.argsort(-f)][:150]


CHANGES = {
    "drift": {"rotation": 0.6, "offset": (200.0, 50.0)},
    "flip": {"rotation": 180.0, "offset": (5.0, 5.0)},
    "mirror": {"rotation": 20.0, "mirror": True},
    "half a field": {"offset": (325.0, 0.0)},
    "rotation and scale": {"rotation": 37.0, "scale": 0.7, "offset": (10.0, 0.0)},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(10))
def test_found_with_false_and_missing_stars(change, seed):
    field = Field(seed)
    values = CHANGES[change]
    first, second = field.view(), field.view(**values)
    found = find_map(first, second, radius=1.0)
    assert found is not None
    wanted = (-1 if values.get("mirror") else 1) * values.get("scale", 1.0)
    assert found.transform.scale == pytest.approx(wanted, abs=0.003)
    assert found.rms < 0.15
    assert (found.transform.rotation_deg - values.get("rotation", 0) + 180) % 360 - 180 == pytest.approx(
        0, abs=0.1
    )


@pytest.mark.parametrize("seed", range(20))
def test_unrelated_fields_are_refused(seed):
    assert find_map(Field(seed).view(), Field(1000 + seed).view(), radius=1.0) is None


def test_a_shift_is_voted_for_and_noise_is_not():
    rng = np.random.default_rng(3)
    p = rng.uniform(0, 600, (100, 2))
    voted = vote_shift(
        p, np.vstack([p[:60] + np.array([-80.0, 33.0]), rng.uniform(0, 600, (40, 2))]), reach=200, bin_size=3
    )
    assert voted is not None and np.hypot(*(voted.offset - [-80, 33])) < 1.0
    assert vote_shift(p, rng.uniform(0, 600, (100, 2)), reach=200, bin_size=3) is None


def test_fits_reproduce_exact_maps():
    rng = np.random.default_rng(4)
    p = rng.uniform(0, 100, (20, 2))
    matrix = np.array([[0.9, -0.3], [0.25, 1.1]])
    fit = fit_affine(p, p @ matrix.T + [3, -4])
    assert np.allclose(fit.matrix, matrix) and np.allclose(fit.offset, [3, -4])
    assert np.allclose(fit.inverse()(fit(p)), p)
    for mirrored in (False, True):
        turned = fit_similarity(
            p, (p * [1, -1] if mirrored else p) @ np.array([[0, -2.0], [2.0, 0]]).T + 5, mirrored
        )
        assert turned.scale == pytest.approx(-2 if mirrored else 2)


def test_mutual_nearest_is_one_to_one():
    a = np.array([[0.0, 0], [0.2, 0], [5, 5], [np.nan, 1]])
    b = np.array([[0.05, 0], [5.1, 5], [50, 50]])
    i, j = mutual_nearest(a, b, 1.0)
    assert list(i) == [0, 2] and list(j) == [0, 1]


def test_chance_grows_with_crowding():
    assert chance_inliers(100, 100, 325_000, 1.0, 20) < 1e-12
    assert chance_inliers(100, 3000, 325_000, 3.0, 20) == 1.0
