"""The hot loops over pixels, compiled by numba and kept in its cache.

All take background-subtracted float32 images indexed [y, x]; positions are (x, y) with 0 at the centre of the first
pixel.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=True)
def smooth(data, kernel):
    """Convolve with a symmetric kernel along x and y; beyond the border counts as 0.

    Rows are convolved into a ring of as many as the kernel is long, so that both passes stay in the cache.
    """
    ny, nx = data.shape
    half = len(kernel) // 2
    n = 2 * half + 1
    wide = np.zeros(nx + 2 * half, np.float32)
    ring = np.zeros((n, nx), np.float32)
    out = np.empty((ny, nx), np.float32)
    middle = kernel[half]
    for y in range(ny + half):
        row = ring[y % n]
        row[:] = 0.0
        if y < ny:
            line = data[y]
            for x in range(nx):
                wide[x + half] = line[x]
            for x in range(nx):
                row[x] = middle * wide[x + half]
            for k in range(1, half + 1):
                w = kernel[half + k]
                for x in range(nx):
                    row[x] += w * (wide[x + half - k] + wide[x + half + k])
        if y >= half:
            _add_rows(out[y - half], ring, kernel, y - half)
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _add_rows(target, ring, kernel, y):
    """Sum the rows of the ring about row `y`, weighed by the kernel; rows above the frame are 0."""
    n, nx = ring.shape
    half = n // 2
    middle, row = kernel[half], ring[y % n]
    for x in range(nx):
        target[x] = middle * row[x]
    for k in range(1, half + 1):
        w, below, above = kernel[half + k], ring[(y + k) % n], ring[(y - k) % n]
        if y - k < 0:
            for x in range(nx):
                target[x] += w * below[x]
        else:
            for x in range(nx):
                target[x] += w * (above[x] + below[x])


@njit(cache=True, nogil=True)
def spread_grain(data, grain):
    """Return the image with its steps of `grain` filled evenly, from -grain / 2 to grain / 2, the same on every call.

    A median of whole counts is a whole count; one of these is not (the sequence: Roberts' R2, of the plastic number).
    """
    ny, nx = data.shape
    out = np.empty_like(data)
    for y in range(ny):
        for x in range(nx):
            place = 0.7548776662466927 * x + 0.5698402909980532 * y
            out[y, x] = data[y, x] + np.float32(grain * (place - math.floor(place) - 0.5))
    return out


@njit(cache=True, nogil=True)
def peaks(image, noise, threshold, border):
    """Return x, y and height over noise of the pixels that top their eight neighbours and the threshold."""
    ny, nx = image.shape
    found_x, found_y, found_s = [0], [0], [0.0]
    for y in range(max(border, 1), ny - max(border, 1)):
        for x in range(max(border, 1), nx - max(border, 1)):
            v = image[y, x]
            if v <= threshold * noise[y, x]:
                continue
            if (
                v > image[y, x - 1]
                and v >= image[y, x + 1]
                and v > image[y - 1, x]
                and v >= image[y + 1, x]
                and v > image[y - 1, x - 1]
                and v > image[y - 1, x + 1]
                and v >= image[y + 1, x - 1]
                and v >= image[y + 1, x + 1]
            ):
                found_x.append(x)
                found_y.append(y)
                found_s.append(v / noise[y, x])
    return np.array(found_x[1:]), np.array(found_y[1:]), np.array(found_s[1:])


@njit(cache=True, nogil=True, fastmath=True)
def moments(data, xs, ys, sigma, adapt):
    """Windowed centroids and shapes: a round Gaussian window of width `sigma` follows each star.

    With `adapt` the window also takes the star's own width. Returns x, y, the variances xx, yy, xy of the star
    (window removed, NaN where not positive) and the windowed flux.
    """
    ny, nx = data.shape
    n = len(xs)
    out = np.full((n, 6), np.nan)
    window = np.empty(nx, np.float64)
    for i in range(n):
        cx, cy = xs[i], ys[i]
        width = sigma
        for step in range(20):
            reach = int(4.0 * width + 1)
            x0, x1 = max(0, int(cx) - reach), min(nx, int(cx) + reach + 2)
            y0, y1 = max(0, int(cy) - reach), min(ny, int(cy) + reach + 2)
            s = sx = sy = sxx = syy = sxy = 0.0
            inv = -0.5 / (width * width)
            limit = 16.0 * width * width
            across = window[: max(x1 - x0, 0)]
            for x in range(x0, x1):
                across[x - x0] = math.exp((x - cx) * (x - cx) * inv)
            for y in range(y0, y1):
                dy = y - cy
                if dy * dy > limit:
                    continue
                half = math.sqrt(limit - dy * dy)
                row = row_x = row_xx = 0.0
                for x in range(max(x0, math.ceil(cx - half)), min(x1, math.floor(cx + half) + 1)):
                    dx = x - cx
                    w = across[x - x0] * data[y, x]
                    row += w
                    row_x += w * dx
                    row_xx += w * dx * dx
                along = math.exp(dy * dy * inv)
                s += along * row
                sx += along * row_x
                sy += along * row * dy
                sxx += along * row_xx
                syy += along * row * dy * dy
                sxy += along * row_x * dy
            if s <= 0:
                break
            mx, my = sx / s, sy / s
            # a Gaussian star of variance v under a window of variance w shows its centroid shrunk by w / (v + w)
            move_x, move_y = 2.0 * mx, 2.0 * my
            cx += move_x
            cy += move_y
            if abs(cx - xs[i]) > 2.5 * sigma + 1 or abs(cy - ys[i]) > 2.5 * sigma + 1:
                break
            vxx, vyy, vxy = sxx / s - mx * mx, syy / s - my * my, sxy / s - mx * my
            det = vxx * vyy - vxy * vxy
            if det > 0:
                ixx, iyy, ixy = vyy / det + 2 * inv, vxx / det + 2 * inv, -vxy / det
                d = ixx * iyy - ixy * ixy
                if d > 0 and ixx > 0:
                    out[i, 2], out[i, 3], out[i, 4] = iyy / d, ixx / d, -ixy / d
                    if adapt:
                        width = min(max(math.sqrt(0.5 * (out[i, 2] + out[i, 3])), 0.5), 4.0 * sigma)
            out[i, 0], out[i, 1], out[i, 5] = cx, cy, s
            if step > 2 and abs(move_x) < 2e-4 and abs(move_y) < 2e-4:
                break
    return out


@njit(cache=True, nogil=True)
def count_bad(bad, xs, ys, radius):
    """Count the bad pixels whose centres lie within `radius` of each star."""
    ny, nx = bad.shape
    out = np.zeros(len(xs), np.int64)
    for i in range(len(xs)):
        for y in range(max(0, int(ys[i] - radius)), min(ny, int(ys[i] + radius) + 2)):
            for x in range(max(0, int(xs[i] - radius)), min(nx, int(xs[i] + radius) + 2)):
                if bad[y, x] and (x - xs[i]) ** 2 + (y - ys[i]) ** 2 <= radius * radius:
                    out[i] += 1
    return out


@njit(cache=True, nogil=True)
def cores(raw, data, bad, xs, ys, reach, level):
    """Look at each star's core in the raw frame.

    Returns the highest raw count within `reach`, the pixels at or above `level`, the bad pixels, the sharpness (the
    peak over the mean of its eight neighbours, background taken off), the peak and that mean; then the least mean of
    two opposite neighbours, among the two pairs along the axes and among the two along the diagonals.
    """
    ny, nx = data.shape
    n = len(xs)
    out = np.zeros((n, 8))
    for i in range(n):
        px, py = round(xs[i]), round(ys[i])
        top, saturated, broken = -1e30, 0, 0
        for y in range(max(0, py - reach), min(ny, py + reach + 1)):
            for x in range(max(0, px - reach), min(nx, px + reach + 1)):
                if (x - px) ** 2 + (y - py) ** 2 > reach * reach:
                    continue
                v = raw[y, x]
                if v > top:
                    top = v
                if v >= level:
                    saturated += 1
                elif bad[y, x]:
                    broken += 1
        out[i, 0], out[i, 1], out[i, 2] = top, saturated, broken
        best, bx, by = -1e30, px, py
        for y in range(max(1, py - 1), min(ny - 1, py + 2)):
            for x in range(max(1, px - 1), min(nx - 1, px + 2)):
                if data[y, x] > best:
                    best, bx, by = data[y, x], x, y
        around = 0.0
        if 1 <= bx < nx - 1 and 1 <= by < ny - 1:
            for y in range(by - 1, by + 2):
                for x in range(bx - 1, bx + 2):
                    around += data[y, x]
            around = (around - best) / 8.0
        out[i, 3] = best / around if best > 0.0 and around > 0.02 * best else 50.0
        out[i, 4], out[i, 5] = best, around
        if 1 <= bx < nx - 1 and 1 <= by < ny - 1:
            out[i, 6] = 0.5 * min(data[by, bx - 1] + data[by, bx + 1], data[by - 1, bx] + data[by + 1, bx])
            out[i, 7] = 0.5 * min(
                data[by - 1, bx - 1] + data[by + 1, bx + 1], data[by - 1, bx + 1] + data[by + 1, bx - 1]
            )
        else:
            out[i, 6], out[i, 7] = best, best
    return out
