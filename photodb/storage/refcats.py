"""The tables `reference_catalogue` and `reference_star`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, select, text

from photodb.core import sky
from photodb.core.correction import Correction
from photodb.storage import bulk
from photodb.storage.bulkupdate import fetch_columns
from photodb.storage.tables import reference_catalogue

STAR = np.dtype(
    [("key", "i8"), ("ra", "f8"), ("dec", "f8"), ("pm_ra", "f8"), ("pm_dec", "f8"), ("mag", "f8")]
)
NAN = float("nan")
NO_MAG = 99.0
"""Stands for a star without a magnitude, so that it comes last."""
CORRECTED_DEG = 0.02
"""How far a systematic correction may carry a star into the cone: a minute of arc, and a little."""
IN_CONE = """
SELECT s.reference_star_id, s.ra, s.dec, s.pm_ra, s.pm_dec,
  coalesce((SELECT min(m) FROM unnest(s.mag) AS m WHERE m = m AND m <> 'NaN'), 99)
FROM unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM reference_star WHERE healpix >= r.lo AND healpix < r.hi OFFSET 0) AS s
WHERE s.reference_catalogue_id = %s
"""


@dataclass(frozen=True)
class Catalogue:
    """A reference catalogue of the archive."""

    reference_catalogue_id: int
    name: str
    epoch: float  # yr
    priority: int
    position_error: float = NAN  # arcsec, an axis; NaN if unknown
    correction: Correction = field(default_factory=Correction)
    fastest: float = 0.0  # mas/yr, the largest proper motion among its stars


def by_priority(conn: Connection) -> list[Catalogue]:
    """List the catalogues, highest priority first, then newest."""
    c = reference_catalogue.c
    columns = (
        c.reference_catalogue_id,
        c.name,
        c.epoch,
        c.priority,
        c.position_error,
        c.correction,
        c.fastest,
    )
    rows = conn.execute(select(*columns).order_by(c.priority.desc(), c.reference_catalogue_id.desc()))
    return [
        Catalogue(
            key,
            name,
            epoch,
            priority,
            NAN if error is None else error,
            Correction.from_dict(correction),
            fast,
        )
        for key, name, epoch, priority, error, correction, fast in rows
    ]


def list_catalogues(conn: Connection) -> list[RowMapping]:
    """List the catalogues with all that is known of them."""
    return list(
        conn.execute(select(reference_catalogue).order_by(reference_catalogue.c.priority.desc())).mappings()
    )


def stars_in_cone(
    conn: Connection, catalogue: Catalogue, ra: float, dec: float, radius_deg: float, epoch: float
) -> NDArray:
    """Return the stars (rows of `STAR`) of a cone, brightest first, corrected and moved to a Julian epoch.

    A star counts by where it is at that epoch: the cone is fetched wider by the motion of the fastest star.
    """
    drift_deg = catalogue.fastest * abs(epoch - catalogue.epoch) / 3.6e6
    lo, hi = sky.cone_ranges(ra, dec, min(radius_deg + drift_deg + CORRECTED_DEG, 180.0))
    rows = bulk.copy_out(conn, IN_CONE, STAR, (lo.tolist(), hi.tolist(), catalogue.reference_catalogue_id))
    rows = rows[np.lexsort((rows["key"], rows["mag"]))]
    known = np.where(rows["mag"] < NO_MAG, rows["mag"], np.nan)
    east, north = catalogue.correction.offsets(rows["ra"], rows["dec"], known)
    years = (epoch - catalogue.epoch) / 3.6e6
    rows["ra"], rows["dec"] = sky.deproject(
        rows["pm_ra"] * years + east / 3600, rows["pm_dec"] * years + north / 3600, rows["ra"], rows["dec"]
    )
    return rows[sky.separation_deg(ra, dec, rows["ra"], rows["dec"]) <= radius_deg]


FAST_MAS_YR = 100.0
"""Proper motion from which on a source is given that of the catalogue; an index holds these stars."""
FARTHEST_DEG = 0.15
"""How far a star may have moved since its catalogue's epoch: 10 arcsec a year, 50 years."""

FAST = """
SELECT s.ra, s.dec, s.pm_ra, s.pm_dec, c.epoch
FROM unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM reference_star WHERE healpix >= r.lo AND healpix < r.hi
         AND pm_ra * pm_ra + pm_dec * pm_dec >= 10000 OFFSET 0) AS s
JOIN reference_catalogue c USING (reference_catalogue_id) ORDER BY c.priority DESC, s.reference_star_id
"""
FAST_STAR = np.dtype([("ra", "f8"), ("dec", "f8"), ("pm_ra", "f4"), ("pm_dec", "f4"), ("epoch", "f4")])


