"""Write one measured frame: its place, its sources and all its rows, in one transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from photodb.core import sky
from photodb.core.ephemeris import airmass, altitude_of
from photodb.errors import FrameError
from photodb.images.measure import BEST_RADIUS
from photodb.images.pipeline import FrameFailure, FrameResult
from photodb.storage import frames, instruments
from photodb.storage.engine import Database
from photodb.storage.frames import NUMBER_BITS

from .associate import Association, associate, radius_arcsec
from .cameras import Cameras
from .place import Placement, Placer, rows_of_stars, stars_of

LOCK_ORDER = 6
LOCK_MARGIN_DEG = 0.02
NOWHERE = np.array([-1])
"""The lock of frames whose place is not known."""
SUN_LIMIT_DEG = -3.0


@dataclass(frozen=True)
class Written:
    """What became of a frame."""

    status: str  # accepted, rejected, known
    kind: str = "science"
    code: str = ""
    reason: str = ""
    n_detections: int = 0
    n_sources: int = 0


class _AlreadyThere(Exception):
    """The frame was written by another process meanwhile; the transaction is to be rolled back."""


def write_failure(db: Database, run_id: int, failure: FrameFailure) -> Written:
    """Write a file that cannot be used as a rejected frame."""
    values = {
        "path": str(failure.path), "data_hash": failure.file_hash or f"path:{failure.path}", "file_hash": failure.file_hash,
        "kind": "unknown", "status": "rejected", "reason": failure.reason, "reason_code": failure.code, "run_id": run_id,
    }  # fmt: skip
    with db.begin() as conn:
        if frames.insert_frame(conn, values) < 0:
            return Written("known")
    return Written("rejected", "unknown", failure.code, failure.reason)


def write_result(
    db: Database, run_id: int, result: FrameResult, cameras: Cameras, placer: Placer, stages: dict[str, float]
) -> Written:
    """Write a measured frame; where it turns out to lie outside the cells it locked, lock more and start again."""
    if result.measured is None:
        return _write_calibration(db, run_id, result, cameras)
    try:
        return _write_placed(db, run_id, result, cameras, placer, stages)
    except _AlreadyThere:
        return Written("known")


def _write_placed(
    db: Database, run_id: int, result: FrameResult, cameras: Cameras, placer: Placer, stages: dict[str, float]
) -> Written:
    cells = _cells(*placer.pointing(result), placer.radius(result))
    while True:
        with db.begin() as conn:
            frames.lock_cells(conn, cells)
            if frames.has_data_hash(conn, result.data_hash):
                return Written("known")
            began = time.perf_counter()
            try:
                placement = placer.place(conn, result, cameras.camera_ids[result.camera])
            except FrameError as error:
                return _write_rejected(conn, run_id, result, cameras, error)
            finally:
                _lap(stages, "register and place", began)
            needed = np.union1d(cells, _cells(*_centre(placement, result)))
            if len(needed) == len(cells):
                began = time.perf_counter()
                written = _write_science(conn, run_id, result, cameras, placer, placement)
                _lap(stages, "associate and store", began)
                return written
        cells = needed


def _lap(stages: dict[str, float], name: str, began: float) -> None:
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - began


def _cells(ra: float, dec: float, radius: float) -> NDArray[np.int64]:
    """Return the cells to lock for a frame: those it may touch, or the one lock for frames without a place."""
    if not np.isfinite([ra, dec]).all():
        return NOWHERE
    return sky.cone_cells(ra, dec, radius + LOCK_MARGIN_DEG, LOCK_ORDER)


def _centre(placement: Placement, result: FrameResult) -> tuple[float, float, float]:
    """Return ra, dec (deg) of the centre and the distance to the farthest corner; NaN without a place."""
    if placement.wcs is None:
        return float("nan"), float("nan"), 0.0
    x, y = result.nx - 1, result.ny - 1
    ra, dec = placement.wcs.to_sky([x / 2, 0, x, x, 0], [y / 2, 0, 0, y, y])
    radius = float(sky.separation_deg(ra[0], dec[0], ra[1:], dec[1:]).max())
    return float(ra[0]), float(dec[0]), radius


def _common(run_id: int, result: FrameResult, cameras: Cameras, band_id: int | None) -> dict[str, Any]:
    """Return the columns of a frame that do not depend on its place."""
    exposure, place = result.exposure, result.place
    x, y, z = place.barycentric
    return {
        "path": str(result.path), "hdu": result.hdu, "data_hash": result.data_hash, "file_hash": result.file_hash,
        "kind": exposure.kind, "camera_id": cameras.camera_ids[result.camera], "band_id": band_id,
        "object": exposure.object, "mjd": exposure.mjd, "mjd_start": exposure.mjd_start, "exptime": exposure.exptime,
        "mjd_tdb": place.mjd_tdb, "earth_x": x, "earth_y": y, "earth_z": z,
        "night": _night(exposure.mjd, cameras.descriptions[result.camera].longitude),
        "sun_altitude": place.sun_altitude, "nx": result.nx, "ny": result.ny,
        "background": result.background, "data_min": result.quality.data_min, "data_max": result.quality.data_max,
        "dynamic_range": result.quality.dynamic_range, "nonuniformity": result.quality.nonuniformity,
        "gain": result.gain, "read_noise": exposure.read_noise, "assumed": result.assumed, "run_id": run_id,
    }  # fmt: skip


def _night(mjd: float, longitude: float | None) -> int:
    """Return the MJD of the local noon that began the night; UTC's noon without a longitude."""
    return int(np.floor(mjd + (longitude or 0.0) / 360.0 - 0.5))


