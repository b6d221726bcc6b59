"""Read catalogues of known objects (variables): VSX, GCVS and Gaia as those sites export them, or any table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .catalogs import SeenNames
from .cataloguemap import ALIASES, ROLES, CatalogueMap, checked_roles, find_column, has_positions, near_names
from .catalogueplaces import ODD, TWICE, Placer, placer
from .cataloguevalues import numbers, texts
from .gcvs import is_gcvs, open_gcvs
from .tablefile import TableFile, guarded, open_table

OBJECT = np.dtype(
    [("name", "O"), ("aliases", "O"), ("ra", "f8"), ("dec", "f8"), ("pm_ra", "f4"), ("pm_dec", "f4"),
     ("position_error", "f4"), ("type", "O"), ("period", "f8"), ("epoch", "f8"), ("mag_max", "f4"), ("mag_min", "f4"),
     ("mag_band", "O")]
)  # fmt: skip
"""A known object: aliases a list of names, deg, mas/yr (the first times cos dec), arcsec, d, JD, mag; NaN for none."""

OBJECT_ALIASES: dict[str, tuple[str, ...]] = {
    "name": ("name", "gcvs", "varname", "main_id", "designation", "target", "star", "id", "source_id", "source",
             "auid"),
    "aliases": ("aliases", "othernames", "other_names", "auid", "ids"),
    "type": ("type", "vartype", "variabilitytype", "var_type", "best_class_name", "best_classification",
             "type_best_classification", "class", "otype"),
    "period": ("period", "per", "pf", "p1_o", "p1o", "p", "best_rotation_period"),
    "time": ("epoch", "m0", "jd0", "t0", "epoch_jd", "epoch_hjd", "epoch_bjd"),
    "mag_max": ("mag_max", "max", "magmax", "maxmag", "min_mag_g_fov"),
    "mag_min": ("mag_min", "min", "magmin", "minmag", "min1", "maximum_mag", "max_mag_g_fov"),
    "amplitude": ("f_min", "f_magmin"),
    "mag_band": ("mag_band", "n_max", "flt", "magcode"),
    "frequency": ("frequency",),
}  # fmt: skip
OBJECT_ROLES = (*(role for role in ROLES if role != "id"), *OBJECT_ALIASES)
COORDS = ("coords", "coords(j2000)", "radec2000", "coordinates", "coord", "j2000")
"""Names of a column with both coordinates."""

NAMELESS = "without a name"
MAG = re.compile(r"[<>(]*\s*(?P<mag>[+-]?\d+(?:\.\d*)?)\s*[:)]*\s*(?P<band>[A-Za-z']\w*)?")


@dataclass
class ObjectReader:
    """A catalogue of objects opened; reading its pieces fills the counts."""

    table: TableFile
    placer: Placer
    columns: Mapping[str, str]  # role -> column, of those there are
    periods: Sequence[str]  # columns, the first that holds a number counts
    prefix: str = ""
    typical_error: float = float("nan")  # arcsec, where a row tells none
    n_read: int = 0
    n_good: int = 0

    @property
    def dropped(self) -> dict[str, int]:
        """Rows left out so far, by reason."""
        counts = {**self.placer.dropped, ODD: sum(self.table.odd_rows)}
        return {reason: n for reason, n in counts.items() if n}

    def pieces(self) -> Iterator[NDArray]:
        """Give the objects, `OBJECT`, piece by piece.

        Raises
        ------
        UsageError : no row has a name and a position, or right ascensions look like hours.
        """
        seen = SeenNames()
        self.table.odd_rows.clear()
        wanted = {*self.placer.columns.values(), *self.columns.values(), *self.periods}
        for piece in self.table.pieces(sorted(wanted)):
            yield self._objects(piece, seen)
        self.placer.finish()
        if not self.n_good:
            told = ", ".join(f"{n} {reason}" for reason, n in self.dropped.items())
            raise UsageError(
                f"{self.table.path}: none of its {self.n_read} rows is an object: {told or 'it is empty'}"
            )

    def _objects(self, piece: Mapping[str, Any], seen: SeenNames) -> NDArray:
        places, good = self.placer.place(piece)
        names = self._words(piece, "name", len(places))
        named = names != ""
        self.placer.dropped[NAMELESS] += int((good & ~named).sum())
        good &= named
        new = np.ones(len(names), bool)
        new[good] = seen.first_times(names[good])
        self.placer.dropped[TWICE] += int((~new).sum())
        good &= new
        made = np.zeros(int(good.sum()), OBJECT)
        made["name"] = [self.prefix + str(name) for name in names[good]]
        for column in ("ra", "dec", "pm_ra", "pm_dec"):
            made[column] = places[column][good]
        error = np.where(np.isfinite(places["error"]), places["error"], self.typical_error)
        made["position_error"] = error[good]
        made["aliases"] = self._aliases(piece, names)[good]
        made["type"] = self._words(piece, "type", len(places))[good]
        made["period"], made["epoch"] = (
            self._period(piece, len(places))[good],
            self._number(piece, "time", len(places))[good],
        )
        for column, values in zip(
            ("mag_max", "mag_min", "mag_band"), self._range(piece, len(places)), strict=True
        ):
            made[column] = values[good]
        self.n_read += len(places)
        self.n_good += len(made)
        return made

    def _words(self, piece: Mapping[str, Any], role: str, n: int) -> NDArray:
        column = self.columns.get(role)
        return np.full(n, "", object) if column is None else texts(piece[column]).astype(object)

    def _number(self, piece: Mapping[str, Any], role: str, n: int) -> NDArray[np.float64]:
        column = self.columns.get(role)
        return np.full(n, np.nan) if column is None else numbers(piece[column], column, strict=False)

    def _aliases(self, piece: Mapping[str, Any], names: NDArray) -> NDArray:
        """Return the other names, (n,) lists: those of a column, and the bare id where a prefix is put before it."""
        cells = self._words(piece, "aliases", len(names))
        made = np.empty(len(names), object)
        for i, (cell, name) in enumerate(zip(cells, names, strict=True)):
            others = [word.strip() for word in re.split(r"[|;,]", cell) if word.strip()] if cell else []
            made[i] = [*others, name] if self.prefix else others
        return made

    def _period(self, piece: Mapping[str, Any], n: int) -> NDArray[np.float64]:
        period = np.full(n, np.nan)
        for column in self.periods:
            values = numbers(piece[column], column, strict=False)
            period = np.where(np.isfinite(period) & (period > 0), period, values)
        frequency = self._number(piece, "frequency", n)
        with np.errstate(divide="ignore", invalid="ignore"):
            period = np.where(period > 0, period, 1.0 / np.where(frequency > 0, frequency, np.nan))
        return np.where(period > 0, period, np.nan)

    def _range(self, piece: Mapping[str, Any], n: int) -> tuple[NDArray, NDArray, NDArray]:
        """Return the magnitudes at maximum and minimum and their band; a minimum in brackets is an amplitude."""
        bright, band = _magnitudes(self._words(piece, "mag_max", n))
        cells = self._words(piece, "mag_min", n)
        faint, _ = _magnitudes(cells)
        flags = self._words(piece, "amplitude", n)
        amplitude = np.array(["(" in f"{cell}{flag}" for cell, flag in zip(cells, flags, strict=True)], bool)
        own = self._words(piece, "mag_band", n)
        return bright, np.where(amplitude, bright + faint, faint), np.where(own != "", own, band)


def _magnitudes(cells: NDArray) -> tuple[NDArray[np.float64], NDArray]:
    """Return numbers and bands of magnitudes as they are written: `5.8 V`, `<15.2`, `(0.4) V`."""
    found = [MAG.match(cell) if cell else None for cell in cells]
    values = np.array([float(m["mag"]) if m else np.nan for m in found], np.float64)
    bands = np.array([(m["band"] or "") if m else "" for m in found], object)
    return np.where((values > -30) & (values < 40), values, np.nan), bands


def open_objects(
    path: Path, told: CatalogueMap | None = None, table: int | str | None = None
) -> ObjectReader:
    """Open a catalogue of objects and find its columns.

    Raises
    ------
    UsageError : no table; no column of names or positions (those found are named); an unknown frame or unit.
    """
    told = told or CatalogueMap()
    checked_roles(told.columns, OBJECT_ROLES)
    checked_roles(told.units, OBJECT_ROLES)
    file = _open(path, table)
    columns = {
        role: name
        for role, aliases in OBJECT_ALIASES.items()
        if (name := find_column(file.columns, role, told.columns, aliases))
    }
    if "name" not in columns:
        raise UsageError(
            f"{path}: no column of names; {near_names('name', file.columns)}; say --column name=NAME"
        )
    if columns.get("aliases") == columns["name"]:
        del columns["aliases"]
    places = placer(file, replace(told, columns={r: c for r, c in told.columns.items() if r in ALIASES}))
    lower = {name.lower(): name for name in file.columns}
    periods = (
        [columns["period"]]
        if "period" in told.columns
        else [lower[a] for a in OBJECT_ALIASES["period"] if a in lower]
    )
    return ObjectReader(file, places, columns, periods, told.prefix, told.position_error)


def _open(path: Path, table: int | str | None) -> TableFile:
    if path.is_file() and is_gcvs(path):
        return guarded(path, open_gcvs(path))
    file = open_table(path, table, lambda columns: has_positions(columns) or _both(columns) is not None)
    both = None if has_positions(file.columns) else _both(file.columns)
    return file if both is None else _parted(file, both)


def _both(columns: Sequence[str]) -> str | None:
    lower = {name.lower().replace(" ", ""): name for name in columns}
    return next((lower[name] for name in COORDS if name in lower), None)


def _parted(file: TableFile, column: str) -> TableFile:
    """Give a table whose positions are in one column the columns ra and dec."""

    def pieces(wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
        real = sorted({*(n for n in wanted if n not in ("ra", "dec")), column})
        for piece in file.pieces(real):
            pairs = [_pair(text) for text in texts(piece[column]).tolist()]
            yield {
                **piece,
                "ra": np.array([p[0] for p in pairs], str),
                "dec": np.array([p[1] for p in pairs], str),
            }

    return replace(file, columns=(*file.columns, "ra", "dec"), pieces=pieces)


def _pair(text: str) -> tuple[str, str]:
    """Part `00 24 01.95 +38 34 37.3`, or `6.008,38.577`."""
    if "," in text:
        first, _, second = text.partition(",")
        return first.strip(), second.strip()
    words = text.split()
    half = len(words) // 2
    return " ".join(words[:half]), " ".join(words[half:])