def fast_stars(conn: Connection, ra: float, dec: float, radius_deg: float, epoch: float) -> NDArray:
    """Return the stars (rows of `FAST_STAR`) of all catalogues that move by `FAST_MAS_YR` or more, where they are then.

    Those of the catalogue of the highest priority come first. Corrections of catalogues are not applied.
    """
    lo, hi = sky.cone_ranges(ra, dec, radius_deg + FARTHEST_DEG)
    rows = fetch_columns(conn, FAST, FAST_STAR, (lo, hi))
    years = (epoch - rows["epoch"].astype(float)) / 3.6e6
    rows["ra"], rows["dec"] = sky.deproject(
        rows["pm_ra"] * years, rows["pm_dec"] * years, rows["ra"], rows["dec"]
    )
    return rows[sky.separation_deg(ra, dec, rows["ra"], rows["dec"]) <= radius_deg]


def find_catalogue(conn: Connection, name: str) -> RowMapping | None:
    """Return the row of a catalogue, or None."""
    query = select(reference_catalogue).where(reference_catalogue.c.name == name)
    return conn.execute(query).mappings().first()


def insert_catalogue(
    conn: Connection,
    run_id: int,
    name: str,
    path: str,
    data_hash: str,
    epoch: float,
    priority: int,
    bands: list[str],
    stars: NDArray,
    *,
    position_error: float | None = None,
    correction: Mapping[str, Any] | None = None,
) -> int:
    """Insert a catalogue and its stars, and return its key.

    Parameters
    ----------
    stars : structured, (n,): name (text), ra, dec (deg), pm_ra, pm_dec (mas/yr), mag and mag_err (n, k) in the order
        of `bands`.
    position_error : arcsec, an axis; None if unknown.
    correction : as `Correction.to_dict` gives it.
    """
    values = {
        "name": name, "path": path, "data_hash": data_hash, "epoch": epoch, "priority": priority, "bands": bands,
        "run_id": run_id, "correction": correction or {},
    }  # fmt: skip
    key = begin_catalogue(conn, values)
    append_stars(conn, key, stars)
    finish_catalogue(conn, key, len(stars), position_error, fastest(stars))
    return key


def begin_catalogue(conn: Connection, values: Mapping[str, Any]) -> int:
    """Insert the row of a catalogue whose stars are to come, and return its key."""
    made = reference_catalogue.insert().values({"n_stars": 0, **values})
    return int(conn.execute(made.returning(reference_catalogue.c.reference_catalogue_id)).scalar_one())


def fastest(stars: NDArray) -> float:
    """Return the largest proper motion among stars, mas/yr; 0 of none."""
    return float(np.hypot(stars["pm_ra"], stars["pm_dec"]).max(initial=0.0))


def append_stars(conn: Connection, key: int, stars: NDArray) -> None:
    """Add stars, as `insert_catalogue` takes them, to a catalogue."""
    first = conn.execute(
        text(
            "SELECT nextval(pg_get_serial_sequence('reference_star', 'reference_star_id')) FROM generate_series(1, :n)"
        ),
        {"n": len(stars)},
    )
    rows = np.zeros(
        len(stars),
        [("reference_star_id", "i8"), ("reference_catalogue_id", "i8"), ("healpix", "i8"), ("name", "O")]
        + [(n, stars.dtype[n]) for n in ("ra", "dec", "pm_ra", "pm_dec")]
        + [("mag", "O"), ("mag_err", "O")],
    )
    rows["reference_star_id"] = [r[0] for r in first]
    rows["reference_catalogue_id"] = key
    rows["healpix"] = sky.healpix29(stars["ra"], stars["dec"])
    for column in ("name", "ra", "dec", "pm_ra", "pm_dec"):
        rows[column] = stars[column]
    for column in ("mag", "mag_err"):
        rows[column] = np.fromiter((v.tolist() for v in stars[column]), object, len(stars))
    bulk.copy_in(conn, "reference_star", rows)


def finish_catalogue(
    conn: Connection, key: int, n_stars: int, position_error: float | None, fastest_mas: float
) -> None:
    """Write what is known of a catalogue once its stars are in."""
    values = {"n_stars": n_stars, "position_error": position_error, "fastest": fastest_mas}
    conn.execute(
        reference_catalogue.update().where(reference_catalogue.c.reference_catalogue_id == key).values(values)
    )


def users(conn: Connection, key: int) -> dict[str, int]:
    """Count what rests on a catalogue: frames placed with it, ties to it."""
    query = "SELECT count(*) FROM {} WHERE reference_catalogue_id = :key"
    return {
        table: int(conn.scalar(text(query.format(table)), {"key": key}) or 0) for table in ("frame", "tie")
    }


def delete_catalogue(conn: Connection, key: int) -> int:
    """Delete a catalogue with its stars, and return how many stars that were; call `users` first."""
    stars = conn.execute(text("DELETE FROM reference_star WHERE reference_catalogue_id = :key"), {"key": key})
    conn.execute(reference_catalogue.delete().where(reference_catalogue.c.reference_catalogue_id == key))
    return stars.rowcount
