"""Colours of sources: from the archive's own bands, or from a reference catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.match import mutual_nearest
from photodb.errors import NothingMatched
from photodb.storage import audits, refcats
from photodb.storage.engine import Connection

MATCH_ARCSEC = 2.0
"""How far a reference star may lie from the source."""


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


def catalogue_colours(
    conn: Connection, places: NDArray, epoch: float, order: list[str], name: str | None
) -> Colours:
    """Return the first two bands of a reference catalogue as a colour of the sources.

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
        found = _matched(conn, catalogue, bands, places, epoch, order)
        if len(found.source_id):
            return found
    return NONE


def _matched(
    conn: Connection,
    catalogue: refcats.Catalogue,
    bands: list[str],
    places: NDArray,
    epoch: float,
    order: list[str],
) -> Colours:
    ranked = sorted(
        bands, key=lambda name: (order.index(name) if name in order else len(order), bands.index(name))
    )
    blue, red = (bands.index(name) for name in ranked[:2])
    parts = []
    for field_id in np.unique(places["field_id"]):
        here = places[places["field_id"] == field_id]
        vectors = sky.unit_vectors(here["ra"], here["dec"])
        x, y, z = vectors.mean(axis=0)
        ra, dec = float(np.degrees(np.arctan2(y, x))) % 360, float(np.degrees(np.arctan2(z, np.hypot(x, y))))
        radius = float(sky.separation_deg(ra, dec, here["ra"], here["dec"]).max()) + MATCH_ARCSEC / 3600
        stars = audits.reference_mags(conn, catalogue, len(bands), ra, dec, min(radius, 180.0), epoch)
        i, j = mutual_nearest(
            vectors, sky.unit_vectors(stars["ra"], stars["dec"]), float(np.radians(MATCH_ARCSEC / 3600))
        )
        colour = stars["mag"][j, blue].astype(float) - stars["mag"][j, red]
        error = np.hypot(*np.nan_to_num(stars["mag_err"][j][:, [blue, red]], nan=0.02).T.astype(float))
        known = np.isfinite(colour)
        parts.append((here["source_id"][i][known], np.column_stack([colour, error])[known]))
    ids = np.concatenate([p[0] for p in parts]) if parts else NONE.source_id
    values = np.concatenate([p[1] for p in parts]) if parts else NONE.colour
    rank = np.argsort(ids)
    return Colours(f"{bands[blue]}-{bands[red]}", ids[rank], values[rank])
