"""Which column of a catalogue holds what: by its usual names, by options, by a TOML file (docs/catalogues.md)."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError

ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "source_id", "name", "designation", "objid", "star_id", "sdssid", "objectid", "source", "hip", "tyc",
           "main_id"),
    "ra": ("ra", "raj2000", "ra_icrs", "raicrs", "_raj2000", "_ra_icrs", "ra_deg", "radeg", "alpha_j2000", "ramean",
           "coord_ra", "ra2000", "_ra"),
    "dec": ("dec", "dej2000", "de_icrs", "deicrs", "_dej2000", "_de_icrs", "dec_deg", "dedeg", "decdeg", "delta_j2000",
            "decj2000", "decmean", "coord_dec", "declination2000", "_de", "de"),
    "pm_ra": ("pm_ra", "pmra", "pmra_cosdec", "propermotionra"),
    "pm_dec": ("pm_dec", "pmdec", "pmde", "propermotiondec"),
    "epoch": ("ref_epoch", "epoch_position", "refepoch"),
    "position_error": ("position_error", "pos_err", "poserr", "ra_error", "e_ra_icrs", "e_raj2000", "e_radeg",
                       "ra_err", "coord_raerr"),
}  # fmt: skip
"""Usual names of the columns, in lower case, the best first."""

GALACTIC = {"ra": ("glon", "l", "gal_l", "_glon"), "dec": ("glat", "b", "gal_b", "_glat")}
OLD = ("1950", "1900", "1875", "1855")
"""Years in the name of a column that tell another equinox."""

ROLES = tuple(ALIASES)


@dataclass(frozen=True)
class BandColumns:
    """One band of a catalogue: its columns, and what their numbers are."""

    name: str
    column: str
    error: str = ""
    kind: str = "mag"  # mag, or flux: turned into an AB magnitude
    error_kind: str = "same"  # same as `kind`; snr: flux over its error; flux/ERROR with `flux`
    flux: str = ""  # with error_kind flux: the column of the flux that `error` belongs to
    unit: str = ""
    system: str = "unknown"


@dataclass(frozen=True)
class CatalogueMap:
    """What a user says of a catalogue; empty where photodb is to find out."""

    columns: Mapping[str, str] = field(default_factory=dict)  # role -> column
    units: Mapping[str, str] = field(default_factory=dict)  # role -> unit
    frame: str = ""
    epoch: float = float("nan")  # Julian years
    position_error: float = float("nan")  # arcsec
    bands: tuple[BandColumns, ...] = ()
    band_names: tuple[str, ...] = ()  # magnitude columns, as options name them
    prefix: str = ""  # before every id


KEYS = {"catalogue": {"frame", "epoch", "position_error", "prefix"},
        "band": {"mag", "flux", "mag_err", "flux_err", "unit", "system"}}  # fmt: skip
SYSTEMS = ("AB", "Vega", "unknown")


def load_map(path: Path, roles: Sequence[str] = ROLES) -> CatalogueMap:
    """Read a map of TOML: [columns], [units], [catalogue] and a [bands.NAME] for each band.

    Raises
    ------
    UsageError : no such file, not TOML, an unknown key; the file, the key and the known ones are named.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    _known(tables, {"columns", "units", "catalogue", "bands"}, str(path))
    for name in tables:
        if not isinstance(tables[name], dict):
            raise UsageError(f"{path}: [{name}] must be a table")
    columns, units, whole = (tables.get(name, {}) for name in ("columns", "units", "catalogue"))
    _known(columns, set(roles), f"{path} [columns]")
    _known(units, set(roles), f"{path} [units]")
    _known(whole, KEYS["catalogue"], f"{path} [catalogue]")
    return CatalogueMap(
        {role: str(name) for role, name in columns.items()},
        {role: str(unit) for role, unit in units.items()},
        str(whole.get("frame", "")),
        _number(whole.get("epoch", float("nan")), f"{path} catalogue.epoch"),
        _number(whole.get("position_error", float("nan")), f"{path} catalogue.position_error"),
        tuple(
            _band(name, values, f"{path} [bands.{name}]") for name, values in tables.get("bands", {}).items()
        ),
        prefix=str(whole.get("prefix", "")),
    )


def _band(name: str, values: Any, where: str) -> BandColumns:
    if isinstance(values, str):
        return BandColumns(name, values)
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: the name of a column or a table needed, not {values!r}")
    _known(values, KEYS["band"], where)
    kinds = [kind for kind in ("mag", "flux") if kind in values]
    if len(kinds) != 1:
        raise UsageError(f"{where}: one of mag, flux needed")
    kind = kinds[0]
    other = "flux" if kind == "mag" else "mag"
    if f"{other}_err" in values:
        raise UsageError(f"{where}: {other}_err does not belong to {kind}; {kind}_err does")
    system = str(values.get("system", "AB" if kind == "flux" else "unknown"))
    if system not in SYSTEMS or (kind == "flux" and system != "AB"):
        raise UsageError(
            f"{where}: system {system!r}; {'AB, as of all fluxes' if kind == 'flux' else ', '.join(SYSTEMS)}"
        )
    error, unit = str(values.get(f"{kind}_err", "")), str(values.get("unit", ""))
    return BandColumns(name, str(values[kind]), error, kind, unit=unit, system=system)


def _known(values: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where}: {value!r} is no number")
    return float(value)


def checked_roles(columns: Mapping[str, str], roles: Sequence[str] = ROLES) -> None:
    """Refuse roles that there are not."""
    unknown = [role for role in columns if role not in roles]
    if unknown:
        raise UsageError(f"no role {', '.join(unknown)} for a column; known are {', '.join(roles)}")


def find_column(
    columns: Sequence[str], role: str, chosen: Mapping[str, str], aliases: Sequence[str] | None = None
) -> str | None:
    """Return the column of a role: the chosen one, else the first of its usual names; None without one.

    Raises
    ------
    UsageError : the chosen column is not there; near names and all columns are named.
    """
    lower = {name.lower(): name for name in reversed(columns)}
    if role in chosen:
        if chosen[role] in columns:
            return chosen[role]
        if chosen[role].lower() in lower:
            return lower[chosen[role].lower()]
        raise UsageError(f"no column {chosen[role]!r} for {role}; {near_names(chosen[role], columns)}")
    usual = ALIASES.get(role, ()) if aliases is None else aliases
    return next((lower[alias] for alias in usual if alias in lower), None)


def near_names(name: str, columns: Sequence[str]) -> str:
    """Return what to say of columns when one is not there."""
    lower = {c.lower(): c for c in columns}
    near = [lower[n] for n in difflib.get_close_matches(name.lower(), lower, n=2, cutoff=0.6)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}columns are {', '.join(columns)}"


def has_positions(columns: Sequence[str]) -> bool:
    """Tell whether a table has columns of positions under usual names."""
    return all(find_column(columns, role, {}) for role in ("ra", "dec"))
