"""How the frames of a field lie on their reference frame: the map of each, and what a new reference makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from photodb.core.match import IDENTITY, Affine
from photodb.errors import UsageError


@dataclass(frozen=True)
class Registered:
    """A frame registered with its field's reference frame."""

    frame_id: int
    mjd: float
    size: tuple[int, int]  # px, nx and ny
    transform: Affine  # from the reference frame's pixels to its own
    rms: float  # px
    n: int  # stars of the registration; 0 for the reference frame itself


COLUMNS = """
SELECT f.frame_id, f.mjd, f.nx, f.ny, f.shift_x, f.shift_y, f.shift_rotation, f.shift_scale, f.shift_map,
       coalesce(f.shift_rms, 0) AS rms, coalesce(f.shift_n, 0) AS n, r.nx AS reference_nx, r.ny AS reference_ny
FROM frame f JOIN frame r ON r.frame_id = f.reference_frame_id
"""


def registered_with(
    conn: Connection,
    reference_frame_id: int,
    *,
    accepted: bool = True,
    but: int = -1,
    newest: int | None = None,
) -> list[Registered]:
    """List the frames that are registered with a reference frame, itself among them, newest first.

    Parameters
    ----------
    accepted : leave out rejected frames.
    but : a frame to leave out.
    newest : at most so many.
    """
    statement = text(
        COLUMNS + "WHERE f.reference_frame_id = :reference AND (f.status = 'accepted' OR NOT :accepted) "
        "AND f.frame_id <> :but AND f.shift_x IS NOT NULL ORDER BY f.frame_id DESC LIMIT :newest"
    )
    values = {"reference": reference_frame_id, "accepted": accepted, "but": but, "newest": newest}
    return [_registered(row) for row in conn.execute(statement, values)]


def registered(conn: Connection, frame_id: int) -> Registered | None:
    """Return how a frame lies on its reference frame; None if it is not registered."""
    row = conn.execute(
        text(COLUMNS + "WHERE f.frame_id = :id AND f.shift_x IS NOT NULL"), {"id": frame_id}
    ).first()
    return None if row is None else _registered(row)


def _registered(row) -> Registered:  # type: ignore[no-untyped-def]
    size, reference = (row.nx, row.ny), (row.reference_nx, row.reference_ny)
    if row.shift_map:
        a, b, c, d, e, f = row.shift_map
        transform = Affine(np.array([[a, b], [c, d]]), np.array([e, f]))
    else:  # written before maps were kept
        shift = (row.shift_x, row.shift_y)
        transform = Affine.of_shift(shift, row.shift_rotation, row.shift_scale, reference, size)
    return Registered(row.frame_id, row.mjd, size, transform, row.rms, row.n)


def is_followed(conn: Connection, reference_frame_id: int) -> bool:
    """Tell whether any accepted frame but itself is registered with a reference frame."""
    query = """SELECT EXISTS (SELECT FROM frame WHERE reference_frame_id = :id AND frame_id <> :id
               AND status = 'accepted')"""
    return bool(conn.scalar(text(query), {"id": reference_frame_id}))


def numbers_of(transform: Affine) -> list[float]:
    """Return a map as the column `shift_map` has it."""
    return [*transform.matrix.ravel().tolist(), *transform.offset.tolist()]


def refer_to(conn: Connection, field_id: int, camera_id: int, frame_id: int) -> int:
    """Make a registered frame the reference of its field and camera; return how many shifts were expressed anew.

    Each map is composed with that of the new reference, so that nothing has to be matched again; the errors add up.
    """
    before = conn.scalar(text("SELECT reference_frame_id FROM frame WHERE frame_id = :id"), {"id": frame_id})
    frames = registered_with(conn, before, accepted=False) if before is not None else []
    chosen = next((f for f in frames if f.frame_id == frame_id), None)
    if before is None or chosen is None:
        raise ValueError(f"frame {frame_id} is not registered")
    if before == frame_id:
        return 0
    # the chosen frame last: what it was matched with is still read while the others move
    for one in sorted(frames, key=lambda f: f.frame_id == frame_id):
        conn.execute(text(MOVE), _moved(one, chosen, before))
    conn.execute(
        text("UPDATE field_reference SET frame_id = :id WHERE field_id = :field AND camera_id = :camera"),
        {"id": frame_id, "field": field_id, "camera": camera_id},
    )
    return len(frames)


