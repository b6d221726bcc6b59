"""Find stars: a matched filter over the noise map, and how wide the stars are.

A star of Gaussian profile is best seen in the frame convolved with its own profile (Stetson 1987,
doi:10.1086/131977); the threshold is in sigmas of the convolved frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .kernels import cores, moments, peaks, smooth, spread_grain

FWHM_PER_SIGMA = 2.3548200450309493
THRESHOLD = 5.0
MATCHED = 0.7
"""Width of the filter in units of the stars' windowed one. A narrower filter than the matched one parts close pairs:
of stars above S/N 20 in a crowded frame it finds .93 instead of .91, and loses 2 % of the significance."""
MESH = 64
LARGE = 1_000_000
"""Pixels of a frame whose background is estimated from every second row."""
START_FWHM = 3.0
NEW_FWHM = 0.6
"""A star found on a residual image lies at least so far from every known one."""
MIRROR_FWHM, MIRROR_SHARE = 3.0, 0.5
"""How far a star's remains reach, and how high both sides of it are of each other."""
HOT_SHARPNESS = 4.5
"""Peak over the mean of its eight neighbours of a star of FWHM 1.6 px; what is sharper is no star."""
FWHM_LIMITS = (1.3, 40.0)
NEEDLE = 0.1
"""Least ratio of the variances along minor and major axis (axes 0.32) of what is taken for a star's width."""
MODE_WIDTH = 0.12
"""Half width, in ln FWHM, of the window that counts how the widths crowd."""
LEAST_MODE, SMALL_MODE = 8, 0.3
BANDS, BAND_HEIGHT = 4, 64


@dataclass(frozen=True)
class Background:
    """The smooth background of a frame and its noise."""

    level: NDArray[np.float32]  # (ny, nx) ADU
    noise: NDArray[np.float32]  # (ny, nx) ADU a pixel
    median: float  # ADU
    rms: float  # ADU


