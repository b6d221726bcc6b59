"""Tell all that is known of one source, and which sources may be one star."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core import classes, flags, pairs, sky
from photodb.errors import NothingMatched, UsageError
from photodb.storage import lightcurves, sourceids, sourceinfo, starlists
from photodb.storage.engine import Connection, Database

from .position import check_position

Record = dict[str, Any]

NEAR_FWHM = 3.0
"""Neighbours within so many widths of the star share its light somewhere."""
CLASS_NAMES = {
    classes.UNKNOWN: "unknown", classes.STAR: "star", classes.EXTENDED: "extended", classes.COSMIC_RAY: "cosmic ray",
}  # fmt: skip


def find_source(
    conn: Connection, place: int | tuple[float, float], radius_arcsec: float | None = None
) -> int:
    """Return the living source of an id, old ones included, or the nearest to a position (ra, dec in deg).

    Raises
    ------
    NothingMatched : no such source, or none within the radius (by default what the astrometry there allows).
    """
    if isinstance(place, int):
        return sourceids.living(conn, place)
    ra, dec = place
    check_position(ra, dec)
    radius = lightcurves.cover(conn, ra, dec).radius_arcsec if radius_arcsec is None else radius_arcsec
    found = lightcurves.sources_in_cone(conn, ra, dec, radius / 3600)
    if len(found):
        return int(found["source_id"][0])
    nearest = lightcurves.nearest_source_arcsec(conn, ra, dec)
    told = "none within a degree" if np.isnan(nearest) else f"the nearest is {nearest:.1f} arcsec away"
    raise NothingMatched(f"no source within {radius:.1f} arcsec of RA {ra:.5f} Dec {dec:+.5f}; {told}")


def describe_source(
    db: Database, place: int | tuple[float, float], radius_arcsec: float | None = None
) -> tuple[Record, dict[str, NDArray]]:
    """Return all that is known of a source, and its detections (`sourceinfo.DETECTION_COLUMNS`), by time.

    Raises
    ------
    NothingMatched : no such source, or none at the position.
    """
    with db.begin() as conn:
        source_id = find_source(conn, place, radius_arcsec)
        row = sourceinfo.source_row(conn, source_id)
        seen = sourceinfo.detections(conn, source_id)
        part = sourceids.members(conn, [source_id])
        record = _of_row(row) | _of_detections(seen)
        record |= _frames(conn, row, seen)
        record["merged_from"] = sorted(i for i in part if i != source_id)
        record["n_detections_aside"] = sum(
            sourceinfo.source_row(conn, i)["n_detections"] for i in record["merged_from"]
        )
        record["magnitudes"] = sourceinfo.published_mags(conn, list(part))
        record["neighbours"] = _neighbours(conn, row, record["fwhm_arcsec"])
        record["reference_stars"] = sourceinfo.reference_stars(conn, source_id)
        record["history"] = [dict(h) for h in sourceids.history(conn, part)]
    return record, seen


def _of_row(row: Mapping[str, Any]) -> Record:
    """Return what the row of a source tells, in the order in which people ask."""
    moving = row["pm_ra"] != 0 or row["pm_dec"] != 0
    names = [
        "source_id",
        "ra",
        "dec",
        "position_err",
        "ra_scatter",
        "dec_scatter",
        "mjd_mean",
        "pm_ra",
        "pm_dec",
        "pm_err",
        "n_detections",
    ]
    record = {name: row[name] for name in names}
    record["moves"] = moving
    record |= {name: row[name] for name in ("first_mjd", "last_mjd", "approximate", "reach", "mag")}
    record["blend"] = bool(row["flags"] & flags.Flag.BLEND)
    return record | {"field_id": row["field_id"], "cell": row["cell"], "run_id": row["run_id"]}


def _of_detections(seen: Mapping[str, NDArray]) -> Record:
    known = seen["fwhm_arcsec"][np.isfinite(seen["fwhm_arcsec"])]
    votes = np.bincount(np.clip(seen["class"], 0, 3).astype(int), minlength=4)
    bits = np.array([int(f) for f in flags.Flag])
    counts = ((seen["flags"][:, None].astype(int) & bits) != 0).sum(axis=0)
    flagged = {str(f.name).lower(): int(n) for f, n in zip(flags.Flag, counts) if n}
    best = int(np.argmax(votes[1:])) + 1 if votes[1:].any() else classes.UNKNOWN
    return {
        "class": CLASS_NAMES[best], "classes": {CLASS_NAMES[k]: int(n) for k, n in enumerate(votes) if n},
        "fwhm_arcsec": float(np.median(known)) if len(known) else np.nan,
        "n_nights": len(np.unique(seen["night"])), "flags": flagged, "detections": by_camera(seen),
    }  # fmt: skip


def by_camera(seen: Mapping[str, NDArray]) -> list[Record]:
    """Return a row a camera, band and night: how many detections, when, and their mean place against all."""
    if not len(seen["mjd"]):
        return []
    dx, dy = offsets(seen)
    keys = np.stack([seen["camera"], seen["band"], seen["night"].astype(int).astype(str)], axis=1)
    made = []
    for key in np.unique(keys, axis=0):
        rows = (keys == key).all(axis=1)
        made.append(
            {
                "camera": str(key[0]), "band": str(key[1]), "night": int(key[2]), "n": int(rows.sum()),
                "first_mjd": float(seen["mjd"][rows].min()), "last_mjd": float(seen["mjd"][rows].max()),
                "east_arcsec": _mean(dx[rows]), "north_arcsec": _mean(dy[rows]), "mag": _mean(seen["mag"][rows]),
            }
        )  # fmt: skip
    return sorted(made, key=lambda row: (row["night"], row["camera"], row["band"]))


def offsets(seen: Mapping[str, NDArray]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far east and north each detection lies of their mean, (n,) arcsec; NaN without a place."""
    ra, dec = seen["ra"], seen["dec"]
    good = np.isfinite(ra) & np.isfinite(dec)
    if not good.any():
        return np.full(len(ra), np.nan), np.full(len(ra), np.nan)
    vector = sky.unit_vectors(ra[good], dec[good]).sum(axis=0)
    ra0, dec0 = (
        np.degrees(np.arctan2(vector[1], vector[0])),
        np.degrees(np.arctan2(vector[2], np.hypot(*vector[:2]))),
    )
    xi, eta = sky.project(ra, dec, ra0, dec0)
    return xi * 3600, eta * 3600


