"""Frames whose time or pointing looks wrong, by camera and night."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.doubts import CLOCK

_FRAMES = """
SELECT c.name, f.night, f.path, f.mjd, f.ra, f.dec, f.header_airmass, f.doubts
FROM frame f JOIN camera c USING (camera_id)
WHERE f.kind = 'science' AND f.status = 'accepted'
AND (f.camera_id, f.night) IN (SELECT camera_id, night FROM frame WHERE {which}) ORDER BY 1, 2, 3, f.frame_id
"""
_COUNTS = """
SELECT doubts, count(*) AS n, min(frame_id) AS first FROM frame WHERE doubts <> 0 AND status = 'accepted' GROUP BY 1
"""
FRAMES = np.dtype(
    [
        ("camera", "O"), ("night", "i4"), ("path", "O"), ("mjd", "f8"), ("ra", "f8"), ("dec", "f8"),
        ("header_airmass", "f8"), ("doubts", "i8"),
    ]
)  # fmt: skip


def frames_of_nights(conn: Connection, run_id: int | None = None) -> NDArray:
    """Return the accepted frames of the nights that a run added to, by camera, night and path; NaN for none.

    Without a run, of the nights with a frame whose clock is doubted.
    """
    which = f"doubts & {int(CLOCK)} <> 0" if run_id is None else "run_id = :run"
    rows = conn.execute(text(_FRAMES.format(which=which)), {} if run_id is None else {"run": run_id}).all()
    return np.array([tuple(np.nan if v is None else v for v in row) for row in rows], FRAMES)


def counts(conn: Connection) -> dict[int, tuple[int, int]]:
    """Return how many accepted frames have each sum of doubts, and the first of them."""
    return {row.doubts: (row.n, row.first) for row in conn.execute(text(_COUNTS))}
