"""Reject frames with a reason, by hand or by thresholds, and restore them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from photodb.errors import NothingMatched, UsageError
from photodb.storage import framelists, judgements, starlists
from photodb.storage.engine import Database
from photodb.storage.framelists import FrameFilter

from .runs import recorded_run

QUALITY_COLUMNS = (
    "mjd",
    "camera",
    "status",
    "data_min",
    "data_max",
    "dynamic_range",
    "nonuniformity",
    "fwhm",
    "n_detections",
)
SHIFT_COLUMNS = ("mjd", "camera", "status", "shift_x", "shift_y", "shift_rotation", "shift_rms")
ZERO_POINT_COLUMNS = ("mjd", "camera", "status", "solution_status", "zero_point", "gray_loss", "scatter")
UNITS = {name: unit for name, _, unit, _ in framelists.FRAME_COLUMNS}
"""Unit of each column of a list of frames; empty for a pure number or text."""


@dataclass(frozen=True)
class JudgeReport:
    """What a judgement changed: new reason by frame, frames that were so, frames it refused."""

    status: str
    changed: dict[int, str] = field(default_factory=dict)
    unchanged: tuple[int, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True)
class Limits:
    """Thresholds of image quality; None means no limit."""

    min_range: float | None = None  # ADU
    max_nonuniformity: float | None = None  # ADU
    max_fwhm: float | None = None  # px
    max_ellipticity: float | None = None
    min_detections: int | None = None

    def __post_init__(self) -> None:
        _check_finite(self)


@dataclass(frozen=True)
class ShiftLimits:
    """Thresholds of the registration; None means no limit."""

    max_shift: float | None = None  # px
    max_rms: float | None = None  # px
    max_rotation: float | None = None  # deg, from the nearest multiple of 180
    min_stars: int | None = None

    def __post_init__(self) -> None:
        _check_finite(self)


def _check_finite(limits: Limits | ShiftLimits) -> None:
    """Refuse a limit that nothing can break."""
    for name, limit in asdict(limits).items():
        if limit is not None and not np.isfinite(limit):
            raise UsageError(f"{name.replace('_', '-')} {limit}: a limit must be a finite number")


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
    words = [chosen.status or "", chosen.kind or "", "frame"]
    asked = [f"{name} {getattr(chosen, name)}" for name in ("camera", "band", "night")]
    asked = [
        text for text, name in zip(asked, ("camera", "band", "night")) if getattr(chosen, name) is not None
    ]
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
    reason_code: str = "by_hand",
    command: str = "frame reject",
    dry_run: bool = False,
) -> JudgeReport:
    """Reject frames, each with its reason, in one transaction; those rejected already keep their reason."""
    return _judge(db, dict(reasons), "rejected", reason_code, command, dry_run, lambda n: "")


def restore(
    db: Database, frame_ids: Sequence[int], command: str = "frame restore", dry_run: bool = False
) -> JudgeReport:
    """Accept rejected frames; those without measurements stay rejected and are told in `refused`."""

    def refusal(n_detections: int) -> str:
        return "" if n_detections else "it has no measurements: mend the file and ingest it again"

    return _judge(db, dict.fromkeys(frame_ids, ""), "accepted", "", command, dry_run, refusal)


def _judge(
    db: Database,
    reasons: dict[int, str],
    status: str,
    code: str,
    command: str,
    dry_run: bool,
    refusal: Callable[[int], str],
) -> JudgeReport:
    if status == "rejected" and not all(reasons.values()):
        raise UsageError("a frame is rejected with a reason; give one with --reason")
    if dry_run:
        with db.begin() as conn:
            return _plan(judgements.current(conn, list(reasons)), reasons, status, refusal, dry_run=True)
    with recorded_run(db, command, {"frames": sorted(reasons)}, {"reason_code": code}) as run:
        with db.begin() as conn:
            report = _plan(judgements.current(conn, list(reasons)), reasons, status, refusal, dry_run=False)
            judgements.judge(conn, report.changed, status, code, run.run_id)
        run.report.update(status=status, changed=sorted(report.changed), refused=sorted(report.refused))
    return report


def _plan(
    now: dict[int, tuple[str, str, int]],
    reasons: dict[int, str],
    status: str,
    refusal: Callable[[int], str],
    dry_run: bool,
) -> JudgeReport:
    """Sort frames into those to change, those that are so already and those that cannot be."""
    changed, unchanged, refused = {}, [], {}
    for frame_id, (was, reason, n_detections) in now.items():
        if was == status:
            unchanged.append(frame_id)
        elif refusal(n_detections):
            refused[frame_id] = f"{reason}; {refusal(n_detections)}"
        else:
            changed[frame_id] = reasons[frame_id]
    return JudgeReport(status, changed, tuple(unchanged), refused, dry_run)


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
        record["solutions"] = framelists.frame_terms(conn, ids[0])
        record["judgements"] = judgements.history(conn, ids[0])
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


def beyond_limits(db: Database, chosen: FrameFilter, limits: Limits) -> dict[int, str]:
    """Return the accepted science frames that break a quality limit, each with its reason."""
    rules = (
        ("dynamic_range", "dynamic range", "ADU", "<", limits.min_range),
        ("nonuniformity", "background nonuniformity", "ADU", ">", limits.max_nonuniformity),
        ("fwhm", "FWHM", "px", ">", limits.max_fwhm),
        ("ellipticity", "ellipticity", "", ">", limits.max_ellipticity),
        ("n_detections", "detections", "", "<", limits.min_detections),
    )
    return _breakers(db, chosen, rules)


def beyond_shift_limits(db: Database, chosen: FrameFilter, limits: ShiftLimits) -> dict[int, str]:
    """Return the accepted science frames whose registration breaks a limit, each with the reason."""
    rules = (
        ("shift", "shift", "px", ">", limits.max_shift),
        ("shift_rms", "rms of the registration", "px", ">", limits.max_rms),
        ("turn", "rotation", "deg", ">", limits.max_rotation),
        ("astrom_n", "stars of the astrometry", "", "<", limits.min_stars),
    )
    return _breakers(db, chosen, rules)


Rule = tuple[str, str, str, str, float | None]


def _breakers(db: Database, chosen: FrameFilter, rules: Sequence[Rule]) -> dict[int, str]:
    """Apply rules (column, name, unit, '<' or '>', limit) to accepted science frames."""
    rules = [rule for rule in rules if rule[4] is not None]
    if not rules:
        raise UsageError("no limit given; see --help for the limits that there are")
    names = (
        "frame_id dynamic_range nonuniformity fwhm ellipticity n_detections shift_x shift_y shift_rms "
        "shift_rotation astrom_n"
    )
    values = frame_columns(db, _accepted(chosen), tuple(names.split()))
    values["shift"] = np.hypot(values["shift_x"], values["shift_y"])
    turn = np.abs(values["shift_rotation"]) % 180
    values["turn"] = np.minimum(turn, 180 - turn)
    reasons: dict[int, list[str]] = {}
    for column, name, unit, sign, limit in rules:
        value = values[column]
        broken = value < limit if sign == "<" else value > limit
        for row in np.flatnonzero(broken):
            told = f"{name} {value[row]:.4g} {unit}".strip() + f" {sign} {limit:g}"
            reasons.setdefault(int(values["frame_id"][row]), []).append(told)
    return {frame_id: "; ".join(parts) for frame_id, parts in sorted(reasons.items())}


def _accepted(chosen: FrameFilter) -> FrameFilter:
    return FrameFilter("accepted", chosen.camera, chosen.band, chosen.night, "science", chosen.ids)
