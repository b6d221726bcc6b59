"""Rooms of a solution: what it reads, its frame terms, source magnitudes and light curves, and which is published.

Functions take a connection first and never commit; a step makes one transaction of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, func, select, text

from photodb.errors import NothingMatched, UsageError
from photodb.storage import tables
from photodb.storage.bulk import copy_in, copy_out
from photodb.storage.partitions import create_solution_partition, drop_solution_partition

FRAME_DTYPE = np.dtype(
    [
        ("frame_id", "i8"),
        ("camera_id", "i8"),
        ("telescope_id", "i8"),
        ("band_id", "i8"),
        ("field_id", "i8"),  # -1 if none
        ("night", "i4"),  # -1 if unknown
        ("mjd", "f8"),
        ("mjd_tdb", "f8"),
        ("earth_x", "f8"),  # lt-s
        ("earth_y", "f8"),
        ("earth_z", "f8"),
        ("nx", "i4"),  # px; 0 if unknown
        ("ny", "i4"),
        ("exptime", "f8"),  # s; NaN if unknown
        ("aperture_area", "f8"),  # m2
        ("n_forced", "i4"),  # -1 until it was measured so
        ("aperture_best", "i4"),  # -1 if unknown
        ("n_apertures", "i4"),
        ("electrons", "?"),  # whether fluxes are electrons; those of some star lists are not
    ]
)
DETECTION_DTYPE = np.dtype(
    [
        ("cell", "i4"),
        ("frame_id", "i8"),
        ("detection_id", "i8"),
        ("source_id", "i8"),
        ("x", "f4"),
        ("y", "f4"),
        ("mag", "f8"),
        ("mag_err", "f8"),
        ("flags", "i4"),
        ("flux_err", "f8"),  # e-, of the main aperture; NaN if unknown
    ]
)
SOURCE_DTYPE = np.dtype(
    [("source_id", "i8"), ("cell", "i4"), ("ra", "f8"), ("dec", "f8"), ("flags", "i4"), ("field_id", "i8")]
)
POINT_DTYPE = np.dtype(
    [
        ("solution_id", "i8"),
        ("cell", "i4"),
        ("source_id", "i8"),
        ("band_id", "i4"),
        ("frame_id", "i8"),
        ("detection_id", "i8"),
        ("mjd", "f8"),
        ("bjd_tdb", "f8"),
        ("mag", "f4"),
        ("mag_err", "f4"),
        ("err_photon", "f4"),
        ("err_calibration", "f4"),
        ("err_floor", "f4"),
        ("flags", "i4"),
        ("mag_limit", "f4"),
        ("photometry", "i2"),
    ]
)
SOURCE_MAG_DTYPE = np.dtype(
    [
        ("solution_id", "i8"),
        ("cell", "i4"),
        ("source_id", "i8"),
        ("band_id", "i8"),
        ("mag", "f8"),
        ("mag_err", "f8"),
        ("n_obs", "i4"),
        ("n_used", "i4"),
        ("chi2_dof", "f8"),
        ("component", "i4"),
        ("standard_mag", "f8"),
        ("standard_mag_err", "f8"),
        ("tie_id", "i8"),
        ("reason", "O"),
    ]
)

_FRAMES = """
SELECT f.frame_id, f.camera_id, c.telescope_id, f.band_id, coalesce(f.field_id, -1), coalesce(f.night, -1), f.mjd,
       coalesce(f.mjd_tdb, 'NaN'), coalesce(f.earth_x, 'NaN'), coalesce(f.earth_y, 'NaN'), coalesce(f.earth_z, 'NaN'),
       coalesce(f.nx, 0), coalesce(f.ny, 0), coalesce(f.exptime, 'NaN'),
       coalesce(t.aperture_area, 'NaN'), coalesce(f.n_forced, -1), coalesce(f.aperture_best, -1),
       coalesce(array_length(f.aperture_radii, 1), 0), f.gain IS NOT NULL OR f.source_format = 'pixels'
