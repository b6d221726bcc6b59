"""The list of variable-star candidates of the published solution, with what is known of them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.errors import NothingMatched
from photodb.storage import solutions
from photodb.storage import stats as stats_rows
from photodb.storage.engine import Database

from .figures import band_id
from .known import KnownColumns, known_of


def variables(
    db: Database,
    min_epochs: int = 0,
    band: str | None = None,
    min_score: float = 0.0,
    all_stars: bool = False,
    limit: int | None = None,
    solution_id: int | None = None,
    known: bool | None = None,
) -> NDArray[Any]:
    """Return candidates of variable stars, best first; perhaps none.

    The columns are those of `photodb.storage.stats.VARIABLE_DTYPE`, then those of `photodb.steps.known.KnownColumns`:
    name, type and period of the nearest known object.

    Parameters
    ----------
    min_epochs : least number of good points
    band : only this band
    min_score : least score (highest z among the passed criteria)
    all_stars : every star, candidates first, instead of candidates only
    limit : at most so many
    solution_id : by default the published solution
    known : only those that a catalogue of objects has (true), or has not (false)

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
        most = limit if known is None else None
        found = stats_rows.list_variables(conn, solution_id, min_epochs, band, min_score, all_stars, most)
        told = _with_known(found, known_of(conn, found["source_id"]))
    if known is not None:
        told = told[(told["known"] != "") == known]
    return told[:limit]


def _with_known(rows: NDArray[Any], known: KnownColumns) -> NDArray[Any]:
    """Put what is known of the sources behind the columns that there are."""
    more = {f.name: getattr(known, f.name) for f in fields(known)}
    made = np.zeros(len(rows), rows.dtype.descr + [(name, column.dtype.str) for name, column in more.items()])
    for name in rows.dtype.names or ():
        made[name] = rows[name]
    for name, column in more.items():
        made[name] = column
    return made
