"""Compare an archive made from simulated frames with the truth of the simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from photodb.errors import NothingMatched
from photodb.simulate import compare as against
from photodb.simulate.results import Comparison
from photodb.simulate.truth import Truth
from photodb.storage import comparisons, lightcurves
from photodb.storage.engine import Database


def compare(db: Database, truth: Truth, periods: dict[int, float] | None = None) -> Comparison:
    """Compare the published solution with the truth.

    `periods` (source_id -> days) may give periods that were searched apart from the statistics.

    Raises
    ------
    NothingMatched : no published solution, or no source at the place of any star.
    """
    with db.begin() as conn:
        solution_id = lightcurves.published_solution(conn)
        if solution_id < 0:
            raise NothingMatched("no published solution to compare with the truth; run 'photodb solve'")
        frames = comparisons.frames(conn, solution_id)
        candidates = comparisons.candidates(conn, solution_id)
        bands = sorted(set(truth.frames["band"]))
        sources = {band: comparisons.sources(conn, solution_id, band) for band in bands}
        first = sources[bands[0]]
        star, distance = against.match_stars(truth.stars, first)
        points = {
            band: comparisons.points(conn, solution_id, first["source_id"][star >= 0], band) for band in bands
        }
    pairs = against.match_frames(truth.frames, frames)
    place = against.place_errors(truth, star, distance)
    source_of = {int(star[i]): int(first["source_id"][i]) for i in np.flatnonzero(star >= 0)}
    behind = pairs["tree"] > 0
    return Comparison(
        n_frames=len(truth.frames),
        n_accepted=int(np.sum(frames["status"] == "accepted")),
        n_used=int(np.sum(frames["used"])),
        n_tree=int(np.sum(truth.frames["tree"] > 0)),
        n_tree_set_aside=int(np.sum(behind & ~pairs["used"])),
        rejected=tuple(_why(f) for f in frames if f["status"] != "accepted" or not f["used"]),
        n_stars_matched=len(source_of),
        position_median=float(np.median(place)),
        position_rms=float(np.sqrt(np.mean(place**2))),
        variables=against.compare_variables(truth, pairs, source_of, candidates, points, periods or {}),
        false=against.false_candidates(truth, source_of, candidates),
        zero_points=against.compare_zero_points(truth, pairs, frames),
        scatter=tuple(against.compare_scatter(truth, pairs, source_of, points[band], band) for band in bands),
    )


def _why(frame: Any) -> str:
    reason = (
        frame["reason"]
        if frame["status"] != "accepted"
        else frame["solution_reason"] or "not in the solution"
    )
    return f"{Path(frame['path']).name}: {reason}"
