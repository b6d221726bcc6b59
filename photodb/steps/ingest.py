"""Ingest: from files to rows, each frame measured in a worker and written in one transaction of its own."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from photodb.errors import FrameError, NothingMatched, UsageError
from photodb.images.cards import SCALES
from photodb.images.fits import SUFFIXES, file_hash, is_frame_name
from photodb.images.headers import CameraDescription
from photodb.images.listfiles import SUFFIXES as LIST_SUFFIXES
from photodb.images.listmaps import ListMap
from photodb.images.listmaptoml import load_list_map
from photodb.images.pipeline import FrameFailure, FrameResult, PixelSettings, Scanned, failure_of
from photodb.images.quality import Areas, Box
from photodb.images.rawfiles import tell_raw_files
from photodb.images.solvefield import SolveField, solver_of
from photodb.images.starlists import could_be_list, measure_any, scan_any
from photodb.storage import frames, instruments
from photodb.storage.engine import Database

from .calib import build_for_ingest, masters_pending
from .cameras import Cameras, settle_cameras
from .clocks import check_clocks
from .measure import SEEN_TWICE, MeasureReport, measure_frames, waiting
from .onestar import has_doubles_to_look_for, merge_doubles
from .place import Placer
from .progress import Progress, Silent
from .runs import RecordedRun, recorded_run
from .shelf import CALIBRATION, MasterShelf
from .workers import Workers
from .writeframe import Written, write_failure, write_result


@dataclass(frozen=True)
class IngestSettings:
    """What may be chosen of an ingest."""

    max_stars: int = 2000
    threshold: float = 5.0  # sigmas of the matched filter
    box: Box | None = None  # px, for the dynamic range
    masks: tuple[Box, ...] = ()  # px, left out of the quality and of the stars that register frames
    psf: str | None = None  # moffat, gaussian or none; None: as the camera says
    camera: str | None = None  # name, whatever the header says
    center: tuple[float, float] | None = None  # deg, where headers do not tell
    scale: float | None = None  # arcsec/px
    jobs: int | None = None  # worker processes; None: one a core, 0: none
    list_maps: tuple[str, ...] = ()  # files of column maps for star lists
    blind: str | None = None  # solve-field: what is asked for frames that no catalogue places
    blind_config: str | None = None  # its configuration file
    retry: bool = False  # try frames again that were rejected before they were measured
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.max_stars < 1:
            raise UsageError(f"max_stars {self.max_stars}: 1 or more needed")
        if not 1 <= self.threshold < 1e6:
            raise UsageError(f"threshold {self.threshold}: at least 1 sigma needed")
        if self.scale is not None and not SCALES[0] <= self.scale <= SCALES[1]:
            raise UsageError(f"scale {self.scale} arcsec/px: {SCALES[0]} to {SCALES[1]} believed")
        if self.center is not None and not (0 <= self.center[0] <= 360 and -90 <= self.center[1] <= 90):
            raise UsageError(f"center {self.center}: RA 0 to 360 and Dec -90 to 90 degrees needed")
        solver_of(self.blind, self.blind_config)  # refuses what there is not
        Areas(self.box, self.masks)  # refuses what holds no pixel

    @property
    def solver(self) -> SolveField | None:
        """The program that is asked for frames that no catalogue places, if one was wanted."""
        return solver_of(self.blind, self.blind_config)


@dataclass
class IngestReport:
    """What an ingest did."""

    n_files: int = 0
    n_known: int = 0
    n_new: int = 0
    n_accepted: int = 0
    n_rejected: int = 0
    n_calibration: int = 0
    n_masters: int = 0
    n_ignored: int = 0
    n_detections: int = 0
    n_sources: int = 0
    n_merged: int = 0  # sources that turned out to be one star with another
    n_forced: int = 0  # measurements at known places
    not_measured: list[tuple[int, str, str, str]] = field(
        default_factory=list
    )  # frame_id, path, code, reason
    rejected: list[tuple[str, str, str]] = field(default_factory=list)  # path, code, reason
    assumed: list[str] = field(default_factory=list)
    clocks: list[str] = field(default_factory=list)  # cameras and nights whose clock cannot be right
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)  # CPU seconds over all workers, and of the writer

    @property
    def outcome(self) -> str:
        """`done`, or `partial` where a frame was rejected, or not measured at known places."""
        return "partial" if self.n_rejected or self.not_measured else "done"


def find_files(paths: Iterable[Path], maps: Sequence[ListMap] = ()) -> tuple[list[Path], list[Path]]:
    """Return the frames and star lists among paths, and the other files that the folders among them hold.

    In a folder, frames are known by their FITS names, star lists by what is in them; what is named is taken.

    Raises
    ------
    UsageError : a path does not exist.
    """
    found: dict[Path, None] = {}
    ignored: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            for entry in sorted(p for p in path.rglob("*") if p.is_file()):
                if is_frame_name(entry) or could_be_list(entry, maps):
                    found[entry.resolve()] = None
                else:
                    ignored.append(entry)
        elif path.exists():
            found[path.resolve()] = None
        else:
            raise UsageError(f"{path}: no such file or folder")
    return list(found), ignored


def ingest(
    db: Database,
    paths: Sequence[Path],
    settings: IngestSettings | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Ingest frames: every file ends in the archive as accepted, or rejected with its reason; known ones are skipped.

    Raises
    ------
    UsageError : a path does not exist, the camera named is unknown, or a setting makes no sense.
    ConfigurationError : the program named by `blind` is missing, or its configuration.
    NothingMatched : there is no file to read.
    StorageError : the database cannot be reached or written; what was committed stays.
    """
    settings, progress = settings or IngestSettings(), progress or Silent()
    began = time.perf_counter()
    report = IngestReport()
    maps = [load_list_map(Path(file)) for file in settings.list_maps]
    if settings.solver:
        settings.solver.check()
    files, ignored = find_files(paths, maps)
    report.n_ignored = len(ignored)
    raw = tell_raw_files(ignored)
    known = _descriptions(db, settings.camera)
    report.n_files = len(files)
    if not files:
        where = ", ".join(str(p) for p in paths)
        raise NothingMatched(
            f"no frame and no star list in {where}: {report.n_ignored} other files there{raw and f' ({raw})'}; names "
            f"of frames end in {', '.join(SUFFIXES)}, those of lists in {', '.join(LIST_SUFFIXES)}"
        )
    if raw:
        progress.message(f"files ignored: {report.n_ignored}, {raw}")
    with Workers(_jobs(settings, len(files))) as workers:
        workers.start()
        todo, unreadable = _unknown_files(db, files, settings, report)
        left = masters_pending(db) or waiting(db)[0] or has_doubles_to_look_for(db)
        if settings.dry_run or not (todo or unreadable or left):
            report.n_new = len(todo) + len(unreadable)
            report.seconds = time.perf_counter() - began
            return report
        arguments = {"paths": [str(p) for p in paths]} | ({"maps": [asdict(m) for m in maps]} if maps else {})
        with recorded_run(db, "ingest", arguments, asdict(settings)) as run:
            _ingest_files(db, run, workers, (known, maps), todo, unreadable, settings, report, progress)
            report.clocks = [str(finding) for finding in check_clocks(db, run.run_id)]
            for text in report.clocks:
                progress.message(text)
            report.n_merged = merge_doubles(db, run.run_id)
            _measure_sources(db, run, workers, report, progress)
            report.seconds = time.perf_counter() - began
            run.outcome = report.outcome
            run.report |= {k: v for k, v in asdict(report).items() if k != "rejected"}
    return report


