"""The tables `frame`, `field`, `detection` and `astrometric_match`: one frame, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from photodb.core import sky
from photodb.core.flags import Flag
from photodb.core.polish import place_errors
from photodb.storage import bulk
from photodb.storage.partitions import ensure_partitions
from photodb.storage.tables import field, field_reference, frame

NUMBER_BITS = 20
"""A `detection_id` is `frame_id << NUMBER_BITS | number on the frame`."""


@dataclass(frozen=True)
class ReferenceFrame:
    """The reference frame of a field for a camera, with its stars."""

    field_id: int
    frame_id: int
    nx: int
    ny: int
    wcs: dict[str, Any] | None
    astrometry: str
    xy: NDArray[np.float64]  # (n, 2) px, brightest first, cosmic rays and masked parts left out
    detection_id: NDArray[np.int64]  # (n,)
    place_err: NDArray[np.float64]  # (n,) px an axis, NaN where the place is not to be trusted


STAR = [("detection_id", "i8"), ("x", "f8"), ("y", "f8"), ("x_err", "f4"), ("y_err", "f4"), ("flags", "i4")]

N_CHANNELS = 3


def known_file_hashes(conn: Connection) -> set[str]:
    """Return the hashes of the files that are in the archive; of colour frames, with all their channels."""
    whole = func.bool_or(frame.c.channel == "")
    all_channels = func.count(frame.c.channel.distinct()) == N_CHANNELS
    query = select(frame.c.file_hash).where(frame.c.file_hash != "").group_by(frame.c.file_hash)
    return set(conn.scalars(query.having(or_(whole, all_channels))))


def stored_channels(conn: Connection, file_hashes: Sequence[str]) -> dict[str, set[str]]:
    """Return the channels that the archive has of files, by the hash of their bytes."""
    query = select(frame.c.file_hash, frame.c.channel).where(frame.c.file_hash.in_(list(file_hashes)))
    found: dict[str, set[str]] = {}
    for row in conn.execute(query) if file_hashes else ():
        found.setdefault(row.file_hash, set()).add(row.channel)
    return found


def forget_rejected(conn: Connection, file_hashes: Sequence[str]) -> int:
    """Delete frames that ingest rejected, so that they can be tried again; return how many.

    Those that somebody judged stay.
    """
    statement = text(
        """
        DELETE FROM frame f WHERE file_hash = ANY(:hashes) AND status = 'rejected' AND n_detections = 0
        AND NOT EXISTS (SELECT FROM frame_judgement j WHERE j.frame_id = f.frame_id)
        """
    )
    return int(conn.execute(statement, {"hashes": list(file_hashes)}).rowcount)  # type: ignore[attr-defined]


def has_data_hash(conn: Connection, data_hash: str) -> bool:
    """Tell whether a frame of this identity is in the archive."""
    return conn.execute(select(frame.c.frame_id).where(frame.c.data_hash == data_hash)).first() is not None


def insert_frame(conn: Connection, values: Mapping[str, Any]) -> int:
    """Insert a frame and return its key; -1 where one of the same identity is there already."""
    clean = fit_for_columns(values)
    # a file that could not even be read has its path for an identity; now it can
    conn.execute(delete(frame).where(frame.c.data_hash == f"path:{clean['path']}"))
    statement = insert(frame).values(clean).on_conflict_do_nothing(index_elements=["data_hash"])
    frame_id = conn.execute(statement.returning(frame.c.frame_id)).scalar()
    return -1 if frame_id is None else int(frame_id)


def fit_for_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make the values of a row fit for their columns: NaN becomes NULL, numpy scalars plain numbers."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Make a value fit for a column: NaN becomes NULL, numpy scalars plain numbers, text what UTF-8 can say."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode().replace("\x00", "")
    return None if isinstance(value, float) and not np.isfinite(value) else value


def insert_rows(conn: Connection, frame_id: int, detections: NDArray, matches: NDArray) -> None:
    """Append a frame's detections and astrometric matches (structured arrays named as the columns)."""
    ensure_partitions(conn, frame_id)
    bulk.copy_in(conn, "detection", detections)
    bulk.copy_in(conn, "astrometric_match", matches)


def lock_cells(conn: Connection, cells: NDArray[np.int64]) -> None:
    """Take the advisory locks of order-6 cells, ascending, until the transaction ends.

    The table of frames comes first, as for those who lock it whole (undo): nobody waits for it with cells in hand.
    """
    conn.execute(text("LOCK TABLE frame IN ROW EXCLUSIVE MODE"))
    keys = [int(c) for c in np.sort(cells)]
    conn.execute(
        text("SELECT pg_advisory_xact_lock(1885627182, k) FROM unnest(CAST(:keys AS int4[])) AS k"),
        {"keys": keys},
    )


