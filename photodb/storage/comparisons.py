"""What a comparison with known truth reads of one solution, as structured arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

FRAME_DTYPE = np.dtype(
    [
        ("frame_id", "i8"),
        ("path", "O"),
        ("camera", "O"),
        ("band", "O"),
        ("status", "O"),
        ("reason", "O"),
        ("gain", "f8"),  # e-/ADU used
        ("radius", "f8"),  # px, aperture of detection.flux
        ("zero_point", "f8"),  # mag; NaN where the solution has none
        ("zero_point_err", "f8"),
        ("component", "i4"),
        ("used", "?"),  # by the solution
        ("solution_reason", "O"),
    ]
)

SOURCE_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("approximate", "?"),
        ("n_obs", "i4"),
        ("mag", "f8"),
        ("mag_err", "f8"),
    ]
)

CANDIDATE_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("band", "O"),
        ("n_obs", "i4"),
        ("mag", "f8"),
        ("score", "f8"),
        ("period", "f8"),
        ("tags", "O"),
    ]
)

POINT_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("frame_id", "i8"),
        ("bjd_tdb", "f8"),
        ("mag", "f8"),
        ("mag_err", "f8"),
        ("flags", "i4"),
    ]
)


def frames(conn: Connection, solution_id: int) -> NDArray[Any]:
    """Return every science frame, with its terms in the solution where it has them."""
    query = """
        SELECT f.frame_id, f.path, c.name, b.name, f.status, f.reason, coalesce(f.gain, 'NaN'::real),
               coalesce(f.aperture_radii[f.aperture_best + 1], 'NaN'::real),
               coalesce(t.zero_point, 'NaN'::float8), coalesce(t.zero_point_err, 'NaN'::float8),
               coalesce(t.component, -1), coalesce(t.status = 'used', false), coalesce(t.reason, '')
        FROM frame f
        LEFT JOIN camera c USING (camera_id) LEFT JOIN band b USING (band_id)
        LEFT JOIN frame_term t ON t.frame_id = f.frame_id AND t.solution_id = :solution_id
        WHERE f.kind IN ('science', 'unknown') ORDER BY f.frame_id"""
    return _rows(conn, query, FRAME_DTYPE, solution_id=solution_id)


def sources(conn: Connection, solution_id: int, band: str) -> NDArray[Any]:
    """Return every living source, with its magnitude in a band (NaN and no point where it has none)."""
    query = """
        SELECT s.source_id, s.ra, s.dec, s.approximate, coalesce(m.n_obs, 0), coalesce(m.mag, 'NaN'::float8),
               coalesce(m.mag_err, 'NaN'::float8)
        FROM source s
        LEFT JOIN source_mag m ON m.cell = s.cell AND m.source_id = s.source_id
             AND m.solution_id = :solution_id AND m.band_id = (SELECT band_id FROM band WHERE name = :band)
        WHERE s.merged_into < 0 ORDER BY s.source_id"""
    return _rows(conn, query, SOURCE_DTYPE, solution_id=solution_id, band=band)


def candidates(conn: Connection, solution_id: int) -> NDArray[Any]:
    """Return the candidates of variable stars of all telescopes together, best first."""
    query = """
        SELECT s.source_id, s.ra, s.dec, b.name, v.n_obs, v.median_mag, v.score, v.period, v.tags
        FROM source_stat v
        JOIN source s ON s.cell = v.cell AND s.source_id = v.source_id
        JOIN band b USING (band_id)
        WHERE v.solution_id = :solution_id AND v.telescope_id = 0 AND v.candidate
        ORDER BY v.score DESC, v.source_id, b.name"""
    return _rows(conn, query, CANDIDATE_DTYPE, solution_id=solution_id)


def points(conn: Connection, solution_id: int, source_ids: NDArray[np.integer], band: str) -> NDArray[Any]:
    """Return the calibrated points of sources in a band, by source and time, without NaN."""
    query = """
        SELECT source_id, frame_id, bjd_tdb, mag, mag_err, flags FROM light_curve_point
        WHERE solution_id = :solution_id AND source_id = ANY(CAST(:ids AS bigint[]))
          AND band_id = (SELECT band_id FROM band WHERE name = :band) AND mag <> 'NaN'::real
        ORDER BY source_id, bjd_tdb"""
    ids = [int(i) for i in source_ids]
    return _rows(conn, query, POINT_DTYPE, solution_id=solution_id, ids=ids, band=band)


def _rows(conn: Connection, query: str, dtype: np.dtype, **parameters: Any) -> NDArray[Any]:
    found = [tuple(row) for row in conn.execute(text(query), parameters)]
    return np.array(found, dtype=dtype)