def _jobs(settings: IngestSettings, n_files: int) -> int:
    jobs = os.cpu_count() or 1 if settings.jobs is None else settings.jobs
    if jobs < 0:
        raise UsageError(f"--jobs {jobs}: 0 or more needed")
    return min(jobs, max(n_files, 1))


def _unknown_files(
    db: Database, files: list[Path], settings: IngestSettings, report: IngestReport
) -> tuple[list[tuple[Path, str]], list[FrameFailure]]:
    """Leave out files whose bytes are in the archive; return the rest with their hashes, and the unreadable ones."""
    hashed: list[tuple[Path, str]] = []
    failures: list[FrameFailure] = []
    for path in files:
        try:
            hashed.append((path, file_hash(path)))
        except FrameError as error:
            failures.append(FrameFailure(path, "", error.code, str(error)))
    with db.begin() as conn:
        if settings.retry and not settings.dry_run:
            frames.forget_rejected(conn, [h for _, h in hashed])
        known = set(frames.known_file_hashes(conn))
    seen: set[str] = set()
    todo = []
    for path, digest in hashed:
        if digest not in known and digest not in seen:
            seen.add(digest)
            todo.append((path, digest))
    report.n_known = len(hashed) - len(todo)
    return todo, failures


def _ingest_files(
    db: Database, run: RecordedRun, workers: Workers, known: tuple[list[CameraDescription], list[ListMap]],
    todo: list[tuple[Path, str]], failures: list[FrameFailure],
    settings: IngestSettings, report: IngestReport, progress: Progress,
) -> None:  # fmt: skip
    look = functools.partial(_scan, known=known[0], camera=settings.camera, maps=known[1])
    scanned: list[Scanned] = []
    for found in workers.map(look, todo, lambda job: FrameFailure(job[0], job[1], "crashed", CRASH)):
        (scanned if isinstance(found, Scanned) else failures).append(found)  # type: ignore[arg-type]
    scanned.sort(key=lambda s: (s.wcs_failed, s.mjd_start, str(s.path)))
    cameras = settle_cameras(db, run.run_id, scanned, report.assumed, workers)
    for text in report.assumed:
        progress.message(text)
    scanned = _each_channel(db, [cameras.settled(s) for s in scanned])
    progress.start(len(scanned) + len(failures), "ingest")
    for failure in failures:
        _note(report, failure.path, write_failure(db, run.run_id, failure))
        progress.advance(1, failure.path.name)
    others = [s for s in scanned if s.kind not in CALIBRATION]
    calibration = [s for s in scanned if s.kind in CALIBRATION]
    _measure_and_write(db, run, workers, calibration, cameras, settings, report, progress)
    report.n_masters = build_for_ingest(db, run.run_id, workers, progress).n_accepted
    with MasterShelf(db, list(cameras.descriptions)) as shelf:
        science, refused = shelf.equip(others)
        for failure in refused:
            _note(report, failure.path, write_failure(db, run.run_id, failure))
            progress.advance(1, failure.path.name)
        _measure_and_write(db, run, workers, science, cameras, settings, report, progress)
    progress.finish()


