"""Find the map between two star lists of unknown shift, rotation, scale and parity, by triangles.

All triangles of the brightest stars of each list are described by the two ratios of their sides (free of shift,
rotation, scale and mirror), looked up in a KD-tree, and each look-alike votes for a similarity; the fullest cells
of the vote are tried on all stars. Groth 1986 (doi:10.1086/114099), Valdes et al. 1995 (doi:10.1086/133667).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .match import Affine, Registration, chance_inliers, refine

RATIO_TOLERANCE = 0.004
MAX_CANDIDATES = 400_000
CHANCE = 1e-6


@dataclass(frozen=True)
class Triangles:
    """Triangles with their vertices in the order: opposite the longest, the middle, the shortest side."""

    vertices: NDArray[np.intp]  # (t, 3) rows of the star list
    ratios: NDArray[np.float64]  # (t, 2) middle / longest, shortest / longest
    mirrored: NDArray[np.bool_]  # (t,) vertices run clockwise
    longest: NDArray[np.float64]  # (t,) longest side


def triangles(
    points: NDArray, n_stars: int = 0, min_side: float = 0.0, index: NDArray | None = None
) -> Triangles:
    """Make all triangles of the first `n_stars` points, or those of `index` (t, 3).

    Needle-like, equal-sided and tiny ones are left out.
    """
    n = min(len(points), n_stars)
    if index is None:
        index = np.array(list(combinations(range(n), 3)), dtype=np.intp).reshape(-1, 3)
    corner = points[index]
    sides = np.stack(
        [np.hypot(*(corner[:, (k + 1) % 3] - corner[:, (k + 2) % 3]).T) for k in range(3)], axis=1
    )
    order = np.argsort(-sides, axis=1)
    sides = np.take_along_axis(sides, order, axis=1)
    index = np.take_along_axis(index, order, axis=1)
    longest = np.maximum(sides[:, 0], 1e-300)
    ratios = np.stack([sides[:, 1] / longest, sides[:, 2] / longest], axis=1)
    keep = (ratios[:, 1] > 0.1) & (sides[:, 0] > min_side)
    keep &= (ratios[:, 0] < 0.99) & (ratios[:, 0] - ratios[:, 1] > 0.01)  # vertices must not change places
    a, b, c = (points[index[:, k]] for k in range(3))
    cross = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return Triangles(index[keep], ratios[keep], (cross < 0)[keep], longest[keep])


def similarities(
    p: NDArray, q: NDArray, tp: Triangles, tq: Triangles, scale: tuple[float, float]
) -> tuple[NDArray, NDArray, NDArray]:
    """Return factor a, constant b (complex) and mirror of the similarity that each look-alike pair stands for."""
    near = cKDTree(tp.ratios).sparse_distance_matrix(
        cKDTree(tq.ratios), RATIO_TOLERANCE, output_type="ndarray"
    )
    i, j = near["i"].astype(np.intp), near["j"].astype(np.intp)
    grown = tq.longest[j] / tp.longest[i]
    kept = np.flatnonzero((grown > 0.95 * scale[0]) & (grown < 1.05 * scale[1]))
    if len(kept) > MAX_CANDIDATES:
        kept = kept[:: -(-len(kept) // MAX_CANDIDATES)]
    i, j = i[kept], j[kept]
    zp = p[tp.vertices[i]] @ np.array([1, 1j])
    zq = q[tq.vertices[j]] @ np.array([1, 1j])
    mirrored = tp.mirrored[i] != tq.mirrored[j]
    zp = np.where(mirrored[:, None], zp.conj(), zp)
    cp, cq = zp.mean(axis=1), zq.mean(axis=1)
    dp = zp - cp[:, None]
    a = np.sum(dp.conj() * (zq - cq[:, None]), axis=1) / np.maximum(np.sum(np.abs(dp) ** 2, axis=1), 1e-300)
    return a, cq - a * cp, mirrored


def fullest_cells(
    a: NDArray, b: NDArray, mirrored: NDArray, centre: complex, size: float, cells: int
) -> list[NDArray]:
    """Group the similarities by scale, angle and where they take the centre; return rows of the fullest cells."""
    place = a * np.where(mirrored, np.conj(centre), centre) + b
    values = np.stack(
        [
            np.log(np.abs(a)) / 0.02,
            np.angle(a) / 0.02,
            place.real / (0.015 * size),
            place.imag / (0.015 * size),
        ],
        1,
    )
    groups: list[tuple[int, NDArray]] = []
    for half in (0.0, 0.5):  # twice, with shifted cells, so that a cell's border cuts no cluster
        _, inverse, counts = np.unique(
            _keys(values + half, mirrored), return_inverse=True, return_counts=True
        )
        best = np.argsort(-counts, kind="stable")[:cells]
        order = np.argsort(inverse.ravel(), kind="stable")
        ends = np.cumsum(counts)
        groups += [(int(counts[k]), order[ends[k] - counts[k] : ends[k]]) for k in best]
    groups.sort(key=lambda g: -g[0])
    return [rows for _, rows in groups[: 2 * cells]]


def _keys(values: NDArray, mirrored: NDArray) -> NDArray[np.int64]:
    """Return one number for each cell of four coordinates and a side."""
    cell = np.clip(np.floor(values), -8000, 8000).astype(np.int64) + 8192
    key: NDArray[np.int64] = (((cell[:, 0] << 14 | cell[:, 1]) << 14 | cell[:, 2]) << 14 | cell[:, 3]) << 1
    return key | mirrored


def as_affine(a: complex, b: complex, mirrored: bool) -> Affine:
    sign = -1.0 if mirrored else 1.0
    return Affine(np.array([[a.real, -a.imag * sign], [a.imag, a.real * sign]]), np.array([b.real, b.imag]))


def find_map(
    p: NDArray,
    q: NDArray,
    *,
    radius: float,
    n_stars: int = 30,
    n_targets: int | None = None,
    scale: tuple[float, float] | None = None,
    cells: int = 15,
    final_radius: float | None = None,
) -> Registration | None:
    """Find the affine map from list p to list q, both brightest first, or None where chance would do as well.

    Parameters
    ----------
    p : (n, 2), q : (m, 2) plane points, brightest first.
    radius : how near a mapped star must come to its partner, units of q.
    n_stars, n_targets : brightest stars of p and of q whose triangles are compared (n_targets as n_stars if None).
    scale : allowed range of the scale from p to q, or None for any between 1/5 and 5.
    cells : cells of the vote to try.
    """
    if min(len(p), len(q)) < 4:
        return None
    size = float(np.ptp(q, axis=0).max())
    low, high = scale or (0.2, 5.0)
    a, b, mirrored = similarities(
        p, q, triangles(p, n_stars), triangles(q, n_targets or n_stars), (low, high)
    )
    keep = (np.abs(a) > low) & (np.abs(a) < high)
    a, b, mirrored = a[keep], b[keep], mirrored[keep]
    if not len(a):
        return None
    centre = complex(*p[:n_stars].mean(axis=0))
    best: Registration | None = None
    for rows in fullest_cells(a, b, mirrored, centre, size, cells):
        start = as_affine(
            complex(np.median(a[rows].real), np.median(a[rows].imag)),
            _median(b[rows]),
            bool(mirrored[rows[0]]),
        )
        found = refine(p, q, start, 4 * radius, final_radius=final_radius or radius)
        if (
            found
            and (best is None or found.n_used > best.n_used)
            and believable(p, q, found, radius, low, high)
        ):
            best = found
            if found.n_used > 0.5 * min(len(p), len(q)):
                break
    return best


def vote_shift(p: NDArray, q: NDArray, *, reach: float, bin_size: float, n_stars: int = 100) -> Affine | None:
    """Return the shift from list p to list q on which most pairs of their brightest stars agree, or None.

    Parameters
    ----------
    p : (n, 2), q : (m, 2) plane points, brightest first, turned and scaled alike.
    reach : largest shift along an axis; bin_size : width of a cell of the vote.
    """
    a, b = p[:n_stars], q[:n_stars]
    if not len(a) or not len(b):
        return None
    d = (b[None, :, :] - a[:, None, :]).reshape(-1, 2)
    d = d[(np.abs(d) <= reach).all(axis=1)]
    if not len(d):
        return None
    best, votes = None, 0
    wide = int(np.ceil(2 * reach / bin_size)) + 2
    for half in (0.0, 0.5):  # twice, with shifted cells, so that a cell's border cuts no cluster
        cell = ((d + reach) / bin_size + half).astype(np.int64) @ np.array([wide, 1])
        counts = np.bincount(cell)
        k = int(np.argmax(counts))
        if counts[k] > votes:
            votes, best = int(counts[k]), np.median(d[cell == k], axis=0)
    expected = len(d) / max((2 * reach / bin_size) ** 2, 1.0)
    if best is None or votes < max(4, expected + 6 * np.sqrt(expected + 1)):
        return None
    return Affine(np.eye(2), best)


def _median(values: NDArray) -> complex:
    return complex(np.median(values.real), np.median(values.imag))


def believable(
    p: NDArray, q: NDArray, found: Registration, radius: float, low: float = 0.2, high: float = 5.0
) -> bool:
    """Tell whether a registration has more pairs than chance can give, and a map like a telescope's."""
    singular = np.linalg.svd(found.transform.matrix, compute_uv=False)
    if not (
        low * 0.98 < singular.min()
        and singular.max() < high * 1.02
        and singular.max() / singular.min() < 1.05
    ):
        return False
    mapped = found.transform(p)
    lower, upper = q.min(axis=0) - radius, q.max(axis=0) + radius
    inside = ((mapped >= lower) & (mapped <= upper)).all(axis=1)
    if found.n_used < 4 or found.n_used < 0.15 * min(inside.sum(), len(q)):
        return False
    area = float(np.prod(upper - lower))
    return chance_inliers(int(inside.sum()), len(q), area, radius, found.n_used) < CHANCE
