"""Measure dynamic range and uniformity again from the frames' files: over a box, or outside of masks.

What ingest measured stays with the frame; the new numbers are rows beside it, and the newest of a frame counts.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from photodb.images.headers import CameraDescription
from photodb.images.quality import Areas
from photodb.images.requality import QualityJob, Remeasured, measure_quality
from photodb.storage import framequality
from photodb.storage.engine import Database
from photodb.storage.framelists import FrameFilter

from .judge import frame_columns
from .progress import Progress, Silent
from .runs import recorded_run
from .shelf import MasterShelf
from .workers import Workers

FRAMES_AT_ONCE = 50
"""Frames of one transaction."""


@dataclass
class RemeasureReport:
    """What a measurement of quality did."""

    n_frames: int = 0
    n_measured: int = 0
    n_known: int = 0  # measured over these very areas already
    failed: dict[int, str] = field(default_factory=dict)  # reason by frame
    dry_run: bool = False

    @property
    def outcome(self) -> str:
        """`done`, or `partial` where a frame could not be measured."""
        return "partial" if self.failed else "done"


def measure(
    db: Database,
    chosen: FrameFilter,
    areas: Areas,
    jobs: int | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RemeasureReport:
    """Measure the quality of the science frames of a filter again; those measured so already are left alone.

    Raises
    ------
    NothingMatched : no frame fits the filter, or it names what the archive does not know.
    """
    progress = progress or Silent()
    columns = frame_columns(db, replace(chosen, kind="science"), ("frame_id", "n_detections"))
    todo, report = _jobs(db, columns["frame_id"][columns["n_detections"] > 0].tolist(), areas)
    report.dry_run = dry_run
    if dry_run or not todo:
        return report
    arguments = {"areas": asdict(areas), "filter": asdict(chosen)}
    n = min(os.cpu_count() or 1 if jobs is None else jobs, len(todo))
    with (
        recorded_run(db, "qa measure", arguments, asdict(areas)) as run,
        Workers(n) as workers,
        MasterShelf(db) as shelf,
    ):
        progress.start(len(todo), "quality")
        corrections = shelf.of_frames([job.frame_id for job in todo])
        todo = [replace(job, correction=corrections[job.frame_id]) for job in todo]
        for part in _parts(workers, todo, areas):
            with db.begin() as conn:
                framequality.insert(conn, run.run_id, [_row(r, areas) for r in part if r.quality is not None])
            report.n_measured += sum(r.quality is not None for r in part)
            report.failed |= {r.frame_id: r.reason for r in part if r.quality is None}
            progress.advance(len(part))
        progress.finish()
        run.outcome = report.outcome
        run.report |= asdict(report)
    return report


def _jobs(db: Database, frame_ids: list[int], areas: Areas) -> tuple[list[QualityJob], RemeasureReport]:
    """Return the frames whose newest measurement is not of these areas."""
    with db.begin() as conn:
        rows = framequality.files(conn, frame_ids)
    box, masks = _flat(areas)
    todo = [row for row in rows if row["masks"] is None or row["box"] != box or row["masks"] != masks]
    descriptions = {r["camera"]: CameraDescription.from_dict(r["description"], r["camera"]) for r in todo}
    jobs = [
        QualityJob(
            r["frame_id"],
            Path(r["path"]),
            r["file_hash"],
            descriptions[r["camera"]],
            r["data_hash"].partition(":")[2],  # a channel of a colour frame is told by its identity
        )
        for r in todo
    ]
    return jobs, RemeasureReport(n_frames=len(rows), n_known=len(rows) - len(todo))


def _parts(workers: Workers, todo: list[QualityJob], areas: Areas) -> Iterator[list[Remeasured]]:
    """Yield the results by `FRAMES_AT_ONCE`."""
    part: list[Remeasured] = []
    work = functools.partial(measure_quality, areas=areas)
    for result in workers.map(work, todo, lambda job: Remeasured(job.frame_id, None, "the process died")):
        part.append(result)
        if len(part) == FRAMES_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _flat(areas: Areas) -> tuple[list[int] | None, list[int]]:
    """Return box and masks as the table holds them."""
    return list(areas.box) if areas.box else None, [edge for mask in areas.masks for edge in mask]


def _row(result: Remeasured, areas: Areas) -> dict[str, Any]:
    assert result.quality is not None
    box, masks = _flat(areas)
    values = asdict(result.quality) | {"dynamic_range": result.quality.dynamic_range}
    return {"frame_id": result.frame_id, "box": box, "masks": masks, **values}
