"""The positions of a catalogue's rows: read, checked, moved to one epoch and brought to ICRS; bad rows counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.sky import deproject, wrap
from ..errors import UsageError
from .catalogueframe import SkyFrame, declared_epoch, declared_frame, sky_frame, to_icrs
from .cataloguemap import GALACTIC, OLD, ROLES, CatalogueMap, find_column, near_names
from .cataloguevalues import HOURS, degrees, factor, numbers
from .tablefile import TableFile

NO_POSITION = "without a position"
BEYOND_POLE = "declination beyond a pole"
OUT_OF_RANGE = "right ascension out of range"
TWICE = "id there already"
ODD = "with another number of columns"
HIPPARCOS = 1991.25
ENOUGH = 10
"""Rows from which on right ascensions in hours can be told from degrees."""
WHOLE_SKY_DEG = 12.0
NARROW = 8.0


@dataclass
class Extent:
    """How far the positions reach, and of how many rows: to tell hours from degrees."""

    n: int = 0
    ra: tuple[float, float] = (np.inf, -np.inf)
    dec: tuple[float, float] = (np.inf, -np.inf)

    def add(self, ra: NDArray, dec: NDArray) -> None:
        """Take more rows in; all finite."""
        if len(ra):
            self.n += len(ra)
            self.ra = (min(self.ra[0], float(ra.min())), max(self.ra[1], float(ra.max())))
            self.dec = (min(self.dec[0], float(dec.min())), max(self.dec[1], float(dec.max())))

    def looks_like_hours(self) -> bool:
        """Tell whether numbers below 24 fill 24, or a field that would be a narrow strip along the meridian."""
        if self.n < ENOUGH or self.ra[0] < 0 or self.ra[1] > 24:
            return False
        wide, high = self.ra[1] - self.ra[0], self.dec[1] - self.dec[0]
        cosine = np.cos(np.radians(max(map(abs, self.dec))))
        return bool(wide > WHOLE_SKY_DEG or (0 < wide * max(cosine, 0.1) * NARROW < high < 120))


@dataclass
class Placer:
    """Reads the positions of a table piece by piece.

    `dropped` counts the rows left out, by reason.
    """

    columns: Mapping[str, str]  # role -> column, of those there are
    units: Mapping[str, str]  # role -> unit
    frame: SkyFrame
    epoch: float  # Julian years, of the catalogue
    dropped: Counter[str] = field(default_factory=Counter)
    errors: list[float] = field(default_factory=list)  # arcsec, of a share of the rows
    extent: Extent = field(default_factory=Extent)
    ask_hours: bool = True

    def place(self, piece: Mapping[str, Any]) -> tuple[NDArray, NDArray[np.bool_]]:
        """Return positions and motions, ra, dec (deg), pm_ra, pm_dec (mas/yr), error (arcsec), and which rows count."""
        ra_name, dec_name = self.columns["ra"], self.columns["dec"]
        ra = degrees(
            piece[ra_name],
            ra_name,
            self._unit("ra"),
            hours=self.frame.system != "galactic",
            strict=self.fresh,
        )
        dec = degrees(piece[dec_name], dec_name, self._unit("dec"), hours=False, strict=self.fresh)
        good = self._good(ra, dec)
        made = np.zeros(len(ra), [(n, "f8") for n in ("ra", "dec", "pm_ra", "pm_dec", "error")])
        made["ra"], made["dec"] = np.where(good, ra, 0.0), np.where(good, dec, 0.0)
        cosine = np.cos(np.radians(made["dec"]))
        made["pm_ra"] = self._motion(piece, "pm_ra", cosine, len(ra))
        made["pm_dec"] = self._motion(piece, "pm_dec", np.ones(1), len(ra))
        made["error"] = self._error(piece, len(ra))
        self._move(made, piece)
        self.extent.add(ra[good], dec[good])
        self.errors += made["error"][good][:1000].tolist()
        return made, good

    def finish(self) -> None:
        """Refuse positions that look like hours, once all are read; UsageError says how to tell."""
        if self.ask_hours and self.extent.looks_like_hours():
            (low, high), column = self.extent.ra, self.columns["ra"]
            raise UsageError(
                f"column {column} runs from {low:.4g} to {high:.4g}: hours or degrees? Say --unit ra=hour or ra=deg"
            )

    def position_error(self) -> float:
        """Return the typical error of a position, arcsec; NaN where the file tells none."""
        known = np.array(self.errors)
        known = known[np.isfinite(known) & (known > 0)]
        return float(np.median(known)) if len(known) else float("nan")

    @property
    def fresh(self) -> bool:
        """Whether no row has been placed yet: then a column without any number is a mistake, later it is chance."""
        return self.extent.n == 0

    def _unit(self, role: str) -> str:
        return self.units.get(role, "")

    def _good(self, ra: NDArray, dec: NDArray) -> NDArray[np.bool_]:
        known = np.isfinite(ra) & np.isfinite(dec)
        pole = known & (np.abs(dec) > 90)
        off = known & ~pole & (np.abs(ra) > 360)
        for reason, rows in ((NO_POSITION, ~known), (BEYOND_POLE, pole), (OUT_OF_RANGE, off)):
            self.dropped[reason] += int(rows.sum())
        return known & ~pole & ~off

    def _motion(self, piece: Mapping[str, Any], role: str, cosine: NDArray, n: int) -> NDArray:
        name = self.columns.get(role)
        if name is None:
            return np.zeros(n)
        unit = self._unit(role)
        values = np.nan_to_num(numbers(piece[name], name, self.fresh)) * factor(
            unit, u.mas / u.yr, f"column {name}"
        )
        seconds = unit.strip().lower().replace(" ", "").startswith("s/") or unit.strip().startswith("s.yr")
        return np.asarray(values * cosine if seconds else values, float)

    def _error(self, piece: Mapping[str, Any], n: int) -> NDArray:
        name = self.columns.get("position_error")
        if name is None:
            return np.full(n, np.nan)
        return np.asarray(
            numbers(piece[name], name, self.fresh)
            * factor(self._unit("position_error"), u.arcsec, f"column {name}")
        )

    def _move(self, made: NDArray, piece: Mapping[str, Any]) -> None:
        """Bring the rows to ICRS, and to the catalogue's epoch where they have epochs of their own."""
        name = self.columns.get("epoch")
        own = np.full(len(made), self.epoch) if name is None else numbers(piece[name], name, strict=False)
        own = np.where(np.isfinite(own), own, self.epoch)
        made["ra"], made["dec"], made["pm_ra"], made["pm_dec"] = to_icrs(
            self.frame, made["ra"], made["dec"], made["pm_ra"], made["pm_dec"], own
        )
        years = (self.epoch - own) / 3.6e6
        if years.any():
            made["ra"], made["dec"] = deproject(
                made["pm_ra"] * years, made["pm_dec"] * years, made["ra"], made["dec"]
            )
        made["ra"] = wrap(made["ra"])


