"""`photodb refcat`: reference catalogues."""

from __future__ import annotations

from pathlib import Path

import click

from photodb.errors import UsageError
from photodb.storage.engine import Database

from .common import dry_run_option, format_option, message, pass_database, write_table
from .numbers import Finite
from .telescope import ANEW


@click.group()
def refcat() -> None:
    """Load and list reference catalogues of positions and magnitudes."""


@refcat.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the catalogue in the archive.")
@click.option(
    "--priority", type=int, default=0, show_default=True, help="Catalogues are tried from the highest."
)
@click.option(
    "--epoch",
    type=Finite(1800.0, 2200.0),
    default=2000.0,
    show_default=True,
    help="Julian epoch of the positions, years.",
)
@click.option(
    "--column", "columns", multiple=True, metavar="ROLE=NAME", help="Column for id, ra, dec, pm_ra or pm_dec."
)
@click.option(
    "--band", "bands", multiple=True, help="Magnitude column to load; default: all that have an error column."
)
@dry_run_option
@pass_database
def load(
    db: Database,
    file: Path,
    name: str,
    priority: int,
    epoch: float,
    columns: tuple[str, ...],
    bands: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Load FILE (CSV, ECSV, FITS table, VOTable) with columns id, ra, dec and bands with their _err.

    Positions are degrees, or text with hours and degrees (02:04:10.25, +46:41:16). The catalogue holds for frames
    ingested from now on.

    \b
    Example:
      photodb refcat load tycho.csv --name tycho --priority 10
    """
    from photodb.steps.refcat import load_refcat

    if any("=" not in c for c in columns):
        raise UsageError(f"--column takes ROLE=NAME, not {', '.join(columns)}")
    chosen = dict(c.split("=", 1) for c in columns)
    report = load_refcat(
        db,
        file,
        name,
        priority=priority,
        epoch=epoch,
        columns=chosen,
        bands=list(bands) or None,
        dry_run=dry_run,
    )
    if report.already:
        message(f"{name}: this file is loaded already ({report.n_stars} stars); nothing to do")
        return
    dropped = f"; {report.n_dropped} rows without a position left out" if report.n_dropped else ""
    done = "would load" if dry_run else "loaded"
    message(f"{name}: {done} {report.n_stars} stars, bands {', '.join(report.bands) or 'none'}{dropped}")
    if not dry_run:
        message(f"it holds for frames ingested from now on; to place others anew: {ANEW}")


@refcat.command("list")
@format_option()
@pass_database
def list_(db: Database, fmt: str) -> None:
    """List the catalogues, highest priority first."""
    from photodb.steps.instruments import catalogue_table

    write_table(catalogue_table(db), fmt)
