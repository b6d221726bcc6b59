"""Merge and split sources: one run, one transaction, under the locks of the sky around them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from photodb.core import clusters, sky
from photodb.errors import NothingMatched, UsageError
from photodb.storage import frames, lightcurves, runs, sourcechanges, sourceids, sourceinfo
from photodb.storage.engine import Connection, Database
from photodb.storage.sourcechanges import SourceChange

from .judge import find_frames
from .runs import recorded_run
from .sourceshow import offsets
from .writeframe import LOCK_MARGIN_DEG, LOCK_ORDER

Work = Callable[[Connection, int], list[SourceChange]]


@dataclass(frozen=True)
class ChangeReport:
    """What a merge or a split changed."""

    source_id: int  # that stays: kept, or split
    changes: tuple[SourceChange, ...]  # none where all was so already
    solution_id: int  # published, with light curves of the sources as they were; -1 if none
    why: str = ""  # what the choice of detections rests on
    dry_run: bool = False


@dataclass(frozen=True)
class SplitRule:
    """Which detections of a source become a source of their own; exactly one of these is given."""

    detections: tuple[int, ...] = ()  # by detection_id
    frames: tuple[str, ...] = ()  # by ids, ranges or paths of frames
    position: bool = False  # those of the smaller of two clusters of positions
    camera: str | None = None
    after_mjd: float | None = None

    def __post_init__(self) -> None:
        given = [self.detections, self.frames, self.position, self.camera, self.after_mjd is not None]
        if sum(map(bool, given)) != 1:
            raise UsageError("split by one of --detections, --frames, --by position, --camera and --after")


def merge(
    db: Database, keep: int, others: Sequence[int], note: str = "", force: bool = False, dry_run: bool = False
) -> ChangeReport:
    """Merge sources into the first, which keeps its id; those merged before are no error.

    Raises
    ------
    NothingMatched : no such source. UsageError : see `sourcechanges.merge_sources`.
    """

    def work(conn: Connection, run_id: int) -> list[SourceChange]:
        _lock(conn, [keep, *others])
        return sourcechanges.merge_sources(conn, run_id, keep, others, note, force)

    arguments = {"keep": keep, "others": list(others), "note": note}
    return _change(db, "source merge", keep, arguments, {"force": force}, work, dry_run)


def split(
    db: Database, source_id: int, rule: SplitRule, note: str = "", dry_run: bool = False
) -> ChangeReport:
    """Make some detections of a source a source of their own.

    Raises
    ------
    NothingMatched : no such source, frame or camera. UsageError : the rule chooses none or all of the detections, or
        their positions are those of one place.
    """
    chosen_frames = frozenset(find_frames(db, rule.frames)) if rule.frames else frozenset()
    why = ""

    def work(conn: Connection, run_id: int) -> list[SourceChange]:
        nonlocal why
        _lock(conn, [source_id])
        own = sourceids.living(conn, source_id)
        chosen, why = _chosen(sourceinfo.detections(conn, own), own, rule, chosen_frames)
        return sourcechanges.split_source(conn, run_id, own, chosen, note)

    arguments = {"source": source_id, "note": note}
    report = _change(db, "source split", source_id, arguments, asdict(rule), work, dry_run)
    return ChangeReport(report.source_id, report.changes, report.solution_id, why, dry_run)


def _chosen(
    seen: Mapping[str, Any], source_id: int, rule: SplitRule, chosen_frames: frozenset[int]
) -> tuple[list[int], str]:
    """Return the detections that a rule chooses, and in words what that rests on."""
    if rule.detections:
        return list(rule.detections), ""
    if rule.position:
        return _by_position(seen, source_id)
    if rule.camera is not None and rule.camera not in seen["camera"]:
        there = ", ".join(np.unique(seen["camera"]).tolist()) or "none"
        raise NothingMatched(
            f"no detection of source {source_id} is of camera {rule.camera}; cameras: {there}"
        )
    if rule.camera is not None:
        rows = seen["camera"] == rule.camera
    elif rule.after_mjd is not None:
        rows = seen["mjd"] > rule.after_mjd
    else:
        rows = np.isin(seen["frame_id"], list(chosen_frames))
    return seen["detection_id"][rows].tolist(), ""


def _by_position(seen: Mapping[str, Any], source_id: int) -> tuple[list[int], str]:
    dx, dy = offsets(seen)
    known = np.isfinite(dx) & np.isfinite(dy)
    found = clusters.two_places(dx[known], dy[known], seen["mjd"][known])
    if known.sum() < clusters.LEAST_POINTS:
        raise UsageError(
            f"source {source_id}: {known.sum()} detections with a position, {clusters.LEAST_POINTS} needed to tell two "
            "places apart; choose them by --detections, --frames, --camera or --after"
        )
    told = (
        f"two places {found.separation_arcsec:.2f} arcsec apart ({found.parted:.1f} standard deviations); the "
        f"criterion of one place is worse by {found.over_one:.0f}, that of a moving one by {found.over_motion:.0f}"
    )
    if not found.sure:
        raise UsageError(
            f"source {source_id}: its positions are those of one place, or of one that moves ({told}; "
            f"{clusters.SURE_BIC:g} and {clusters.LEAST_PARTED:g} needed); 'photodb source show {source_id} --plot "
            "FILE.png' draws them; choose detections by --detections, --frames, --camera or --after"
        )
    return seen["detection_id"][known][found.second].tolist(), told


def _lock(conn: Connection, source_ids: Sequence[int]) -> None:
    """Lock the sky around sources, before they are looked at, as those do who write frames there."""
    rows = [sourceinfo.source_row(conn, sourceids.living(conn, i)) for i in source_ids]
    cells = [sky.cone_cells(row["ra"], row["dec"], LOCK_MARGIN_DEG, LOCK_ORDER) for row in rows]
    frames.lock_cells(conn, np.unique(np.concatenate(cells)))


def _change(
    db: Database, command: str, source_id: int, arguments: Mapping[str, Any], settings: Mapping[str, Any], work: Work,
    dry_run: bool,
) -> ChangeReport:  # fmt: skip
    """Do the work in one transaction, recorded as a run; `dry_run` does it and takes it back."""
    if dry_run:
        with contextlib.suppress(_DryRun), db.begin() as conn:
            report = _report(conn, source_id, work(conn, runs.start_run(conn, command, {}, {})), dry_run)
            raise _DryRun
        return report
    with recorded_run(db, command, arguments, settings) as run:
        with db.begin() as conn:
            report = _report(conn, source_id, work(conn, run.run_id), dry_run)
        run.report |= asdict(report)
    return report


class _DryRun(Exception):
    """Rolls a transaction back on purpose."""


def _report(conn: Connection, source_id: int, changes: list[SourceChange], dry_run: bool) -> ChangeReport:
    ids = {i for change in changes for i in (change.source_id, change.other_source_id)}
    shown = {row["source_id"] for row in sourceinfo.published_mags(conn, sorted(ids))}
    solution_id = lightcurves.published_solution(conn) if shown else -1
    return ChangeReport(sourceids.living(conn, source_id), tuple(changes), solution_id, "", dry_run)


def history(db: Database, source_id: int | None = None) -> list[dict[str, Any]]:
    """Return merges and splits, oldest first: of all sources, or of one with all that was merged into it.

    Raises
    ------
    NothingMatched : no such source, or nothing was merged or split.
    """
    with db.begin() as conn:
        ids = None if source_id is None else sourceids.members(conn, [sourceids.living(conn, source_id)])
        rows = [dict(row) for row in sourceids.history(conn, ids)]
    if not rows:
        of = "no source" if source_id is None else f"source {source_id} never"
        raise NothingMatched(f"{of} was merged or split; see 'photodb source merge --help'")
    return rows
