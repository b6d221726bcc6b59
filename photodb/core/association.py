"""Which detection of a frame is which source: numbers only.

A detection belongs to the nearest source within a radius that follows what the frame can tell apart and the errors of
both places, one to one, the nearest pair first. What a frame cannot tell apart, it founds one source of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MIN_REACH_ARCSEC = 0.6
REACH_PX = 0.9
REACH_FWHM = 0.55
MOST_REACH_PX = 4.0
"""The reach of a frame: the most of what is sure (arcsec), of a pixel, and of half the width of its stars; but a frame
out of focus places its stars better than by half their width."""
N_SIGMA = 4.0
MOST_SIGMA = 2.0
"""The reach follows the errors of both places, up to this many times the frame's reach."""
SHARPER = 0.9
"""A frame whose reach is less than this share of those before tells a source's magnitude anew."""
MOST_IN_MAG = 20
"""The mean magnitude of a source follows about this many detections."""
BLEND_FWHM = 0.75
BLEND_MAG = 1.75
"""A source that no detection was found of, this near to one and at most this much fainter, is blended with it."""


@dataclass(frozen=True)
class Places:
    """Positions in one tangent plane."""

    xy: NDArray[np.float64]  # (n, 2) arcsec
    sigma: NDArray[np.float64]  # (n,) arcsec an axis
    mag: NDArray[np.float64]  # (n,) mag, instrumental; NaN if unknown
    reach: NDArray[np.float64]  # (n,) arcsec; of a source the least of the frames that saw it


@dataclass(frozen=True)
class Links:
    """What belongs together."""

    source: NDArray[np.intp]  # (n,) row of the known source, -1 if none
    founds: NDArray[np.bool_]  # (n,) founds a source
    blended: NDArray[np.bool_]  # (n,) holds the light of a known source besides its own


def reach_arcsec(scale: float, fwhm_px: float) -> float:
    """Return how far on a frame a detection may lie from its source (arcsec): within it, two stars look like one.

    Parameters
    ----------
    scale : arcsec/px; fwhm_px : px, NaN if unknown.
    """
    by_width = REACH_FWHM * fwhm_px if np.isfinite(fwhm_px) else 0.0
    return float(max(MIN_REACH_ARCSEC, scale * min(max(REACH_PX, by_width), MOST_REACH_PX)))


def sharpest_mag(old: NDArray, n: NDArray, reach: NDArray, mag: NDArray, new_reach: float) -> NDArray:
    """Return sources' mean instrumental magnitudes with one detection more each: of the sharpest frames only.

    They tell neighbours apart, which the sharpest frames see side by side; other cameras have other zero points.

    Parameters
    ----------
    old : (n,) mag, NaN if none; n, reach : (n,) detections and reach (arcsec) before; mag : (n,) mag, NaN if none.
    new_reach : arcsec, of the frame.
    """
    step = 1.0 / np.minimum(n + 1, MOST_IN_MAG)
    sharper = (new_reach < SHARPER * reach) | ~np.isfinite(old)
    same = new_reach <= reach / SHARPER
    mixed = np.where(sharper, mag, np.where(same, old + (mag - old) * step, old))
    return np.where(np.isfinite(mag), mixed, old)


def sharpest_means(mag: NDArray, reach: NDArray, starts: NDArray) -> NDArray[np.float64]:
    """Return the same of all detections of each source at once: plain means, NaN where no magnitude is known.

    Parameters
    ----------
    mag, reach : (n,) mag and arcsec of the detections, grouped by source; starts : (k,) first row of each group.
    """
    count = np.diff(np.r_[starts, len(mag)])
    least = np.repeat(np.minimum.reduceat(reach, starts), count)
    told = np.isfinite(mag) & (reach <= least / SHARPER)
    n = np.add.reduceat(told.astype(float), starts)
    total = np.add.reduceat(np.where(told, mag, 0.0).astype(float), starts)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def link(found: Places, known: Places, real: NDArray, strong: NDArray, fwhm_arcsec: float) -> Links:
    """Link a frame's detections with known sources, and choose those that found new ones.

    Parameters
    ----------
    found : the detections, brightest first; reach : the frame's, the same for all.
    known : the sources, at the frame's time.
    real : (n,) may belong to a source (no cosmic ray); strong : (n,) may found one.
    fwhm_arcsec : width of the frame's stars; NaN if unknown.
    """
    i, j = _pairs(found, known, real)
    source = np.full(len(found.xy), -1, np.intp)
    source[i] = j
    founds = real & strong & (source < 0) & np.isfinite(found.xy).all(axis=1)
    founds &= ~_crowded(found, real, source >= 0, founds)
    return Links(source, founds, _blended(found, known, source, fwhm_arcsec))


