"""What a solution reads of forced measurements, and what it writes of kinds of photometry.

A kind is a number: -1 PSF, K the aperture K of frame.aperture_radii (0 is the first), -2 the magnitude of a detection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.storage import tables
from photodb.storage.bulk import copy_in, copy_out

PSF, DETECTION = -1, -2


def forced_dtype(n_kinds: int) -> np.dtype:
    """Return the dtype of what `read_forced` gives: fluxes (e-) in the kinds asked for."""
    return np.dtype(
        [
            ("cell", "i4"), ("frame_id", "i8"), ("detection_id", "i8"), ("source_id", "i8"), ("x", "f4"), ("y", "f4"),
            ("flags", "i4"), ("flux", "f4", (n_kinds,)), ("flux_err", "f4", (n_kinds,)),
        ]
    )  # fmt: skip


def read_forced(conn: Connection, frame_ids: NDArray[np.integer], kinds: Sequence[int]) -> NDArray[Any]:
    """Return the forced measurements of frames in some kinds; NaN where a frame has none of a kind.

    What sources keep that were merged into others is left out: the others have their own.
    """
    flux, error = (
        ", ".join(
            f"{name}_psf{end}" if kind == PSF else f"coalesce({name}_aperture{end}[{int(kind) + 1}], 'NaN')"
            for kind in kinds
        )
        for name, end in (("flux", ""), ("flux", "_err"))
    )
    query = (
        f"SELECT cell, frame_id, detection_id, source_id, x, y, flags, ARRAY[{flux}], ARRAY[{error}] FROM forced "
        "WHERE frame_id = ANY(%(frames)s::bigint[]) "
        "AND source_id NOT IN (SELECT source_id FROM source WHERE merged_into >= 0)"
    )
    return copy_out(conn, query, forced_dtype(len(kinds)), {"frames": frame_ids})


def read_corrections(
    conn: Connection, frame_ids: NDArray[np.integer], kinds: Sequence[int]
) -> NDArray[np.float64]:
    """Return the frames' own aperture corrections, (n_frames, n_kinds) mag, 0 where there is none.

    `frame_ids` ascend. The column lists the PSF first, then every aperture.
    """
    query = text(
        "SELECT frame_id, aperture_corrections FROM frame WHERE frame_id = ANY(:frames) "
        "AND jsonb_typeof(aperture_corrections) = 'array'"
    )
    found = np.zeros((len(frame_ids), len(kinds)))
    for frame_id, told in conn.execute(query, {"frames": frame_ids.tolist()}):
        row = int(np.searchsorted(frame_ids, frame_id))
        for column, kind in enumerate(kinds):
            mag = told[kind + 1].get("mag") if kind + 1 < len(told) else None
            found[row, column] = 0.0 if mag is None or not np.isfinite(mag) else float(mag)
    return found


def insert_frame_photometry(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write the relations of kinds of a solution."""
    if rows:
        conn.execute(tables.frame_photometry.insert(), list(rows))


def source_photometry_dtype(n_kinds: int) -> np.dtype:
    """Return the dtype of rows of `source_photometry`."""
    return np.dtype(
        [
            ("solution_id", "i8"), ("cell", "i4"), ("source_id", "i8"), ("band_id", "i8"), ("camera_id", "i8"),
            ("photometry", "i2"), ("kinds", "i2", (n_kinds,)), ("scatter", "f4", (n_kinds,)), ("n_obs", "i4"),
            ("reason", "O"),
        ]
    )  # fmt: skip


def insert_source_photometry(conn: Connection, rows: NDArray[Any]) -> None:
    """Write which kind makes each light curve; text among the columns needs arrays as lists."""
    if not len(rows):
        return
    names = rows.dtype.names or ()
    plain = np.empty(len(rows), [(n, "O") for n in names])
    for name in names:
        plain[name] = [v.tolist() if isinstance(v, np.ndarray) else v for v in rows[name]]
    copy_in(conn, "source_photometry", plain)
