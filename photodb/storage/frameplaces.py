"""Places of frames that are stored already: what finding them anew needs, and the writing of a new one.

The measurements of a detection (x, y, flux, ...) are never touched; its position, its source and the flags that tell
of the source are what its frame's place makes of it. The former place is kept in `frame_place`, so that the run that
gave a new one can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core.match import Affine
from photodb.storage import bulk
from photodb.storage.registrations import registered
from photodb.storage.sourcemeans import renew_sources
from photodb.storage.tables import frame

PLACE = ["ra", "dec", "radius", "healpix", "footprint", "wcs", "astrometry", "astrom_rms", "astrom_n"]
PLACE += ["reference_catalogue_id", "pixel_scale", "rotation", "airmass", "reason", "doubts"]
"""Columns of a frame that its place makes."""

STAR = [
    ("detection_id", "i8"),
    ("cell", "i4"),
    ("source_id", "i8"),
    ("x", "f8"),
    ("y", "f8"),
    ("x_err", "f8"),
]
STAR += [("y_err", "f8"), ("flux", "f8"), ("flux_err", "f8"), ("class", "i2"), ("flags", "i4")]
LINK = np.dtype(
    [
        ("detection_id", "i8"),
        ("cell", "i4"),
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("flags", "i4"),
    ]
)
"""What a place makes of a detection."""


@dataclass(frozen=True)
class Anchor:
    """A frame of the same series whose place is known, and the map from this frame's pixels to its own."""

    frame_id: int
    wcs: dict[str, Any]
    astrometry: str
    to_anchor: Affine
    rms: float  # px, of the two registrations together
    n: int  # stars of the weaker one


def stored_frame(conn: Connection, frame_id: int) -> dict[str, Any] | None:
    """Return all columns of an accepted frame with detections, locked, with its camera's description; None if gone."""
    query = text(
        "SELECT f.*, c.description, c.name AS camera, c.pixel_scale AS camera_scale FROM frame f "
        "JOIN camera c USING (camera_id) "
        "WHERE f.frame_id = :id AND f.status = 'accepted' AND f.n_detections > 0 FOR UPDATE OF f"
    )
    row = conn.execute(query, {"id": frame_id}).mappings().first()
    return None if row is None else dict(row)


def stored_stars(conn: Connection, frame_id: int) -> NDArray:
    """Return the detections of a frame (rows of `STAR`), brightest first."""
    names = ", ".join(name for name, _ in STAR)
    query = f"SELECT {names} FROM detection WHERE frame_id = %s ORDER BY detection_id"
    return bulk.copy_out(conn, query, STAR, (frame_id,))


def anchor_of(conn: Connection, this: Mapping[str, Any]) -> Anchor | None:
    """Return the frame that tells best where another one of its series is; None without one.

    That is one that a catalogue placed, the reference frame before others and then the nearest in time; or else the
    reference frame, if its place is more than approximate.
    """
    query = text(
        """
        SELECT frame_id FROM frame WHERE reference_frame_id = :reference AND frame_id <> :id AND wcs IS NOT NULL
        AND status = 'accepted' AND (astrometry = 'catalogue'
                                     OR (frame_id = reference_frame_id AND astrometry IN ('frames', 'header')))
        ORDER BY astrometry <> 'catalogue', frame_id <> reference_frame_id, abs(mjd - :mjd), frame_id LIMIT 1
        """
    )
    values = {"reference": this["reference_frame_id"], "id": this["frame_id"], "mjd": this["mjd"]}
    other = conn.scalar(query, values)
    return None if other is None else anchor_at(conn, this["frame_id"], other)


def anchor_at(conn: Connection, frame_id: int, other: int) -> Anchor | None:
    """Return a frame as the anchor of another one of its series; None where either is not registered."""
    mine, its = registered(conn, frame_id), registered(conn, other)
    if mine is None or its is None:
        return None
    row = conn.execute(text("SELECT wcs, astrometry FROM frame WHERE frame_id = :id"), {"id": other}).one()
    n = min((r.n for r in (mine, its) if r.n), default=0)
    to_anchor = its.transform.after(mine.transform.inverse())
    return Anchor(other, row.wcs, row.astrometry, to_anchor, float(np.hypot(mine.rms, its.rms)), n)


def by_bright_list(conn: Connection) -> set[int]:
    """Return the frames that the built-in list placed while the archive has catalogues, which are tried before it."""
    query = text(
        "SELECT frame_id FROM frame WHERE astrometry = 'catalogue' AND reference_catalogue_id IS NULL "
        "AND EXISTS (SELECT FROM reference_catalogue)"
    )
    return set(conn.scalars(query))


def followers(conn: Connection, frame_id: int) -> list[int]:
    """List the accepted frames that no catalogue placed and that are registered with a frame, by time."""
    query = text(
        "SELECT frame_id FROM frame WHERE reference_frame_id = :id AND frame_id <> :id AND status = 'accepted' "
        "AND astrometry <> 'catalogue' AND n_detections > 0 ORDER BY mjd, frame_id"
    )
    return list(conn.scalars(query, {"id": frame_id}))


