"""Searches that found nothing are not made again for every frame of a series that would find nothing either."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from photodb.core.sky import separation_deg
from photodb.storage import frames
from photodb.storage.engine import Connection

from .framestars import FrameStars

ENOUGH = 10
"""Frames of a camera and a pointing that are searched for in vain before only every tenth is."""
AS_GOOD = 0.8
"""Only frames with at least this share of a frame's stars speak against searching for it: others may lie in cloud."""
SAME_POINTING = 0.25
"""Share of a frame's radius."""


def hopeless(n_before: int) -> bool:
    """Tell whether a frame is left alone, after so many that were not found."""
    return n_before >= ENOUGH and n_before % ENOUGH != 0


def not_found_before(conn: Connection, frame: FrameStars, ra: float, dec: float, radius: float) -> int:
    """Count the frames of the archive that speak against searching the catalogues by patterns for a new one.

    It is the archive that remembers, so that an ingest that was killed goes on as it would have.
    """
    if not np.isfinite([ra, dec]).all():
        return 0
    near, n = SAME_POINTING * radius, AS_GOOD * len(frame.xy)
    return frames.not_by_catalogue(conn, frame.camera_id, (ra, dec, near), n)


@dataclass
class Vain:
    """The frames that a search did not find, in the memory of one command."""

    _frames: dict[int, list[tuple[float, float, int]]] = field(default_factory=dict)

    def note(self, frame: FrameStars, ra: float, dec: float) -> None:
        """Keep a frame that was not found, or left alone, around a pointing (deg; NaN if unknown)."""
        self._frames.setdefault(frame.camera_id, []).append((ra, dec, len(frame.xy)))

    def hopeless(self, frame: FrameStars, ra: float, dec: float, radius: float) -> bool:
        """Tell whether a frame is left alone."""
        known = np.array(self._frames.get(frame.camera_id, []), float).reshape(-1, 3)
        if np.isfinite([ra, dec]).all():
            here = separation_deg(ra, dec, known[:, 0], known[:, 1]) <= SAME_POINTING * radius
        else:
            here = ~np.isfinite(known[:, 0])
        return hopeless(int((here & (known[:, 2] >= AS_GOOD * len(frame.xy))).sum()))
