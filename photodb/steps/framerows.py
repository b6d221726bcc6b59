"""The columns of `frame` and the rows of `detection` and `astrometric_match` that a measured frame gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.clock import told_airmass
from photodb.core.ephemeris import airmass, altitude_of
from photodb.core.timescales import night_of
from photodb.images.headers import CameraDescription
from photodb.images.pipeline import FrameResult
from photodb.storage.frames import NUMBER_BITS
from photodb.storage.registrations import numbers_of

from .align import Alignment
from .associate import Association
from .cameras import Cameras
from .doubts import doubts_of, offset_of, told_by
from .framestars import FrameStars
from .placement import Placement

NUMBERS = [
    "x",
    "y",
    "x_err",
    "y_err",
    "flux",
    "flux_err",
    "mag",
    "mag_err",
    "flux_psf",
    "flux_psf_err",
    "psf_chi2",
    "psf_size",
    "psf_size_err",
    "sky",
    "sky_err",
    "peak",
    "fwhm",
    "ellipticity",
    "theta",
    "sharpness",
]


def centre_of(placement: Placement, frame: FrameStars) -> tuple[float, float, float]:
    """Return ra, dec (deg) of the centre and the distance to the farthest corner; NaN without a place."""
    if placement.wcs is None:
        return float("nan"), float("nan"), 0.0
    x, y = frame.nx - 1, frame.ny - 1
    ra, dec = placement.wcs.to_sky([x / 2, 0, x, x, 0], [y / 2, 0, 0, y, y])
    radius = float(sky.separation_deg(ra[0], dec[0], ra[1:], dec[1:]).max())
    return float(ra[0]), float(dec[0]), radius


def common_values(run_id: int, result: FrameResult, cameras: Cameras, band_id: int | None) -> dict[str, Any]:
    """Return the columns of a frame that do not depend on its place."""
    exposure, place = result.exposure, result.place
    x, y, z = place.barycentric
    return {
        "path": str(result.path), "hdu": result.hdu, "data_hash": result.data_hash, "file_hash": result.file_hash,
        "channel": result.channel, "kind": exposure.kind, "band_id": band_id,
        "camera_id": cameras.camera_ids[result.camera], "object": exposure.object,
        "mjd": exposure.mjd, "mjd_start": exposure.mjd_start, "exptime": exposure.exptime,
        "mjd_tdb": place.mjd_tdb, "earth_x": x, "earth_y": y, "earth_z": z,
        "night": night_of(exposure.mjd, longitude_of(cameras.descriptions[result.camera])),
        "sun_altitude": place.sun_altitude, "nx": result.nx, "ny": result.ny,
        "background": result.background, "data_min": result.quality.data_min, "data_max": result.quality.data_max,
        "dynamic_range": result.quality.dynamic_range, "nonuniformity": result.quality.nonuniformity,
        "gain": result.gain, "read_noise": exposure.read_noise, "assumed": result.assumed, "run_id": run_id,
        "source_format": result.source_format, "header_ra": exposure.ra, "header_dec": exposure.dec,
    }  # fmt: skip


def longitude_of(d: CameraDescription) -> float:
    """Return a camera's longitude (deg) for its nights: where it is not told, that of its clock's zone."""
    return offset_of(d) * 15.0 if d.longitude is None else d.longitude


def measured_values(result: FrameResult) -> dict[str, Any]:
    """Return the columns that the frame's stars give."""
    m = result.measured
    assert m is not None
    return {
        "background_rms": m.background_rms, "fwhm": m.fwhm, "ellipticity": m.ellipticity,
        "limiting_mag": float(-2.5 * np.log10(m.limiting_flux / result.exposure.exptime)),
        "n_saturated": m.n_saturated, "aperture_radii": list(m.radii), "aperture_best": m.best,
        "psf": m.psf,
    }  # fmt: skip


def sky_values(
    result: FrameResult, placement: Placement, centre: tuple[float, float, float], cameras: Cameras
) -> dict[str, Any]:
    """Return the columns of a frame's place on the sky, with a remark where something looks wrong."""
    d = cameras.descriptions[result.camera]
    doubts, doubted = doubts_of(told_by(result), placement.astrometry, centre, d)
    remarks = [r for r in (result.remark, placement.remark) if r]
    remarks += [*(result.measured.notes if result.measured else ()), *doubted]
    values: dict[str, Any] = {
        "astrometry": placement.astrometry, "reason": "; ".join(remarks), "doubts": doubts,
        "header_airmass": result.header_airmass,
    }  # fmt: skip
    if placement.wcs is None:
        return values
    ra, dec, _ = centre
    altitude = altitude_of(
        ra, dec, result.exposure.mjd, *(float("nan") if v is None else v for v in (d.latitude, d.longitude))
    )
    return values | {
        "airmass": airmass_of(result.header_airmass, altitude),
        **place_values(placement, result.nx, result.ny, centre),
    }  # fmt: skip


def airmass_of(told: float, altitude: float) -> float:
    """Return the airmass that the header tells where it can be one, else that of the altitude (deg; NaN: unknown)."""
    told = told_airmass(told)
    return told if np.isfinite(told) else float(airmass(altitude))


