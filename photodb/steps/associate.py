"""Associate a frame's detections with the sources of the archive; what is new becomes a source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import association
from photodb.core.association import Places, reach_arcsec
from photodb.core.flags import Flag
from photodb.core.positions import (
    CATALOGUE_PM_ERR,
    MEAN,
    YEAR,
    add_detection,
    at_epoch,
    error_at,
    first_means,
)
from photodb.core.sky import project
from photodb.storage import refcats, sources
from photodb.storage.engine import Connection
from photodb.storage.sources import SOURCE
from photodb.storage.tables import SERIAL_BITS

MIN_NEW_SN = 5.0
"""A detection below this signal to noise in the best aperture joins a source but founds none."""
SEARCH_ARCSEC = 30.0
"""Sources are fetched this far around a frame, beyond its reach: what another camera saw, or what has moved."""


@dataclass(frozen=True)
class Sight:
    """A frame as association sees it."""

    field_id: int
    approximate: bool
    mjd: float  # d
    centre: tuple[float, float, float]  # ra, dec, radius, deg
    scale: float  # arcsec/px
    fwhm: float  # px; NaN if unknown

    @property
    def reach(self) -> float:
        """How far a detection may lie from its source, arcsec."""
        return reach_arcsec(self.scale, self.fwhm)


@dataclass(frozen=True)
class Seen:
    """A frame's detections, brightest first."""

    ra: NDArray[np.float64]  # (n,) deg
    dec: NDArray[np.float64]  # (n,) deg
    sigma: NDArray[np.float64]  # (n,) arcsec an axis
    mag: NDArray[np.float64]  # (n,) mag, instrumental; NaN if none
    significance: NDArray[np.float64]  # (n,) signal to noise in the best aperture
    flags: NDArray[np.int32]  # (n,)


@dataclass(frozen=True)
class Association:
    """Which source each detection belongs to."""

    source_id: NDArray[np.int64]  # (n,) -1 where none
    cell: NDArray[np.int64]  # (n,) -1 where none
    flags: NDArray[np.int32]  # (n,)
    n_new: int


def associate(conn: Connection, run_id: int, sight: Sight, seen: Seen) -> Association:
    """Link detections with sources one to one; write new sources and the moved means.

    The caller holds the locks of the cells that the frame covers, taken before this reads.
    """
    known = sources.sources_around(
        conn,
        seen.ra,
        seen.dec,
        sight.centre,
        search_deg(sight.reach),
        sight.field_id if sight.approximate else -1,
    )
    real = seen.flags & Flag.COSMIC_RAY == 0
    places = _seen_places(seen, sight)
    links = association.link(
        places, _known_places(known, sight), real, seen.significance >= MIN_NEW_SN,
        sight.fwhm * sight.scale,
    )  # fmt: skip
    motion = _motions(conn, sight, places.xy)
    source_id = np.full(len(seen.ra), -1, np.int64)
    flags = seen.flags | np.where(links.blended, int(Flag.BLEND), 0).astype(np.int32)
    i = np.flatnonzero(links.source >= 0)
    j = links.source[i]
    source_id[i] = known["source_id"][j]
    sources.update_sources(conn, _moved(known[j], seen, i, flags, motion, sight))
    new = _founded(seen, links.founds, flags, motion, sight)
    source_id[links.founds] = sources.insert_sources(conn, run_id, sight.field_id, new, sight.approximate)
    cell = np.where(source_id < 0, -1, source_id >> SERIAL_BITS)
    flags = flags | np.where(source_id < 0, int(Flag.UNMATCHED), 0).astype(np.int32)
    return Association(source_id, cell, flags.astype(np.int32), int(links.founds.sum()))


def search_deg(reach: float) -> float:
    """Return how far beyond its detections a frame of some reach (arcsec) looks for sources, deg."""
    return (association.MOST_SIGMA * reach + SEARCH_ARCSEC) / 3600


def _seen_places(seen: Seen, sight: Sight) -> Places:
    xy = np.column_stack(project(seen.ra, seen.dec, *sight.centre[:2])) * 3600
    return Places(xy, seen.sigma, seen.mag, np.full(len(xy), sight.reach))


def _known_places(known: NDArray, sight: Sight) -> Places:
    xy = np.column_stack(project(*at_epoch(known, sight.mjd), *sight.centre[:2])) * 3600
    return Places(xy, error_at(known, sight.mjd), known["mag"].astype(float), known["reach"].astype(float))


def _moved(old: NDArray, seen: Seen, rows: NDArray, flags: NDArray, motion: NDArray, sight: Sight) -> NDArray:
    """Return sources as they are with one more detection each."""
    old = _with_motion(old, motion[rows])
    means = add_detection(old, seen.ra[rows], seen.dec[rows], seen.sigma[rows], sight.mjd)
    new = old.copy()
    for name in MEAN.names or ():
        new[name] = means[name]
    new["flags"] = old["flags"] | (flags[rows] & Flag.BLEND)
    new["reach"] = np.minimum(old["reach"], sight.reach)
    new["mag"] = association.sharpest_mag(
        old["mag"], old["n_detections"], old["reach"], seen.mag[rows], sight.reach
    )
    return new


def _founded(seen: Seen, founds: NDArray, flags: NDArray, motion: NDArray, sight: Sight) -> NDArray:
    """Return the rows of new sources."""
    means = first_means(seen.ra[founds], seen.dec[founds], seen.sigma[founds], sight.mjd)
    new = np.zeros(len(means), SOURCE)
    for name in MEAN.names or ():
        new[name] = means[name]
    new["reach"], new["mag"], new["flags"] = sight.reach, seen.mag[founds], flags[founds] & Flag.BLEND
    return _with_motion(new, motion[founds])


def _motions(conn: Connection, sight: Sight, xy: NDArray) -> NDArray[np.float32]:
    """Return the proper motion (n, 2), mas/yr, that a catalogue tells of each detection; NaN where none does."""
    motion = np.full((len(xy), 2), np.nan, np.float32)
    stars = refcats.fast_stars(conn, *sight.centre, 2000.0 + (sight.mjd - 51544.5) / YEAR)
    there = np.column_stack(project(stars["ra"], stars["dec"], *sight.centre[:2])) * 3600
    at, star = association.movers(xy, there, sight.reach)
    motion[at, 0], motion[at, 1] = stars["pm_ra"][star], stars["pm_dec"][star]
    return motion


def _with_motion(rows: NDArray, motion: NDArray) -> NDArray:
    """Return sources with the proper motions that a catalogue tells."""
    told = np.isfinite(motion[:, 0])
    new = rows.copy()
    new["pm_ra"][told], new["pm_dec"][told] = motion[told].T
    new["pm_err"][told] = CATALOGUE_PM_ERR
    return new
