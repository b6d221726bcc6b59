"""Colours of sources: from the archive's own bands, or from a reference catalogue."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.bands import band_order
from photodb.core.match import mutual_nearest
from photodb.errors import NothingMatched
from photodb.storage import audits, refcats
from photodb.storage.engine import Connection

MATCH_ARCSEC = 2.0
"""How far a reference star may lie from the source."""

UNKNOWN_ERROR = 0.02
"""Error, mag, of a catalogue's magnitude that comes without one."""


@dataclass(frozen=True)
class Colours:
    """One colour of many sources."""

    name: str  # 'B-V'
    source_id: NDArray[np.int64]  # ascending
    colour: NDArray[np.float64]  # (n, 2) mag: colour and its error

    def of(self, source_id: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return colour and error of sources, (n, 2); NaN where unknown."""
        found = np.full((len(source_id), 2), np.nan)
        if len(self.source_id):
            row = np.minimum(np.searchsorted(self.source_id, source_id), len(self.source_id) - 1)
            same = self.source_id[row] == source_id
            found[same] = self.colour[row[same]]
        return found


NONE = Colours("", np.empty(0, np.int64), np.empty((0, 2)))


def own_colours(mags: NDArray, band_names: dict[int, str], order: list[str], band: str) -> Colours:
    """Return the colour of a band and its best neighbour, blue minus red, from mean magnitudes of a solution.

    Parameters
    ----------
    mags : audits.SOURCE_MAG_DTYPE
    order : names of the bands, blue to red
    band : name; its colour is with the band that most sources have too, the redder one of equals
    """
    good = mags[np.isfinite(mags["mag"]) & np.isfinite(mags["mag_err"])]
    numbers = {name: number for number, name in band_names.items()}
    mine = good[good["band_id"] == numbers[band]]
    best = NONE
    for other in (name for name in order if name != band):
        theirs = good[good["band_id"] == numbers[other]]
        ids, i, j = np.intersect1d(mine["source_id"], theirs["source_id"], True, return_indices=True)
        if len(ids) and len(ids) >= len(best.source_id):
            sign = 1 if order.index(band) < order.index(other) else -1
            name = f"{band}-{other}" if sign > 0 else f"{other}-{band}"
            value = sign * (mine["mag"][i] - theirs["mag"][j])
            error = np.hypot(mine["mag_err"][i], theirs["mag_err"][j])
            best = Colours(name, ids, np.column_stack([value, error]))
    return best


def catalogue_colours(conn: Connection, places: NDArray, epoch: float, name: str | None) -> Colours:
    """Return the colour of the sources in the two bands of a reference catalogue that most of them have.

    The catalogue of that name, else the one of highest priority with two bands that knows any of the sources.

    Raises
    ------
    NothingMatched : no catalogue of that name, or it has fewer than two bands.
    """
    rows = {row["name"]: row for row in refcats.list_catalogues(conn)}
    if name is not None and (name not in rows or len(rows[name]["bands"]) < 2):
        what = (
            f"has the bands {', '.join(rows[name]['bands']) or 'none'}" if name in rows else "is not loaded"
        )
        raise NothingMatched(
            f"reference catalogue {name} {what}; a colour needs two bands ('photodb refcat list')"
        )
    for catalogue in refcats.by_priority(conn):
        bands = list(rows[catalogue.name]["bands"])
        if len(bands) < 2 or name not in (None, catalogue.name):
            continue
        found = _matched(conn, catalogue, bands, places, epoch)
        if len(found.source_id):
            return found
    return NONE


def _matched(
    conn: Connection, catalogue: refcats.Catalogue, bands: list[str], places: NDArray, epoch: float
) -> Colours:
    """Return the colour of the sources that the catalogue knows."""
    parts = [
        _field(conn, catalogue, bands, places[places["field_id"] == f], epoch)
        for f in np.unique(places["field_id"])
    ]
    if not parts:
        return NONE
    ids, mag, error = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    ranked = [bands.index(name) for name in band_order(bands)]
    known = np.isfinite(mag)
    # the first of equals is the bluest
    blue, red = max(
        itertools.combinations(ranked, 2), key=lambda two: int(known[:, list(two)].all(axis=1).sum())
    )
    both = known[:, blue] & known[:, red]
    rank = np.flatnonzero(both)[np.argsort(ids[both])]
    values = np.column_stack(
        [mag[rank, blue] - mag[rank, red], np.hypot(error[rank, blue], error[rank, red])]
    )
    return Colours(f"{bands[blue]}-{bands[red]}", ids[rank], values)


def _field(
    conn: Connection, catalogue: refcats.Catalogue, bands: list[str], here: NDArray, epoch: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Return source, magnitudes and errors (n, k) of the sources of a field that the catalogue knows."""
    vectors = sky.unit_vectors(here["ra"], here["dec"])
    x, y, z = vectors.mean(axis=0)
    ra, dec = float(np.degrees(np.arctan2(y, x))) % 360, float(np.degrees(np.arctan2(z, np.hypot(x, y))))
    radius = float(sky.separation_deg(ra, dec, here["ra"], here["dec"]).max()) + MATCH_ARCSEC / 3600
    stars = audits.reference_mags(conn, catalogue, len(bands), ra, dec, min(radius, 180.0), epoch)
    near = float(np.radians(MATCH_ARCSEC / 3600))
    i, j = mutual_nearest(vectors, sky.unit_vectors(stars["ra"], stars["dec"]), near)
    error = np.nan_to_num(stars["mag_err"][j].astype(float), nan=UNKNOWN_ERROR)
    return here["source_id"][i], stars["mag"][j].astype(float), error
