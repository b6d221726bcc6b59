"""photodb export: light curves and tables for other programs."""

from __future__ import annotations

import sys
from typing import Any

import click

from .common import dry_run_option, message, pass_database


@click.group()
def export() -> None:
    """Write the archive for other programs."""


@export.command()
@pass_database
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    help="FILE.txt, or - for stdout.",
)
@click.option("--band", metavar="NAME", help="Only this band.")
@click.option("--min-points", type=click.IntRange(min=1), default=1, show_default=True, help="Points a star.")
@click.option("--no-frames", is_flag=True, help="Only the numbers of each star, not every magnitude.")
@dry_run_option
def text(db: Any, output: str, band: str | None, min_points: int, no_frames: bool, dry_run: bool) -> None:
    """Write the table of all magnitudes: a row a star, with noises and flag, then a column a frame."""
    from photodb.export.text import TextSettings, export_text, stream_text

    settings = TextSettings(band, min_points, not no_frames)
    if output == "-" and not dry_run:
        stream_text(db, sys.stdout, settings)
        return
    report = export_text(db, output, settings, dry_run=dry_run)
    told = f"{report.n_stars} stars, {report.n_frames} frames, {report.n_points} magnitudes"
    message(f"{'would write' if dry_run else 'wrote'} {output}: {told}")
