"""Spatial terms: closed forms, orthogonality, kernels against plain numpy."""

import numpy as np
import pytest
from numpy.polynomial import legendre

from photodb.core import terms


def test_terms_are_the_documented_legendre_products():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (2, 50))
    p = [lambda t, n=n: legendre.legval(t, np.eye(4)[n]) for n in range(4)]
    powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
    expected = np.column_stack([p[a](x) * p[b](y) for a, b in powers])
    for order in range(4):
        np.testing.assert_allclose(terms.design(x, y, order), expected[:, : terms.n_terms(order)], atol=1e-14)


def test_evaluate_and_variance_agree_with_the_design():
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 5, 200)
    x, y = rng.uniform(-1, 1, (2, 200))
    c = rng.normal(size=(5, 6))
    half = rng.normal(size=(5, 6, 6))
    covariance = half @ half.transpose(0, 2, 1)
    phi = terms.design(x, y, 2)
    np.testing.assert_allclose(terms.evaluate(c, frame, x, y), np.sum(c[frame] * phi, axis=1))
    expected = np.einsum("na,nab,nb->n", phi, covariance[frame], phi)
    np.testing.assert_allclose(terms.variance(covariance, frame, x, y), expected)


def test_pixels_scale_to_plus_and_minus_one():
    np.testing.assert_allclose(terms.scale_pixels([0, 49.5, 99], 100), [-1, 0, 1])


@pytest.mark.parametrize("order", [-1, 4])
def test_other_orders_are_refused(order):
    with pytest.raises(ValueError, match="order 0 to 3"):
        terms.n_terms(order)