UNMERGED = """
(run_id IN (SELECT run_id FROM run WHERE outcome IN ('running', 'interrupted', 'failed')) AND ingested_at >=
 coalesce((SELECT max(started_at) FROM run WHERE command = 'ingest' AND outcome IN ('done', 'partial')), '-infinity'))
"""
"""Frames of runs that did not come to their end, unless a later ingest did: it has looked at them, too."""


def unmerged(conn: Connection) -> bool:
    """Tell whether there are frames around which no ingest has looked for sources that are one star."""
    return bool(
        conn.scalar(
            text(f"SELECT EXISTS (SELECT FROM frame WHERE status = 'accepted' AND radius > 0 AND {UNMERGED})")
        )
    )


def circles_to_look_at(conn: Connection, run_id: int) -> NDArray:
    """Return the circles that the placed frames of a run cover, and those of runs that were killed.

    Fields: ra, dec, radius (deg), scale (arcsec/px).
    """
    query = f"""
        SELECT ra, dec, radius, coalesce(pixel_scale, 1) FROM frame
        WHERE status = 'accepted' AND kind = 'science' AND radius > 0 AND (run_id = %s OR {UNMERGED})
        """
    names = ("ra", "dec", "radius", "scale")
    return bulk.copy_out(conn, query, [(name, "f8") for name in names], (run_id,))


def fields_near(conn: Connection, ra: float, dec: float, radius_deg: float) -> list[int]:
    """List the fields whose centre is within reach of a position (their own radius added), nearest first."""
    query = text(
        """
        SELECT field_id FROM (
          SELECT field_id, coalesce(radius, 0) AS reach, 2 * degrees(asin(least(1, sqrt(
            power(sin(radians(dec - :dec) / 2), 2)
            + cos(radians(dec)) * cos(radians(:dec)) * power(sin(radians(ra - :ra) / 2), 2))))) AS distance
          FROM field WHERE dec BETWEEN :dec - 60 AND :dec + 60) AS f
        WHERE distance <= :radius + reach ORDER BY distance, field_id LIMIT 12
        """
    )
    return list(conn.scalars(query, {"ra": ra, "dec": dec, "radius": radius_deg}))


def placed_fields_near(conn: Connection, ra: float, dec: float) -> list[int]:
    """List the fields of `fields_near` whose place is more than approximate."""
    near = fields_near(conn, ra, dec, 0.0)
    sure = set(conn.scalars(select(field.c.field_id).where(field.c.field_id.in_(near), ~field.c.approximate)))
    return [f for f in near if f in sure]


def fields_of_object(conn: Connection, camera_id: int, name: str) -> list[int]:
    """List the fields in which a camera saw a target of this name, newest first."""
    query = text(
        """
        SELECT f.field_id FROM frame f WHERE f.camera_id = :camera AND f.object = :name AND f.field_id IS NOT NULL
        GROUP BY f.field_id ORDER BY max(f.frame_id) DESC LIMIT 3
        """
    )
    return list(conn.scalars(query, {"camera": camera_id, "name": name}))


def insert_field(
    conn: Connection, run_id: int, name: str, ra: float, dec: float, radius: float, approximate: bool
) -> int:
    """Insert a field and return its key."""
    values = {
        "name": name,
        "ra": ra,
        "dec": dec,
        "radius": radius,
        "approximate": approximate,
        "run_id": run_id,
    }
    clean = {k: _plain(v) for k, v in values.items()}
    return int(conn.execute(insert(field).values(clean).returning(field.c.field_id)).scalar_one())


def set_reference(conn: Connection, field_id: int, camera_id: int, frame_id: int) -> None:
    """Make a frame the reference of a field for its camera, with no shift against itself.

    Where there is one already, it stays, unless it was rejected since.
    """
    values = {"field_id": field_id, "camera_id": camera_id, "frame_id": frame_id}
    rejected = select(frame.c.frame_id).where(
        frame.c.frame_id == field_reference.c.frame_id, frame.c.status == "rejected"
    )
    made = (
        insert(field_reference)
        .values(values)
        .on_conflict_do_update(
            index_elements=["field_id", "camera_id"], set_={"frame_id": frame_id}, where=rejected.exists()
        )
        .returning(field_reference.c.frame_id)
    )
    if conn.execute(made).first():
        still: dict[str, Any] = {
            "shift_x": 0.0,
            "shift_y": 0.0,
            "shift_rotation": 0.0,
            "shift_scale": 1.0,
            "shift_rms": 0.0,
        }
        still |= {"shift_map": [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]}
        conn.execute(
            frame.update().where(frame.c.frame_id == frame_id).values(reference_frame_id=frame_id, **still)
        )


