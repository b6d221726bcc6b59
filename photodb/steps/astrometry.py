"""Place frames anew that are in the archive already: from their stored detections, without their pixels.

For frames that were ingested before a catalogue was loaded, or that another catalogue is to place. Each frame is
written in one transaction; its detections keep their measurements and get other positions and sources.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from photodb.errors import NothingMatched, UsageError
from photodb.images.cards import SCALES
from photodb.images.solvefield import SolveField, solver_of
from photodb.storage import frameplaces, judgements, refcats
from photodb.storage.engine import Database
from photodb.storage.framelists import FrameFilter

from .catalogues import Catalogues
from .judge import find_frames, frame_columns
from .place import Placer
from .placestored import Outcome, StoredPlacer
from .progress import Progress, Silent
from .runs import recorded_run

SOURCES_AT_ONCE = 20_000
"""Sources whose means are made anew in one transaction."""


@dataclass(frozen=True)
class AstrometrySettings:
    """How frames are placed anew."""

    refcat: str | None = None  # only this catalogue
    all: bool = False  # also frames that a catalogue placed
    center: tuple[float, float] | None = None  # deg, for frames without any pointing
    scale: float | None = None  # arcsec/px, where it is not known
    blind: str | None = None  # program to ask for frames that no catalogue places: solve-field
    blind_config: str | None = None  # its configuration file
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.scale is not None and not SCALES[0] <= self.scale <= SCALES[1]:
            raise UsageError(f"scale {self.scale} arcsec/px: {SCALES[0]} to {SCALES[1]} believed")
        if self.center is not None and not (0 <= self.center[0] <= 360 and -90 <= self.center[1] <= 90):
            raise UsageError(f"center {self.center}: RA 0 to 360 and Dec -90 to 90 degrees needed")
        solver_of(self.blind, self.blind_config)  # refuses what there is not

    @property
    def solver(self) -> SolveField | None:
        """The program that is asked for frames that no catalogue places, if one was wanted."""
        return solver_of(self.blind, self.blind_config)


@dataclass
class AstrometryReport:
    """What placing frames anew did."""

    n_frames: int = 0  # looked at
    n_placed: int = 0  # got another place
    n_unchanged: int = 0
    kinds: dict[str, int] = field(default_factory=dict)  # frames placed, by kind of astrometry
    placed: list[dict[str, Any]] = field(default_factory=list)
    failed: list[tuple[int, str, str]] = field(default_factory=list)  # frame_id, path, reason
    n_sources: int = 0  # new
    n_left: int = 0  # sources that lost their last detection
    n_forced: int = 0  # forced measurements that went; 'photodb measure' makes them anew
    solution_id: int = -1  # published; -1 if none
    n_in_solution: int = 0  # frames placed that took part in it
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """`done`, or `partial` where a frame could not be placed."""
        return "partial" if self.failed else "done"

    def note(self, outcome: Outcome) -> None:
        """Count one frame."""
        if outcome.change == "gone":
            return
        self.n_frames += 1
        self.n_unchanged += outcome.change == "unchanged"
        if outcome.change == "failed":
            self.failed.append((outcome.frame_id, outcome.path, outcome.reason))
        if outcome.change == "placed":
            self.n_placed += 1
            self.kinds[outcome.after] = self.kinds.get(outcome.after, 0) + 1
            names = ("frame_id", "path", "before", "after", "source", "rms_arcsec", "n_stars", "moved_arcsec")
            self.placed.append({name: getattr(outcome, name) for name in names})
        self.n_sources += outcome.n_sources
        self.n_left += outcome.n_left
        self.n_forced += outcome.n_forced


def solve_astrometry(
    db: Database,
    names: Sequence[str] = (),
    chosen: FrameFilter | None = None,
    settings: AstrometrySettings | None = None,
    progress: Progress | None = None,
) -> AstrometryReport:
    """Place stored frames anew: those that no loaded catalogue placed, or with `all` every accepted science frame.

    Frames that hang on a reference frame follow when it gets a place. Run again, it changes nothing.

    Parameters
    ----------
    names : ids, ranges of ids, or paths of frames; all by default. chosen : only the frames of this filter.

    Raises
    ------
    NothingMatched : no such frame, or no such catalogue.
    ConfigurationError : the program that is to be asked is not there.
    """
    settings, progress = settings or AstrometrySettings(), progress or Silent()
    began = time.perf_counter()
    report = AstrometryReport()
    if settings.solver:
        settings.solver.check()
    catalogues = _catalogues(db, settings.refcat)
    todo = _todo(db, names, chosen or FrameFilter(), settings)
    asked = Placer(settings.center, settings.scale, catalogues=catalogues, blind=settings.solver)
    placer = StoredPlacer(asked, settings.dry_run)
    if settings.dry_run:
        _place_frames(db, -1, placer, todo, report, progress)
    elif todo or _left_over(db):
        arguments = {"frames": list(names), "filter": asdict(chosen or FrameFilter())}
        with recorded_run(db, "astrometry solve", arguments, asdict(settings)) as run:
            _place_frames(db, run.run_id, placer, todo, report, progress)
            _renew_means(db)
            report.seconds = time.perf_counter() - began
            run.outcome = report.outcome
            run.report |= {k: v for k, v in asdict(report).items() if k != "placed"}
    with db.begin() as conn:
        ids = [one["frame_id"] for one in report.placed]
        report.solution_id, report.n_in_solution = judgements.used_by_published(conn, ids)
    report.seconds = time.perf_counter() - began
    return report


def _catalogues(db: Database, name: str | None) -> Catalogues:
    with db.begin() as conn:
        known = {c.name: c for c in refcats.by_priority(conn)}
    if name is None:
        return Catalogues()
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise NothingMatched(
            f"no catalogue {name} in the archive; loaded: {there}; 'photodb refcat load' loads one"
        )
    return Catalogues(only=known[name])


def _todo(db: Database, names: Sequence[str], chosen: FrameFilter, settings: AstrometrySettings) -> list[int]:
    """Return the frames to place by time, but reference frames before those that hang on them."""
    science = FrameFilter("accepted", chosen.camera, chosen.band, chosen.night, "science", run=chosen.run)
    columns = ("frame_id", "astrometry", "n_detections", "reference_frame_id")
    found = frame_columns(db, science, columns)
    named = set(find_frames(db, names)) if names else None
    reference = dict(zip(found["frame_id"].tolist(), found["reference_frame_id"].tolist(), strict=True))
    with db.begin() as conn:
        anew = frameplaces.by_bright_list(conn)
    wanted = {
        frame_id
        for frame_id, kind, n in zip(*(found[c].tolist() for c in columns[:3]), strict=True)
        if n > 0
        and (settings.all or kind != "catalogue" or frame_id in anew)
        and (named is None or frame_id in named)
    }
    if named is not None and not named & reference.keys():
        raise NothingMatched("none of these frames is an accepted science frame; see 'photodb frame list'")
    ordered: dict[int, None] = {}
    for frame_id in reference:  # by time, as ingest has them
        if frame_id in wanted:
            ordered |= dict.fromkeys(i for i in (reference[frame_id], frame_id) if i in wanted)
    return list(ordered)


def _place_frames(
    db: Database, run_id: int, placer: StoredPlacer, todo: list[int], report: AstrometryReport, progress: Progress
) -> None:  # fmt: skip
    """Place frames by catalogues, as long as one that is placed helps others; then by frames what is left."""
    progress.start(len(todo), "place")
    outcomes: dict[int, Outcome] = {}
    left = todo
    while True:
        tried = _round(db, run_id, placer, left, outcomes, progress, by_frames=False)
        failed = [i for i in tried if outcomes[i].change == "failed"]
        if not failed or len(failed) == len(tried):
            break
        left = failed
    _round(db, run_id, placer, failed, outcomes, progress, by_frames=True)
    for outcome in outcomes.values():
        report.note(outcome)
    progress.finish()


def _round(
    db: Database, run_id: int, placer: StoredPlacer, todo: Iterable[int], outcomes: dict[int, Outcome],
    progress: Progress, by_frames: bool,
) -> list[int]:  # fmt: skip
    """Place frames in their order, and those that follow a frame which got a place; return all that were tried."""
    tried: list[int] = []
    waiting = list(todo)
    for frame_id in waiting:
        first = frame_id not in outcomes
        outcome = placer.place(db, run_id, frame_id, by_frames)
        outcomes[frame_id] = outcome
        tried.append(frame_id)
        if first:
            progress.advance(1, outcome.path.rsplit("/", 1)[-1])
        if outcome.change == "placed":
            with db.begin() as conn:
                waiting += [
                    i for i in frameplaces.followers(conn, frame_id) if i not in outcomes and i not in waiting
                ]
    return tried


def _left_over(db: Database) -> bool:
    """Tell whether a run that was killed left means of sources to be made anew."""
    with db.begin() as conn:
        return bool(frameplaces.unrenewed(conn))


def _renew_means(db: Database) -> None:
    """Make the means of the sources that lost detections anew, those of a run that was killed among them."""
    with db.begin() as conn:
        done = frameplaces.unrenewed(conn)
        ids = frameplaces.former_sources(conn, done)
    for k in range(0, len(ids), SOURCES_AT_ONCE):
        with db.begin() as conn:
            frameplaces.renew_means(conn, ids[k : k + SOURCES_AT_ONCE])
    with db.begin() as conn:
        frameplaces.set_renewed(conn, done)
