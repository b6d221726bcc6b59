"""The loops of the joint PSF fit: fluxes of all stars of a frame with their neighbours, and what they leave.

Stars are given by stamps (photodb.images.psf.Stamps): `boxes` (n, 4), `offsets` (n + 1,), `values`; images are in ADU
with the background taken off; `weight` is one over the variance of a pixel, 0 where it cannot be used.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

MOST_NEIGHBOURS = 12
SLICES = 16
"""Slices of a pixel that a circle cuts."""
HALF_DIAGONAL = 0.7072
"""px; a pixel whose middle is farther than this inside or outside a circle is not cut by it."""


@njit(cache=True, nogil=True)
def add_stamps(image, boxes, offsets, values, flux):
    """Add the stars to an image, in place."""
    for i in range(len(flux)):
        if flux[i] == 0.0 or not math.isfinite(flux[i]):
            continue
        k = offsets[i]
        for y in range(boxes[i, 2], boxes[i, 3]):
            for x in range(boxes[i, 0], boxes[i, 1]):
                image[y, x] += np.float32(flux[i] * values[k])
                k += 1


@njit(cache=True, nogil=True)
def set_weights(data, variance, gain, model, weight):
    """Write the weights, of the background's variance and the model's photons; the residual takes the model's place."""
    for y in range(data.shape[0]):
        for x in range(data.shape[1]):
            v = variance[y, x]
            m = model[y, x]
            weight[y, x] = (
                np.float32(1.0) / (v + max(m, np.float32(0.0)) / gain) if v > 0 else np.float32(0.0)
            )
            model[y, x] = data[y, x] - m


@njit(cache=True, nogil=True)
def model_noise(data, residual, variance, gain, share):
    """Return the noise of the residual: of the background, of the photons taken off, and a share of them."""
    out = np.empty_like(data)
    for y in range(data.shape[0]):
        for x in range(data.shape[1]):
            m = data[y, x] - residual[y, x]
            out[y, x] = math.sqrt(variance[y, x] + max(m, np.float32(0.0)) / gain + (share * m) ** 2)
    return out


@njit(cache=True, nogil=True)
def without_far(data, residual, variance, gain, share, sigma):
    """Return the variance, 0 where the residual is more than `sigma` of `model_noise`."""
    out = np.empty_like(variance)
    for y in range(data.shape[0]):
        for x in range(data.shape[1]):
            v, r = variance[y, x], residual[y, x]
            m = data[y, x] - r
            limit = sigma * sigma * (v + max(m, np.float32(0.0)) / gain + (share * m) ** 2)
            out[y, x] = np.float32(0.0) if r * r > limit else v
    return out


@njit(cache=True, nogil=True)
def sweep(residual, weight, boxes, offsets, values, xs, ys, radius, flux, first, others, tolerance, most):
    """Fit each star to what the others leave, in turn, until none moves by more than `tolerance` of its error.

    `others[first[i]:first[i + 1]]` are the neighbours of star i: only they are looked at again when it moved.
    `residual` and `flux` are changed in place. Returns the sums of weight P^2 and of P, that over the good pixels and
    over all.
    """
    n = len(flux)
    dirty = np.ones(n, np.bool_)
    sums = np.zeros((n, 3))
    limit = radius * radius
    for _ in range(most):
        moved = False
        for i in range(n):
            if not dirty[i]:
                continue
            dirty[i] = False
            k = offsets[i]
            up, down, seen, whole = 0.0, 0.0, 0.0, 0.0
            for y in range(boxes[i, 2], boxes[i, 3]):
                dy2 = (y - ys[i]) ** 2
                for x in range(boxes[i, 0], boxes[i, 1]):
                    if dy2 + (x - xs[i]) ** 2 <= limit:
                        p = values[k]
                        w = weight[y, x]
                        up += w * p * residual[y, x]
                        down += w * p * p
                        whole += p
                        if w > 0.0:
                            seen += p
                    k += 1
            sums[i, 0], sums[i, 1], sums[i, 2] = down, seen, whole
            if down <= 0.0:
                continue
            change = up / down
            if abs(change) * math.sqrt(down) < tolerance:
                continue
            flux[i] += change
            k = offsets[i]
            step = np.float32(change)
            for y in range(boxes[i, 2], boxes[i, 3]):
                for x in range(boxes[i, 0], boxes[i, 1]):
                    residual[y, x] -= step * values[k]
                    k += 1
            for m in range(first[i], first[i + 1]):
                dirty[others[m]] = True
                moved = True
        if not moved:
            break
    return sums