def background(
    data: NDArray[np.float32], bad: NDArray[np.bool_], mesh: int = MESH, grain: float = 0.0
) -> Background:
    """Estimate background and noise on a mesh (Bertin & Arnouts 1996, doi:10.1051/aas:1996164), by sep.

    Of large frames every second row is looked at: on crowded simulated ones the level is as far from the truth (0.10 to
    0.11 sigma of a pixel, what faint stars add) in half the time. The mode that sep takes, 2.5 medians less 1.5 means,
    is wrong by up to a whole step of the counts, whatever the noise: `grain`, that step (ADU), is filled evenly before.
    """
    size = max(8, min(mesh, min(data.shape) // 4))
    step = 2 if data.size > LARGE else 1
    rows, out = np.ascontiguousarray(data[::step]), np.ascontiguousarray(bad[::step])
    rows = spread_grain(rows, grain) if grain else rows
    found = sep.Background(rows, mask=out, bw=size, bh=size // step, fw=3, fh=3)
    level, noise = found.back(dtype=np.float32), found.rms(dtype=np.float32)
    floor = np.float32(max(float(found.globalrms) * 0.1, 1e-6))
    np.maximum(noise, floor, out=noise)
    if step > 1:
        level, noise = (np.repeat(v, step, axis=0)[: len(data)] for v in (level, noise))
    return Background(level, noise, float(found.globalback), float(found.globalrms))


def gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """Return a one-dimensional Gaussian of unit sum of squares."""
    half = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return (kernel / np.sqrt(np.sum(kernel**2))).astype(np.float32)


def matched(
    data: NDArray[np.float32], noise: NDArray[np.float32], fwhm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the filtered frame and the noise of its pixels."""
    filtered = smooth(data, gaussian_kernel(MATCHED * fwhm / FWHM_PER_SIGMA))
    growth = noise_growth(filtered, noise)
    return filtered, noise * np.float32(growth) if growth > 1 else noise


def candidates(
    data: NDArray[np.float32], noise: NDArray[np.float32], fwhm: float, threshold: float, border: int = 2
) -> NDArray:
    """Return x, y, significance (n, 3) of the peaks of the matched filter, most significant first."""
    return listed(*matched(data, noise, fwhm), threshold, border)


def listed(
    filtered: NDArray[np.float32], noise: NDArray[np.float32], threshold: float, border: int = 2
) -> NDArray:
    """Return x, y, significance (n, 3) of the peaks of a filtered frame, most significant first."""
    x, y, s = peaks(filtered, noise, threshold, border)
    order = np.argsort(-s, kind="stable")
    return np.stack([x, y, s], axis=1)[order].astype(float)


def left_over(
    residual: NDArray[np.float32],
    noise: NDArray[np.float32],
    x: NDArray,
    y: NDArray,
    fwhm: float,
    threshold: float,
    border: int = 2,
) -> NDArray:
    """Return x, y, significance (n, 3) of stars that stand out where the stars at `x`, `y` were taken off.

    What an imperfect or too narrow model leaves of a star (rings, the two ends of a galaxy) looks alike on both sides
    of it; a companion stands on one side. So peaks whose mirror image about a known star stands out too are left out.

    Parameters
    ----------
    residual : (ny, nx) ADU, after subtraction; 0 where a pixel cannot be used.
    noise : (ny, nx) ADU, photons of the subtracted stars and the error of the model included.
    x, y : (k,) px of the subtracted stars.
    """
    filtered, noise = matched(residual, noise, fwhm)
    found = listed(filtered, noise, threshold, border)
    if not len(found) or not len(x):
        return found
    near = cKDTree(np.column_stack([x, y])).query_ball_point(found[:, :2], MIRROR_FWHM * fwhm)
    mirrored = [
        max((_height(filtered, 2 * x[j] - p[0], 2 * y[j] - p[1]) for j in js), default=-np.inf)
        for p, js in zip(found, near)
    ]
    own = filtered[found[:, 1].astype(int), found[:, 0].astype(int)]
    keep = np.array(mirrored) < MIRROR_SHARE * own
    alone = keep & (cKDTree(np.column_stack([x, y])).query(found[:, :2])[0] > NEW_FWHM * fwhm)
    found = found[alone]
    return found[thin(found[:, :2], np.full(len(found), fwhm))]


def _height(image: NDArray, x: float, y: float) -> float:
    """Return the highest of the 3x3 pixels about a place; -inf off the frame."""
    i, j = round(x), round(y)
    part = image[max(0, j - 1) : max(0, j + 2), max(0, i - 1) : max(0, i + 2)]
    return float(part.max()) if part.size else -np.inf


def noise_growth(filtered: NDArray[np.float32], noise: NDArray[np.float32], step: int = 5) -> float:
    """Return how much larger the noise of the filtered frame is than white noise would make it, at least 1.

    Neighbouring pixels of resampled or interlaced frames share their noise; a threshold in sigmas must know. Only the
    dark side tells, where no stars are; of its width and its slope outwards the smaller counts: stars too faint to be
    found widen the one and not the other.
    """
    sample = filtered[::step, ::step] / noise[::step, ::step]
    far, near, middle = np.quantile(sample, [0.02275, 0.15866, 0.5])
    return float(max(1.0, min(middle - near, near - far)))


def thin(points: NDArray, radius: NDArray) -> NDArray[np.bool_]:
    """Keep of points (n, 2), best first, those that no better one within its own `radius` (n,) outdoes."""
    keep = np.ones(len(points), bool)
    if len(points) < 2:
        return keep
    near = cKDTree(points).query_ball_point(points, radius)
    for i, others in enumerate(near):
        if keep[i]:
            for j in others:
                if j > i:
                    keep[j] = False
    return keep


def star_width(
    data: NDArray[np.float32],
    noise: NDArray[np.float32],
    bad: NDArray[np.bool_],
    n_stars: int = 120,
    default: float = START_FWHM,
    sharpest: float = HOT_SHARPNESS,
) -> float:
    """Return the median FWHM (px) of bright unsaturated stars, `default` where there are fewer than three."""
    found = _bright(data, noise, 15.0, 4 * n_stars)
    if len(found) < 3:
        found = candidates(data, noise, START_FWHM, 7.0, border=8)
    xy = found[:, :2].astype(int)
    clean = np.array([not bad[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].any() for x, y in xy], bool)
    found = found[clean]
    found = found[cores(data, data, bad, found[:, 0], found[:, 1], 1, np.inf)[:, 3] < sharpest]
    chosen = _spread(found, data.shape)[: 2 * n_stars]
    if len(chosen) < 3:
        return default
    shape = moments(data, chosen[:, 0], chosen[:, 1], START_FWHM / FWHM_PER_SIGMA, True)
    return _typical_width(shape[:, 2], shape[:, 3], shape[:, 4], n_stars, default)


def _bright(data: NDArray, noise: NDArray, threshold: float, enough: int) -> NDArray:
    """Return bright candidates from bands over a third of the frame, or from all of it where these hold too few."""
    height = len(data) // (3 * BANDS)
    parts = []
    for first in range(height, len(data) - height, 3 * height) if height >= BAND_HEIGHT else ():
        band = slice(first, first + height)
        part = candidates(data[band], noise[band], START_FWHM, threshold, border=8)
        parts.append(part + np.array([0.0, first, 0.0]))
    found = np.concatenate(parts) if parts else np.empty((0, 3))
    if len(found) < enough:
        return candidates(data, noise, START_FWHM, threshold, border=8)
    return found[np.argsort(-found[:, 2], kind="stable")]


def _spread(found: NDArray, shape: tuple[int, ...], cells: int = 8, most: int = 5) -> NDArray:
    """Keep the best few of each part of the frame: a satellite's trail or one cluster must not speak for all."""
    size = max(shape) / cells
    cell = (found[:, 0] // size) * cells + found[:, 1] // size
    order = np.lexsort((np.arange(len(found)), cell))
    grouped = cell[order]
    rank = np.arange(len(order)) - np.searchsorted(grouped, grouped)
    return found[np.sort(order[rank < most])]


def _typical_width(xx: NDArray, yy: NDArray, xy: NDArray, n_stars: int, default: float) -> float:
    """Return the median FWHM of the stars, needles left out, where their widths crowd."""
    root = np.hypot((xx - yy) / 2, xy)
    minor, major = (xx + yy) / 2 - root, (xx + yy) / 2 + root
    fwhm = FWHM_PER_SIGMA * np.sqrt(np.maximum(0.5 * (xx + yy), 0))
    fwhm = fwhm[np.isfinite(fwhm) & (fwhm > 0.8) & (minor > NEEDLE * major)][:n_stars]
    if len(fwhm) < 3:
        return default
    narrow = np.abs(np.log(fwhm / _star_mode(fwhm))) < MODE_WIDTH * 2
    middle = np.median(fwhm[narrow])
    clipped = fwhm[np.abs(fwhm - middle) < 3 * 1.4826 * np.median(np.abs(fwhm[narrow] - middle)) + 0.2]
    return float(np.clip(np.median(clipped), *FWHM_LIMITS))


def _star_mode(fwhm: NDArray) -> float:
    """Return the width at which the stars crowd: the fullest mode, or a wider one that is well apart and not small.

    Hot pixels and cosmic rays are narrower than stars and may outnumber them on a long exposure; what is wider than
    stars (galaxies, blends, trails) does not crowd.
    """
    x = np.sort(np.log(fwhm))
    density = np.searchsorted(x, x + MODE_WIDTH) - np.searchsorted(x, x - MODE_WIDTH)
    k = int(np.argmax(density))
    while True:
        wider = np.flatnonzero(x > x[k] + 2.5 * MODE_WIDTH)
        if not len(wider):
            break
        other = int(wider[np.argmax(density[wider])])
        valley = density[k:other].min()
        if density[other] < max(LEAST_MODE, SMALL_MODE * density[k]) or valley > 0.6 * density[other]:
            break
        k = other
    return float(np.exp(x[k]))