def placer(table: TableFile, told: CatalogueMap, find: Callable[..., str | None] = find_column) -> Placer:
    """Find the columns of positions, their units, the frame and the epoch of a table.

    Raises
    ------
    UsageError : no columns of positions; columns of another equinox without a word on it; an unknown frame or unit.
    """
    frame = sky_frame(told.frame) if told.frame else declared_frame(table.words) or SkyFrame("icrs")
    columns = {}
    galactic = set(GALACTIC) - set(told.columns) if frame.system == "galactic" else set()
    for role in ROLES:
        name = find(table.columns, role, {}, GALACTIC[role]) if role in galactic else None
        name = name or find(table.columns, role, told.columns)
        if name:
            columns[role] = name
    for role in ("ra", "dec"):
        if role not in columns:
            old = any(year in name for name in table.columns for year in OLD)
            raise UsageError(
                f"{table.path}: no column for {role}; {near_names(role, table.columns)}; say --column {role}=NAME"
                + (" and, of another equinox, --frame fk4:B1950" if old else "")
            )
    _refuse_old(columns, told, table)
    units = {role: _first_unit(table, role, name, told) for role, name in columns.items()}
    made = Placer(columns, units, frame, _epoch(table, told, columns))
    made.ask_hours = "ra" not in told.units and not units["ra"] and frame.system != "galactic"
    return replace(made)


def _first_unit(table: TableFile, role: str, column: str, told: CatalogueMap) -> str:
    """Return the unit of a column: the user's word, the file's; Gaia's errors are in mas, if it does not say so."""
    if role in told.units:
        unit = told.units[role]
        return "hourangle" if unit.lower() in HOURS else unit
    written = table.units.get(column, "")
    gaia = "source_id" in {c.lower() for c in table.columns}
    if not written and role == "position_error" and gaia and column.lower() == "ra_error":
        return "mas"
    return "" if written == "None" else written


def _refuse_old(columns: Mapping[str, str], told: CatalogueMap, table: TableFile) -> None:
    """Refuse columns whose names say 1950 as long as nobody says what frame they are in."""
    old = [columns[role] for role in ("ra", "dec") if any(year in columns[role] for year in OLD)]
    if old and not told.frame and declared_frame(table.words) is None:
        raise UsageError(
            f"{table.path}: {', '.join(old)} look like another equinox; say so with --frame fk4:B1950"
        )


def _epoch(table: TableFile, told: CatalogueMap, columns: Mapping[str, str]) -> float:
    """Return the epoch of a catalogue: the user's word, the file's, the stars' own, Hipparcos', else 2000."""
    if np.isfinite(told.epoch):
        return told.epoch
    if "epoch" in columns:
        first = next(iter(table.pieces([columns["epoch"]])), {})
        own = numbers(first[columns["epoch"]], columns["epoch"]) if first else np.empty(0)
        if np.isfinite(own).any():
            return float(np.median(own[np.isfinite(own)]))
    declared = declared_epoch(table.words)
    if np.isfinite(declared):
        return declared
    is_hipparcos = columns["ra"].lower() in ("raicrs", "_ra_icrs", "ra_icrs") and "HIP" in table.columns
    return HIPPARCOS if is_hipparcos else 2000.0
