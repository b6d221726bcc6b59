"""Light curves and cones by position.

Positions are found by ranges of the order-29 HEALPix key, one index range at a time (LATERAL with OFFSET 0
keeps the planner from scanning), and then by the exact separation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core import sky
from photodb.core.flags import DOUBTFUL, Flag
from photodb.storage.measurements import DETECTION, PSF
from photodb.storage.sourceids import members
from photodb.storage.sources import key_ranges
from photodb.storage.tables import SERIAL_BITS

SOURCE_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("cell", "i4"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("ra_scatter", "f4"),
        ("dec_scatter", "f4"),
        ("n_detections", "i4"),
        ("first_mjd", "f8"),
        ("last_mjd", "f8"),
        ("approximate", "?"),
        ("flags", "i4"),
        ("separation_arcsec", "f8"),
    ]
)
"""What is known of a source, and how far it is from where one asked."""

KIND_NAME = (
    f"CASE p.photometry WHEN {PSF} THEN 'psf' WHEN {DETECTION} THEN 'detection' "
    "ELSE 'aperture:' || p.photometry END"
)
"""SQL of what `photodb.core.kinds.kind_name` says."""

FLUX = f"CASE WHEN p.photometry = {PSF} THEN r.flux_psf ELSE r.flux_aperture[p.photometry + 1] END"
INSTRUMENTAL = f"-2.5 * log(nullif(greatest(({FLUX}) / f.exptime, 0), 0))"

POINT_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("mjd", "f8", "p.mjd"),
    ("bjd_tdb", "f8", "p.bjd_tdb"),
    ("band", "O", "b.name"),
    ("telescope", "O", "t.name"),
    ("camera", "O", "c.name"),
    ("frame_id", "i8", "p.frame_id"),
    ("mag", "f4", "p.mag"),
    ("mag_err", "f4", "p.mag_err"),
    ("flags", "i4", f"p.flags | CASE WHEN f.status = 'rejected' THEN {int(Flag.BAD_FRAME)} ELSE 0 END"),
    ("source_id", "i8", "p.source_id"),
    ("solution_id", "i8", "p.solution_id"),
    ("err_photon", "f4", "p.err_photon"),
    ("err_calibration", "f4", "p.err_calibration"),
    ("err_floor", "f4", "p.err_floor"),
    ("airmass", "f4", "f.airmass"),
    ("x", "f4", "coalesce(r.x, d.x)"),
    ("y", "f4", "coalesce(r.y, d.y)"),
    ("fwhm", "f4", "d.fwhm"),
    ("sky", "f4", "coalesce(r.sky, d.sky)"),
    ("instrumental_mag", "f4", f"CASE WHEN p.photometry = {DETECTION} THEN d.mag ELSE {INSTRUMENTAL} END"),
    ("zero_point", "f8", "ft.zero_point"),
    ("detection_id", "i8", "p.detection_id"),
    ("mag_limit", "f4", "p.mag_limit"),
    ("photometry", "O", KIND_NAME),
)
"""Name, numpy type and SQL of each column of a light curve."""

COVER_DTYPE = np.dtype(
    [
        ("frame_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("radius", "f8"),
        ("astrom_rms", "f8"),
        ("pixel_scale", "f8"),
        ("fwhm", "f8"),
        ("approximate", "?"),
        ("footprint", "f8", (8,)),
    ]
)

_IN_RANGES = """
FROM unnest(CAST(:lo AS bigint[]), CAST(:hi AS bigint[])) AS r(lo, hi)
JOIN LATERAL (SELECT * FROM {table} WHERE healpix >= r.lo AND healpix < r.hi OFFSET 0) s ON true
"""


@dataclass(frozen=True)
class Cover:
    """How well the archive knows a place: the accepted frames that cover it and their astrometry."""

    n_frames: int
    radius_arcsec: float  # within which a position is taken for the same source
    approximate: bool  # whether no frame here has a measured place on the sky


def published_solution(conn: Connection) -> int:
    """Return the id of the published solution; -1 if there is none."""
    found = conn.execute(text("SELECT published_solution_id FROM archive")).scalar()
    return -1 if found is None else int(found)


def _rows_in_cone(
    conn: Connection, table: str, columns: str, where: str, cone: tuple[float, float, float]
) -> list:
    lo, hi = key_ranges(*cone) if table == "source" else sky.cone_ranges(*cone)
    query = text(f"SELECT {columns} {_IN_RANGES.format(table=table)} WHERE {where}")
    return list(conn.execute(query, {"lo": lo.tolist(), "hi": hi.tolist()}))


def sources_in_cone(conn: Connection, ra: float, dec: float, radius_deg: float) -> NDArray:
    """Return the sources within `radius_deg` of a position, nearest first.

    Returns
    -------
    (n,) structured array of `SOURCE_DTYPE`; empty where there is nothing. Sources merged into others are
    left out.
    """
    columns = ", ".join(f"s.{name}" for name in SOURCE_DTYPE.names[:-1])  # type: ignore[index]
    rows = _rows_in_cone(conn, "source", columns, "s.merged_into < 0", (ra, dec, radius_deg))
    found = np.array([(*row, 0.0) for row in rows], SOURCE_DTYPE)
    found["separation_arcsec"] = 3600 * sky.separation_deg(ra, dec, found["ra"], found["dec"])
    found = found[found["separation_arcsec"] <= 3600 * radius_deg * (1 + 1e-12)]
    return found[np.argsort(found["separation_arcsec"], kind="stable")]


def covering_frames(conn: Connection, ra: float, dec: float, margin_deg: float = 0.0) -> NDArray:
    """Return the accepted science frames whose footprint (or circle, where unknown) holds a position."""
    reach = conn.execute(
        text("SELECT max(radius) FROM frame WHERE status = 'accepted' AND healpix >= 0 AND radius < 90")
    ).scalar()
    if reach is None:
        return np.empty(0, COVER_DTYPE)
    columns = (
        "s.frame_id, s.ra, s.dec, s.radius, s.astrom_rms, s.pixel_scale, s.fwhm, "
        "s.astrometry IN ('approximate', 'none'), s.footprint"
    )
    where = "s.status = 'accepted' AND s.kind = 'science' AND s.radius IS NOT NULL"
    rows = _rows_in_cone(conn, "frame", columns, where, (ra, dec, float(reach) + margin_deg))
    found = np.array([_cover_row(row) for row in rows], COVER_DTYPE)
    near = sky.separation_deg(ra, dec, found["ra"], found["dec"]) <= found["radius"] + margin_deg
    found = found[near]
    return found[[bool(_holds(row["footprint"], ra, dec)) for row in found]] if len(found) else found


def _cover_row(row: tuple) -> tuple:
    *numbers, approximate, footprint = row
    corners = footprint if footprint is not None and len(footprint) == 8 else [np.nan] * 8
    return (*(np.nan if v is None else v for v in numbers), approximate, corners)


def _holds(footprint: NDArray[np.float64], ra: float, dec: float) -> bool:
    """Whether a position lies within the outline of four corners; true where they are unknown."""
    xi, eta = sky.project(footprint[0::2], footprint[1::2], ra, dec)
    if not np.isfinite(xi).all():
        return True
    cross = xi * np.roll(eta, -1) - np.roll(xi, -1) * eta
    return bool((cross >= 0).all() or (cross <= 0).all())


def cover(conn: Connection, ra: float, dec: float) -> Cover:
    """Tell how many frames cover a position, and within what radius a source there is the one meant.

    The radius is the largest of 1.5 arcsec, three times the astrometric residual, and half the seeing, below
    which two sources are one; a minute of arc at least where no frame has a measured place on the sky.
    """
    frames = covering_frames(conn, ra, dec)
    approximate = frames["approximate"]
    radius = match_radius(frames["astrom_rms"], frames["pixel_scale"], frames["fwhm"], approximate)
    return Cover(len(frames), radius, bool(len(frames)) and bool(approximate.all()))


def match_radius(rms: NDArray, scale: NDArray, fwhm: NDArray, approximate: NDArray) -> float:
    """Return within what radius, arcsec, a source is the one meant, by the frames (n,) there; see `cover`.

    Parameters
    ----------
    rms : arcsec. scale : arcsec/px. fwhm : px. approximate : whether a frame has no measured place on the sky.
    """
    best = ~approximate.astype(bool) if not approximate.all() else np.ones(len(rms), bool)
    typical = _median(scale[best], 1.0)
    radius = max(1.5, 3 * _median(rms[best], 0.0), typical * max(1.0, 0.5 * _median(fwhm[best], 0.0)))
    return max(radius, 60.0) if len(rms) and approximate.all() else radius


def _median(values: NDArray, otherwise: float) -> float:
    good = values[np.isfinite(values)]
    return float(np.median(good)) if len(good) else otherwise


def nearest_source_arcsec(conn: Connection, ra: float, dec: float, within_deg: float = 1.0) -> float:
    """Return the distance of the nearest source; NaN if there is none within `within_deg`."""
    radius = 1 / 60
    while radius <= within_deg:
        found = sources_in_cone(conn, ra, dec, radius)
        if len(found):
            return float(found["separation_arcsec"][0])
        radius *= 4
    return float("nan")


def light_curves(
    conn: Connection, sources: NDArray, solution_id: int, band: str | None = None
) -> dict[str, NDArray]:
    """Return the points of some sources in one solution, by source in the order given and then by time.

    Parameters
    ----------
    sources : (n,) structured array with `source_id` and `cell`
    band : name of the band; None for all

    Returns
    -------
    Columns of `POINT_COLUMNS` by name, (m,) each; m = 0 where the solution has no point of them. The points
    of frames that were rejected after the solution carry `BAD_FRAME`. Until the next solution the points of sources
    that were merged into one of these since are told as its own.
    """
    select = ", ".join(f"{sql} AS {name}" for name, _, sql in POINT_COLUMNS)
    query = f"""
        SELECT {select}
        FROM light_curve_point p
        JOIN frame f ON f.frame_id = p.frame_id
        JOIN camera c ON c.camera_id = f.camera_id
        JOIN telescope t ON t.telescope_id = c.telescope_id
        JOIN band b ON b.band_id = p.band_id
        LEFT JOIN frame_term ft ON ft.solution_id = p.solution_id AND ft.frame_id = p.frame_id
        LEFT JOIN forced r ON p.photometry > {DETECTION} AND r.frame_id = p.frame_id AND r.cell = p.cell
             AND r.source_id = p.source_id AND r.detection_id = p.detection_id
        LEFT JOIN detection d ON d.frame_id = p.frame_id AND d.cell = ANY(CAST(:cells AS integer[]))
             AND d.detection_id = p.detection_id
        WHERE p.solution_id = :solution_id AND p.cell = ANY(CAST(:cells AS integer[]))
          AND p.source_id = ANY(CAST(:ids AS bigint[])) AND (CAST(:band AS text) IS NULL OR b.name = :band)
        ORDER BY array_position(CAST(:ids AS bigint[]), p.source_id), p.mjd, p.frame_id, p.detection_id
    """
    wanted = sources["source_id"].tolist()
    part = members(conn, wanted)
    ids = wanted + [i for i in part if i not in wanted]
    cells = sorted({i >> SERIAL_BITS for i in ids})
    values = {"solution_id": solution_id, "ids": ids, "cells": cells, "band": band}
    columns = columns_of(conn.execute(text(query), values), [(n, k) for n, k, _ in POINT_COLUMNS])
    return columns if len(ids) == len(wanted) else _of_living(columns, wanted, part)


def _of_living(columns: dict[str, NDArray], wanted: list[int], part: dict[int, int]) -> dict[str, NDArray]:
    """Give the points of merged sources to those that took them over: one a frame and band, the best and own first."""
    points = columns["source_id"]
    living = np.array([part[int(i)] for i in points], np.int64)
    rank = {source_id: k for k, source_id in enumerate(wanted)}
    place = np.array([rank[int(i)] for i in living], np.int64)
    poor = (columns["flags"] & int(DOUBTFUL)) != 0
    poor |= ~np.isfinite(columns["mag"])
    order = np.lexsort((living != points, poor, columns["band"], columns["frame_id"], place))
    key = np.stack([place[order], columns["frame_id"][order]])
    new = (np.diff(key) != 0).any(axis=0) | (columns["band"][order][1:] != columns["band"][order][:-1])
    best = order[np.r_[True, new]] if len(order) else order
    best = best[np.lexsort((columns["frame_id"][best], columns["mjd"][best], place[best]))]
    return {**{name: column[best] for name, column in columns.items()}, "source_id": living[best]}


def columns_of(rows, kinds: list[tuple[str, str]]) -> dict[str, NDArray]:  # type: ignore[no-untyped-def]
    """Turn rows into arrays by name; NULL becomes NaN in numbers and '' in text."""
    cells = list(zip(*rows, strict=True)) or [()] * len(kinds)
    made = {}
    for (name, kind), column in zip(kinds, cells, strict=True):
        none = "" if kind == "O" else np.nan
        values = [none if v is None else v for v in column]
        made[name] = np.array(values, str if kind == "O" else kind) if values else np.empty(0, _empty(kind))
    return made


def _empty(kind: str) -> str:
    return "U1" if kind == "O" else kind


def bands_of(conn: Connection) -> list[str]:
    """List the names of the archive's bands."""
    return list(conn.execute(text("SELECT name FROM band ORDER BY name")).scalars())


def source_mags(conn: Connection, sources: NDArray, solution_id: int) -> dict[str, NDArray]:
    """Return the mean magnitudes of sources in one solution: columns source_id, band, mag, mag_err, n_obs."""
    query = """
        SELECT m.source_id, b.name, m.mag, m.mag_err, m.n_obs
        FROM source_mag m JOIN band b USING (band_id)
        WHERE m.solution_id = :solution_id AND m.cell = ANY(CAST(:cells AS integer[]))
          AND m.source_id = ANY(CAST(:ids AS bigint[]))
        ORDER BY b.name, m.source_id
    """
    values = {
        "solution_id": solution_id,
        "ids": sources["source_id"].tolist(),
        "cells": np.unique(sources["cell"]).tolist(),
    }
    kinds = [("source_id", "i8"), ("band", "O"), ("mag", "f8"), ("mag_err", "f8"), ("n_obs", "i4")]
    return columns_of(conn.execute(text(query), values), kinds)
