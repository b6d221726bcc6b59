"""What the solver decides between rounds: floors, prior scatter, and which stars and frames take part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photodb.core.terms import variance
from photodb.core.zeropoints_floors import (
    bad_stars,
    fit_camera_floor,
    fit_error_scales2,
    fit_floor2,
    group_chi2,
)
from photodb.core.zeropoints_kernels import TUKEY, frame_normals, point_leverages, weigh_stars
from photodb.core.zeropoints_state import State, full_weights, least_squares_residuals, shared_stars


def update_leverages(state: State) -> None:
    """Compute exact leverages of the stars that have bright points; others get star and mean-frame leverage.

    They are those of least squares of the inliers, to go with `least_squares_residuals`.
    """
    p, layout = state.problem, state.layout
    assert layout is not None
    state.covariances = [factor.inverse() for factor in state.factors]
    full = full_weights(state)
    total = np.maximum(np.bincount(p.star, weights=full, minlength=p.n_stars)[p.star], 1e-300)
    state.leverage = np.minimum(full / total + _frame_leverage(state, full), 0.95)
    chosen = np.unique(p.star[_nearly_bright(state)])
    for c, covariance in enumerate(state.covariances):
        frames = np.flatnonzero(layout.component == c)
        local = np.full(p.n_frames, -1, dtype=np.int64)
        local[frames] = np.arange(frames.size)
        mine = chosen[layout.star_component[chosen] == c]
        if mine.size:
            point_leverages(mine, p.start, p.frame, p.x, p.y, full, local, p.k, covariance, state.leverage)


def _nearly_bright(state: State) -> NDArray[np.bool_]:
    """Choose weighted points that may serve to fit the floor of their camera, (n,)."""
    p = state.problem
    bright, photon = state.weight > 0, state.photon_variance()
    for camera in range(state.floor2.size):
        mine = p.frames.camera[p.frame] == camera
        e2 = photon[mine & bright]
        if e2.size:
            share = max(0.1, min(1.0, 1500 / e2.size))
            bright &= ~mine | (photon <= max(4.0 * state.floor2[camera], np.quantile(e2, share)))
    return bright


def fit_tau(state: State) -> None:
    """Fit the prior scatter of the coefficients of each camera: one step of expectation and maximisation."""
    p, layout = state.problem, state.layout
    assert layout is not None
    if not state.settings.fit_tau or p.k == 1:
        return
    moment = np.zeros_like(state.coefficients)
    for factor, covariance in zip(state.factors, state.covariances):
        moment[factor.unknowns] = state.coefficients[factor.unknowns] ** 2 + np.diag(covariance)
    counted = layout.free & (np.arange(moment.size) % p.k > 0)
    camera = np.repeat(p.frames.camera, p.k)[counted]
    n = np.bincount(camera, minlength=state.tau.size)
    mean = np.bincount(camera, weights=moment[counted], minlength=state.tau.size) / np.maximum(n, 1)
    state.tau = np.where(n >= 2 * p.k, np.clip(np.sqrt(mean), 1e-3, 1.0), state.tau)


def fit_floors(state: State, values: NDArray[np.float64], with_scale: bool) -> None:
    """Refit error floor, and error scale, of each camera from weighted points on frames without excess of their own."""
    p = state.problem
    use, _ = shared_stars(state, state.weight > 0)
    use &= (state.extra2 == 0)[p.frame] & np.isfinite(state.leverage)
    residual2, state.floors = least_squares_residuals(state, values) ** 2, []
    for camera in range(state.floor2.size):
        mine = np.flatnonzero(use & (p.frames.camera[p.frame] == camera))
        r2, e2, share, leverage = residual2[mine], p.var[mine], p.share[mine], state.leverage[mine]
        rounds = 4 if with_scale and state.settings.fit_error_scale else 1
        for turn in range(rounds):  # scale and floor in turn, each at the other's value
            if rounds > 1 and turn > 0:
                state.scale2[camera] = fit_error_scales2(
                    r2, e2, share, leverage, state.floor2[camera], state.scale2[camera]
                )
            sky2, star2 = state.scale2[camera]
            scaled = e2 * (sky2 + share * (star2 - sky2))
            floor = fit_camera_floor(r2, scaled, leverage, state.floor2[camera], state.settings.floors)
            state.floor2[camera] = floor.value**2
        state.floors.append(floor)


def judge_stars(state: State, values: NDArray[np.float64], for_good: bool) -> int:
    """Decide anew which stars take part, `for_good` only more against them; returns how many changed sides."""
    p = state.problem
    magnitudes, weights = state.star_mag.copy(), state.weight.copy()
    usable = state.frame_ok[p.frame]
    errors2 = state.variance()
    c = state.settings.tukey_c
    weigh_stars(p.start, values, errors2, usable, c, TUKEY, False, magnitudes, weights)
    t2 = (values - magnitudes[p.star]) ** 2 / errors2
    total = np.bincount(p.star[usable], weights=1.0 / errors2[usable], minlength=p.n_stars)
    room = np.clip(1.0 - (1.0 / errors2) / np.maximum(total[p.star], 1e-300), 0.0, 1.0)
    room = room * (1.0 - _frame_leverage(state, 1.0 / errors2))
    bad, _, _ = bad_stars(t2, room, usable, t2 >= c**2, p.star, p.n_stars)
    if for_good:
        bad |= ~state.star_ok
    changed = int(np.count_nonzero(bad == state.star_ok))
    state.star_ok = ~bad
    return changed


def _frame_leverage(state: State, full: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the leverage of each point in the terms of its frame alone, the stars taken as known, (n,)."""
    p = state.problem
    normal = np.zeros((p.n_frames, p.k, p.k))
    weight = np.where(state.weight > 0, full, 0.0)
    frame_normals(p.frame, p.x, p.y, weight, p.k, normal)
    index = np.arange(p.k)
    fitted = index < state.frame_terms[:, None]
    both = (fitted[:, :, None] & fitted[:, None, :]).astype(np.float64)
    normal *= both
    prior = np.where(index > 0, state.tau[p.frames.camera][:, None] ** -2.0, 1e-6)
    normal[:, index, index] += np.where(fitted, prior, 1.0)
    covariance = np.asarray(np.linalg.inv(normal) * both, dtype=np.float64)
    return np.clip(full * variance(covariance, p.frame, p.x, p.y), 0.0, 0.95)


