"""The end of a global solution: tight convergence, errors without the gauge, and what to say of frames and stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import terms
from photodb.core.components import weak_parts
from photodb.core.robust import MAD_TO_SIGMA, tukey_weight
from photodb.core.zeropoints_floors import bright_points
from photodb.core.zeropoints_judge import update_leverages
from photodb.core.zeropoints_kernels import TUKEY, weigh_stars
from photodb.core.zeropoints_normal import frame_blocks, gauge_modes, remove_gauge
from photodb.core.zeropoints_problem import Problem
from photodb.core.zeropoints_result import Component, ZeroPointSolution
from photodb.core.zeropoints_state import State, shared_stars, update_terms, weigh

_CLEAR_QUANTILE = 0.9  # of a camera's zero points: what its clearest frames reach
_PHOTOMETRIC_LOSS = 0.05  # mag


@dataclass
class _Stars:
    """Magnitudes of all stars, those outside the fit included, on the final terms."""

    mag: NDArray[np.float64]
    weight: NDArray[np.float64]  # (n,) weights within each star
    use: NDArray[np.bool_]  # (n,) points on used frames of the star's component
    component: NDArray[np.int64]


def conclude(state: State, n_rows: int) -> ZeroPointSolution:
    """Converge tightly at the final selection and collect the solution; `n_rows` is the caller's number of rows."""
    for fresh in (False, False, True):
        state.last_norm = update_terms(state, weigh(state, TUKEY, restart=False), 1e-7, fresh=fresh)
    weigh(state, TUKEY, restart=False)
    update_leverages(state)
    p = state.problem
    covariance, n_effective = _frame_covariances(state)
    taking_part, n_stars_of_frame = shared_stars(state, state.weight > 0)
    coefficients = _final_coefficients(state)
    stars = _all_stars(state, coefficients, taking_part)
    _refit_rejected(state, coefficients, covariance, stars)
    residual = p.mag + terms.evaluate(coefficients, p.frame, p.x, p.y) - stars.mag[p.star]
    variance = state.variance()
    in_fit = np.zeros(p.n_stars, dtype=bool)
    in_fit[p.star[taking_part]] = True
    chi2 = float(np.sum(residual[taking_part] ** 2 / variance[taking_part]))
    dof = float(np.count_nonzero(taking_part) - np.count_nonzero(in_fit) - n_effective)
    frame_columns = _frame_columns(state, coefficients, residual, variance, taking_part)
    star_columns = _star_columns(state, stars, covariance, residual, variance, taking_part)
    clipped = stars.use & (stars.weight == 0) & (residual**2 >= state.settings.tukey_c**2 * variance)
    assert state.layout is not None
    return ZeroPointSolution(
        settings=state.settings,
        coefficients=coefficients,
        covariance=covariance,
        frame_terms=state.frame_terms,
        frame_component=state.layout.component,
        frame_n_stars=n_stars_of_frame,
        **frame_columns,
        star_mag=stars.mag,
        star_component=stars.component,
        **star_columns,
        weight=_to_rows(p, np.where(taking_part, state.weight, 0.0), n_rows, 0.0),
        residual=_to_rows(p, residual, n_rows, np.nan),
        clipped=_to_rows(p, clipped, n_rows, False),
        floors=tuple(state.floors),
        tau=state.tau,
        error_scale=np.sqrt(state.scale2[:, 0]),
        star_scale=np.sqrt(state.scale2[:, 1]),
        components=_components(state, taking_part),
        chi2=chi2,
        dof=dof,
        bright_scatter=_bright_scatter(state, residual, taking_part),
        rounds=state.rounds,
        last_norm=state.last_norm,
    )


def _to_rows(problem: Problem, column: NDArray, n_rows: int, missing: float | bool) -> NDArray:
    out = np.full(n_rows, missing, dtype=column.dtype)
    out[problem.rows] = column
    return out


def _final_coefficients(state: State) -> NDArray[np.float64]:
    """Return the coefficients, (n_frames, k), NaN for frames of no component."""
    p, layout = state.problem, state.layout
    assert layout is not None
    grid = state.coefficients.reshape(p.n_frames, p.k).copy()
    grid[layout.component < 0] = np.nan
    for i in np.flatnonzero(state.frame_ok & (layout.component < 0)):
        state.frame_ok[i] = False
        state.frame_reason[i] = "no star with weight in common with another frame"
    return grid


def _frame_covariances(state: State) -> tuple[NDArray[np.float64], float]:
    """Return the covariance of each frame's terms, gauge removed, and the effective number of parameters."""
    p, layout = state.problem, state.layout
    assert layout is not None
    blocks = np.full((p.n_frames, p.k, p.k), np.nan)
    n_effective = 0.0
    for c, (factor, covariance) in enumerate(zip(state.factors, state.covariances)):
        free = layout.free[factor.unknowns]
        n = factor.unknowns.size // p.k
        n_effective += free.sum() - float(layout.prior[factor.unknowns] @ np.diag(covariance))
        n_effective -= layout.hold * covariance[:: p.k, :: p.k].sum() / n
        projected = remove_gauge(covariance, gauge_modes(factor, layout, p.k))
        projected *= free[:, None] & free[None, :]
        blocks[layout.component == c] = frame_blocks(projected, p.k)
    return blocks, n_effective


