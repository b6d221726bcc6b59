"""Frames around a position, and what is stored of the place on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core import sky
from photodb.core.flags import Flag
from photodb.core.footprints import MARGIN
from photodb.storage.lightcurves import columns_of
from photodb.storage.measurements import PSF
from photodb.storage.sourceids import members
from photodb.storage.tables import SERIAL_BITS

FRAME_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("frame_id", "i8", "f.frame_id"),
    ("path", "O", "f.path"),
    ("telescope", "O", "t.name"),
    ("camera", "O", "c.name"),
    ("band", "O", "b.name"),
    ("mjd", "f8", "f.mjd"),
    ("night", "f8", "f.night"),
    ("exptime", "f8", "f.exptime"),
    ("status", "O", "f.status"),
    ("reason", "O", "f.reason"),
    ("astrometry", "O", "f.astrometry"),
    ("astrom_rms_arcsec", "f8", "f.astrom_rms"),
    ("nx", "f8", "f.nx"),
    ("ny", "f8", "f.ny"),
    ("ra", "f8", "f.ra"),
    ("dec", "f8", "f.dec"),
    ("radius", "f8", "f.radius"),
    ("pixel_scale", "f8", "f.pixel_scale"),
    ("fwhm", "f8", "f.fwhm"),
    ("airmass", "f8", "f.airmass"),
    ("limiting_mag", "f8", "f.limiting_mag"),
    ("aperture", "f8", "f.aperture_radii[least(3, array_length(f.aperture_radii, 1))]"),
    ("with_psf", "?", "f.psf IS NOT NULL"),
    ("waits", "?", "f.n_forced IS NULL AND f.source_format = 'pixels'"),
    ("run_id", "i8", "coalesce(f.run_id, -1)"),
    ("zero_point", "f8", "ft.zero_point"),
    ("solution_status", "O", "ft.status"),
)
"""Name, numpy type and SQL of what is read of a frame; `aperture` is the main one, px."""

POINT_DTYPE = [("frame_id", "i8"), ("source_id", "i8"), ("mag", "f8"), ("mag_err", "f8")]
DETECTION_DTYPE = [
    ("frame_id", "i8"), ("source_id", "i8"), ("x", "f8"), ("y", "f8"), ("flux", "f8"), ("flux_err", "f8"),
    ("mag", "f8"), ("mag_err", "f8"), ("flags", "i8"),
]  # fmt: skip
FORCED_DTYPE = [
    ("frame_id", "i8"), ("source_id", "i8"), ("x", "f8"), ("y", "f8"), ("flux", "f8"), ("flux_err", "f8"),
    ("psf", "?"), ("flags", "i8"),
]  # fmt: skip
SPOT_DTYPE = [("frame_id", "i8"), ("source_id", "i8"), ("x", "f8"), ("y", "f8")]

MAX_RADIUS_DEG = 90.0
"""Frames beyond have no tangent plane."""
_NEAREST_START_DEG, _NEAREST_STEP, _WHOLE_SKY_DEG = 1.0, 4.0, 180.0


@dataclass(frozen=True)
class Which:
    """Which frames are asked about; None means all."""

    camera: str | None = None
    band: str | None = None
    night: int | None = None


@dataclass(frozen=True)
class Frames:
    """Frames around a position; n rows, sorted by time."""

    columns: dict[str, NDArray]  # of FRAME_COLUMNS, (n,) each
    wcs: list[dict]  # (n,) as TangentWCS.to_dict gives
    coefficients: list[list[float]]  # (n,) mag, spatial terms after the zero point; empty without a solution

    def __len__(self) -> int:
        return len(self.wcs)


_SEPARATION = """2 * asind(sqrt(least(1, power(sind((f.dec - :dec) / 2), 2)
    + cosd(f.dec) * cosd(:dec) * power(sind((f.ra - :ra) / 2), 2))))"""
_NEAR = """
SELECT {columns}, f.wcs, ft.coefficients
FROM unnest(CAST(:lo AS bigint[]), CAST(:hi AS bigint[])) AS r(lo, hi)
JOIN LATERAL (SELECT * FROM frame WHERE healpix >= r.lo AND healpix < r.hi OFFSET 0) f ON true
LEFT JOIN camera c ON c.camera_id = f.camera_id
LEFT JOIN telescope t ON t.telescope_id = c.telescope_id
LEFT JOIN band b ON b.band_id = f.band_id
LEFT JOIN frame_term ft ON ft.frame_id = f.frame_id AND ft.solution_id = (SELECT published_solution_id FROM archive)
WHERE f.kind = 'science' AND f.wcs IS NOT NULL AND f.nx IS NOT NULL AND f.radius < {most}
  AND {separation} <= :times * {margin} * f.radius + :beyond
  AND (CAST(:camera AS text) IS NULL OR c.name = :camera)
  AND (CAST(:band AS text) IS NULL OR b.name = :band)
  AND (CAST(:night AS integer) IS NULL OR f.night = :night)