def _band(conn: Connection, result: FrameResult) -> int | None:
    name = result.exposure.band
    return instruments.band_ids(conn, {name})[name] if name else None


def _write_calibration(db: Database, run_id: int, result: FrameResult, cameras: Cameras) -> Written:
    with db.begin() as conn:
        values = _common(run_id, result, cameras, _band(conn, result))
        values |= {"status": "accepted", "ra": None, "dec": None}
        if frames.insert_frame(conn, values) < 0:
            return Written("known")
    return Written("accepted", result.exposure.kind)


def _measures(result: FrameResult) -> dict[str, Any]:
    """Return the columns that the frame's stars give."""
    m = result.measured
    assert m is not None
    return {
        "background_rms": m.background_rms, "fwhm": m.fwhm, "ellipticity": m.ellipticity,
        "limiting_mag": float(-2.5 * np.log10(m.limiting_flux / result.exposure.exptime)),
        "n_saturated": m.n_saturated, "aperture_radii": list(m.radii), "aperture_best": BEST_RADIUS,
    }  # fmt: skip


def _write_rejected(conn: Connection, run_id: int, result: FrameResult, cameras: Cameras, error: FrameError) -> Written:
    values = _common(run_id, result, cameras, _band(conn, result)) | _measures(result)
    values |= {"status": "rejected", "reason": str(error), "reason_code": error.code}
    values |= {"ra": result.exposure.ra, "dec": result.exposure.dec}
    if frames.insert_frame(conn, values) < 0:
        return Written("known")
    return Written("rejected", "science", error.code, str(error))


def _write_science(
    conn: Connection, run_id: int, result: FrameResult, cameras: Cameras, placer: Placer, placement: Placement
) -> Written:
    assert result.measured is not None
    camera_id = cameras.camera_ids[result.camera]
    centre = _centre(placement, result)
    approximate = placement.astrometry == "approximate"
    founding = placement.field_id < 0
    field_id = placement.field_id
    if founding:
        name = result.exposure.object or result.path.stem
        field_id = frames.insert_field(conn, run_id, name, *centre, approximate)
    values = _common(run_id, result, cameras, _band(conn, result)) | _measures(result)
    values |= _sky_values(result, placement, centre, cameras) | _shift_values(result, placement)
    values |= {"status": "accepted", "field_id": field_id, "n_detections": len(result.measured.detections)}
    frame_id = frames.insert_frame(conn, values)
    if frame_id < 0:  # another process wrote the same frame under other locks: take the field back too
        raise _AlreadyThere
    links, ra, dec = _associated(conn, run_id, field_id, result, placement, centre)
    rows = _detection_rows(result, frame_id, links, ra, dec)
    frames.insert_rows(conn, frame_id, rows, _match_rows(result, placement, frame_id, links))
    if placement.reference is None:
        frames.set_reference(conn, field_id, camera_id, frame_id)
    return Written("accepted", "science", n_detections=len(rows), n_sources=links.n_new)