def _all_stars(state: State, coefficients: NDArray, taking_part: NDArray[np.bool_]) -> _Stars:
    """Find the magnitudes of all stars on the final terms, each within one component only."""
    p, layout = state.problem, state.layout
    assert layout is not None
    component = layout.star_component.copy()
    on = layout.component[p.frame]
    for j in np.unique(p.star[(component[p.star] < 0) & (on >= 0)]):
        mine = on[p.start[j] : p.start[j + 1]]
        component[j] = np.bincount(mine[mine >= 0]).argmax()
    use = (on >= 0) & (on == component[p.star])
    values = p.mag + terms.evaluate(coefficients, p.frame, p.x, p.y)
    mag, weight = np.full(p.n_stars, np.nan), np.zeros(p.mag.size)
    c = state.settings.tukey_c
    weigh_stars(p.start, values, state.variance(), use, c, TUKEY, True, mag, weight)
    fitted = taking_part | (layout.star_component >= 0)[p.star]
    weight[fitted] = state.weight[fitted]
    inside = layout.star_component >= 0
    mag[inside] = state.star_mag[inside]
    return _Stars(mag, weight, use, component)


def _refit_rejected(state: State, coefficients: NDArray, covariance: NDArray, stars: _Stars) -> None:
    """Fit frames rejected for their scatter to the stars of the solution, in place, so that they can be looked at."""
    p, layout = state.problem, state.layout
    assert layout is not None
    order, photon = terms.N_TERMS.index(p.k), state.photon_variance()
    for i in np.flatnonzero(~state.frame_ok & (layout.component < 0)):
        mine = np.flatnonzero((p.frame == i) & (layout.star_component >= 0)[p.star])
        if mine.size < state.settings.min_stars or np.unique(layout.star_component[p.star[mine]]).size != 1:
            continue
        matrix = terms.design(p.x[mine], p.y[mine], order)
        prior = np.diag(np.where(np.arange(p.k) > 0, state.tau[p.frames.camera[i]] ** -2.0, 0.0))
        wanted = stars.mag[p.star[mine]] - p.mag[mine]
        solution = np.zeros(p.k)
        solution[0] = np.median(wanted)
        scale2 = max(float(MAD_TO_SIGMA * np.median(np.abs(wanted - solution[0]))) ** 2, 1e-6)
        for _ in range(10):
            t2 = (wanted - matrix @ solution) ** 2 / (scale2 + photon[mine])
            w = np.array([tukey_weight(t, state.settings.tukey_c**2) for t in t2]) / (scale2 + photon[mine])
            normal = matrix.T @ (w[:, None] * matrix) + prior
            solution = np.linalg.solve(normal, matrix.T @ (w * wanted))
        coefficients[i], covariance[i] = solution, np.linalg.inv(normal)


def _frame_columns(
    state: State, coefficients: NDArray, residual: NDArray, variance: NDArray, taking_part: NDArray[np.bool_]
) -> dict:
    """Collect what is said of each frame."""
    p = state.problem
    camera, band = p.frames.camera, p.frames.band
    n = np.bincount(p.frame[taking_part], minlength=p.n_frames)
    t2 = residual[taking_part] ** 2 / variance[taking_part]
    with np.errstate(invalid="ignore", divide="ignore"):
        chi2 = np.bincount(p.frame[taking_part], weights=t2, minlength=p.n_frames) / n
    scatter, photon = np.full(p.n_frames, np.nan), state.photon_variance()
    by_frame = np.argsort(p.frame, kind="stable")
    edges = np.searchsorted(p.frame[by_frame], np.arange(p.n_frames + 1))
    for i in range(p.n_frames):
        mine = by_frame[edges[i] : edges[i + 1]]
        mine = mine[np.isfinite(residual[mine]) & state.star_ok[p.star[mine]]]
        if mine.size >= 3:
            mine = mine[bright_points(photon[mine], state.floor2[camera[i]], least=10)]
            scatter[i] = MAD_TO_SIGMA * np.median(np.abs(residual[mine]))
    loss = np.full(p.n_frames, np.nan)
    group = camera * (int(band.max(initial=0)) + 1) + band
    for g in np.unique(group):
        mine = np.flatnonzero((group == g) & np.isfinite(coefficients[:, 0]))
        for c in np.unique(state.layout.component[mine]) if state.layout is not None else []:
            same = mine[(state.layout.component[mine] == c) | (state.layout.component[mine] < 0)]  # type: ignore[union-attr]
            used = same[state.frame_ok[same]]
            if used.size:
                loss[same] = np.quantile(coefficients[used, 0], _CLEAR_QUANTILE) - coefficients[same, 0]
    return {
        "frame_used": state.frame_ok.copy(),
        "frame_reason": list(state.frame_reason),
        "frame_chi2": chi2,
        "frame_scatter": scatter,
        "frame_floor": np.sqrt(state.floor2[camera] + state.extra2),
        "gray_loss": loss,
        "photometric": state.frame_ok & (loss < _PHOTOMETRIC_LOSS) & (state.extra2 <= state.floor2[camera]),
    }


