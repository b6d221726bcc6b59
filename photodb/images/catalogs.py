"""Read reference catalogues from files: CSV, ECSV, FITS tables, VOTable."""

from __future__ import annotations

import csv
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle
from astropy.io.registry import IORegistryError
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


NO_TABLE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, IORegistryError,
            ExpatError, csv.Error, struct.error, zlib.error)  # fmt: skip
"""What the readers of astropy raise on files that are no tables."""


def _read(path: Path) -> Table:
    """Read a file of any of the formats.

    Raises
    ------
    UsageError : no such file, an empty one, or no table.
    """
    if not path.is_file():
        raise UsageError(f"{path}: {'a folder, not a file' if path.is_dir() else 'no such file'}")
    if not path.stat().st_size:
        raise UsageError(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Table.read(path, **_format(path))
    except NO_TABLE as error:
        text = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} cannot be read as a table (CSV, ECSV, FITS, VOTable): {text}") from error


def _format(path: Path) -> dict[str, str]:
    """Return the format of text tables; astropy tells the others by themselves."""
    name = path.name.lower()
    if name.endswith((".csv", ".txt", ".dat", ".tsv")):
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.read(7) == "# %ECSV":
                return {"format": "ascii.ecsv"}
        return {"format": "ascii.csv" if name.endswith(".csv") else "ascii"}
    return {}


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


def _degrees(table: Table, name: str, hours: bool) -> NDArray[np.float64]:
    """Return a column of angles in degrees: numbers (in the column's unit, else degrees), or text.

    Text is a number of degrees, or sexagesimal: hours where `hours`, unless it says otherwise (31d02m33s). What is
    neither becomes NaN, unless nothing else is there.
    """
    column = table[name]
    if column.dtype.kind not in "USO":
        unit = column.unit if column.unit is not None and column.unit.is_equivalent(u.deg) else u.deg
        return np.asarray(_numbers(table, name) * unit.to(u.deg), float)
    texts = [str(cell).strip() for cell in np.ma.filled(np.ma.asarray(column).astype(str), "")]
    degrees = np.array([_angle(text, u.hourangle if hours else u.deg) for text in texts])
    if not np.isfinite(degrees).any():
        first = next((text for text in texts if text), "")
        raise UsageError(f"column {name} holds no angles: {first!r} is neither degrees nor 02:04:10.25")
    return degrees


def _angle(text: str, unit: u.Unit) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(Angle(text, unit=unit).to_value(u.deg))
    except (ValueError, TypeError, u.UnitsError):
        return float("nan")


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
    columns : names of the columns for id, ra, dec (deg, or sexagesimal text), pm_ra (times cos dec), pm_dec (mas/yr)
        where they are not found by their usual names.
    bands : magnitude columns; by default every float column that has an error column beside it (g, g_err).

    Raises
    ------
    UsageError : not a table, no positions, or an empty file; columns found are named.
    """
    columns = columns or {}
    unknown = [role for role in columns if role not in ALIASES]
    if unknown:
        raise UsageError(f"no role {', '.join(unknown)} for a column; known are {', '.join(ALIASES)}")
    table = _read(path)
    place = {role: _column(table, role, columns) for role in ALIASES}
    for role in ("ra", "dec"):
        if place[role] is None:
            raise UsageError(
                f"{path}: no column for {role}; columns are {', '.join(table.colnames)}; say --column {role}=NAME"
            )
    ra, dec = _degrees(table, str(place["ra"]), hours=True), _degrees(table, str(place["dec"]), hours=False)
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
