"""Measure on every frame the sources that it covers, at their known places, detected there or not.

Ingest does so once all its frames are in, so that what a frame is measured for depends neither on the order of the
frames nor on how often the ingest was interrupted. `measure` does what is left, and sources that came later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.flags import Flag
from photodb.core.tangent import TangentWCS
from photodb.errors import UsageError
from photodb.images.forced import ForcedResult, Targets
from photodb.images.headers import CameraDescription
from photodb.images.masterfile import NO_CORRECTION, Correction
from photodb.images.pipeline import ForcedJob, FrameFailure, Scanned, force_file
from photodb.storage import forced, frames
from photodb.storage.engine import Database
from photodb.storage.forced import ForcedFrame
from photodb.storage.framelists import FrameFilter
from photodb.storage.tables import SERIAL_BITS

from .judge import find_frames, frame_columns
from .progress import Progress, Silent
from .runs import recorded_run
from .shelf import MasterShelf
from .workers import Workers
from .writeframe import LOCK_MARGIN_DEG, LOCK_ORDER

SEEN_TWICE = 2
"""Detections from which on a source is measured on every frame that covers it: fewer may be a cosmic ray."""

CRASH = "the process that measured this frame died: out of memory, or a crash in the decompressor"


@dataclass(frozen=True)
class MeasureSettings:
    """What is measured."""

    missing: bool = False  # sources without a measurement on frames that were measured, too
    min_detections: int | None = None  # of a source; None: 2, or 1 with `missing`
    jobs: int | None = None  # worker processes; None: one a core, 0: none
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.min_detections is not None and self.min_detections < 1:
            raise UsageError(f"min_detections {self.min_detections}: 1 or more needed")
        if self.jobs is not None and self.jobs < 0:
            raise UsageError(f"--jobs {self.jobs}: 0 or more needed")

    @property
    def least(self) -> int:
        """Detections that a source needs to be measured where it was not seen."""
        return self.min_detections or (1 if self.missing else SEEN_TWICE)


@dataclass
class MeasureReport:
    """What a measurement did."""

    n_frames: int = 0  # with anything to measure
    n_measured: int = 0  # frames that were
    n_forced: int = 0  # rows written, or that would be
    failed: list[tuple[int, str, str, str]] = field(default_factory=list)  # frame_id, path, code, reason
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)  # CPU seconds over all workers, and of the writer

    @property
    def outcome(self) -> str:
        """`done`, or `partial` where a frame could not be measured."""
        return "partial" if self.failed else "done"


@dataclass(frozen=True)
class _Job:
    """A frame, all the sources to fit on it, and which of them to write."""

    frame: ForcedFrame
    rows: NDArray[Any]  # forced.TARGET
    wanted: NDArray[np.bool_]
    job: ForcedJob


def measure(
    db: Database,
    names: Sequence[str] = (),
    chosen: FrameFilter | None = None,
    settings: MeasureSettings | None = None,
    progress: Progress | None = None,
) -> MeasureReport:
    """Measure frames that wait for it and, with `missing`, sources that have no measurement on those done before.

    Parameters
    ----------
    names : ids, ranges of ids, or paths of frames; all by default. chosen : only the frames of this filter.

    Raises
    ------
    NothingMatched : no such frame.
    """
    settings, progress = settings or MeasureSettings(), progress or Silent()
    began = time.perf_counter()
    todo = _todo(db, names, chosen or FrameFilter(), settings)
    report = MeasureReport()
    if settings.dry_run or not todo:
        for job in _jobs(db, todo, settings.least):
            report.n_frames += 1
            report.n_forced += int(job.wanted.sum())
        return report
    if next(_jobs(db, todo, settings.least), None) is None:
        return report
    arguments = {"frames": list(names), "filter": asdict(chosen or FrameFilter())}
    n = min(os.cpu_count() or 1 if settings.jobs is None else settings.jobs, len(todo))
    with recorded_run(db, "measure", arguments, asdict(settings)) as run, Workers(n) as workers:
        workers.start()
        measure_frames(db, run.run_id, workers, todo, settings.least, report, progress)
        report.seconds = time.perf_counter() - began
        run.outcome = report.outcome
        run.report |= asdict(report)
    return report


def _todo(
    db: Database, names: Sequence[str], chosen: FrameFilter, settings: MeasureSettings
) -> list[ForcedFrame]:
    """Return the frames to look at, by time."""
    ids = frame_columns(
        db, FrameFilter("accepted", chosen.camera, chosen.band, chosen.night, "science"), ("frame_id",)
    )["frame_id"].tolist()
    if names:
        ids = sorted(set(ids) & set(find_frames(db, names)))
    with db.begin() as conn:
        found = forced.frames(conn, ids)
    return [frame for frame in found if settings.missing or frame.n_forced < 0]


def waiting(db: Database) -> tuple[list[ForcedFrame], int]:
    """Return the frames that wait for their forced measurement, by time, and the number of those without a file."""
    with db.begin() as conn:
        found = forced.pending(conn)
    there = [frame for frame in found if Path(frame.path).exists()]
    return there, len(found) - len(there)


def measure_frames(
    db: Database,
    run_id: int,
    workers: Workers,
    todo: Sequence[ForcedFrame],
    least: int,
    report: MeasureReport,
    progress: Progress,
) -> None:
    """Measure frames in the workers and write each in one transaction, in their order."""
    if not todo:
        return
    progress.start(len(todo), "measure")
    with MasterShelf(db) as shelf:
        corrections = shelf.of_frames([frame.frame_id for frame in todo])
        _measure_and_write(db, run_id, workers, _jobs(db, todo, least, corrections), report, progress)
    progress.finish()


def _measure_and_write(
    db: Database,
    run_id: int,
    workers: Workers,
    jobs: Iterator[_Job],
    report: MeasureReport,
    progress: Progress,
) -> None:
    for job, result in _measured(workers, jobs):
        began = time.perf_counter()
        report.n_frames += 1
        if isinstance(result, FrameFailure):
            report.failed.append((job.frame.frame_id, job.frame.path, result.code, result.reason))
        else:
            for stage, seconds in result.seconds.items():
                report.stages[stage] = report.stages.get(stage, 0.0) + seconds
            written = _write(db, run_id, job, result)
            report.n_measured += written >= 0
            report.n_forced += max(written, 0)
        report.stages["write"] = report.stages.get("write", 0.0) + time.perf_counter() - began
        progress.advance(1, Path(job.frame.path).name)


def _measured(workers: Workers, todo: Iterator[_Job]) -> Iterator[tuple[_Job, ForcedResult | FrameFailure]]:
    """Yield each frame's job with its result, in order; jobs are made as the workers need them."""
    sent: list[_Job] = []

    def jobs() -> Iterator[ForcedJob]:
        for job in todo:
            sent.append(job)
            yield job.job

    def crashed(job: ForcedJob) -> ForcedResult | FrameFailure:
        return FrameFailure(job.scanned.path, job.scanned.file_hash, "crashed", CRASH)

    for result in workers.map(_force, jobs(), crashed):
        yield sent.pop(0), result


