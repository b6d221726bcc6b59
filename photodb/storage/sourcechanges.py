"""Merge sources into one, and split one into two, so that nothing is lost and all of it can be taken back.

What a detection or a forced measurement says of the sky never changes; which source it belongs to does. A merged
source keeps its row, so that its id stays an answer, and what the kept source has no room for: its detections on
frames on which the kept one has its own, and the forced measurements that are no better. Readers leave out what belongs
to merged sources. Every change is a row of `source_history` that holds what takes it back (`sourceundo`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from photodb.core import sky
from photodb.core.flags import Flag
from photodb.core.positions import CATALOGUE_PM_ERR
from photodb.errors import UsageError
from photodb.storage.bulk import copy_out
from photodb.storage.sourceids import living
from photodb.storage.sourcemeans import renew_sources
from photodb.storage.sourcemoves import move_detections, move_forced, swap_forced
from photodb.storage.sources import SOURCE, insert_sources
from photodb.storage.tables import source_history

MAX_APART_ARCSEC = 30.0
"""Sources farther apart than this are merged by force only: a mistyped id is likelier."""


@dataclass(frozen=True)
class SourceChange:
    """What became of one source: `source_id` was merged into, or split off, `other_source_id`."""

    kind: str  # merged, split
    source_id: int
    other_source_id: int
    n_detections: int  # that changed source
    n_left: int  # detections that a merged source keeps: the kept one has its own on their frames
    n_moved: int  # forced measurements that went along
    n_swapped: int  # forced measurements that the two exchanged


def merge_sources(
    conn: Connection,
    run_id: int,
    keep_id: int,
    other_ids: Sequence[int],
    note: str = "",
    force: bool = False,
    most_apart: float = MAX_APART_ARCSEC,
) -> list[SourceChange]:
    """Merge sources into one that keeps its id; a change for each that was not part of it before.

    A proper motion that a catalogue gave to one is that of all. The caller holds the locks of the cells around them,
    taken before it looked at them.

    Raises
    ------
    NothingMatched : there is no such source.
    UsageError : without `force`, two of them were detected together on a frame, or are `most_apart` (arcsec)
        apart; with or without, one has a place on the sky and another an approximate one.
    """
    keep = living(conn, keep_id)
    others = [i for i in dict.fromkeys(living(conn, i) for i in other_ids) if i != keep]
    if not others:
        return []
    _check_places(conn, keep, others, np.inf if force else most_apart)
    changes = []
    for other in others:
        together = common_frames(conn, keep, other)
        if together and not force:
            raise UsageError(_seen_together(keep, other, together))
        changes.append(_merge_one(conn, run_id, keep, other, note))
    renew_sources(conn, [keep])
    return changes


def _check_places(conn: Connection, keep: int, others: Sequence[int], most_apart: float) -> None:
    rows = {row.source_id: row for row in conn.execute(text(_PLACES), {"ids": [keep, *others]})}
    kept = rows[keep]
    for other in others:
        row = rows[other]
        if row.approximate != kept.approximate or (row.approximate and row.field_id != kept.field_id):
            raise UsageError(
                f"sources {keep} and {other}: approximate places of one field are told apart from places on the sky "
                "and from those of other fields; place the frames first ('photodb refcat load', ingest again)"
            )
        apart = 3600 * float(sky.separation_deg(kept.ra, kept.dec, row.ra, row.dec))
        if apart > most_apart:
            raise UsageError(
                f"sources {keep} and {other} are {apart:.1f} arcsec apart, more than {most_apart:g}: "
                "look at both with 'photodb source show'; --force merges them all the same"
            )


_PLACES = "SELECT source_id, ra, dec, approximate, field_id FROM source WHERE source_id = ANY(:ids)"


def _seen_together(keep: int, other: int, frames: list[int]) -> str:
    some = ", ".join(map(str, frames[:5])) + (", ..." if len(frames) > 5 else "")
    return (
        f"sources {keep} and {other} were detected side by side on {len(frames)} frames ({some}): two stars. "
        f"--force merges them all the same; on those frames only the detections of {keep} count then"
    )


def _merge_one(conn: Connection, run_id: int, keep: int, other: int, note: str) -> SourceChange:
    """Merge one living source into another; the mean of the kept one is left to the caller."""
    before = _rows_before(conn, [other, keep])
    free = """
    SELECT detection_id FROM detection o WHERE source_id = :other AND NOT EXISTS (
      SELECT FROM detection k WHERE k.frame_id = o.frame_id AND k.source_id = :keep)
    """
    values = {"keep": keep, "other": other}
    moved = move_detections(conn, other, keep, list(conn.scalars(text(free), values)))
    frames, swapped = _better_forced(conn, keep, other)
    move_forced(conn, other, keep, frames)
    swap_forced(conn, keep, other, swapped)
    retired = """
    UPDATE source s SET merged_into = :keep, n_detections =
      (SELECT count(*) FROM detection d WHERE d.source_id = :other) WHERE source_id = :other RETURNING n_detections
    """
    left = int(conn.scalar(text(retired), values) or 0)
    conn.execute(text(_CATALOGUE_MOTION), values)
    change = SourceChange("merged", other, keep, len(moved), left, len(frames), len(swapped))
    _write_history(conn, run_id, change, note, moved, frames, swapped, before)
    return change


_CATALOGUE_MOTION = f"""
UPDATE source k SET pm_ra = o.pm_ra, pm_dec = o.pm_dec, pm_err = o.pm_err FROM source o
WHERE k.source_id = :keep AND o.source_id = :other AND o.pm_err = {CATALOGUE_PM_ERR}
  AND k.pm_err IS DISTINCT FROM {CATALOGUE_PM_ERR}