def reference_frame_id(conn: Connection, field_id: int, camera_id: int) -> int | None:
    """Return the reference frame of a field for a camera; None without one that is accepted."""
    query = (
        select(field_reference.c.frame_id)
        .join_from(field_reference, frame, field_reference.c.frame_id == frame.c.frame_id)
        .where(field_reference.c.field_id == field_id, field_reference.c.camera_id == camera_id)
        .where(frame.c.status == "accepted")
    )
    return conn.scalar(query)


def reference_frame(conn: Connection, field_id: int, camera_id: int) -> ReferenceFrame | None:
    """Return the reference frame of a field for a camera, with its stars; None without one that is accepted."""
    frame_id = reference_frame_id(conn, field_id, camera_id)
    return None if frame_id is None else frame_with_stars(conn, field_id, frame_id)


def not_by_catalogue(
    conn: Connection, camera_id: int, around: tuple[float, float, float], least: float
) -> int:
    """Count the frames of a camera in a circle that no catalogue placed, ingested since the newest one was loaded.

    It is 0 where a catalogue placed any frame there.

    Parameters
    ----------
    around : ra, dec and radius, deg. least : detections that they must have.
    """
    query = text(
        """
        SELECT CASE WHEN bool_or(astrometry = 'catalogue') THEN 0 ELSE count(*) FILTER (WHERE n_detections >= :least
          AND ingested_at > (SELECT coalesce(max(coalesce(r.finished_at, now())), '-infinity')
                             FROM reference_catalogue JOIN run r USING (run_id))) END
        FROM frame WHERE camera_id = :camera AND status = 'accepted' AND kind = 'science'
        AND dec BETWEEN :dec - :near AND :dec + :near
        AND abs(CAST(mod(CAST(ra - :ra + 540 AS numeric), 360) AS float8) - 180) * cosd(:dec) <= :near
        """
    )
    ra, dec, near = around
    values = {"camera": camera_id, "ra": ra, "dec": dec, "near": near, "least": least}
    return int(conn.scalar(query, values) or 0)


def rest_on_headers(conn: Connection, frame_ids: Sequence[int], remark: str) -> bool:
    """Tell whether frames have the places of their headers, or by this remark those of others' headers, all of them."""
    query = text(
        "SELECT bool_and(astrometry = 'header' OR position(CAST(:remark AS text) IN reason) > 0) "
        "FROM frame WHERE frame_id = ANY(:frames)"
    )
    return bool(conn.scalar(query, {"frames": list(frame_ids), "remark": remark}))


def references_of_others(conn: Connection, fields: Sequence[int], camera_id: int) -> list[ReferenceFrame]:
    """Return the reference frames that other cameras have of fields, in the order of these; at most four."""
    query = (
        select(field_reference.c.field_id, field_reference.c.frame_id)
        .join_from(field_reference, frame, field_reference.c.frame_id == frame.c.frame_id)
        .where(field_reference.c.field_id.in_(list(fields)), field_reference.c.camera_id != camera_id)
        .where(frame.c.status == "accepted")
    )
    rows = sorted(conn.execute(query), key=lambda row: (list(fields).index(row.field_id), row.frame_id))
    return [frame_with_stars(conn, row.field_id, row.frame_id) for row in rows[:4]]


def frame_with_stars(conn: Connection, field_id: int, frame_id: int) -> ReferenceFrame:
    """Return a frame of a field with its stars."""
    columns = (frame.c.frame_id, frame.c.nx, frame.c.ny, frame.c.wcs, frame.c.astrometry)
    row = conn.execute(select(*columns).where(frame.c.frame_id == frame_id)).one()
    stars = bulk.copy_out(
        conn,
        "SELECT detection_id, x, y, x_err, y_err, flags FROM detection WHERE frame_id = %s AND class <> 3 "
        "AND flags & %s = 0 ORDER BY detection_id",
        STAR,
        (row.frame_id, int(Flag.MASKED)),
    )
    return ReferenceFrame(
        field_id, row.frame_id, row.nx, row.ny, row.wcs, row.astrometry,
        np.column_stack([stars["x"], stars["y"]]), stars["detection_id"].copy(),
        place_errors(stars["x_err"], stars["y_err"], stars["flags"]),
    )  # fmt: skip


def field_distance(conn: Connection, field_id: int, ra: float, dec: float) -> float:
    """Return the distance (deg) of a position from a field's centre."""
    row = conn.execute(select(field.c.ra, field.c.dec).where(field.c.field_id == field_id)).one()
    return float(sky.separation_deg(ra, dec, row.ra, row.dec))
