"""photodb period: the period of a source."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from photodb.errors import NothingMatched

from .common import SkyCommand, format_option, message, pass_database, write_table
from .lightcurve import table_of
from .numbers import Finite
from .position import optional_position_arguments


@click.command(cls=SkyCommand)
@pass_database
@optional_position_arguments
@click.option("--source", type=int, metavar="ID", help="This source, instead of a position.")
@click.option(
    "--radius",
    type=Finite(0.0, above=True),
    metavar="ARCSEC",
    help="How far the source may be from the position.",
)
@click.option("--band", metavar="NAME", help="Only this band.")
@format_option()
def period(
    db: Any,
    ra: float | None,
    dec: float | None,
    source: int | None,
    radius: float | None,
    band: str | None,
    fmt: str,
) -> None:
    """Search the period of the source at RA DEC (degrees, or sexagesimal), of NAME, or of --source, band by band."""
    from photodb.steps import periods

    if (source is None) == (ra is None or dec is None):
        raise click.UsageError("give RA DEC, NAME or --source ID")
    if source is not None:
        found, notes = periods.period_of_source(db, source, band)
    else:
        assert ra is not None
        assert dec is not None
        found, notes = periods.period_at(db, ra, dec, radius, band)
    for note in notes:
        message(note)
    write_table(table_of({name: found[name] for name in found.dtype.names or ()}), fmt)
    if np.isnan(found["period"]).all():
        click.get_current_context().exit(NothingMatched.exit_code)