@njit(cache=True, nogil=True)
def overlap(weight, boxes, offsets, values, xs, ys, radius, i, j):
    """Return the sum of weight P_i P_j over the pixels within `radius` of star i."""
    x0, x1 = max(boxes[i, 0], boxes[j, 0]), min(boxes[i, 1], boxes[j, 1])
    y0, y1 = max(boxes[i, 2], boxes[j, 2]), min(boxes[i, 3], boxes[j, 3])
    wi, wj = boxes[i, 1] - boxes[i, 0], boxes[j, 1] - boxes[j, 0]
    limit = radius * radius
    total = 0.0
    for y in range(y0, y1):
        ki = offsets[i] + (y - boxes[i, 2]) * wi - boxes[i, 0]
        kj = offsets[j] + (y - boxes[j, 2]) * wj - boxes[j, 0]
        dy2 = (y - ys[i]) ** 2
        for x in range(x0, x1):
            if dy2 + (x - xs[i]) ** 2 <= limit:
                total += weight[y, x] * values[ki + x] * values[kj + x]
    return total


@njit(cache=True, nogil=True)
def marginal_errors(weight, boxes, offsets, values, xs, ys, radius, sums, first, others):
    """Return the error of each flux with its nearest neighbours' fluxes free; NaN where no pixel is good."""
    n = len(xs)
    out = np.full(n, np.nan)
    for i in range(n):
        if sums[i, 0] <= 0.0:
            continue
        m = 1
        group = np.empty(MOST_NEIGHBOURS + 1, np.int64)
        group[0] = i
        for k in range(first[i], first[i + 1]):
            j = others[k]
            if (
                m <= MOST_NEIGHBOURS
                and sums[j, 0] > 0.0
                and (xs[j] - xs[i]) ** 2 + (ys[j] - ys[i]) ** 2 < radius**2
            ):
                group[m] = j
                m += 1
        if m == 1:
            out[i] = 1.0 / math.sqrt(sums[i, 0])
            continue
        a = np.empty((m, m))
        for r in range(m):
            for c in range(r, m):
                both = (
                    sums[group[r], 0]
                    if r == c
                    else overlap(weight, boxes, offsets, values, xs, ys, radius, group[r], group[c])
                )
                a[r, c] = both
                a[c, r] = both
        for r in range(m):
            a[r, r] *= 1.0 + 1e-6
        unit = np.zeros(m)
        unit[0] = 1.0
        found = np.linalg.solve(a, unit)[0]
        out[i] = math.sqrt(found) if found > 0.0 else 1.0 / math.sqrt(sums[i, 0])
    return out


@njit(cache=True, nogil=True)
def judge_stars(residual, weight, boxes, offsets, values, broad, xs, ys, radius, flux):
    """Return chi2 a pixel, and how much broader than the function each star is, as ln(size), with its error (n, 3).

    `broad` are the stamps of a function that is a little wider. A star is compared with both, its neighbours taken off
    (the idea of SPREAD_MODEL, Desai et al. 2012, doi:10.1088/0004-637X/757/1/83); the comparison is put on a scale
    on which the broad function itself is 1.
    """
    n = len(flux)
    out = np.full((n, 3), np.nan)
    limit = radius * radius
    for i in range(n):
        k = offsets[i]
        chi2, count = 0.0, 0
        dg = dp = gg = gp = pp = 0.0
        for y in range(boxes[i, 2], boxes[i, 3]):
            dy2 = (y - ys[i]) ** 2
            for x in range(boxes[i, 0], boxes[i, 1]):
                w = weight[y, x]
                if w > 0.0 and dy2 + (x - xs[i]) ** 2 <= limit:
                    p, g, r = values[k], broad[k], residual[y, x]
                    d = r + flux[i] * p
                    chi2 += w * r * r
                    count += 1
                    dg += w * d * g
                    dp += w * d * p
                    gg += w * g * g
                    gp += w * g * p
                    pp += w * p * p
                k += 1
        if count < 5 or pp <= 0.0:
            continue
        out[i, 0] = chi2 / (count - 1)
        scale = gg / gp - gp / pp
        if dp <= 0.0 or scale <= 0.0:
            continue
        out[i, 1] = (dg / dp - gp / pp) / scale
        out[i, 2] = math.sqrt(max(gg * dp * dp + pp * dg * dg - 2.0 * gp * dg * dp, 0.0)) / (dp * dp * scale)
    return out


