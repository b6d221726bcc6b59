"""Measurements in every kind of photometry that was read, and the magnitudes of one kind a measurement.

The scale of all is that of the frame's main aperture: a kind is brought to it by the frame's aperture correction, or
by a relation that a solution finds (`photodb.core.kinds`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import Flag
from photodb.core.terms import evaluate, scale_pixels
from photodb.storage.measurements import DETECTION, PSF

LIMIT_SIGMA = 3.0
"""Fluxes below this many errors give a limit, not a magnitude."""

ROW = [
    ("cell", "i4"),
    ("frame_id", "i8"),
    ("detection_id", "i8"),
    ("source_id", "i8"),
    ("x", "f4"),
    ("y", "f4"),
]
ROW += [("flags", "i4")]
PICKED = np.dtype([*ROW, ("mag", "f8"), ("mag_err", "f8"), ("mag_limit", "f8"), ("photometry", "i2")])
"""A measurement with the magnitude of one kind, on the scale of the main aperture."""


@dataclass(frozen=True)
class Raw:
    """Every measurement; those that are detections of frames without forced measurements have one magnitude only."""

    rows: NDArray[Any]  # (n,) ROW
    frame: NDArray[np.int64]  # (n,) row of the frames
    x: NDArray[np.float64]  # (n,) scaled to [-1, 1]
    y: NDArray[np.float64]
    kinds: tuple[int, ...]  # of the columns of flux
    flux: NDArray[np.float32]  # (n, n_kinds) e-; NaN for detections
    flux_err: NDArray[np.float32]
    main: NDArray[np.int64]  # (n,) column of the frame's main aperture; -1 for detections
    mag: NDArray[np.float64]  # (n,) of detections; NaN for others
    mag_err: NDArray[np.float64]
    limit_flux: NDArray[np.float64]  # (n,) e-, of detections: error of the flux
    exptime: NDArray[np.float64]  # (n,) s
    corrections: NDArray[np.float64]  # (n_frames, n_kinds) mag, of the frames


def kinds_to_read(frames: NDArray[Any], photometry: str) -> tuple[int, ...]:
    """Return the kinds that a solution needs of frames with forced measurements, the main apertures first."""
    best = sorted({int(b) for b in frames["aperture_best"] if b >= 0})
    most = int(frames["n_apertures"].max(initial=0))
    asked = re.fullmatch(r"aperture:(\d+)", photometry)
    more: list[int] = []
    if photometry == "auto":
        more = [PSF, *(b + step for b in best for step in (-1, 1))]
    elif photometry == "psf":
        more = [PSF]
    elif asked:
        more = [int(asked[1])]
    return tuple(dict.fromkeys(k for k in [*best, *more] if k < most and (k >= 0 or k == PSF)))


def make_raw(
    frames: NDArray[Any],
    detections: NDArray[Any],
    measured: NDArray[Any],
    kinds: tuple[int, ...],
    corrections: NDArray[np.float64],
    source_id: NDArray[np.int64],
) -> Raw:
    """Put detections and forced measurements together; those of none of the sources are left out."""
    detections = detections[np.isin(detections["source_id"], source_id)]
    measured = measured[np.isin(measured["source_id"], source_id)]
    n, m = len(detections), len(measured)
    rows = np.zeros(n + m, ROW)
    for name in rows.dtype.names or ():
        rows[name] = np.concatenate([detections[name], measured[name]])
    frame = np.searchsorted(frames["frame_id"], rows["frame_id"])
    column = np.array([kinds.index(b) if b in kinds else -1 for b in frames["aperture_best"].tolist()])
    x, y = scaled_positions(frames[frame], rows)
    nothing, none = np.full((n, len(kinds)), np.nan, "f4"), np.full(m, np.nan)
    return Raw(
        rows=rows,
        frame=frame,
        x=x,
        y=y,
        kinds=kinds,
        flux=np.concatenate([nothing, measured["flux"]]),
        flux_err=np.concatenate([nothing, measured["flux_err"]]),
        main=np.concatenate([np.full(n, -1), column[frame[n:]]]),
        mag=np.concatenate([detections["mag"], none]),
        mag_err=np.concatenate([detections["mag_err"], none]),
        limit_flux=np.concatenate([detections["flux_err"], none]),
        exptime=frames["exptime"][frame],
        corrections=corrections,
    )


def scaled_positions(
    frames: NDArray[Any], rows: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions scaled to [-1, 1], each on its frame; 0 where the size of the frame is unknown."""
    both = []
    for axis, size in (("x", "nx"), ("y", "ny")):
        scaled = scale_pixels(rows[axis], frames[size])
        both.append(np.where((frames[size] > 0) & np.isfinite(scaled), scaled, 0.0))
    return both[0], both[1]


