"""The global photometric solution: zero points and spatial terms of all frames, magnitudes of all stars, at once.

Model: m_ij + sum_k c_ik phi_k(x_ij, y_ij) = M_j + error (Magnier et al. 1997, A&AS 126, 401; Padmanabhan et al. 2008,
doi:10.1086/524677). The error variance is s^2 q_ij + g^2 p_ij + floor^2: q of sky and read noise, p of the star's own
photons, with the scales s and g and the floor of the camera. Stars are
eliminated exactly; outliers leave by graduated non-convexity (Blake & Zisserman 1987) with Tukey's biweight: the
error floor starts at 0.3 mag, where everything is an inlier, and shrinks to the fitted one. Stars that are not
constant leave the fit, and their magnitudes are found afterwards.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from photodb.core.columns import Frames, Measurements
from photodb.core.zeropoints_finish import conclude
from photodb.core.zeropoints_judge import fit_floors, fit_tau, judge_frames, judge_stars, update_leverages
from photodb.core.zeropoints_kernels import HUBER, PLAIN, TUKEY
from photodb.core.zeropoints_problem import Problem, build_problem
from photodb.core.zeropoints_result import ZeroPointSettings, ZeroPointSolution
from photodb.core.zeropoints_state import State, choose_frames, update_terms, weigh

_SETTLED = 0.01  # relative change of the floors' variances below which they have settled
_FEW = 0.001  # share of the stars that may still change sides at the end
_SCALE_ROUNDS = 2  # first rounds, in which error scales are fitted and no star is rejected
_ROUGH_ROUNDS, _ROUGH_STARS = 4, 200  # rounds and stars of a frame that rough terms need
_NO_COMEBACK = 5  # from this round on, a rejected star stays rejected


def solve_zero_points(
    measurements: Measurements, frames: Frames, settings: ZeroPointSettings | None = None
) -> ZeroPointSolution:
    """Solve for all frames and stars together.

    Raises SolveError if no two frames share enough stars, or if a component has too many unknowns; ValueError if the
    bundles do not belong together (a star with points in two bands, frames out of range).
    """
    settings = settings or ZeroPointSettings()
    state = _start(build_problem(measurements, frames, settings.order), settings)
    _anneal(state)
    _refine(state)
    return conclude(state, len(measurements))


def rough_terms(
    measurements: Measurements, frames: Frames, settings: ZeroPointSettings | None = None
) -> NDArray[np.float64]:
    """Return the terms of the frames after a few rounds on their brightest stars, (n_frames, k); NaN if rejected.

    Good to a fraction of a bright star's error, which is enough to compare kinds of photometry. Raises as
    `solve_zero_points`.
    """
    settings = replace(settings or ZeroPointSettings(), max_rounds=_ROUGH_ROUNDS)
    bright = _brightest(measurements.frame, measurements.mag_err, _ROUGH_STARS)
    state = _start(build_problem(measurements.take(bright), frames, settings.order), settings)
    _anneal(state)
    _refine(state)
    terms = state.coefficients.reshape(len(frames), -1).copy()
    terms[~state.frame_ok] = np.nan
    return terms


def _brightest(frame: NDArray, mag_err: NDArray, most: int) -> NDArray[np.intp]:
    """Return the rows of the `most` smallest errors of each frame, ascending; rows without an error are left out."""
    rows = np.flatnonzero(np.isfinite(mag_err))
    rows = rows[np.lexsort((mag_err[rows], frame[rows]))]
    first = np.flatnonzero(np.r_[True, frame[rows][1:] != frame[rows][:-1]]) if rows.size else rows
    rank = np.arange(rows.size) - np.repeat(first, np.diff(np.r_[first, rows.size]))
    return np.sort(rows[rank < most])


def warm_up() -> None:
    """Compile (or load from the cache) every kernel of the solver, on a tiny problem."""
    n_stars, n_frames = 8, 3
    star, frame = (a.ravel() for a in np.meshgrid(np.arange(n_stars), np.arange(n_frames), indexing="ij"))
    zero = np.zeros(star.size)
    measurements = Measurements(star, frame, zero + star / 8.0, zero, zero + star, zero + 0.01)
    index = np.zeros(n_frames, dtype=np.int64)
    for order in (0, 1):
        solve_zero_points(measurements, Frames(index, index, np.zeros(n_frames)), ZeroPointSettings(order))


def _start(problem: Problem, settings: ZeroPointSettings) -> State:
    n_cameras = int(problem.frames.camera.max(initial=-1)) + 1
    coefficients = np.zeros((problem.n_frames, problem.k))
    guess = np.asarray(problem.frames.guess, dtype=np.float64)
    coefficients[:, 0] = np.where(np.isfinite(guess), guess, 0.0)
    state = State(
        problem=problem,
        settings=settings,
        coefficients=coefficients.ravel(),
        star_mag=np.full(problem.n_stars, np.nan),
        weight=np.zeros(problem.mag.size),
        leverage=np.full(problem.mag.size, np.nan),
        star_ok=np.ones(problem.n_stars, dtype=bool),
        frame_ok=np.ones(problem.n_frames, dtype=bool),
        frame_terms=np.full(problem.n_frames, problem.k),
        frame_reason=[""] * problem.n_frames,
        floor2=np.full(n_cameras, settings.annealing[0] ** 2),
        scale2=np.ones((n_cameras, 2)),
        extra2=np.zeros(problem.n_frames),
        tau=np.full(n_cameras, settings.tau),
    )
    choose_frames(state)
    return state


def _anneal(state: State) -> None:
    """Go from a plain least-squares start to biweights at the last annealing floor."""
    for mode in (PLAIN, HUBER, HUBER):
        update_terms(state, weigh(state, mode, restart=mode == PLAIN), 1e-3)
    for floor in state.settings.annealing:
        state.floor2[:] = floor**2
        for _ in range(2):
            update_terms(state, weigh(state, TUKEY, restart=True), 1e-2)


def _refine(state: State) -> None:
    """Fit floors, reject stars and frames, and converge."""
    leverages_at = state.floor2
    for r in range(state.settings.max_rounds):
        state.rounds = r + 1
        values = weigh(state, TUKEY, restart=r < 3)
        before = state.floor2.copy()
        if r == 0 or np.any(np.abs(state.floor2 - leverages_at) > 0.1 * leverages_at):
            leverages_at = state.floor2.copy()
            state.last_norm = update_terms(state, values, 1e-3, fresh=True)
            values = weigh(state, TUKEY, restart=False)
            update_leverages(state)
            fit_tau(state)
        # the error scale is fitted before any star is rejected, or it and the rejections would drive each other
        fit_floors(state, values, with_scale=r < _SCALE_ROUNDS)
        changed = judge_stars(state, values, for_good=r >= _NO_COMEBACK) if r >= _SCALE_ROUNDS else 1
        if r >= _SCALE_ROUNDS:
            changed += judge_frames(state, values)
        values = weigh(state, TUKEY, restart=False)
        state.last_norm = update_terms(state, values, 1e-3)
        settled = np.all(np.abs(state.floor2 - before) <= _SETTLED * before)
        if settled and changed <= _FEW * state.problem.n_stars and state.last_norm < state.settings.stop_norm:
            break
