"""The means of sources made anew from their detections, where some of these went or changed hands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core import sky
from photodb.core.association import reach_arcsec, sharpest_means
from photodb.core.flags import Flag
from photodb.core.positions import CATALOGUE_PM_ERR, MEAN, grouped_means, position_sigma
from photodb.storage import bulk
from photodb.storage.bulkupdate import update_rows
from photodb.storage.sources import SOURCE

_DETECTIONS = """
SELECT d.cell, d.source_id, d.ra, d.dec, d.x_err, d.y_err, d.mag, d.flags, f.mjd, coalesce(f.pixel_scale, 1),
       coalesce(f.fwhm, 'NaN')
FROM detection d JOIN {table} t USING (source_id) JOIN frame f USING (frame_id)
ORDER BY d.source_id, f.mjd, d.detection_id
"""
_DETECTION = np.dtype(
    [
        ("cell", "i4"), ("source_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("x_err", "f4"), ("y_err", "f4"),
        ("mag", "f4"), ("flags", "i4"), ("mjd", "f8"), ("scale", "f4"), ("fwhm", "f4"),
    ]
)  # fmt: skip


def renew_touched(conn: Connection, table: str = "touched") -> int:
    """Delete the sources of a table that are left without detections, renew the others; return how many went.

    Those that were merged into others stay, for their names lead there, unless all that they lead to went. Proper
    motions of a catalogue stay too.

    Parameters
    ----------
    table : a (temporary) table with the columns cell and source_id.
    """
    deleted = conn.execute(
        text(
            f"""DELETE FROM source s USING {table} t WHERE s.cell = t.cell AND s.source_id = t.source_id
                AND s.merged_into < 0 AND NOT EXISTS (SELECT FROM detection d WHERE d.source_id = s.source_id)"""
        )
    ).rowcount
    _renew(conn, table)
    return deleted + (_settle_orphans(conn) if deleted else 0)


def _settle_orphans(conn: Connection) -> int:
    """Delete sources that were merged into one that is gone; those that kept detections live again.

    So it comes where two runs at once saw a star, one merged what both founded, and the other is taken back.
    """
    orphan = "merged_into >= 0 AND NOT EXISTS (SELECT FROM source k WHERE k.source_id = s.merged_into)"
    seen = "EXISTS (SELECT FROM detection d WHERE d.source_id = s.source_id)"
    revive = f"UPDATE source s SET merged_into = -1 WHERE {orphan} AND {seen} RETURNING source_id"
    deleted = 0
    while True:
        renew_sources(conn, list(conn.scalars(text(revive))))
        gone = conn.execute(text(f"DELETE FROM source s WHERE {orphan} AND NOT {seen}")).rowcount
        deleted += gone
        if not gone:
            return deleted


def renew_sources(conn: Connection, source_ids: Sequence[int]) -> None:
    """Make counts, times and mean positions of sources anew from their detections."""
    if source_ids:
        _with_table(conn, "changed_source", source_ids)
        _renew(conn, "changed_source")
        conn.execute(text("DROP TABLE changed_source"))


def renew_or_delete(conn: Connection, source_ids: Sequence[int]) -> int:
    """Do what `renew_touched` does, for some sources by their keys."""
    _with_table(conn, "touched", source_ids)
    deleted = renew_touched(conn)
    conn.execute(text("DROP TABLE touched"))
    return deleted


def _with_table(conn: Connection, name: str, source_ids: Sequence[int]) -> None:
    """Make a temporary table of cells and keys of those of some sources that are there."""
    rows = "SELECT cell, source_id FROM source WHERE source_id = ANY(CAST(:ids AS bigint[]))"
    given = {"ids": [int(i) for i in source_ids]}
    conn.execute(text(f"CREATE TEMP TABLE {name} ON COMMIT DROP AS {rows}"), given)


def _renew(conn: Connection, table: str) -> None:
    rows = bulk.copy_out(conn, _DETECTIONS.format(table=table), _DETECTION)
    rows = rows[np.isfinite(rows["ra"]) & np.isfinite(rows["dec"])]
    if len(rows):
        new = _renewed(rows)
        _keep_catalogue_motion(conn, new, table)
        update_rows(conn, "source", new, ("cell", "source_id"))


def _renewed(rows: NDArray) -> NDArray:
    """Return the rows of `SOURCE` that detections give; these are grouped by source."""
    starts = np.flatnonzero(np.r_[True, rows["source_id"][1:] != rows["source_id"][:-1]])
    sigma = position_sigma(rows["x_err"], rows["y_err"], rows["scale"])
    means = grouped_means(rows["source_id"], rows["ra"], rows["dec"], sigma, rows["mjd"])
    new = np.zeros(len(starts), SOURCE)
    for name in MEAN.names or ():
        new[name] = means[name]
    new["cell"], new["source_id"] = rows["cell"][starts], rows["source_id"][starts]
    new["healpix"] = sky.healpix29(new["ra"], new["dec"])
    new["flags"] = np.bitwise_or.reduceat(rows["flags"], starts) & Flag.BLEND
    pairs, which = np.unique(np.stack([rows["scale"], rows["fwhm"]], 1), axis=0, return_inverse=True)
    reach = np.array([reach_arcsec(*pair) for pair in pairs.tolist()])[which.ravel()]
    new["reach"] = np.minimum.reduceat(reach, starts)
    new["mag"] = sharpest_means(rows["mag"], reach, starts)
    return new


def _keep_catalogue_motion(conn: Connection, new: NDArray, table: str) -> None:
    """Put back the proper motions that a catalogue gave."""
    dtype = [("source_id", "i8"), ("pm_ra", "f4"), ("pm_dec", "f4")]
    query = f"""SELECT s.source_id, s.pm_ra, s.pm_dec FROM source s JOIN {table} t USING (cell, source_id)
                WHERE s.pm_err = {CATALOGUE_PM_ERR} ORDER BY 1"""
    kept = bulk.copy_out(conn, query, dtype)
    _, here, there = np.intersect1d(new["source_id"], kept["source_id"], return_indices=True)
    new["pm_err"][here] = CATALOGUE_PM_ERR
    for name in ("pm_ra", "pm_dec"):
        new[name][here] = kept[name][there]
