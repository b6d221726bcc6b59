"""Rooms of the statistics: the points they are computed from, their rows, and the list of variables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.flags import BAD, DOUBTFUL
from photodb.storage import tables
from photodb.storage.bulk import copy_in, copy_out
from photodb.storage.sourceids import living, members

POINT_DTYPE = np.dtype(
    [
        ("cell", "i4"),
        ("source_id", "i8"),
        ("band_id", "i8"),
        ("frame_id", "i8"),
        ("mjd", "f8"),
        ("bjd_tdb", "f8"),
        ("mag", "f4"),
        ("mag_err", "f4"),
        ("flags", "i4"),
    ]
)
FRAME_DTYPE = np.dtype(
    [
        ("frame_id", "i8"),
        ("telescope_id", "i8"),
        ("band_id", "i8"),
        ("field_id", "i8"),
        ("component", "i4"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("radius", "f8"),
        ("fwhm", "f8"),
        ("footprint", "f8", (8,)),
    ]
)
SOURCE_DTYPE = np.dtype(
    [
        ("cell", "i4"),
        ("source_id", "i8"),
        ("band_id", "i8"),
        ("component", "i4"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("flags", "i4"),
        ("field_id", "i8"),
    ]
)
INDEX_NAMES: tuple[str, ...] = tuple(name for name, _, _ in tables.INDEX_COLUMNS)
STAT_DTYPE = np.dtype(
    [
        ("solution_id", "i8"),
        ("cell", "i4"),
        ("source_id", "i8"),
        ("band_id", "i8"),
        ("telescope_id", "i8"),
        ("n_obs", "i4"),
        ("n_bad", "i4"),
        ("bad_fraction", "f4"),
        ("quality_flag", "i2"),
        *[(name, "f4") for name in INDEX_NAMES],
        ("z", "O"),  # JSON text
        ("score", "f4"),
        ("tags", "O"),  # list of text
        ("candidate", "?"),
        ("period", "f8"),
        ("period_fap", "f4"),
        ("reference_star", "?"),
        ("run_id", "i8"),
        ("class", "i2"),
        ("psf_size", "f4"),
        ("psf_size_err", "f4"),
    ]
)
SHAPE_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("band_id", "i8"),
        ("telescope_id", "i8"),
        ("weight", "f8"),  # of the sizes: sum of 1 / error^2
        ("weighted", "f8"),  # sum of size / error^2
        ("votes", "i4", (3,)),  # detections taken for stars, extended objects, cosmic rays
    ]
)
VARIABLE_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("band", "U32"),
        ("n_obs", "i4"),
        ("mag", "f8"),
        ("score", "f4"),
        ("period", "f8"),
        ("reason", "U400"),
        ("period_fap", "f4"),
        ("global_noise", "f4"),
        ("local_noise", "f4"),
        ("chi2_dof", "f4"),
        ("quality_flag", "i2"),
        ("candidate", "?"),
        ("solution_id", "i8"),
        ("class", "U10"),
    ]
)

_POINTS = """
SELECT cell, source_id, band_id, frame_id, mjd, bjd_tdb, mag, mag_err, flags FROM light_curve_point
WHERE solution_id = %(solution)s
"""
_FRAMES = """
SELECT t.frame_id, c.telescope_id, f.band_id, coalesce(f.field_id, -1), t.component, coalesce(f.ra, 'NaN'),
       coalesce(f.dec, 'NaN'), coalesce(f.radius, 'NaN'), coalesce(f.fwhm, 'NaN')::float8,
       CASE WHEN array_length(f.footprint, 1) = 8 THEN f.footprint ELSE array_fill('NaN'::float8, ARRAY[8]) END
FROM frame_term t JOIN frame f USING (frame_id) JOIN camera c USING (camera_id)
WHERE t.solution_id = %(solution)s AND t.status = 'used'
ORDER BY t.frame_id
"""
_SOURCES = """
SELECT m.cell, m.source_id, m.band_id, m.component, s.ra, s.dec, s.flags, s.field_id
FROM source_mag m JOIN source s ON s.cell = m.cell AND s.source_id = m.source_id
WHERE m.solution_id = %(solution)s
ORDER BY m.source_id, m.band_id
"""
_SHAPES = """
SELECT d.source_id, f.band_id, c.telescope_id, coalesce(sum(w.weight), 0)::float8,
       coalesce(sum(w.weight * d.psf_size), 0)::float8,
       ARRAY[count(*) FILTER (WHERE d.class = 1), count(*) FILTER (WHERE d.class = 2),
             count(*) FILTER (WHERE d.class = 3)]::int4[]
