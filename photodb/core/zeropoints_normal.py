"""The reduced normal equations of the frames' terms: dense per component, and applied without being built.

Stars are eliminated exactly (Schur complement). A component is factorised densely when it is needed; between
factorisations, when the weights have moved only a little, the old factors precondition conjugate gradients on the
operator that is never built. A matrix-free preconditioner can take the place of `factorise`.

Gauge. A constant can move between all zero points and all stars of a component: it is fixed by holding the mean
zero point at the mean first guess. Any polynomial of the sky can move as well, for polynomials of pixel coordinates
are closed under affine maps of the pixels; the weak prior c ~ N(0, tau^2) picks the smallest coefficients. The
modes so fixed are found by subspace iteration (`gauge_modes`) and removed from what is said of errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, lapack, qr

from photodb.core.zeropoints_kernels import (
    add_frame_blocks,
    apply_reduced,
    fill_star_rows,
    subtract_star_pairs,
)
from photodb.core.zeropoints_problem import Problem

MAX_DENSE = 15_000
"""Most unknowns of one component that are solved densely (1.8 GB a matrix)."""

_STARS_AT_ONCE = 512
_PAIR_COST, _BLAS_COST = (
    1.0,
    0.06,
)  # ns an element, measured on one core; only the choice of path depends on them


@dataclass(frozen=True)
class Layout:
    """Which unknowns are free, what holds them, and how they fall into components."""

    component: NDArray[np.int64]  # (n_frames,) -1 if the frame takes no part
    star_component: NDArray[np.int64]  # (n_stars,)
    free: NDArray[np.bool_]  # (n_frames * k,)
    prior: NDArray[np.float64]  # (n_frames * k,) 1/mag2: inverse variance of the prior; 0 for zero points
    hold: float  # 1/mag2: stiffness of the mean zero point

    @property
    def n_components(self) -> int:
        """Number of components."""
        return int(self.component.max(initial=-1)) + 1


@dataclass(frozen=True)
class Factor:
    """The Cholesky factor of one component's matrix; `unknowns` are its places among all unknowns."""

    unknowns: NDArray[np.int64]
    lower: NDArray[np.float64]

    def solve(self, rhs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve for one right-hand side or several, (p,) or (p, m)."""
        out: NDArray[np.float64] = cho_solve((self.lower, True), rhs, check_finite=False)
        return out

    def inverse(self) -> NDArray[np.float64]:
        """Return the full inverse, (p, p)."""
        inverse, info = lapack.dpotri(self.lower, lower=1)
        if info:
            raise np.linalg.LinAlgError(f"dpotri failed with {info}")
        return np.tril(inverse) + np.tril(inverse, -1).T


def data_matrix(
    problem: Problem, weight: NDArray, layout: Layout, c: int, path: str = "auto"
) -> NDArray[np.float64]:
    """Assemble the data part of component `c`, (p, p), lower triangle valid; `path` is auto, pairs or blas."""
    frames = np.flatnonzero(layout.component == c)
    stars = np.flatnonzero(layout.star_component == c)
    local = np.full(problem.n_frames, -1, dtype=np.int64)
    local[frames] = np.arange(frames.size)
    p = frames.size * problem.k
    matrix = np.zeros((p, p))
    columns = (problem.start, problem.frame, problem.x, problem.y, weight, local, problem.k)
    add_frame_blocks(stars, *columns, matrix)
    if path == "auto":
        lengths = np.diff(problem.start)[stars].astype(np.float64)
        pairs = 0.5 * np.sum(lengths**2) * problem.k**2 * _PAIR_COST
        path = "pairs" if pairs < stars.size * float(p) ** 2 * _BLAS_COST else "blas"
    if path == "pairs":
        subtract_star_pairs(stars, *columns, matrix)
        return matrix
    for first in range(0, stars.size, _STARS_AT_ONCE):
        some = stars[first : first + _STARS_AT_ONCE]
        rows = np.zeros((some.size, p))
        fill_star_rows(some, *columns, rows)
        matrix -= rows.T @ rows
    return matrix


def factorise(problem: Problem, weight: NDArray, layout: Layout) -> list[Factor]:
    """Assemble and factorise the matrix of every component, prior and gauge included."""
    return [_factorise_one(problem, weight, layout, c) for c in range(layout.n_components)]


def component_unknowns(layout: Layout, c: int, k: int) -> NDArray[np.int64]:
    """Return the places of a component's unknowns among all unknowns."""
    frames = np.flatnonzero(layout.component == c)
    return (frames[:, None] * k + np.arange(k)).ravel()


def _factorise_one(problem: Problem, weight: NDArray, layout: Layout, c: int) -> Factor:
    matrix = data_matrix(problem, weight, layout, c)
    unknowns = component_unknowns(layout, c, problem.k)
    fixed = ~layout.free[unknowns]
    matrix[fixed, :] = 0.0
    matrix[:, fixed] = 0.0
    n = unknowns.size // problem.k
    matrix[:: problem.k, :: problem.k] += layout.hold / n
    matrix[np.diag_indices_from(matrix)] += np.where(fixed, 1.0, layout.prior[unknowns])
    return Factor(unknowns, cholesky(matrix, lower=True, overwrite_a=True, check_finite=False))


def apply_regulariser(layout: Layout, v: NDArray, k: int) -> NDArray[np.float64]:
    """Apply prior and gauge to `v`, flat (n_frames * k,)."""
    out = layout.prior * v
    zero = v[::k]
    inside = layout.component >= 0
    size = np.bincount(layout.component[inside], minlength=layout.n_components)
    mean = np.bincount(layout.component[inside], weights=zero[inside], minlength=layout.n_components) / size
    held = np.zeros_like(zero)
    held[inside] = layout.hold * mean[layout.component[inside]]
    out[::k] += held
    return out


def apply_all(problem: Problem, weight: NDArray, layout: Layout, v: NDArray) -> NDArray[np.float64]:
    """Apply data, prior and gauge to `v` restricted to the free unknowns."""
    v = np.where(layout.free, v, 0.0)
    out = np.zeros_like(v)
    apply_reduced(problem.start, problem.frame, problem.x, problem.y, weight, v, problem.k, out)
    out += apply_regulariser(layout, v, problem.k)
    return np.where(layout.free, out, 0.0)


def precondition(factors: list[Factor], rhs: NDArray) -> NDArray[np.float64]:
    """Apply the factors, component by component; unknowns of no component get 0."""
    out = np.zeros_like(rhs)
    for factor in factors:
        out[factor.unknowns] = factor.solve(rhs[factor.unknowns])
    return out


def conjugate_gradients(
    problem: Problem,
    weight: NDArray,
    layout: Layout,
    factors: list[Factor],
    rhs: NDArray,
    tolerance: float,
    limit: int,
) -> tuple[NDArray[np.float64], int]:
    """Solve the reduced system by preconditioned conjugate gradients.

    Ends when the preconditioned norm of the residual has fallen by `tolerance`, or after `limit` steps; returns the
    solution and the number of steps.
    """
    solution = np.zeros_like(rhs)
    residual = np.where(layout.free, rhs, 0.0)
    z = precondition(factors, residual)
    direction, rho = z.copy(), float(residual @ z)
    target = tolerance**2 * rho
    for step in range(limit):
        if rho <= target or rho <= 0.0:
            return solution, step
        image = apply_all(problem, weight, layout, direction)
        alpha = rho / float(direction @ image)
        solution += alpha * direction
        residual -= alpha * image
        z = precondition(factors, residual)
        rho, previous = float(residual @ z), rho
        direction = z + (rho / previous) * direction
    return solution, limit


def gauge_modes(factor: Factor, layout: Layout, k: int, rounds: int = 8) -> NDArray[np.float64]:
    """Find the modes of a component that the data do not fix, orthonormal, (p, m) with m <= k.

    Subspace iteration with the inverse from the block "the same coefficient on every frame"; a mode counts when the
    data say less about it than prior and gauge do (Rayleigh quotient below one half).
    """
    p = factor.unknowns.size
    block = np.zeros((p, k))
    for a in range(k):
        block[a::k, a] = 1.0
    block *= layout.free[factor.unknowns][:, None]
    block = block[:, np.abs(block).sum(axis=0) > 0]
    for _ in range(rounds):
        block = qr(factor.solve(block), mode="economic")[0]
    whole, rotate = np.linalg.eigh(block.T @ (factor.lower @ (factor.lower.T @ block)))
    modes = block @ rotate
    held = layout.prior[factor.unknowns] @ modes**2 + layout.hold * modes[::k].sum(axis=0) ** 2 / (p // k)
    keep: NDArray[np.float64] = modes[:, (whole - held) < 0.5 * whole]
    return keep


def remove_gauge(covariance: NDArray, modes: NDArray) -> NDArray[np.float64]:
    """Project modes (orthonormal columns) out of a covariance, both sides."""
    half = modes.T @ covariance
    projected = covariance - modes @ half
    projected -= (projected @ modes) @ modes.T
    return projected


def frame_blocks(covariance: NDArray, k: int) -> NDArray[np.float64]:
    """Cut the (k, k) diagonal blocks of the frames out of a component's covariance, (n_frames, k, k)."""
    n = covariance.shape[0] // k
    return covariance.reshape(n, k, n, k)[np.arange(n), :, np.arange(n), :].copy()
