"""Everything with defaults: ingest, solve, statistics; only what is not done yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photodb.errors import SolveError
from photodb.images.stopwatch import Stopwatch
from photodb.storage.engine import Database
from photodb.storage.todo import Todo, todo

from .ingest import IngestReport, IngestSettings, ingest
from .progress import Progress, Silent
from .solve import SolveSettings, solve
from .stats import stats


@dataclass(frozen=True)
class RunSettings:
    """The settings of the steps."""

    ingest: IngestSettings = field(default_factory=IngestSettings)
    solve: SolveSettings = field(default_factory=SolveSettings)


@dataclass(frozen=True)
class RunReport:
    """What each step reported; None where there was nothing for it to do."""

    ingest: IngestReport
    solve: Any = None
    stats: Any = None
    left: Todo | None = None
    why_not_solved: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether everything had been done before."""
        return (
            self.ingest.n_new == 0 and self.solve is None and self.stats is None and not self.why_not_solved
        )


def run(
    db: Database,
    paths: Sequence[str | Path],
    settings: RunSettings | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Ingest frames, solve over all frames of the archive, and compute the statistics.

    Run again, it does what is new: frames known are not read twice, and a solution is made only where frames
    came or were judged since the published one. Frames that cannot be solved yet stay in the archive;
    `why_not_solved` tells what is missing.
    """
    settings, progress = settings or RunSettings(), progress or Silent()
    clock = Stopwatch()
    ingested = ingest(db, [Path(path) for path in paths], settings.ingest, progress)
    clock.lap("ingest")
    with db.begin() as conn:
        left = todo(conn)
    if settings.ingest.dry_run:
        return RunReport(ingested, left=left, seconds=clock.laps)
    solved, computed, why_not = None, None, ""
    if not left.n_frames:
        why_not = "no accepted frame to solve"
    if left.solve:
        try:
            solved = solve(db, settings.solve, progress)
        except SolveError as error:
            why_not = str(error)
        clock.lap("solve")
    if not why_not and (solved is not None or left.stats):
        computed = stats(db, progress=progress)
        clock.lap("stats")
    return RunReport(ingested, solved, computed, left, why_not, clock.laps)
