"""Every calibrated magnitude computed again from what was measured and the solution's terms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.terms import evaluate, scale_pixels
from photodb.storage.bulk import copy_out

TOLERANCE_MAG = 1e-6
FRAMES_AT_ONCE = 500

POINTS = """
SELECT p.frame_id, p.detection_id, p.source_id, p.photometry, p.mag::float8,
       CASE WHEN p.photometry = -2 THEN coalesce(d.mag, 'NaN') ELSE 'NaN' END,
       CASE p.photometry WHEN -2 THEN 'NaN' WHEN -1 THEN r.flux_psf
            ELSE coalesce(r.flux_aperture[p.photometry + 1], 'NaN') END,
       coalesce(f.exptime, 'NaN'), CASE WHEN p.photometry = -2 THEN d.x ELSE r.x END,
       CASE WHEN p.photometry = -2 THEN d.y ELSE r.y END, coalesce(f.nx, 0), coalesce(f.ny, 0)
FROM light_curve_point p
JOIN frame f ON f.frame_id = p.frame_id
LEFT JOIN detection d ON d.frame_id = p.frame_id AND d.cell = p.cell AND d.detection_id = p.detection_id
LEFT JOIN forced r ON p.photometry > -2 AND r.frame_id = p.frame_id AND r.cell = p.cell AND r.source_id = p.source_id
WHERE p.solution_id = %(solution)s AND p.frame_id = ANY(%(frames)s)
  AND (CASE WHEN p.photometry = -2 THEN d.detection_id ELSE r.source_id END) IS NOT NULL
  AND p.source_id NOT IN (SELECT unnest(ARRAY[h.source_id, h.other_source_id]) FROM source_history h, solution s
                          LEFT JOIN run g USING (run_id) WHERE s.solution_id = %(solution)s
                          AND h.happened_at > coalesce(g.started_at, s.created_at))
  AND p.frame_id NOT IN (SELECT a.frame_id FROM frame_place a, solution s LEFT JOIN run g USING (run_id)
                         WHERE s.solution_id = %(solution)s AND a.placed_at > coalesce(g.started_at, s.created_at))
"""
POINT = [("frame_id", "i8"), ("detection_id", "i8"), ("source_id", "i8"), ("photometry", "i2"), ("mag", "f8")]
POINT += [
    ("raw", "f8"),
    ("flux", "f8"),
    ("exptime", "f8"),
    ("x", "f8"),
    ("y", "f8"),
    ("nx", "i4"),
    ("ny", "i4"),
]


def wrong_points(conn: Connection, solution_id: int) -> tuple[int, str]:
    """Count the points of a solution whose magnitude is not raw + terms, and describe the first; '' if none.

    Sources that were merged or split since are left out, and frames placed anew: what was measured belongs to another
    source then.
    """
    query = text(
        "SELECT frame_id, zero_point, coefficients FROM frame_term WHERE solution_id = :s ORDER BY frame_id"
    )
    terms = conn.execute(query, {"s": solution_id}).all()
    bad, example = 0, ""
    for start in range(0, len(terms), FRAMES_AT_ONCE):
        part = terms[start : start + FRAMES_AT_ONCE]
        frames = np.array([row.frame_id for row in part])
        coefficients = np.array([[row.zero_point, *row.coefficients] for row in part], dtype=float)
        points = copy_out(conn, POINTS, POINT, {"solution": solution_id, "frames": frames})
        expected = _expected(conn, solution_id, points, frames, coefficients)
        wrong = np.flatnonzero(_disagree(points["mag"], expected))
        if len(wrong) and not bad:
            first = points[wrong[0]]
            example = f"solution {solution_id}, frame {first['frame_id']}, source {first['source_id']}"
        bad += len(wrong)
    return bad, example


def _expected(
    conn: Connection, solution_id: int, points: NDArray, frames: NDArray, coefficients: NDArray
) -> NDArray[np.float64]:
    """Return raw + terms of each point, with the terms of its kind of photometry; NaN where one is none."""
    index = np.searchsorted(frames, points["frame_id"])
    x, y = scale_pixels(points["x"], points["nx"]), scale_pixels(points["y"], points["ny"])
    with np.errstate(invalid="ignore", divide="ignore"):
        flux = np.where(points["flux"] > 0, points["flux"], np.nan)
        raw = np.where(points["photometry"] == -2, points["raw"], -2.5 * np.log10(flux / points["exptime"]))
    expected = raw + evaluate(coefficients, index, x, y)
    for kind in np.unique(points["photometry"]):
        mine = np.flatnonzero(points["photometry"] == kind)
        own = _terms_of_kind(conn, solution_id, frames, int(kind), coefficients.shape[1])
        expected[mine] += evaluate(own, index[mine], x[mine], y[mine])
    return expected


def _terms_of_kind(
    conn: Connection, solution_id: int, frames: NDArray, kind: int, k: int
) -> NDArray[np.float64]:
    """Return what each frame adds to magnitudes of a kind, (n_frames, k) mag; 0 where nothing is said."""
    query = text(
        "SELECT frame_id, coefficients FROM frame_photometry WHERE solution_id = :s AND photometry = :kind "
        "AND frame_id = ANY(:frames)"
    )
    values = {"s": solution_id, "kind": kind, "frames": frames.tolist()}
    out = np.zeros((len(frames), k))
    for frame_id, row in conn.execute(query, values):
        out[np.searchsorted(frames, frame_id), : len(row)] = row
    return out


def _disagree(mag: NDArray, expected: NDArray) -> NDArray[np.bool_]:
    """Tell which magnitudes are not those expected, to 1e-6 mag and the rounding of a REAL."""
    rounding = np.spacing(np.abs(mag).astype("f4")) / 2
    known = np.isfinite(expected)  # else the raw magnitude or the zero point is none, and so must this be
    far = ~(np.abs(mag - expected) <= TOLERANCE_MAG + rounding)
    return np.where(known, far, np.isfinite(mag))
