"""Give the frames that a run placed anew their former places back: columns, positions, sources and matches.

Their forced measurements, made at the new places or not made yet, go; 'photodb measure' makes them at the former ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, text

from photodb.core.doubts import Doubt
from photodb.core.tangent import TangentWCS
from photodb.storage import frameplaces, overlaps
from photodb.storage.frameplaces import LINK, PLACE
from photodb.storage.tables import SERIAL_BITS

PLACED = "(SELECT frame_id FROM frame_place WHERE run_id = :run)"

BLOCKERS: tuple[str, ...] = (
    """SELECT format('run %s placed the same frames after it: undo that run first', l.run_id)
       FROM frame_place p JOIN frame_place l USING (frame_id) WHERE p.run_id = :run
       AND l.frame_place_id > p.frame_place_id AND l.run_id IS DISTINCT FROM :run GROUP BY l.run_id""",
    """SELECT format('run %s placed frames of the same field after it: undo that run first', l.run_id)
       FROM frame_place p JOIN frame_place l ON l.field->'field_id' = p.field->'field_id'
       AND l.frame_place_id > p.frame_place_id WHERE p.run_id = :run AND l.run_id IS DISTINCT FROM :run
       AND l.frame_id <> p.frame_id GROUP BY l.run_id""",
    f"""SELECT format('frames of run %s were placed by its frames: undo that run first', f.run_id)
        FROM frame f JOIN run r ON r.run_id = :run WHERE f.ingested_at > r.started_at
        AND f.reference_frame_id IN {PLACED} AND f.run_id IS DISTINCT FROM :run GROUP BY f.run_id""",
    f"""SELECT format('solution %s was made of its places: undo its run %s first', s.solution_id, s.run_id)
        FROM solution s JOIN run r ON r.run_id = :run WHERE s.created_at > r.started_at
        AND EXISTS (SELECT FROM frame_term t WHERE t.solution_id = s.solution_id AND t.frame_id IN {PLACED})""",
    f"""SELECT format('run %s merged or split sources of its frames: undo that run first', h.run_id)
        FROM source_history h WHERE h.run_id > :run AND h.kind IN ('merged', 'split') AND EXISTS
        (SELECT FROM detection d WHERE d.source_id IN (h.source_id, h.other_source_id) AND d.frame_id IN {PLACED})
        GROUP BY h.run_id""",
)
"""SELECTs of reasons why the places before a run cannot come back."""

CATALOGUE_BLOCKERS: tuple[str, ...] = (
    """SELECT format('run %s placed frames with its catalogue, or in place of it: undo that run first', p.run_id)
       FROM frame_place p JOIN frame f USING (frame_id) JOIN reference_catalogue c ON c.reference_catalogue_id
       IN (f.reference_catalogue_id, (p.former->>'reference_catalogue_id')::bigint)
       WHERE c.run_id = :run AND p.run_id IS DISTINCT FROM :run GROUP BY p.run_id""",
)
"""The same for runs whose catalogues later runs used for new places."""


def restore(conn: Connection, run_id: int) -> tuple[dict[str, int], list[int]]:
    """Give frames their places before a run back, the last placed first; call `undo.blockers` before.

    Returns the rows by table that went or came back, and the sources whose means are to be made anew; those of them
    that are left without detections are to go.
    """
    query = text("SELECT * FROM frame_place WHERE run_id = :run ORDER BY frame_place_id DESC")
    places = conn.execute(query, {"run": run_id}).mappings().all()
    if not places:
        return {}, []
    touched = _revive(conn, run_id)
    n_forced = 0
    for place in places:
        stars = frameplaces.stored_stars(conn, place["frame_id"])
        touched |= set(stars["source_id"].tolist()) | set(place["source_id"])
        n_forced += frameplaces.unlink(conn, place["frame_id"])
        frameplaces.write_links(conn, place["frame_id"], _links(place, stars))
        _restore_frame(conn, place)
    conn.execute(text("DELETE FROM source_history WHERE run_id = :run AND kind = 'moved'"), {"run": run_id})
    conn.execute(text("DELETE FROM frame_place WHERE run_id = :run"), {"run": run_id})
    return {"frame_place": len(places), "forced": n_forced}, sorted(touched - {-1})


def _revive(conn: Connection, run_id: int) -> set[int]:
    """Bring the sources back that the run left without detections, with the keys that they had; return these."""
    deleted = """
        INSERT INTO source SELECT s.* FROM source_history h,
        LATERAL jsonb_populate_record(NULL::source, h.before->0) AS s
        WHERE h.run_id = :run AND h.kind = 'moved' ON CONFLICT DO NOTHING
    """
    conn.execute(text(deleted), {"run": run_id})
    kept = """
        UPDATE source s SET merged_into = -1 FROM source_history h
        WHERE h.run_id = :run AND h.kind = 'moved' AND s.source_id = h.source_id
    """
    conn.execute(text(kept), {"run": run_id})
    moved = text("SELECT source_id FROM source_history WHERE run_id = :run AND kind = 'moved'")
    return set(conn.scalars(moved, {"run": run_id}))


def _links(place: RowMapping, stars: NDArray) -> NDArray:
    """Return what the former place made of each detection."""
    rows = np.zeros(len(stars), LINK)
    rows["detection_id"] = stars["detection_id"]
    rows["source_id"], rows["flags"] = place["source_id"], place["flags"]
    rows["cell"] = np.where(rows["source_id"] < 0, -1, rows["source_id"] >> SERIAL_BITS)
    wcs: dict[str, Any] | None = place["former"]["wcs"]
    rows["ra"] = rows["dec"] = np.nan
    if wcs is not None:
        rows["ra"], rows["dec"] = TangentWCS.from_dict(wcs).to_sky(stars["x"], stars["y"])
    return rows


def _restore_frame(conn: Connection, place: RowMapping) -> None:
    """Write the former columns of a frame and its field, and its former matches."""
    names = ", ".join(name for name in PLACE if name not in ("reason", "doubts"))
    there = (
        "(SELECT c.reference_catalogue_id FROM reference_catalogue c WHERE c.reference_catalogue_id = r.{0})"
    )
    values = names.replace(
        "reference_catalogue_id", there.format("reference_catalogue_id")
    )  # it may be dropped since
    frame = f"""
        UPDATE frame f SET ({names}) = (SELECT {values} FROM jsonb_populate_record(NULL::frame, p.former) AS r)
        FROM frame_place p WHERE p.frame_place_id = :id AND f.frame_id = p.frame_id
    """
    field = """
        UPDATE field g SET (ra, dec, radius, approximate) =
          (SELECT ra, dec, radius, approximate FROM jsonb_populate_record(NULL::field, p.field))
        FROM frame_place p WHERE p.frame_place_id = :id AND g.field_id = (p.field->>'field_id')::bigint
    """
    matches = """
        INSERT INTO astrometric_match SELECT m.* FROM frame_place p,
        LATERAL jsonb_populate_recordset(NULL::astrometric_match, p.matches) AS m WHERE p.frame_place_id = :id
    """
    for statement in (frame, field, matches):
        conn.execute(text(statement), {"id": place["frame_place_id"]})
    _restore_remark(conn, place)


def _restore_remark(conn: Connection, place: RowMapping) -> None:
    """Write the former remark and doubts of a frame; what was found since of other frames of its time stays.

    A frame that was rejected since keeps its reason: the remark comes back with it, should it be restored.
    """
    standing = "frame_id = :id AND status = 'rejected' AND withdrawn_run_id IS NULL"
    remark = f"(SELECT remark FROM frame_judgement WHERE {standing} LIMIT 1)"
    now = text(
        "SELECT status, doubts, CASE WHEN status = 'accepted' THEN reason "
        f"ELSE coalesce({remark}, '') END AS remark FROM frame WHERE frame_id = :id"
    )
    row = conn.execute(now, {"id": place["frame_id"]}).one()
    former, other = place["former"], int(Doubt.OVERLAP)
    values = {
        "id": place["frame_id"],
        "remark": overlaps.with_those_of(former["reason"], row.remark),
        "doubts": (former.get("doubts", row.doubts) & ~other) | (row.doubts & other),
    }
    conn.execute(text("UPDATE frame SET doubts = :doubts WHERE frame_id = :id"), values)
    if row.status == "accepted":
        conn.execute(text("UPDATE frame SET reason = :remark WHERE frame_id = :id"), values)
    else:
        conn.execute(text(f"UPDATE frame_judgement SET remark = :remark WHERE {standing}"), values)