FROM frame f
JOIN camera c ON c.camera_id = f.camera_id
JOIN telescope t ON t.telescope_id = c.telescope_id
JOIN band b ON b.band_id = f.band_id
WHERE f.status = 'accepted' AND f.kind = 'science' AND (%(all)s OR b.name = ANY(%(bands)s))
ORDER BY f.frame_id
"""
_DETECTIONS = """
SELECT cell, frame_id, detection_id, source_id, x, y, mag, mag_err, flags, flux_err FROM detection
WHERE frame_id = ANY(%(frames)s::bigint[]) AND source_id >= 0
  AND source_id NOT IN (SELECT source_id FROM source WHERE merged_into >= 0)
"""
_SOURCES = """
SELECT source_id, cell, ra, dec, flags, field_id FROM source
WHERE source_id = ANY(%(sources)s::bigint[]) ORDER BY source_id
"""


_ABSENT = {
    "frame": "SELECT 1 FROM frame WHERE frame_id = n",
    "source": "SELECT 1 FROM source WHERE source_id = n",
    "night": "SELECT 1 FROM frame WHERE night = n",
}


def absent(conn: Connection, what: str, numbers: Sequence[int]) -> list[int]:
    """Return those of the numbers that no 'frame', 'source' or 'night' of the archive bears."""
    if not numbers:
        return []
    query = f"SELECT n FROM unnest(CAST(:numbers AS bigint[])) AS g(n) WHERE NOT EXISTS ({_ABSENT[what]}) ORDER BY n"
    return [int(n) for n in conn.scalars(text(query), {"numbers": list(numbers)})]


def read_frames(conn: Connection, bands: Sequence[str] = ()) -> NDArray[Any]:
    """Return the accepted science frames of the bands named (all if none is), FRAME_DTYPE, by frame_id."""
    return copy_out(conn, _FRAMES, FRAME_DTYPE, {"all": not bands, "bands": list(bands)})


def read_detections(conn: Connection, frame_ids: NDArray[np.integer]) -> NDArray[Any]:
    """Return the detections of frames that have a source that was not merged into another, DETECTION_DTYPE."""
    return copy_out(conn, _DETECTIONS, DETECTION_DTYPE, {"frames": frame_ids})


def read_sources(conn: Connection, source_ids: NDArray[np.integer]) -> NDArray[Any]:
    """Return sources, SOURCE_DTYPE, by source_id."""
    return copy_out(conn, _SOURCES, SOURCE_DTYPE, {"sources": source_ids})


def names(conn: Connection, table: str) -> dict[int, str]:
    """Return the names of a table of instruments (band, camera, telescope, field) by key."""
    which = tables.metadata.tables[table]
    rows = conn.execute(select(which.c[f"{table}_id"], which.c.name))
    return {int(row[0]): str(row[1]) for row in rows}


def insert_solution(conn: Connection, values: Mapping[str, Any]) -> int:
    """Write the row of a new solution as a draft, make the partition of its light curves, return its key."""
    statement = tables.solution.insert().values(**values, state="draft")
    solution_id = int(conn.execute(statement.returning(tables.solution.c.solution_id)).scalar_one())
    create_solution_partition(conn, solution_id)
    return solution_id


def insert_frame_terms(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the frame terms of a solution."""
    if rows:
        conn.execute(tables.frame_term.insert(), [dict(row) for row in rows])


def insert_source_mags(conn: Connection, rows: NDArray[Any]) -> None:
    """Write source magnitudes, SOURCE_MAG_DTYPE."""
    copy_in(conn, "source_mag", rows)


def insert_points(conn: Connection, rows: NDArray[Any]) -> None:
    """Write light-curve points, POINT_DTYPE, sorted by source and frame here."""
    copy_in(conn, "light_curve_point", rows[np.lexsort((rows["frame_id"], rows["source_id"]))])