ORDER BY {order}
"""
_BY_TIME = "f.mjd, f.frame_id"
_BY_DISTANCE = f"{_SEPARATION} - f.radius LIMIT 200"


def largest_reach(conn: Connection) -> float:
    """Return how far from its centre a frame of the archive may reach, deg; NaN without any frame on the sky."""
    radius = conn.execute(
        text(f"SELECT max(radius) FROM frame WHERE radius < {MAX_RADIUS_DEG}")
    ).scalar()  # one probe of its index
    return float("nan") if radius is None else float(radius)


def frames_near(
    conn: Connection, ra: float, dec: float, which: Which, times: float = 1.0, beyond_deg: float = 0.0,
    order: str = _BY_TIME,
) -> Frames:  # fmt: skip
    """Return the science frames, accepted or not, whose circle comes near a position, by time.

    The circle is that of the farthest corner with a margin, `times` as large and `beyond_deg` more; every frame that
    holds the position is among them.
    """
    largest = largest_reach(conn)
    if not np.isfinite(largest):
        return _frames([])
    lo, hi = sky.cone_ranges(ra, dec, min(times * MARGIN * largest + beyond_deg, _WHOLE_SKY_DEG))
    query = _NEAR.format(
        columns=", ".join(f"{sql} AS {name}" for name, _, sql in FRAME_COLUMNS), most=MAX_RADIUS_DEG,
        margin=MARGIN, separation=_SEPARATION, order=order,
    )  # fmt: skip
    values = {
        "lo": lo.tolist(), "hi": hi.tolist(), "ra": ra, "dec": dec, "times": times, "beyond": beyond_deg,
        "camera": which.camera, "band": which.band, "night": which.night,
    }  # fmt: skip
    return _frames([tuple(row) for row in conn.execute(text(query), values)])


def _frames(rows: list[tuple]) -> Frames:
    kinds = [(name, kind) for name, kind, _ in FRAME_COLUMNS]
    columns = columns_of([row[:-2] for row in rows], kinds)
    return Frames(columns, [row[-2] for row in rows], [list(row[-1] or ()) for row in rows])


def nearest_frames(conn: Connection, ra: float, dec: float, which: Which) -> Frames:
    """Return the frames whose circles are nearest to a position that none holds; none in an archive without any."""
    beyond = _NEAREST_START_DEG
    while True:
        found = frames_near(conn, ra, dec, which, 1.0, beyond, _BY_DISTANCE)
        if len(found) or beyond >= _WHOLE_SKY_DEG:
            return found
        beyond = min(beyond * _NEAREST_STEP, _WHOLE_SKY_DEG)


def without_place(conn: Connection) -> int:
    """Count the accepted science frames of which nobody knows where they lie."""
    query = text("SELECT count(*) FROM frame WHERE healpix = -1 AND kind = 'science' AND status = 'accepted'")
    return int(conn.execute(query).scalar_one())


def _of_sources(conn: Connection, query: str, sources: NDArray, dtype: list, **more: int) -> NDArray:
    """Return rows of some sources (`source_id`, `cell`), nearest source first on each frame.

    Rows of sources that were merged into one of these are told as its own, after those.
    """
    wanted = sources["source_id"].tolist()
    part = members(conn, wanted)
    values = {"ids": list(part), "cells": sorted({i >> SERIAL_BITS for i in part}), **more}
    rows = np.array([tuple(row) for row in conn.execute(text(query), values)], dtype)
    rank = {source_id: i for i, source_id in enumerate(wanted)}
    living = np.array([part[int(s)] for s in rows["source_id"]], np.int64)
    place = np.array([rank[int(s)] for s in living], int)
    order = np.lexsort((living != rows["source_id"], place, rows["frame_id"]))
    rows["source_id"] = living
    return rows[order]


_WHERE = "source_id = ANY(CAST(:ids AS bigint[])) AND cell = ANY(CAST(:cells AS integer[]))"


def detections_of(conn: Connection, sources: NDArray) -> NDArray:
    """Return the detections of sources, `DETECTION_DTYPE`, by frame and then in the order of the sources."""
    columns = "frame_id, source_id, x, y, flux, flux_err, mag, mag_err, flags"
    return _of_sources(conn, f"SELECT {columns} FROM detection WHERE {_WHERE}", sources, DETECTION_DTYPE)


def forced_of(conn: Connection, sources: NDArray) -> NDArray:
    """Return the forced measurements of sources, `FORCED_DTYPE`: by PSF, else in the main aperture; else NaN."""
    main = "least(3, array_length(flux_aperture, 1))"
    columns = f"""
        frame_id, source_id, x, y,
        CASE WHEN flux_psf = 'NaN' THEN flux_aperture[{main}] ELSE flux_psf END,
        CASE WHEN flux_psf = 'NaN' THEN flux_aperture_err[{main}] ELSE flux_psf_err END, flux_psf <> 'NaN', flags
    """
    return _of_sources(conn, f"SELECT {columns} FROM forced WHERE {_WHERE}", sources, FORCED_DTYPE)


def points_of(conn: Connection, sources: NDArray, solution_id: int) -> NDArray:
    """Return the light-curve points of sources in one solution, `POINT_DTYPE`, in the same order."""
    columns = "frame_id, source_id, mag, mag_err"
    query = f"SELECT {columns} FROM light_curve_point WHERE solution_id = :solution AND {_WHERE}"
    return _of_sources(conn, query, sources, POINT_DTYPE, solution=solution_id)


def saturated_of(conn: Connection, sources: NDArray) -> NDArray:
    """Return where sources were saturated, `SPOT_DTYPE`."""
    query = f"SELECT frame_id, source_id, x, y FROM detection WHERE {_WHERE} AND flags & :bit <> 0"
    return _of_sources(conn, query, sources, SPOT_DTYPE, bit=int(Flag.SATURATED))


def spots_of(conn: Connection, sources: NDArray) -> NDArray:
    """Return where sources were detected, `SPOT_DTYPE`."""
    query = f"SELECT frame_id, source_id, x, y FROM detection WHERE {_WHERE}"
    return _of_sources(conn, query, sources, SPOT_DTYPE)


def psf_corrections(conn: Connection, solution_id: int, frame_ids: NDArray) -> dict[int, list[float]]:
    """Return, by frame, the terms that bring PSF magnitudes to the scale of the main aperture, mag."""
    query = text(
        "SELECT frame_id, coefficients FROM frame_photometry WHERE solution_id = :s AND photometry = :kind "
        "AND frame_id = ANY(CAST(:ids AS bigint[]))"
    )
    values = {"s": solution_id, "kind": PSF, "ids": frame_ids.tolist()}
    return {int(i): list(c) for i, c in conn.execute(query, values)}


def masks_of_runs(conn: Connection, run_ids: Sequence[int]) -> dict[int, list[list[int]]]:
    """Return the parts of the frame that runs left out (`--mask`): x0, y0, x1, y1 each, by run."""
    query = text(
        "SELECT run_id, settings -> 'masks' FROM run WHERE run_id = ANY(CAST(:ids AS bigint[])) "
        "AND jsonb_typeof(settings -> 'masks') = 'array' AND jsonb_array_length(settings -> 'masks') > 0"
    )
    return {int(i): masks for i, masks in conn.execute(query, {"ids": list(run_ids)})}


def masters_with_bad_pixels(conn: Connection, frame_ids: NDArray) -> NDArray:
    """Return which masters that mask pixels were applied to frames: rows of frame_id, master_id, kind."""
    query = text(
        """
        SELECT u.frame_id, m.master_id, m.kind FROM frame_master u JOIN master m USING (master_id)
        WHERE u.frame_id = ANY(CAST(:ids AS bigint[])) AND m.n_bad > 0 ORDER BY 2, 1
        """
    )
    dtype = [("frame_id", "i8"), ("master_id", "i8"), ("kind", "U8")]
    return np.array([tuple(row) for row in conn.execute(query, {"ids": frame_ids.tolist()})], dtype)


OUTLINE_DTYPE = np.dtype(
    [("camera", "O"), ("band", "O"), ("footprint", "f8", (8,)), ("radius", "f8"), ("limit", "f8")]
)


def outlines(conn: Connection, which: Which) -> NDArray:
    """Return the outlines of accepted science frames, `OUTLINE_DTYPE`: corners (ra and dec in turn) and 5 sigma limit.

    The limit is calibrated by the zero point of the published solution; NaN without.
    """
    query = text(
        """
        SELECT c.name, coalesce(b.name, ''), f.footprint, f.radius,
               coalesce(f.limiting_mag + ft.zero_point, 'NaN') FROM frame f
        JOIN camera c USING (camera_id) LEFT JOIN band b USING (band_id)
        LEFT JOIN frame_term ft ON ft.frame_id = f.frame_id
             AND ft.solution_id = (SELECT published_solution_id FROM archive)
        WHERE f.status = 'accepted' AND f.kind = 'science' AND array_length(f.footprint, 1) = 8
          AND (CAST(:camera AS text) IS NULL OR c.name = :camera)
          AND (CAST(:band AS text) IS NULL OR b.name = :band)
          AND (CAST(:night AS integer) IS NULL OR f.night = :night) ORDER BY f.frame_id
        """
    )
    values = {"camera": which.camera, "band": which.band, "night": which.night}
    return np.array([tuple(row) for row in conn.execute(query, values)], OUTLINE_DTYPE)