def _mean(values: NDArray) -> float:
    good = values[np.isfinite(values)]
    return round(float(good.mean()), 9) if len(good) else float("nan")


def _frames(conn: Connection, row: Mapping[str, Any], seen: Mapping[str, NDArray]) -> Record:
    """Count the frames that cover the place, and those among them on which the source was not detected."""
    covering = lightcurves.covering_frames(conn, row["ra"], row["dec"])["frame_id"]
    measured, unseen = sourceinfo.forced_counts(conn, row["source_id"])
    missed = np.setdiff1d(covering, seen["frame_id"])
    return {
        "n_covering": len(covering), "n_missed": len(missed), "missed_frames": missed.tolist(),
        "n_measured": measured, "n_measured_unseen": unseen,
    }  # fmt: skip


def _neighbours(conn: Connection, row: Mapping[str, Any], fwhm_arcsec: float) -> list[Record]:
    """Return the sources within three widths, nearest first."""
    if not np.isfinite(fwhm_arcsec):
        return []
    found = lightcurves.sources_in_cone(conn, row["ra"], row["dec"], NEAR_FWHM * fwhm_arcsec / 3600)
    found = found[found["source_id"] != row["source_id"]]
    mags: dict[int, Record] = {}
    for mag in sourceinfo.published_mags(conn, found["source_id"].tolist()):
        mags.setdefault(mag["source_id"], {})[mag["band"]] = mag["mag"]
    return [
        {
            "source_id": int(near["source_id"]), "separation_arcsec": float(near["separation_arcsec"]),
            "n_detections": int(near["n_detections"]), "ra": float(near["ra"]), "dec": float(near["dec"]),
            "magnitudes": mags.get(int(near["source_id"]), {}),
        }
        for near in found
    ]  # fmt: skip


