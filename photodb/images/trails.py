"""Trails of satellites and planes: lines of peaks that are no stars; and frames whose stars are trailed themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..core.columns import Detections

N_ANGLES = 720
BIN_PX = 4.0
EXCESS_SIGMA, EXCESS = 6.0, 10.0
"""A line needs so many peaks more than chance gives: sigmas of the number expected, and a number besides."""
MOST_TRAILS = 5
SEGMENT = 48
"""px, length over which a median tells whether the line is lit."""
LIT_SIGMA, LEAST_LIT, GAP = 5.0, 0.6, 3
"""Significance of a lit segment; share of the line's segments that must be lit; dark segments that do not end it."""
SIDE_FWHM = 4.0
WIDEST = 25
SHORTEST, SLIM = 4, 6.0
"""Least length of a trail in segments, and in units of its width: shorter ones are galaxies and halos of stars."""
FAINTEST_EDGE = 0.4
"""Noise units a pixel at which the trail ends sideways."""
STAR_OVER_TRAIL = 3.0
"""A peak on a trail is a star where it is so many times as high as the trail."""
TRAILED, COHERENT, LEAST_STARS = 0.4, 0.8, 5


@dataclass(frozen=True)
class Trail:
    """A straight trail from one end to the other; px."""

    x0: float
    y0: float
    x1: float
    y1: float
    half_width: float

    @property
    def length(self) -> float:
        """Length, px."""
        return float(np.hypot(self.x1 - self.x0, self.y1 - self.y0))

    def holds(self, x: NDArray, y: NDArray, margin: float = 0.0) -> NDArray[np.bool_]:
        """Tell which places lie on the trail or within `margin` of it."""
        ux, uy = (self.x1 - self.x0) / self.length, (self.y1 - self.y0) / self.length
        along = (x - self.x0) * ux + (y - self.y0) * uy
        across = (y - self.y0) * ux - (x - self.x0) * uy
        reach = self.half_width + margin
        return (np.abs(across) <= reach) & (along >= -reach) & (along <= self.length + reach)


@njit(cache=True, nogil=True)
def _fullest_line(x, y, cos, sin, bin_px, nx, ny, excess_sigma, excess):
    """Return angle index, distance from the origin and excess of the line with most points above chance."""
    n_bins = int(2 * (nx + ny) / bin_px) + 2
    offset = nx + ny
    counts = np.zeros(n_bins, np.int64)
    density = len(x) / (nx * ny)
    best, best_angle, best_distance = 0.0, -1, 0.0
    for a in range(len(cos)):
        counts[:] = 0
        for k in range(len(x)):
            counts[int((x[k] * cos[a] + y[k] * sin[a] + offset) / bin_px)] += 1
        for b in range(n_bins):
            if counts[b] < excess:
                continue
            distance = (b + 0.5) * bin_px - offset
            expected = density * bin_px * _chord(cos[a], sin[a], distance, nx, ny)
            over = counts[b] - expected - excess_sigma * np.sqrt(expected) - excess
            if over > best:
                best, best_angle, best_distance = over, a, distance
    return best_angle, best_distance


@njit(cache=True, nogil=True)
def _chord(cos, sin, distance, nx, ny):
    """Return the length of the line x cos + y sin = distance within the frame."""
    low, high = -1e9, 1e9
    for at, step, size in ((distance * cos, -sin, nx), (distance * sin, cos, ny)):
        if abs(step) < 1e-9:
            if at < 0 or at > size:
                return 0.0
            continue
        a, b = -at / step, (size - at) / step
        low, high = max(low, min(a, b)), min(high, max(a, b))
    return max(high - low, 0.0)


def find_trails(
    points: NDArray, data: NDArray[np.float32], noise: NDArray[np.float32], fwhm: float
) -> list[Trail]:
    """Find straight lines that hold more peaks than chance gives and are lit between them.

    Parameters
    ----------
    points : (n, 2) px, peaks of the matched filter.
    data, noise : (ny, nx) ADU, background taken off.
    """
    angles = np.arange(N_ANGLES) * np.pi / N_ANGLES
    left, trails = points, []
    for _ in range(MOST_TRAILS):
        if len(left) < EXCESS:
            break
        ny, nx = data.shape
        a, distance = _fullest_line(
            left[:, 0], left[:, 1], np.cos(angles), np.sin(angles), BIN_PX, nx, ny, EXCESS_SIGMA, EXCESS
        )  # fmt: skip
        if a < 0:
            break
        line = _fitted(left, angles[a], distance)
        trail = _verified(line, data, noise, fwhm)
        on_line = _across(left, *line) < 2 * BIN_PX
        if trail is not None:
            trails.append(trail)
            on_line |= trail.holds(left[:, 0], left[:, 1], fwhm)
        left = left[~on_line]
    return trails


def _across(points: NDArray, angle: float, distance: float) -> NDArray:
    return np.abs(points[:, 0] * np.cos(angle) + points[:, 1] * np.sin(angle) - distance)


def _fitted(points: NDArray, angle: float, distance: float) -> tuple[float, float]:
    """Fit a line to the points near it; returns angle of its normal and distance from the origin."""
    for reach in (1.5, 1.0, 0.7):
        near = points[_across(points, angle, distance) < reach * BIN_PX]
        if len(near) < EXCESS:
            break
        middle = np.median(near, axis=0)
        _, _, axes = np.linalg.svd(near - middle, full_matrices=False)
        angle = float(np.arctan2(axes[1, 1], axes[1, 0]))
        distance = float(middle[0] * np.cos(angle) + middle[1] * np.sin(angle))
    return angle, distance


