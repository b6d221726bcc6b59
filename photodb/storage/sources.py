"""The table `source`: those around a frame, new ones, and the means of those seen again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core import sky
from photodb.core.positions import MEAN
from photodb.storage import bulk
from photodb.storage.bulkupdate import fetch_columns, update_rows
from photodb.storage.tables import CELL_ORDER, SERIAL_BITS

SOURCE = np.dtype(
    [
        ("cell", "i4"),
        ("source_id", "i8"),
        ("healpix", "i8"),
        *MEAN.descr,
        ("reach", "f4"),
        ("mag", "f4"),
        ("flags", "i4"),
    ]
)
"""What association needs to know of a source; fields named as the columns."""

KEY_SLACK_ARCSEC = 1.0
"""`healpix` is that of a place this near to the mean position: a key that stays costs no work on the index."""

MOST_DEC = 85.0
"""Nearer to the poles right ascensions set no limit."""

_COLUMNS = ", ".join(f"s.{name}" for name in SOURCE.names or ())
IN_CONE = f"""
SELECT {_COLUMNS}
FROM unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM source WHERE healpix >= r.lo AND healpix < r.hi AND merged_into = -1 OFFSET 0) AS s
WHERE s.approximate = (%s::int8 >= 0) AND %s::int8 IN (-1, s.field_id)
ORDER BY s.source_id
"""
AROUND = IN_CONE.replace(
    "WHERE s.approximate",
    """WHERE s.dec BETWEEN %s AND %s AND s.ra - %s::float8 - 360 * round((s.ra - %s::float8) / 360) BETWEEN %s AND %s
AND s.approximate""",
)


def key_ranges(ra: float, dec: float, radius_deg: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ranges [lo, hi) of `source.healpix` that hold all sources of a cone."""
    return sky.cone_ranges(ra, dec, radius_deg + KEY_SLACK_ARCSEC / 3600)


def sources_in_cone(
    conn: Connection, ra: float, dec: float, radius_deg: float, approximate_field: int = -1
) -> NDArray:
    """Return the sources (rows of `SOURCE`) of a cone whose place is sure, by key.

    With `approximate_field`, those of that field whose place is only approximate instead: the two never mix.
    """
    lo, hi = key_ranges(ra, dec, radius_deg)
    rows = fetch_columns(conn, IN_CONE, SOURCE, (lo, hi, approximate_field, approximate_field))
    return rows[sky.separation_deg(ra, dec, rows["ra"], rows["dec"]) <= radius_deg]


def sources_around(
    conn: Connection,
    ra: NDArray,
    dec: NDArray,
    centre: tuple[float, float, float],
    margin_deg: float,
    field_id: int = -1,
) -> NDArray:  # fmt: skip
    """Return the sources (rows of `SOURCE`) in the box that positions fill, `margin_deg` wider on all sides, by key.

    Parameters
    ----------
    ra, dec : (n,) deg; centre : ra, dec, radius of a circle that holds them, deg; field_id : see `sources_in_cone`.
    """
    good = np.isfinite(ra) & np.isfinite(dec)
    if not good.any():
        return np.empty(0, SOURCE)
    ra0, dec0, radius = centre
    lo, hi = key_ranges(ra0, dec0, radius + margin_deg)
    south, north = float(dec[good].min() - margin_deg), float(dec[good].max() + margin_deg)
    west = east = 180.0
    farthest = max(abs(south), abs(north), abs(dec0) + radius + margin_deg)
    if farthest < MOST_DEC:
        off = (ra[good] - ra0 + 540.0) % 360.0 - 180.0
        wider = margin_deg / np.cos(np.radians(farthest))
        west, east = wider - float(off.min()), float(off.max()) + wider
    box = (south, north, ra0, ra0, -west, east, field_id, field_id)
    return fetch_columns(conn, AROUND, SOURCE, (lo, hi, *box))


PLACED = np.dtype([*SOURCE.descr, ("field_id", "i8"), ("approximate", "?")])
"""A source with the field that founded it, and whether its place is only approximate."""

