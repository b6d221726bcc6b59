"""The working state of a global solution, and the two moves that change it: weigh, and update the terms."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photodb.core import terms
from photodb.core.components import frame_components
from photodb.core.zeropoints_floors import Floor
from photodb.core.zeropoints_kernels import mark_shared, reduced_gradient, star_means, weigh_stars
from photodb.core.zeropoints_normal import (
    MAX_DENSE,
    Factor,
    Layout,
    apply_regulariser,
    conjugate_gradients,
    factorise,
)
from photodb.core.zeropoints_problem import Problem
from photodb.core.zeropoints_result import ZeroPointSettings
from photodb.errors import SolveError

_REFACTOR_STEPS = 10  # conjugate-gradient steps after which fresh factors pay


@dataclass
class State:
    """What changes from round to round of one solution."""

    problem: Problem
    settings: ZeroPointSettings
    coefficients: NDArray[np.float64]  # (n_frames * k,)
    star_mag: NDArray[np.float64]
    weight: NDArray[np.float64]  # (n,)
    leverage: NDArray[np.float64]  # (n,) NaN where not computed
    star_ok: NDArray[np.bool_]
    frame_ok: NDArray[np.bool_]
    frame_terms: NDArray[np.int64]
    frame_reason: list[str]
    floor2: NDArray[np.float64]  # (n_cameras,)
    scale2: NDArray[
        np.float64
    ]  # (n_cameras, 2) squared factors on the errors of sky and read noise, and of star photons
    extra2: NDArray[np.float64]  # (n_frames,) a frame's own excess variance
    tau: NDArray[np.float64]  # (n_cameras,)
    floors: list[Floor] = field(default_factory=list)
    layout: Layout | None = None
    factors: list[Factor] = field(default_factory=list)
    covariances: list[NDArray[np.float64]] = field(default_factory=list)
    last_steps: int = 0
    last_norm: float = float("nan")
    rounds: int = 0

    def usable(self) -> NDArray[np.bool_]:
        """Return the points whose star and frame take part, (n,)."""
        return self.star_ok[self.problem.star] & self.frame_ok[self.problem.frame]

    def photon_variance(self) -> NDArray[np.float64]:
        """Return the variance of photons and read noise of each point, as scaled by the fit, (n,) mag2."""
        scale2 = self.scale2[self.problem.frames.camera][self.problem.frame]
        return self.problem.var * (scale2[:, 0] + self.problem.share * (scale2[:, 1] - scale2[:, 0]))

    def variance(self) -> NDArray[np.float64]:
        """Return the error variance of each point, (n,) mag2."""
        camera = self.problem.frames.camera
        return self.photon_variance() + (self.floor2[camera] + self.extra2)[self.problem.frame]

    def values(self) -> NDArray[np.float64]:
        """Return the calibrated magnitudes, (n,)."""
        p = self.problem
        grid = self.coefficients.reshape(p.n_frames, p.k)
        return p.mag + terms.evaluate(grid, p.frame, p.x, p.y)


def shared_stars(state: State, use: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return the points whose star has points on two frames at least, and how many such stars each frame has."""
    p = state.problem
    shared, counts = np.zeros(use.size, dtype=bool), np.zeros(p.n_frames, dtype=np.int64)
    mark_shared(p.start, p.frame, use, shared, counts)
    return shared, counts


def choose_frames(state: State) -> None:
    """Reject frames of too few stars, lower the order of others; SolveError if nothing is left."""
    s, p = state.settings, state.problem
    while True:
        _, counts = shared_stars(state, state.usable())
        poor = state.frame_ok & (counts < s.min_stars)
        if not poor.any():
            break
        for i in np.flatnonzero(poor):
            state.frame_reason[i] = f"{counts[i]} stars in common with other frames, {s.min_stars} needed"
        state.frame_ok &= ~poor
    if not state.frame_ok.any():
        raise SolveError(
            f"no two frames of one band have {s.min_stars} usable stars in common among {p.mag.size} measurements on "
            f"{p.n_frames} frames; check 'photodb frame list', the associations, or lower --min-stars"
        )
    for i in np.flatnonzero(state.frame_ok & (counts < s.stars_per_term * p.k)):
        fitting = [k for k in terms.N_TERMS if k <= p.k and counts[i] >= s.stars_per_term * k]
        state.frame_terms[i] = max(fitting, default=1)
        order = terms.N_TERMS.index(int(state.frame_terms[i]))
        state.frame_reason[i] = f"order {order} instead of {s.order}: {counts[i]} stars"