def keep_former(conn: Connection, frame_id: int, run_id: int) -> None:
    """Keep a frame's place, its field's, its matches and its detections' sources, as they are before a run."""
    statement = text(
        """
        INSERT INTO frame_place (frame_id, run_id, former, field, source_id, flags, matches)
        SELECT f.frame_id, :run,
          (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(f)) WHERE key = ANY(:names)),
          (SELECT to_jsonb(g) FROM (SELECT field_id, ra, dec, radius, approximate FROM field
                                    WHERE field_id = f.field_id) AS g),
          coalesce(d.source_id, '{}'), coalesce(d.flags, '{}'),
          (SELECT coalesce(jsonb_agg(to_jsonb(m)), '[]') FROM astrometric_match m WHERE m.frame_id = f.frame_id)
        FROM frame f CROSS JOIN LATERAL
          (SELECT array_agg(source_id ORDER BY detection_id) AS source_id,
                  array_agg(flags ORDER BY detection_id) AS flags FROM detection WHERE frame_id = f.frame_id) AS d
        WHERE f.frame_id = :frame
        """
    )
    conn.execute(statement, {"frame": frame_id, "run": run_id, "names": PLACE})


def unlink(conn: Connection, frame_id: int) -> int:
    """Take a frame's detections from their sources, whose counts follow; delete its matches and forced measurements.

    Returns the number of forced measurements. Sources that are left without detections stay, with a count of 0, for
    `settle_left`. Frames are written before sources, as ingest does: in another order two could wait for each other.
    """
    cleared = "UPDATE frame SET n_forced = NULL, aperture_corrections = NULL WHERE frame_id = :frame"
    conn.execute(text(cleared), {"frame": frame_id})
    conn.execute(
        text(
            """
            UPDATE source s SET n_detections = s.n_detections - d.n
            FROM (SELECT cell, source_id, count(*) AS n FROM detection
                  WHERE frame_id = :frame AND source_id >= 0 GROUP BY 1, 2) AS d
            WHERE s.cell = d.cell AND s.source_id = d.source_id
            """
        ),
        {"frame": frame_id},
    )
    conn.execute(text("DELETE FROM astrometric_match WHERE frame_id = :frame"), {"frame": frame_id})
    deleted = conn.execute(text("DELETE FROM forced WHERE frame_id = :frame"), {"frame": frame_id}).rowcount
    return int(deleted)


def write_place(
    conn: Connection, frame_id: int, values: Mapping[str, Any], links: NDArray, matches: NDArray
) -> None:
    """Give a frame a place: its columns, the positions and sources of its detections (`LINK`), its matches."""
    conn.execute(frame.update().where(frame.c.frame_id == frame_id).values(values))
    write_links(conn, frame_id, links)
    bulk.copy_in(conn, "astrometric_match", matches)


def write_links(conn: Connection, frame_id: int, links: NDArray) -> None:
    """Write positions, sources and flags (rows of `LINK`) of all detections of a frame; nothing else of them."""
    columns = ", ".join(name for name in LINK.names or ())
    conn.execute(text(f"CREATE TEMP TABLE placed ON COMMIT DROP AS SELECT {columns} FROM detection LIMIT 0"))
    bulk.copy_in(conn, "placed", links)
    values = ", ".join(f"{name} = p.{name}" for name in LINK.names or () if name != "detection_id")
    conn.execute(
        text(
            f"UPDATE detection d SET {values} FROM placed p "
            "WHERE d.frame_id = :frame AND d.detection_id = p.detection_id"
        ),
        {"frame": frame_id},
    )
    conn.execute(text("DROP TABLE placed"))


