"""The table `source`: those around a frame, new ones, and running means of those seen again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core import sky
from photodb.storage import bulk
from photodb.storage.tables import CELL_ORDER, SERIAL_BITS

SOURCE = np.dtype(
    [
        ("cell", "i4"),
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("ra_scatter", "f4"),
        ("dec_scatter", "f4"),
        ("n_detections", "i4"),
        ("first_mjd", "f8"),
        ("last_mjd", "f8"),
    ]
)
"""What association needs to know of a source."""

IN_CONE = """
SELECT s.cell, s.source_id, s.ra, s.dec, s.ra_scatter, s.dec_scatter, s.n_detections, s.first_mjd, s.last_mjd
FROM unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM source WHERE healpix >= r.lo AND healpix < r.hi AND merged_into = -1 OFFSET 0) AS s
WHERE s.approximate = (%s >= 0) AND %s IN (-1, s.field_id)
ORDER BY s.source_id
"""


def sources_in_cone(
    conn: Connection, ra: float, dec: float, radius_deg: float, approximate_field: int = -1
) -> NDArray:
    """Return the sources (rows of `SOURCE`) of a cone whose place is sure, by key.

    With `approximate_field`, those of that field whose place is only approximate instead: the two never mix.
    """
    lo, hi = sky.cone_ranges(ra, dec, radius_deg)
    chosen = (lo.tolist(), hi.tolist(), approximate_field, approximate_field)
    rows = bulk.copy_out(conn, IN_CONE, SOURCE, chosen)
    return rows[sky.separation_deg(ra, dec, rows["ra"], rows["dec"]) <= radius_deg]


def brightest_in_cone(conn: Connection, ra: float, dec: float, radius_deg: float, limit: int) -> NDArray:
    """Return key, place and mean instrumental magnitude of the most often seen sources, brightest first."""
    near = sources_in_cone(conn, ra, dec, radius_deg)
    best = near[np.argsort(-near["n_detections"], kind="stable")][:limit]
    dtype = [("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("mag", "f4")]
    query = """
        SELECT s.source_id, s.ra, s.dec, avg(d.mag) FROM source s JOIN detection d ON d.source_id = s.source_id
        WHERE s.source_id = ANY(%s) AND d.mag <> 'NaN' GROUP BY s.cell, s.source_id, s.ra, s.dec ORDER BY 4, 1
        """
    return bulk.copy_out(conn, query, dtype, (best["source_id"].tolist(),))


def insert_sources(
    conn: Connection, run_id: int, field_id: int, ra: NDArray, dec: NDArray, mjd: float, approximate: bool
) -> NDArray[np.int64]:
    """Insert sources seen for the first time and return their keys (n,).

    Parameters
    ----------
    ra, dec : (n,) deg, finite.
    """
    n = len(ra)
    if not n:
        return np.empty(0, np.int64)
    serial = np.fromiter(
        conn.scalars(text("SELECT nextval('source_serial') FROM generate_series(1, :n)"), {"n": n}),
        np.int64,
        n,
    )
    key = sky.healpix29(ra, dec)
    cell = sky.cell_of(key, CELL_ORDER)
    names = [*SOURCE.descr, ("healpix", "i8"), ("field_id", "i8"), ("approximate", "?"), ("run_id", "i8")]
    rows = np.zeros(n, np.dtype(names))
    rows["cell"], rows["source_id"], rows["healpix"] = cell, (cell << SERIAL_BITS) | serial, key
    rows["ra"], rows["dec"], rows["n_detections"] = sky.wrap(ra), dec, 1
    rows["first_mjd"] = rows["last_mjd"] = mjd
    rows["field_id"], rows["approximate"], rows["run_id"] = field_id, approximate, run_id
    bulk.copy_in(conn, "source", rows)
    return rows["source_id"].copy()


def add_detections(conn: Connection, old: NDArray, ra: NDArray, dec: NDArray, mjd: float) -> None:
    """Move the running means of sources by one more position each.

    Parameters
    ----------
    old : (n,) rows of `SOURCE` as they stand; ra, dec : (n,) deg, the new positions.
    """
    if not len(old):
        return
    n = old["n_detections"] + 1.0
    cos_dec = np.maximum(np.cos(np.radians(old["dec"])), 1e-9)
    step_ra, step_dec = (np.asarray(ra) - old["ra"] + 180) % 360 - 180, np.asarray(dec) - old["dec"]
    new_ra, new_dec = sky.wrap(old["ra"] + step_ra / n), np.clip(old["dec"] + step_dec / n, -90, 90)

    def scatter(before: NDArray, step: NDArray) -> NDArray:
        return np.sqrt((before.astype(float) ** 2 * (n - 1) + (step * 3600) ** 2 * (n - 1) / n) / n)

    columns = [
        old["cell"], old["source_id"], sky.healpix29(new_ra, new_dec), new_ra, new_dec,
        scatter(old["ra_scatter"], step_ra * cos_dec), scatter(old["dec_scatter"], step_dec),
    ]  # fmt: skip
    statement = text(
        """
        UPDATE source s SET healpix = u.healpix, ra = u.ra, dec = u.dec, ra_scatter = u.ra_scatter,
          dec_scatter = u.dec_scatter, n_detections = s.n_detections + 1,
          first_mjd = least(s.first_mjd, :mjd), last_mjd = greatest(s.last_mjd, :mjd)
        FROM unnest(CAST(:c AS int4[]), CAST(:i AS int8[]), CAST(:h AS int8[]), CAST(:ra AS float8[]),
          CAST(:dec AS float8[]), CAST(:sr AS float4[]), CAST(:sd AS float4[]))
          AS u(cell, source_id, healpix, ra, dec, ra_scatter, dec_scatter)
        WHERE s.cell = u.cell AND s.source_id = u.source_id
        """
    )
    names = ("c", "i", "h", "ra", "dec", "sr", "sd")
    conn.execute(statement, {"mjd": mjd, **{k: _literal(v) for k, v in zip(names, columns)}})


def _literal(values: NDArray) -> str:
    """Write numbers as a PostgreSQL array literal: far quicker than adapting a list item by item."""
    return "{" + ",".join(map(repr, values.tolist())) + "}"
