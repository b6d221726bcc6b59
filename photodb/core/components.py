"""Connected components: which frames and stars hang together, and by how many stars.

Two frames are connected when a star has usable points on both. No magnitude of one component can be compared
with one of another, so every component is numbered and named.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

BRIDGE_STARS = 5
"""A part held to the rest of its component by fewer stars than this is called weakly joined."""


@numba.njit(cache=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True)
def _union_frames(star_start, frame, use, parent):  # type: ignore[no-untyped-def]
    for j in range(star_start.size - 1):
        first = -1
        for n in range(star_start[j], star_start[j + 1]):
            if not use[n]:
                continue
            root = _root(parent, np.int64(frame[n]))
            if first < 0:
                first = root
            elif root != first:
                if root < first:
                    first, root = root, first
                parent[root] = first


def frame_components(
    star_start: NDArray[np.integer], frame: NDArray[np.integer], use: NDArray[np.bool_], n_frames: int
) -> NDArray[np.int64]:
    """Number the component of each frame from 0 by first frame; -1 for frames without a usable point.

    `frame` and `use` are (n,) columns sorted by star, `star_start` (n_stars + 1,) their offsets.
    """
    parent = np.arange(n_frames, dtype=np.int64)
    _union_frames(star_start, frame, use, parent)
    roots = np.array([_root(parent, i) for i in range(n_frames)], dtype=np.int64)
    seen = np.zeros(n_frames, dtype=bool)
    seen[frame[use]] = True
    component = np.full(n_frames, -1, dtype=np.int64)
    if seen.any():
        component[seen] = np.unique(roots[seen], return_inverse=True)[1]
    return component


def weak_parts(
    star: NDArray[np.integer], frame: NDArray[np.integer], component: NDArray[np.integer], n_stars: int
) -> dict[int, int]:
    """Find components with a part that fewer than BRIDGE_STARS stars hold to the rest.

    Parts are frames linked, pair by pair, by at least BRIDGE_STARS common stars. `star` and `frame` are the columns
    of the usable points. Returns {component: number of stars of its thinnest bridge}.
    """
    n_frames = component.size
    seen = sparse.csr_array((np.ones(star.size), (star, frame)), shape=(n_stars, n_frames))
    seen.sum_duplicates()
    seen.data[:] = 1.0
    common = (seen.T @ seen).tocsr()
    common.data[common.data < BRIDGE_STARS] = 0.0
    common.eliminate_zeros()
    n_parts, part = connected_components(common, directed=False)
    on_part = (
        seen @ sparse.csr_array((np.ones(n_frames), (np.arange(n_frames), part)), (n_frames, n_parts))
    ).tocsr()
    on_part.data[:] = 1.0
    crossing = np.asarray(on_part.sum(axis=1)).ravel() > 1
    bridge = np.asarray(on_part[crossing].sum(axis=0)).ravel()
    weak: dict[int, int] = {}
    for c in range(int(component.max(initial=-1)) + 1):
        parts = np.unique(part[component == c])
        if parts.size > 1 and bridge[parts].min() < BRIDGE_STARS:
            weak[c] = int(bridge[parts].min())
    return weak
