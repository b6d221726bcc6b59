"""The demonstration: simulate, make an archive, fill it, solve, search, and compare with the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from photodb.errors import UsageError
from photodb.settings import FILE
from photodb.simulate import Plan, plan, read_truth, write_survey
from photodb.simulate.results import Comparison
from photodb.steps.archive import init_embedded, init_url
from photodb.steps.ingest import IngestSettings
from photodb.steps.progress import Progress, Silent
from photodb.steps.refcat import load_refcat
from photodb.steps.run import RunReport, RunSettings, run
from photodb.steps.truth import compare
from photodb.storage.engine import Database, open_database

SIMULATED = "simulated"
"""Folder of the simulated survey below the demonstration's."""

SETTINGS = "demo.json"
"""File of the demonstration's settings, below `SIMULATED`."""

CATALOGUE = "simulated"
"""Name under which the simulated reference catalogue is loaded."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class DemoSettings:
    """What is simulated."""

    frames: int = 96
    stars: int = 500
    telescopes: int = 2
    nights: int = 3
    seed: int = 1

    def plan(self) -> Plan:
        """Return the survey to simulate."""
        return plan(
            n_frames=self.frames,
            n_stars=self.stars,
            n_telescopes=self.telescopes,
            n_nights=self.nights,
            seed=self.seed,
        )


@dataclass(frozen=True)
class DemoReport:
    """What was done, how long each part took (seconds), and truth beside result."""

    directory: Path
    settings: DemoSettings
    reused: bool
    comparison: Comparison
    seconds: dict[str, float] = field(default_factory=dict)


def run_demo(
    directory: Path,
    settings: DemoSettings | None = None,
    url: str | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> DemoReport:
    """Make a demonstration in a folder: an archive, and the simulated survey below it.

    A folder that holds a demonstration of the same settings is taken up where it was left.

    Raises
    ------
    UsageError : the folder holds something else.
    """
    settings, progress = settings or DemoSettings(), progress or Silent()
    seconds: dict[str, float] = {}
    survey = directory / SIMULATED
    reused = check_folder(directory, settings)
    _timed(seconds, "simulate", lambda: simulate_into(survey, settings, progress))
    _timed(seconds, "init", lambda: init_url(url, directory) if url else init_embedded(directory))
    with open_database(str(directory)) as db:
        seconds |= fill(db, survey, jobs, progress).seconds
        comparison = _timed(seconds, "compare", lambda: compare(db, read_truth(survey)))
    return DemoReport(directory, settings, reused, comparison, seconds)


def check_folder(directory: Path, settings: DemoSettings) -> bool:
    """Tell whether the folder holds a demonstration of these settings already.

    Raises
    ------
    UsageError : it holds something else, or a demonstration of other settings.
    """
    note = directory / SIMULATED / SETTINGS
    if not directory.exists() or not any(directory.iterdir()):
        return False
    if not note.exists():
        what = "an archive" if (directory / FILE).exists() else "files"
        raise UsageError(f"{directory} holds {what} of something else; name a new folder: photodb demo DIR")
    found = json.loads(note.read_text())
    if found != asdict(settings):
        told = ", ".join(
            f"{name} {value}" for name, value in found.items() if value != asdict(settings).get(name)
        )
        raise UsageError(
            f"{directory} holds a demonstration of other settings ({told}); name a new folder: "
            "photodb demo DIR"
        )
    return True


def simulate_into(survey: Path, settings: DemoSettings, progress: Progress) -> None:
    """Write the survey unless it is complete; one that was interrupted is written again."""
    if (survey / "refcat.csv").exists():
        progress.message(f"{survey} is complete already")
        return
    survey.mkdir(parents=True, exist_ok=True)
    (survey / SETTINGS).write_text(json.dumps(asdict(settings)) + "\n")
    made = settings.plan()
    progress.start(len(made.exposures), "simulate")
    write_survey(made, survey, on_frame=lambda path: progress.advance(1, path), overwrite=True)
    progress.finish()


def fill(db: Database, survey: Path, jobs: int | None, progress: Progress) -> RunReport:
    """Load the reference catalogue and run the chain: ingest, solve, statistics."""
    load_refcat(db, survey / "refcat.csv", CATALOGUE)
    return run(db, [survey / "frames"], RunSettings(ingest=IngestSettings(jobs=jobs)), progress)


def _timed(seconds: dict[str, float], name: str, action: Callable[[], Result]) -> Result:
    start = time.monotonic()
    result = action()
    seconds[name] = time.monotonic() - start
    return result
