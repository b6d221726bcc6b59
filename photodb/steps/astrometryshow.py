"""How frames are placed on the sky: what 'astrometry show' tells and 'astrometry plot' draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from photodb.core.tangent import TangentWCS
from photodb.errors import NothingMatched, UsageError
from photodb.storage import framelists, matches
from photodb.storage.engine import Database
from photodb.storage.framelists import FrameFilter

from .judge import find_frames, frame_columns

UNITS = {
    "x": "pix", "y": "pix", "ra": "deg", "dec": "deg", "mag": "mag", "dx": "pix", "dy": "pix", "dra": "arcsec",
    "ddec": "arcsec",
}  # fmt: skip
Columns = dict[str, NDArray[Any]]


def describe_place(db: Database, name: str) -> dict[str, Any]:
    """Return what is known of a frame's place on the sky.

    Raises
    ------
    NothingMatched : no such frame. UsageError : several frames match.
    """
    frame_id = _one_frame(db, name)
    with db.begin() as conn:
        row = framelists.frame_row(conn, frame_id)
        by = matches.placed_by(conn, frame_id)
        found = matches.of_frame(conn, frame_id)
    assert row is not None  # found above, and frames are never deleted
    wcs = TangentWCS.from_dict(row["wcs"]) if row["wcs"] else None
    used = found[found["used"]]
    return {
        "frame_id": frame_id, "path": row["path"], "status": row["status"], "astrometry": row["astrometry"],
        "catalogue": _catalogue(row["astrometry"], by["catalogue"]),
        "ra": row["ra"], "dec": row["dec"], "radius_deg": row["radius"],
        "pixel_scale": wcs and wcs.scale_arcsec, "rotation": wcs and wcs.rotation_deg, "mirrored": wcs and wcs.mirrored,
        "order": wcs and wcs.order, "astrom_rms_arcsec": row["astrom_rms"],
        "rms_ra_arcsec": _rms(used["dra"]), "rms_dec_arcsec": _rms(used["ddec"]),
        "n_used": len(used), "n_clipped": len(found) - len(used), "n_detections": row["n_detections"],
        "reference_frame_id": row["reference_frame_id"], "shift_rms": row["shift_rms"],
        "field": by["field"], "field_approximate": by["field_approximate"],
        "placed_anew": by["n_anew"], "placed_anew_run": by["run_anew"], "placed_before": by["before"],
        "remark": row["reason"], "wcs": row["wcs"],
    }  # fmt: skip


def match_table(db: Database, name: str) -> Table:
    """Return the matches of a frame's fit, the brightest star first: what was matched, and measured minus expected.

    Raises
    ------
    NothingMatched : no such frame, or it was placed without stars. UsageError : several frames match.
    """
    frame_id = _one_frame(db, name)
    with db.begin() as conn:
        found = matches.of_frame(conn, frame_id)
        names = matches.star_names(conn, found["reference_star_id"][found["reference_star_id"] >= 0].tolist())
    if not len(found):
        raise NothingMatched(
            f"frame {frame_id} was placed without matching stars; see 'photodb astrometry show {name}'"
        )
    table = Table(
        {n: found[n] for n in found.dtype.names or () if n in UNITS or n in ("number", "used", "source_id")}
    )
    table["star"] = [_star(row, names) for row in found]
    for column, unit in UNITS.items():
        table[column].unit = unit
    return table


def frame_residuals(db: Database, name: str) -> tuple[Columns, dict[str, Any]]:
    """Return the matches of a frame for its figure, and what `describe_place` tells of it.

    Raises
    ------
    NothingMatched : no such frame. UsageError : several frames match.
    """
    told = describe_place(db, name)
    with db.begin() as conn:
        found = matches.of_frame(conn, told["frame_id"])
        row = framelists.frame_row(conn, told["frame_id"])
    assert row is not None
    told |= {"nx": row["nx"], "ny": row["ny"]}
    return {n: found[n] for n in found.dtype.names or ()}, told


def summed_residuals(db: Database, chosen: FrameFilter) -> tuple[Columns, Columns]:
    """Return the accepted frames of a filter with their residuals, and all their used matches.

    Raises
    ------
    NothingMatched : no frame fits the filter.
    """
    names = ("frame_id", "path", "mjd", "camera", "status", "astrometry", "astrom_rms_arcsec", "astrom_n")
    science = FrameFilter("accepted", chosen.camera, chosen.band, chosen.night, "science", run=chosen.run)
    frames = frame_columns(db, science, names)
    with db.begin() as conn:
        found = matches.of_frames(conn, frames["frame_id"].tolist())
    found = found[found["used"]]
    points: Columns = {n: found[n] for n in ("x", "y", "dx", "dy")}
    order = np.argsort(frames["frame_id"])
    at = order[np.searchsorted(frames["frame_id"][order], found["frame_id"])]
    points["camera"] = frames["camera"][at]
    return frames, points


def _one_frame(db: Database, name: str) -> int:
    ids = find_frames(db, [name])
    if len(ids) != 1:
        raise UsageError(f"{name} means {len(ids)} frames ({', '.join(map(str, ids[:10]))}); give one id")
    return ids[0]


def _catalogue(kind: str, name: str | None) -> str:
    return name or ("built-in bright list" if kind == "catalogue" else "")


def _star(row: Any, names: dict[int, str]) -> str:
    """Return what a detection was matched with: a catalogue's star, a Gaia source, or a detection of another frame."""
    if row["reference_star_id"] >= 0:
        return names.get(int(row["reference_star_id"]), str(row["reference_star_id"]))
    if row["gaia_source_id"] >= 0:
        return f"Gaia {row['gaia_source_id']}"
    if row["reference_detection_id"] >= 0:
        other = int(row["reference_detection_id"])
        return f"frame {other >> 20} detection {other & 0xFFFFF}"
    return "source of the archive"


def _rms(values: NDArray) -> float:
    good = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(good**2))) if len(good) else float("nan")
