"""Options that tell how a catalogue's file is to be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from photodb.errors import UsageError

from .numbers import Finite

OPTIONS = (
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="ROLE=NAME",
        help="Which column holds what; may be repeated.",
    ),
    click.option(
        "--unit",
        "units",
        multiple=True,
        metavar="ROLE=UNIT",
        help="Unit of a column, if the file does not tell: ra=hour, pm_ra=arcsec/yr; may be repeated.",
    ),
    click.option(
        "--columns",
        "map_file",
        type=click.Path(path_type=Path),
        metavar="FILE.toml",
        help="Map of columns, units and bands (docs/catalogues.md).",
    ),
    click.option(
        "--frame",
        metavar="FRAME",
        help="What the positions are, if not ICRS: fk4:B1950, fk5:J2000, galactic; brought to ICRS.",
    ),
    click.option(
        "--epoch",
        type=Finite(1800.0, 2200.0),
        help="Julian epoch of the positions, years; default: what the file says, else 2000.",
    ),
    click.option(
        "--position-error",
        type=Finite(0.0, above=True),
        metavar="ARCSEC",
        help="Typical error of a position.",
    ),
    click.option("--prefix", help="Put before every id, for example 'Gaia DR3 '."),
    click.option(
        "--table",
        "--hdu",
        "table",
        metavar="N|NAME",
        help="Which table of a FITS file or VOTable of several.",
    ),
)


def file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that tell how a catalogue's file is to be read; `catalogue_map` takes them together."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def catalogue_map(
    columns: Sequence[str],
    units: Sequence[str],
    map_file: Path | None,
    frame: str | None,
    epoch: float | None,
    position_error: float | None,
    prefix: str | None,
    roles: Sequence[str] | None = None,
) -> Any:
    """Return the map that the options tell; they count before the file of --columns."""
    from dataclasses import replace

    from photodb.images.cataloguemap import ROLES, CatalogueMap, load_map

    told = load_map(map_file, roles or ROLES) if map_file else CatalogueMap()
    return replace(
        told,
        columns={**told.columns, **_pairs("--column", columns, "ROLE=NAME")},
        units={**told.units, **_pairs("--unit", units, "ROLE=UNIT")},
        frame=frame or told.frame,
        epoch=told.epoch if epoch is None else epoch,
        position_error=told.position_error if position_error is None else position_error,
        prefix=prefix if prefix is not None else told.prefix,
    )


def _pairs(option: str, words: Sequence[str], form: str) -> dict[str, str]:
    if any("=" not in word for word in words):
        raise UsageError(f"{option} takes {form}, not {', '.join(words)}")
    return dict(word.split("=", 1) for word in words)
