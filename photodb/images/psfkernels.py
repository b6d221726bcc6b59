"""The loops over pixels of the point-spread function: shapes of stars, the table of residuals, stamps.

A profile is an elliptical Moffat function (Moffat 1969, A&A 3, 455) or Gaussian of central value 1, to which a table of
residuals is added; its form is given by ln(size), e1 and e2 with q = ((1 - e1) dx^2 + (1 + e1) dy^2 - 2 e2 dx dy) /
(size^2 sqrt(1 - e1^2 - e2^2)). `twice_beta` 0 stands for the Gaussian exp(-q / 2), else (1 + q)^(-twice_beta / 2):
whole halves need no power function.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..core.terms import fill_terms

TERMS = 6
"""Terms of a quadratic in scaled position (photodb.core.terms)."""


@njit(cache=True, nogil=True, inline="always")
def profile(q, twice_beta):
    """Return the profile at the scaled squared distance q."""
    if twice_beta == 0:
        return math.exp(-0.5 * q)
    inverse = 1.0 / (1.0 + q)
    value = math.sqrt(inverse) if twice_beta % 2 else 1.0
    for _ in range(twice_beta // 2):
        value *= inverse
    return value


@njit(cache=True, nogil=True)
def solve_small(a, b):
    """Solve a small positive definite system in place by Cholesky; return whether it could be."""
    n = len(b)
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            if i == j:
                if s <= 0.0:
                    return False
                a[i, i] = math.sqrt(s)
            else:
                a[i, j] = s / a[j, j]
    for i in range(n):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]
    return True


@njit(cache=True, nogil=True)
def fit_shapes(data, variance, xs, ys, radius, size, twice_beta, gain):
    """Fit amplitude, sky and shape of each star at its place, by damped Gauss-Newton steps.

    Returns (n, 7): amplitude, sky, ln(size), e1, e2, chi2 a degree of freedom, whether it converged.
    """
    ny, nx = data.shape
    n = len(xs)
    out = np.full((n, 7), np.nan)
    a, b, d = np.zeros((5, 5)), np.zeros(5), np.zeros(5)
    for i in range(n):
        x0, x1 = max(0, math.ceil(xs[i] - radius)), min(nx - 1, int(xs[i] + radius))
        y0, y1 = max(0, math.ceil(ys[i] - radius)), min(ny - 1, int(ys[i] + radius))
        p = np.zeros(5)
        p[0], p[2] = max(data[round(ys[i]), round(xs[i])], 1e-6), math.log(size)
        chi2, count, last = 0.0, 0, 1e300
        good = False
        for step in range(15):
            a[:], b[:] = 0.0, 0.0
            chi2, count = 0.0, 0
            e2sum = p[3] * p[3] + p[4] * p[4]
            root = 1.0 / math.sqrt(1.0 - e2sum)
            inverse = math.exp(-2.0 * p[2]) * root
            for y in range(y0, y1 + 1):
                dy = y - ys[i]
                for x in range(x0, x1 + 1):
                    dx = x - xs[i]
                    if dx * dx + dy * dy > radius * radius or not variance[y, x] > 0.0:
                        continue
                    q = ((1.0 - p[3]) * dx * dx + (1.0 + p[3]) * dy * dy - 2.0 * p[4] * dx * dy) * inverse
                    f = profile(q, twice_beta)
                    model = p[0] * f
                    w = 1.0 / (variance[y, x] + max(model, 0.0) / gain + (0.01 * model) ** 2)
                    r = data[y, x] - model - p[1]
                    slope = -0.5 * model if twice_beta == 0 else -0.5 * twice_beta * model / (1.0 + q)
                    d[0], d[1], d[2] = f, 1.0, -2.0 * q * slope
                    d[3] = slope * ((dy * dy - dx * dx) * inverse + q * p[3] * root * root)
                    d[4] = slope * (-2.0 * dx * dy * inverse + q * p[4] * root * root)
                    chi2 += w * r * r
                    count += 1
                    for k in range(5):
                        b[k] += w * d[k] * r
                        for m in range(k + 1):
                            a[k, m] += w * d[k] * d[m]
            if count < 12:
                break
            for k in range(5):
                a[k, k] *= 1.0 + 1e-4
            if not solve_small(a, b):
                break
            damp = min(1.0, 0.5 / max(abs(b[2]), 1e-12), 0.3 / max(abs(b[3]), abs(b[4]), 1e-12))
            for k in range(5):
                p[k] += damp * b[k]
            length = math.sqrt(p[3] * p[3] + p[4] * p[4])
            if length > 0.9:
                p[3], p[4] = p[3] * 0.9 / length, p[4] * 0.9 / length
            if not abs(p[2]) < 6.0:
                break
            if step > 1 and abs(last - chi2) < 1e-3 * chi2 + 1e-9:
                good = True
                break
            last = chi2
        out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4] = p[0], p[1], p[2], p[3], p[4]
        out[i, 5], out[i, 6] = chi2 / max(count - 5, 1), 1.0 if good else 0.0
    return out


@njit(cache=True, nogil=True)
def place_profile(shapes, table, sums, step, twice_beta, u, v, combined):
    """Work out the profile at one place: returns size^-2 factors xx, yy, xy and 1 / norm; fills the table there.

    shapes (3, 6): coefficients of ln(size), e1, e2; table (terms, m, m); sums (terms,): the table's integrals.
    """
    terms = np.empty(TERMS)
    fill_terms(u, v, TERMS, terms)
    form = np.zeros(3)
    for k in range(3):
        for t in range(TERMS):
            form[k] += shapes[k, t] * terms[t]
    length = math.sqrt(form[1] * form[1] + form[2] * form[2])
    if length > 0.9:
        form[1], form[2] = form[1] * 0.9 / length, form[2] * 0.9 / length
    inverse = math.exp(-2.0 * form[0]) / math.sqrt(1.0 - form[1] * form[1] - form[2] * form[2])
    area = math.pi * math.exp(2.0 * form[0])
    norm = 2.0 * area if twice_beta == 0 else area / (0.5 * twice_beta - 1.0)
    n_terms, m = table.shape[0], combined.shape[0]
    for t in range(n_terms):
        norm += sums[t] * terms[t]
    for j in range(m):
        for i in range(m):
            total = 0.0
            for t in range(n_terms):
                total += terms[t] * table[t, j, i]
            combined[j, i] = total
    return (1.0 - form[1]) * inverse, (1.0 + form[1]) * inverse, -2.0 * form[2] * inverse, 1.0 / norm


@njit(cache=True, nogil=True, inline="always")
def table_value(combined, dx, dy, step):
    """Return the table at an offset, between its nodes linearly; 0 outside."""
    m = combined.shape[0]
    half = m // 2
    fx, fy = dx / step + half, dy / step + half
    i, j = math.floor(fx), math.floor(fy)
    if i < 0 or j < 0 or i >= m - 1 or j >= m - 1:
        return 0.0
    fx, fy = fx - i, fy - j
    low = combined[j, i] * (1.0 - fx) + combined[j, i + 1] * fx
    high = combined[j + 1, i] * (1.0 - fx) + combined[j + 1, i + 1] * fx
    return low * (1.0 - fy) + high * fy


@njit(cache=True, nogil=True)
def make_stamps(xs, ys, radii, cells, us, vs, shapes, tables, sums, step, twice_beta, nx, ny):
    """Return the profile of each star over its pixels, each of unit integral.

    Returns boxes (n, 4): first and last column and row (last excluded; empty off the frame), offsets (n + 1,) into the
    flat values, and the values, row by row.
    """
    n = len(xs)
    boxes, offsets = np.zeros((n, 4), np.int64), np.zeros(n + 1, np.int64)
    for i in range(n):
        x0, x1 = max(0, math.ceil(xs[i] - radii[i])), min(nx, math.floor(xs[i] + radii[i]) + 1)
        y0, y1 = max(0, math.ceil(ys[i] - radii[i])), min(ny, math.floor(ys[i] + radii[i]) + 1)
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = x0, max(x1, x0), y0, max(y1, y0)
        offsets[i + 1] = offsets[i] + (boxes[i, 1] - x0) * (boxes[i, 3] - y0)
    values = np.zeros(offsets[n], np.float32)
    m = tables.shape[2]
    combined = np.zeros((m, m))
    for i in range(n):
        c = cells[i]
        xx, yy, xy, scale = place_profile(
            shapes[c], tables[c], sums[c], step, twice_beta, us[i], vs[i], combined
        )
        k = offsets[i]
        limit = radii[i] * radii[i]
        for y in range(boxes[i, 2], boxes[i, 3]):
            dy = y - ys[i]
            for x in range(boxes[i, 0], boxes[i, 1]):
                dx = x - xs[i]
                if dx * dx + dy * dy <= limit:
                    value = profile(xx * dx * dx + yy * dy * dy + xy * dx * dy, twice_beta)
                    values[k] = (value + table_value(combined, dx, dy, step)) * scale
                k += 1
    return boxes, offsets, values


@njit(cache=True, nogil=True)
def tally_table(data, variance, xs, ys, us, vs, fits, shapes, table, sums, step, twice_beta, gain, n_terms):
    """Add up the normal equations of what the profile leaves of the stars, node by node of the table.

    Each pixel speaks for its four nodes by its nearness; the values are in units of the star's amplitude. `fits`
    (n, 2): amplitude and sky of each star.

    Returns a (m, m, terms, terms), b (m, m, terms) and each star's chi2 a pixel.
    """
    ny, nx = data.shape
    m = table.shape[1]
    half = m // 2
    a, b = np.zeros((m, m, n_terms, n_terms)), np.zeros((m, m, n_terms))
    chi2 = np.zeros(len(xs))
    combined, terms = np.zeros((m, m)), np.zeros(TERMS)
    reach = (half - 1) * step
    for i in range(len(xs)):
        xx, yy, xy, _ = place_profile(shapes, table, sums, step, twice_beta, us[i], vs[i], combined)
        fill_terms(us[i], vs[i], TERMS, terms)
        count = 0
        for y in range(max(0, math.ceil(ys[i] - reach)), min(ny - 1, int(ys[i] + reach)) + 1):
            dy = y - ys[i]
            for x in range(max(0, math.ceil(xs[i] - reach)), min(nx - 1, int(xs[i] + reach)) + 1):
                dx = x - xs[i]
                if not variance[y, x] > 0.0:
                    continue
                value = profile(xx * dx * dx + yy * dy * dy + xy * dx * dy, twice_beta)
                value += table_value(combined, dx, dy, step)
                model = fits[i, 0] * value
                total = variance[y, x] + max(model, 0.0) / gain
                r = data[y, x] - model - fits[i, 1]
                chi2[i] += r * r / (total + (0.01 * model) ** 2)
                count += 1
                total += (0.02 * model) ** 2 + 1e-6 * fits[i, 0] ** 2
                if r * r > 25.0 * total:
                    continue  # a neighbour, or a cosmic ray
                r /= fits[i, 0]
                w = fits[i, 0] * fits[i, 0] / total
                fx, fy = dx / step + half, dy / step + half
                ix, iy = math.floor(fx), math.floor(fy)
                fx, fy = fx - ix, fy - iy
                for jj in range(2):
                    for ii in range(2):
                        share = w * (fx if ii else 1.0 - fx) * (fy if jj else 1.0 - fy)
                        for t in range(n_terms):
                            b[iy + jj, ix + ii, t] += share * terms[t] * r
                            for s in range(t + 1):
                                a[iy + jj, ix + ii, t, s] += share * terms[t] * terms[s]
        chi2[i] /= max(count, 1)
    return a, b, chi2


@njit(cache=True, nogil=True)
def solve_table(a, b, ridge):
    """Solve every node's equations, each term held near zero by `ridge` (terms,); returns (terms, m, m)."""
    m, n_terms = a.shape[0], a.shape[2]
    out = np.zeros((n_terms, m, m))
    for j in range(m):
        for i in range(m):
            matrix, vector = a[j, i].copy(), b[j, i].copy()
            for t in range(n_terms):
                matrix[t, t] += ridge[t]
            if solve_small(matrix, vector):
                out[:, j, i] = vector
    return out