def elect(conn: Connection, field_id: int, camera_id: int) -> int | None:
    """Choose a reference in place of one that was rejected since: the frame with most stars in common with it.

    Returns its key; None where no accepted frame is registered with the rejected one.
    """
    query = """SELECT f.frame_id FROM field_reference r JOIN frame f ON f.reference_frame_id = r.frame_id
               WHERE r.field_id = :field AND r.camera_id = :camera AND f.status = 'accepted'
               AND f.frame_id <> r.frame_id AND f.shift_x IS NOT NULL
               ORDER BY f.shift_n DESC NULLS LAST, f.shift_rms, f.frame_id LIMIT 1"""
    best = conn.scalar(text(query), {"field": field_id, "camera": camera_id})
    if best is None:
        return None
    refer_to(conn, field_id, camera_id, best)
    return int(best)


MOVE = """
UPDATE frame SET reference_frame_id = :reference, shift_x = :x, shift_y = :y, shift_rotation = :rotation,
  shift_scale = :scale, shift_map = :map, shift_rms = :rms, shift_n = :n,
  via_frame_id = CASE WHEN frame_id = :reference THEN NULL
    WHEN frame_id = :before THEN (SELECT c.via_frame_id FROM frame c WHERE c.frame_id = :reference)
    ELSE nullif(coalesce(via_frame_id, :before), :reference) END
WHERE frame_id = :frame
"""


def _moved(this: Registered, chosen: Registered, before: int) -> dict[str, object]:
    """Return the values of a frame's row once its shift counts from the chosen frame."""
    itself, was = this.frame_id == chosen.frame_id, this.frame_id == before
    move = IDENTITY if itself else this.transform.after(chosen.transform.inverse())
    shift = move.shift(chosen.size, this.size)
    grown = 0.0 if itself else float(np.hypot(this.rms, chosen.rms * abs(this.transform.scale)))
    return {
        "frame": this.frame_id, "reference": chosen.frame_id, "before": before, "x": float(shift[0]),
        "y": float(shift[1]), "rotation": move.rotation_deg, "scale": move.scale, "map": numbers_of(move),
        "rms": grown, "n": None if itself else chosen.n if was else this.n or None,
    }  # fmt: skip


@dataclass(frozen=True)
class Series:
    """To which field and camera a frame belongs, and how it is registered there."""

    field_id: int | None
    camera_id: int | None
    status: str
    registered_with: int | None  # frame
    reference: int | None  # frame that is the reference of field and camera now, rejected or not


def series_of(conn: Connection, frame_id: int) -> Series:
    """Return the series of a frame, its field's reference locked until the transaction ends."""
    query = """SELECT f.field_id, f.camera_id, f.status, CASE WHEN f.shift_x IS NULL THEN NULL
                 ELSE f.reference_frame_id END, r.frame_id
               FROM frame f LEFT JOIN field_reference r ON r.field_id = f.field_id AND r.camera_id = f.camera_id
               WHERE f.frame_id = :id FOR UPDATE OF f"""
    row = Series(*conn.execute(text(query), {"id": frame_id}).one())
    if row.reference is not None:
        lock = "SELECT 1 FROM field_reference WHERE field_id = :f AND camera_id = :c FOR UPDATE"
        conn.execute(text(lock), {"f": row.field_id, "c": row.camera_id})
    return row


FORMER = (
    "frame_id, shift_x, shift_y, shift_rotation, shift_scale, shift_rms, shift_n, shift_map, via_frame_id"
)


def former_shifts(conn: Connection, reference_frame_id: int) -> list[dict[str, object]]:
    """Return the columns of all shifts against a reference frame, so that they can be put back (`put_back`)."""
    query = text(f"SELECT {FORMER} FROM frame WHERE reference_frame_id = :id ORDER BY frame_id")
    return [dict(row) for row in conn.execute(query, {"id": reference_frame_id}).mappings()]


def put_back(conn: Connection, former: Sequence[Mapping[str, object]]) -> None:
    """Write shifts as they were before another reference frame was chosen and given up again."""
    columns = [name for name in FORMER.split(", ") if name != "frame_id"]
    values = ", ".join(f"{name} = :{name}" for name in columns)
    for row in former:
        conn.execute(text(f"UPDATE frame SET {values} WHERE frame_id = :frame_id"), dict(row))


def give_back(conn: Connection, told: Mapping[str, Any]) -> dict[str, int]:
    """Give a field its former reference frame back; later frames follow by composition, all others get their numbers.

    Parameters
    ----------
    told : the report of the run that chose the reference.

    Raises
    ------
    UsageError : another reference was chosen since.
    """
    series = series_of(conn, told["frame_id"])
    if series.reference != told["frame_id"] or series.registered_with != told["frame_id"]:
        raise UsageError(
            f"the reference frame of field {told['field_id']} was changed again, to frame {series.reference}: "
            "undo that first"
        )
    n = refer_to(conn, told["field_id"], told["camera_id"], told["before"])
    put_back(conn, told["former"])
    return {"shifts": n}
