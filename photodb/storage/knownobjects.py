"""The tables `known_catalogue`, `known_object` and `known_name`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, text

from photodb.core import sky
from photodb.core.names import normal_name, slips
from photodb.storage import bulk
from photodb.storage.tables import known_catalogue

PLACE = np.dtype(
    [("key", "i8"), ("catalogue", "i8"), ("ra", "f8"), ("dec", "f8"), ("pm_ra", "f8"), ("pm_dec", "f8"),
     ("error", "f8"), ("epoch", "f8"), ("period", "f8")]
)  # fmt: skip
"""Where an object is, at its catalogue's epoch (yr), and its period."""
IN_RANGES = """
SELECT s.known_object_id, s.known_catalogue_id, s.ra, s.dec, s.pm_ra, s.pm_dec, s.position_error, c.epoch, s.period
FROM unnest(%s::int8[], %s::int8[]) AS r(lo, hi),
LATERAL (SELECT * FROM known_object WHERE healpix >= r.lo AND healpix < r.hi OFFSET 0) AS s
JOIN known_catalogue c USING (known_catalogue_id)
"""
OBJECTS = """
SELECT o.*, c.name AS catalogue, c.epoch AS position_epoch, n.name AS asked
FROM known_name n JOIN known_object o USING (known_object_id) JOIN known_catalogue c USING (known_catalogue_id)
WHERE n.normal = :normal ORDER BY o.known_object_id
"""
MOST_NEAR = 50
LONGEST = 40
"""Letters of a name that are looked at for slips."""


def list_catalogues(conn: Connection) -> list[RowMapping]:
    """List the catalogues of objects with the number of their objects."""
    query = """
    SELECT c.name, c.kind, (SELECT count(*) FROM known_object o WHERE o.known_catalogue_id = c.known_catalogue_id) AS
           n_objects, c.epoch, c.path
    FROM known_catalogue c ORDER BY c.name
    """
    return list(conn.execute(text(query)).mappings())


def find_catalogue(conn: Connection, name: str) -> RowMapping | None:
    """Return the row of a catalogue, or None."""
    return conn.execute(known_catalogue.select().where(known_catalogue.c.name == name)).mappings().first()


def insert_catalogue(conn: Connection, values: Mapping[str, Any]) -> int:
    """Insert the row of a catalogue, and return its key."""
    made = known_catalogue.insert().values(dict(values)).returning(known_catalogue.c.known_catalogue_id)
    return int(conn.execute(made).scalar_one())


def append_objects(conn: Connection, key: int, run_id: int, objects: NDArray) -> None:
    """Add objects, as `photodb.images.objectlists.OBJECT`, to a catalogue, with their names."""
    sequence = "nextval(pg_get_serial_sequence('known_object', 'known_object_id'))"
    keys = (
        conn.execute(text(f"SELECT {sequence} FROM generate_series(1, :n)"), {"n": len(objects)})
        .scalars()
        .all()
    )
    columns = [name for name in objects.dtype.names or () if name != "aliases"]
    head = [("known_object_id", "i8"), ("known_catalogue_id", "i8"), ("run_id", "i8"), ("healpix", "i8")]
    rows = np.zeros(len(objects), head + [(name, objects.dtype[name]) for name in columns])  # type: ignore[operator]
    rows["known_object_id"], rows["known_catalogue_id"], rows["run_id"] = keys, key, run_id
    rows["healpix"] = sky.healpix29(objects["ra"], objects["dec"])
    for name in columns:
        rows[name] = objects[name]
    bulk.copy_in(conn, "known_object", rows)
    _append_names(conn, keys, [[o["name"], *o["aliases"]] for o in objects])


def _append_names(conn: Connection, keys: Sequence[int], names: Sequence[Sequence[str]]) -> None:
    told: dict[tuple[str, int], str] = {}
    for key, some in zip(keys, names, strict=True):
        for name in some:
            normal = normal_name(name)
            if normal:
                told.setdefault((normal, key), " ".join(name.split()))
    rows = np.array(
        [(normal, key, name) for (normal, key), name in told.items()],
        [("normal", "O"), ("known_object_id", "i8"), ("name", "O")],
    )
    bulk.copy_in(conn, "known_name", rows)


def add_names(conn: Connection, key: int, names: Sequence[str]) -> None:
    """Add names to an object; those that it has stay as they are."""
    query = text(
        "INSERT INTO known_name (normal, known_object_id, name) VALUES (:normal, :key, :name) ON CONFLICT DO NOTHING"
    )
    for name in names:
        if normal_name(name):
            conn.execute(query, {"normal": normal_name(name), "key": key, "name": name})


