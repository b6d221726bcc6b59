"""The table `forced`: which frames wait for it, which sources a frame covers, and what was measured there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.flags import BAD
from photodb.core.positions import at_epoch
from photodb.errors import NothingMatched
from photodb.storage import bulk, sources
from photodb.storage.bulkupdate import fetch_columns
from photodb.storage.partitions import ensure_partitions
from photodb.storage.sourceids import living
from photodb.storage.tables import frame

TARGET = np.dtype(
    [
        ("cell", "i4"), ("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("n_detections", "i4"),
        ("detection_id", "i8"), ("x_seen", "f8"), ("y_seen", "f8"), ("snr", "f8"), ("measured", "?"),
    ]
)  # fmt: skip
"""A source that a frame may cover: what the frame saw of it (detection -1, NaN and 0 if nothing; signal to noise 0
too if it is flagged bad), and whether it has a row of `forced` there."""

MARGIN = 1.02
"""Sources are looked for in a circle this much larger than the frame's."""


@dataclass(frozen=True)
class ForcedFrame:
    """A frame whose pixels can be measured at known positions."""

    frame_id: int
    path: str
    file_hash: str
    data_hash: str
    channel: str
    camera: str
    description: dict[str, Any]  # of the camera
    mjd_start: float
    exptime: float  # s
    ra: float  # deg
    dec: float
    radius: float  # deg
    field_id: int
    approximate: bool  # whether its place is
    wcs: dict[str, Any]
    nx: int
    ny: int
    gain: float  # e-/ADU
    radii: tuple[float, ...]  # px
    psf: dict[str, Any] | None
    n_forced: int  # -1 until it was measured


_FRAMES = """
SELECT f.frame_id, f.path, f.file_hash, f.data_hash, f.channel, c.name AS camera, c.description, f.mjd_start,
       coalesce(f.exptime, 0) AS exptime, f.ra, f.dec, f.radius, coalesce(f.field_id, -1) AS field_id,
       f.astrometry = 'approximate' AS approximate, f.wcs, f.nx, f.ny, coalesce(f.gain, 1) AS gain,
       f.aperture_radii AS radii, f.psf, coalesce(f.n_forced, -1) AS n_forced
FROM frame f JOIN camera c USING (camera_id)
WHERE f.status = 'accepted' AND f.kind = 'science' AND f.wcs IS NOT NULL AND f.aperture_radii IS NOT NULL
  AND f.file_hash <> '' AND f.source_format = 'pixels' AND {where}
ORDER BY f.mjd, f.frame_id
"""
_SEEN = f"""
SELECT detection_id, source_id, x, y,
       CASE WHEN flux_err > 0 AND flags & {int(BAD)} = 0 THEN flux / flux_err ELSE 0 END FROM detection
WHERE frame_id = %s AND source_id >= 0 ORDER BY source_id, detection_id
"""
_SEEN_DTYPE = [("detection_id", "i8"), ("source_id", "i8"), ("x", "f8"), ("y", "f8"), ("snr", "f8")]


def pending(conn: Connection) -> list[ForcedFrame]:
    """List the frames with pixels and a place on the sky that wait for their forced measurement, by time."""
    return _frames(conn, "f.n_forced IS NULL", {})


def frames(conn: Connection, ids: Sequence[int]) -> list[ForcedFrame]:
    """List those of some frames that can be measured, by time; those without pixels or place are left out."""
    return _frames(conn, "f.frame_id = ANY(CAST(:ids AS bigint[]))", {"ids": list(ids)})


def _frames(conn: Connection, where: str, values: dict[str, Any]) -> list[ForcedFrame]:
    rows = conn.execute(text(_FRAMES.format(where=where)), values).mappings()
    return [ForcedFrame(**{**row, "radii": tuple(float(r) for r in row["radii"])}) for row in rows]