def _associated(
    conn: Connection, run_id: int, field_id: int, result: FrameResult, placement: Placement, centre: tuple[float, float, float]
) -> tuple[Association, NDArray, NDArray]:
    """Return which source each detection belongs to, and the detections' positions."""
    found = result.measured.detections  # type: ignore[union-attr]
    n = len(found)
    if placement.wcs is None:
        nothing = np.full(n, -1, np.int64)
        return Association(nothing, nothing, found.flags.astype(np.int32), 0), np.full(n, np.nan), np.full(n, np.nan)
    ra, dec = placement.wcs.to_sky(found.x, found.y)
    significance = found.flux[:, BEST_RADIUS] / found.flux_err[:, BEST_RADIUS]
    radius = radius_arcsec(placement.wcs.scale_arcsec, placement.rms_arcsec)
    links = associate(
        conn, run_id, field_id, ra, dec, result.exposure.mjd, found.flags.astype(np.int32), significance, centre, radius,
        placement.astrometry == "approximate",
    )  # fmt: skip
    return links, ra, dec


def _sky_values(
    result: FrameResult, placement: Placement, centre: tuple[float, float, float], cameras: Cameras
) -> dict[str, Any]:
    """Return the columns of a frame's place on the sky, with a remark where something looks wrong."""
    values: dict[str, Any] = {"astrometry": placement.astrometry, "reason": placement.remark}
    d = cameras.descriptions[result.camera]
    remarks = [placement.remark] if placement.remark else []
    if placement.wcs is None:
        return values
    ra, dec, radius = centre
    x, y = result.nx - 1, result.ny - 1
    corners = np.column_stack(placement.wcs.to_sky([0, x, x, 0], [0, 0, y, y])).ravel()
    altitude = altitude_of(ra, dec, result.exposure.mjd, *(float("nan") if v is None else v for v in (d.latitude, d.longitude)))
    if result.place.sun_altitude > SUN_LIMIT_DEG:
        remarks.append(f"the sun stood {result.place.sun_altitude:.0f} deg high: check time zone and longitude of the camera")
    elif altitude < 0:
        remarks.append(f"the target stood {altitude:.0f} deg high: check time zone and longitude of the camera")
    told = result.header_airmass
    return values | {
        "reason": "; ".join(remarks), "wcs": placement.wcs.to_dict(), "ra": ra, "dec": dec, "radius": radius,
        "healpix": int(sky.healpix29(ra, dec)[0]), "footprint": corners.tolist(),
        "astrom_rms": placement.rms_arcsec, "astrom_n": placement.n_stars,
        "reference_catalogue_id": placement.catalogue_id if placement.catalogue_id >= 0 else None,
        "pixel_scale": placement.wcs.scale_arcsec, "rotation": placement.wcs.rotation_deg,
        "airmass": told if np.isfinite(told) else airmass(altitude),
    }  # fmt: skip


def _shift_values(result: FrameResult, placement: Placement) -> dict[str, Any]:
    """Return the columns of the registration against the reference frame."""
    registration, reference = placement.registration, placement.reference
    if registration is None or reference is None:
        return {}
    there = registration.transform(np.array([[(reference.nx - 1) / 2, (reference.ny - 1) / 2]]))[0]
    return {
        "reference_frame_id": reference.frame_id,
        "shift_x": float(there[0] - (result.nx - 1) / 2), "shift_y": float(there[1] - (result.ny - 1) / 2),
        "shift_rotation": registration.transform.rotation_deg, "shift_scale": registration.transform.scale,
        "shift_rms": registration.rms, "shift_n": registration.n_used,
    }  # fmt: skip


