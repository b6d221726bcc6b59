"""Compare what an archive found with the truth of a simulation; tables in, frozen results out.

The archive's side comes as structured arrays: frames with `frame_id path camera band gain radius zero_point
component used`, sources with `source_id ra dec`, candidates (best first) with `source_id ra dec mag score
period tags`, points with `source_id frame_id mag mag_err flags`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import erf

from ..core.flags import DOUBTFUL
from ..core.sky import unit_vectors
from ..errors import NothingMatched
from .results import FalseCandidate, Scatter, VariableFound, ZeroPointError
from .truth import CONSTANT, Truth

MATCH_ARCSEC = 2.0
"""A source this near to a star of the truth is that star."""

BRIGHT_ERROR = 0.012
"""Constant stars with a smaller true error (mag) count as bright."""

PERIOD_TOLERANCE = 0.1
"""Cycles over the whole span of the points up to which a period is the true one, or a simple multiple of it."""

Array = NDArray[Any]


def match_stars(stars: Table, sources: Array) -> tuple[Array, Array]:
    """Return, for every source, the row of its star (-1 if none is near) and the distance in arcsec.

    A star is given to the nearest source alone; of blended stars the brighter one counts.
    """
    if not len(sources):
        raise NothingMatched(
            "the archive holds no source to compare with the truth; see 'photodb frame list'"
        )
    order = np.argsort(np.asarray(stars["V"]), kind="stable")
    tree = cKDTree(unit_vectors(np.asarray(stars["ra"])[order], np.asarray(stars["dec"])[order]))
    chord, near = tree.query(unit_vectors(sources["ra"], sources["dec"]))
    distance = np.degrees(chord) * 3600
    row = np.where(distance < MATCH_ARCSEC, order[np.minimum(near, len(order) - 1)], -1)
    best: dict[int, int] = {}
    for i in np.argsort(distance):
        if row[i] >= 0 and best.setdefault(int(row[i]), int(i)) != i:
            row[i] = -1
    if not (row >= 0).any():
        raise NothingMatched(
            f"none of {len(sources)} sources lies within {MATCH_ARCSEC} arcsec of a simulated star; was the "
            "reference catalogue loaded before the frames?"
        )
    return row, distance


def match_frames(truth: Table, frames: Array) -> Table:
    """Return the rows of the truth that the archive holds, with the archive's `frame_id` and `row`."""
    rows = {Path(path).name: i for i, path in enumerate(frames["path"])}
    keep = [i for i, path in enumerate(truth["path"]) if Path(path).name in rows]
    pairs = truth[keep]
    pairs["row"] = [rows[Path(path).name] for path in pairs["path"]]
    for name in ("frame_id", "used"):
        pairs[name] = frames[name][np.asarray(pairs["row"], dtype=int)]
    return pairs


def place_errors(truth: Truth, star: Array, distance: Array) -> Array:
    """Return the distances in arcsec of the single stars brighter than magnitude 16.5."""
    rows = star[star >= 0]
    wanted = (np.asarray(truth.stars["pair"])[rows] < 0) & (np.asarray(truth.stars["V"])[rows] < 16.5)
    found = distance[star >= 0]
    return found[wanted] if wanted.any() else found


def compare_zero_points(truth: Truth, pairs: Table, frames: Array) -> tuple[ZeroPointError, ...]:
    """Return the errors of the zero points of frames that the solution used, trees left out.

    Only differences have a meaning: the mean is removed for every camera, band and component. A gain that was
    estimated, not known, moves a camera's fluxes, and is taken out frame by frame.
    """
    groups: dict[tuple[str, str, int], list[tuple[float, str]]] = {}
    for row in pairs:
        frame = frames[row["row"]]
        if row["tree"] or not frame["used"] or not np.isfinite(frame["zero_point"]):
            continue
        gain = truth.telescopes[row["telescope"]].gain
        expected = truth.expected_zero_point(row, frame["radius"]) + 2.5 * np.log10(frame["gain"] / gain)
        key = (str(frame["camera"]), str(frame["band"]), int(frame["component"]))
        groups.setdefault(key, []).append((float(frame["zero_point"] - expected), str(row["path"])))
    return tuple(_zero_point_error(key, found) for key, found in sorted(groups.items()))


def _zero_point_error(key: tuple[str, str, int], found: list[tuple[float, str]]) -> ZeroPointError:
    error = np.array([value for value, _ in found])
    error = error - error.mean()
    worst = int(np.argmax(np.abs(error)))
    return ZeroPointError(
        *key, len(error), float(np.sqrt(np.mean(error**2))), float(error[worst]), found[worst][1]
    )


def compare_variables(
    truth: Truth,
    pairs: Table,
    source_of: dict[int, int],
    candidates: Array,
    points: dict[str, Array],
    periods: dict,
) -> tuple[VariableFound, ...]:
    """Return every injected variable with its rank among the candidates."""
    ranks = ranking(candidates)
    rows = np.flatnonzero(np.asarray(truth.stars["kind"]) != CONSTANT).tolist()
    made = [
        _variable(truth, pairs, row, source_of.get(int(row), -1), ranks, candidates, points, periods)
        for row in rows
    ]
    return tuple(sorted(made, key=lambda v: (v.rank == 0, v.rank, -v.amplitude / v.noise)))


def ranking(candidates: Array) -> dict[int, int]:
    """Return the rank of each candidate source, 1 for the best; a source counts once, in its best band."""
    ranks: dict[int, int] = {}
    for source_id in candidates["source_id"]:
        ranks.setdefault(int(source_id), len(ranks) + 1)
    return ranks