def delete_catalogue(conn: Connection, key: int) -> int:
    """Delete a catalogue with its objects and their names, and return how many objects that were."""
    of = "known_object_id IN (SELECT known_object_id FROM known_object WHERE known_catalogue_id = :key)"
    conn.execute(text(f"DELETE FROM known_name WHERE {of}"), {"key": key})
    gone = conn.execute(
        text("DELETE FROM known_object WHERE known_catalogue_id = :key"), {"key": key}
    ).rowcount
    conn.execute(known_catalogue.delete().where(known_catalogue.c.known_catalogue_id == key))
    return gone


def by_name(conn: Connection, name: str) -> list[RowMapping]:
    """Return the objects that bear a name, in whatever form it is written, with their catalogue and its epoch."""
    return list(conn.execute(text(OBJECTS), {"normal": normal_name(name)}).mappings())


def names_of(conn: Connection, key: int) -> list[str]:
    """Return all the names of an object."""
    query = text("SELECT name FROM known_name WHERE known_object_id = :key ORDER BY name")
    return list(conn.execute(query, {"key": key}).scalars())


def names_near(conn: Connection, normal: str) -> dict[str, str]:
    """Return names one slip away from a normal form, and its neighbours in the order of names: by normal form."""
    query = """
    (SELECT normal, name FROM known_name WHERE normal = ANY(CAST(:slips AS text[])) LIMIT :most)
    UNION (SELECT normal, name FROM known_name WHERE normal >= :normal ORDER BY normal LIMIT :most)
    UNION (SELECT normal, name FROM known_name WHERE normal < :normal ORDER BY normal DESC LIMIT :most)
    """
    rows = conn.execute(text(query), {"slips": slips(normal[:LONGEST]), "normal": normal, "most": MOST_NEAR})
    return {str(row[0]): str(row[1]) for row in rows}


def stars_named(conn: Connection, names: Sequence[str]) -> list[RowMapping]:
    """Return reference stars that bear one of some names exactly, with their catalogue and its epoch."""
    query = """
    SELECT s.name, s.ra, s.dec, s.pm_ra, s.pm_dec, c.name AS catalogue, c.epoch AS position_epoch, c.position_error
    FROM reference_star s JOIN reference_catalogue c USING (reference_catalogue_id)
    WHERE s.name = ANY(CAST(:names AS text[])) ORDER BY c.priority DESC, s.reference_star_id LIMIT 20
    """
    return list(conn.execute(text(query), {"names": list(names)}).mappings())


def places_in(conn: Connection, lo: NDArray[np.int64], hi: NDArray[np.int64]) -> NDArray:
    """Return the objects (rows of `PLACE`) in ranges [lo, hi) of order-29 HEALPix keys."""
    return bulk.copy_out(conn, IN_RANGES, PLACE, (lo.tolist(), hi.tolist()))


def words_of(conn: Connection, keys: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    """Return name, type and catalogue of objects, by their keys."""
    query = """
    SELECT o.known_object_id, o.name, o.type, c.name FROM known_object o JOIN known_catalogue c USING
    (known_catalogue_id) WHERE o.known_object_id = ANY(CAST(:keys AS bigint[]))
    """
    return {
        row[0]: (row[1], row[2], row[3])
        for row in conn.execute(text(query), {"keys": [int(k) for k in keys]})
    }


def middle_epoch(conn: Connection) -> float:
    """Return the Julian epoch in the middle of the accepted frames' times; NaN without any."""
    mjd = conn.scalar(
        text("SELECT (min(mjd) + max(mjd)) / 2 FROM frame WHERE status = 'accepted' AND kind = 'science'")
    )
    return float("nan") if mjd is None else 2000.0 + (float(mjd) - 51544.5) / 365.25


def source_place(conn: Connection, source_id: int) -> tuple[int, float, float] | None:
    """Return id and position of a source, or of the one that it was merged into; None if there is none."""
    query = text("SELECT merged_into, ra, dec FROM source WHERE source_id = :id")
    for _ in range(64):
        row = conn.execute(query, {"id": source_id}).first()
        if row is None:
            return None
        if row[0] < 0:
            return source_id, float(row[1]), float(row[2])
        source_id = int(row[0])
    return None


def targets_like(conn: Connection) -> list[RowMapping]:
    """Return the targets that headers name, with the number of frames and the mean centre of the newest."""
    query = """
    SELECT object, count(*) AS n, (array_agg(ra ORDER BY mjd DESC NULLS LAST))[1] AS ra,
           (array_agg(dec ORDER BY mjd DESC NULLS LAST))[1] AS dec
    FROM frame WHERE object <> '' AND status = 'accepted' GROUP BY object LIMIT 10000
    """
    return list(conn.execute(text(query)).mappings())
