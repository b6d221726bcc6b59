"""Choose the reference frame of a field by hand: every shift of the field and camera is expressed anew."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from photodb.errors import UsageError
from photodb.storage import registrations
from photodb.storage.engine import Connection, Database

from .judge import find_frames
from .runs import recorded_run

COMMAND = "shift reference"


@dataclass(frozen=True)
class ReferenceReport:
    """What choosing a reference frame changed."""

    frame_id: int
    before: int  # the reference frame until now
    field_id: int
    camera_id: int
    n_frames: int  # shifts expressed anew
    dry_run: bool = False


def set_reference(db: Database, name: str, dry_run: bool = False) -> ReferenceReport:
    """Make a frame (id or path) the reference of its field and camera, and count all shifts from it.

    The maps are composed; nothing is matched again, and positions on the sky stay. One transaction.

    Raises
    ------
    NothingMatched : there is no such frame.
    UsageError : it is several frames, rejected, not registered, or the reference already.
    """
    ids = find_frames(db, [name])
    if len(ids) != 1:
        raise UsageError(f"{name}: {len(ids)} frames; a field and camera have one reference frame, name one")
    with db.begin() as conn:
        would = _checked(conn, ids[0], dry_run)
    if dry_run:
        return would
    with recorded_run(db, COMMAND, {"frame": name}, {}) as run, db.begin() as conn:
        report = _checked(conn, ids[0])
        former = registrations.former_shifts(conn, report.before)
        registrations.refer_to(conn, report.field_id, report.camera_id, report.frame_id)
        run.report |= asdict(report) | {"former": former}
    return report


def _checked(conn: Connection, frame_id: int, dry_run: bool = False) -> ReferenceReport:
    series = registrations.series_of(conn, frame_id)
    problem = ""
    if series.status != "accepted":
        problem = "is rejected: 'photodb frame restore' first, or choose an accepted one"
    elif series.registered_with is None or series.field_id is None or series.camera_id is None:
        problem = "is not registered: choose one that has a shift in 'photodb frame list --all-columns'"
    elif series.registered_with == frame_id:
        problem = "is the reference frame of its field already"
    elif series.registered_with != series.reference:
        problem = (
            f"is registered with frame {series.registered_with}, which is not the reference frame any more"
        )
    if problem:
        raise UsageError(f"frame {frame_id} {problem}")
    assert series.registered_with and series.field_id and series.camera_id
    n = len(registrations.registered_with(conn, series.registered_with, accepted=False))
    return ReferenceReport(frame_id, series.registered_with, series.field_id, series.camera_id, n, dry_run)
