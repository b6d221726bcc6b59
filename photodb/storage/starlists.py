"""The stars of a solution in bulk: noises and flags, every magnitude, residuals over the frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.flags import BAD, Flag

from .bulk import copy_out
from .measurements import DETECTION

STAR_DTYPE = np.dtype(
    [
        ("cell", "i4"),
        ("source_id", "i8"),
        ("band_id", "i4"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("mag", "f8"),
        ("mag_err", "f8"),
        ("n_obs", "i4"),
        ("global_noise", "f4"),
        ("local_noise", "f4"),
        ("sigma", "f4"),
        ("chi2_dof", "f4"),
        ("bad_fraction", "f4"),
        ("quality_flag", "i2"),
        ("candidate", "?"),
    ]
)

POINT_DTYPE = np.dtype(
    [("source_id", "i8"), ("band_id", "i4"), ("frame_id", "i8"), ("mag", "f4"), ("good", "?")]
)

RESIDUAL_DTYPE = np.dtype([("camera_id", "i4"), ("x", "f4"), ("y", "f4"), ("residual", "f4")])


def stars(conn: Connection, solution_id: int, band_id: int | None = None) -> NDArray:
    """Return a row of `STAR_DTYPE` a source and band of a solution, brightest first.

    Where there are no statistics they are NaN and the quality flag is -2.
    """
    query = """
        SELECT m.cell, m.source_id, m.band_id, s.ra, s.dec, m.mag, m.mag_err, m.n_obs,
               coalesce(t.global_noise, 'NaN'), coalesce(t.local_noise, 'NaN'), coalesce(t.sigma, 'NaN'),
               coalesce(t.chi2_dof, 'NaN'), coalesce(t.bad_fraction, 'NaN'), coalesce(t.quality_flag, -2),
               coalesce(t.candidate, false)
        FROM source_mag m
        JOIN source s ON s.cell = m.cell AND s.source_id = m.source_id
        LEFT JOIN source_stat t ON t.solution_id = m.solution_id AND t.cell = m.cell
             AND t.source_id = m.source_id AND t.band_id = m.band_id AND t.telescope_id = 0
        WHERE m.solution_id = %(solution_id)s AND (%(band_id)s = -1 OR m.band_id = %(band_id)s)
        ORDER BY m.band_id, m.mag, m.source_id
    """
    return copy_out(conn, query, STAR_DTYPE, _values(solution_id, band_id))


def magnitudes(conn: Connection, solution_id: int, band_id: int | None = None) -> NDArray:
    """Return every point of a solution by source, (n,); `good` is false for bits of `BAD`, and limits."""
    query = f"""
        SELECT source_id, band_id, frame_id, mag, (flags & {int(BAD | Flag.FAINT)}) = 0
        FROM light_curve_point
        WHERE solution_id = %(solution_id)s AND (%(band_id)s = -1 OR band_id = %(band_id)s)
        ORDER BY source_id, band_id, frame_id
    """
    return copy_out(conn, query, POINT_DTYPE, _values(solution_id, band_id))


def residuals(conn: Connection, solution_id: int, max_error: float, max_points: int) -> NDArray:
    """Return where on the frame good points lie and how far from their source's mean, (n,).

    Only points with errors up to `max_error` (mag); at most `max_points`, spread evenly over the frames.
    """
    values = {
        "solution_id": solution_id,
        "max_error": max_error,
        "bits": int(BAD | Flag.CLIPPED | Flag.STAR_REJECTED),
    }
    condition = (
        "p.solution_id = %(solution_id)s AND p.mag_err <= %(max_error)s AND (p.flags & %(bits)s) = 0 "
        "AND p.mag <> 'NaN'"
    )
    count = f"SELECT count(*) FROM light_curve_point p WHERE {condition}"
    n = int(copy_out(conn, count, [("n", "i8")], values)["n"][0])
    values["step"] = max(1, n // max_points)
    query = f"""
        SELECT f.camera_id, 2 * coalesce(r.x, d.x) / (f.nx - 1) - 1, 2 * coalesce(r.y, d.y) / (f.ny - 1) - 1,
               p.mag - m.mag
        FROM light_curve_point p
        JOIN source_mag m ON m.solution_id = p.solution_id AND m.cell = p.cell AND m.source_id = p.source_id
             AND m.band_id = p.band_id
        JOIN frame f ON f.frame_id = p.frame_id
        LEFT JOIN detection d ON d.frame_id = p.frame_id AND d.cell = p.cell AND d.detection_id = p.detection_id
        LEFT JOIN forced r ON p.photometry > {DETECTION} AND r.frame_id = p.frame_id AND r.cell = p.cell
             AND r.source_id = p.source_id AND r.detection_id = p.detection_id
        WHERE {condition} AND f.nx > 1 AND f.ny > 1 AND m.mag <> 'NaN'
          AND (p.source_id + p.frame_id) %% %(step)s = 0
    """
    return copy_out(conn, query, RESIDUAL_DTYPE, values)


def camera_names(conn: Connection) -> dict[int, str]:
    """Return the names of cameras by id."""
    return {int(i): str(name) for i, name in conn.execute(text("SELECT camera_id, name FROM camera"))}


def band_names(conn: Connection) -> dict[int, str]:
    """Return the names of bands by id."""
    return {int(i): str(name) for i, name in conn.execute(text("SELECT band_id, name FROM band"))}


def _values(solution_id: int, band_id: int | None) -> dict[str, int]:
    return {"solution_id": solution_id, "band_id": -1 if band_id is None else band_id}
