"""The reduced normal equations: assembled two ways, applied without being built, and by dense algebra."""

import dataclasses

import numpy as np
import pytest

from photodb.core import terms
from photodb.core.columns import Measurements
from photodb.core.zeropoints_kernels import apply_reduced, point_leverages
from photodb.core.zeropoints_normal import Layout, data_matrix
from photodb.core.zeropoints_problem import build_problem
from photodb.simulate.measurements import SurveySettings, simulate_survey
from tests.helpers.dense_solver import full_design

SMALL = SurveySettings(n_frames=16, n_stars=150)


def _layout(problem, tau=0.02):
    term = np.tile(np.arange(problem.k), problem.n_frames)
    return Layout(
        component=np.zeros(problem.n_frames, dtype=int),
        star_component=np.zeros(problem.n_stars, dtype=int),
        free=np.ones(term.size, dtype=bool),
        prior=np.where(term > 0, tau**-2.0, 0.0),
        hold=1e4,
    )


@pytest.mark.parametrize("path", ["pairs", "blas"])
@pytest.mark.parametrize("order", [0, 2, 3])
def test_reduced_matrix_equals_operator_and_dense_schur(order, path):
    survey = simulate_survey(SMALL, seed=5)
    m = survey.measurements
    # a star measured twice on one frame must count twice
    m = Measurements(
        *(
            np.concatenate([getattr(m, f.name), getattr(m, f.name)[:40]])
            for f in dataclasses.fields(m)
            if getattr(m, f.name) is not None
        )
    )
    problem = build_problem(m, survey.frames, order)
    rng = np.random.default_rng(0)
    weight = rng.uniform(0, 1e4, problem.mag.size) * (rng.random(problem.mag.size) < 0.9)
    lower = np.tril(data_matrix(problem, weight, _layout(problem), 0, path))
    matrix = lower + np.tril(lower, -1).T
    v = rng.normal(size=matrix.shape[0])
    image = np.zeros_like(v)
    apply_reduced(problem.start, problem.frame, problem.x, problem.y, weight, v, problem.k, image)
    np.testing.assert_allclose(matrix @ v, image, rtol=1e-6, atol=1e-6 * np.abs(image).max())
    back = np.empty(len(m))
    back[problem.rows] = weight
    full, chosen = full_design(m, survey.frames, order, back)
    normal = full.T @ (back[chosen, None] * full)
    p = v.size
    schur = normal[:p, :p] - normal[:p, p:] @ np.linalg.pinv(normal[p:, p:]) @ normal[p:, :p]
    np.testing.assert_allclose(matrix, schur, atol=1e-8 * np.abs(schur).max())


def test_a_constant_and_a_sky_polynomial_are_null():
    survey = simulate_survey(dataclasses.replace(SMALL, n_cameras=1), seed=5)
    problem = build_problem(survey.measurements, survey.frames, 2)
    weight = 1.0 / problem.var
    sky = survey.star_xy[problem.star]
    q = terms.design(sky[:, 0], sky[:, 1], 2) @ np.array([0.3, -0.2, 0.1, 0.5, -0.4, 0.2])
    v = np.zeros((problem.n_frames, 6))
    for i in range(problem.n_frames):
        mine = problem.frame == i
        v[i] = np.linalg.lstsq(terms.design(problem.x[mine], problem.y[mine], 2), q[mine], rcond=None)[0]
    image = np.zeros(v.size)
    apply_reduced(problem.start, problem.frame, problem.x, problem.y, weight, v.ravel(), 6, image)
    scale = np.zeros(v.size)
    random = np.random.default_rng(0).normal(size=v.size)
    apply_reduced(problem.start, problem.frame, problem.x, problem.y, weight, random, 6, scale)
    assert np.linalg.norm(image) < 1e-6 * np.linalg.norm(scale)


def test_leverages_are_the_diagonal_of_the_hat_matrix():
    survey = simulate_survey(SMALL, seed=6)
    problem = build_problem(survey.measurements, survey.frames, 1)
    weight = 1.0 / problem.var
    lower = np.tril(data_matrix(problem, weight, _layout(problem), 0))
    matrix = lower + np.tril(lower, -1).T
    prior = np.diag(_layout(problem).prior)
    prior[:: problem.k, :: problem.k] += 1e4 / problem.n_frames
    leverage = np.full(weight.size, np.nan)
    local = np.arange(problem.n_frames)
    stars = np.arange(problem.n_stars)
    columns = (problem.start, problem.frame, problem.x, problem.y, weight, local, problem.k)
    point_leverages(stars, *columns, np.linalg.inv(matrix + prior), leverage)
    back = np.empty(weight.size)
    back[problem.rows] = weight
    full, _ = full_design(survey.measurements, survey.frames, 1, back)
    normal = full.T @ (back[:, None] * full)
    normal[: prior.shape[0], : prior.shape[0]] += prior
    normal += np.diag(np.where(np.diag(normal) == 0, 1.0, 0.0))
    hat = np.sum((full @ np.linalg.inv(normal)) * full, axis=1) * back
    np.testing.assert_allclose(leverage, hat[problem.rows], atol=1e-7)
