"""What an audit found, as tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from astropy.table import Column, Table

from photodb.core.audit import BandAudit, PairAudit, Thresholds, words

from .audit import AuditReport

Row = dict[str, Any]


def summary(report: AuditReport, limits: Thresholds) -> Iterator[Row]:
    """Yield a row a pair and band, and one for a pair whose positions alone can be compared."""
    for pair in report.pairs:
        for band in pair.bands or (None,):
            row: Row = {"a": pair.a, "b": pair.b, "band": band.band if band else ""}
            row |= _magnitudes(band) | _places(pair)
            yield row | {"solution_id": report.solution_id, "verdict": words(pair, band, limits)}


def _magnitudes(band: BandAudit | None) -> Row:
    if band is None:
        return {"n_sources": 0, "colour": "", "n_nights": 0}
    found, drift = band.found, band.drift
    worst = min(band.maps.values(), key=lambda seen: math.inf if math.isnan(seen.p) else seen.p, default=None)
    return {
        "n_sources": found.n,
        "offset": found.offset,
        "offset_err": found.offset_err,
        "scatter": found.scatter,
        "excess": found.excess,
        "raw_offset": band.raw_offset,
        "colour": band.colour,
        "slope_colour": found.by_colour.value,
        "slope_colour_err": found.by_colour.error,
        "colour_range": found.by_colour.span,
        "slope_mag": found.by_mag.value,
        "slope_mag_err": found.by_mag.error,
        "map_rms": worst.rms if worst else math.nan,
        "map_p": worst.p if worst else math.nan,
        "n_nights": drift.n_nights,
        "drift_rms": drift.rms,
        "drift_p": drift.p,
        "trend": drift.trend,
        "trend_err": drift.trend_err,
    }


def _places(pair: PairAudit) -> Row:
    place = pair.place
    return {
        "n_places": place.n,
        "dra": place.east,
        "dra_err": place.east_err,
        "ddec": place.north,
        "ddec_err": place.north_err,
        "place_scatter": place.scatter,
        "scale_ppm": place.scale_ppm,
        "scale_ppm_err": place.scale_ppm_err,
        "rotation": place.rotation,
        "rotation_err": place.rotation_err,
    }


def nights(report: AuditReport, limits: Thresholds) -> Iterator[Row]:
    """Yield a row a pair, band and night."""
    for pair, band in _each(report):
        rows = band.nights
        for i in range(len(rows)):
            yield {
                "a": pair.a,
                "b": pair.b,
                "band": band.band,
                "night": int(rows.night[i]),
                "mjd": float(rows.mjd[i]),
                "offset": float(rows.offset[i]),
                "offset_err": float(rows.offset_err[i]),
                "raw_offset": float(band.raw_nights[i]),
                "n_frames_a": int(rows.frames_a[i]),
                "n_frames_b": int(rows.frames_b[i]),
                "used": bool(rows.used[i]),
            }


def cells(report: AuditReport, limits: Thresholds) -> Iterator[Row]:
    """Yield a row a pair, band, camera and cell of its detector, the most significant first."""
    for pair, band in _each(report):
        for camera, seen in band.maps.items():
            found = seen.cells
            for i in abs(found.significance).argsort()[::-1].tolist():
                yield {
                    "a": pair.a,
                    "b": pair.b,
                    "band": band.band,
                    "camera": camera,
                    "column": int(found.column[i]),
                    "row": int(found.row[i]),
                    "x": float(found.x[i]),
                    "y": float(found.y[i]),
                    "difference": float(found.difference[i]),
                    "difference_err": float(found.difference_err[i]),
                    "sigma": float(found.significance[i]),
                    "n_sources": int(found.n_sources[i]),
                }


def stars(report: AuditReport, limits: Thresholds) -> Iterator[Row]:
    """Yield a row a pair, band and source, the largest difference in its errors first."""
    for pair, band in _each(report):
        found, excess = band.stars, max(band.found.excess, 0.0)
        offset = band.found.offset if math.isfinite(band.found.offset) else 0.0
        error = (found.error**2 + (excess if math.isfinite(excess) else 0.0) ** 2) ** 0.5
        sigma = (found.difference - offset) / error
        for i in abs(sigma).argsort()[::-1].tolist():
            yield {
                "a": pair.a,
                "b": pair.b,
                "band": band.band,
                "source_id": int(found.source[i]),
                "mag_a": float(found.mag_a[i]),
                "mag_a_err": float(found.err_a[i]),
                "n_a": int(found.n_a[i]),
                "mag_b": float(found.mag_b[i]),
                "mag_b_err": float(found.err_b[i]),
                "n_b": int(found.n_b[i]),
                "difference": float(found.difference[i]),
                "sigma": float(sigma[i]),
                "colour": float(found.colour[i]),
            }


def places(report: AuditReport, limits: Thresholds) -> Iterator[Row]:
    """Yield a row a pair and source with its positions, the largest distance first."""
    for pair in report.pairs:
        found = pair.places
        for i in (found.east**2 + found.north**2).argsort()[::-1].tolist():
            yield {
                "a": pair.a,
                "b": pair.b,
                "source_id": int(found.source[i]),
                "dra": float(found.east[i]),
                "ddec": float(found.north[i]),
                "error": float(found.error[i]),
            }


def _each(report: AuditReport) -> Iterator[tuple[PairAudit, BandAudit]]:
    for pair in report.pairs:
        for band in pair.bands:
            yield pair, band


_PAIR = {"a": ("U64", None), "b": ("U64", None), "band": ("U16", None)}

COLUMNS: dict[str, dict[str, tuple[str, str | None]]] = {
    "summary": _PAIR | {
        "n_sources": ("i8", None),
        "offset": ("f8", "mag"),
        "offset_err": ("f8", "mag"),
        "scatter": ("f8", "mag"),
        "excess": ("f8", "mag"),
        "raw_offset": ("f8", "mag"),
        "colour": ("U32", None),
        "slope_colour": ("f8", None),
        "slope_colour_err": ("f8", None),
        "colour_range": ("f8", "mag"),
        "slope_mag": ("f8", None),
        "slope_mag_err": ("f8", None),
        "map_rms": ("f8", "mag"),
        "map_p": ("f8", None),
        "n_nights": ("i8", None),
        "drift_rms": ("f8", "mag"),
        "drift_p": ("f8", None),
        "trend": ("f8", "mag / d"),
        "trend_err": ("f8", "mag / d"),
        "n_places": ("i8", None),
        "dra": ("f8", "arcsec"),
        "dra_err": ("f8", "arcsec"),
        "ddec": ("f8", "arcsec"),
        "ddec_err": ("f8", "arcsec"),
        "place_scatter": ("f8", "arcsec"),
        "scale_ppm": ("f8", None),
        "scale_ppm_err": ("f8", None),
        "rotation": ("f8", "arcsec"),
        "rotation_err": ("f8", "arcsec"),
        "solution_id": ("i8", None),
        "verdict": ("U200", None),
    },
    "nights": _PAIR | {
        "night": ("i8", "d"),
        "mjd": ("f8", "d"),
        "offset": ("f8", "mag"),
        "offset_err": ("f8", "mag"),
        "raw_offset": ("f8", "mag"),
        "n_frames_a": ("i8", None),
        "n_frames_b": ("i8", None),
        "used": ("?", None),
    },
    "map": _PAIR | {
        "camera": ("U64", None),
        "column": ("i8", None),
        "row": ("i8", None),
        "x": ("f8", None),
        "y": ("f8", None),
        "difference": ("f8", "mag"),
        "difference_err": ("f8", "mag"),
        "sigma": ("f8", None),
        "n_sources": ("i8", None),
    },
    "stars": _PAIR | {
        "source_id": ("i8", None),
        "mag_a": ("f8", "mag"),
        "mag_a_err": ("f8", "mag"),
        "n_a": ("i8", None),
        "mag_b": ("f8", "mag"),
        "mag_b_err": ("f8", "mag"),
        "n_b": ("i8", None),
        "difference": ("f8", "mag"),
        "sigma": ("f8", None),
        "colour": ("f8", "mag"),
    },
    "places": {
        "a": ("U64", None),
        "b": ("U64", None),
        "source_id": ("i8", None),
        "dra": ("f8", "arcsec"),
        "ddec": ("f8", "arcsec"),
        "error": ("f8", "arcsec"),
    },
}  # fmt: skip
"""Columns of each table with their types and units."""

_ROWS: dict[str, Callable[[AuditReport, Thresholds], Iterator[Row]]] = {
    "summary": summary,
    "nights": nights,
    "map": cells,
    "stars": stars,
    "places": places,
}


def table(
    report: AuditReport, which: str, limits: Thresholds | None = None, names: Iterable[str] = ()
) -> Table:
    """Return one of `COLUMNS`, or only the columns named."""
    rows = list(_ROWS[which](report, limits or Thresholds()))
    made = Table()
    for name in names or COLUMNS[which]:
        kind, unit = COLUMNS[which][name]
        values = [row.get(name, math.nan) for row in rows]
        # text is as wide as its longest; the width only matters where there is none
        made[name] = Column(np.array(values, str if kind[0] == "U" and values else kind), unit=unit)
    return made
