"""photodb db: the archive's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photodb.errors import UsageError

from .common import confirm, dry_run_option, format_option, message, write_record, write_report, yes_option

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def db() -> None:
    """Start, stop, upgrade, dump or restore the archive's database.

    The embedded server starts with the first command that needs it and stops about ten seconds after the last
    (PHOTODB_IDLE_SECONDS); 'start' keeps it up until 'stop'.
    """


@db.command()
@format_option()
@click.pass_context
def start(ctx: click.Context, fmt: str) -> None:
    """Start the embedded server and keep it up until 'photodb db stop'."""
    server = _server(ctx)
    server.keep()
    write_report({"running": True, "process": server.pid()}, fmt)
    message(f"running as process {server.pid()}; stop it with 'photodb db stop'")


@db.command()
@click.option(
    "--force", is_flag=True, help="Stop it though other processes use it; what they did not commit is lost."
)
@format_option()
@click.pass_context
def stop(ctx: click.Context, force: bool, fmt: str) -> None:
    """Stop the embedded server."""
    _server(ctx).stop(force=force)
    write_report({"running": False}, fmt)
    message("stopped")


@db.command()
@format_option()
@click.pass_context
def status(ctx: click.Context, fmt: str) -> None:
    """Tell whether the server runs, and what is in the archive; starts nothing."""
    from photodb.steps.archive import archive_status

    write_record(archive_status(ctx.find_root().obj), fmt)


@db.command()
@format_option()
@click.pass_context
def url(ctx: click.Context, fmt: str) -> None:
    """Give the URL of the database, for psql and other programs, without a password; starts nothing."""
    from photodb.steps.archive import archive_url

    found = archive_url(ctx.find_root().obj)
    write_report({"url": found}, fmt)
    if fmt == "table":
        click.echo(found)


@db.command()
@click.argument("revision", default="head")
@dry_run_option
@format_option()
@click.pass_context
def upgrade(ctx: click.Context, revision: str, dry_run: bool, fmt: str) -> None:
    """Bring the schema up to date, or to REVISION. A dry run does it and takes it back."""
    _move(ctx, revision, False, dry_run, fmt)


@db.command()
@click.argument("revision")
@yes_option
@dry_run_option
@format_option()
@click.pass_context
def downgrade(ctx: click.Context, revision: str, yes: bool, dry_run: bool, fmt: str) -> None:
    """Bring the schema back to REVISION; 'base' drops every table. A dry run does it and takes it back."""
    if not dry_run:
        confirm(f"Columns and tables newer than {revision} will be dropped, with what they hold. Go on?", yes)
    _move(ctx, revision, True, dry_run, fmt)


def _move(ctx: click.Context, revision: str, down: bool, dry_run: bool, fmt: str) -> None:
    """Bring the schema to a revision and say so."""
    from photodb.steps.archive import migrate_archive

    before, after = migrate_archive(ctx.find_root().obj, revision, down, dry_run)
    write_report({"before": before or "base", "after": after or "base", "dry_run": dry_run}, fmt)
    told = f"schema {'would be ' if dry_run else ''}at {after or 'base'}"
    told += f", before at {before or 'base'}" if before != after else ", as before"
    message(told + ("; nothing was written" if dry_run else ""))


@db.command()
@format_option()
@click.pass_context
def check(ctx: click.Context, fmt: str) -> int:
    """Compare the schema with the one that this version writes; exit code 4 if they differ."""
    from photodb.steps.archive import schema_differences

    found = schema_differences(ctx.find_root().obj)
    write_report({"differences": found}, fmt)
    for line in found if fmt == "table" else ():
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
@dry_run_option
@format_option()
@click.pass_context
def dump(ctx: click.Context, file: Path, yes: bool, dry_run: bool, fmt: str) -> None:
    """Write the whole archive to FILE (PostgreSQL's custom format)."""
    from photodb.steps.dump import dump_archive

    with _open(ctx) as archive:
        report = dump_archive(archive, file, yes, dry_run)
        where = archive.location
    write_report(report, fmt, dry_run=dry_run)
    if dry_run:
        message(f"would write {where}, schema {report.revision}, to {file}; nothing was written")
    else:
        message(f"{report.path}: {report.size / 1e6:.1f} MB, schema {report.revision}")


@db.command()
@click.argument("file", type=FILE)
@yes_option
@dry_run_option
@format_option()
@click.pass_context
def restore(ctx: click.Context, file: Path, yes: bool, dry_run: bool, fmt: str) -> None:
    """Put the dump in FILE in the archive's place, all or nothing."""
    from photodb.steps.dump import archive_is_empty, restore_archive

    with _open(ctx) as archive:
        empty, where = archive_is_empty(archive), archive.location
        if not (empty or dry_run):
            confirm(f"What {where} holds will be replaced by {file}. Go on?", yes)
        report = restore_archive(archive, file, True, dry_run)
    write_report(report, fmt, dry_run=dry_run)
    if dry_run:
        told = f"{where}, which is empty," if empty else f"what {where} holds"
        message(f"{told} would be replaced by {file}; nothing was written")
    else:
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
