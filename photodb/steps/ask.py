"""Ask the archive: light curves and cones by position, questions in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import DOUBTFUL
from photodb.errors import NothingMatched, UsageError
from photodb.storage import framelists, lightcurves, queries
from photodb.storage.coverage import Which
from photodb.storage.engine import Database
from photodb.storage.lightcurves import Cover

from .coverage import coverage_at
from .coversummary import sentence
from .position import MAX_CONE_DEG, MAX_NEIGHBOURS, check_position

UNITS = {
    "mjd": "d",
    "bjd_tdb": "d",
    "mag": "mag",
    "mag_err": "mag",
    "mag_limit": "mag",
    "err_photon": "mag",
    "err_calibration": "mag",
    "err_floor": "mag",
    "instrumental_mag": "mag",
    "zero_point": "mag",
    "x": "pix",
    "y": "pix",
    "fwhm": "pix",
    "sky": "electron / pix",
    "ra": "deg",
    "dec": "deg",
    "ra_scatter": "arcsec",
    "dec_scatter": "arcsec",
    "separation_arcsec": "arcsec",
    "position_err": "arcsec",
    "pm_ra": "mas / yr",
    "pm_dec": "mas / yr",
    "known_arcsec": "arcsec",
    "known_period": "d",
    "position_error": "arcsec",
    "period": "d",
    "amplitude": "mag",
    "global_noise": "mag",
    "local_noise": "mag",
    "latitude": "deg",
    "longitude": "deg",
    "elevation": "m",
    "pixel_scale": "arcsec / pix",
    "gain": "electron / adu",
    "read_noise": "electron",
    "saturation": "adu",
    "epoch": "yr",
    "limit_5sigma": "mag",
    "instrumental_limit_5sigma": "mag",
    "deepest_limit_5sigma": "mag",
    "stacked_limit_5sigma": "mag",
    "flux": "electron",
    "flux_err": "electron",
    "exptime": "s",
    "border_px": "pix",
    "distance_px": "pix",
    "distance_arcsec": "arcsec",
    "astrom_rms_arcsec": "arcsec",
    "first_mjd": "d",
    "last_mjd": "d",
}
"""Unit of each column that has one."""


@dataclass(frozen=True)
class LightCurveAnswer:
    """The light curve at a position.

    Attributes
    ----------
    points : columns of `photodb.storage.lightcurves.POINT_COLUMNS` by name, (n,) each, by time; and `good`,
    false
        where a flag makes the magnitude doubtful
    source : one row of `SOURCE_DTYPE`: the source taken, the nearest that has points
    others : the other sources within the radius, nearest first
    notes : what the asker should know, in sentences
    """

    points: dict[str, NDArray]
    source: Any
    others: NDArray
    radius_arcsec: float
    notes: tuple[str, ...]


def light_curve(
    db: Database, ra: float, dec: float, radius_arcsec: float | None = None, band: str | None = None
) -> LightCurveAnswer:
    """Find the source at a position and return its calibrated points.

    Parameters
    ----------
    ra, dec : deg (ICRS)
    radius_arcsec : how far the source may be; by default what the astrometry of the frames there allows
    band : name of a band; None for all

    Raises
    ------
    NothingMatched : no solution, no source or no point; the text tells what there is instead.
    """
    check_position(ra, dec)
    with db.begin() as conn:
        place = lightcurves.cover(conn, ra, dec)
        radius = _radius(place, radius_arcsec)
        solution_id = lightcurves.published_solution(conn)
        if solution_id < 0:
            raise NothingMatched(_no_solution(framelists.counts(conn)))
        found = lightcurves.sources_in_cone(conn, ra, dec, radius / 3600)
        if not len(found):
            raise NothingMatched(_no_source(conn, ra, dec, radius, band))
        points = lightcurves.light_curves(conn, found[:MAX_NEIGHBOURS], solution_id, band)
        if not len(points["mjd"]):
            told = _no_points(found[0], band, lightcurves.bands_of(conn))
            raise NothingMatched(f"{told}. {_known_there(conn, ra, dec, band)}")
    return _answer(points, found, radius, place)


def _answer(points: dict[str, NDArray], found: NDArray, radius: float, place: Cover) -> LightCurveAnswer:
    """Take the nearest source that has points; points come grouped by source, nearest first."""
    rank = int(np.flatnonzero(found["source_id"] == points["source_id"][0])[0])
    source = found[rank]
    own = points["source_id"] == source["source_id"]
    others = np.delete(found, rank)
    notes = _notes(source, others, rank, radius, place)
    own_points = {name: column[own] for name, column in points.items()}
    own_points["good"] = (own_points["flags"] & int(DOUBTFUL)) == 0
    return LightCurveAnswer(own_points, source, others, radius, notes)


def _notes(source: Any, others: NDArray, rank: int, radius: float, place: Cover) -> tuple[str, ...]:
    told = []
    if len(others):
        near = ", ".join(f"{s['source_id']} ({s['separation_arcsec']:.1f})" for s in others[:5])
        which = "the nearest" if rank == 0 else "the nearest with calibrated points"
        told.append(
            f"{len(others) + 1} sources within {radius:.1f} arcsec; this is {which}, {source['source_id']}, "
            f"{source['separation_arcsec']:.1f} arcsec away; the others (arcsec): {near}"
        )
    if source["approximate"] or place.approximate:
        told.append(
            "positions here are approximate: no frame was matched with a catalogue. Widen --radius; or load a "
            "catalogue ('photodb refcat load'), which holds for frames ingested afterwards, and take back the runs "
            "that made these ('photodb runs list', 'photodb runs undo RUN --yes', newest first) before "
            "'photodb run PATH'"
        )
    return tuple(told)


def _radius(place: Cover, asked: float | None) -> float:
    if asked is None:
        return place.radius_arcsec
    if not 0 < asked <= 3600 * MAX_CONE_DEG:
        raise UsageError(f"radius {asked} arcsec: must be above 0 and at most {3600 * MAX_CONE_DEG:.0f}")
    return float(asked)


def _no_solution(counts: dict[str, int]) -> str:
    if not counts["frames"]:
        return "the archive holds no frames yet; fill it with 'photodb run PATH...'"
    return f"the archive holds {counts['frames']} frames and no published solution; run 'photodb solve'"


def _no_source(conn: Any, ra: float, dec: float, radius: float, band: str | None) -> str:
    told = f"no source within {radius:.1f} arcsec of RA {ra:.5f} Dec {dec:+.5f}"
    nearest = lightcurves.nearest_source_arcsec(conn, ra, dec)
    told += "; none within a degree" if np.isnan(nearest) else f"; the nearest is {nearest:.1f} arcsec away"
    return f"{told}. {_known_there(conn, ra, dec, band)}"


def _known_there(conn: Any, ra: float, dec: float, band: str | None) -> str:
    """Say whether frames cover a place that has no light curve, and what they know of it."""
    at = coverage_at(conn, ra, dec, which=Which(band=band))
    of_band = f" in band {band}" if band else ""
    if not len(at):
        return f"No frame{of_band} covers the place; see 'photodb frame list'"
    return (
        f"{sentence(at, of_band)}; 'photodb coverage RA DEC' lists them; a larger --radius may find a source"
    )


def _no_points(source: Any, band: str | None, bands: list[str]) -> str:
    where = f"{source['separation_arcsec']:.1f} arcsec away"
    told = f"source {source['source_id']} ({where}) has no calibrated point"
    if band is None:
        return told + " in the published solution; if its frames came after it, run 'photodb solve'"
    return told + f" in band {band}; bands of the archive: {', '.join(bands) or 'none'}"


def cone(db: Database, ra: float, dec: float, radius_deg: float) -> dict[str, NDArray]:
    """Return the sources of a cone, nearest first, with mean magnitudes of the published solution.

    Returns
    -------
    Columns of `SOURCE_DTYPE` without `cell` and, a band, `mag_BAND`, `mag_err_BAND` and `n_obs_BAND`
    (NaN, NaN and 0 where the source has none). Zero rows where there is nothing.
    """
    check_position(ra, dec)
    if not 0 < radius_deg <= MAX_CONE_DEG:
        raise UsageError(f"radius {radius_deg} deg: must be above 0 and at most {MAX_CONE_DEG:g}")
    with db.begin() as conn:
        found = lightcurves.sources_in_cone(conn, ra, dec, radius_deg)
        mags = lightcurves.source_mags(conn, found, lightcurves.published_solution(conn))
    first = ("source_id", "ra", "dec", "separation_arcsec", "n_detections")
    rest = (n for n in found.dtype.names or () if n not in first and n != "cell")
    columns = {name: found[name] for name in (*first, *rest)}
    for band in np.unique(mags["band"]):
        columns.update(
            _band_columns(
                str(band), found["source_id"], {n: v[mags["band"] == band] for n, v in mags.items()}
            )
        )
    return columns


def _band_columns(band: str, source_id: NDArray, mags: dict[str, NDArray]) -> dict[str, NDArray]:
    """Spread one band's magnitudes over the rows of the sources."""
    order = np.argsort(source_id)
    rows = order[np.searchsorted(source_id, mags["source_id"], sorter=order)]
    made = {
        "mag": np.full(len(source_id), np.nan),
        "mag_err": np.full(len(source_id), np.nan),
        "n_obs": np.zeros(len(source_id), "i4"),
    }
    for name, column in made.items():
        column[rows] = mags[name]
    return {f"{name}_{band}": column for name, column in made.items()}


def question(
    db: Database, sql: str, max_rows: int = 1_000_000, timeout_s: float = 60.0
) -> tuple[list[str], list[tuple], bool]:
    """Ask in SQL, read only; return column names, rows, and whether there were more than `max_rows`.

    Raises
    ------
    UsageError : not a question, more than one statement, or refused by PostgreSQL.
    StorageError : longer than `timeout_s`.
    """
    queries.check_question(sql)
    with db.begin() as conn:
        queries.begin_reading(conn, timeout_s)
        return queries.answer(conn, sql, max_rows)


def unit_of(column: str) -> str | None:
    """Return the unit of a column, as astropy writes it; None for a pure number or text."""
    for stem in ("mag_err", "mag"):
        if column.startswith(f"{stem}_") and column not in UNITS:
            return "mag"
    return UNITS.get(column)