@njit(cache=True, nogil=True)
def clean_centroids(residual, boxes, offsets, values, flux, rows, xs, ys, sigma):
    """Return the windowed centroids of some stars with their neighbours taken off; NaN where there is none."""
    out = np.full((len(rows), 2), np.nan)
    for r in range(len(rows)):
        i = rows[r]
        cx, cy = xs[i], ys[i]
        for _ in range(15):
            s = sx = sy = 0.0
            k = offsets[i]
            for y in range(boxes[i, 2], boxes[i, 3]):
                for x in range(boxes[i, 0], boxes[i, 1]):
                    r2 = (x - cx) ** 2 + (y - cy) ** 2
                    if r2 <= 16.0 * sigma * sigma:
                        w = math.exp(-0.5 * r2 / (sigma * sigma)) * (residual[y, x] + flux[i] * values[k])
                        s += w
                        sx += w * (x - cx)
                        sy += w * (y - cy)
                    k += 1
            if s <= 0.0:
                break
            move_x, move_y = 2.0 * sx / s, 2.0 * sy / s
            cx, cy = cx + move_x, cy + move_y
            if (cx - xs[i]) ** 2 + (cy - ys[i]) ** 2 > sigma * sigma + 1.0:
                break
            if abs(move_x) < 1e-3 and abs(move_y) < 1e-3:
                out[r, 0], out[r, 1] = cx, cy
                break
    return out


@njit(cache=True, nogil=True)
def circle_share(dx, dy, radius):
    """Return the share of a pixel whose middle lies (dx, dy) from a circle's centre that the circle covers."""
    far = math.hypot(abs(dx) + 0.5, abs(dy) + 0.5)
    if far <= radius:
        return 1.0
    near = math.hypot(max(abs(dx) - 0.5, 0.0), max(abs(dy) - 0.5, 0.0))
    if near >= radius:
        return 0.0
    total = 0.0
    for k in range(SLICES):
        v = dy - 0.5 + (k + 0.5) / SLICES
        if abs(v) < radius:
            half = math.sqrt(radius * radius - v * v)
            total += max(min(dx + 0.5, half) - max(dx - 0.5, -half), 0.0)
    return total / SLICES


@njit(cache=True, nogil=True)
def own_apertures(data, residual, boxes, offsets, values, flux, xs, ys, radii):
    """Sum each star in circles with all others taken off; returns (n, k, 2): its counts, and the light taken off."""
    ny, nx = data.shape
    out = np.zeros((len(xs), len(radii), 2))
    widest = np.max(radii)
    whole, none = np.maximum(radii - HALF_DIAGONAL, 0.0) ** 2, (radii + HALF_DIAGONAL) ** 2
    for i in range(len(xs)):
        x0, x1, y0, y1 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        f = flux[i] if math.isfinite(flux[i]) else 0.0
        for y in range(max(0, math.floor(ys[i] - widest)), min(ny - 1, math.ceil(ys[i] + widest)) + 1):
            dy = y - ys[i]
            for x in range(max(0, math.floor(xs[i] - widest)), min(nx - 1, math.ceil(xs[i] + widest)) + 1):
                dx = x - xs[i]
                r2 = dx * dx + dy * dy
                own = 0.0
                if x0 <= x < x1 and y0 <= y < y1:
                    own = f * values[offsets[i] + (y - y0) * (x1 - x0) + x - x0]
                mine = residual[y, x] + own
                taken = data[y, x] - mine
                for k in range(len(radii)):
                    if r2 >= none[k]:
                        continue
                    share = 1.0 if r2 < whole[k] else circle_share(dx, dy, radii[k])
                    out[i, k, 0] += share * mine
                    out[i, k, 1] += share * taken
    return out
