"""What the archive has of known objects: its sources around places, its frames, its counts of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.storage import bulk

SOURCE = np.dtype(
    [("source_id", "i8"), ("cell", "i4"), ("healpix", "i8"), ("ra", "f8"), ("dec", "f8"), ("error", "f8"),
     ("approximate", "?")]
)  # fmt: skip
"""A source; `error` is the larger of that of its mean position and the scatter of its positions, arcsec on an axis."""

ERROR = """greatest(CASE WHEN s.position_err < 'NaN' THEN s.position_err ELSE 0 END,
                    sqrt((s.ra_scatter ^ 2 + s.dec_scatter ^ 2) / 2))::float8"""
COLUMNS = f"s.source_id, s.cell, s.healpix, s.ra, s.dec, {ERROR}, s.approximate"
IN_RANGES = f"""
SELECT {COLUMNS} FROM unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM source WHERE healpix >= r.lo AND healpix < r.hi OFFSET 0) AS s WHERE s.merged_into < 0
"""
BY_ID = f"SELECT {COLUMNS} FROM source s WHERE s.source_id = ANY(%s::int8[])"
FRAME = np.dtype(
    [("frame_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("radius", "f8"), ("footprint", "f8", (8,))]
)
FRAMES = """
SELECT frame_id, ra, dec, radius, footprint FROM frame WHERE status = 'accepted' AND kind = 'science' AND ra IS NOT NULL
AND dec IS NOT NULL AND radius IS NOT NULL AND array_length(footprint, 1) = 8
AND astrometry NOT IN ('approximate', 'none')
"""
COUNTS = """
SELECT m.source_id, sum(m.n_obs), string_agg(b.name, ' ' ORDER BY b.name) FROM source_mag m JOIN band b USING (band_id)
WHERE m.solution_id = :solution AND m.source_id = ANY(CAST(:ids AS bigint[])) AND m.n_obs > 0 GROUP BY 1
"""


def sources_in(conn: Connection, lo: NDArray[np.int64], hi: NDArray[np.int64]) -> NDArray:
    """Return the sources, `SOURCE`, in ranges [lo, hi) of order-29 HEALPix keys; merged ones are left out."""
    return bulk.copy_out(conn, IN_RANGES, SOURCE, (lo.tolist(), hi.tolist()))


def sources_by_id(conn: Connection, source_ids: NDArray[np.int64]) -> NDArray:
    """Return sources, `SOURCE`, by their ids, ascending."""
    found = bulk.copy_out(conn, BY_ID, SOURCE, (np.unique(source_ids).tolist(),))
    return found[np.argsort(found["source_id"])]


def placed_frames(conn: Connection) -> NDArray:
    """Return the accepted frames, `FRAME`, whose place on the sky is known."""
    return bulk.copy_out(conn, FRAMES, FRAME)


def counts_of(
    conn: Connection, solution_id: int, source_ids: NDArray[np.int64]
) -> dict[int, tuple[int, str]]:
    """Return the number of points of sources in a solution and their bands, of those that have any."""
    values = {"solution": solution_id, "ids": np.unique(source_ids).tolist()}
    return {int(row[0]): (int(row[1]), str(row[2])) for row in conn.execute(text(COUNTS), values)}