def _force(job: ForcedJob) -> ForcedResult | FrameFailure:
    """Measure one frame, in a worker."""
    if not job.scanned.path.exists():
        words = f"{job.scanned.path}: the file is gone; put it back, then 'photodb measure' measures it"
        return FrameFailure(job.scanned.path, job.scanned.file_hash, "missing", words)
    return force_file(job)


def _jobs(
    db: Database, todo: Sequence[ForcedFrame], least: int, corrections: Mapping[int, Correction] | None = None
) -> Iterator[_Job]:
    """Yield what there is to measure on each frame; frames with nothing are left out unless they wait for it."""
    for frame in todo:
        with db.begin() as conn:
            rows = forced.targets(conn, frame)
        x, y, inside = _places(frame, rows)
        seen = rows["detection_id"] >= 0
        covered = seen | rows["measured"] | (inside & (rows["n_detections"] >= least))
        rows, x, y = rows[covered], x[covered], y[covered]
        wanted = ~rows["measured"]
        if not wanted.any() and frame.n_forced >= 0:
            continue
        targets = Targets(x, y, rows["x_seen"], rows["y_seen"], rows["snr"])
        correction = (corrections or {}).get(frame.frame_id, NO_CORRECTION)
        yield _Job(frame, rows, wanted, _forced_job(frame, targets, correction))


