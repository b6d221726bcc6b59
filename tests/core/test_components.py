"""Connected components against a plain graph search, and weak bridges."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from photodb.core.components import frame_components, weak_parts


def _csr(star, frame):
    order = np.lexsort((frame, star))
    star, frame = star[order], frame[order]
    return star, frame, np.concatenate([[0], np.cumsum(np.bincount(star))])


def test_components_agree_with_scipy():
    rng = np.random.default_rng(3)
    for _ in range(20):
        star, frame, start = _csr(rng.integers(0, 25, 40), rng.integers(0, 20, 40))
        use = rng.random(40) < 0.7
        ours = frame_components(start, frame.astype(np.uint32), use, 20)
        both = csr_array((np.ones(use.sum()), (star[use], frame[use])), shape=(25, 20))
        graph = both.T @ both
        labels = connected_components(graph, directed=False)[1]
        seen = np.isin(np.arange(20), frame[use])
        assert np.array_equal(ours >= 0, seen)
        same_ours = ours[seen][:, None] == ours[seen][None, :]
        assert np.array_equal(same_ours, labels[seen][:, None] == labels[seen][None, :])


def test_a_thin_bridge_is_named():
    one = [(j, f) for j in range(10) for f in (0, 1)]
    two = [(j, f) for j in range(10, 20) for f in (2, 3)]
    bridge = [(20, 1), (20, 2), (21, 0), (21, 3)]
    star, frame = np.array(one + two + bridge).T
    assert weak_parts(star, frame, np.zeros(4, dtype=int), 22) == {0: 2}
    wide = [(j, f) for j in range(20, 27) for f in (1, 2)]
    star, frame = np.array(one + two + wide).T
    assert weak_parts(star, frame, np.zeros(4, dtype=int), 27) == {}