def _star_columns(
    state: State,
    stars: _Stars,
    covariance: NDArray,
    residual: NDArray,
    variance: NDArray,
    taking_part: NDArray[np.bool_],
) -> dict:
    """Collect what is said of each star."""
    p, n_stars = state.problem, state.problem.n_stars
    use = stars.use
    n_obs = np.bincount(p.star[use], minlength=n_stars)
    n_used = np.bincount(p.star[taking_part], minlength=n_stars)
    t2 = residual[use] ** 2 / variance[use]
    with np.errstate(invalid="ignore", divide="ignore"):
        chi2 = np.bincount(p.star[use], weights=t2, minlength=n_stars) / (n_obs - 1)
        chi2[n_obs < 2] = np.nan
        weight = np.where(use, stars.weight, 0.0)
        total = np.bincount(p.star, weights=weight, minlength=n_stars)
        share = weight / total[p.star]
        terms_var = np.where(weight > 0, share**2 * terms.variance(covariance, p.frame, p.x, p.y), 0.0)
        mag_err = np.sqrt(1.0 / total + np.bincount(p.star, weights=terms_var, minlength=n_stars))
    mag_err = np.where(state.star_ok, mag_err, mag_err * np.sqrt(np.fmax(chi2, 1.0)))
    mag_err[total == 0] = np.nan
    disagree = (total == 0) & (n_obs >= 2)
    for j in np.flatnonzero(disagree):
        mine = slice(p.start[j], p.start[j + 1])
        mag_err[j] = np.std(residual[mine][use[mine]]) / np.sqrt(n_obs[j])
    return {
        "star_mag_err": mag_err,
        "star_n_obs": n_obs,
        "star_n_used": n_used,
        "star_chi2": chi2,
        "star_reason": _star_reasons(state, stars, chi2, n_obs, n_used),
        "star_rejected": ~state.star_ok,
    }


def _star_reasons(
    state: State, stars: _Stars, chi2: NDArray, n_obs: NDArray[np.int64], n_used: NDArray[np.int64]
) -> list[str]:
    """Say of each star why it was left out of the fit."""
    p = state.problem
    lost = np.bincount(p.star[stars.use & (stars.weight == 0)], minlength=p.n_stars)
    reasons = [""] * p.n_stars
    for j in np.flatnonzero((n_used == 0) & (p.star_band >= 0)):
        if n_obs[j] == 0:
            reasons[j] = "no point on a frame with a zero point"
        elif n_obs[j] == 1:
            reasons[j] = "one point only"
        elif not state.star_ok[j]:
            clipped = f"{lost[j]} of {n_obs[j]} points clipped"
            reasons[j] = f"not constant: chi2 per degree of freedom {chi2[j]:.1f}, {clipped}"
        else:
            reasons[j] = f"fewer than two of its {n_obs[j]} points agree"
    return reasons


def _components(state: State, taking_part: NDArray[np.bool_]) -> tuple[Component, ...]:
    """Describe the components."""
    p, layout = state.problem, state.layout
    assert layout is not None
    weak = weak_parts(p.star[taking_part], p.frame[taking_part].astype(np.int64), layout.component, p.n_stars)
    found = []
    points = np.bincount(layout.component[p.frame[taking_part]], minlength=layout.n_components)
    for c in range(layout.n_components):
        frames = np.flatnonzero(layout.component == c)
        found.append(
            Component(
                number=c,
                band=int(p.frames.band[frames[0]]),
                cameras=tuple(int(i) for i in np.unique(p.frames.camera[frames])),
                n_frames=frames.size,
                n_stars=int(np.count_nonzero(layout.star_component == c)),
                n_measurements=int(points[c]),
                weak_bridge=weak.get(c, 0),
            )
        )
    return tuple(found)


def _bright_scatter(state: State, residual: NDArray, taking_part: NDArray[np.bool_]) -> float:
    """Return the median over bright constant stars of their robust scatter, corrected for leverage, mag."""
    p = state.problem
    chosen, photon = np.zeros(p.mag.size, dtype=bool), state.photon_variance()
    camera = p.frames.camera[p.frame]
    for i in range(state.floor2.size):
        mine = np.flatnonzero(taking_part & (camera == i) & np.isfinite(state.leverage))
        if mine.size:
            chosen[mine[bright_points(photon[mine], state.floor2[i])]] = True
    corrected = np.abs(residual) / np.sqrt(np.clip(1.0 - state.leverage, 0.1, 1.0))
    scatters = [
        MAD_TO_SIGMA * np.median(corrected[p.start[j] : p.start[j + 1]][chosen[p.start[j] : p.start[j + 1]]])
        for j in np.unique(p.star[chosen])
    ]
    return float(np.median(scatters)) if scatters else float("nan")
