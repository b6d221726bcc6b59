"""Which frames there are and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from photodb.core.doubts import Doubt, words_of
from photodb.storage.framequality import NEWEST

DOUBTS = "concat_ws('+', {})".format(
    ", ".join(f"CASE WHEN f.doubts & {int(bit)} <> 0 THEN '{words_of(bit)}' END" for bit in Doubt)
)
FRAME_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    # name, numpy type, unit, SQL
    ("frame_id", "i8", "", "f.frame_id"),
    ("path", "O", "", "f.path"),
    ("telescope", "O", "", "t.name"),
    ("camera", "O", "", "c.name"),
    ("band", "O", "", "b.name"),
    ("channel", "O", "", "f.channel"),
    ("kind", "O", "", "f.kind"),
    ("object", "O", "", "f.object"),
    ("mjd", "f8", "d", "f.mjd"),
    ("exptime", "f8", "s", "f.exptime"),
    ("status", "O", "", "f.status"),
    ("reason", "O", "", "f.reason"),
    ("reason_code", "O", "", "f.reason_code"),
    ("n_detections", "i4", "", "f.n_detections"),
    ("n_saturated", "i4", "", "f.n_saturated"),
    ("fwhm", "f4", "pix", "f.fwhm"),
    ("ellipticity", "f4", "", "f.ellipticity"),
    ("airmass", "f4", "", "f.airmass"),
    ("background", "f4", "adu", "f.background"),
    ("data_min", "f4", "adu", "coalesce(q.data_min, f.data_min)"),
    ("data_max", "f4", "adu", "coalesce(q.data_max, f.data_max)"),
    ("dynamic_range", "f4", "adu", "coalesce(q.dynamic_range, f.dynamic_range)"),
    ("nonuniformity", "f4", "adu", "coalesce(q.nonuniformity, f.nonuniformity)"),
    ("limiting_mag", "f4", "mag", "f.limiting_mag"),
    ("zero_point", "f8", "mag", "ft.zero_point"),
    ("zero_point_err", "f8", "mag", "ft.zero_point_err"),
    ("gray_loss", "f4", "mag", "ft.gray_loss"),
    ("scatter", "f4", "mag", "ft.scatter"),
    ("component", "f4", "", "ft.component"),
    ("solution_status", "O", "", "ft.status"),
    ("astrometry", "O", "", "f.astrometry"),
    ("astrom_rms_arcsec", "f4", "arcsec", "f.astrom_rms"),
    ("astrom_n", "f4", "", "f.astrom_n"),
    ("pixel_scale", "f4", "arcsec / pix", "f.pixel_scale"),
    ("ra", "f8", "deg", "f.ra"),
    ("dec", "f8", "deg", "f.dec"),
    ("reference_frame_id", "i8", "", "coalesce(f.reference_frame_id, -1)"),
    ("shift_x", "f4", "pix", "f.shift_x"),
    ("shift_y", "f4", "pix", "f.shift_y"),
    ("shift_rotation", "f4", "deg", "f.shift_rotation"),
    ("shift_scale", "f4", "", "f.shift_scale"),
    ("shift_rms", "f4", "pix", "f.shift_rms"),
    ("shift_n", "f4", "", "f.shift_n"),
    ("via_frame_id", "i8", "", "coalesce(f.via_frame_id, -1)"),
    ("night", "f4", "d", "f.night"),
    ("field_id", "i8", "", "coalesce(f.field_id, -1)"),
    ("doubts", "O", "", DOUBTS),
)
"""Name, numpy type, unit and SQL of what a list of frames shows; zero points of the published solution, quality as
measured last."""


@dataclass(frozen=True)
class FrameFilter:
    """Which frames; an empty filter means all."""

    status: str | None = None
    camera: str | None = None
    band: str | None = None
    night: int | None = None  # d, MJD of the noon that began it
    kind: str | None = None
    ids: tuple[int, ...] | None = None
    run: int | None = None  # the ingest that read them
    doubtful: bool | None = None  # whether its time or pointing looks wrong


def _where(chosen: FrameFilter) -> tuple[str, dict[str, Any]]:
    """Write the condition of a filter and its parameters."""
    sql = {
        "status": "f.status = :status",
        "camera": "c.name = :camera",
        "band": "b.name = :band",
        "night": "f.night = :night",
        "run": "f.run_id = :run",
        "kind": "f.kind = :kind",
        "doubtful": "(f.doubts <> 0) = :doubtful",
        "ids": "f.frame_id = ANY(CAST(:ids AS bigint[]))",
    }
    values = {name: getattr(chosen, name) for name in sql if getattr(chosen, name) is not None}
    if "ids" in values:
        values["ids"] = list(values["ids"])
    return " AND ".join(sql[name] for name in values) or "true", values


def frames(conn: Connection, chosen: FrameFilter, names: tuple[str, ...] | None = None) -> list[tuple]:
    """Return the frames of a filter by time, with the columns named (all of `FRAME_COLUMNS` by default)."""
    columns = {name: sql for name, _, _, sql in FRAME_COLUMNS}
    select = ", ".join(f"{columns[name]} AS {name}" for name in names or columns)
    where, values = _where(chosen)
    query = f"""
        SELECT {select}
        FROM frame f
        LEFT JOIN camera c ON c.camera_id = f.camera_id
        LEFT JOIN telescope t ON t.telescope_id = c.telescope_id
        LEFT JOIN band b ON b.band_id = f.band_id
        LEFT JOIN frame_term ft ON ft.frame_id = f.frame_id
             AND ft.solution_id = (SELECT published_solution_id FROM archive)
        LEFT JOIN LATERAL ({NEWEST}) q ON true
        WHERE {where}
        ORDER BY f.mjd NULLS LAST, f.frame_id
    """
    return [tuple(row) for row in conn.execute(text(query), values)]


def frame_row(conn: Connection, frame_id: int) -> dict[str, Any] | None:
    """Return every column of one frame, with the names of camera and band; None if there is no such frame."""
    query = text(
        "SELECT f.*, c.name AS camera, t.name AS telescope, b.name AS band, d.name AS field FROM frame f "
        "LEFT JOIN camera c USING (camera_id) LEFT JOIN telescope t USING (telescope_id) "
        "LEFT JOIN band b USING (band_id) LEFT JOIN field d USING (field_id) WHERE f.frame_id = :frame_id"
    )
    row = conn.execute(query, {"frame_id": frame_id}).mappings().first()
    return None if row is None else dict(row)


def frame_terms(conn: Connection, frame_id: int) -> list[dict[str, Any]]:
    """Return what each solution says of a frame, newest first."""
    query = text(
        "SELECT t.solution_id, s.state, t.zero_point, t.zero_point_err, t.coefficients, t.chi2_dof, "
        "t.n_stars, t.scatter, t.photometric, t.component, t.status, t.reason FROM frame_term t "
        "JOIN solution s USING (solution_id) WHERE t.frame_id = :frame_id ORDER BY t.solution_id DESC"
    )
    return [dict(row) for row in conn.execute(query, {"frame_id": frame_id}).mappings()]


def frames_by_path(conn: Connection, path: str) -> list[int]:
    """Return the ids of the frames with this path, or whose path ends with '/' and it."""
    query = text(
        "SELECT frame_id FROM frame WHERE path = :path OR right(path, length(:path) + 1) = '/' || :path "
        "ORDER BY frame_id"
    )
    return list(conn.execute(query, {"path": path}).scalars())


def counts(conn: Connection) -> dict[str, int]:
    """Count frames by kind and status, and what hangs on them."""
    query = text(
        "SELECT count(*) AS frames, count(*) FILTER (WHERE status = 'accepted') AS accepted, "
        "count(*) FILTER (WHERE status = 'rejected') AS rejected, "
        "count(*) FILTER (WHERE status = 'accepted' AND kind = 'science') AS science, "
        "coalesce(sum(n_detections), 0) AS detections, (SELECT count(*) FROM source) AS sources FROM frame"
    )
    return {name: int(value) for name, value in conn.execute(query).mappings().one().items()}