def get(conn: Connection, solution_id: int | None = None) -> RowMapping:
    """Return the row of a solution, the published one by default; NothingMatched if there is none."""
    if solution_id is None:
        solution_id = conn.scalar(select(tables.archive.c.published_solution_id))
        if solution_id is None:
            raise NothingMatched("no solution is published; make one with 'photodb solve'")
    query = select(tables.solution).where(tables.solution.c.solution_id == solution_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NothingMatched(f"there is no solution {solution_id}; see 'photodb solution list'")
    return row


def list_all(conn: Connection) -> list[RowMapping]:
    """List the solutions, newest first."""
    return list(
        conn.execute(select(tables.solution).order_by(tables.solution.c.solution_id.desc())).mappings()
    )


def publish(conn: Connection, solution_id: int) -> None:
    """Make a solution the published one; the one before it is retired. Readers see the change at the commit."""
    conn.execute(select(tables.archive.c.one).with_for_update())
    get(conn, solution_id)
    solution = tables.solution
    others = (solution.c.state == "published") & (solution.c.solution_id != solution_id)
    conn.execute(solution.update().where(others).values(state="retired"))
    values = {"state": "published", "published_at": func.clock_timestamp()}
    conn.execute(solution.update().where(solution.c.solution_id == solution_id).values(values))
    conn.execute(tables.archive.update().values(published_solution_id=solution_id))


def drop(conn: Connection, solution_id: int) -> None:
    """Delete a solution with all its rows; UsageError for the published one."""
    conn.execute(select(tables.archive.c.one).with_for_update())
    if get(conn, solution_id)["state"] == "published":
        raise UsageError(
            f"solution {solution_id} is published; publish another first ('photodb solution publish N'), or undo "
            "its run ('photodb runs undo RUN')"
        )
    drop_solution_partition(conn, solution_id)
    conn.execute(tables.solution.delete().where(tables.solution.c.solution_id == solution_id))


def frame_terms(conn: Connection, solution_id: int) -> list[RowMapping]:
    """Return the frame terms of a solution with path and reason, by frame."""
    query = text(
        "SELECT t.frame_id, f.path, t.zero_point, t.zero_point_err, t.component, t.chi2_dof, t.n_stars, t.scatter, "
        "t.gray_loss, t.photometric, t.status, t.reason FROM frame_term t JOIN frame f USING (frame_id) "
        "WHERE t.solution_id = :s ORDER BY t.frame_id"
    )
    return list(conn.execute(query, {"s": solution_id}).mappings())


def rejected_sources(conn: Connection, solution_id: int) -> int:
    """Count the sources of a solution that were left out of its fit as not constant."""
    query = text("SELECT count(*) FROM source_mag WHERE solution_id = :s AND reason LIKE 'not constant%'")
    return int(conn.scalar(query, {"s": solution_id}) or 0)


def fit_sources(conn: Connection, solution_id: int) -> int:
    """Count the sources of a solution that took part in its fit."""
    query = text("SELECT count(DISTINCT source_id) FROM source_mag WHERE solution_id = :s AND n_used > 0")
    return int(conn.scalar(query, {"s": solution_id}) or 0)


_PAIRS = {
    "frame": (
        "SELECT a.zero_point, b.zero_point, a.component, b.component FROM frame_term a JOIN frame_term b "
        "USING (frame_id) WHERE a.solution_id = %(a)s AND b.solution_id = %(b)s AND a.status = 'used' "
        "AND b.status = 'used'"
    ),
    "source": (
        "SELECT a.mag, b.mag, a.component, b.component FROM source_mag a JOIN source_mag b "
        "USING (cell, source_id, band_id) WHERE a.solution_id = %(a)s AND b.solution_id = %(b)s "
        "AND a.n_used > 0 AND b.n_used > 0"
    ),
}


def paired(conn: Connection, what: str, a: int, b: int) -> NDArray[Any]:
    """Return zero points ('frame') or magnitudes ('source') that two solutions have in common: a, b, components."""
    dtype = [("a", "f8"), ("b", "f8"), ("component_a", "i4"), ("component_b", "i4")]
    return copy_out(conn, _PAIRS[what], dtype, {"a": a, "b": b})
