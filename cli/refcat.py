"""`photodb refcat`: reference catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photodb.storage.engine import Database

from .catalogueoptions import catalogue_map, file_options
from .common import (
    TerminalProgress,
    confirm,
    dry_run_option,
    format_option,
    message,
    pass_database,
    teller,
    write_record,
    write_report,
    write_table,
    yes_option,
)


@click.group()
def refcat() -> None:
    """Load, list, show and drop reference catalogues of positions and magnitudes."""


@refcat.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the catalogue in the archive.")
@click.option(
    "--priority", type=int, default=0, show_default=True, help="Catalogues are tried from the highest."
)
@file_options
@click.option(
    "--band", "bands", multiple=True, help="Magnitude column to load; default: all that have an error column."
)
@click.option(
    "--correction",
    "correction_file",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Systematic correction of the positions (docs/catalogues.md).",
)
@click.option(
    "--replace", "replace_old", is_flag=True, help="Put the file in the place of the one of that name."
)
@dry_run_option
@pass_database
def load(
    db: Database, file: Path, name: str, priority: int, bands: tuple[str, ...], correction_file: Path | None,
    replace_old: bool, dry_run: bool, table: str | None, **told: Any,
) -> None:  # fmt: skip
    """Load FILE (CSV, ECSV, FITS table, VOTable) with columns id, ra, dec and bands with their _err.

    Positions are degrees or what the column's unit says, or text with hours and degrees (02:04:10.25, +46:41:16).
    Roles of columns: id, ra, dec, pm_ra, pm_dec, epoch, position_error. The catalogue holds for frames ingested from
    now on.

    \b
    Examples:
      photodb refcat load tycho.csv --name tycho --priority 10
      photodb refcat load gaia.vot.gz --name gaia --prefix "Gaia DR3 "
    """
    from photodb.images.correctionfile import load_correction
    from photodb.steps.refcat import load_refcat

    report = load_refcat(
        db,
        file,
        name,
        priority=priority,
        told=catalogue_map(**told),
        bands=list(bands) or None,
        table=table,
        correction=load_correction(correction_file) if correction_file else None,
        replace_old=replace_old,
        dry_run=dry_run,
        progress=TerminalProgress(unit="stars"),
    )
    if report.already:
        message(f"{name}: this file is loaded already ({report.n_stars} stars); nothing to do")
        return
    _tell(report, dry_run)


def _tell(report: Any, dry_run: bool) -> None:
    done = "would load" if dry_run else "loaded"
    dropped = "".join(f"; {n} rows {reason} left out" for reason, n in report.dropped.items())
    message(
        f"{report.name}: {done} {report.n_stars} stars, bands {', '.join(report.bands) or 'none'}{dropped}"
    )
    if report.frame != "icrs":
        message(f"positions brought from {report.frame} to ICRS")
    for band, n in report.absurd.items():
        message(f"{n} magnitudes {band} beyond -30 to 40 taken for none")
    if report.position_error > 60:
        wrong = "is its unit right (--unit position_error=mas)?"
        message(f"the typical position error is {report.position_error:g} arcsec: {wrong}")
    if not dry_run:
        message("it holds for frames ingested from now on; those in the archive: photodb astrometry solve")


@refcat.command("list")
@format_option()
@pass_database
def list_(db: Database, fmt: str) -> None:
    """List the catalogues, highest priority first."""
    from photodb.steps.instruments import catalogue_table

    write_table(catalogue_table(db), fmt)


@refcat.command()
@click.argument("name")
@format_option()
@pass_database
def show(db: Database, name: str, fmt: str) -> None:
    """Show what is known of a catalogue, and how many frames were placed with it."""
    from photodb.steps.refcat import show_refcat

    write_record(show_refcat(db, name), fmt)


@refcat.command()
@click.argument("name")
@yes_option
@dry_run_option
@format_option()
@pass_database
def drop(db: Database, name: str, yes: bool, dry_run: bool, fmt: str) -> None:
    """Delete a catalogue; refused where frames were placed with it."""
    from photodb.steps.refcat import drop_refcat

    n_stars = drop_refcat(db, name, dry_run=True)
    if not dry_run:
        confirm(f"Drop the catalogue {name} of {n_stars} stars?", yes)
        drop_refcat(db, name)
    write_report({"name": name, "n_stars": n_stars, "dry_run": dry_run}, fmt)
    teller(fmt)(f"{name}: {'would drop' if dry_run else 'dropped'} {n_stars} stars")
