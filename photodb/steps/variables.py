"""The list of variable-star candidates of the published solution."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from photodb.errors import NothingMatched
from photodb.storage import solutions
from photodb.storage import stats as stats_rows
from photodb.storage.engine import Database

from .figures import band_id


def variables(
    db: Database,
    min_epochs: int = 0,
    band: str | None = None,
    min_score: float = 0.0,
    all_stars: bool = False,
    limit: int | None = None,
    solution_id: int | None = None,
) -> NDArray[Any]:
    """Return candidates of variable stars, best first, as `photodb.storage.stats.VARIABLE_DTYPE`; perhaps none.

    Parameters
    ----------
    min_epochs : least number of good points
    band : only this band
    min_score : least score (highest z among the passed criteria)
    all_stars : every star, candidates first, instead of candidates only
    limit : at most so many
    solution_id : by default the published solution

    Raises
    ------
    NothingMatched
        No solution, its statistics have not been computed, or no such band.
    """
    with db.begin() as conn:
        solution_id = int(solutions.get(conn, solution_id)["solution_id"])
        if not stats_rows.has_rows(conn, solution_id):
            raise NothingMatched(
                f"solution {solution_id} has no statistics; compute them with 'photodb stats'"
            )
        band_id(conn, band)  # a band that does not exist is told
        return stats_rows.list_variables(conn, solution_id, min_epochs, band, min_score, all_stars, limit)