def targets(conn: Connection, of: ForcedFrame) -> NDArray:
    """Return the sources around a frame (rows of `TARGET`), by key, with what the frame saw of each.

    The frame holds some of them only: where they fall on it is for the caller to find out.
    """
    near = sources.sources_in_cone(
        conn, of.ra, of.dec, of.radius * MARGIN, of.field_id if of.approximate else -1
    )
    seen = fetch_columns(conn, _SEEN, _SEEN_DTYPE, (of.frame_id,))
    rows = np.zeros(len(near), TARGET)
    for name in ("cell", "source_id", "n_detections"):
        rows[name] = near[name]
    rows["ra"], rows["dec"] = at_epoch(near, of.mjd_start + of.exptime / 172800)
    rows["detection_id"], rows["x_seen"], rows["y_seen"] = -1, np.nan, np.nan
    first = np.r_[True, seen["source_id"][1:] != seen["source_id"][:-1]] if len(seen) else np.zeros(0, bool)
    seen = seen[first]
    _, here, there = np.intersect1d(rows["source_id"], seen["source_id"], return_indices=True)
    rows["detection_id"][here] = seen["detection_id"][there]
    rows["x_seen"][here], rows["y_seen"][here] = seen["x"][there], seen["y"][there]
    rows["snr"][here] = seen["snr"][there]
    rows["measured"] = np.isin(rows["source_id"], measured_sources(conn, of.frame_id))
    return rows


def measured_sources(conn: Connection, frame_id: int) -> NDArray[np.int64]:
    """Return the sources that have a forced measurement on a frame, (n,)."""
    query = "SELECT source_id FROM forced WHERE frame_id = %s"
    return fetch_columns(conn, query, [("source_id", "i8")], (frame_id,))["source_id"]


def state(conn: Connection, frame_id: int) -> tuple[str, int]:
    """Return status and number of forced measurements of a frame (-1: none yet); ('gone', -1) without the frame."""
    row = conn.execute(
        text("SELECT status, coalesce(n_forced, -1) FROM frame WHERE frame_id = :f FOR UPDATE"),
        {"f": frame_id},
    ).first()
    return ("gone", -1) if row is None else (str(row[0]), int(row[1]))


def still_there(conn: Connection, of: ForcedFrame) -> bool:
    """Tell whether a frame has the place that it had when it was read: it was not placed anew since."""
    return bool(conn.scalar(text("SELECT wcs FROM frame WHERE frame_id = :f"), {"f": of.frame_id}) == of.wcs)


def owners(
    conn: Connection, frame_id: int, source_id: NDArray[np.int64], detection_id: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the sources that measurements of a frame are of by now, (n,); -1 where the source is gone.

    Since its place was read, a source may have been merged into another one, or split: a measurement goes with its
    detection, one without a detection to what its source is part of.

    Parameters
    ----------
    source_id, detection_id : (n,) as they were read; detection -1 if none.
    """
    query = "SELECT source_id FROM source WHERE merged_into < 0 AND source_id = ANY(%s::int8[])"
    there = bulk.copy_out(conn, query, [("source_id", "i8")], (source_id,))["source_id"]
    now = source_id.copy()
    for k in np.flatnonzero(~np.isin(source_id, there)).tolist():
        try:
            now[k] = living(conn, int(source_id[k]))
        except NothingMatched:
            now[k] = -1
    seen = bulk.copy_out(conn, _SEEN, _SEEN_DTYPE, (frame_id,))
    _, here, row = np.intersect1d(detection_id, seen["detection_id"], return_indices=True)
    now[here] = seen["source_id"][row]
    return now


def insert(conn: Connection, frame_id: int, rows: NDArray, corrections: list[dict[str, Any]] | None) -> int:
    """Append a frame's forced measurements (named as the columns), count them on the frame, return how many.

    Aperture corrections that are given take the place of those before.
    """
    ensure_partitions(conn, frame_id)
    bulk.copy_in(conn, "forced", rows)
    values: dict[str, Any] = {
        "n_forced": text("coalesce(n_forced, 0) + :n").bindparams(n=len(rows)),
    }
    if corrections:
        values["aperture_corrections"] = corrections
    conn.execute(frame.update().where(frame.c.frame_id == frame_id).values(values))
    return len(rows)
