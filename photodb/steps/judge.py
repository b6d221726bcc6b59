"""Reject frames with a reason, by hand or by thresholds, and restore them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from photodb.core.doubts import words_of
from photodb.errors import NothingMatched, UsageError
from photodb.storage import framelists, framequality, judgements, masters, starlists
from photodb.storage.engine import Connection, Database
from photodb.storage.framelists import FrameFilter
from photodb.storage.judgements import Rejection

from .runs import recorded_run

ZERO_POINT_COLUMNS = ("mjd", "camera", "status", "solution_status", "zero_point", "gray_loss", "scatter")
UNITS = {name: unit for name, _, unit, _ in framelists.FRAME_COLUMNS}
"""Unit of each column of a list of frames; empty for a pure number or text."""


BY_HAND, BY_QUALITY, BY_SHIFT = "by_hand", "qa", "shift"
"""Codes of the reasons of rejections."""


@dataclass(frozen=True)
class JudgeReport:
    """What a judgement changed: new reason by frame, and what became of the other frames."""

    status: str
    changed: dict[int, str] = field(default_factory=dict)
    unchanged: tuple[int, ...] = ()  # so already
    refused: dict[int, str] = field(default_factory=dict)  # why it cannot be
    kept: dict[int, str] = field(default_factory=dict)  # restored, but another rejection stands: its reason
    solution_id: int = -1  # published; -1 if none
    n_in_solution: int = 0  # frames changed that took part in it
    dry_run: bool = False


def check_filter(db: Database, chosen: FrameFilter) -> None:
    """Refuse a filter that names a camera or a band that the archive does not know.

    Raises
    ------
    NothingMatched : the text lists those that there are.
    """
    if chosen.camera is None and chosen.band is None:
        return
    with db.begin() as conn:
        known = {"camera": starlists.camera_names(conn), "band": starlists.band_names(conn)}
    for what, name in (("camera", chosen.camera), ("band", chosen.band)):
        if name is not None and name not in known[what].values():
            there = ", ".join(sorted(known[what].values())) or "none"
            raise NothingMatched(f"no {what} {name} in the archive; {what}s: {there}")


def nothing_matches(chosen: FrameFilter) -> NothingMatched:
    """Return the error that no frame fits a filter, with what it asked for."""
    words = [chosen.status or "", "doubtful" if chosen.doubtful else "", chosen.kind or "", "frame"]
    given = {name: getattr(chosen, name) for name in ("camera", "band", "night", "run")}
    asked = [f"{name} {value}" for name, value in given.items() if value is not None]
    of = f" of {', '.join(asked)}" if asked else ""
    return NothingMatched(
        f"no {' '.join(w for w in words if w)}{of} in the archive; see 'photodb frame list'"
    )


def find_frames(db: Database, names: Sequence[str]) -> list[int]:
    """Return the ids of frames given as ids (12), ranges (12-20) or paths (or ends of paths).

    Raises
    ------
    NothingMatched : a path or an id is not in the archive. UsageError : a range runs backwards.
    """
    ids: list[int] = []
    with db.begin() as conn:
        for name in names:
            ids += _one_name(conn, name)
        known = {row[0] for row in framelists.frames(conn, FrameFilter(ids=tuple(ids)), ("frame_id",))}
    missing = [str(i) for i in ids if i not in known]
    if missing:
        raise NothingMatched(f"no frame {', '.join(missing[:10])} in the archive; see 'photodb frame list'")
    return sorted(set(ids))


def _one_name(conn: Any, name: str) -> list[int]:
    first, _, last = name.partition("-")
    if any(part.isdigit() and int(part) >= 2**63 for part in (first, last)) and not name.strip("0123456789-"):
        raise UsageError(f"{name}: the ids of frames are from 1 to {2**63 - 1}")
    if first.isdigit() and not last:
        return [int(first)]
    if first.isdigit() and last.isdigit():
        if int(last) < int(first) or int(last) - int(first) > 1_000_000:
            raise UsageError(f"{name}: a range of frames runs upwards, over a million at most")
        chosen = FrameFilter(ids=tuple(range(int(first), int(last) + 1)))
        return [row[0] for row in framelists.frames(conn, chosen, ("frame_id",))]
    found = framelists.frames_by_path(conn, name)
    if not found:
        raise NothingMatched(f"no frame with the path {name} in the archive; see 'photodb frame list'")
    return found


def reject(
    db: Database,
    reasons: Mapping[int, str],
    reason_code: str = BY_HAND,
    command: str = "frame reject",
    dry_run: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> JudgeReport:
    """Reject frames, each with its reason, in one transaction.

    A frame that is rejected already keeps the reason that it shows; the new rejection is kept beside it and stands by
    itself. What ingest rejected is left alone.
    """
    if not all(reasons.values()):
        raise UsageError("a frame is rejected with a reason; give one with --reason")
    plan = functools.partial(_plan_rejection, reasons=dict(reasons), code=reason_code)
    if dry_run:
        with db.begin() as conn:
            return replace(plan(conn)[0], dry_run=True)
    told = {"reason_code": reason_code, **(settings or {})}
    with recorded_run(db, command, {"frames": sorted(reasons)}, told) as run:
        with db.begin() as conn:
            report, todo = plan(conn)
            judgements.reject(conn, todo, reason_code, run.run_id)
        run.report.update(status="rejected", changed=sorted(report.changed), judged=sorted(todo))
    return report


def _plan_rejection(
    conn: Connection, reasons: dict[int, str], code: str
) -> tuple[JudgeReport, dict[int, str]]:
    """Return what a rejection will change, and the reasons to write: those of frames rejected already among them."""
    now = judgements.current(conn, list(reasons))
    stands = judgements.standing(conn, list(reasons))
    judged = {r.frame_id for r in stands}
    said = {(r.frame_id, r.reason_code, r.reason) for r in stands}
    changed = {i: reasons[i] for i, (status, _, _) in now.items() if status == "accepted"}
    again = {i: reasons[i] for i in now if i in judged and (i, code, reasons[i]) not in said}
    solution_id, n_used = judgements.used_by_published(conn, list(changed))
    unchanged = tuple(i for i in now if i not in changed)
    report = JudgeReport(
        "rejected", changed, unchanged, solution_id=solution_id, n_in_solution=n_used
    )  # fmt: skip
    return report, dict(sorted((changed | again).items()))


def restore(
    db: Database,
    frame_ids: Sequence[int] | None = None,
    command: str = "frame restore",
    dry_run: bool = False,
    run_id: int | None = None,
    reason_code: str | None = None,
) -> JudgeReport:
    """Withdraw rejections of frames: all that stand, or those of one run or one code; of all frames by default.

    A frame is accepted when no rejection of it is left; else it is told in `kept`. What ingest rejected has no
    measurements, stays rejected and is told in `refused`.

    Raises
    ------
    NothingMatched : no rejection of that run or code stands.
    """

    def select(conn: Connection) -> tuple[JudgeReport, list[Rejection]]:
        stands = judgements.standing(conn, frame_ids)
        chosen = [
            r for r in stands if run_id in (None, r.run_id) and reason_code in (None, r.reason_code)
        ]  # fmt: skip
        if not chosen and frame_ids is None:
            raise _nothing_stands(stands, run_id, reason_code)
        return _plan_restoring(conn, frame_ids, stands, chosen), chosen

    if dry_run:
        with db.begin() as conn:
            return replace(select(conn)[0], dry_run=True)
    arguments = {"frames": frame_ids and sorted(frame_ids), "run": run_id, "reason_code": reason_code}
    with recorded_run(db, command, arguments, {}) as run:
        with db.begin() as conn:
            report, chosen = select(conn)
            if chosen:
                judgements.withdraw(conn, chosen, run.run_id)
        run.report.update(
            status="accepted", changed=sorted(report.changed), refused=sorted(report.refused),
            kept=sorted(report.kept),
        )  # fmt: skip
    return report


def last_judgement(db: Database) -> int:
    """Return the newest run of which a rejection stands.

    Raises
    ------
    NothingMatched : there is none.
    """
    with db.begin() as conn:
        stands = judgements.standing(conn)
    if not stands:
        raise _nothing_stands(stands, None, None)
    return max(r.run_id for r in stands)


def _nothing_stands(stands: list[Rejection], run_id: int | None, code: str | None) -> NothingMatched:
    """Say which rejections could be withdrawn."""
    asked = f" of run {run_id}" if run_id is not None else ""
    asked += f" of the code {code}" if code is not None else ""
    runs = ", ".join(str(i) for i in sorted({r.run_id for r in stands})) or "none"
    codes = ", ".join(sorted({r.reason_code for r in stands})) or "none"
    return NothingMatched(f"no rejection{asked} stands; runs with one: {runs}; codes: {codes}")


def _plan_restoring(
    conn: Connection, frame_ids: Sequence[int] | None, stands: list[Rejection], chosen: list[Rejection]
) -> JudgeReport:
    """Sort frames into those to accept, those that stay rejected, and those that cannot be restored."""
    ids = sorted({r.frame_id for r in chosen}) if frame_ids is None else list(frame_ids)
    withdrawn, mine = {r.frame_judgement_id for r in chosen}, {r.frame_id for r in chosen}
    left = {r.frame_id: r for r in reversed(stands) if r.frame_judgement_id not in withdrawn}
    changed, unchanged, refused, kept = {}, [], {}, {}
    for frame_id, (status, reason, _) in judgements.current(conn, ids).items():
        if status == "accepted":
            unchanged.append(frame_id)
        elif frame_id in left:
            kept[frame_id] = f"{left[frame_id].reason} (run {left[frame_id].run_id})"
        elif frame_id in mine:
            changed[frame_id] = ""
        else:
            refused[frame_id] = f"{reason}; it has no measurements: mend the file and ingest it again"
    solution_id, n_used = judgements.used_by_published(conn, list(changed))
    return JudgeReport("accepted", changed, tuple(unchanged), refused, kept, solution_id, n_used)


def describe_frame(db: Database, name: str) -> dict[str, Any]:
    """Return all that is known of one frame, its solutions and its judgements included.

    Raises
    ------
    NothingMatched : no such frame. UsageError : several frames match.
    """
    ids = find_frames(db, [name])
    if len(ids) != 1:
        raise UsageError(f"{name} means {len(ids)} frames ({', '.join(map(str, ids[:10]))}); give one id")
    with db.begin() as conn:
        record = framelists.frame_row(conn, ids[0])
        assert record is not None  # found above, and frames are never deleted
        record["doubts"] = words_of(record["doubts"])
        record["solutions"] = framelists.frame_terms(conn, ids[0])
        record["judgements"] = judgements.history(conn, ids[0])
        (reduced,) = masters.masters_of_frames(conn, ids)
        record["masters"] = list(reduced["master_ids"])
        record["quality"] = framequality.history(conn, ids[0])
    return record


def frame_columns(db: Database, chosen: FrameFilter, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return columns of frames as arrays, by time; NaN or '' where nothing is known.

    Raises
    ------
    NothingMatched : no frame fits the filter, or it names what the archive does not know.
    """
    check_filter(db, chosen)
    kinds = {name: kind for name, kind, _, _ in framelists.FRAME_COLUMNS}
    with db.begin() as conn:
        rows = framelists.frames(conn, chosen, names)
    if not rows:
        raise nothing_matches(chosen)
    columns = list(zip(*rows, strict=True))
    return {name: _array(column, kinds[name]) for name, column in zip(names, columns, strict=True)}


def _array(column: Sequence[Any], kind: str) -> np.ndarray:
    if kind == "O":
        return np.array(["" if v is None else v for v in column], dtype=str)
    return np.array([np.nan if v is None else v for v in column], dtype=kind)
