"""What the figures show, read from the archive."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.errors import NothingMatched
from photodb.storage import coverage, lightcurves, starlists
from photodb.storage.engine import Database

from .judge import ZERO_POINT_COLUMNS, FrameFilter, check_filter, frame_columns, nothing_matches

MAX_RESIDUAL_POINTS = 200_000
BRIGHT_ERROR = 0.03
"""Largest error, mag, of a point whose residual tells of the frame rather than of photons."""


def noise_columns(db: Database, band: str | None = None) -> dict[str, NDArray]:
    """Return mean magnitude, global noise, what the errors promise, and the verdict of each source and band.

    Raises
    ------
    NothingMatched : no published solution, no such band, or no statistics yet.
    """
    with db.begin() as conn:
        solution_id = published(conn)
        stars = starlists.stars(conn, solution_id, band_id(conn, band))
        names = starlists.band_names(conn)
    stars = stars[stars["quality_flag"] >= -1]
    if not len(stars):
        raise NothingMatched("no statistics for the published solution yet; run 'photodb stats'")
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = stars["sigma"] / np.sqrt(stars["chi2_dof"])
    return {
        "mag": stars["mag"],
        "noise": stars["global_noise"],
        "expected": np.where(np.isfinite(expected), expected, np.nan),
        "band": np.array([names[int(b)] for b in stars["band_id"]]),
        "candidate": stars["candidate"],
        "quality_flag": stars["quality_flag"],
    }


def zero_point_columns(
    db: Database, camera: str | None = None, band: str | None = None, night: int | None = None
) -> dict[str, NDArray]:
    """Return zero point, light lost and scatter of the frames of the published solution.

    A frame counts as rejected where the archive or the solution rejected it.
    """
    with db.begin() as conn:
        published(conn)
    columns = frame_columns(db, FrameFilter(None, camera, band, night, "science"), ZERO_POINT_COLUMNS)
    inside = columns["solution_status"] != ""
    if not inside.any():
        raise NothingMatched("the published solution has none of these frames; run 'photodb solve'")
    columns = {name: column[inside] for name, column in columns.items()}
    columns["status"] = np.where(columns["solution_status"] == "rejected", "rejected", columns["status"])
    return columns


def residual_columns(db: Database, camera: str | None = None) -> dict[str, NDArray]:
    """Return scaled x and y, residual and camera of bright points of the published solution."""
    check_filter(db, FrameFilter(camera=camera))
    with db.begin() as conn:
        solution_id = published(conn)
        points = starlists.residuals(conn, solution_id, BRIGHT_ERROR, MAX_RESIDUAL_POINTS)
        names = starlists.camera_names(conn)
    columns = {name: points[name] for name in ("x", "y", "residual")}
    columns["camera"] = np.array([names[int(c)] for c in points["camera_id"]], dtype=str)
    chosen = np.ones(len(points), bool) if camera is None else columns["camera"] == camera
    return {name: column[chosen] for name, column in columns.items()}


def coverage_columns(
    db: Database, camera: str | None = None, band: str | None = None, night: int | None = None
) -> dict[str, NDArray]:
    """Return camera, band, ra and dec of the corners (n, 4), radius and calibrated limit of accepted frames on the sky.

    Raises
    ------
    NothingMatched : there is none that fits the filter.
    """
    chosen = FrameFilter("accepted", camera, band, night)
    check_filter(db, chosen)
    with db.begin() as conn:
        rows = coverage.outlines(conn, coverage.Which(camera, band, night))
    if not len(rows):
        raise nothing_matches(chosen)
    corners = rows["footprint"].reshape(len(rows), 4, 2)
    return {
        "camera": rows["camera"].astype(str),
        "band": rows["band"].astype(str),
        "ra": corners[:, :, 0],
        "dec": corners[:, :, 1],
        "radius": rows["radius"],
        "limit": rows["limit"],
    }


def published(conn: Any) -> int:
    """Return the published solution's id.

    Raises
    ------
    NothingMatched : there is none.
    """
    solution_id = lightcurves.published_solution(conn)
    if solution_id < 0:
        raise NothingMatched("no solution is published; run 'photodb solve'")
    return solution_id


def band_id(conn: Any, band: str | None) -> int | None:
    """Return the id of a band by name; None for None.

    Raises
    ------
    NothingMatched : no such band; the text lists those that there are.
    """
    if band is None:
        return None
    names = starlists.band_names(conn)
    for number, name in names.items():
        if name == band:
            return number
    raise NothingMatched(
        f"no band {band} in the archive; bands: {', '.join(sorted(names.values())) or 'none'}"
    )