def judge_frames(state: State, values: NDArray[np.float64]) -> int:
    """Give frames that scatter more than their camera an excess of their own; reject the hopeless."""
    p, s = state.problem, state.settings
    _, counts = shared_stars(state, state.weight > 0)
    residual2, usable = _residuals2(state, values), state.usable()
    photon = state.photon_variance()
    floor2 = state.floor2[p.frames.camera][p.frame]
    leverage = np.where(np.isfinite(state.leverage), state.leverage, 0.5)
    room = np.clip(1.0 - leverage, 0.2, 1.0)
    chi2, n = group_chi2(residual2 / (photon + floor2), room, usable, p.frame.astype(np.int64), p.n_frames)
    excess = state.frame_ok & (n >= 4) & (chi2 > 1.0 + 5.0 * np.sqrt(2.0 / np.maximum(n, 1)))
    before = state.frame_ok.copy()
    state.extra2 = np.zeros(p.n_frames)
    for i in np.flatnonzero(excess):
        mine = np.flatnonzero(usable & (p.frame == i))
        fitted = fit_floor2(residual2[mine], room[mine], photon[mine], 1.0)
        state.extra2[i] = max(fitted - state.floor2[p.frames.camera[i]], 0.0)
        if fitted > s.max_frame_scatter**2:
            state.frame_ok[i] = False
            state.frame_reason[i] = (
                f"stars scatter by {np.sqrt(fitted):.3f} mag, limit {s.max_frame_scatter:g}"
            )
    clipped, shared = _clipped(state)
    for i in np.flatnonzero(state.frame_ok & (clipped > s.max_clipped * np.maximum(shared, 10))):
        state.frame_ok[i] = False
        state.frame_reason[i] = f"{clipped[i]} of {shared[i]} stars clipped, limit {s.max_clipped:.0%}"
    for i in np.flatnonzero(state.frame_ok & (counts < s.min_stars)):
        state.frame_ok[i] = False
        state.frame_reason[i] = f"{counts[i]} stars left after clipping, {s.min_stars} needed"
    return int(np.count_nonzero(before != state.frame_ok))


def _clipped(state: State) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count, for each frame, the points that the biweight leaves without weight, and all that it weighed."""
    weighed, shared = shared_stars(state, state.usable())
    frame = state.problem.frame[weighed & (state.weight == 0)].astype(np.int64)
    return np.bincount(frame, minlength=state.problem.n_frames), shared


def _residuals2(state: State, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - state.star_mag[state.problem.star]) ** 2