@njit(cache=True, nogil=True)
def fit_amplitudes(data, variance, xs, ys, us, vs, radius, shapes, table, sums, step, twice_beta, gain):
    """Fit amplitude (of the central value) and sky of each star with a given profile; (n, 2), NaN if it fails."""
    ny, nx = data.shape
    m = table.shape[1]
    combined = np.zeros((m, m))
    out = np.full((len(xs), 2), np.nan)
    for i in range(len(xs)):
        xx, yy, xy, _ = place_profile(shapes, table, sums, step, twice_beta, us[i], vs[i], combined)
        guess = max(data[round(ys[i]), round(xs[i])], 0.0)
        for _ in range(2):
            s11 = s12 = s22 = b1 = b2 = 0.0
            for y in range(max(0, math.ceil(ys[i] - radius)), min(ny - 1, int(ys[i] + radius)) + 1):
                dy = y - ys[i]
                for x in range(max(0, math.ceil(xs[i] - radius)), min(nx - 1, int(xs[i] + radius)) + 1):
                    dx = x - xs[i]
                    if dx * dx + dy * dy > radius * radius or not variance[y, x] > 0.0:
                        continue
                    value = profile(xx * dx * dx + yy * dy * dy + xy * dx * dy, twice_beta)
                    value += table_value(combined, dx, dy, step)
                    w = 1.0 / (variance[y, x] + max(guess * value, 0.0) / gain + (0.01 * guess * value) ** 2)
                    s11 += w * value * value
                    s12 += w * value
                    s22 += w
                    b1 += w * value * data[y, x]
                    b2 += w * data[y, x]
            det = s11 * s22 - s12 * s12
            if det <= 1e-12 * s11 * s22 or s22 <= 0.0:
                break
            guess = (b1 * s22 - b2 * s12) / det
            out[i, 0], out[i, 1] = guess, (s11 * b2 - s12 * b1) / det
    return out
