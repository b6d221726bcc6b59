"""The table `frame_quality`: dynamic range and uniformity of frames, measured again after ingest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.flags import BAD
from photodb.storage.bulk import copy_out
from photodb.storage.frames import NUMBER_BITS
from photodb.storage.tables import frame_quality

NEWEST = (
    "SELECT q.box, q.masks, q.data_min, q.data_max, q.dynamic_range, q.nonuniformity FROM frame_quality q "
    "WHERE q.frame_id = f.frame_id ORDER BY q.frame_quality_id DESC LIMIT 1"
)
"""SELECT of the newest measurement of a frame `f`."""


def files(conn: Connection, frame_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return key, file and camera of frames with pixels, and the areas of their newest measurement (NULL without)."""
    query = text(
        "SELECT f.frame_id, f.path, f.file_hash, f.data_hash, c.name AS camera, c.description, q.box, q.masks "
        f"FROM frame f JOIN camera c USING (camera_id) LEFT JOIN LATERAL ({NEWEST}) q ON true "
        "WHERE f.frame_id = ANY(CAST(:ids AS bigint[])) AND f.source_format = 'pixels' ORDER BY f.mjd, f.frame_id"
    )
    return [dict(row) for row in conn.execute(query, {"ids": list(frame_ids)}).mappings()]


def insert(conn: Connection, run_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append measurements."""
    if rows:
        conn.execute(frame_quality.insert(), [{**row, "run_id": run_id} for row in rows])


def history(conn: Connection, frame_id: int) -> list[dict[str, Any]]:
    """Return the measurements of a frame after ingest, oldest first."""
    query = text(
        "SELECT measured_at, box, masks, data_min, data_max, dynamic_range, nonuniformity, run_id "
        "FROM frame_quality WHERE frame_id = :frame_id ORDER BY frame_quality_id"
    )
    return [dict(row) for row in conn.execute(query, {"frame_id": frame_id}).mappings()]


BRIGHTEST = 300
"""Detections of a frame, from the brightest, that tell of its transparency."""


def bright_magnitudes(conn: Connection, frame_ids: Iterable[int]) -> NDArray:
    """Return frame_id, source_id and instrumental magnitude (n,) of the brightest good detections of frames."""
    query = f"""
        SELECT frame_id, source_id, mag FROM detection
        WHERE frame_id = ANY(%(ids)s) AND detection_id - (frame_id << {NUMBER_BITS}) < {BRIGHTEST}
          AND source_id >= 0 AND flags & {int(BAD)} = 0 AND mag <> 'NaN' AND mag_err < 0.05
    """
    names = [("frame_id", "i8"), ("source_id", "i8"), ("mag", "f8")]
    return copy_out(conn, query, names, {"ids": [int(i) for i in frame_ids]})
