"""Which frames have a place on masked pixels: bad ones of their masters, parts left out, saturated stars beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from photodb.images.masterfile import read_mask
from photodb.images.quality import Areas
from photodb.storage import coverage, masters
from photodb.storage.engine import Connection
from photodb.storage.lightcurves import sources_in_cone

Columns = Mapping[str, NDArray]

ARCSEC = 3600.0
MOST_NEIGHBOURS = 200
BAD_PIXEL_REACH = 0.5
"""px, beyond the aperture: as for the flag BAD_PIXEL of a measurement."""


def left_out(conn: Connection, frames: Columns, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """Tell on which frames (n,) a place lies in a part that their run of ingest left out (`--mask`)."""
    out = np.zeros(len(x), bool)
    masks = coverage.masks_of_runs(conn, np.unique(frames["run_id"]).tolist())
    for run_id, boxes in masks.items():
        rows = np.flatnonzero(frames["run_id"] == run_id)
        areas = Areas(masks=tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in boxes))
        out[rows] = areas.inside_masks(x[rows], y[rows])
    return out


def near_saturated(
    conn: Connection, ra: float, dec: float, frames: Columns, x: NDArray, y: NDArray
) -> NDArray[np.bool_]:
    """Tell on which frames (n,) a saturated star lies within the aperture and a FWHM of a place."""
    reach = np.nan_to_num(frames["aperture"]) + np.nan_to_num(frames["fwhm"])
    return _beside(conn, (ra, dec), frames, (x, y), reach, coverage.saturated_of)


def near_star(
    conn: Connection, ra: float, dec: float, frames: Columns, x: NDArray, y: NDArray
) -> NDArray[np.bool_]:
    """Tell on which frames (n,) a star was detected within a FWHM of a place: in its light no faint one is seen."""
    return _beside(conn, (ra, dec), frames, (x, y), np.nan_to_num(frames["fwhm"]), coverage.spots_of)


def _beside(
    conn: Connection,
    place: tuple[float, float],
    frames: Columns,
    pixels: tuple[NDArray, NDArray],
    reach: NDArray,
    read: Callable[[Connection, NDArray], NDArray],
) -> NDArray[np.bool_]:
    """Tell on which frames (n,) something that `read` gives of the sources around lies within a reach, px."""
    x, y = pixels
    out = np.zeros(len(x), bool)
    widest = float(np.max(reach * np.nan_to_num(frames["pixel_scale"]), initial=0.0)) / ARCSEC
    if not widest:
        return out
    sources = sources_in_cone(conn, *place, widest)[:MOST_NEIGHBOURS]
    if not len(sources):
        return out
    stars = read(conn, sources)
    row = {int(f): i for i, f in enumerate(frames["frame_id"])}
    for star in stars[np.isin(stars["frame_id"], frames["frame_id"])]:
        i = row[int(star["frame_id"])]
        out[i] |= bool(np.hypot(star["x"] - x[i], star["y"] - y[i]) <= reach[i])
    return out


def bad_pixels(conn: Connection, frames: Columns, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """Tell on which frames (n,) a master masks pixels within the aperture around a place.

    Of each master only the mask is read, once.

    Raises
    ------
    FrameError : the file of a master is damaged.
    """
    out = np.zeros(len(x), bool)
    used = coverage.masters_with_bad_pixels(conn, frames["frame_id"])
    rows = {int(f): i for i, f in enumerate(frames["frame_id"])}
    for master_id in np.unique(used["master_id"]).tolist():
        mask = _mask(conn, master_id)
        for frame_id in used["frame_id"][used["master_id"] == master_id].tolist():
            i = rows[frame_id]
            radius = (frames["aperture"][i] if np.isfinite(frames["aperture"][i]) else 0.0) + BAD_PIXEL_REACH
            out[i] |= _any_within(mask, x[i], y[i], radius, int(frames["nx"][i]))
    return out


def _mask(conn: Connection, master_id: int) -> NDArray[np.bool_]:
    length = masters.content_length(conn, master_id)
    return read_mask(lambda start, stop: masters.content_part(conn, master_id, start, stop), length)


def _any_within(mask: NDArray[np.bool_], x: float, y: float, radius: float, nx: int) -> bool:
    """Tell whether pixels of a mask lie within a radius of a place; of a mosaic, of which a channel is nx wide."""
    step = max(round(mask.shape[1] / nx), 1)
    x, y, radius = step * x + (step - 1) / 2, step * y + (step - 1) / 2, step * radius
    x0, y0 = max(int(np.floor(x - radius)), 0), max(int(np.floor(y - radius)), 0)
    ys, xs = np.nonzero(mask[y0 : int(np.ceil(y + radius)) + 1, x0 : int(np.ceil(x + radius)) + 1])
    return bool((np.hypot(xs + x0 - x, ys + y0 - y) <= radius).any())
