"""Saturated stars, the charge that bleeds from them along the columns, and what their light feigns about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

BLEED = 4
"""Pixels by which a component must be taller than its star is wide to count as bleeding; and how far a bleed's ends
are masked: charge below saturation is left there."""
HOT_PIXELS, HOT_RATIO = 3, 9.0
"""So few saturated pixels, so far above their neighbours, are a cosmic ray or hot pixel, no star."""
CORE_FWHM, MIN_CORE_FWHM = 1.5, 2.0
"""No other star is looked for so near the saturated pixels, and so near the middle, of a saturated star."""
GHOST_REACH, SPIKE_REACH, GHOST_FWHM, GHOST_SHARE, GHOST_PIXELS = 12.0, 40.0, 4.0, 0.5, 5
MANY = 50000
"""Pixels above which components are found in the whole frame rather than among the pixels."""


@dataclass(frozen=True)
class Saturated:
    """The saturated stars of a frame, n rows, and the pixels of bleeding charge."""

    x: NDArray[np.float64]  # (n,) px, middle of the rows that are at least half as wide as the widest
    y: NDArray[np.float64]
    radius: NDArray[np.float64]  # (n,) px, half the greatest width along a row
    n_pixels: NDArray[np.int64]
    bleed: NDArray[np.int64]  # (k, 2) x, y of the pixels of bleeds, their ends and sides included

    def __len__(self) -> int:
        return len(self.x)


def find_saturated(
    raw: NDArray, bad: NDArray[np.bool_], data: NDArray[np.float32], level: float
) -> Saturated:
    """Find the saturated stars.

    Parameters
    ----------
    raw : (ny, nx) ADU as stored.
    bad : (ny, nx), saturated pixels among others.
    data : (ny, nx) ADU, background taken off.
    level : ADU of `raw`, saturation; where infinite nothing is saturated.
    """
    ys, xs = np.nonzero(bad)
    clipped = raw[ys, xs] >= level
    ys, xs = ys[clipped], xs[clipped]
    none = np.zeros(0)
    if not len(ys):
        return Saturated(none, none, none, none.astype(int), np.zeros((0, 2), int))
    of, n = _components(xs, ys, raw.shape)
    order = np.lexsort((xs, ys, of))
    xs, ys, of = xs[order], ys[order], of[order]
    rows, width = np.unique(np.stack([of, ys]), axis=1, return_counts=True)
    widest = np.zeros(n)
    np.maximum.at(widest, rows[0], width)
    core = np.repeat(width >= 0.5 * widest[rows[0]], width)
    size = np.bincount(of, minlength=n)
    inner = np.bincount(of[core], minlength=n)
    x = np.bincount(of[core], xs[core], minlength=n) / inner
    y = np.bincount(of[core], ys[core], minlength=n) / inner
    height = np.bincount(rows[0], minlength=n)
    bleeding = height > widest + BLEED
    star = ~((size <= HOT_PIXELS) & _hot(data, x, y))
    spilled = bleeding[of] & ~core
    bleed = _grown(xs[spilled], ys[spilled], raw.shape)
    return Saturated(x[star], y[star], 0.5 * widest[star], size[star], bleed)


def _components(xs: NDArray, ys: NDArray, shape: tuple[int, ...]) -> tuple[NDArray, int]:
    """Return the component of each pixel (neighbours touch by sides or corners) and their number."""
    if len(xs) > MANY:
        mask = np.zeros(shape, bool)
        mask[ys, xs] = True
        labels, n = label(mask, np.ones((3, 3)))
        return labels[ys, xs] - 1, n
    pairs = cKDTree(np.column_stack([xs, ys])).query_pairs(1.5, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(xs), len(xs)))
    n, of = connected_components(graph, directed=False)
    return of, n


def _hot(data: NDArray, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """Tell which places stand far out of the pixels at a distance of two."""
    hot = np.zeros(len(x), bool)
    for k, (i, j) in enumerate(zip(np.rint(x).astype(int), np.rint(y).astype(int))):
        outer = data[max(0, j - 2) : j + 3, max(0, i - 2) : i + 3]
        inner = data[max(0, j - 1) : j + 2, max(0, i - 1) : i + 2]
        ring = (float(outer.sum()) - float(inner.sum())) / max(outer.size - inner.size, 1)
        hot[k] = inner.max() > HOT_RATIO**2 * max(ring, 0.0)
    return hot


def _grown(xs: NDArray, ys: NDArray, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return pixels with `BLEED` more along the column and one at each side."""
    steps = [(dx, dy) for dx in (-1, 0, 1) for dy in range(-BLEED, BLEED + 1)]
    grown = np.concatenate([np.column_stack([xs + dx, ys + dy]) for dx, dy in steps])
    inside = (grown >= 0).all(axis=1) & (grown[:, 0] < shape[1]) & (grown[:, 1] < shape[0])
    return np.unique(grown[inside], axis=0)


def with_bleeds(bad: NDArray[np.bool_], found: Saturated) -> NDArray[np.bool_]:
    """Return the mask of bad pixels, bleeds included."""
    if not len(found.bleed):
        return bad
    bad = bad.copy()
    bad[found.bleed[:, 1], found.bleed[:, 0]] = True
    return bad


def feigned(
    points: NDArray, found: Saturated, filtered: NDArray[np.float32], fwhm: float, least: NDArray
) -> NDArray[np.bool_]:
    """Tell which of the peaks (n, 2) belong to saturated stars: their cores, bleeds, halos and spikes.

    Halos, rings and diffraction spikes look alike on several sides of their star: a peak is feigned where the filtered
    frame is half as high, and above `least` (n,), after a turn by 90, 180 or 270 deg about the star; far out, where
    spikes alone reach, after two of these turns. A real star there stands on one side.
    """
    told = np.zeros(len(points), bool)
    if len(found.bleed) and len(points):
        told |= cKDTree(found.bleed).query(points)[0] < max(1.5, 0.6 * fwhm)
    if not len(found) or not len(points):
        return told
    tree = cKDTree(points)
    own = _heights(filtered, points[:, 0], points[:, 1])
    for x, y, radius, size in zip(found.x, found.y, found.radius, found.n_pixels):
        near = tree.query_ball_point((x, y), max(MIN_CORE_FWHM * fwhm, radius + CORE_FWHM * fwhm))
        told[near] = True
        if size < GHOST_PIXELS:
            continue
        about = np.array(tree.query_ball_point((x, y), SPIKE_REACH * radius + GHOST_FWHM * fwhm), int)
        dx, dy = points[about, 0] - x, points[about, 1] - y
        far = np.hypot(dx, dy) > GHOST_REACH * radius + GHOST_FWHM * fwhm
        turned = [_heights(filtered, x + a, y + b) for a, b in ((-dy, dx), (-dx, -dy), (dy, -dx))]
        limit = np.maximum(GHOST_SHARE * own[about], least[about])
        alike = (np.array(turned) > limit).sum(axis=0)
        told[about[alike > far]] = True
    return told


def _heights(image: NDArray, x: NDArray, y: NDArray) -> NDArray:
    """Return the highest of the 3x3 pixels about each place; -inf off the frame."""
    ny, nx = image.shape
    i, j = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < nx) & (j < ny)
    told = np.full(len(i), -np.inf)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            here = image[np.clip(j + dy, 0, ny - 1), np.clip(i + dx, 0, nx - 1)]
            told = np.where(inside, np.maximum(told, here), told)
    return told
