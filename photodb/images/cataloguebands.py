"""The magnitudes of a catalogue: which columns they are in, fluxes turned into AB magnitudes, absurd ones left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .cataloguemap import ALIASES, BandColumns, near_names
from .cataloguevalues import numbers, parse_unit

ERROR_SUFFIXES = ("_err", "_error", "err", "_e")
Holding = Callable[[Sequence[str]], set[str]]
BRIGHTEST, FAINTEST = -30.0, 40.0
"""Magnitudes beyond these stand for none (99.99, -99.9)."""
LARGEST_ERROR = 10.0
PER_MAG = 2.5 / np.log(10.0)
GAIA = {"G": "phot_g_mean", "BP": "phot_bp_mean", "RP": "phot_rp_mean"}
NO_BANDS = ("parallax", "plx", "radial_velocity", "rv", "ref_epoch", "pmra", "pmdec", "period", "epoch")
"""Columns with an error beside them that are no magnitudes."""


def find_bands(
    columns: Sequence[str],
    units: Mapping[str, str],
    wanted: Sequence[str],
    numeric: Callable[[Sequence[str]], set[str]],
) -> tuple[BandColumns, ...]:
    """Return the bands of a catalogue: those asked for by their columns, else all that have an error beside them.

    `numeric` tells which of some columns hold numbers; `g, g_err`, `gmag, e_gmag`, `g_flux, g_fluxErr` (with a unit of
    flux density) and Gaia's `phot_g_mean_mag` are known.

    Raises
    ------
    UsageError : a column asked for is not there.
    """
    lower = {name.lower(): name for name in reversed(columns)}
    if wanted:
        missing = [b for b in wanted if b not in columns]
        if missing:
            raise UsageError(f"no column {', '.join(missing)}; {near_names(missing[0], columns)}")
        return tuple(_band(name, _error_of(name, lower), units) for name in wanted)
    gaia = tuple(b for b in (_gaia_band(name, stem, lower) for name, stem in GAIA.items()) if b)
    if gaia:
        return gaia
    roles = {alias for names in ALIASES.values() for alias in names} | set(NO_BANDS)
    pairs = [(n, error) for n in columns if n.lower() not in roles and (error := _error_of(n, lower))]
    real = numeric([name for pair in pairs for name in pair])
    found = [_band(name, error, units) for name, error in pairs if {name, error} <= real]
    return tuple(b for b in found if b.kind == "flux" or _may_be_mag(units.get(b.column, "")))


def _error_of(name: str, lower: Mapping[str, str]) -> str:
    low = name.lower()
    return next((lower[c] for c in (*(low + s for s in ERROR_SUFFIXES), f"e_{low}") if c in lower), "")


def _may_be_mag(unit: str) -> bool:
    return "mag" in unit.lower() or unit.strip() in ("", "None")


def _band(column: str, error: str, units: Mapping[str, str]) -> BandColumns:
    unit = units.get(column, "")
    known = parse_unit(unit) if unit else None
    if known is not None and known.is_equivalent(u.Jy):
        name = column
        for suffix in ("_flux", "flux"):
            name = name[: -len(suffix)] if name.lower().endswith(suffix) and len(name) > len(suffix) else name
        return BandColumns(name, column, error, "flux", unit=unit, system="AB")
    return BandColumns(column, column, error)


def _gaia_band(name: str, stem: str, lower: Mapping[str, str]) -> BandColumns | None:
    """Return a band of a Gaia table: its error is in the flux, or its ratio to it."""
    if f"{stem}_mag" not in lower:
        return None
    column = lower[f"{stem}_mag"]
    if f"{stem}_flux_over_error" in lower:
        return BandColumns(name, column, lower[f"{stem}_flux_over_error"], error_kind="snr", system="Vega")
    if {f"{stem}_flux", f"{stem}_flux_error"} <= set(lower):
        flux, error = lower[f"{stem}_flux"], lower[f"{stem}_flux_error"]
        return BandColumns(name, column, error, error_kind="flux", flux=flux, system="Vega")
    return BandColumns(name, column, lower.get(f"{stem}_mag_error", ""), system="Vega")


def band_columns(band: BandColumns) -> list[str]:
    """Return the columns that a band is made of."""
    return [name for name in (band.column, band.error, band.flux) if name]


def band_values(
    band: BandColumns, piece: Mapping[str, Any], tally: Counter[str], strict: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the magnitudes (n,) of a band and their errors; NaN where there is none, or an absurd one (counted).

    A flux f in janskys is the AB magnitude 8.90 - 2.5 log10 f; fluxes that are not positive have none.
    """
    values = numbers(piece[band.column], band.column, strict)
    error = numbers(piece[band.error], band.error, strict) if band.error else np.full(len(values), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if band.error_kind == "snr":
            error = PER_MAG / error
        elif band.error_kind == "flux":
            error = PER_MAG * error / numbers(piece[band.flux], band.flux, strict)
        if band.kind == "flux":
            error = PER_MAG * error / np.abs(values)
            values = 8.9 - 2.5 * np.log10(np.where(values > 0, values, np.nan) * janskys(band))
    absurd = np.isfinite(values) & ((values < BRIGHTEST) | (values > FAINTEST))
    tally[band.name] += int(absurd.sum())
    values = np.where(absurd | ~np.isfinite(values), np.nan, values)
    good = np.isfinite(values) & (error > 0) & (error < LARGEST_ERROR)
    return values, np.where(good, error, np.nan)


def janskys(band: BandColumns) -> float:
    """Return how many janskys the unit of a flux is.

    Raises
    ------
    UsageError : no unit, or none of flux density.
    """
    unit = parse_unit(band.unit) if band.unit else None
    if band.unit.lower() in ("maggy", "maggies"):
        return 3631.0
    if band.unit.lower() in ("nanomaggy", "nanomaggies", "nmgy"):
        return 3631.0e-9
    if band.unit.upper() == "AB":
        return 1.0 * float((1.0 * u.ABflux).to_value(u.Jy))
    if unit is None or not unit.is_equivalent(u.Jy):
        raise UsageError(
            f"the flux {band.column} is in {band.unit or 'no unit'}: Jy, nJy, nanomaggies or the like needed"
        )
    return float(unit.to(u.Jy))
