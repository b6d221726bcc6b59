"""Read reference catalogues from files: CSV, ECSV, FITS tables, VOTable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .cataloguebands import band_columns, band_values, find_bands, janskys
from .cataloguemap import BandColumns, CatalogueMap, checked_roles, find_column, has_positions, near_names
from .catalogueplaces import ODD, TWICE, Placer, placer
from .cataloguevalues import is_number, texts
from .tablefile import TableFile, open_table


@dataclass(frozen=True)
class CatalogueTable:
    """The stars of a catalogue file."""

    bands: list[str]
    stars: NDArray  # as `star_dtype`
    n_dropped: int  # rows left out


def star_dtype(k: int) -> np.dtype:
    """Return the type of a star: its name, deg, mas/yr (the first times cos dec), and k magnitudes; NaN for none."""
    place = [("name", "O"), ("ra", "f8"), ("dec", "f8"), ("pm_ra", "f4"), ("pm_dec", "f4")]
    return np.dtype([*place, ("mag", "f4", (k,)), ("mag_err", "f4", (k,))])


class SeenNames:
    """Tells which names came before, at eight bytes a name."""

    def __init__(self) -> None:
        self._known: list[NDArray[np.int64]] = []

    def first_times(self, names: NDArray) -> NDArray[np.bool_]:
        """Tell which of the names (n,) are new, and remember all."""
        keys = np.fromiter(map(hash, names.tolist()), np.int64, len(names))
        new = np.zeros(len(keys), bool)
        new[np.unique(keys, return_index=True)[1]] = True
        for known in self._known:
            at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            new &= known[at] != keys
        if len(keys):
            self._known.append(np.sort(keys))
        return new


@dataclass
class CatalogueReader:
    """A catalogue opened: its bands are known; reading its pieces fills the counts."""

    table: TableFile
    placer: Placer
    bands: tuple[BandColumns, ...]
    id_column: str | None
    prefix: str = ""
    n_read: int = 0
    n_good: int = 0
    absurd: Counter[str] = field(default_factory=Counter)  # magnitudes left out, by band

    @property
    def dropped(self) -> dict[str, int]:
        """Rows left out so far, by reason."""
        counts = {**self.placer.dropped, ODD: sum(self.table.odd_rows)}
        return {reason: n for reason, n in counts.items() if n}

    def pieces(self) -> Iterator[NDArray]:
        """Give the stars, `star_dtype`, piece by piece.

        Raises
        ------
        UsageError : no row has a position, right ascensions look like hours, or a column does not hold numbers.
        """
        wanted = {*self.placer.columns.values(), *([self.id_column] if self.id_column else [])}
        wanted |= {name for band in self.bands for name in band_columns(band)}
        seen = SeenNames()
        self.table.odd_rows.clear()
        for piece in self.table.pieces(sorted(wanted)):
            yield self._stars(piece, seen)
        self.placer.finish()
        if not self.n_good:
            raise UsageError(f"{self.table.path}: none of its {self.n_read} rows has a position{self._why()}")

    def _why(self) -> str:
        told = ", ".join(f"{n} {reason}" for reason, n in self.dropped.items())
        return f": {told}" if told else ""

    def _stars(self, piece: Mapping[str, Any], seen: SeenNames) -> NDArray:
        places, good = self.placer.place(piece)
        names = self._names(piece, len(places))
        if self.id_column:
            new = np.ones(len(names), bool)
            new[good] = seen.first_times(names[good])
            self.placer.dropped[TWICE] += int((~new).sum())
            good = good & new
        stars = np.zeros(int(good.sum()), star_dtype(len(self.bands)))
        stars["name"] = names[good]
        for column in ("ra", "dec", "pm_ra", "pm_dec"):
            stars[column] = places[column][good]
        for j, band in enumerate(self.bands):
            mag, error = band_values(band, piece, self.absurd, strict=not self.n_read)
            stars["mag"][:, j], stars["mag_err"][:, j] = mag[good], error[good]
        self.n_read += len(places)
        self.n_good += len(stars)
        return stars

    def _names(self, piece: Mapping[str, Any], n: int) -> NDArray:
        if self.id_column is None:
            return np.arange(self.n_read, self.n_read + n).astype(str).astype(object)
        names = texts(piece[self.id_column]).astype(object)
        return np.array([self.prefix + name for name in names], object) if self.prefix else names


def open_catalogue(
    path: Path, told: CatalogueMap | None = None, table: int | str | None = None
) -> CatalogueReader:
    """Open a catalogue file and find its columns.

    Raises
    ------
    UsageError : no table, no positions, columns that are not there (those found are named), an unknown frame or unit.
    """
    told = told or CatalogueMap()
    checked_roles(told.columns)
    checked_roles(told.units)
    file = open_table(path, table, has_positions)
    places = placer(file, told)
    bands = _bands(file, told)
    return CatalogueReader(file, places, bands, _id_column(file, told), told.prefix)


def _id_column(file: TableFile, told: CatalogueMap) -> str | None:
    return find_column(file.columns, "id", told.columns)


def _bands(file: TableFile, told: CatalogueMap) -> tuple[BandColumns, ...]:
    if told.bands:
        for band in told.bands:
            missing = [name for name in band_columns(band) if name not in file.columns]
            if missing:
                raise UsageError(
                    f"no column {missing[0]!r} for band {band.name}; {near_names(missing[0], file.columns)}"
                )
        bands = tuple(replace(b, unit=b.unit or file.units.get(b.column, "")) for b in told.bands)
    else:
        bands = find_bands(file.columns, file.units, told.band_names, lambda names: _numeric(file, names))
    for band in bands:
        if band.kind == "flux":
            janskys(band)  # a unit that is none is told before anything is read
    return bands


def _numeric(file: TableFile, names: Sequence[str]) -> set[str]:
    """Return which of some columns hold numbers with decimals, by a look at the first piece."""
    first = next(iter(file.pieces(sorted(set(names)))), {}) if names else {}
    return {name for name, column in first.items() if _is_real(column)}


def _is_real(column: Any) -> bool:
    values = np.ma.asarray(column)
    if values.dtype.kind != "U":
        return bool(values.dtype.kind == "f")
    some = [cell for cell in values[:1000].tolist() if cell]
    known = [cell for cell in some if is_number(cell)]
    return 2 * len(known) > len(some) and any("." in cell or "e" in cell.lower() for cell in known)


def read_catalogue(
    path: Path, columns: Mapping[str, str] | None = None, bands: Sequence[str] | None = None
) -> CatalogueTable:
    """Read a catalogue file as a whole.

    Parameters
    ----------
    columns : names of the columns for id, ra, dec, ... where they are not found by their usual names.
    bands : magnitude columns; by default every one that has an error column beside it (g, g_err).

    Raises
    ------
    UsageError : not a table, no positions, or an empty file; columns found are named.
    """
    reader = open_catalogue(path, CatalogueMap(dict(columns or {}), band_names=tuple(bands or ())))
    pieces = list(reader.pieces())
    names = [band.name for band in reader.bands]
    return CatalogueTable(names, np.concatenate(pieces), sum(reader.dropped.values()))
