"""Statistics and variability of every source of the published solution."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import Flag
from photodb.core.footprints import count_coverage
from photodb.core.periods import best_period
from photodb.core.variability import compute_indices, quality_flags
from photodb.core.variability.candidates import Verdict, judge
from photodb.core.variability.compute import clean_series
from photodb.core.variability.references import N_CANDIDATES, best_references
from photodb.core.variability.seeing import explained_by_seeing
from photodb.storage import solutions
from photodb.storage import stats as stats_rows
from photodb.storage.engine import Database

from .classes import SIZE_FLOOR, fill_classes
from .progress import Progress, Silent
from .runs import recorded_run

BAD_FRAME_OUTLIERS = 0.11
FAR_OUT = 3.0
"""Share of a frame's stars beyond 3 sigma above which the frame is called bad in a veto."""


EDGE_MARGIN, EDGE_SHARE = 0.03, 0.2
"""A source that lies in this outer share of a frame's sides on more than EDGE_SHARE of its frames is vetoed."""


@dataclass(frozen=True)
class StatsSettings:
    """How statistics are judged."""

    min_epochs: int = 6  # good points that a star needs to be judged, and to be a neighbour
    max_periods: int = 100  # best candidates whose periods are searched


@dataclass(frozen=True)
class StatsReport:
    """What the statistics came to."""

    solution_id: int
    n_rows: int
    n_sources: int
    n_candidates: int
    n_periods: int  # candidates whose period was searched
    n_reference_stars: int
    quality_flags: dict[int, int]  # stars by quality flag
    seconds: dict[str, float] = field(default_factory=dict)


def stats(
    db: Database,
    settings: StatsSettings | None = None,
    progress: Progress | None = None,
    solution_id: int | None = None,
    dry_run: bool = False,
) -> StatsReport:
    """Compute the statistics of a solution, the published one by default, and replace its rows in one transaction.

    Raises
    ------
    NothingMatched
        There is no such solution, or none is published.
    """
    settings, progress = settings or StatsSettings(), progress or Silent()
    with db.begin() as conn:
        solution_id = int(solutions.get(conn, solution_id)["solution_id"])
    if dry_run:
        return _compute(db, solution_id, settings, progress)[1]
    with recorded_run(db, "stats", {"solution_id": solution_id}, asdict(settings)) as run:
        rows, report = _compute(db, solution_id, settings, progress)
        began = time.monotonic()
        rows["run_id"] = run.run_id
        with db.begin() as conn:
            solutions.get(conn, solution_id)
            stats_rows.replace(conn, solution_id, rows)
        report.seconds["write"] = time.monotonic() - began
        run.report.update(asdict(report))
    return report


def _compute(
    db: Database, solution_id: int, settings: StatsSettings, progress: Progress
) -> tuple[NDArray[Any], StatsReport]:
    began = time.monotonic()
    with db.begin() as conn:
        points = stats_rows.read_points(conn, solution_id)
        frames = stats_rows.read_frames(conn, solution_id)
        sources = stats_rows.read_sources(conn, solution_id)
        shapes = stats_rows.read_shapes(conn, solution_id, SIZE_FLOOR)
    read = time.monotonic()
    points = points[np.isin(points["frame_id"], frames["frame_id"])]
    telescope = frames["telescope_id"][np.searchsorted(frames["frame_id"], points["frame_id"])]
    several = np.unique(frames["telescope_id"])
    samples = [0, *several.tolist()] if several.size > 1 else [0]
    progress.start(len(samples), "statistics")
    parts = []
    for number in samples:
        mine = points if number == 0 else points[telescope == number]
        here = frames if number == 0 else frames[frames["telescope_id"] == number]
        parts.append(_sample(mine, here, sources, number, settings))
        progress.advance()
    rows = np.concatenate(parts)
    rows["solution_id"] = solution_id
    fill_classes(rows, shapes)
    computed = time.monotonic()
    n_periods = _search_periods(rows, points, settings)
    progress.finish()
    seconds = {"read": read - began, "compute": computed - read, "periods": time.monotonic() - computed}
    whole = rows[rows["telescope_id"] == 0]
    flags, counts = np.unique(whole["quality_flag"], return_counts=True)
    return rows, StatsReport(
        solution_id=solution_id,
        n_rows=len(rows),
        n_sources=int(np.unique(whole["source_id"]).size),
        n_candidates=int(whole["candidate"].sum()),
        n_periods=n_periods,
        n_reference_stars=int(whole["reference_star"].sum()),
        quality_flags=dict(zip(flags.tolist(), counts.tolist())),
        seconds=seconds,
    )