def place_values(
    placement: Placement, nx: int, ny: int, centre: tuple[float, float, float]
) -> dict[str, Any]:
    """Return the columns of a frame that its place alone gives."""
    assert placement.wcs is not None
    (ra, dec, radius), x, y = centre, nx - 1, ny - 1
    corners = np.column_stack(placement.wcs.to_sky([0, x, x, 0], [0, 0, y, y])).ravel()
    return {
        "astrometry": placement.astrometry, "wcs": placement.wcs.to_dict(), "ra": ra, "dec": dec, "radius": radius,
        "healpix": int(sky.healpix29(ra, dec)[0]), "footprint": corners.tolist(),
        "astrom_rms": placement.rms_arcsec, "astrom_n": placement.n_stars,
        "reference_catalogue_id": placement.catalogue_id if placement.catalogue_id >= 0 else None,
        "pixel_scale": placement.wcs.scale_arcsec, "rotation": placement.wcs.rotation_deg,
    }  # fmt: skip


def shift_values(result: FrameResult, placement: Placement) -> dict[str, Any]:
    """Return the columns of the registration against the reference frame."""
    registration, reference = placement.registration, placement.reference
    if registration is None or reference is None:
        return {}
    transform, by = registration.transform, placement.alignment and placement.alignment.by
    shift = transform.shift((reference.nx, reference.ny), (result.nx, result.ny))
    return {
        "reference_frame_id": reference.frame_id,
        "shift_x": float(shift[0]), "shift_y": float(shift[1]),
        "shift_rotation": transform.rotation_deg, "shift_scale": transform.scale,
        "shift_rms": registration.rms, "shift_n": registration.n_used if by else placement.n_stars,
        "shift_map": numbers_of(transform),
        "via_frame_id": by.frame_id if by and by.frame_id != reference.frame_id else None,
    }  # fmt: skip


def instrumental_mag(flux: NDArray, exptime: float) -> NDArray[np.float64]:
    """Return -2.5 log10(flux / exptime) (mag) of fluxes in e-; NaN where the flux is not positive."""
    return np.asarray(-2.5 * np.log10(np.where(flux > 0, flux, np.nan) / exptime))


def detection_rows(
    result: FrameResult, frame_id: int, links: Association, ra: NDArray, dec: NDArray
) -> NDArray:
    """Return the rows of table `detection`, brightest first."""
    found, best = result.measured.detections, result.measured.best  # type: ignore[union-attr]
    n, k = found.flux.shape
    dtype: list[Any] = [
        ("cell", "i4"),
        ("frame_id", "i8"),
        ("detection_id", "i8"),
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
    ]
    dtype += [(name, "f4") for name in NUMBERS]
    dtype += [
        ("flux_aperture", "f4", (k,)),
        ("flux_aperture_err", "f4", (k,)),
        ("class", "i2"),
        ("flags", "i4"),
    ]
    rows = np.zeros(n, np.dtype(dtype))
    rows["mag_err"] = np.nan
    for name in ("flux_psf", "flux_psf_err", "psf_chi2", "psf_size", "psf_size_err"):
        fitted = getattr(found, name)
        rows[name] = np.nan if fitted is None else fitted
    flux, error = found.flux[:, best], found.flux_err[:, best]
    positive = flux > 0
    rows["mag"] = instrumental_mag(flux, result.exposure.exptime)
    rows["cell"], rows["frame_id"], rows["source_id"] = links.cell, frame_id, links.source_id
    rows["detection_id"] = (frame_id << NUMBER_BITS) + np.arange(n)
    rows["ra"], rows["dec"], rows["flux"], rows["flux_err"] = ra, dec, flux, error
    rows["mag_err"][positive] = 2.5 / np.log(10) * error[positive] / flux[positive]
    for name in [
        "x",
        "y",
        "x_err",
        "y_err",
        "sky",
        "sky_err",
        "peak",
        "fwhm",
        "ellipticity",
        "theta",
        "sharpness",
    ]:
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


def match_rows(frame: FrameStars, placement: Placement, frame_id: int, links: Association) -> NDArray:
    """Return the rows of table `astrometric_match`: of the sky fit where there is one, else of the registration."""
    numbers = frame.rows
    fit = placement.fit
    if fit is not None and placement.fit_keys is not None:
        rows = np.zeros(len(fit.detections), MATCH)
        chosen = numbers[fit.detections]
        rows["reference_detection_id"] = rows["reference_star_id"] = rows["gaia_source_id"] = -1
        if placement.astrometry == "catalogue":
            rows["reference_star_id" if placement.catalogue_id >= 0 else "gaia_source_id"] = (
                placement.fit_keys
            )
        for name in ("dx", "dy", "dra", "ddec", "used"):
            rows[name] = getattr(fit, name)
    elif placement.alignment is not None:
        rows, chosen = _registration_rows(frame, placement, placement.alignment)
    else:
        return np.zeros(0, MATCH)
    rows["frame_id"], rows["detection_id"] = frame_id, (frame_id << NUMBER_BITS) + chosen
    rows["cell"] = links.cell[chosen]
    return rows


def _registration_rows(
    frame: FrameStars, placement: Placement, alignment: Alignment
) -> tuple[NDArray, NDArray]:
    link, by = alignment.link, alignment.by
    rows = np.zeros(len(link.first), MATCH)
    off = frame.xy[link.second] - link(by.xy[link.first])
    rows["reference_star_id"] = rows["gaia_source_id"] = -1
    rows["reference_detection_id"] = by.detection_id[link.first]
    rows["dx"], rows["dy"], rows["used"] = off[:, 0], off[:, 1], link.used
    rows["dra"] = rows["ddec"] = np.nan
    if placement.wcs is not None:
        move = placement.wcs.linear @ off.T * 3600
        rows["dra"], rows["ddec"] = move[0], move[1]
    return rows, frame.rows[link.second]
