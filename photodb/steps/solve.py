"""The global photometric solution of the archive: read, solve, write beside the older ones, publish at once."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.zeropoints import ZeroPointSettings, rough_terms, solve_zero_points
from photodb.core.zeropoints_result import ZeroPointSolution
from photodb.storage import measurements, solutions
from photodb.storage.engine import Database

from .choosekinds import Picked, choose, pick_one
from .progress import Progress, Silent
from .runs import recorded_run
from .selection import Read, Selection, SolveSettings, read, select
from .solverows import components_of, floors_of, frame_term_rows, point_rows, source_mag_rows


@dataclass(frozen=True)
class SolveReport:
    """What a solution came to; `solution_id` is -1 for a dry run."""

    solution_id: int
    state: str  # published, draft or dry run
    n_frames: int
    n_sources: int  # with a magnitude, as in the table `solution`
    n_fit_sources: int  # of which took part in the fit
    n_measurements: int  # that took part in the fit
    n_points: int  # of light curves
    chi2_dof: float
    components: list[dict[str, Any]]
    error_floor: dict[str, float | None]  # mag, by camera; None where it could not be fitted
    floor_notes: dict[str, str]  # by camera, where something is to be said
    bright_scatter: float  # mag
    rejected_frames: list[tuple[int, str]]
    lowered_frames: list[tuple[int, str]]  # remarks on frames that take part
    rejected_sources: list[tuple[int, str, str]]  # source_id, band, reason
    photometry: dict[str, int]  # light curves (of a source, band and camera) by the kind that was chosen
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Solved:
    """What was read, the solution, and its rows."""

    selection: Selection
    result: ZeroPointSolution
    points: NDArray[Any]  # solutions.POINT_DTYPE
    mags: NDArray[Any]  # solutions.SOURCE_MAG_DTYPE
    picked: Picked
    seconds: dict[str, float]

    def n_sources(self) -> int:
        """Count the sources with a magnitude in any band."""
        return int(np.unique(self.mags["source_id"][np.isfinite(self.mags["mag"])]).size)

    def n_fit_sources(self) -> int:
        """Count the sources that took part in the fit of any band."""
        return int(np.unique(self.mags["source_id"][self.mags["n_used"] > 0]).size)


def solve(
    db: Database,
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> SolveReport:
    """Solve for all frames and stars of the archive together, write the solution and publish it.

    The solution, its frame terms, magnitudes and light curves are written in one transaction together with the
    change of the published solution: killed at any moment, it leaves the archive as it was.

    Raises
    ------
    SolveError
        The measurements cannot support a solution; nothing was written.
    NothingMatched
        The settings name a band, frame, source or night that the archive does not have.
    """
    settings, progress = settings or SolveSettings(), progress or Silent()
    if dry_run:
        return _report(-1, "dry run", _compute(db, settings, progress))
    with recorded_run(db, "solve", {}, asdict(settings)) as run:
        solved = _compute(db, settings, progress)
        began = time.monotonic()
        progress.start(1, "write")
        solution_id = _write(db, settings, solved, run.run_id)
        progress.advance()
        progress.finish()
        solved.seconds["write"] = time.monotonic() - began
        report = _report(solution_id, "draft" if settings.draft else "published", solved)
        run.report.update(asdict(report))
    return report


def _compute(db: Database, settings: SolveSettings, progress: Progress) -> Solved:
    """Read, solve and make the rows."""
    times = [time.monotonic()]
    progress.start(2, "solve")
    found = read(db, settings)
    times.append(time.monotonic())
    progress.advance(1, f"{len(found.raw.rows)} measurements")
    core = ZeroPointSettings(order=settings.order, min_stars=settings.min_stars)
    picked = _pick(found, settings, core)
    times.append(time.monotonic())
    selection = select(found, picked.detections, settings)
    result = solve_zero_points(selection.measurements, selection.bundle, core)
    times.append(time.monotonic())
    points = point_rows(selection, result)
    mags = source_mag_rows(selection, result, points)
    times.append(time.monotonic())
    progress.advance()
    progress.finish()
    seconds = {name: times[i + 1] - times[i] for i, name in enumerate(("read", "kinds", "solve", "rows"))}
    return Solved(selection, result, points, mags, picked, seconds)


def _pick(found: Read, settings: SolveSettings, core: ZeroPointSettings) -> Picked:
    """Pick the kind of photometry of every measurement: the one asked for, or the better one of each star."""
    first = pick_one(found.raw, settings.photometry)
    if settings.photometry != "auto" or len(found.raw.kinds) < 2:
        return first
    selection = select(found, first.detections, settings)
    terms = rough_terms(selection.measurements, selection.bundle, core)
    return choose(found.raw, selection, terms, settings.order)


def _write(db: Database, settings: SolveSettings, solved: Solved, run_id: int) -> int:
    """Write the solution in one transaction; returns its key."""
    selection, result, points, mags = solved.selection, solved.result, solved.points, solved.mags
    values = {
        "settings": _stored_settings(settings, selection, result),
        "poly_order": settings.order,
        "n_frames": int(result.frame_used.sum()),
        "n_sources": solved.n_sources(),
        "n_measurements": result.n_measurements,
        "chi2": result.chi2,
        "chi2_dof": result.chi2_dof,
        "components": components_of(selection, result, mags),
        "error_floor": floors_of(selection, result)[0],
        "bright_scatter": result.bright_scatter,
        "run_id": run_id,
    }
    with db.begin() as conn:
        solution_id = solutions.insert_solution(conn, values)
        points["solution_id"] = mags["solution_id"] = solution_id
        solutions.insert_frame_terms(conn, frame_term_rows(selection, result, solution_id))
        solutions.insert_source_mags(conn, mags)
        kinds = solved.picked.source_rows
        kinds["solution_id"] = solution_id
        measurements.insert_source_photometry(conn, kinds)
        measurements.insert_frame_photometry(conn, solved.picked.frame_rows(selection.frames, solution_id))
        solutions.insert_points(conn, points)
        if not settings.draft:
            solutions.publish(conn, solution_id)
    return solution_id


def _stored_settings(
    settings: SolveSettings, selection: Selection, result: ZeroPointSolution
) -> dict[str, Any]:
    """Return every setting in force and what was fitted beside the terms, fit for JSON."""
    cameras = [selection.names["camera"][int(c)] for c in selection.cameras]
    floors = {name: asdict(floor) for name, floor in zip(cameras, result.floors)}
    fitted = {
        "floors": floors,
        "tau": dict(zip(cameras, result.tau.tolist())),
        "error_scale": dict(zip(cameras, result.error_scale.tolist())),
        "star_scale": dict(zip(cameras, result.star_scale.tolist())),
        "rounds": result.rounds,
    }
    return {**asdict(settings), "solver": asdict(result.settings), "fitted": fitted}


def _report(solution_id: int, state: str, solved: Solved) -> SolveReport:
    selection, result = solved.selection, solved.result
    frame_id = selection.frames["frame_id"]
    told = [(int(frame_id[i]), reason) for i, reason in enumerate(result.frame_reason) if reason]
    used = dict(zip(frame_id.tolist(), result.frame_used.tolist()))
    rejected = [
        (
            int(selection.sources["source_id"][selection.star_source[j]]),
            selection.names["band"][int(selection.star_band[j])],
            result.star_reason[j],
        )
        for j in np.flatnonzero(result.star_rejected)
    ]
    floors, notes = floors_of(selection, result)
    return SolveReport(
        solution_id=solution_id,
        state=state,
        n_frames=int(result.frame_used.sum()),
        n_sources=solved.n_sources(),
        n_fit_sources=solved.n_fit_sources(),
        n_measurements=result.n_measurements,
        n_points=len(solved.points) if solution_id >= 0 else 0,
        chi2_dof=result.chi2_dof,
        components=components_of(selection, result, solved.mags),
        error_floor=floors,
        floor_notes=notes,
        bright_scatter=result.bright_scatter,
        rejected_frames=[(i, reason) for i, reason in told if not used[i]],
        lowered_frames=[(i, reason) for i, reason in told if used[i]],
        rejected_sources=rejected,
        photometry=solved.picked.counts(),
        seconds=solved.seconds,
    )
