"""photodb db: the archive's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photodb.errors import UsageError

from .common import confirm, format_option, message, write_record, yes_option

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def db() -> None:
    """Start, stop, upgrade, dump or restore the archive's database.

    The embedded server starts with the first command that needs it and stops about ten seconds after the last
    (PHOTODB_IDLE_SECONDS); 'start' keeps it up until 'stop'.
    """


@db.command()
@click.pass_context
def start(ctx: click.Context) -> None:
    """Start the embedded server and keep it up until 'photodb db stop'."""
    server = _server(ctx)
    server.keep()
    message(f"running as process {server.pid()}; stop it with 'photodb db stop'")


@db.command()
@click.option(
    "--force", is_flag=True, help="Stop it though other processes use it; what they did not commit is lost."
)
@click.pass_context
def stop(ctx: click.Context, force: bool) -> None:
    """Stop the embedded server."""
    _server(ctx).stop(force=force)
    message("stopped")


@db.command()
@format_option()
@click.pass_context
def status(ctx: click.Context, fmt: str) -> None:
    """Tell whether the server runs, and what is in the archive; starts nothing."""
    from photodb.steps.archive import archive_status

    write_record(archive_status(ctx.find_root().obj), fmt)


@db.command()
@click.pass_context
def url(ctx: click.Context) -> None:
    """Give the URL of the database, for psql and other programs, without a password; starts nothing."""
    from photodb.steps.archive import archive_url

    click.echo(archive_url(ctx.find_root().obj))


@db.command()
@click.argument("revision", default="head")
@click.pass_context
def upgrade(ctx: click.Context, revision: str) -> None:
    """Bring the schema up to date, or to REVISION."""
    from photodb.steps.archive import migrate_archive

    before, after = migrate_archive(ctx.find_root().obj, revision, down=False)
    message(f"schema at {after}" + ("" if before != after else ", as before"))


@db.command()
@click.argument("revision")
@yes_option
@click.pass_context
def downgrade(ctx: click.Context, revision: str, yes: bool) -> None:
    """Bring the schema back to REVISION; 'base' drops every table."""
    from photodb.steps.archive import migrate_archive

    confirm(f"Columns and tables newer than {revision} will be dropped, with what they hold. Go on?", yes)
    before, after = migrate_archive(ctx.find_root().obj, revision, down=True)
    message(f"schema at {after or 'base'}, before at {before or 'base'}")


@db.command()
@click.pass_context
def check(ctx: click.Context) -> int:
    """Compare the schema with the one that this version writes; exit code 4 if they differ."""
    from photodb.steps.archive import schema_differences

    found = schema_differences(ctx.find_root().obj)
    for line in found:
        click.echo(line)
    message(
        "the schema is as it should be"
        if not found
        else f"{len(found)} differences; see 'photodb db upgrade'"
    )
    return 4 if found else 0


@db.command()
@click.argument("file", type=FILE)
@yes_option
@click.pass_context
def dump(ctx: click.Context, file: Path, yes: bool) -> None:
    """Write the whole archive to FILE (PostgreSQL's custom format)."""
    from photodb.steps.dump import dump_archive

    with _open(ctx) as archive:
        report = dump_archive(archive, file, overwrite=yes)
    message(f"{report.path}: {report.size / 1e6:.1f} MB, schema {report.revision}")


@db.command()
@click.argument("file", type=FILE)
@yes_option
@click.pass_context
def restore(ctx: click.Context, file: Path, yes: bool) -> None:
    """Put the dump in FILE in the archive's place, all or nothing."""
    from photodb.steps.dump import archive_is_empty, restore_archive

    with _open(ctx) as archive:
        if not archive_is_empty(archive):
            confirm(f"What {archive.location} holds will be replaced by {file}. Go on?", yes)
        report = restore_archive(archive, file, overwrite=True)
    message(f"restored from {file}, schema {report.revision}")


def _open(ctx: click.Context) -> Any:
    from photodb.storage.engine import open_database

    return open_database(ctx.find_root().obj, check_schema=False)


def _server(ctx: click.Context) -> Any:
    from photodb.steps.archive import embedded_server

    server = embedded_server(ctx.find_root().obj)
    if server is None:
        raise UsageError("this archive is in a database by URL: its server is not photodb's to start or stop")
    return server