def _sample(
    points: NDArray[Any],
    frames: NDArray[Any],
    sources: NDArray[Any],
    telescope_id: int,
    settings: StatsSettings,
) -> NDArray[Any]:
    """Return the rows of all sources and bands that have points in one sample of points."""
    star = _star_of(sources, points)
    bad = ~stats_rows.good_points(points)
    good = np.flatnonzero(~bad)
    n = len(sources)
    series = clean_series(star[good], points["mjd"][good], points["mag"][good], points["mag_err"][good], n)
    indices = compute_indices(series)
    n_good = np.diff(series.start)
    covering = _covering(frames, sources, 0.0)
    looked = np.maximum(covering, n_good + np.bincount(star[bad], minlength=n))
    n_bad = looked - n_good  # flagged, or missing on a frame that covers the source
    fraction = n_bad / np.maximum(looked, 1)
    rows = np.zeros(n, stats_rows.STAT_DTYPE)
    for name in ("cell", "source_id", "band_id"):
        rows[name] = sources[name]
    rows["telescope_id"], rows["n_obs"], rows["n_bad"], rows["bad_fraction"] = (
        telescope_id,
        n_good,
        n_bad,
        fraction,
    )
    rows["quality_flag"] = quality_flags(series, fraction)
    for i, name in enumerate(stats_rows.INDEX_NAMES):
        rows[name] = indices[:, i]
    rows["period"] = rows["period_fap"] = np.nan
    rows["z"], rows["tags"] = "{}", [[] for _ in range(n)]
    edge = _covering(frames, sources, EDGE_MARGIN) < (1.0 - EDGE_SHARE) * covering
    marked = {"edge": edge, "seeing": _by_seeing(points[good], star[good], frames, n)}
    marked["bad_frames"] = _outliers_on_bad_frames(rows, points[good], star[good], frames)
    _judge_samples(rows, indices, sources, points, star, marked, settings)
    if telescope_id == 0:
        _mark_references(rows, points[good], star[good], frames, sources)
    seen = np.bincount(star, minlength=n) > 0
    return rows[seen | (telescope_id == 0)]


def _by_seeing(
    points: NDArray[Any], star: NDArray[np.integer], frames: NDArray[Any], n: int
) -> NDArray[np.bool_]:
    """Mark the stars whose light curves telescope and seeing explain, (n,)."""
    frame = np.searchsorted(frames["frame_id"], points["frame_id"])
    telescope, fwhm = frames["telescope_id"][frame], frames["fwhm"][frame]
    return explained_by_seeing(star, telescope, fwhm, points["mag"], points["mag_err"], n)


def _star_of(sources: NDArray[Any], points: NDArray[Any]) -> NDArray[np.int64]:
    """Return the row of `sources` (ordered by source and band) of each point."""
    bands = np.unique(sources["band_id"])
    ids = np.unique(sources["source_id"])

    def key(rows: NDArray[Any]) -> NDArray[np.int64]:
        return np.searchsorted(ids, rows["source_id"]) * bands.size + np.searchsorted(bands, rows["band_id"])

    return np.asarray(np.searchsorted(key(sources), key(points)))


def _covering(frames: NDArray[Any], sources: NDArray[Any], margin: float) -> NDArray[np.int64]:
    """Count the frames of its band that cover each source, `margin` cut off along the edges."""
    covering = np.zeros(len(sources), dtype=np.int64)
    for band in np.unique(sources["band_id"]):
        mine = np.flatnonzero(sources["band_id"] == band)
        here = frames[frames["band_id"] == band]
        covering[mine] = count_coverage(here, sources["ra"][mine], sources["dec"][mine], margin)
    return covering


def _judge_samples(
    rows: NDArray[Any],
    indices: NDArray[np.float64],
    sources: NDArray[Any],
    points: NDArray[Any],
    star: NDArray[np.integer],
    marked: dict[str, NDArray[np.bool_]],
    settings: StatsSettings,
) -> None:
    """Judge each band and component by itself, in place: neighbours in magnitude must be comparable."""
    n = len(rows)
    n_points = np.maximum(np.bincount(star, minlength=n), 1)

    def mostly(flag: Flag) -> NDArray[np.bool_]:
        return np.asarray(np.bincount(star[(points["flags"] & int(flag)) != 0], minlength=n) > 0.5 * n_points)

    vetoes = {
        "edge": marked["edge"] | mostly(Flag.EDGE),
        "blend": mostly(Flag.BLEND),
        "bad_frames": marked["bad_frames"],
        "bad_points": rows["quality_flag"] < 0,
        "seeing": marked["seeing"],
    }
    enough = rows["n_obs"] >= settings.min_epochs
    sample = sources["band_id"] * (int(sources["component"].max(initial=0)) + 2) + sources["component"]
    for value in np.unique(sample[enough]):
        mine = np.flatnonzero(enough & (sample == value))
        here = {name: who[mine] for name, who in vetoes.items()}
        verdict = judge(indices[mine], rows["n_obs"][mine], here, sound=~here["seeing"])
        _write_verdict(rows, mine, verdict)


