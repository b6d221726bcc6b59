"""Periods of one source, band by band, from its published light curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.periods import MIN_POINTS, Period, best_period
from photodb.errors import NothingMatched
from photodb.storage import solutions
from photodb.storage import stats as stats_rows
from photodb.storage.engine import Database

from .ask import light_curve
from .figures import band_id

PERIOD_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("band", "U32"),
        ("n_obs", "i4"),
        ("period", "f8"),
        ("period_fap", "f8"),
        ("power", "f8"),
        ("amplitude", "f8"),
        ("alternatives", "U120"),
    ]
)


def period_at(
    db: Database, ra: float, dec: float, radius_arcsec: float | None = None, band: str | None = None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Search the period of the source at a position in each band; PERIOD_DTYPE, and what the asker should know.

    Raises NothingMatched if there is no light curve there.
    """
    answer = light_curve(db, ra, dec, radius_arcsec, band)
    points = answer.points
    good = np.asarray(points["good"], dtype=bool)
    found, notes = _by_band(points, good, int(answer.source["source_id"]))
    return found, (*answer.notes, *notes)


def period_of_source(
    db: Database, source_id: int, band: str | None = None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Search the period of a source in each band; PERIOD_DTYPE, and what the asker should know.

    Raises NothingMatched if it has no published point, or if there is no such band.
    """
    with db.begin() as conn:
        band_id(conn, band)  # a band that does not exist is told
        solution_id = int(solutions.get(conn)["solution_id"])
        points, bands = stats_rows.read_light_curve(conn, solution_id, source_id)
    columns = {name: points[name] for name in ("mjd", "bjd_tdb", "mag", "mag_err")}
    columns["band"] = np.array([bands[int(b)] for b in points["band_id"]], dtype=object)
    chosen = np.ones(len(points), dtype=bool) if band is None else columns["band"] == band
    if not chosen.any():
        where = "" if band is None else f" in band {band}"
        raise NothingMatched(
            f"source {source_id} has no point{where} in the published solution {solution_id}"
        )
    good = stats_rows.good_points(points)
    return _by_band({k: v[chosen] for k, v in columns.items()}, good[chosen], source_id)


def _by_band(
    points: dict[str, NDArray], good: NDArray[np.bool_], source_id: int
) -> tuple[NDArray[Any], tuple[str, ...]]:
    bands = sorted(set(points["band"].tolist()))
    rows = np.zeros(len(bands), PERIOD_DTYPE)
    notes: list[str] = []
    for i, band in enumerate(bands):
        mine = good & (points["band"] == band)
        bjd = np.asarray(points["bjd_tdb"], dtype=np.float64)[mine] - 2400000.5
        time = bjd if np.isfinite(bjd).all() else np.asarray(points["mjd"], dtype=np.float64)[mine]
        found = best_period(time, points["mag"][mine], points["mag_err"][mine])
        others = " ".join(f"{p:.6g}" for p in found.alternatives)
        rows[i] = (source_id, band, mine.sum(), found.period, found.fap, found.power, found.amplitude, others)
        notes += _why_none(band, time, found)
    return rows, tuple(notes)


def _why_none(band: str, time: NDArray[np.float64], found: Period) -> list[str]:
    """Say why no period was found in a band, where none was."""
    if found.found:
        return []
    if len(time) < MIN_POINTS:
        return [f"band {band}: {len(time)} good points; {MIN_POINTS} needed for a period"]
    return [f"band {band}: no period found in {len(time)} good points over {np.ptp(time):.3g} d"]
