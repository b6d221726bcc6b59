"""photodb export: light curves and tables for other programs."""

from __future__ import annotations

from typing import Any

import click

from .common import message, pass_database


@click.group()
def export() -> None:
    """Write the archive for other programs."""


@export.command()
@pass_database
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="FILE.txt.")
@click.option("--band", metavar="NAME", help="Only this band.")
@click.option("--min-points", type=click.IntRange(min=1), default=1, show_default=True, help="Points a star.")
@click.option("--no-frames", is_flag=True, help="Only the numbers of each star, not every magnitude.")
def text(db: Any, output: str, band: str | None, min_points: int, no_frames: bool) -> None:
    """Write the table of all magnitudes: a row a star, with noises and flag, then a column a frame."""
    from photodb.export.text import TextSettings, export_text

    report = export_text(db, output, TextSettings(band, min_points, not no_frames))
    message(f"wrote {output}: {report.n_stars} stars, {report.n_frames} frames, {report.n_points} magnitudes")
