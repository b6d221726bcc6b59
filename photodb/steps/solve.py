"""The global photometric solution of the archive: read, solve, write beside the older ones, publish at once."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.columns import Frames, Measurements
from photodb.core.flags import BAD
from photodb.core.terms import MAX_ORDER, scale_pixels
from photodb.core.zeropoints import ZeroPointSettings, solve_zero_points
from photodb.core.zeropoints_result import ZeroPointSolution
from photodb.errors import NothingMatched, SolveError, UsageError
from photodb.storage import solutions
from photodb.storage.engine import Database

from .progress import Progress, Silent
from .runs import recorded_run
from .solverows import components_of, floors_of, frame_term_rows, point_rows, source_mag_rows


@dataclass(frozen=True)
class SolveSettings:
    """What goes into a solution, and how it is solved."""

    bands: tuple[str, ...] = ()  # names; all if empty
    order: int = 2  # of the spatial polynomial of a frame
    min_stars: int = 5  # stars shared with other frames that a frame needs
    max_mag_err: float = 0.2  # mag; fainter measurements get magnitudes, but take no part in the fit
    exclude_frames: tuple[int, ...] = ()  # frame_id
    exclude_sources: tuple[int, ...] = ()  # source_id: kept out of the fit, calibrated all the same
    exclude_nights: tuple[int, ...] = ()  # MJD of the local noon that began them
    draft: bool = False  # write the solution, but do not publish it

    def __post_init__(self) -> None:
        if not 0 <= self.order <= MAX_ORDER:
            raise UsageError(f"order {self.order}: the spatial polynomial has order 0 to {MAX_ORDER}")
        if self.min_stars < 2:
            raise UsageError(
                f"min_stars {self.min_stars}: a frame needs 2 stars in common with others at least"
            )
        if not (np.isfinite(self.max_mag_err) and self.max_mag_err > 0):
            raise UsageError(f"max_mag_err {self.max_mag_err}: must be a finite number of magnitudes above 0")


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
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """What was read for a solution, with the dense indices of the solver."""

    frames: NDArray[Any]  # solutions.FRAME_DTYPE
    detections: NDArray[Any]  # solutions.DETECTION_DTYPE
    sources: NDArray[Any]  # solutions.SOURCE_DTYPE
    star_source: NDArray[np.int64]  # (n_stars,) row in `sources`
    star_band: NDArray[np.int64]  # (n_stars,) band_id
    fit: NDArray[np.bool_]  # (n_detections,) may take part in the fit
    measurements: Measurements  # of every detection; those that may not take part have error NaN
    bundle: Frames
    names: dict[str, dict[int, str]]  # of bands, cameras, telescopes and fields
    cameras: NDArray[np.int64]  # camera_id by dense index
    excluded_sources: tuple[int, ...]


@dataclass(frozen=True)
class Solved:
    """What was read, the solution, and its rows."""

    selection: Selection
    result: ZeroPointSolution
    points: NDArray[Any]  # solutions.POINT_DTYPE
    mags: NDArray[Any]  # solutions.SOURCE_MAG_DTYPE
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
    selection = _read(db, settings)
    times.append(time.monotonic())
    progress.advance(1, f"{len(selection.detections)} measurements")
    core = ZeroPointSettings(order=settings.order, min_stars=settings.min_stars)
    result = solve_zero_points(selection.measurements, selection.bundle, core)
    times.append(time.monotonic())
    points = point_rows(selection, result)
    mags = source_mag_rows(selection, result, points)
    times.append(time.monotonic())
    progress.advance()
    progress.finish()
    seconds = {name: times[i + 1] - times[i] for i, name in enumerate(("read", "solve", "rows"))}
    return Solved(selection, result, points, mags, seconds)


def _read(db: Database, settings: SolveSettings) -> Selection:
    with db.begin() as conn:
        names = {table: solutions.names(conn, table) for table in ("band", "camera", "telescope", "field")}
        unknown = sorted(set(settings.bands) - set(names["band"].values()))
        if unknown:
            known = ", ".join(sorted(names["band"].values())) or "none"
            raise NothingMatched(f"there is no band {', '.join(unknown)}; the archive has {known}")
        _check_exclusions(conn, settings)
        frames = solutions.read_frames(conn, settings.bands)
        left_out = np.isin(frames["frame_id"], settings.exclude_frames)
        frames = frames[~(left_out | np.isin(frames["night"], settings.exclude_nights))]
        if not len(frames):
            raise SolveError("there is no accepted frame to solve; see 'photodb frame list'")
        detections = solutions.read_detections(conn, frames["frame_id"])
        if not len(detections):
            raise SolveError(f"none of the {len(frames)} accepted frames has a detection with a source")
        sources = solutions.read_sources(conn, np.unique(detections["source_id"]))
    return select(frames, detections, sources, names, settings)


def _check_exclusions(conn: Any, settings: SolveSettings) -> None:
    """Refuse to leave out what is not there: a misspelt number would go unnoticed."""
    excluded = {
        "frame": settings.exclude_frames,
        "source": settings.exclude_sources,
        "night": settings.exclude_nights,
    }
    for what, numbers in excluded.items():
        absent = solutions.absent(conn, what, numbers)
        if absent:
            raise NothingMatched(
                f"cannot leave out {what} {', '.join(map(str, absent))}: the archive has none such"
            )


def select(
    frames: NDArray[Any],
    detections: NDArray[Any],
    sources: NDArray[Any],
    names: dict[str, dict[int, str]],
    settings: SolveSettings,
) -> Selection:
    """Choose what may take part in the fit and number frames, cameras, bands and stars densely."""
    known = np.isin(detections["source_id"], sources["source_id"])
    detections = detections[known]
    frame = np.searchsorted(frames["frame_id"], detections["frame_id"])
    source = np.searchsorted(sources["source_id"], detections["source_id"])
    bands, band = np.unique(frames["band_id"], return_inverse=True)
    cameras, camera = np.unique(frames["camera_id"], return_inverse=True)
    pairs, star = np.unique(source * bands.size + band[frame], return_inverse=True)
    mag_err = detections["mag_err"].astype(np.float64)
    fit = (detections["flags"] & int(BAD)) == 0
    fit &= np.isfinite(detections["mag"]) & (mag_err > 0) & (mag_err <= settings.max_mag_err)
    fit &= ~np.isin(detections["source_id"], settings.exclude_sources)
    x, y = scaled_positions(frames[frame], detections)
    area = frames["aperture_area"]
    guess = np.where(area > 0, 2.5 * np.log10(np.where(area > 0, area, 1.0)), 0.0)
    mag = detections["mag"].astype(np.float64)
    share = star_share(mag, mag_err, frames["exptime"][frame])
    measurements = Measurements(star, frame, x, y, mag, np.where(fit, mag_err, np.nan), share)
    return Selection(
        frames=frames,
        detections=detections,
        sources=sources,
        star_source=pairs // bands.size,
        star_band=bands[pairs % bands.size],
        fit=fit,
        measurements=measurements,
        bundle=Frames(camera, band, guess),
        names=names,
        cameras=cameras,
        excluded_sources=settings.exclude_sources,
    )


def star_share(
    mag: NDArray[np.float64], mag_err: NDArray[np.float64], exptime: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of mag_err squared that the star's own photons make, (n,); 0 where it is not known.

    Of a flux of N electrons they make (1.0857 / N^0.5)^2.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        electrons = exptime * 10 ** (-0.4 * mag)
        share = (2.5 / np.log(10)) ** 2 / (electrons * mag_err**2)
    return np.where(np.isfinite(share), np.clip(share, 0.0, 1.0), 0.0)


def scaled_positions(
    frames: NDArray[Any], detections: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions scaled to [-1, 1], each on its frame; 0 where the size of the frame is unknown."""
    both = []
    for axis, size in (("x", "nx"), ("y", "ny")):
        scaled = scale_pixels(detections[axis], frames[size])
        both.append(np.where((frames[size] > 0) & np.isfinite(scaled), scaled, 0.0))
    return both[0], both[1]


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
        seconds=solved.seconds,
    )