def _verified(
    line: tuple[float, float], data: NDArray[np.float32], noise: NDArray[np.float32], fwhm: float
) -> Trail | None:
    """Follow the line over the pixels; None where it is not lit between its peaks, as a chain of stars is not."""
    angle, distance = line
    ny, nx = data.shape
    t = np.arange(-(nx + ny), nx + ny)
    x, y = distance * np.cos(angle) - t * np.sin(angle), distance * np.sin(angle) + t * np.cos(angle)
    inside = (x >= 0) & (y >= 0) & (x <= nx - 1) & (y <= ny - 1)
    x, y = x[inside], y[inside]
    n = len(x) // SEGMENT
    if n < 2:
        return None
    side = SIDE_FWHM * fwhm
    crest = _segments(data, noise, x, y, n)
    sides = 0.5 * sum(
        _segments(data, noise, x + s * np.cos(angle), y + s * np.sin(angle), n) for s in (-side, side)
    )
    lit = crest - sides > LIT_SIGMA * 1.2533 / np.sqrt(SEGMENT)
    first, last = _longest_run(lit)
    if last - first < SHORTEST or lit[first:last].mean() < LEAST_LIT:
        return None
    steps = np.concatenate([np.arange(k * SEGMENT, (k + 1) * SEGMENT) for k in range(first, last) if lit[k]])
    half = _half_width(data, noise, x[steps], y[steps], angle)
    begin, end = first * SEGMENT, len(x) - 1 if last == n else last * SEGMENT - 1
    trail = Trail(float(x[begin]), float(y[begin]), float(x[end]), float(y[end]), half)
    return trail if trail.length > SLIM * 2 * half else None


def _segments(data: NDArray, noise: NDArray, x: NDArray, y: NDArray, n: int) -> NDArray:
    """Return the median of each segment of a path, in units of the noise; off the frame the nearest pixel counts."""
    ny, nx = data.shape
    j, i = np.clip(np.rint(y), 0, ny - 1).astype(int), np.clip(np.rint(x), 0, nx - 1).astype(int)
    values = (data[j, i] / noise[j, i])[: n * SEGMENT]
    return np.median(values.reshape(n, SEGMENT), axis=1)


def _longest_run(lit: NDArray[np.bool_]) -> tuple[int, int]:
    """Return first and last + 1 of the longest run of lit segments, gaps of up to `GAP` bridged."""
    best, places = (0, 0), np.flatnonzero(lit)
    if not len(places):
        return best
    for run in np.split(places, np.flatnonzero(np.diff(places) > GAP + 1) + 1):
        if run[-1] + 1 - run[0] > best[1] - best[0]:
            best = int(run[0]), int(run[-1]) + 1
    return best


def _half_width(data: NDArray, noise: NDArray, x: NDArray, y: NDArray, angle: float) -> float:
    """Return how far the trail reaches sideways, px."""
    ny, nx = data.shape
    reach = [1.0, 1.0]
    for k, sign in enumerate((-1, 1)):
        for step in range(1, WIDEST):
            i = np.clip(np.rint(x + sign * step * np.cos(angle)), 0, nx - 1).astype(int)
            j = np.clip(np.rint(y + sign * step * np.sin(angle)), 0, ny - 1).astype(int)
            if np.median(data[j, i] / noise[j, i]) < FAINTEST_EDGE:
                break
            reach[k] = step + 1.0
    return max(reach)


def with_trails(bad: NDArray[np.bool_], trails: list[Trail]) -> NDArray[np.bool_]:
    """Return the mask of bad pixels, trails included."""
    if not trails:
        return bad
    y, x = np.ogrid[: bad.shape[0], : bad.shape[1]]
    bad = bad.copy()
    for trail in trails:
        bad |= trail.holds(x, y)
    return bad


def made_by_trails(points: NDArray, height: NDArray, trails: list[Trail], margin: float) -> NDArray[np.bool_]:
    """Tell which of the peaks (n, 2) the trails make: those on them that are not much higher than the trail."""
    told = np.zeros(len(points), bool)
    for trail in trails:
        on = trail.holds(points[:, 0], points[:, 1], margin)
        if on.any():
            told |= on & (height < STAR_OVER_TRAIL * np.median(height[on]))
    return told


def elongation(stars: Detections, chosen: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the common elongation of the chosen stars: 1 - minor / major, position angle (deg from x), coherence.

    Coherence is the length of the mean of the stars' ellipticity vectors over the mean of their lengths: 1 where all
    are elongated in one direction. NaN with fewer than `LEAST_STARS`.
    """
    ratio = 1 - stars.ellipticity[chosen]
    e = (1 - ratio**2) / (1 + ratio**2)
    twice = 2 * np.radians(stars.theta[chosen])
    good = np.isfinite(e) & np.isfinite(twice)
    if good.sum() < LEAST_STARS:
        return float("nan"), float("nan"), float("nan")
    c, s = np.median(e[good] * np.cos(twice[good])), np.median(e[good] * np.sin(twice[good]))
    common = min(float(np.hypot(c, s)), 1.0)
    angle = float(np.degrees(0.5 * np.arctan2(s, c)) % 180)
    coherence = common / max(float(np.median(e[good])), 1e-9)
    return 1 - float(np.sqrt((1 - common) / (1 + common))), angle, min(coherence, 1.0)


def trailed_remark(stars: Detections, chosen: NDArray[np.bool_]) -> str:
    """Return what to say of a frame whose stars are trailed; empty where they are not."""
    common, angle, coherence = elongation(stars, chosen)
    if not (common > TRAILED and coherence > COHERENT):
        return ""
    return f"trailed: stars elongated by {common:.2f} along {angle:.0f} deg (limit {TRAILED:g})"
