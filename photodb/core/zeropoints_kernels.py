"""The passes of the zero-point solver over the measurements, sorted by star (CSR columns).

All kernels take flat columns: `start` (n_stars + 1,) offsets of the stars, `frame` (n,) uint32, `x`, `y` (n,) scaled
positions, `weight` (n,) current weights. Parameters are flat too: term a of frame i is at i * k + a. With the star
magnitudes eliminated, the reduced operator is

    (S v)_i = sum_n w_n (u_n - <u>_j) phi_n,    u_n = phi_n . v_i,    <u>_j = sum_n w_n u_n / sum_n w_n

where n runs over the points of frame i, j is the star of n: applied in one pass, or assembled where it is small.
"""

from __future__ import annotations

import numba
import numpy as np

from photodb.core.robust import tukey_weight
from photodb.core.terms import fill_terms

PLAIN, HUBER, TUKEY = 0, 1, 2


@numba.njit(cache=True)
def _weigh(residual, var, use, c2, mode):  # type: ignore[no-untyped-def]
    if not use:
        return 0.0
    t2 = residual * residual / var
    if mode == TUKEY:
        return tukey_weight(t2, c2) / var
    if mode == HUBER and t2 > 1.0:
        return 1.0 / (np.sqrt(t2) * var)
    return 1.0 / var


@numba.njit(cache=True)
def weigh_stars(start, value, var, use, c, mode, restart, star_mag, weight):  # type: ignore[no-untyped-def]
    """Find each star's robust magnitude and the weights of its points, given calibrated values; in place.

    A restarted star begins at the median of its usable points and takes two steps with a widened biweight, so that
    one bad point cannot capture a bright star; then come two steps at full strictness.
    """
    buffer = np.empty(np.max(start[1:] - start[:-1]))
    for j in range(start.size - 1):
        count = 0
        for n in range(start[j], start[j + 1]):
            if use[n]:
                buffer[count] = value[n]
                count += 1
        if count == 0:
            for n in range(start[j], start[j + 1]):
                weight[n] = 0.0
            continue
        centre = star_mag[j]
        first = 2
        if restart or not np.isfinite(centre):
            centre = np.median(buffer[:count])
            first = 0
        for step in range(first, 4):
            widen = 4.0 if step == 0 else (2.0 if step == 1 else 1.0)
            c2 = (c * widen) ** 2
            total = 0.0
            moment = 0.0
            for n in range(start[j], start[j + 1]):
                w = _weigh(value[n] - centre, var[n], use[n], c2, mode)
                weight[n] = w
                total += w
                moment += w * (value[n] - centre)
            if total > 0.0:
                centre += moment / total
        star_mag[j] = centre


@numba.njit(cache=True)
def mark_shared(start, frame, use, shared, counts):  # type: ignore[no-untyped-def]
    """Mark usable points of stars seen on two frames at least, and count such stars on each frame, in place."""
    for j in range(start.size - 1):
        last, n_frames = np.int64(-1), 0
        for n in range(start[j], start[j + 1]):
            here = np.int64(frame[n])
            if use[n] and here != last:
                last = here
                n_frames += 1
        if n_frames < 2:
            continue
        last = np.int64(-1)
        for n in range(start[j], start[j + 1]):
            if use[n]:
                here = np.int64(frame[n])
                shared[n] = True
                if here != last:
                    last = here
                    counts[last] += 1


@numba.njit(cache=True)
def star_means(start, value, weight, star_mag, star_weight):  # type: ignore[no-untyped-def]
    """Write each star's weighted mean and total weight; stars of no weight keep NaN and 0."""
    for j in range(start.size - 1):
        total = 0.0
        moment = 0.0
        origin = value[start[j]] if start[j] < start[j + 1] else 0.0
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                total += weight[n]
                moment += weight[n] * (value[n] - origin)
        star_weight[j] = total
        star_mag[j] = origin + moment / total if total > 0.0 else np.nan


@numba.njit(cache=True)
def reduced_gradient(start, frame, x, y, value, weight, star_mag, k, out):  # type: ignore[no-untyped-def]
    """Add the gradient sum_n w_n (value_n - M_j) phi_n to `out`, flat (n_frames * k,)."""
    phi = np.empty(10)
    for j in range(start.size - 1):
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, phi)
                base = frame[n] * k
                wr = weight[n] * (value[n] - star_mag[j])
                for a in range(k):
                    out[base + a] += wr * phi[a]


@numba.njit(cache=True)
def apply_reduced(start, frame, x, y, weight, v, k, out):  # type: ignore[no-untyped-def]
    """Add the reduced operator applied to `v` to `out`, both flat (n_frames * k,), without building it."""
    phi = np.empty(10)
    buffer = np.empty(np.max(start[1:] - start[:-1]))
    for j in range(start.size - 1):
        total = 0.0
        mean = 0.0
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, phi)
                base = frame[n] * k
                u = 0.0
                for a in range(k):
                    u += phi[a] * v[base + a]
                buffer[n - start[j]] = u
                total += weight[n]
                mean += weight[n] * u
        if total == 0.0:
            continue
        mean /= total
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, phi)
                base = frame[n] * k
                wu = weight[n] * (buffer[n - start[j]] - mean)
                for a in range(k):
                    out[base + a] += wu * phi[a]


