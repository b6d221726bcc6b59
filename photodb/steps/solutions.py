"""Solutions side by side: list, show, compare, publish, drop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.groupmeans import group_medians
from photodb.core.robust import mad_sigma
from photodb.storage import solutions
from photodb.storage.engine import Database

from .runs import recorded_run

LISTED = (
    "solution_id",
    "state",
    "poly_order",
    "n_frames",
    "n_sources",
    "n_measurements",
    "chi2_dof",
    "n_components",
    "bright_scatter",
    "created_at",
    "published_at",
    "run_id",
)


def list_solutions(db: Database) -> list[dict[str, Any]]:
    """List the solutions, newest first."""
    with db.begin() as conn:
        rows = [dict(row) for row in solutions.list_all(conn)]
    return [{name: {**row, "n_components": len(row["components"])}[name] for name in LISTED} for row in rows]


def show_solution(db: Database, solution_id: int | None = None) -> dict[str, Any]:
    """Describe a solution, the published one by default: counts, quality, components, floors, rejections."""
    with db.begin() as conn:
        row = dict(solutions.get(conn, solution_id))
        terms = solutions.frame_terms(conn, row["solution_id"])
        n_rejected = solutions.rejected_sources(conn, row["solution_id"])
        n_fit = solutions.fit_sources(conn, row["solution_id"])
    rejected = [t for t in terms if t["status"] == "rejected"]
    row["rejected_frames"] = [_frame(t) for t in rejected]
    row["remarks"] = [_frame(t) for t in terms if t["status"] == "used" and t["reason"]]
    row["n_rejected_frames"], row["n_rejected_sources"] = len(rejected), n_rejected
    row["n_fit_sources"] = n_fit
    row["n_photometric"] = sum(bool(t["photometric"]) for t in terms)
    return row


def _frame(term: Any) -> dict[str, Any]:
    return {"frame_id": term["frame_id"], "path": term["path"], "reason": term["reason"]}


def diff_solutions(db: Database, a: int, b: int) -> dict[str, Any]:
    """Compare two solutions on what they have in common; differences are b minus a.

    A solution has no zero of its own in each component, so the median difference of each pair of components is taken
    off before scatter is measured; it is told as the largest `offset`.
    """
    with db.begin() as conn:
        first, second = dict(solutions.get(conn, a)), dict(solutions.get(conn, b))
        frames = solutions.paired(conn, "frame", a, b)
        sources = solutions.paired(conn, "source", a, b)
        status = [
            {t["frame_id"]: t["status"] for t in solutions.frame_terms(conn, which)} for which in (a, b)
        ]
    told: dict[str, Any] = {"a": a, "b": b}
    for name in (
        "poly_order",
        "n_frames",
        "n_sources",
        "n_measurements",
        "chi2_dof",
        "bright_scatter",
        "error_floor",
    ):
        told[f"{name}_a"], told[f"{name}_b"] = first[name], second[name]
    told["frames_only_in_a"] = sorted(_used(status[0]) - _used(status[1]))
    told["frames_only_in_b"] = sorted(_used(status[1]) - _used(status[0]))
    told |= {f"zero_point_{k}": v for k, v in _spread(frames).items()}
    told |= {f"mag_{k}": v for k, v in _spread(sources).items()}
    return told


def _used(status: dict[int, str]) -> set[int]:
    return {frame_id for frame_id, word in status.items() if word == "used"}


def _spread(pairs: NDArray[Any]) -> dict[str, float | int]:
    """Return number, largest component offset, robust scatter and largest difference beyond the offsets, mag."""
    difference = pairs["b"] - pairs["a"]
    known = np.isfinite(difference)
    pairs, difference = pairs[known], difference[known]
    groups = np.unique(pairs[["component_a", "component_b"]], return_inverse=True)[1]
    medians = group_medians(difference, groups, int(groups.max(initial=-1)) + 1)
    difference = difference - medians[groups]
    offset = float(max(medians, key=abs, default=0.0))
    largest = float(np.abs(difference).max(initial=0.0))
    scatter = mad_sigma(difference) if difference.size else 0.0
    return {"n_common": int(difference.size), "offset": offset, "scatter": scatter, "largest": largest}


def publish_solution(db: Database, solution_id: int) -> None:
    """Publish a solution; the one before it is retired. NothingMatched if there is none of that number."""
    with db.begin() as conn:
        solutions.get(conn, solution_id)
    with recorded_run(db, "solution publish", {"solution_id": solution_id}, {}), db.begin() as conn:
        solutions.publish(conn, solution_id)


def drop_solution(db: Database, solution_id: int) -> None:
    """Delete a solution with its light curves and statistics; UsageError for the published one."""
    with db.begin() as conn:
        solutions.get(conn, solution_id)
    with recorded_run(db, "solution drop", {"solution_id": solution_id}, {}), db.begin() as conn:
        solutions.drop(conn, solution_id)
