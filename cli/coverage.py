"""photodb coverage: which frames cover a position, and what is known there."""

from __future__ import annotations

from typing import Any

import click

from .common import SkyCommand, format_option, message, pass_database, position_arguments, write_table
from .frame import filter_options
from .lightcurve import table_of
from .numbers import Finite


@click.command(cls=SkyCommand)
@pass_database
@position_arguments
@click.option(
    "--radius",
    type=Finite(0.0, above=True),
    metavar="ARCSEC",
    help="How far a source may be; by default what the astrometry of the frames there allows.",
)
@filter_options
@click.option("--all", "near_misses", is_flag=True, help="List the frames beside the position, too.")
@click.option("--summary", is_flag=True, help="A line a band instead of a line a frame.")
@click.option("--all-columns", is_flag=True, help="Every column that is known.")
@format_option()
def coverage(
    db: Any, ra: float, dec: float, radius: float | None, camera: str | None, band: str | None,
    night: int | None, near_misses: bool, summary: bool, all_columns: bool, fmt: str,
) -> None:  # fmt: skip
    """List the frames that cover RA DEC, and what is known there on each.

    One word a frame: measured (detected there), forced (measured there, not detected), limit (nothing measured; the
    limiting magnitude holds), masked (bad or saturated pixels, a part left out), edge, rejected; with --all outside.
    """
    from photodb.steps.coverage import SHORT, position_coverage
    from photodb.steps.coversummary import summary_table, told
    from photodb.storage.coverage import Which

    answer = position_coverage(db, ra, dec, radius, Which(camera, band, night), near_misses)
    for line in told(answer):
        message(line)
    if summary:
        write_table(table_of(summary_table(answer)), fmt)
    else:
        beside = ("distance_px", "distance_arcsec") if near_misses else ()
        names = answer.columns if all_columns else (*SHORT, *beside)
        write_table(table_of({name: answer.columns[name] for name in names}), fmt)
