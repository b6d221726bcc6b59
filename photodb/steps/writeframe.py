"""Write one measured frame: its place, its sources and all its rows, in one transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.association import MOST_REACH_PX
from photodb.core.positions import position_sigma
from photodb.errors import FrameError
from photodb.images.pipeline import FrameFailure, FrameResult
from photodb.storage import frames, instruments, masters, overlaps
from photodb.storage.engine import Connection, Database

from .associate import Association, Seen, Sight, associate, search_deg
from .cameras import Cameras
from .framerows import (
    centre_of,
    common_values,
    detection_rows,
    instrumental_mag,
    match_rows,
    measured_values,
    shift_values,
    sky_values,
)
from .framestars import FrameStars, Observed, as_stored, observed, stars_of_result
from .place import Placer
from .placement import Placement

LOCK_ORDER = 6
LOCK_MARGIN_DEG = 0.02
NOWHERE = np.array([-1])
"""The lock of frames whose place is not known."""


@dataclass(frozen=True)
class Written:
    """What became of a frame."""

    status: str  # accepted, rejected, known
    kind: str = "science"
    code: str = ""
    reason: str = ""
    n_detections: int = 0
    n_sources: int = 0


class _AlreadyThere(Exception):
    """The frame was written by another process meanwhile; the transaction is to be rolled back."""


def write_failure(db: Database, run_id: int, failure: FrameFailure) -> Written:
    """Write a file that cannot be used as a rejected frame."""
    identity = f"{failure.file_hash}:{failure.channel}" if failure.channel else failure.file_hash
    values = {
        "path": str(failure.path), "data_hash": identity or f"path:{failure.path}",
        "file_hash": failure.file_hash, "channel": failure.channel, "kind": "unknown", "status": "rejected",
        "reason": failure.reason, "reason_code": failure.code, "run_id": run_id,
        "source_format": failure.source_format,
    }  # fmt: skip
    with db.begin() as conn:
        if frames.insert_frame(conn, values) < 0:
            return Written("known")
    return Written("rejected", "unknown", failure.code, failure.reason)


def write_result(
    db: Database, run_id: int, result: FrameResult, cameras: Cameras, placer: Placer, stages: dict[str, float]
) -> Written:
    """Write a measured frame; where it turns out to lie outside the cells it locked, lock more and start again."""
    if result.measured is None:
        return _write_calibration(db, run_id, result, cameras)
    try:
        return _write_placed(db, run_id, as_stored(result), cameras, placer, stages)
    except _AlreadyThere:
        return Written("known")


def _write_placed(
    db: Database, run_id: int, result: FrameResult, cameras: Cameras, placer: Placer, stages: dict[str, float]
) -> Written:
    frame = stars_of_result(result, cameras.camera_ids[result.camera])
    cells = cells_of(*placer.pointing(frame), placer.radius(frame))
    while True:
        with db.begin() as conn:
            frames.lock_cells(conn, cells)
            if frames.has_data_hash(conn, result.data_hash):
                return Written("known")
            began = time.perf_counter()
            try:
                placement = placer.place(conn, frame)
            except FrameError as error:
                return _write_rejected(conn, run_id, result, cameras, error)
            finally:
                _lap(stages, "register and place", began)
            scale = placement.wcs.scale_arcsec if placement.wcs else 0.0
            needed = np.union1d(cells, cells_of(*centre_of(placement, frame), scale))
            if len(needed) == len(cells):
                began = time.perf_counter()
                written = _write_science(conn, run_id, result, frame, cameras, placement)
                _lap(stages, "associate and store", began)
                return written
        cells = needed


def _lap(stages: dict[str, float], name: str, began: float) -> None:
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - began


def cells_of(ra: float, dec: float, radius: float, scale: float = 0.0) -> NDArray[np.int64]:
    """Return the cells to lock for a frame: those it may touch, or the one lock for frames without a place.

    Parameters
    ----------
    ra, dec, radius : deg; scale : arcsec/px. Detections on the edge reach sources beyond it, the farther the coarser.
    """
    if not np.isfinite([ra, dec]).all():
        return NOWHERE
    margin = max(LOCK_MARGIN_DEG, search_deg(MOST_REACH_PX * scale))
    return sky.cone_cells(ra, dec, radius + margin, LOCK_ORDER)


def _band(conn: Connection, result: FrameResult) -> int | None:
    name = result.exposure.band
    return instruments.band_ids(conn, {name})[name] if name else None


def _write_calibration(db: Database, run_id: int, result: FrameResult, cameras: Cameras) -> Written:
    with db.begin() as conn:
        values = common_values(run_id, result, cameras, _band(conn, result))
        values |= {"status": "accepted", "ra": None, "dec": None}
        if frames.insert_frame(conn, values) < 0:
            return Written("known")
    return Written("accepted", result.exposure.kind)


def _write_rejected(
    conn: Connection, run_id: int, result: FrameResult, cameras: Cameras, error: FrameError
) -> Written:
    values = common_values(run_id, result, cameras, _band(conn, result)) | measured_values(result)
    values |= {"status": "rejected", "reason": str(error), "reason_code": error.code}
    values |= {"ra": result.exposure.ra, "dec": result.exposure.dec}
    frame_id = frames.insert_frame(conn, values)
    if frame_id < 0:
        return Written("known")
    masters.insert_frame_masters(conn, frame_id, result.correction.master_ids)
    return Written("rejected", "science", error.code, str(error))


def _write_science(
    conn: Connection,
    run_id: int,
    result: FrameResult,
    frame: FrameStars,
    cameras: Cameras,
    placement: Placement,
) -> Written:
    assert result.measured is not None
    centre = centre_of(placement, frame)
    approximate = placement.astrometry == "approximate"
    founding = placement.field_id < 0
    field_id = placement.field_id
    if founding:
        name = result.exposure.object or result.path.stem
        field_id = frames.insert_field(conn, run_id, name, *centre, approximate)
    values = common_values(run_id, result, cameras, _band(conn, result)) | measured_values(result)
    values |= sky_values(result, placement, centre, cameras) | shift_values(result, placement)
    values |= {"status": "accepted", "field_id": field_id, "n_detections": len(result.measured.detections)}
    values["reason"] = "; ".join(filter(None, (values["reason"], result.correction.missing)))
    frame_id = frames.insert_frame(conn, values)
    if frame_id < 0:  # another process wrote the same frame under other locks: take the field back too
        raise _AlreadyThere
    overlaps.mark(conn, frame_id)
    masters.insert_frame_masters(conn, frame_id, result.correction.master_ids)
    links, ra, dec = associated(conn, run_id, field_id, observed(result), placement, centre)
    rows = detection_rows(result, frame_id, links, ra, dec)
    frames.insert_rows(conn, frame_id, rows, match_rows(frame, placement, frame_id, links))
    if placement.reference is None:
        frames.set_reference(conn, field_id, frame.camera_id, frame_id)
    return Written("accepted", "science", n_detections=len(rows), n_sources=links.n_new)


def associated(
    conn: Connection,
    run_id: int,
    field_id: int,
    seen: Observed,
    placement: Placement,
    centre: tuple[float, float, float],
) -> tuple[Association, NDArray, NDArray]:
    """Return which source each detection belongs to, and the detections' positions."""
    n = len(seen.x)
    if placement.wcs is None:
        nothing, nowhere = np.full(n, -1, np.int64), np.full(n, np.nan)
        return Association(nothing, nothing, seen.flags, 0), nowhere, nowhere
    ra, dec = placement.wcs.to_sky(seen.x, seen.y)
    scale, approximate = placement.wcs.scale_arcsec, placement.astrometry == "approximate"
    sight = Sight(field_id, approximate, seen.mjd, centre, scale, seen.fwhm)
    placed = Seen(
        ra, dec, position_sigma(seen.x_err, seen.y_err, scale), instrumental_mag(seen.flux, seen.exptime),
        seen.flux / seen.flux_err, seen.flags,
    )  # fmt: skip
    return associate(conn, run_id, sight, placed), ra, dec