@numba.njit(cache=True)
def add_frame_blocks(stars, start, frame, x, y, weight, local, k, matrix):  # type: ignore[no-untyped-def]
    """Add sum_n w_n phi_n phi_n^T of each frame to the diagonal blocks of `matrix`."""
    phi = np.empty(10)
    for j in stars:
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, phi)
                base = local[frame[n]] * k
                for a in range(k):
                    wa = weight[n] * phi[a]
                    for b in range(k):
                        matrix[base + a, base + b] += wa * phi[b]


@numba.njit(cache=True)
def frame_normals(frame, x, y, weight, k, out):  # type: ignore[no-untyped-def]
    """Add sum_n w_n phi_n phi_n^T of each frame to `out`, (n_frames, k, k)."""
    phi = np.empty(10)
    for n in range(frame.size):
        if weight[n] > 0.0:
            fill_terms(x[n], y[n], k, phi)
            for a in range(k):
                for b in range(k):
                    out[frame[n], a, b] += weight[n] * phi[a] * phi[b]


@numba.njit(cache=True)
def subtract_star_pairs(stars, start, frame, x, y, weight, local, k, matrix):  # type: ignore[no-untyped-def]
    """Subtract each star's outer product from the lower triangle of `matrix`, pair by pair of its frames."""
    longest = 1
    for j in stars:
        longest = max(longest, start[j + 1] - start[j])
    rows = np.empty((longest, 10))
    column = np.empty(longest, np.int64)
    for j in stars:
        count = 0
        total = 0.0
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, rows[count])
                for a in range(k):
                    rows[count, a] *= weight[n]
                column[count] = local[frame[n]] * k
                total += weight[n]
                count += 1
        for m in range(count):
            for a in range(k):
                left = rows[m, a] / total
                for n in range(m + 1):
                    for b in range(k):
                        matrix[column[m] + a, column[n] + b] -= left * rows[n, b]
            for n in range(m):  # the same frame twice: its block needs the transposed product as well
                if column[n] == column[m]:
                    for a in range(k):
                        for b in range(k):
                            matrix[column[m] + b, column[n] + a] -= rows[m, a] * rows[n, b] / total


@numba.njit(cache=True)
def fill_star_rows(stars, start, frame, x, y, weight, local, k, rows):  # type: ignore[no-untyped-def]
    """Write sum w phi / sqrt(sum w) of each star over the frames' columns into the rows of a dense block."""
    phi = np.empty(10)
    for row in range(stars.size):
        j = stars[row]
        total = 0.0
        for n in range(start[j], start[j + 1]):
            total += weight[n]
        if total == 0.0:
            continue
        scale = 1.0 / np.sqrt(total)
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, phi)
                base = local[frame[n]] * k
                for a in range(k):
                    rows[row, base + a] += scale * weight[n] * phi[a]


@numba.njit(cache=True)
def point_leverages(stars, start, frame, x, y, weight, local, k, covariance, out):  # type: ignore[no-untyped-def]
    """Write the leverage of each weighted point: the share of its own error that the fit takes up.

    h_n = w_n (1 / W_j + u^T C u) with u = phi_n e_i - sum_m w_m phi_m e_i(m) / W_j and C the covariance of the
    frames' terms with stars eliminated. u does not see the gauge, so C may carry any gauge. Only the lower
    triangle of C is read.
    """
    longest = 1
    for j in stars:
        longest = max(longest, start[j + 1] - start[j])
    rows = np.empty((longest, 10))
    point = np.empty(longest, np.int64)
    cross = np.empty(longest)
    for j in stars:
        count = 0
        total = 0.0
        for n in range(start[j], start[j + 1]):
            if weight[n] > 0.0:
                fill_terms(x[n], y[n], k, rows[count])
                point[count] = n
                cross[count] = 0.0
                total += weight[n]
                count += 1
        mean = 0.0  # a^T C a with a = sum_m w_m phi_m / W
        for m in range(count):
            ci = local[frame[point[m]]] * k
            for n in range(m + 1):
                cj = local[frame[point[n]]] * k
                q = 0.0
                for a in range(k):
                    for b in range(k):
                        i, l = ci + a, cj + b
                        if i < l:
                            i, l = l, i
                        q += rows[m, a] * covariance[i, l] * rows[n, b]
                cross[m] += weight[point[n]] * q / total
                if n < m:
                    cross[n] += weight[point[m]] * q / total
                else:
                    out[point[m]] = q
        for m in range(count):
            mean += weight[point[m]] * cross[m] / total
        for m in range(count):
            n = point[m]
            out[n] = weight[n] * (1.0 / total + out[n] - 2.0 * cross[m] + mean)