def _detection_rows(result: FrameResult, frame_id: int, links: Association, ra: NDArray, dec: NDArray) -> NDArray:
    """Return the rows of table `detection`, brightest first."""
    found = result.measured.detections  # type: ignore[union-attr]
    n, k = found.flux.shape
    names = "x y x_err y_err flux flux_err mag mag_err flux_psf flux_psf_err psf_chi2 sky sky_err peak fwhm ellipticity theta sharpness"
    dtype = [("cell", "i4"), ("frame_id", "i8"), ("detection_id", "i8"), ("source_id", "i8"), ("ra", "f8"), ("dec", "f8")]
    dtype += [(name, "f4") for name in names.split()]
    dtype += [("flux_aperture", "f4", (k,)), ("flux_aperture_err", "f4", (k,)), ("class", "i2"), ("flags", "i4")]  # type: ignore[list-item]
    rows = np.zeros(n, np.dtype(dtype))
    for name in ("mag", "mag_err", "flux_psf", "flux_psf_err", "psf_chi2"):
        rows[name] = np.nan
    flux, error = found.flux[:, BEST_RADIUS], found.flux_err[:, BEST_RADIUS]
    positive = flux > 0
    rows["cell"], rows["frame_id"], rows["source_id"] = links.cell, frame_id, links.source_id
    rows["detection_id"] = (frame_id << NUMBER_BITS) + np.arange(n)
    rows["ra"], rows["dec"], rows["flux"], rows["flux_err"] = ra, dec, flux, error
    rows["mag"][positive] = -2.5 * np.log10(flux[positive] / result.exposure.exptime)
    rows["mag_err"][positive] = 2.5 / np.log(10) * error[positive] / flux[positive]
    for name in "x y x_err y_err sky sky_err peak fwhm ellipticity theta sharpness".split():
        rows[name] = getattr(found, name)
    rows["flux_aperture"], rows["flux_aperture_err"] = found.flux, found.flux_err
    rows["class"], rows["flags"] = found.kind, links.flags
    return rows


MATCH = np.dtype(
    [
        ("cell", "i4"), ("frame_id", "i8"), ("detection_id", "i8"), ("reference_star_id", "i8"),
        ("reference_detection_id", "i8"), ("gaia_source_id", "i8"), ("dx", "f4"), ("dy", "f4"), ("dra", "f4"),
        ("ddec", "f4"), ("used", "?"),
    ]
)  # fmt: skip


def _match_rows(result: FrameResult, placement: Placement, frame_id: int, links: Association) -> NDArray:
    """Return the rows of table `astrometric_match`: of the sky fit where there is one, else of the registration."""
    numbers = rows_of_stars(result)
    fit = placement.fit
    if fit is not None and placement.fit_keys is not None:
        rows = np.zeros(len(fit.detections), MATCH)
        chosen = numbers[fit.detections]
        rows["reference_detection_id"] = rows["reference_star_id"] = rows["gaia_source_id"] = -1
        if placement.astrometry == "catalogue":
            rows["reference_star_id" if placement.catalogue_id >= 0 else "gaia_source_id"] = placement.fit_keys
        for name in ("dx", "dy", "dra", "ddec", "used"):
            rows[name] = getattr(fit, name)
    elif placement.registration is not None and placement.reference is not None:
        rows, chosen = _registration_rows(result, placement, numbers)
    else:
        return np.zeros(0, MATCH)
    rows["frame_id"], rows["detection_id"] = frame_id, (frame_id << NUMBER_BITS) + chosen
    rows["cell"] = links.cell[chosen]
    return rows


def _registration_rows(result: FrameResult, placement: Placement, numbers: NDArray) -> tuple[NDArray, NDArray]:
    registration, reference = placement.registration, placement.reference
    assert registration is not None and reference is not None
    rows = np.zeros(len(registration.first), MATCH)
    off = stars_of(result)[registration.second] - registration.transform(reference.xy[registration.first])
    rows["reference_star_id"] = rows["gaia_source_id"] = -1
    rows["reference_detection_id"] = reference.detection_id[registration.first]
    rows["dx"], rows["dy"], rows["used"] = off[:, 0], off[:, 1], registration.used
    rows["dra"] = rows["ddec"] = np.nan
    if placement.wcs is not None:
        move = placement.wcs.linear @ off.T * 3600
        rows["dra"], rows["ddec"] = move[0], move[1]
    return rows, numbers[registration.second]