def magnitudes(raw: Raw, column: NDArray[np.integer]) -> tuple[NDArray[np.float64], ...]:
    """Return flux, its error, instrumental magnitude and its error of one kind a row, (n,) each.

    Parameters
    ----------
    column : (n,) of the kinds; -1 takes the magnitude of the detection, whose flux is NaN.
    """
    every = np.arange(len(raw.rows))
    safe = np.maximum(column, 0)
    if raw.flux.shape[1]:
        flux, error = (a[every, safe].astype(np.float64) for a in (raw.flux, raw.flux_err))
        flux[column < 0] = error[column < 0] = np.nan
    else:
        flux = error = np.full(every.size, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        positive = np.where(flux > 0, flux, np.nan)
        mag = np.where(column < 0, raw.mag, -2.5 * np.log10(positive / raw.exptime))
        mag_err = np.where(column < 0, raw.mag_err, 2.5 / np.log(10) * error / positive)
    return flux, error, mag, mag_err


def pick(raw: Raw, column: NDArray[np.integer], relations: NDArray[np.float64]) -> NDArray[Any]:
    """Return every measurement with the magnitude of its kind, PICKED.

    A measurement without a flux in its kind falls back to the main aperture. A flux that is not positive has no
    magnitude; one below `LIMIT_SIGMA` errors is flagged as a limit.

    Parameters
    ----------
    column : (n,) of the kinds; ignored for detections.
    relations : (n_frames, n_kinds, k) mag, what brings each kind to the scale of the main aperture.
    """
    every = np.arange(len(raw.rows))
    column = np.where(raw.main < 0, -1, column)
    if raw.flux.shape[1]:
        known = np.isfinite(raw.flux[every, np.maximum(column, 0)])
        column = np.where((column >= 0) & ~known, raw.main, column)
    flux, error, mag, mag_err = magnitudes(raw, column)
    with np.errstate(invalid="ignore", divide="ignore"):
        limit_flux = LIMIT_SIGMA * np.where(column < 0, raw.limit_flux, error)
        limit = -2.5 * np.log10(np.where(limit_flux > 0, limit_flux, np.nan) / raw.exptime)
        negative, faint = flux <= 0, flux < LIMIT_SIGMA * error
    term = relation_terms(raw, column, relations)
    picked = np.zeros(len(raw.rows), PICKED)
    for name in raw.rows.dtype.names or ():
        picked[name] = raw.rows[name]
    flags = picked["flags"]
    own = column >= 0
    flags[own] &= ~int(Flag.NEGATIVE)
    flags[negative] |= int(Flag.NEGATIVE)
    flags[faint] |= int(Flag.FAINT)
    picked["mag"], picked["mag_err"], picked["mag_limit"] = mag + term, mag_err, limit + term
    picked["photometry"] = np.array([*raw.kinds, DETECTION])[column]
    return picked


def relation_terms(
    raw: Raw, column: NDArray[np.integer], relations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what brings each measurement to the scale of the main aperture, (n,) mag; 0 for that itself."""
    term = np.zeros(len(raw.rows))
    for c in np.unique(column[column >= 0]):
        mine = np.flatnonzero((column == c) & (column != raw.main))
        term[mine] = evaluate(
            np.ascontiguousarray(relations[:, c]), raw.frame[mine], raw.x[mine], raw.y[mine]
        )
    return term


def constant_relations(raw: Raw) -> NDArray[np.float64]:
    """Return the frames' own aperture corrections as relations, (n_frames, n_kinds, 1) mag."""
    return raw.corrections[:, :, None]
