"""photodb init, doctor, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import (
    TerminalProgress,
    dry_run_option,
    format_option,
    message,
    pass_database,
    write_report,
    write_table,
)

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option(
    "--url", help="A PostgreSQL 14 or newer: postgresql://user@host/database. Else one is embedded."
)
@dry_run_option
@format_option()
def init(directory: Path | None, url: str | None, dry_run: bool, fmt: str) -> None:
    """Make an archive in DIRECTORY (default: here), or its tables in the database at a URL.

    The folder gets a photodb.toml, by which the other commands find the archive. An existing archive is
    brought up to date and otherwise left as it is. Passwords are better kept in ~/.pgpass than in the URL.
    """
    from photodb.steps import archive

    folder = directory or Path()
    report = archive.init_url(url, folder, dry_run) if url else archive.init_embedded(folder, dry_run)
    write_report(report, fmt, dry_run=dry_run)
    if dry_run:
        plan = "made" if report.created else "brought up to date" if report.upgraded else "left as it is"
        message(f"archive {report.location} would be {plan}; nothing was written")
        return
    done = "made" if report.created else "brought up to date" if report.upgraded else "is there already"
    message(f"archive {report.location} {done} (PostgreSQL {report.server_version}; settings {report.file})")
    where = "" if folder.resolve() == Path.cwd() else f" --archive {folder}"
    message(f"next: photodb{where} run FOLDER-OF-FRAMES, or: photodb demo")


@click.command()
@format_option()
@click.pass_context
def doctor(ctx: click.Context, fmt: str) -> int:
    """Check the machine and the archive; exit code 0 if nothing fails, 4 if only the schema does, else 3."""
    from photodb.steps.doctor import examine

    findings = []
    for finding in examine(ctx.find_root().obj):
        findings.append({"state": finding.state, "what": finding.what, "text": finding.text})
        if fmt == "table":
            mark, colour = MARKS[finding.state]
            click.echo(f"{click.style(mark, fg=colour)}  {finding.what}: {finding.text}")
    if fmt != "table":
        write_table(findings, fmt, columns=["state", "what", "text"])
    failed = {f["what"] for f in findings if f["state"] == "fail"}
    return 0 if not failed else 4 if failed == {"schema"} else 3


@click.command()
@click.option("--deep", is_flag=True, help="Recompute every calibrated magnitude too.")
@format_option()
@pass_database
def verify(db: Any, deep: bool, fmt: str) -> int:
    """Check the archive for lost, doubled or orphaned rows; exit code 1 if there are problems."""
    from photodb.steps.verify import verify_archive

    report = verify_archive(db, deep, TerminalProgress(unit="checks"))
    rows = [
        {"check": p.check, "count": p.count, "example": p.example, "mend": p.mend} for p in report.problems
    ]
    if rows or fmt != "table":
        write_table(rows, fmt, columns=["check", "count", "example", "mend"])
    if report.doubts:
        message(report.doubts)
    message(f"{len(report.checks)} checks, {len(report.problems)} problems")
    return 1 if report.problems else 0
