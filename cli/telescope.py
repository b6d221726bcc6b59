"""`photodb telescope`: telescopes and cameras."""

from __future__ import annotations

from pathlib import Path

import click

from photodb.storage.engine import Database

from .common import dry_run_option, format_option, message, pass_database, write_table


@click.group()
def telescope() -> None:
    """Describe telescopes and cameras: which header card means what, and how the pixels behave."""


@telescope.command()
@click.argument("file", type=click.Path(path_type=Path))
@dry_run_option
@pass_database
def add(db: Database, file: Path, dry_run: bool) -> None:
    """Add the cameras of FILE (TOML; docs/header-map.md), or put them in place of their old descriptions."""
    from photodb.steps.instruments import add_telescope

    for description in add_telescope(db, file, dry_run=dry_run):
        message(f"{'would add' if dry_run else 'added'} camera {description.name} on {description.telescope}")


@telescope.command("list")
@format_option()
@pass_database
def list_(db: Database, fmt: str) -> None:
    """List telescopes and cameras, and which of their values were assumed."""
    from photodb.steps.instruments import telescope_table

    write_table(telescope_table(db), fmt)


@telescope.command()
@click.argument("name")
@pass_database
def show(db: Database, name: str) -> None:
    """Write the description of a camera (or all of a telescope) as TOML, with what was assumed and how."""
    from photodb.steps.instruments import camera_toml

    click.echo(camera_toml(db, name))