_PLACED = f"SELECT {_COLUMNS}, s.field_id, s.approximate FROM "
IN_RANGES = f"""
{_PLACED} unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM source WHERE healpix >= r.lo AND healpix < r.hi AND merged_into = -1 OFFSET 0) AS s
ORDER BY s.source_id
"""


def sources_in_ranges(conn: Connection, lo: NDArray, hi: NDArray) -> NDArray:
    """Return the sources (rows of `PLACED`) whose keys lie in ranges [lo, hi), by key."""
    return fetch_columns(conn, IN_RANGES, PLACED, (lo, hi))


def sources_by_id(conn: Connection, source_ids: Sequence[int]) -> NDArray:
    """Return those of some sources (rows of `PLACED`) that are there and not merged into others, by key."""
    query = (
        f"{_PLACED} source s WHERE s.source_id = ANY(%s::int8[]) AND s.merged_into = -1 ORDER BY s.source_id"
    )
    return fetch_columns(conn, query, PLACED, (np.array(source_ids, np.int64),))


def brightest_in_cone(conn: Connection, ra: float, dec: float, radius_deg: float, limit: int) -> NDArray:
    """Return key, place and mean instrumental magnitude of the most often seen sources, brightest first."""
    near = sources_in_cone(conn, ra, dec, radius_deg)
    best = near[np.argsort(-near["n_detections"], kind="stable")][:limit]
    best = best[np.isfinite(best["mag"])]
    rows = np.empty(len(best), [("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("mag", "f4")])
    for name in rows.dtype.names or ():
        rows[name] = best[name]
    return rows[np.lexsort((rows["source_id"], rows["mag"]))]


def frames_of(conn: Connection, source_ids: NDArray[np.int64]) -> list[int]:
    """List the frames on which sources were detected."""
    query = text("SELECT DISTINCT frame_id FROM detection WHERE source_id = ANY(:ids)")
    return list(conn.scalars(query, {"ids": source_ids.tolist()}))


def insert_sources(
    conn: Connection, run_id: int, field_id: int, new: NDArray, approximate: bool
) -> NDArray[np.int64]:
    """Insert sources seen for the first time and return their keys (n,).

    Parameters
    ----------
    new : (n,) structured, the fields of `SOURCE` but its keys.
    """
    n = len(new)
    if not n:
        return np.empty(0, np.int64)
    serial = np.fromiter(
        conn.scalars(text("SELECT nextval('source_serial') FROM generate_series(1, :n)"), {"n": n}),
        np.int64,
        n,
    )
    key = sky.healpix29(new["ra"], new["dec"])
    cell = sky.cell_of(key, CELL_ORDER)
    names = [*SOURCE.descr, ("field_id", "i8"), ("approximate", "?"), ("run_id", "i8")]
    rows = np.zeros(n, np.dtype(names))
    for name in new.dtype.names or ():
        rows[name] = new[name]
    rows["cell"], rows["source_id"], rows["healpix"] = cell, (cell << SERIAL_BITS) | serial, key
    rows["field_id"], rows["approximate"], rows["run_id"] = field_id, approximate, run_id
    bulk.copy_in(conn, "source", rows)
    return rows["source_id"].copy()


def update_sources(conn: Connection, rows: NDArray) -> None:
    """Write sources that were seen again: rows of `SOURCE` with the means as they are now, the key as it was.

    The key follows a mean that has left its neighbourhood.
    """
    rows["healpix"] = kept_keys(rows["healpix"], rows["ra"], rows["dec"])
    update_rows(conn, "source", rows, ("cell", "source_id"))


def kept_keys(key: NDArray[np.int64], ra: NDArray, dec: NDArray) -> NDArray[np.int64]:
    """Return the keys of positions, the old ones where the positions are still within `KEY_SLACK_ARCSEC` of them."""
    away = sky.separation_deg(*sky.key_position(key), ra, dec) > KEY_SLACK_ARCSEC / 3600
    new = key.copy()
    new[away] = sky.healpix29(ra[away], dec[away])
    return new