FROM frame_term t JOIN frame f USING (frame_id) JOIN camera c USING (camera_id)
JOIN detection d ON d.frame_id = f.frame_id
LEFT JOIN LATERAL (
  SELECT 1 / (d.psf_size_err::float8 ^ 2 + %(floor)s::float8 ^ 2) AS weight
  WHERE d.psf_size_err > 0 AND d.psf_size_err < 'NaN' AND d.psf_size < 'NaN' AND d.flags & %(flawed)s = 0
) w ON true
WHERE t.solution_id = %(solution)s AND t.status = 'used' AND d.source_id >= 0
GROUP BY 1, 2, 3
"""


def read_shapes(conn: Connection, solution_id: int, floor: float) -> NDArray[Any]:
    """Return what the detections of a solution's sources tell of their shapes, SHAPE_DTYPE.

    `floor` is added to the error of every size; flawed detections do not tell their size.
    """
    chosen = {"solution": solution_id, "floor": floor, "flawed": int(BAD)}
    return copy_out(conn, _SHAPES, SHAPE_DTYPE, chosen)


def read_points(conn: Connection, solution_id: int) -> NDArray[Any]:
    """Return all light-curve points of a solution, POINT_DTYPE."""
    return copy_out(conn, _POINTS, POINT_DTYPE, {"solution": solution_id})


def read_light_curve(
    conn: Connection, solution_id: int, source_id: int
) -> tuple[NDArray[Any], dict[int, str]]:
    """Return one source's points of a solution, POINT_DTYPE, by time, and the names of the bands."""
    query = _POINTS + " AND source_id = ANY(%(sources)s) ORDER BY mjd"
    parts = list(members(conn, [living(conn, source_id)]))  # of sources that were merged into it since, too
    points = copy_out(conn, query, POINT_DTYPE, {"solution": solution_id, "sources": parts})
    names = conn.execute(text("SELECT band_id, name FROM band"))
    return points, {int(row[0]): str(row[1]) for row in names}


def good_points(points: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which points are neither flagged bad nor without a number; clipped ones are good."""
    good = (points["flags"] & int(DOUBTFUL)) == 0
    return np.asarray(good & np.isfinite(points["mag"]) & np.isfinite(points["mag_err"]))


def read_frames(conn: Connection, solution_id: int) -> NDArray[Any]:
    """Return the used frames of a solution with their places on the sky, FRAME_DTYPE, by frame_id."""
    return copy_out(conn, _FRAMES, FRAME_DTYPE, {"solution": solution_id})


def read_sources(conn: Connection, solution_id: int) -> NDArray[Any]:
    """Return the sources and bands of a solution, SOURCE_DTYPE, by source_id and band_id."""
    return copy_out(conn, _SOURCES, SOURCE_DTYPE, {"solution": solution_id})


def replace(conn: Connection, solution_id: int, rows: NDArray[Any]) -> None:
    """Replace the statistics of a solution by new rows, STAT_DTYPE; two at once wait for each other."""
    conn.execute(text("SELECT 1 FROM solution WHERE solution_id = :s FOR UPDATE"), {"s": solution_id})
    conn.execute(text("DELETE FROM source_stat WHERE solution_id = :s"), {"s": solution_id})
    copy_in(conn, "source_stat", rows)


def has_rows(conn: Connection, solution_id: int) -> bool:
    """Tell whether a solution has statistics."""
    query = text("SELECT EXISTS (SELECT 1 FROM source_stat WHERE solution_id = :s)")
    return bool(conn.scalar(query, {"s": solution_id}))


def list_variables(
    conn: Connection,
    solution_id: int,
    min_epochs: int = 0,
    band: str | None = None,
    min_score: float = 0.0,
    all_stars: bool = False,
    limit: int | None = None,
) -> NDArray[Any]:
    """Return candidates (or all stars) of all telescopes together, VARIABLE_DTYPE, best first."""
    query = text(
        """
        SELECT s.source_id, s.ra, s.dec, b.name, v.n_obs, v.median_mag, v.score, v.period,
               left(array_to_string(v.tags, ' '), 400), v.period_fap, v.global_noise, v.local_noise, v.chi2_dof,
               v.quality_flag, v.candidate, v.solution_id,
               (ARRAY['unknown', 'star', 'extended', 'cosmic ray'])[v.class + 1]
        FROM source_stat v
        JOIN source s ON s.cell = v.cell AND s.source_id = v.source_id
        JOIN band b USING (band_id)
        WHERE v.solution_id = :solution_id AND v.telescope_id = 0 AND (v.candidate OR :all_stars)
          AND v.n_obs >= :min_epochs AND v.score >= :min_score AND (CAST(:band AS text) IS NULL OR b.name = :band)
        ORDER BY v.candidate DESC, v.score DESC, s.source_id, b.name
        LIMIT :limit
        """
    )
    values = {
        "solution_id": solution_id,
        "all_stars": all_stars,
        "min_epochs": min_epochs,
        "min_score": min_score,
        "band": band,
        "limit": limit,
    }
    return np.array([tuple(row) for row in conn.execute(query, values)], dtype=VARIABLE_DTYPE)
