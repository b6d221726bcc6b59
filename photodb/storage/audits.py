"""What an audit of telescopes reads: frames, points in blocks of sources, detections in blocks of frames, colours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from photodb.core import sky
from photodb.core.flags import BAD, DOUBTFUL, Flag

from .bulk import copy_out
from .refcats import Catalogue

POINTS_A_BLOCK = 400_000
"""Rows read at once: 20 MB as they are read, five times as much while they are averaged."""

FRAME_DTYPE = np.dtype(
    [
        ("frame_id", "i8"),
        ("camera_id", "i8"),
        ("telescope_id", "i8"),
        ("band_id", "i8"),
        ("night", "i4"),
        ("mjd", "f8"),
        ("nx", "i4"),  # px; 0 if unknown
        ("ny", "i4"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("radius", "f8"),
        ("pixel_scale", "f8"),  # arcsec/px; NaN if unknown
        ("approximate", "?"),  # whether its place on the sky was never measured
        ("n_detections", "i4"),
        ("zero_point", "f8"),  # NaN without one in the solution
        ("component", "i4"),  # -1 without a zero point
    ]
)
SOURCE_MAG_DTYPE = np.dtype(
    [("source_id", "i8"), ("band_id", "i8"), ("mag", "f8"), ("mag_err", "f8"), ("n_obs", "i4")]
)
POINT_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("band_id", "i4"),
        ("frame_id", "i8"),
        ("mag", "f4"),
        ("mag_err", "f4"),  # without the calibration's part
        ("err_calibration", "f4"),
        ("limit", "?"),
    ]
)
MAP_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("band_id", "i4"),
        ("frame_id", "i8"),
        ("mag", "f4"),
        ("mag_err", "f4"),
        ("x", "f4"),  # px
        ("y", "f4"),
    ]
)
PLACE_DTYPE = np.dtype([("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("field_id", "i8")])
DETECTION_DTYPE = np.dtype(
    [("source_id", "i8"), ("frame_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("err", "f4")]
)

_FRAMES = """
SELECT f.frame_id, f.camera_id, c.telescope_id, f.band_id, coalesce(f.night, floor(f.mjd)::int4), f.mjd,
       coalesce(f.nx, 0), coalesce(f.ny, 0), coalesce(f.ra, 'NaN'), coalesce(f.dec, 'NaN'),
       coalesce(f.radius, 'NaN'), coalesce(f.pixel_scale, 'NaN')::float8, f.astrometry IN ('approximate', 'none'),
       f.n_detections, coalesce(t.zero_point, 'NaN'), coalesce(t.component, -1)
FROM frame f
JOIN camera c ON c.camera_id = f.camera_id
LEFT JOIN frame_term t ON t.frame_id = f.frame_id AND t.solution_id = %(solution)s AND t.status = 'used'
WHERE f.status = 'accepted' AND f.kind = 'science'
ORDER BY f.frame_id
"""
_SOURCE_MAGS = """
SELECT source_id, band_id, mag, mag_err, n_obs FROM source_mag
WHERE solution_id = %(solution)s ORDER BY source_id, band_id
"""
_ERROR = "sqrt(p.err_photon * p.err_photon + p.err_floor * p.err_floor)"
_POINTS = f"""
SELECT p.source_id, p.band_id, p.frame_id, p.mag, {_ERROR}, p.err_calibration, (p.flags & {int(Flag.FAINT)}) <> 0
FROM light_curve_point p
WHERE p.solution_id = %(solution)s AND p.cell BETWEEN %(low)s >> 38 AND %(high)s >> 38
  AND p.source_id BETWEEN %(low)s AND %(high)s AND (p.flags & {int(BAD | Flag.BAD_FRAME)}) = 0
"""
_GOOD = f"p.solution_id = %(solution)s AND (p.flags & {int(DOUBTFUL)}) = 0 AND p.mag_err <= %(max_error)s"
_MAP_POINTS = f"""
SELECT p.source_id, p.band_id, p.frame_id, p.mag, {_ERROR}, d.x, d.y
FROM light_curve_point p
JOIN detection d ON d.frame_id = p.frame_id AND d.cell = p.cell AND d.detection_id = p.detection_id
WHERE {_GOOD} AND p.detection_id >= 0 AND (p.source_id + p.frame_id) %% %(step)s = 0
"""
_PLACES = """
SELECT source_id, ra, dec, field_id FROM source WHERE merged_into < 0 AND n_detections > 1 ORDER BY source_id
"""
_DETECTIONS = f"""
SELECT source_id, frame_id, ra, dec, sqrt((x_err * x_err + y_err * y_err) / 2)
FROM detection WHERE frame_id = ANY(%(frames)s::bigint[]) AND source_id >= 0 AND (flags & {int(BAD)}) = 0
  AND ra < 'NaN' AND dec < 'NaN'