def settle_left(conn: Connection, run_id: int, frame_id: int) -> int:
    """Delete the sources that a frame's move left without detections, as measured elsewhere too; return how many.

    One that has magnitudes in a solution, or that others were merged into, stays, as merged into the source that took
    over. Where the last of its detections went is told in `source_history`.
    """
    left = """
        CREATE TEMP TABLE gone ON COMMIT DROP AS
        SELECT s.cell, s.source_id, coalesce(max(d.source_id), -1) AS taker,
               EXISTS (SELECT FROM source_mag m WHERE m.cell = s.cell AND m.source_id = s.source_id)
               OR EXISTS (SELECT FROM source_photometry k WHERE k.cell = s.cell AND k.source_id = s.source_id)
               OR EXISTS (SELECT FROM source o WHERE o.merged_into = s.source_id AND o.merged_into >= 0) AS kept
        FROM (SELECT l.source_id, l.n - 1 AS number
              FROM frame_place p, unnest(p.source_id) WITH ORDINALITY AS l(source_id, n)
              WHERE p.frame_id = :frame AND p.run_id = :run) AS u
        JOIN source s ON s.source_id = u.source_id AND s.n_detections = 0 AND s.merged_into < 0
        LEFT JOIN detection d ON d.frame_id = :frame AND d.detection_id = (CAST(:frame AS bigint) << 20) + u.number
        GROUP BY s.cell, s.source_id
    """
    conn.execute(text(left), {"frame": frame_id, "run": run_id})
    history = """
        INSERT INTO source_history (source_id, other_source_id, kind, note, run_id, before)
        SELECT g.source_id, g.taker, 'moved', 'its frames were placed anew', :run, jsonb_build_array(to_jsonb(s))
        FROM gone g JOIN source s USING (cell, source_id) ORDER BY g.source_id
    """
    conn.execute(text(history), {"run": run_id})
    keys = "s.cell = g.cell AND s.source_id = g.source_id"
    conn.execute(
        text(
            f"UPDATE source s SET merged_into = g.taker FROM gone g WHERE {keys} AND g.kept AND g.taker >= 0"
        )
    )
    unmeasured = """
        WITH lost AS (DELETE FROM forced r USING gone g
                      WHERE r.source_id = g.source_id AND NOT g.kept RETURNING r.frame_id)
        UPDATE frame f SET n_forced = nullif(f.n_forced - l.n, 0)
        FROM (SELECT frame_id, count(*) AS n FROM lost GROUP BY 1) AS l WHERE f.frame_id = l.frame_id
    """
    conn.execute(text(unmeasured))
    deleted = conn.execute(text(f"DELETE FROM source s USING gone g WHERE {keys} AND NOT g.kept")).rowcount
    conn.execute(text("DROP TABLE gone"))
    return int(deleted)


def settle_field(conn: Connection, frame_id: int) -> None:
    """Give a field the place of its founding frame while it is approximate; it is sure when all its frames are."""
    centre = """
        UPDATE field g SET ra = f.ra, dec = f.dec, radius = f.radius FROM frame f
        WHERE f.frame_id = :frame AND g.field_id = f.field_id AND (g.approximate OR g.ra IS NULL)
        AND f.frame_id = (SELECT min(r.frame_id) FROM field_reference r WHERE r.field_id = g.field_id)
    """
    conn.execute(text(centre), {"frame": frame_id})
    sure = """
        UPDATE field g SET approximate = EXISTS (
          SELECT FROM frame o WHERE o.field_id = g.field_id AND o.status = 'accepted' AND o.astrometry = 'approximate')
        FROM frame f WHERE f.frame_id = :frame AND g.field_id = f.field_id AND g.approximate
    """
    conn.execute(text(sure), {"frame": frame_id})


def unrenewed(conn: Connection) -> list[int]:
    """List the former places (keys) that left sources whose means were not made anew yet."""
    return list(conn.scalars(text("SELECT frame_place_id FROM frame_place WHERE NOT renewed ORDER BY 1")))


def former_sources(conn: Connection, frame_place_ids: Sequence[int]) -> list[int]:
    """List the sources that detections left with their frames' former places."""
    query = (
        "SELECT DISTINCT u FROM frame_place p, unnest(p.source_id) AS u "
        "WHERE p.frame_place_id = ANY(:ids) AND u >= 0 ORDER BY u"
    )
    return list(conn.scalars(text(query), {"ids": list(frame_place_ids)}))


def renew_means(conn: Connection, source_ids: Sequence[int]) -> None:
    """Make counts, times and means of sources anew from their detections, while nobody else writes sources."""
    # ingest reads means after it has written its frame: who waits for both tables waits until it has written them
    conn.execute(text("LOCK TABLE frame, source IN SHARE ROW EXCLUSIVE MODE"))
    renew_sources(conn, source_ids)


def set_renewed(conn: Connection, frame_place_ids: Sequence[int]) -> None:
    """Note that the means of the sources that former places left are anew."""
    statement = "UPDATE frame_place SET renewed = true WHERE frame_place_id = ANY(:ids)"
    conn.execute(text(statement), {"ids": list(frame_place_ids)})


MATCH = [("cell", "i4"), ("frame_id", "i8"), ("detection_id", "i8"), ("reference_star_id", "i8")]
MATCH += [
    ("reference_detection_id", "i8"),
    ("gaia_source_id", "i8"),
    ("dx", "f4"),
    ("dy", "f4"),
    ("dra", "f4"),
]
MATCH += [("ddec", "f4"), ("used", "?")]


def registration_matches(conn: Connection, frame_id: int) -> NDArray:
    """Return the matches of a frame with another frame (rows of `MATCH`); those with a catalogue are left out."""
    names = ", ".join(name for name, _ in MATCH)
    query = (
        f"SELECT {names} FROM astrometric_match WHERE frame_id = %s AND reference_detection_id >= 0 "
        "ORDER BY detection_id"
    )
    return bulk.copy_out(conn, query, MATCH, (frame_id,))