def _measure_sources(
    db: Database, run: RecordedRun, workers: Workers, report: IngestReport, progress: Progress
) -> None:
    """Measure all frames that wait for it at the places of the sources, now that all frames are in."""
    todo, n_gone = waiting(db)
    if n_gone:
        progress.message(
            f"{n_gone} frames of earlier runs wait to be measured at the places of their sources, and their files "
            "are gone: put them back, then run 'photodb measure'"
        )
    measured = MeasureReport()
    measure_frames(db, run.run_id, workers, todo, SEEN_TWICE, measured, progress)
    report.n_forced, report.not_measured = measured.n_forced, measured.failed
    for stage, seconds in measured.stages.items():
        report.stages[f"forced: {stage}"] = seconds


def _each_channel(db: Database, scanned: list[Scanned]) -> list[Scanned]:
    """Return a frame for each channel of each file, but those that are stored: each is written by itself."""
    with db.begin() as conn:
        stored = frames.stored_channels(conn, [s.file_hash for s in scanned if s.channels != ("",)])
    return [
        replace(s, channel=channel)
        for s in scanned
        for channel in s.channels
        if channel not in stored.get(s.file_hash, ())
    ]


CRASH = "the process that read this file died: out of memory, or a crash in the decompressor"


def _scan(
    job: tuple[Path, str], known: list[CameraDescription], camera: str | None, maps: list[ListMap]
) -> Scanned | FrameFailure:
    return scan_any(job[0], job[1], known, camera, maps)


def _descriptions(db: Database, camera: str | None) -> list[CameraDescription]:
    """Return the archive's descriptions first, then the packaged ones that it does not have."""
    from photodb.images.headers import packaged

    with db.begin() as conn:
        own = [CameraDescription.from_dict(c.description, c.name) for c in instruments.list_cameras(conn)]
    names = {d.name for d in own}
    known = own + [d for d in packaged() if d.name not in names]
    if camera and camera not in {d.name for d in known}:
        raise UsageError(f"no camera {camera!r}; known are {', '.join(sorted(d.name for d in known))}")
    return known


def _measure_and_write(
    db: Database, run: RecordedRun, workers: Workers, scanned: list[Scanned], cameras: Cameras,
    settings: IngestSettings, report: IngestReport, progress: Progress,
) -> None:  # fmt: skip
    areas = Areas(settings.box, settings.masks)
    pixel = PixelSettings(settings.max_stars, settings.threshold, areas, settings.psf)
    placer = Placer(settings.center, settings.scale, blind=settings.solver)
    work = functools.partial(measure_any, settings=pixel, scale=settings.scale)
    for result in workers.map(work, scanned, lambda s: failure_of(s, "crashed", CRASH)):
        began = time.perf_counter()
        if isinstance(result, FrameResult):
            for stage, seconds in result.seconds.items():
                report.stages[stage] = report.stages.get(stage, 0.0) + seconds
            written = write_result(db, run.run_id, result, cameras, placer, report.stages)
        else:
            written = write_failure(db, run.run_id, result)
        _note(report, result.path, written)
        report.stages["write (all)"] = report.stages.get("write (all)", 0.0) + time.perf_counter() - began
        progress.advance(1, result.path.name)


def _note(report: IngestReport, path: Path, written: Written) -> None:
    """Count one frame."""
    if written.status == "known":
        report.n_known += 1
        return
    report.n_new += 1
    report.n_detections += written.n_detections
    report.n_sources += written.n_sources
    if written.status == "rejected":
        report.n_rejected += 1
        report.rejected.append((str(path), written.code, written.reason))
    elif written.kind == "science":
        report.n_accepted += 1
    else:
        report.n_calibration += 1