def _write_verdict(rows: NDArray[Any], mine: NDArray[np.integer], verdict: Verdict) -> None:
    rows["candidate"][mine] = verdict.candidate
    rows["score"][mine] = verdict.score
    for i, j in enumerate(mine):
        rows["tags"][j] = verdict.tags[i]
        z = {name: round(float(values[i]), 2) for name, values in verdict.z.items() if np.isfinite(values[i])}
        rows["z"][j] = json.dumps(z)


def _outliers_on_bad_frames(
    rows: NDArray[Any], points: NDArray[Any], star: NDArray[np.integer], frames: NDArray[Any]
) -> NDArray[np.bool_]:
    """Mark stars of whose points beyond 3 sigma half lie on bad frames and stand out no more than others there.

    What is `FAR_OUT` times farther off than 95 % of the stars of a bad frame is not the frame's doing.
    """
    pull = np.abs(points["mag"] - rows["median_mag"][star]) / points["mag_err"]
    outlying = pull > 3.0
    frame_id, frame = np.unique(points["frame_id"], return_inverse=True)
    share = np.bincount(frame, weights=outlying) / np.maximum(np.bincount(frame), 1)
    usual = np.zeros(share.size)
    for bad in np.flatnonzero(share > _most_outliers(share, frame_id, frames)):
        usual[bad] = np.nanquantile(pull[frame == bad], 0.95)
    on_bad = outlying & (pull <= FAR_OUT * usual[frame])
    n = len(rows)
    total, there = np.bincount(star[outlying], minlength=n), np.bincount(star[on_bad], minlength=n)
    # a variable's outliers lie on bad frames as often as its points do; those that bad frames make, far more often
    by_chance = np.bincount(star, (usual > 0)[frame], n) / np.maximum(np.bincount(star, minlength=n), 1)
    return np.asarray((total > 0) & (there >= 0.5 * total) & (there > 2.0 * by_chance * total))


def _most_outliers(
    share: NDArray[np.float64], frame_id: NDArray[np.integer], frames: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the share of outliers above which a frame is bad: twice what is usual with its telescope, at least.

    Stars of two telescopes whose pass bands differ are off on all frames of one, none of which is bad for that.
    """
    telescope = frames["telescope_id"][np.searchsorted(frames["frame_id"], frame_id)]
    limit = np.full(share.size, BAD_FRAME_OUTLIERS)
    for number in np.unique(telescope):
        mine = telescope == number
        limit[mine] = max(BAD_FRAME_OUTLIERS, 2.0 * float(np.median(share[mine])))
    return limit


def _mark_references(
    rows: NDArray[Any],
    points: NDArray[Any],
    star: NDArray[np.integer],
    frames: NDArray[Any],
    sources: NDArray[Any],
) -> None:
    """Mark the best reference stars of each field and band, in place."""
    groups = np.unique(frames[["band_id", "field_id"]])
    for band, field_id in groups:
        here = frames["frame_id"][(frames["band_id"] == band) & (frames["field_id"] == field_id)]
        inside = np.isin(points["frame_id"], here)
        n_here = np.bincount(star[inside], minlength=len(rows))
        complete = np.flatnonzero((n_here >= here.size) & (sources["band_id"] == band))
        if here.size < 2 or complete.size == 0:
            continue
        # twice the candidates leave room for stars measured twice on one frame and not at all on another
        brightest = complete[np.argsort(rows["median_mag"][complete], kind="stable")][: 2 * N_CANDIDATES]
        chosen = np.flatnonzero(inside & np.isin(star, brightest))
        mags = np.full((brightest.size, here.size), np.nan)
        place = np.argsort(brightest)
        row = place[np.searchsorted(brightest[place], star[chosen])]
        mags[row, np.searchsorted(here, points["frame_id"][chosen])] = points["mag"][chosen]
        rows["reference_star"][brightest[best_references(mags)]] = True


def _search_periods(rows: NDArray[Any], points: NDArray[Any], settings: StatsSettings) -> int:
    """Search the periods of the best candidates, in place; returns how many were searched."""
    candidates = np.flatnonzero(rows["candidate"] & (rows["telescope_id"] == 0))
    candidates = candidates[np.argsort(-rows["score"][candidates], kind="stable")][: settings.max_periods]
    if not candidates.size:
        return 0
    wanted = np.isin(points["source_id"], rows["source_id"][candidates])
    points = points[stats_rows.good_points(points) & wanted]
    for j in candidates:
        mine = points[
            (points["source_id"] == rows["source_id"][j]) & (points["band_id"] == rows["band_id"][j])
        ]
        known = bool(np.isfinite(mine["bjd_tdb"]).all())
        time_of = mine["bjd_tdb"] - 2400000.5 if known else mine["mjd"]
        found = best_period(time_of, mine["mag"], mine["mag_err"])
        rows["period"][j], rows["period_fap"][j] = found.period, found.fap
    return int(candidates.size)