"""


def _better_forced(conn: Connection, keep: int, other: int) -> tuple[list[int], list[int]]:
    """Return the frames on which only the other has a forced measurement, and those on which it has the better one.

    Of two sources that no frame could part one has no flux (DUPLICATE); else that of a detection is better.
    """
    duplicate = int(Flag.DUPLICATE)
    query = f"""
    SELECT o.frame_id, k.frame_id IS NULL FROM forced o
    LEFT JOIN forced k ON k.frame_id = o.frame_id AND k.source_id = :keep
    WHERE o.source_id = :other AND (k.frame_id IS NULL OR
      (k.flags & {duplicate}, (k.detection_id < 0)::int) > (o.flags & {duplicate}, (o.detection_id < 0)::int))
    ORDER BY 1
    """
    rows = conn.execute(text(query), {"keep": keep, "other": other}).all()
    return [int(f) for f, alone in rows if alone], [int(f) for f, alone in rows if not alone]


def common_frames(conn: Connection, first: int, second: int) -> list[int]:
    """List the frames on which two sources have a detection each."""
    query = """
    SELECT DISTINCT a.frame_id FROM detection a JOIN detection b ON b.frame_id = a.frame_id
    WHERE a.source_id = :a AND b.source_id = :b ORDER BY 1
    """
    return [int(i) for i in conn.scalars(text(query), {"a": first, "b": second})]


def split_source(
    conn: Connection, run_id: int, source_id: int, detection_ids: Sequence[int], note: str = ""
) -> list[SourceChange]:
    """Make some detections of a source a source of their own; no change where they were split off it before.

    The caller holds the locks of the cells around it. The new source has forced measurements on the frames of its
    detections only, and the old one none there: `photodb measure --missing` makes what is missing.

    Raises
    ------
    NothingMatched : there is no such source.
    UsageError : no detections, some that are not of this source, or all that it has.
    """
    old = living(conn, source_id)
    chosen = np.unique(np.asarray(detection_ids, np.int64))
    own = copy_out(conn, _OWN, _OWN_DTYPE, (old,))
    strange = np.setdiff1d(chosen, own["detection_id"])
    if len(strange) and _was_split(conn, old, chosen):
        return []
    if len(strange) or not 0 < len(chosen) < len(own):
        raise UsageError(_not_to_split(old, strange, len(chosen), len(own)))
    before = _rows_before(conn, [old])
    new = _found_source(conn, run_id, before[0], own[np.isin(own["detection_id"], chosen)])
    frames = list(conn.scalars(text(_MEASURED), {"source": old, "ids": chosen.tolist()}))
    moved = move_detections(conn, old, new, chosen.tolist())
    move_forced(conn, old, new, frames)
    change = SourceChange("split", new, old, len(moved), 0, len(frames), 0)
    _write_history(conn, run_id, change, note, moved, frames, [], before)
    renew_sources(conn, [old, new])
    return [change]


_OWN = """
SELECT d.detection_id, d.ra, d.dec, f.mjd FROM detection d JOIN frame f USING (frame_id) WHERE d.source_id = %s
ORDER BY d.detection_id
"""
_OWN_DTYPE = [("detection_id", "i8"), ("ra", "f8"), ("dec", "f8"), ("mjd", "f8")]
_MEASURED = """
SELECT frame_id FROM forced WHERE source_id = :source AND detection_id = ANY(CAST(:ids AS bigint[])) ORDER BY 1
"""


def _was_split(conn: Connection, old: int, chosen: NDArray[np.int64]) -> bool:
    query = "SELECT detections FROM source_history WHERE kind = 'split' AND other_source_id = :old"
    done = conn.scalars(text(query), {"old": old})
    return bool(len(chosen)) and any(np.array_equal(np.sort(ids), chosen) for ids in done)


def _not_to_split(source_id: int, strange: NDArray, n_chosen: int, n_own: int) -> str:
    if len(strange):
        some = ", ".join(map(str, strange[:5].tolist()))
        return f"{len(strange)} of the detections ({some}) are not of source {source_id}; see 'photodb source show'"
    if not n_chosen:
        return (
            f"source {source_id}: none of its {n_own} detections was chosen, so there is nothing to split off"
        )
    return f"source {source_id}: all of its {n_own} detections were chosen; a part is needed"


def _found_source(conn: Connection, run_id: int, old: dict[str, Any], own: NDArray) -> int:
    """Insert the source of detections that are split off and return its key; its mean is left to the caller."""
    known = own[np.isfinite(own["ra"]) & np.isfinite(own["dec"])]
    vector = sky.unit_vectors(known["ra"], known["dec"]).sum(axis=0)
    ra, dec = float(old["ra"]), float(old["dec"])
    if len(known):
        ra = np.degrees(np.arctan2(vector[1], vector[0]))
        dec = np.degrees(np.arctan2(vector[2], np.hypot(*vector[:2])))
    new = np.zeros(1, SOURCE)
    new["ra"], new["dec"], new["n_detections"] = sky.wrap([ra]), dec, len(own)
    new["first_mjd"], new["last_mjd"] = own["mjd"].min(), own["mjd"].max()
    return int(insert_sources(conn, run_id, int(old["field_id"]), new, bool(old["approximate"]))[0])


def _rows_before(conn: Connection, source_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return rows of `source` as JSON has them: numbers that read back as the same, whatever columns there are."""
    query = "SELECT to_jsonb(s) FROM source s WHERE source_id = ANY(:ids) ORDER BY array_position(:ids, source_id)"
    return list(conn.scalars(text(query), {"ids": list(source_ids)}))


def _write_history(
    conn: Connection,
    run_id: int,
    change: SourceChange,
    note: str,
    detections: list[int],
    moved: list[int],
    swapped: list[int],
    before: list[dict[str, Any]],
) -> None:
    values = {"source_id": change.source_id, "other_source_id": change.other_source_id, "kind": change.kind}
    rows = {"detections": detections, "moved_frames": moved, "swapped_frames": swapped, "before": before}
    conn.execute(source_history.insert().values(**values, **rows, note=note, run_id=run_id))
