"""The table `astrometric_match`: how the stars of frames lie on those that placed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.storage import bulk

MATCH = np.dtype(
    [
        ("number", "i8"), ("x", "f8"), ("y", "f8"), ("ra", "f8"), ("dec", "f8"), ("mag", "f8"),
        ("dx", "f8"), ("dy", "f8"), ("dra", "f8"), ("ddec", "f8"), ("used", "?"), ("source_id", "i8"),
        ("reference_star_id", "i8"), ("reference_detection_id", "i8"), ("gaia_source_id", "i8"),
    ]
)  # fmt: skip
RESIDUAL = np.dtype([("frame_id", "i8"), ("x", "f8"), ("y", "f8"), ("dx", "f8"), ("dy", "f8"), ("used", "?")])

_OF_FRAME = """
SELECT m.detection_id & 1048575, d.x, d.y, d.ra, d.dec, d.mag, m.dx, m.dy, m.dra, m.ddec, m.used, d.source_id,
       m.reference_star_id, m.reference_detection_id, m.gaia_source_id
FROM astrometric_match m JOIN detection d USING (frame_id, cell, detection_id)
WHERE m.frame_id = %s ORDER BY m.detection_id
"""
_OF_FRAMES = """
SELECT m.frame_id, 2 * (d.x + 0.5) / f.nx - 1, 2 * (d.y + 0.5) / f.ny - 1, m.dx, m.dy, m.used
FROM astrometric_match m JOIN detection d USING (frame_id, cell, detection_id) JOIN frame f USING (frame_id)
WHERE m.frame_id = ANY(%s) ORDER BY m.frame_id, m.detection_id
"""


def of_frame(conn: Connection, frame_id: int) -> NDArray:
    """Return the matches of a frame (rows of `MATCH`), the brightest star first."""
    return bulk.copy_out(conn, _OF_FRAME, MATCH, (frame_id,))


def of_frames(conn: Connection, frame_ids: Sequence[int]) -> NDArray:
    """Return place (scaled to [-1, 1]) and residual (px) of the matches of frames (rows of `RESIDUAL`)."""
    return bulk.copy_out(conn, _OF_FRAMES, RESIDUAL, (list(frame_ids),))


def star_names(conn: Connection, keys: Sequence[int]) -> dict[int, str]:
    """Return the names of reference stars by key."""
    query = text("SELECT reference_star_id, name FROM reference_star WHERE reference_star_id = ANY(:keys)")
    return {int(key): str(name) for key, name in conn.execute(query, {"keys": list(keys)})}


def placed_by(conn: Connection, frame_id: int) -> dict[str, Any]:
    """Return the catalogue of a frame's fit, how often it was placed anew, and the last run that did so."""
    query = text(
        """
        SELECT c.name AS catalogue, f.field_id, g.name AS field, g.approximate AS field_approximate,
               (SELECT count(*) FROM frame_place p WHERE p.frame_id = f.frame_id) AS n_anew,
               (SELECT p.run_id FROM frame_place p WHERE p.frame_id = f.frame_id ORDER BY 1 DESC LIMIT 1) AS run_anew,
               (SELECT p.former->>'astrometry' FROM frame_place p WHERE p.frame_id = f.frame_id
                ORDER BY p.frame_place_id DESC LIMIT 1) AS before
        FROM frame f LEFT JOIN reference_catalogue c USING (reference_catalogue_id) LEFT JOIN field g USING (field_id)
        WHERE f.frame_id = :id
        """
    )
    return dict(conn.execute(query, {"id": frame_id}).mappings().one())