def list_sources(
    db: Database, blend: bool = False, moving: bool = False, merged: bool = False, min_detections: int = 0,
    limit: int = 1000,
) -> dict[str, NDArray]:  # fmt: skip
    """Return sources that fit all conditions, columns of `sourceinfo.LISTED`; one more than `limit` if there are more.

    Raises
    ------
    NothingMatched : there is none.
    """
    with db.begin() as conn:
        rows = sourceinfo.listed(conn, blend, moving, merged, min_detections, limit + 1)
    if not len(rows):
        raise NothingMatched("no source fits; 'photodb source list' without conditions lists all living ones")
    return {name: rows[name] for name in rows.dtype.names or ()}


PAIR_COLUMNS = {
    "keep": "i8", "other": "i8", "separation_arcsec": "f8", "limit_arcsec": "f8", "n_keep": "i8", "n_other": "i8",
    "cameras_keep": "U1", "cameras_other": "U1", "ra": "f8", "dec": "f8",
}  # fmt: skip


def find_pairs(db: Database, radius_arcsec: float | None = None) -> list[Record]:
    """Return pairs of sources that may be one star, the nearest first: columns `PAIR_COLUMNS`.

    They are nearer than the frames that saw them can tell apart (or than the radius), or than three times their errors,
    and were never detected on the same frame; those that somebody split are left out. The one to keep has more
    detections.
    """
    if radius_arcsec is not None and not 0 < radius_arcsec <= 3600:
        raise UsageError(f"--radius {radius_arcsec} arcsec: above 0 and at most 3600")
    with db.begin() as conn:
        rows = sourceinfo.placed(conn)
        reach = rows["reach"] if radius_arcsec is None else radius_arcsec
        error = np.zeros(len(rows)) if radius_arcsec is not None else rows["position_err"]
        near = pairs.near_pairs(rows["ra"], rows["dec"], error, reach)
        near = near.take(rows["field_id"][near.first] == rows["field_id"][near.second])
        members = np.union1d(near.first, near.second)
        seen = sourceinfo.frames_of(conn, rows["source_id"][members])
        owner = (
            members[np.searchsorted(rows["source_id"][members], seen["source_id"])]
            if len(seen)
            else members[:0]
        )
        near = pairs.one_star_pairs(near, owner, seen["frame_id"])
        near = near.take(
            ~sourceids.parted(conn, rows["source_id"][near.first], rows["source_id"][near.second])
        )
        names = starlists.camera_names(conn)
    cameras: dict[int, set[str]] = {}
    for source_id, camera_id in np.unique(seen[["source_id", "camera_id"]]).tolist():
        cameras.setdefault(source_id, set()).add(names.get(camera_id, "unknown"))
    return [_pair(rows, i, j, s, limit, cameras) for i, j, s, limit in zip(
        near.first, near.second, near.separation_arcsec.tolist(), near.limit_arcsec.tolist())]  # fmt: skip


def _pair(
    rows: NDArray, i: int, j: int, apart: float, limit: float, cameras: Mapping[int, set[str]]
) -> Record:
    keep, other = (i, j) if rows["n_detections"][i] >= rows["n_detections"][j] else (j, i)
    ids = int(rows["source_id"][keep]), int(rows["source_id"][other])
    names = [" ".join(sorted(cameras.get(source_id, ()))) for source_id in ids]
    counts = int(rows["n_detections"][keep]), int(rows["n_detections"][other])
    place = float(rows["ra"][keep]), float(rows["dec"][keep])
    return dict(zip(PAIR_COLUMNS, (*ids, apart, limit, *counts, *names, *place), strict=True))
