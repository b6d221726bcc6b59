"""Instrumental magnitudes where there is no solution: frames of a telescope brought together by their medians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photodb.core.groupmeans import group_medians
from photodb.storage import audits
from photodb.storage.engine import Connection

from .auditplaces import thinned
from .auditread import FrameSums, Means, Sides, block_means

ROUNDS = 10
BRIGHT_ERROR = 0.05
"""Largest error, mag, of points that tell the offset of a frame, where a frame has `ENOUGH` of them."""

ENOUGH = 10


def read_raw_means(conn: Connection, sides: Sides, band_id: int | None) -> Means:
    """Average instrumental magnitudes less an offset of each frame; the mean of a side's offsets is 0.

    Nothing is told of frames and nights, which the offsets take.
    """
    frames = sides.frames
    chosen = thinned(sides, np.full(len(frames), True) if band_id is None else frames["band_id"] == band_id)
    blocks = list(audits.raw_blocks(conn, frames[chosen]))
    points = np.concatenate(blocks) if blocks else np.empty(0, audits.POINT_DTYPE)
    frame = np.searchsorted(frames["frame_id"], points["frame_id"])
    system = sides.of_frame[frame] * (int(frames["band_id"].max(initial=0)) + 1) + points["band_id"]
    points["mag"] -= frame_offsets(points, frame, system, len(frames))[frame]
    sums = FrameSums(np.zeros(len(frames), np.int64), np.zeros((6, len(frames))))
    rows = block_means(points, sides, band_id, sums)
    return Means(rows, FrameSums(np.zeros_like(sums.n), np.zeros_like(sums.sums)))


def frame_offsets(points: NDArray, frame: NDArray, system: NDArray, n_frames: int) -> NDArray[np.float64]:
    """Return the offset of each frame against the median magnitude of its sources, by turns; 0 without points.

    Parameters
    ----------
    points : audits.POINT_DTYPE
    frame : (n,) row of the frame
    system : (n,) number of telescope and band, which share nothing with others; the mean of its frames is 0
    """
    bright = points["mag_err"] <= BRIGHT_ERROR
    enough = np.bincount(frame, bright, n_frames) >= ENOUGH
    used = bright | ~enough[frame]
    mag, frame, system = points["mag"][used].astype(float), frame[used], system[used]
    star = np.unique(np.column_stack([points["source_id"][used], system]), axis=0, return_inverse=True)[
        1
    ].ravel()
    n_stars = int(star.max(initial=-1)) + 1
    numbers, number = np.unique(system, return_inverse=True)
    of_frame = np.zeros(n_frames, int)
    of_frame[frame] = number
    seen = np.bincount(frame, minlength=n_frames) > 0
    offset = np.zeros(n_frames)
    for _ in range(ROUNDS):
        middle = group_medians(mag - offset[frame], star, n_stars)
        offset = np.where(seen, group_medians(mag - middle[star], frame, n_frames), 0.0)
        mean = np.bincount(of_frame[seen], offset[seen], len(numbers)) / np.bincount(
            of_frame[seen], minlength=len(numbers)
        )
        offset[seen] -= mean[of_frame[seen]]
    return offset