def _places(frame: ForcedFrame, rows: NDArray[Any]) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Return where sources fall on a frame, px, moved onto its edge if beyond, and whether they lie inside."""
    x, y = TangentWCS.from_dict(frame.wcs).to_pixel(rows["ra"], rows["dec"])
    inside = np.isfinite(x) & np.isfinite(y)
    places = []
    for value, size in ((x, frame.nx), (y, frame.ny)):
        held = np.clip(value, -0.5, size - 0.5)
        inside &= held == value
        places.append(np.where(np.isfinite(value), held, (size - 1) / 2))
    return places[0], places[1], inside


def _forced_job(frame: ForcedFrame, targets: Targets, correction: Correction) -> ForcedJob:
    scanned = Scanned(
        Path(frame.path), frame.file_hash, CameraDescription.from_dict(frame.description, frame.camera),
        new=False, kind="science", mjd_start=frame.mjd_start, wcs_failed=False, exptime=frame.exptime,
        correction=correction, channel=frame.channel,
    )  # fmt: skip
    return ForcedJob(scanned, targets, frame.psf, frame.radii, frame.gain, frame.data_hash)


def _write(db: Database, run_id: int, job: _Job, result: ForcedResult) -> int:
    """Write a frame's measurements in one transaction.

    -1 if it was rejected, placed anew or measured by another process meanwhile.
    """
    frame = job.frame
    rows = _rows(run_id, job, result)[job.wanted]
    with db.begin() as conn:
        cells = sky.cone_cells(frame.ra, frame.dec, frame.radius + LOCK_MARGIN_DEG, LOCK_ORDER)
        frames.lock_cells(conn, cells)
        status, n_forced = forced.state(conn, frame.frame_id)
        if status != "accepted" or (frame.n_forced < 0 <= n_forced) or not forced.still_there(conn, frame):
            return -1
        rows = _one_each(rows, forced.owners(conn, frame.frame_id, rows["source_id"], rows["detection_id"]))
        rows = rows[~np.isin(rows["source_id"], forced.measured_sources(conn, frame.frame_id))]
        corrections = None if n_forced >= 0 else [_correction(c) for c in result.corrections]
        return forced.insert(conn, frame.frame_id, rows, corrections)


def _one_each(rows: NDArray[Any], owner: NDArray[np.int64]) -> NDArray[Any]:
    """Return one row for each source that is still there, its owner's key in it: the best of those merged meanwhile.

    Of two that the frame could not part, one has no flux (DUPLICATE); else that of a detection is better.
    """
    rows = rows[owner >= 0].copy()
    rows["source_id"] = owner[owner >= 0]
    rows["cell"] = rows["source_id"] >> SERIAL_BITS
    worse = np.lexsort((rows["detection_id"] < 0, rows["flags"] & int(Flag.DUPLICATE), rows["source_id"]))
    _, first = np.unique(rows["source_id"][worse], return_index=True)
    return rows[worse[first]]


def _correction(c: Any) -> dict[str, Any]:
    """Return an aperture correction, fit for JSON."""
    return {name: None if value != value else value for name, value in asdict(c).items()}  # NaN is not itself


def _rows(run_id: int, job: _Job, result: ForcedResult) -> NDArray[Any]:
    """Return rows of table `forced`."""
    k = result.flux_aperture.shape[1]
    numbers = ["x", "y", "flux_psf", "flux_psf_err", "psf_chi2", "sky", "sky_err"]
    dtype: list[Any] = [("cell", "i4"), ("frame_id", "i8"), ("source_id", "i8"), ("detection_id", "i8")]
    dtype += [(name, "f4") for name in numbers]
    dtype += [
        ("flux_aperture", "f4", (k,)),
        ("flux_aperture_err", "f4", (k,)),
        ("flags", "i4"),
        ("run_id", "i8"),
    ]
    rows = np.zeros(len(job.rows), dtype)
    for name in ("cell", "source_id", "detection_id"):
        rows[name] = job.rows[name]
    for name in (*numbers, "flux_aperture", "flux_aperture_err"):
        rows[name] = getattr(result, name)
    rows["frame_id"], rows["run_id"] = job.frame.frame_id, run_id
    rows["flags"] = result.flags | np.where(rows["detection_id"] < 0, int(Flag.FORCED), 0)
    return rows
