"""List, show, export and drop masters."""

from __future__ import annotations

import os
from pathlib import Path

from astropy.table import Table

from photodb.errors import UsageError
from photodb.storage import masters
from photodb.storage.engine import Database

from .instruments import typed_table
from .runs import recorded_run

MASTER_COLUMNS = {
    "master_id": "i8",
    "kind": "U8",
    "camera": "U64",
    "band": "U16",
    "mjd": "f8",
    "exptime": "f8",
    "n_frames": "i4",
    "nx": "i4",
    "ny": "i4",
    "median": "f8",
    "scatter": "f8",
    "noise": "f8",
    "clipped": "f8",
    "n_bad": "f8",
    "valid_from": "f8",
    "valid_to": "f8",
    "n_used": "i8",
    "status": "U8",
    "reason": "U120",
    "run_id": "i8",
    "code_version": "U16",
}
FRAME_COLUMNS = {"frame_id": "i8", "mjd": "f8", "exptime": "f8", "path": "U256"}


def master_table(db: Database, camera: str | None = None) -> Table:
    """List the masters of a camera or of all, the rejected ones with their reasons."""
    with db.begin() as conn:
        rows = masters.list_masters(conn, None if camera is None else [camera])
    return typed_table([dict(row) for row in rows], MASTER_COLUMNS)


def master_frames(db: Database, master_id: int) -> Table:
    """List the frames that made a master; NothingMatched if there is none of this key."""
    with db.begin() as conn:
        masters.get_master(conn, master_id)
        rows = masters.frames_of(conn, master_id)
    return typed_table([dict(row) for row in rows], FRAME_COLUMNS)


def master_remarks(db: Database, master_id: int) -> list[str]:
    """Return what is to know of a master besides its frames: status, what was taken off, who was left out."""
    with db.begin() as conn:
        row = masters.get_master(conn, master_id)
    remark = f": {row['reason']}" if row["reason"] else ""
    lines = [f"master {master_id}, {row['kind']} of {row['camera']}: {row['status']}{remark}"]
    lines += [f"{kind} {row[key]} was taken off its frames" for kind, key in
              (("bias", "bias_id"), ("dark", "dark_id")) if row[key] is not None]  # fmt: skip
    return lines + [f"left out frame {k}: {why}" for k, why in sorted(row["left_out"].items())]


def export_master(db: Database, master_id: int, path: Path) -> None:
    """Write a master's pixels and mask to a FITS file, whole or not at all.

    Raises
    ------
    NothingMatched : no such master.
    UsageError : it was rejected and has no pixels, or the file exists.
    """
    if path.exists():
        raise UsageError(f"{path} exists; choose another name")
    with db.begin() as conn:
        row = masters.get_master(conn, master_id)
        content = masters.master_content(conn, master_id)
    if not content:
        raise UsageError(f"master {master_id} has no pixels: {row['reason']}")
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    os.replace(new, path)


def drop(db: Database, master_id: int, reason: str, *, dry_run: bool = False) -> None:
    """Reject a master and delete its pixels.

    Raises
    ------
    NothingMatched : no such master.
    UsageError : it is rejected already, or frames or masters were reduced with it.
    """
    with db.begin() as conn:
        row = masters.get_master(conn, master_id)
        if row["status"] == "rejected":
            raise UsageError(f"master {master_id} is rejected already: {row['reason']}")
        masters.check_unused(conn, master_id)
    if dry_run:
        return
    with recorded_run(db, "calib drop", {"master": master_id, "reason": reason}, {}), db.begin() as conn:
        masters.check_unused(conn, master_id)
        masters.drop_master(conn, master_id, reason)
