"""Read reference catalogues from files: CSV, ECSV, FITS tables, VOTable."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import UsageError

ALIASES = {
    "id": ("id", "source_id", "name", "objid", "star_id", "sdssid", "objectid", "designation"),
    "ra": ("ra", "raj2000", "ra_icrs", "_raj2000", "ra_deg", "alpha_j2000", "ramean"),
    "dec": ("dec", "dej2000", "de_icrs", "_dej2000", "dec_deg", "delta_j2000", "decj2000", "decmean"),
    "pm_ra": ("pm_ra", "pmra", "pmra_cosdec"),
    "pm_dec": ("pm_dec", "pmdec", "pmde"),
}
ERROR_SUFFIXES = ("_err", "_error", "err", "_e")


@dataclass(frozen=True)
class CatalogueTable:
    """The stars of a catalogue file."""

    bands: list[str]
    stars: NDArray  # structured: name, ra, dec, pm_ra, pm_dec, mag (n, k), mag_err (n, k)
    n_dropped: int  # rows without a position


def _read(path: Path) -> Table:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.name.lower().endswith(".csv"):
                first = path.read_text(encoding="utf-8", errors="replace")[:20]
                return Table.read(path, format="ascii.ecsv" if first.startswith("# %ECSV") else "ascii.csv")
            return Table.read(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        text = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} cannot be read as a table (CSV, ECSV, FITS, VOTable): {text}") from error


def _column(table: Table, role: str, chosen: Mapping[str, str]) -> str | None:
    if role in chosen:
        if chosen[role] not in table.colnames:
            raise UsageError(
                f"no column {chosen[role]!r} for {role}; columns are {', '.join(table.colnames)}"
            )
        return chosen[role]
    lower = {name.lower(): name for name in table.colnames}
    return next((lower[alias] for alias in ALIASES.get(role, ()) if alias in lower), None)


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    column = table[name]
    try:
        values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    except (ValueError, TypeError) as error:
        raise UsageError(f"column {name} does not hold numbers: {column[0]!r}") from error
    return np.asarray(values, float)


def _bands(table: Table, wanted: list[str] | None) -> list[tuple[str, str | None]]:
    """Return magnitude columns with their error columns: those asked for, else all that have an error column."""
    lower = {name.lower(): name for name in table.colnames}

    def error_of(name: str) -> str | None:
        return next((lower[name.lower() + s] for s in ERROR_SUFFIXES if name.lower() + s in lower), None)

    if wanted:
        missing = [b for b in wanted if b not in table.colnames]
        if missing:
            raise UsageError(f"no column {', '.join(missing)}; columns are {', '.join(table.colnames)}")
        return [(b, error_of(b)) for b in wanted]
    roles = {alias for names in ALIASES.values() for alias in names}
    return [
        (name, error_of(name))
        for name in table.colnames
        if name.lower() not in roles and error_of(name) and table[name].dtype.kind == "f"
    ]


def read_catalogue(
    path: Path, columns: Mapping[str, str] | None = None, bands: list[str] | None = None
) -> CatalogueTable:
    """Read a catalogue file.

    Parameters
    ----------
    columns : names of the columns for id, ra, dec (deg), pm_ra (times cos dec), pm_dec (mas/yr) where they are not
        found by their usual names.
    bands : magnitude columns; by default every float column that has an error column beside it (g, g_err).

    Raises
    ------
    UsageError : not a table, no positions, or an empty file; columns found are named.
    """
    table = _read(path)
    columns = columns or {}
    place = {role: _column(table, role, columns) for role in ALIASES}
    for role in ("ra", "dec"):
        if place[role] is None:
            raise UsageError(
                f"{path}: no column for {role}; columns are {', '.join(table.colnames)}; say --column {role}=NAME"
            )
    ra, dec = _numbers(table, str(place["ra"])), _numbers(table, str(place["dec"]))
    good = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & (np.abs(ra) <= 360)
    if not good.any():
        raise UsageError(f"{path}: none of its {len(table)} rows has a position in degrees")
    found = _bands(table, bands)
    n, k = int(good.sum()), len(found)
    stars = np.zeros(
        n,
        [
            ("name", "O"),
            ("ra", "f8"),
            ("dec", "f8"),
            ("pm_ra", "f4"),
            ("pm_dec", "f4"),
            ("mag", "f4", (k,)),
            ("mag_err", "f4", (k,)),
        ],
    )
    names = np.asarray(table[place["id"]]).astype(str) if place["id"] else np.arange(len(table)).astype(str)
    stars["name"], stars["ra"], stars["dec"] = names[good], ra[good] % 360.0, dec[good]
    for role in ("pm_ra", "pm_dec"):
        if place[role]:
            stars[role] = np.nan_to_num(_numbers(table, str(place[role]))[good])
    for j, (name, error) in enumerate(found):
        stars["mag"][:, j] = _numbers(table, name)[good]
        stars["mag_err"][:, j] = _numbers(table, error)[good] if error else np.nan
    return CatalogueTable([name for name, _ in found], stars, int((~good).sum()))
