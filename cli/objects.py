"""`photodb objects`: catalogues of known objects, by whose names positions are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photodb.errors import NothingMatched
from photodb.storage.engine import Database

from .catalogueoptions import catalogue_map, file_options
from .common import (
    TerminalProgress,
    confirm,
    dry_run_option,
    format_option,
    pass_database,
    teller,
    write_report,
    write_table,
    yes_option,
)


@click.group()
def objects() -> None:
    """Load, list, show, match and drop catalogues of known objects: VSX, GCVS, Gaia, or your own targets."""


@objects.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the catalogue in the archive.")
@click.option("--kind", default="variables", show_default=True, help="What its objects are.")
@file_options
@click.option(
    "--replace", "replace_old", is_flag=True, help="Put the file in the place of the one of that name."
)
@dry_run_option
@format_option()
@pass_database
def load(
    db: Database, file: Path, name: str, kind: str, replace_old: bool, dry_run: bool, table: str | None, fmt: str,
    **told: Any,
) -> None:  # fmt: skip
    """Load FILE: an export of VSX or Gaia (CSV, VOTable, FITS), the text of the GCVS, any table of names and places.

    Roles of columns: name, aliases, ra, dec, pm_ra, pm_dec, epoch (of the positions), position_error, type, period,
    time (of maximum or minimum), mag_max, mag_min, mag_band.

    \b
    Examples:
      photodb objects load vsx.vot.gz --name vsx
      photodb objects load gcvs5.txt --name gcvs
      photodb objects load rrlyrae.csv --name gaia --prefix "Gaia DR3 "
    """
    from photodb.images.objectlists import OBJECT_ROLES
    from photodb.steps.objects import load_objects

    report = load_objects(
        db,
        file,
        name,
        kind=kind,
        told=catalogue_map(**told, roles=OBJECT_ROLES),
        table=table,
        replace_old=replace_old,
        dry_run=dry_run,
        progress=TerminalProgress(unit="objects"),
    )
    write_report(report, fmt, dry_run=dry_run)
    tell = teller(fmt)
    if report.already:
        tell(f"{name}: this file is loaded already; nothing to do")
        return
    dropped = "".join(f"; {n} rows {reason} left out" for reason, n in report.dropped.items())
    done = "would load" if dry_run else "loaded"
    known = f"{report.n_typed} with a type, {report.n_periods} with a period"
    tell(f"{name}: {done} {report.n_objects} objects, {known}{dropped}")
    if report.frame != "icrs":
        tell(f"positions brought from {report.frame} to ICRS")


@objects.command("list")
@format_option()
@pass_database
def list_(db: Database, fmt: str) -> None:
    """List the catalogues of known objects."""
    from photodb.steps.objects import list_objects

    columns = {"name": "U1", "kind": "U1", "n_objects": "i8", "epoch": "f8", "path": "U1"}
    write_table(list_objects(db), fmt, columns=columns)


@objects.command()
@click.argument("name", nargs=-1, required=True)
@format_option()
@pass_database
def show(db: Database, name: tuple[str, ...], fmt: str) -> None:
    """Show what every catalogue says of the object NAME."""
    from photodb.steps.objects import show_object

    write_table(show_object(db, " ".join(name)), fmt)


@objects.command()
@click.option("--catalogue", metavar="NAME", help="Only objects of this catalogue.")
@click.option("--type", "kind", metavar="TYPE", help="Only objects whose type begins so, for example RR.")
@click.option("--measured", is_flag=True, help="Only objects that are a source with points.")
@format_option()
@pass_database
def match(db: Database, catalogue: str | None, kind: str | None, measured: bool, fmt: str) -> None:
    """List the known objects that the archive's frames cover: on how many frames, which source, how many points.

    source_id is -1 where no source is near enough; frames that are placed only approximately do not count.
    """
    from photodb.steps.known import MATCHED, covered_objects

    found = [
        row
        for row in covered_objects(db, catalogue)
        if row["type"].upper().startswith((kind or "").upper()) and (row["n_obs"] > 0 or not measured)
    ]
    write_table(found, fmt, columns=MATCHED)
    if not found:
        raise NothingMatched("no known object lies on an accepted frame with a known place")


@objects.command()
@click.argument("name")
@yes_option
@dry_run_option
@format_option()
@pass_database
def drop(db: Database, name: str, yes: bool, dry_run: bool, fmt: str) -> None:
    """Delete a catalogue of known objects."""
    from photodb.steps.objects import drop_objects

    n_objects = drop_objects(db, name, dry_run=True)
    if not dry_run:
        confirm(f"Drop {name} with its {n_objects} objects?", yes)
        drop_objects(db, name)
    write_report({"name": name, "n_objects": n_objects, "dry_run": dry_run}, fmt)
    teller(fmt)(f"{name}: {'would drop' if dry_run else 'dropped'} {n_objects} objects")
