"""Associate a frame's detections with the sources of the archive; what is new becomes a source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import Flag
from photodb.core.match import nearest_pairs
from photodb.core.sky import project
from photodb.storage import sources
from photodb.storage.engine import Connection
from photodb.storage.tables import SERIAL_BITS

MIN_RADIUS_ARCSEC = 0.6
RADIUS_PX = 0.9
RADIUS_SIGMA = 3.0
MIN_NEW_SN = 5.0
"""A detection below this signal to noise in the best aperture joins a source but founds none."""


@dataclass(frozen=True)
class Association:
    """Which source each detection belongs to."""

    source_id: NDArray[np.int64]  # (n,) -1 where none
    cell: NDArray[np.int64]  # (n,) -1 where none
    flags: NDArray[np.int32]  # (n,)
    n_new: int


def radius_arcsec(scale: float, rms: float) -> float:
    """Return how far a detection may lie from its source: the frame's astrometric error, or most of a pixel."""
    error = RADIUS_SIGMA * rms if np.isfinite(rms) else 0.0
    return float(max(MIN_RADIUS_ARCSEC, RADIUS_PX * scale, min(error, 2.0 * scale)))


def associate(
    conn: Connection,
    run_id: int,
    field_id: int,
    ra: NDArray,
    dec: NDArray,
    mjd: float,
    flags: NDArray,
    significance: NDArray,
    centre: tuple[float, float, float],
    radius: float,
    approximate: bool,
) -> Association:
    """Match detections with sources one to one, nearest first; write new sources and the moved means.

    The caller holds the locks of the cells that the frame covers, taken before this reads.

    Parameters
    ----------
    ra, dec : (n,) deg; flags : (n,); significance : (n,) signal to noise in the best aperture.
    centre : ra, dec, radius of the frame, deg.
    radius : arcsec.
    """
    reach = centre[2] + 2 * radius / 3600
    known = sources.sources_in_cone(conn, centre[0], centre[1], reach, field_id if approximate else -1)
    here = np.column_stack(project(ra, dec, *centre[:2])) * 3600
    there = np.column_stack(project(known["ra"], known["dec"], *centre[:2])) * 3600
    real = flags & Flag.COSMIC_RAY == 0
    i, j = nearest_pairs(np.where(real[:, None], here, np.nan), there, radius)
    source_id = np.full(len(ra), -1, np.int64)
    source_id[i] = known["source_id"][j]
    sources.add_detections(conn, known[j], ra[i], dec[i], mjd)
    fresh = real & (source_id < 0) & (significance >= MIN_NEW_SN)
    fresh &= ~_too_near(here, i, fresh, radius)
    source_id[fresh] = sources.insert_sources(conn, run_id, field_id, ra[fresh], dec[fresh], mjd, approximate)
    cell = np.where(source_id < 0, -1, source_id >> SERIAL_BITS)
    marked = (flags | np.where(source_id < 0, int(Flag.UNMATCHED), 0)).astype(np.int32)
    return Association(source_id, cell, marked, int(fresh.sum()))


def _too_near(here: NDArray, matched: NDArray, fresh: NDArray, radius: float) -> NDArray[np.bool_]:
    """Mark detections that lie within the radius of one that has a source: the same star twice, or a blend."""
    from scipy.spatial import cKDTree

    near = np.zeros(len(here), bool)
    rows = np.flatnonzero(fresh)
    if len(matched) and len(rows):
        distance, _ = cKDTree(here[matched]).query(here[rows], distance_upper_bound=radius)
        near[rows] = np.isfinite(distance)
    return near
