"""photodb cone: the sources around a position."""

from __future__ import annotations

from typing import Any

import click

from photodb.errors import NothingMatched

from .common import SkyCommand, format_option, pass_database, position_arguments, write_table
from .lightcurve import table_of


@click.command(cls=SkyCommand)
@pass_database
@position_arguments
@click.argument("radius_deg", metavar="RADIUS_DEG", type=float)
@format_option()
def cone(db: Any, ra: float, dec: float, radius_deg: float, fmt: str) -> None:
    """List the sources within RADIUS_DEG of RA DEC or of the object NAME, nearest first, with their mean magnitudes."""
    from photodb.steps import ask

    columns = ask.cone(db, ra, dec, radius_deg)
    if not len(columns["source_id"]):
        raise NothingMatched(f"no source within {radius_deg:g} deg of RA {ra:.5f} Dec {dec:+.5f}")
    write_table(table_of(columns), fmt)
