"""What the archive knows of one source: its detections, measurements, magnitudes, reference stars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.flags import Flag
from photodb.errors import NothingMatched
from photodb.storage.bulk import copy_out
from photodb.storage.lightcurves import columns_of

DETECTION_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("detection_id", "i8", "d.detection_id"),
    ("frame_id", "i8", "d.frame_id"),
    ("mjd", "f8", "f.mjd"),
    ("night", "i8", "coalesce(f.night, -1)"),
    ("camera", "O", "c.name"),
    ("band", "O", "b.name"),
    ("ra", "f8", "d.ra"),
    ("dec", "f8", "d.dec"),
    ("position_err", "f8", "sqrt((d.x_err::float8 ^ 2 + d.y_err::float8 ^ 2) / 2) * f.pixel_scale"),
    ("fwhm_arcsec", "f8", "coalesce(nullif(d.fwhm, 'NaN'), f.fwhm) * f.pixel_scale"),
    ("mag", "f8", "d.mag"),
    ("mag_err", "f8", "d.mag_err"),
    ("flags", "i8", "d.flags"),
    ("class", "i8", 'd."class"'),
    ("status", "O", "f.status"),
)
"""Name, numpy type and SQL of what is told of each detection of a source; magnitudes are instrumental."""

PLACED = np.dtype(
    [
        ("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("position_err", "f4"), ("reach", "f4"),
        ("n_detections", "i4"), ("field_id", "i8"),
    ]
)  # fmt: skip
"""A source as a pair is looked for; `field_id` is -1 but for approximate places, which only their field knows."""


def source_row(conn: Connection, source_id: int) -> dict[str, Any]:
    """Return the row of a source; NothingMatched if there is none."""
    row = (
        conn.execute(text("SELECT * FROM source WHERE source_id = :id"), {"id": source_id}).mappings().first()
    )
    if row is None:
        raise NothingMatched(
            f"there is no source {source_id}; 'photodb cone RA DEC RADIUS_DEG' lists sources"
        )
    return dict(row)


def detections(conn: Connection, source_id: int) -> dict[str, NDArray]:
    """Return the detections of a source by time, `DETECTION_COLUMNS` by name, (n,) each."""
    select = ", ".join(f"{sql} AS {name}" for name, _, sql in DETECTION_COLUMNS)
    query = f"""
        SELECT {select} FROM detection d JOIN frame f USING (frame_id)
        LEFT JOIN camera c USING (camera_id) LEFT JOIN band b USING (band_id)
        WHERE d.source_id = :id ORDER BY f.mjd, d.detection_id
    """
    return columns_of(conn.execute(text(query), {"id": source_id}), [(n, k) for n, k, _ in DETECTION_COLUMNS])


def forced_counts(conn: Connection, source_id: int) -> tuple[int, int]:
    """Return on how many accepted frames a source was measured at its place, and on how many of these not detected."""
    query = """
        SELECT count(*), count(*) FILTER (WHERE r.detection_id < 0) FROM forced r JOIN frame f USING (frame_id)
        WHERE r.source_id = :id AND f.status = 'accepted'
    """
    n, unseen = conn.execute(text(query), {"id": source_id}).one()
    return int(n), int(unseen)


def published_mags(conn: Connection, source_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the magnitudes that the published solution gives to some sources, by band."""
    query = """
        SELECT m.source_id, b.name AS band, m.mag, m.mag_err, m.n_obs, m.n_used, m.chi2_dof, m.standard_mag, m.reason
        FROM source_mag m JOIN band b USING (band_id) JOIN archive a ON a.published_solution_id = m.solution_id
        WHERE m.source_id = ANY(:ids) ORDER BY b.name, m.source_id
    """
    return [dict(row) for row in conn.execute(text(query), {"ids": list(source_ids)}).mappings()]


def reference_stars(conn: Connection, source_id: int) -> list[dict[str, Any]]:
    """Return the reference stars that the detections of a source were matched with, how often and how far off."""
    query = """
        SELECT coalesce(k.name, 'Gaia, built in') AS catalogue, coalesce(s.name, m.gaia_source_id::text) AS name,
               count(*) AS n_matches, count(*) FILTER (WHERE m.used) AS n_used,
               avg(nullif(m.dra, 'NaN'))::float8 AS dra_arcsec, avg(nullif(m.ddec, 'NaN'))::float8 AS ddec_arcsec
        FROM detection d JOIN astrometric_match m ON m.frame_id = d.frame_id AND m.cell = d.cell
             AND m.detection_id = d.detection_id
        LEFT JOIN reference_star s USING (reference_star_id)
        LEFT JOIN reference_catalogue k USING (reference_catalogue_id)
        WHERE d.source_id = :id AND (m.reference_star_id >= 0 OR m.gaia_source_id >= 0)
        GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
    """
    return [dict(row) for row in conn.execute(text(query), {"id": source_id}).mappings()]


def placed(conn: Connection) -> NDArray:
    """Return all living sources, rows of `PLACED`, by key."""
    query = """
        SELECT source_id, ra, dec, position_err, reach, n_detections, CASE WHEN approximate THEN field_id ELSE -1 END
        FROM source WHERE merged_into < 0 ORDER BY source_id
    """
    return copy_out(conn, query, PLACED)


def frames_of(conn: Connection, source_ids: NDArray[np.integer]) -> NDArray:
    """Return a row a detection of some sources: source_id, frame_id and camera_id (-1 if none)."""
    dtype = [("source_id", "i8"), ("frame_id", "i8"), ("camera_id", "i8")]
    query = """
        SELECT d.source_id, d.frame_id, coalesce(f.camera_id, -1) FROM detection d JOIN frame f USING (frame_id)
        WHERE d.source_id = ANY(%s)
    """
    return copy_out(conn, query, dtype, (source_ids,))


LISTED = np.dtype(
    [
        ("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("position_err", "f4"), ("n_detections", "i4"),
        ("first_mjd", "f8"), ("last_mjd", "f8"), ("pm_ra", "f4"), ("pm_dec", "f4"), ("mag", "f4"), ("blend", "?"),
        ("merged_into", "i8"),
    ]
)  # fmt: skip
"""A source in a list; `mag` is instrumental."""


def listed(
    conn: Connection, blend: bool, moving: bool, merged: bool, min_detections: int, limit: int
) -> NDArray:
    """Return the sources (rows of `LISTED`) that fit all conditions, by key: living ones, or those that were merged."""
    query = f"""
        SELECT source_id, ra, dec, position_err, n_detections, first_mjd, last_mjd, pm_ra, pm_dec, mag,
               flags & {int(Flag.BLEND)} <> 0, merged_into
        FROM source WHERE (merged_into >= 0) = %(merged)s AND n_detections >= %(least)s
          AND (NOT %(blend)s OR flags & {int(Flag.BLEND)} <> 0) AND (NOT %(moving)s OR pm_ra <> 0 OR pm_dec <> 0)
        ORDER BY source_id LIMIT %(limit)s
    """
    chosen = {"merged": merged, "blend": blend, "moving": moving, "least": min_detections, "limit": limit}
    return copy_out(conn, query, LISTED, chosen)
