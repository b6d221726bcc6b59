"""The global solution by dense normal equations over all unknowns, stars included: the obvious twin."""

import numpy as np

from photodb.core import terms


def full_design(measurements, frames, order, weight):
    """The obvious design matrix over all frames' terms and all stars, rows of weighted points only."""
    k = terms.n_terms(order)
    chosen = np.flatnonzero(weight > 0)
    phi = terms.design(measurements.x[chosen], measurements.y[chosen], order)
    matrix = np.zeros((chosen.size, len(frames) * k + measurements.star.max() + 1))
    rows = np.arange(chosen.size)
    for a in range(k):
        matrix[rows, measurements.frame[chosen] * k + a] = phi[:, a]
    matrix[rows, len(frames) * k + measurements.star[chosen]] = -1.0
    return matrix, chosen


def dense_solution(measurements, frames, order, weight, tau, hold=1e4):
    """Solve everything at once by dense normal equations, with the same prior and gauge."""
    k, n = terms.n_terms(order), len(frames)
    matrix, chosen = full_design(measurements, frames, order, weight)
    normal = matrix.T @ (weight[chosen, None] * matrix)
    rhs = -matrix.T @ (weight[chosen] * measurements.mag[chosen])
    term = np.arange(n * k) % k
    prior = np.where(term > 0, np.repeat(tau[frames.camera], k) ** -2.0, 0.0)
    normal[np.arange(n * k), np.arange(n * k)] += prior
    zeros = np.arange(n) * k
    normal[np.ix_(zeros, zeros)] += hold / n
    rhs[zeros] += hold * frames.guess.mean()
    empty = np.flatnonzero(np.diag(normal) == 0)
    normal[empty, empty] = 1.0
    solution = np.linalg.solve(normal, rhs)
    return solution[: n * k].reshape(n, k), solution[n * k :]
