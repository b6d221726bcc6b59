"""Frames that neither a catalogue nor their header places: by another camera's frames, or approximately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photodb.core.match import Registration
from photodb.core.tangent import TangentWCS
from photodb.images.astrometry import compose
from photodb.images.register import register_scaled
from photodb.storage import frames, registrations
from photodb.storage.engine import Connection
from photodb.storage.frames import ReferenceFrame

from .framestars import FrameStars

ANY_SCALE = (0.2, 5.0)
BY_HEADER = "placed by way of frames that have the place of a header, which no catalogue confirms"
SCALE_MARGIN = 1.1
"""How wrong the ratio of two pixel scales that headers tell may be."""
LONELY = 4
"""Frames of one camera and pointing that match no other and may each found a field."""


@dataclass(frozen=True)
class Neighbour:
    """A frame of another camera that shows the same stars."""

    frame: ReferenceFrame
    wcs: TangentWCS  # of the new frame, as good as that of the other one
    registration: Registration


def by_other_cameras(
    conn: Connection, frame: FrameStars, fields: Sequence[int], scale: float
) -> Neighbour | None:
    """Match with the reference frames that other cameras have of fields, at any rotation and parity.

    Parameters
    ----------
    scale : arcsec/px as told; where it does not fit, or NaN, any ratio of the scales within a factor of five.
    """
    for other in frames.references_of_others(conn, fields, frame.camera_id):
        if other.wcs is None:
            continue
        wcs = TangentWCS.from_dict(other.wcs)
        ratio = wcs.scale_arcsec / scale
        told = [(ratio / SCALE_MARGIN, ratio * SCALE_MARGIN)] if np.isfinite(ratio) else []
        for scales in (*told, ANY_SCALE):
            found = register_scaled(other.xy, frame.xy, scales)
            if found:
                return Neighbour(other, compose(wcs, found.inverse, frame.nx, frame.ny), found)
    return None


def may_found(conn: Connection, frame: FrameStars, fields: Sequence[int]) -> bool:
    """Tell whether a frame that matches none of the fields at its pointing may found one more.

    It may where nothing speaks for them: each has one frame that no other matches, so that nobody knows which is bad;
    the frames to come tell. Where the header says that its astrometry failed, it may not: it could be anywhere.

    Parameters
    ----------
    fields : those that have a reference frame of its camera and should share stars with it.
    """
    if not fields:
        return True
    references = [frames.reference_frame_id(conn, f, frame.camera_id) for f in fields]
    alone = not any(r is not None and registrations.is_followed(conn, r) for r in references)
    return alone and not frame.wcs_failed and len(fields) <= LONELY


def unconfirmed(conn: Connection, frame_ids: Sequence[int]) -> str:
    """Return the remark of a frame that hangs on others whose places are all of headers; empty else."""
    return BY_HEADER if frames.rest_on_headers(conn, frame_ids, BY_HEADER) else ""


def by_pointing(frame: FrameStars, ra: float, dec: float, scale: float) -> tuple[TangentWCS | None, str, str]:
    """Return the approximate place that a pointing (deg) gives, of which kind it is, and a remark."""
    if frame.header_wcs is not None:
        remark = (
            "position approximate: from the header, which says that its astrometry failed; load a catalogue"
        )
        return frame.header_wcs, "approximate", remark
    if not np.isfinite([ra, dec]).all():
        return None, "none", "no pointing in the header: positions unknown; say --center RA DEC"
    scale = scale if np.isfinite(scale) else 1.0
    wcs = TangentWCS.approximate(ra, dec, (frame.nx - 1) / 2, (frame.ny - 1) / 2, scale)
    remark = (
        f"position approximate: pointing and scale {scale:.3g} arcsec/px, north taken as up; load a catalogue"
    )
    return wcs, "approximate", remark
