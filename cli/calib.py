"""`photodb calib`: masters of bias, dark and flat."""

from __future__ import annotations

from pathlib import Path

import click

from photodb.storage.engine import Database

from .common import (
    EXIT_PARTIAL,
    POSITIVE,
    TerminalProgress,
    dry_run_option,
    format_option,
    message,
    pass_database,
    teller,
    write_report,
    write_table,
)
from .numbers import Finite


@click.group()
def calib() -> None:
    """Build, list, show and drop the masters (bias, dark, flat) that frames are reduced with."""


@calib.command()
@click.option("--camera", help="Only frames of this camera.")
@click.option("--kind", type=click.Choice(["bias", "dark", "flat"]), help="Only frames of this kind.")
@click.option("--band", help="Only flats of this band.")
@click.option("--night", type=int, help="Only frames of this night: the MJD of the noon that began it.")
@click.option(
    "--span",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Nights that one master may be made of.",
)
@click.option(
    "--days",
    type=Finite(0.0, above=True),
    help="How long before and after its frames a master holds; default: master_days of the camera.",
)
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Worker processes; default: none.")
@dry_run_option
@format_option()
@pass_database
def build(
    db: Database, camera: str | None, kind: str | None, band: str | None, night: int | None, span: int,
    days: float | None, jobs: int, dry_run: bool, fmt: str,
) -> int:  # fmt: skip
    """Build masters of the calibration frames in the archive; those that are there are not built again.

    Frames of one camera, size, band (flats) or exposure (darks) and night make one master. Masters hold for frames
    ingested from now on. Exit code 1 tells that a group made no master; the reason is told, and stays in the list.
    """
    from photodb.steps.calib import CalibSettings, tell
    from photodb.steps.calib import build as step

    settings = CalibSettings(camera, kind, band, night, span, days, jobs, dry_run)
    report = step(db, settings, TerminalProgress())
    say = teller(fmt)
    for made in report.built:
        say(tell(made))
    for why in report.left_out:
        message(f"left out {why}")
    known = f"; {report.n_known} were there before" if report.n_known else ""
    say(f"{'would build ' if dry_run else ''}{len(report.built) - report.n_rejected} masters{known}")
    write_report(report, fmt, dry_run=dry_run)
    return EXIT_PARTIAL if report.n_rejected else 0


@calib.command("list")
@click.option("--camera", help="Only masters of this camera.")
@format_option()
@pass_database
def list_(db: Database, camera: str | None, fmt: str) -> None:
    """List the masters: what they are made of, how good they are, when they hold, and which groups made none."""
    from photodb.steps.mastertables import master_table

    write_table(master_table(db, camera), fmt)


@calib.command()
@click.argument("master", type=POSITIVE)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write its pixels to a FITS file."
)
@format_option()
@pass_database
def show(db: Database, master: int, output: Path | None, fmt: str) -> None:
    """Show which frames made a MASTER, which were left out and why; with -o, write its pixels and mask as FITS."""
    from photodb.steps.mastertables import export_master, master_frames, master_remarks

    if output is not None:
        export_master(db, master, output)
        message(f"{output}: pixels in extension MASTER, mask in BPM")
    for line in master_remarks(db, master):
        message(line)
    write_table(master_frames(db, master), fmt)


@calib.command()
@click.argument("master", type=POSITIVE)
@click.option("--reason", default="dropped by hand", show_default=True, help="Why; kept in the list.")
@dry_run_option
@format_option()
@pass_database
def drop(db: Database, master: int, reason: str, dry_run: bool, fmt: str) -> None:
    """Drop a MASTER that no frame was reduced with: no frame gets it, and ingest does not build it again."""
    from photodb.steps.mastertables import drop

    drop(db, master, reason, dry_run=dry_run)
    write_report({"master_id": master, "reason": reason}, fmt, dry_run=dry_run)
    teller(fmt)(f"{'would drop' if dry_run else 'dropped'} master {master}: {reason}")
