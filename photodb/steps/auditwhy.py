"""Why two telescopes have no source in common, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from photodb.core import sky

from .auditplaces import SidePlaces
from .auditread import Sides

MAX_LOOKED_AT = 20_000
NEAR_ARCSEC = 60.0
"""Sources of two telescopes that are so near to each other may well be the same stars, not associated."""


def nothing_in_common(sides: Sides, places: SidePlaces, pairs: list[tuple[int, int]], by: str) -> str:
    """Tell what each side has, how the sides of the nearest pair lie to each other, and what to do next."""
    told = [f"no two {by}s have a source in common"]
    n_frames = np.bincount(sides.of_frame, minlength=len(sides.names))
    n_sources = (places.n > 0).sum(axis=1)
    told.append(
        ", ".join(f"{name}: {f} frames, {s} sources" for name, f, s in zip(sides.names, n_frames, n_sources))
    )
    return "; ".join([*told, _of_nearest(sides, places, pairs)])


def _of_nearest(sides: Sides, places: SidePlaces, pairs: list[tuple[int, int]]) -> str:
    a, b = min(pairs, key=lambda pair: _gap_deg(sides, *pair))
    gap = _gap_deg(sides, a, b)
    names = f"{sides.names[a]} and {sides.names[b]}"
    if not np.isfinite(gap):
        return f"the frames of {names} have no place on the sky; see 'photodb frame list' (column astrometry)"
    if gap > 0:
        return f"the frames of {names} do not overlap: {gap:.2g} deg lie between the nearest of them"
    nearest = _nearest_arcsec(places, a, b)
    if not len(nearest):
        return f"the frames of {names} overlap, and one of them has no source there; see 'photodb frame list'"
    middle = float(np.median(nearest))
    if middle > NEAR_ARCSEC:
        return f"the frames of {names} overlap, but their sources do not: half of them are {middle:.0f} arcsec apart"
    return (
        f"the frames of {names} overlap and their sources were not associated: from one to the nearest of the other "
        f"are {middle:.1f} arcsec (median of {len(nearest)}). If positions are off by so much, load a catalogue "
        "('photodb refcat load') and place the frames anew"
    )


def _gap_deg(sides: Sides, a: int, b: int) -> float:
    """Return the least distance between the frames of two sides; at most 0 where they overlap, inf if unknown."""
    frames = sides.frames[np.isfinite(sides.frames["ra"]) & np.isfinite(sides.frames["radius"])]
    side = sides.of_frame[np.isfinite(sides.frames["ra"]) & np.isfinite(sides.frames["radius"])]
    mine, theirs = (frames[side == s] for s in (a, b))
    if not len(mine) or not len(theirs):
        return float("inf")
    tree = cKDTree(sky.unit_vectors(theirs["ra"], theirs["dec"]))
    chord, row = tree.query(sky.unit_vectors(mine["ra"], mine["dec"]))
    apart = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1)))
    return float((apart - mine["radius"] - theirs["radius"][row]).min())


def _nearest_arcsec(places: SidePlaces, a: int, b: int) -> NDArray[np.float64]:
    """Return the distances from sources of one side to the nearest of the other."""
    mine, theirs = (places.places[places.n[side] > 0] for side in (a, b))
    if not len(mine) or not len(theirs):
        return np.empty(0)
    mine = mine[:: max(1, len(mine) // MAX_LOOKED_AT)]
    tree = cKDTree(sky.unit_vectors(theirs["ra"], theirs["dec"]))
    chord, _ = tree.query(sky.unit_vectors(mine["ra"], mine["dec"]))
    return np.asarray(np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))) * 3600)
