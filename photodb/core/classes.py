"""Star, extended object or cosmic ray: the classes of detections, and of a source from all its detections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN, STAR, EXTENDED, COSMIC_RAY = 0, 1, 2, 3

EXTENDED_SIZE = 0.10
"""ln of the size against the PSF's above which an object is extended."""
SIZE_SIGMA = 4.0
SIZE_FLOOR = 0.02
"""Error of a size that the PSF's own brings, the same for all detections of a frame."""


def class_of_sources(size: NDArray, size_err: NDArray, votes: NDArray) -> NDArray[np.int16]:
    """Return the class of each source (n,).

    Its mean size tells where it is known to a third of the limit; elsewhere its detections vote, and a draw is a star.

    Parameters
    ----------
    size, size_err : (n,) ln of the mean size against the PSF's and its error; NaN where no detection was fitted.
    votes : (n, 3) detections taken for stars, extended objects and cosmic rays.
    """
    made = np.where(votes.sum(axis=1) > 0, STAR + np.argmax(votes, axis=1), UNKNOWN)
    told = np.isfinite(size) & (size_err < EXTENDED_SIZE / 3) & (made != COSMIC_RAY)
    wide = size > np.maximum(EXTENDED_SIZE, SIZE_SIGMA * np.nan_to_num(size_err))
    return np.where(told, np.where(wide, EXTENDED, STAR), made).astype(np.int16)