def _variable(
    truth: Truth,
    pairs: Table,
    row: int,
    source_id: int,
    ranks: dict[int, int],
    candidates: Array,
    points: dict[str, Array],
    periods: dict[int, float],
) -> VariableFound:
    star = truth.stars[row]
    seen = _seen_frames(pairs, source_id, points)
    curve = np.array([truth.magnitudes(star, f["band"], f["bjd"]) - star[f["band"]] for f in seen])
    entry = candidates[candidates["source_id"] == source_id][:1]
    period = periods.get(source_id, float(entry["period"][0]) if len(entry) else np.nan)
    return VariableFound(
        star_id=int(star["id"]),
        kind=str(star["kind"]),
        ra=float(star["ra"]),
        dec=float(star["dec"]),
        mag=float(star["V"]),
        amplitude=float(np.ptp(curve)) if len(curve) else 0.0,
        noise=float(np.median(truth.errors(star, seen if len(seen) else pairs))),
        n_obs=len(seen),
        source_id=source_id,
        rank=ranks.get(source_id, 0),
        score=float(entry["score"][0]) if len(entry) else np.nan,
        period=float(star["period"]),
        period_found=period,
        match=period_match(period, float(star["period"]), float(np.ptp(seen["bjd"])) if len(seen) else 0.0),
    )


def _seen_frames(pairs: Table, source_id: int, points: dict[str, Array]) -> Table:
    """Return the frames, without trees, on which the source has a good point."""
    ids = [p["frame_id"][(p["source_id"] == source_id) & good(p["flags"])] for p in points.values()]
    return pairs[np.isin(pairs["frame_id"], np.concatenate(ids)) & (pairs["tree"] == 0)]


def good(flags: Array) -> Array:
    """Return which points are good: nothing bad of the detection, on a good frame."""
    return (flags & int(DOUBTFUL)) == 0


def period_match(found: float, true: float, span: float) -> str:
    """Return which multiple of the true period was found: "true", "1/2", "2", "1/3", "3", "other" or "".

    `span` is the time from the first to the last point, days: what two periods differ by in cycles over it tells
    whether the points can tell them apart.
    """
    if not (np.isfinite(found) and np.isfinite(true) and span > 0):
        return ""
    for name, factor in {"true": 1.0, "1/2": 0.5, "2": 2.0, "1/3": 1 / 3, "3": 3.0}.items():
        if abs(span / found - span / (factor * true)) < PERIOD_TOLERANCE:
            return name
    return "other"


def false_candidates(
    truth: Truth, source_of: dict[int, int], candidates: Array
) -> tuple[FalseCandidate, ...]:
    """Return the candidates that are no injected variable, best first."""
    star_of = {source_id: row for row, source_id in source_of.items()}
    found = []
    for source_id, rank in ranking(candidates).items():
        row = star_of.get(source_id, -1)
        if row >= 0 and truth.stars["kind"][row] != CONSTANT:
            continue
        entry = candidates[candidates["source_id"] == source_id][0]
        star_id = int(truth.stars["id"][row]) if row >= 0 else -1
        place = (float(entry["ra"]), float(entry["dec"]), float(entry["mag"]))
        found.append(
            FalseCandidate(rank, source_id, *place, float(entry["score"]), star_id, tuple(entry["tags"]))
        )
    return tuple(found)


def compare_scatter(
    truth: Truth, pairs: Table, source_of: dict[int, int], points: Array, band: str
) -> Scatter:
    """Return how bright, single, constant stars scatter, against what their true errors make one expect."""
    frames = pairs[(pairs["band"] == band) & (pairs["tree"] == 0)]
    points = points[good(points["flags"]) & np.isin(points["frame_id"], frames["frame_id"])]
    measured, expected, pulls = [], [], []
    for row, source_id in source_of.items():
        star = truth.stars[row]
        mine = points[points["source_id"] == source_id]
        if star["kind"] != CONSTANT or star["pair"] >= 0 or star[band] > 15 or len(mine) < 8:
            continue
        error = truth.errors(star, _rows_of(frames, mine["frame_id"]))
        if np.median(error) > BRIGHT_ERROR:
            continue
        residual = mine["mag"] - np.median(mine["mag"])
        correction = np.sqrt(len(mine) / (len(mine) - 1))
        measured.append(robust_sigma(residual) * correction)
        expected.append(robust_sigma_of_mixture(error))
        pulls.append(residual / mine["mag_err"] * correction)
    pull = robust_sigma(np.concatenate(pulls)) if pulls else np.nan
    median, true = (float(np.median(values)) if values else np.nan for values in (measured, expected))
    return Scatter(band, len(measured), median, true, float(pull))


def _rows_of(frames: Table, frame_ids: Array) -> Table:
    """Return the rows of the frames with these ids, in the order of the table."""
    return frames[np.isin(frames["frame_id"], frame_ids)]


def robust_sigma(values: Array) -> float:
    """Return 1.4826 times the median absolute value."""
    return 1.4826 * float(np.median(np.abs(values)))


def robust_sigma_of_mixture(sigma: Array) -> float:
    """Return what `robust_sigma` gives for normal deviates of these sigmas, by bisection."""
    low, high = 0.0, 5 * float(sigma.max())
    for _ in range(60):
        middle = 0.5 * (low + high)
        inside = np.mean(erf(middle / (np.sqrt(2) * sigma)))
        low, high = (middle, high) if inside < 0.5 else (low, middle)
    return 1.4826 * 0.5 * (low + high)