def movers(found: NDArray, stars: NDArray, reach: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows of detections and of moving stars that belong together: the nearest within reach, one to one.

    Parameters
    ----------
    found : (n, 2), stars : (m, 2) arcsec, one tangent plane; rows that are not finite match nothing.
    """
    at: list[int] = []
    star: list[int] = []
    for k, place in enumerate(stars):
        away = np.hypot(*(found - place).T)
        away[~np.isfinite(away)] = np.inf
        away[at] = np.inf
        if len(away) and away.min() <= reach:
            at.append(int(np.argmin(away)))
            star.append(k)
    return np.array(at, np.intp), np.array(star, np.intp)


def _pairs(found: Places, known: Places, real: NDArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows of one-to-one pairs, the nearest first, then the nearest of what is left."""
    rows = np.flatnonzero(real & np.isfinite(found.xy).all(axis=1))
    cols = np.flatnonzero(np.isfinite(known.xy).all(axis=1))
    nothing = np.empty(0, np.intp)
    if not len(rows) or not len(cols):
        return nothing, nothing
    far = float(max(found.reach[rows].max() * MOST_SIGMA, known.reach[cols].max()))
    near = cKDTree(found.xy[rows]).sparse_distance_matrix(cKDTree(known.xy[cols]), far, output_type="ndarray")
    i, j, distance = rows[near["i"]], cols[near["j"]], near["v"]
    reach = np.maximum(found.reach[i], known.reach[j])
    error = N_SIGMA * np.hypot(found.sigma[i], known.sigma[j])
    keep = distance <= np.maximum(reach, np.minimum(error, MOST_SIGMA * found.reach[i]))
    i, j, distance = i[keep], j[keep], distance[keep]
    return _nearest_first(i, j, distance, len(found.xy), len(known.xy))


def _nearest_first(
    i: NDArray, j: NDArray, distance: NDArray, n: int, m: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose pairs so that each row occurs once, the nearest first; those without a rival are taken at once."""
    alone = (np.bincount(i, minlength=n)[i] == 1) & (np.bincount(j, minlength=m)[j] == 1)
    chosen = [np.flatnonzero(alone)]
    rest = np.flatnonzero(~alone)
    rest = rest[np.lexsort((j[rest], i[rest], distance[rest]))]
    free_i, free_j = np.ones(n, bool), np.ones(m, bool)
    taken = []
    for k, a, b in zip(rest.tolist(), i[rest].tolist(), j[rest].tolist()):
        if free_i[a] and free_j[b]:
            free_i[a] = free_j[b] = False
            taken.append(k)
    rows = np.concatenate([*chosen, np.array(taken, np.intp)])
    return i[rows].astype(np.intp), j[rows].astype(np.intp)


def _crowded(found: Places, real: NDArray, linked: NDArray, founds: NDArray) -> NDArray[np.bool_]:
    """Mark founders within the reach of a detection that has a source or is brighter: the same star, seen twice."""
    marked = np.zeros(len(found.xy), bool)
    rows = np.flatnonzero(real & np.isfinite(found.xy).all(axis=1) & (linked | founds))
    if len(rows) < 2:
        return marked
    pairs = cKDTree(found.xy[rows]).query_pairs(float(found.reach.max()), output_type="ndarray")
    a, b = rows[pairs.min(axis=1)], rows[pairs.max(axis=1)]  # a is the brighter
    marked[a[founds[a] & linked[b]]] = True
    order = np.argsort(b, kind="stable")
    for bright, faint in zip(a[order].tolist(), b[order].tolist()):
        if founds[faint] and not marked[bright]:
            marked[faint] = True
    return marked


def _blended(found: Places, known: Places, source: NDArray, fwhm_arcsec: float) -> NDArray[np.bool_]:
    """Mark linked detections near which another known source, not much fainter, was not seen by itself."""
    blended = np.zeros(len(found.xy), bool)
    rows = np.flatnonzero(source >= 0)
    seen = np.zeros(len(known.xy), bool)
    seen[source[rows]] = True
    missed = np.flatnonzero(~seen & np.isfinite(known.xy).all(axis=1) & np.isfinite(known.mag))
    if not (len(rows) and len(missed) and np.isfinite(fwhm_arcsec)):
        return blended
    near = cKDTree(found.xy[rows]).sparse_distance_matrix(
        cKDTree(known.xy[missed]), BLEND_FWHM * fwhm_arcsec, output_type="ndarray"
    )
    at, other = rows[near["i"]], missed[near["j"]]
    bright = known.mag[other] < known.mag[source[at]] + BLEND_MAG
    blended[at[bright]] = True
    return blended
