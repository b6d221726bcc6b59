"""Registration against truth over many seeds: every kind of change is found and exact, unrelated fields never match."""

import numpy as np
import pytest

from photodb.images.register import finish, register, register_scaled

NX, NY = 650, 500
MIDDLE = np.array([(NX - 1) / 2, (NY - 1) / 2])
GRID = np.stack(np.meshgrid(np.linspace(0, NX - 1, 5), np.linspace(0, NY - 1, 5)), -1).reshape(-1, 2)


class Sky:
    """Stars of an invented field with fluxes of a power law, and how a frame sees them."""

    def __init__(self, seed, density=1.0):
        self.rng = np.random.default_rng([seed, 21])
        n = round(3000 * density)
        self.stars, self.flux = self.rng.uniform(-1000, 1000, (n, 2)), self.rng.pareto(1.0, n) + 0.1

    def to_frame(self, points, rotation=0.0, scale=1.0, mirror=False, offset=(0.0, 0.0)):
        z = (points - np.asarray(offset)) @ np.array([1, 1j])
        z = (z.conj() if mirror else z) * scale * np.exp(1j * np.radians(rotation))
        return np.column_stack([z.real, z.imag]) + MIDDLE

    def view(self, false=0.3, missing=0.2, limit=3000, **change):
        """Return places (n, 2), brightest first, and their errors: .02 px for the brightest to .2 for the faintest."""
        p = self.to_frame(self.stars, **change)
        on = (p > 0).all(axis=1) & (p < [NX, NY]).all(axis=1)
        rows = np.flatnonzero(on)
        rows = rows[np.argsort(-self.flux[rows] * self.rng.lognormal(0, 0.1, len(rows)))][:limit]
        rows = rows[self.rng.random(len(rows)) >= missing]
        error = np.geomspace(0.02, 0.2, max(len(rows), 1))[: len(rows)]
        p = p[rows] + self.rng.normal(0, 1, (len(rows), 2)) * error[:, None]
        n = round(false * len(rows))
        at = np.sort(self.rng.integers(0, len(rows) + 1, n))
        return np.insert(p, at, self.rng.uniform(0, 1, (n, 2)) * [NX, NY], axis=0), np.insert(error, at, 0.1)


def off(sky, found, change):
    """Return the largest error of a map (px) over the part of the reference frame that the other frame shows."""
    truth = sky.to_frame(GRID - MIDDLE, **change)
    seen = (truth > 0).all(axis=1) & (truth < [NX, NY]).all(axis=1)
    return np.hypot(*(found(GRID) - truth).T)[seen].max()


CHANGES = {
    "drift": {"rotation": 0.6, "offset": (200.0, 50.0)},
    "flip": {"rotation": 180.0, "offset": (5.0, 5.0)},
    "any rotation": {"rotation": 71.0, "offset": (30.0, -20.0)},
    "mirror": {"rotation": 20.0, "mirror": True},
    "half a field": {"offset": (325.0, 0.0)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_found_and_exact(change):
    for seed in range(100, 115):
        sky, values = Sky(seed), CHANGES[change]
        (p, p_err), (q, q_err) = sky.view(), sky.view(**values)
        found = register(p, q)
        assert found is not None, seed
        assert off(sky, finish(found, p, q, p_err, q_err), values) < 0.08


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.8])
@pytest.mark.parametrize("known", [True, False])
def test_frames_of_another_scale_are_found(scale, known):
    """Another binning, or another camera: turned, mirrored, the scale known or not."""
    for seed in range(200, 210):
        sky, values = (
            Sky(seed),
            {"rotation": 37.0, "scale": scale, "mirror": bool(seed % 2), "offset": (10.0, 0.0)},
        )
        (p, p_err), (q, q_err) = sky.view(), sky.view(**values)
        found = register_scaled(p, q, (scale / 1.1, scale * 1.1) if known else (0.2, 5.0))
        assert found is not None, seed
        assert off(sky, finish(found, p, q, p_err, q_err), values) < 0.15


def test_sparse_fields_are_found():
    """Eight stars, all seen, and a false one on each frame; exact where the stars are, not in empty corners."""
    for seed in range(300, 320):
        sky, values = Sky(seed), {"rotation": 180.0, "offset": (9.0, -6.0)}
        sky.stars = sky.rng.uniform(-200, 200, (8, 2))
        sky.flux = sky.flux[:8]
        (p, p_err), (q, q_err) = sky.view(false=0.15, missing=0), sky.view(false=0.15, missing=0, **values)
        found = register(p, q)
        assert found is not None, seed
        assert off(sky, finish(found, p, q, p_err, q_err), values) < 0.25


def test_crowded_fields_are_found():
    for seed in range(400, 403):
        sky, values = Sky(seed, density=12.0), {"rotation": 180.5, "offset": (40.0, 25.0)}
        (p, p_err), (q, q_err) = sky.view(), sky.view(**values)
        assert len(p) > 2500
        found = register(p, q)
        assert found is not None, seed
        assert off(sky, finish(found, p, q, p_err, q_err), values) < 0.03


def test_clouds_take_half_of_the_stars():
    for seed in range(500, 510):
        sky, values = Sky(seed), {"rotation": 0.3, "offset": (150.0, 80.0)}
        (p, p_err), (q, q_err) = sky.view(limit=160), sky.view(missing=0.5, limit=60, **values)
        found = register(p, q)
        assert found is not None, seed
        assert off(sky, finish(found, p, q, p_err, q_err), values) < 0.15


@pytest.mark.parametrize(("n", "pairs"), [(8, 280), (12, 150), (20, 50), (60, 10), (150, 6), (400, 4)])
def test_unrelated_fields_never_match(n, pairs):
    """Sparse to crowded, half of them with a cluster in the middle, where chance pairs crowd."""
    for seed in range(pairs):
        rng = np.random.default_rng([seed, n, 22])
        p, q = rng.uniform(0, 1, (2, n, 2)) * [NX, NY]
        if seed % 2:
            p[::2], q[::2] = rng.normal(MIDDLE, 50, (2, len(p[::2]), 2))
        assert register(p, q) is None, seed