"""
_RAW = f"""
SELECT d.source_id, f.band_id, d.frame_id, d.mag, d.mag_err, 0, false
FROM detection d JOIN frame f ON f.frame_id = d.frame_id
WHERE d.frame_id = ANY(%(frames)s::bigint[]) AND d.source_id >= 0 AND (d.flags & {int(BAD)}) = 0
  AND d.mag < 'NaN' AND d.mag_err > 0 AND d.mag_err < 'NaN'
"""
_REFERENCES = """
SELECT s.ra + coalesce(s.pm_ra, 0) * %(years)s / greatest(cos(radians(s.dec)), 1e-6), s.dec + s.pm_dec * %(years)s,
       s.mag, s.mag_err
FROM unnest(%(lo)s::int8[], %(hi)s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM reference_star WHERE healpix >= r.lo AND healpix < r.hi OFFSET 0) AS s
WHERE s.reference_catalogue_id = %(catalogue)s
"""


def frames(conn: Connection, solution_id: int) -> NDArray:
    """Return the accepted science frames, FRAME_DTYPE, by frame_id, with their terms in a solution (-1 for none)."""
    return copy_out(conn, _FRAMES, FRAME_DTYPE, {"solution": solution_id})


def source_mags(conn: Connection, solution_id: int) -> NDArray:
    """Return the mean magnitudes of a solution, SOURCE_MAG_DTYPE, by source and band."""
    return copy_out(conn, _SOURCE_MAGS, SOURCE_MAG_DTYPE, {"solution": solution_id})


def point_blocks(conn: Connection, solution_id: int, mags: NDArray) -> Iterator[NDArray]:
    """Yield the unflagged points and the limits of a solution, POINT_DTYPE, all points of a source in one block.

    Parameters
    ----------
    mags : what `source_mags` gave
    """
    if not len(mags):
        return
    block = np.cumsum(mags["n_obs"], dtype=np.int64) // POINTS_A_BLOCK
    last = np.append(np.flatnonzero(np.diff(block)), len(mags) - 1)
    low = mags["source_id"][0]
    for high in np.unique(mags["source_id"][last]):
        yield copy_out(conn, _POINTS, POINT_DTYPE, {"solution": solution_id, "low": low, "high": high})
        low = high + 1


def map_points(
    conn: Connection, solution_id: int, max_error: float, n_points: int, max_points: int
) -> NDArray:
    """Return good points with their place on the detector, MAP_DTYPE.

    Only points with errors up to `max_error` (mag); of `n_points` of the solution about `max_points` are looked at,
    spread evenly over sources and frames.
    """
    values = {"solution": solution_id, "max_error": max_error, "step": max(1, n_points // max_points)}
    return copy_out(conn, _MAP_POINTS, MAP_DTYPE, values)


def places(conn: Connection) -> NDArray:
    """Return the living sources that were seen twice at least, PLACE_DTYPE, by source_id."""
    return copy_out(conn, _PLACES, PLACE_DTYPE)


def detection_blocks(conn: Connection, chosen: NDArray) -> Iterator[NDArray]:
    """Yield the unflagged detections of frames that belong to a source, DETECTION_DTYPE; `err` is in px.

    Parameters
    ----------
    chosen : rows of FRAME_DTYPE
    """
    for part in _parts(chosen):
        yield copy_out(conn, _DETECTIONS, DETECTION_DTYPE, {"frames": part["frame_id"]})


def raw_blocks(conn: Connection, chosen: NDArray) -> Iterator[NDArray]:
    """Yield the same detections with their instrumental magnitudes, POINT_DTYPE."""
    for part in _parts(chosen):
        yield copy_out(conn, _RAW, POINT_DTYPE, {"frames": part["frame_id"]})


def _parts(chosen: NDArray) -> list[NDArray]:
    """Split frames into parts of about as many detections as are read at once."""
    if not len(chosen):
        return []
    block = np.cumsum(chosen["n_detections"], dtype=np.int64) // POINTS_A_BLOCK
    return np.split(chosen, np.flatnonzero(np.diff(block)) + 1)


def reference_mags(
    conn: Connection,
    catalogue: Catalogue,
    n_bands: int,
    ra: float,
    dec: float,
    radius_deg: float,
    epoch: float,
) -> NDArray:
    """Return ra, dec (deg, at a Julian epoch), mag and mag_err (k,) of the reference stars around a place."""
    dtype = [("ra", "f8"), ("dec", "f8"), ("mag", "f4", (n_bands,)), ("mag_err", "f4", (n_bands,))]
    lo, hi = sky.cone_ranges(ra, dec, radius_deg)
    years = (epoch - catalogue.epoch) / 3.6e6
    values = {"lo": lo, "hi": hi, "years": years, "catalogue": catalogue.reference_catalogue_id}
    return copy_out(conn, _REFERENCES, dtype, values)
