"""The tables `master`, `master_piece`, `master_frame` and `frame_master`: masters with their pixels, and who uses them.

The pixels are a FITS file cut into pieces: they come and go with the row in one transaction, are dumped and restored
with the archive, and need no folder that every machine sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, delete, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from photodb.errors import NothingMatched, UsageError
from photodb.storage.tables import band, camera, frame, frame_master, master, master_frame, master_piece, run

PIECE_BYTES = 4 << 20


def calibration_frames(conn: Connection, kind: str, cameras: Sequence[str] | None) -> list[RowMapping]:
    """List the accepted calibration frames of a kind, of some cameras or all, in the order of time."""
    f = frame.c
    query = (
        select(
            f.frame_id, f.kind, f.path, f.data_hash, f.night, f.mjd, f.exptime, f.nx, f.ny, f.camera_id, f.band_id,
            camera.c.name.label("camera"), band.c.name.label("band"),
        )
        .join_from(frame, camera)
        .join(band, band.c.band_id == f.band_id, isouter=True)
        .where(f.kind == kind, f.status == "accepted", f.mjd.is_not(None), f.nx.is_not(None))
        .order_by(f.mjd, f.frame_id)
    )  # fmt: skip
    if cameras is not None:
        query = query.where(camera.c.name.in_(cameras))
    return list(conn.execute(query).mappings())


def list_masters(conn: Connection, cameras: Sequence[str] | None = None) -> list[RowMapping]:
    """List masters with the names of camera and band and how many frames use each, oldest first."""
    used = (
        select(text("count(*)"))
        .select_from(frame_master)
        .where(frame_master.c.master_id == master.c.master_id)
        .scalar_subquery()
    )
    query = (
        select(
            master, camera.c.name.label("camera"), band.c.name.label("band"), used.label("n_used"),
            run.c.code_version,
        )
        .join_from(master, camera)
        .join(band, band.c.band_id == master.c.band_id, isouter=True)
        .join(run, run.c.run_id == master.c.run_id, isouter=True)
        .order_by(master.c.master_id)
    )  # fmt: skip
    if cameras is not None:
        query = query.where(camera.c.name.in_(cameras))
    return list(conn.execute(query).mappings())


def get_master(conn: Connection, master_id: int) -> RowMapping:
    """Return the row of one master as `list_masters` does; NothingMatched if there is none."""
    found = [row for row in list_masters(conn) if row["master_id"] == master_id]
    if not found:
        raise NothingMatched(f"no master {master_id}; see 'photodb calib list'")
    return found[0]


def frames_of(conn: Connection, master_id: int) -> list[RowMapping]:
    """List the frames that made a master."""
    query = (
        select(frame.c.frame_id, frame.c.path, frame.c.mjd, frame.c.exptime)
        .join_from(master_frame, frame)
        .where(master_frame.c.master_id == master_id)
        .order_by(frame.c.mjd, frame.c.frame_id)
    )
    return list(conn.execute(query).mappings())


def insert_master(
    conn: Connection, values: Mapping[str, Any], frame_ids: Sequence[int], content: bytes
) -> int:
    """Insert a master with the frames that made it and its pixels; -1 where one of its identity is there.

    Parameters
    ----------
    content : bytes of its FITS file; empty for a rejected one.
    """
    clean = {name: _plain(value) for name, value in values.items()}
    statement = upsert(master).values(clean).on_conflict_do_nothing(index_elements=["identity"])
    master_id = conn.execute(statement.returning(master.c.master_id)).scalar()
    if master_id is None:
        return -1
    if frame_ids:
        conn.execute(insert(master_frame), [{"master_id": master_id, "frame_id": int(k)} for k in frame_ids])
    for piece, at in enumerate(range(0, len(content), PIECE_BYTES)):
        part = {"master_id": master_id, "piece": piece, "content": content[at : at + PIECE_BYTES]}
        conn.execute(insert(master_piece).values(part))
    return int(master_id)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def master_content(conn: Connection, master_id: int) -> bytes:
    """Return the bytes of a master's FITS file; empty if it has none."""
    query = (
        select(master_piece.c.content)
        .where(master_piece.c.master_id == master_id)
        .order_by(master_piece.c.piece)
    )
    return b"".join(conn.scalars(query))


def content_length(conn: Connection, master_id: int) -> int:
    """Return the length of a master's FITS file, bytes; 0 if it has none."""
    query = text("SELECT coalesce(sum(length(content)), 0) FROM master_piece WHERE master_id = :id")
    return int(conn.execute(query, {"id": master_id}).scalar_one())


def content_part(conn: Connection, master_id: int, start: int, stop: int) -> bytes:
    """Return the bytes [start, stop) of a master's FITS file; nothing else is read."""
    query = text(
        "SELECT substring(content FROM CAST(greatest(:start - piece * :size, 0) + 1 AS integer) "
        "FOR CAST(least(:stop - piece * :size, :size) - greatest(:start - piece * :size, 0) AS integer)) "
        "FROM master_piece WHERE master_id = :id AND piece BETWEEN :start / :size AND (:stop - 1) / :size "
        "ORDER BY piece"
    )
    values = {"id": master_id, "start": start, "stop": stop, "size": PIECE_BYTES}
    return b"".join(conn.scalars(query, values))


def forget_rejected(conn: Connection, identity: str) -> None:
    """Delete a rejected master, so that it can be built again."""
    conn.execute(delete(master).where(master.c.identity == identity, master.c.status == "rejected"))


def check_unused(conn: Connection, master_id: int) -> None:
    """Check that nothing was reduced with a master; UsageError names the runs and masters that used it."""
    users = text(
        """
        SELECT format('run %s, %s frames', f.run_id, count(*)) FROM frame_master m JOIN frame f USING (frame_id)
        WHERE m.master_id = :id GROUP BY f.run_id
        UNION ALL SELECT format('master %s', master_id) FROM master
        WHERE (bias_id = :id OR dark_id = :id) AND status = 'accepted'
        """
    )
    found = sorted(conn.scalars(users, {"id": master_id}))
    if found:
        raise UsageError(
            f"master {master_id} was used: {', '.join(found)}; take these back first "
            "(photodb runs undo, photodb calib drop)"
        )


def drop_master(conn: Connection, master_id: int, reason: str) -> None:
    """Reject a master and delete its pixels; its row stays, so that ingest does not build it again."""
    conn.execute(delete(master_piece).where(master_piece.c.master_id == master_id))
    values = {"status": "rejected", "reason": reason, "data_hash": None}
    conn.execute(master.update().where(master.c.master_id == master_id).values(values))


def insert_frame_masters(conn: Connection, frame_id: int, master_ids: Sequence[int]) -> None:
    """Write which masters were applied to a frame."""
    if master_ids:
        conn.execute(insert(frame_master), [{"frame_id": frame_id, "master_id": k} for k in master_ids])


def masters_of_frames(conn: Connection, frame_ids: Sequence[int]) -> list[RowMapping]:
    """Return exposure, keys of the masters applied, and what was missing, of frames: a row a frame."""
    query = text(
        """
        SELECT frame_id, coalesce(exptime, 0) AS exptime, coalesce(assumed ->> 'masters', '') AS missing,
               ARRAY(SELECT master_id FROM frame_master m WHERE m.frame_id = f.frame_id ORDER BY 1) AS master_ids
        FROM frame f WHERE frame_id = ANY(CAST(:ids AS bigint[])) ORDER BY frame_id
        """
    )
    return list(conn.execute(query, {"ids": list(frame_ids)}).mappings())