def _update_layout(state: State) -> None:
    """Recompute components and priors from the points that have weight; drop factors that no longer fit."""
    p = state.problem
    use, _ = shared_stars(state, state.weight > 0)
    component = frame_components(p.start, p.frame, use, p.n_frames)
    star_component = np.full(p.n_stars, -1, dtype=np.int64)
    star_component[p.star[use]] = component[p.frame[use]]
    term = np.tile(np.arange(p.k), p.n_frames)
    free = (term < np.repeat(state.frame_terms, p.k)) & (np.repeat(component, p.k) >= 0)
    prior = np.where(term > 0, np.repeat(state.tau[p.frames.camera] ** -2.0, p.k), 0.0)
    hold = float(state.weight[use].sum()) / max(int(np.count_nonzero(component >= 0)), 1)
    old = state.layout
    if old is not None and not (
        np.array_equal(old.component, component) and np.array_equal(old.free, free) and len(state.factors)
    ):
        state.factors = []
    state.layout = Layout(component, star_component, free, np.where(free, prior, 0.0), hold)
    n_frames = int(np.bincount(component[component >= 0]).max(initial=0))
    if n_frames * p.k > MAX_DENSE:
        raise SolveError(_too_many(n_frames, p.k))


def _too_many(n_frames: int, k: int) -> str:
    """Tell that a component has more unknowns than the dense solution takes, and what would fit."""
    told = f"{n_frames} frames of {k} terms in one component are {n_frames * k} unknowns; the dense solution "
    told += f"takes at most {MAX_DENSE}: "
    orders = [f"order {order} takes {MAX_DENSE // n}" for order, n in enumerate(terms.N_TERMS) if n < k]
    lower = f"lower --order ({', '.join(orders)} frames), or " if orders else ""
    return f"{told}{lower}leave nights out with --exclude-night until {MAX_DENSE // k} frames are left"


def weigh(state: State, mode: int, restart: bool) -> NDArray[np.float64]:
    """Find star magnitudes and weights at the present terms, in place; returns the calibrated values."""
    values = state.values()
    use, _ = shared_stars(state, state.usable())
    c = state.settings.tukey_c
    weigh_stars(
        state.problem.start, values, state.variance(), use, c, mode, restart, state.star_mag, state.weight
    )
    return values


def full_weights(state: State) -> NDArray[np.float64]:
    """Return 1 / variance for points that have weight, 0 for others: least squares of the inliers, (n,)."""
    return np.where(state.weight > 0, 1.0 / state.variance(), 0.0)


def _newton_step(
    state: State, values: NDArray[np.float64], weight: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the step of the terms at given weights, the gradient, and the stars' weighted means before the step."""
    p, layout = state.problem, state.layout
    assert layout is not None
    star_mag, star_weight = np.empty(p.n_stars), np.empty(p.n_stars)
    star_means(p.start, values, weight, star_mag, star_weight)
    gradient = np.zeros_like(state.coefficients)
    reduced_gradient(p.start, p.frame, p.x, p.y, values, weight, star_mag, p.k, gradient)
    away = state.coefficients.copy()
    guess = np.asarray(p.frames.guess, dtype=np.float64)
    away[:: p.k] -= np.where(np.isfinite(guess), guess, 0.0)
    gradient = np.where(layout.free, gradient + apply_regulariser(layout, away, p.k), 0.0)
    step, state.last_steps = conjugate_gradients(p, weight, layout, state.factors, -gradient, tolerance, 60)
    return step, gradient, star_mag


def update_terms(state: State, values: NDArray[np.float64], tolerance: float, fresh: bool = False) -> float:
    """Solve for the terms at the present weights, in place; returns the S-norm of the update in sigma."""
    _update_layout(state)
    assert state.layout is not None
    if fresh or not state.factors or state.last_steps > _REFACTOR_STEPS:
        state.factors = factorise(state.problem, full_weights(state), state.layout)
    step, gradient, state.star_mag = _newton_step(state, values, state.weight, tolerance)
    state.coefficients = state.coefficients + step
    return float(np.sqrt(max(-float(step @ gradient), 0.0)))


def least_squares_residuals(state: State, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the residuals that least squares of the inliers leaves, (n,), NaN for others.

    Floors are judged by these: what a biweight leaves is smaller, in a way that depends on the leverage.
    """
    p, weight = state.problem, full_weights(state)
    step, _, _ = _newton_step(state, values, weight, 1e-4)
    values = values + terms.evaluate(step.reshape(p.n_frames, p.k), p.frame, p.x, p.y)
    star_mag, star_weight = np.empty(p.n_stars), np.empty(p.n_stars)
    star_means(p.start, values, weight, star_mag, star_weight)
    return np.where(weight > 0, values - star_mag[p.star], np.nan)
