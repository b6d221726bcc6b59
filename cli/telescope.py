"""`photodb telescope`: telescopes and cameras."""

from __future__ import annotations

from pathlib import Path

import click

from photodb.storage.engine import Database

from .common import dry_run_option, format_option, message, pass_database, write_table

ANEW = (
    "photodb runs list; photodb runs undo RUN --yes, newest first: the solve and stats runs, then the ingest runs; "
    "photodb ingest PATH (or photodb run PATH)"
)


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

    changes = set()
    for camera in add_telescope(db, file, dry_run=dry_run):
        name = f"camera {camera.description.name} on {camera.description.telescope}"
        if camera.change == "unchanged":
            message(f"{name}: already there, unchanged")
            continue
        changes.add(camera.change)
        done = {"new": "added", "changed": "changed"}[camera.change]
        message(f"would be {done}: {name}" if dry_run else f"{done} {name}")
    if dry_run:
        return
    if changes:
        message(
            "it holds for frames ingested from now on; files that were rejected for want of it: "
            "photodb ingest --retry PATH"
        )
    if "changed" in changes:
        message(f"to measure its other frames anew: {ANEW}")


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
    """Write the description of a camera (or all of a telescope) as TOML, with what was assumed and how.

    A camera that the archive does not hold is looked for among those that come with photodb.
    """
    from photodb.steps.instruments import camera_toml

    click.echo(camera_toml(db, name))
