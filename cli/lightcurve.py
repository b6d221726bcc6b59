"""photodb lightcurve: the light curve at a position."""

from __future__ import annotations

from typing import Any

import click

from .common import SkyCommand, format_option, message, pass_database, position_arguments, write_table


@click.command(cls=SkyCommand)
@pass_database
@position_arguments
@click.option(
    "--radius",
    type=float,
    metavar="ARCSEC",
    help="How far the source may be; by default what the astrometry of the frames there allows.",
)
@click.option("--band", metavar="NAME", help="Only this band.")
@click.option("--plot", type=click.Path(dir_okay=False), metavar="FILE.png", help="Draw it, too.")
@format_option()
def lightcurve(
    db: Any, ra: float, dec: float, radius: float | None, band: str | None, plot: str | None, fmt: str
) -> None:
    """Give the calibrated light curve of the source at RA DEC, degrees or sexagesimal hours and degrees, or of NAME.

    A NAME is that of a known object ('photodb objects load FILE'), of a reference star, or 'source 12'. The nearest
    source within the radius is taken. A point with flags other than 0 is doubtful; the README lists the bits; below
    three sigma mag_limit tells how bright it was at most.
    """
    from photodb.steps import ask

    answer = ask.light_curve(db, ra, dec, radius, band)
    for note in answer.notes:
        message(note)
    if plot:
        from photodb.plots import style
        from photodb.plots.lightcurve import light_curve_figure

        where = f"RA {answer.source['ra']:.5f} Dec {answer.source['dec']:+.5f}"
        figure = light_curve_figure(answer.points, f"source {answer.source['source_id']}   {where}")
        message(f"wrote {style.save(figure, plot)}")
    write_table(table_of(answer.points), fmt)


def table_of(columns: dict[str, Any]) -> Any:
    """Make an astropy table with units of columns."""
    from astropy.table import Table

    from photodb.steps import ask

    table = Table(columns)
    for name in table.colnames:
        table[name].unit = ask.unit_of(name)
    return table
