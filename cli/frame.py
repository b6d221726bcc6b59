"""photodb frame: list, show, reject and restore frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np

from .common import (
    dry_run_option,
    fail,
    format_option,
    message,
    pass_database,
    write_record,
    write_report,
    write_table,
)

LIST_COLUMNS = (
    "frame_id path camera band mjd status reason n_detections fwhm zero_point astrometry astrom_rms_arcsec"
)
MORE_COLUMNS = (
    "telescope kind object exptime reason_code airmass background dynamic_range nonuniformity ellipticity "
    "limiting_mag zero_point_err gray_loss scatter solution_status astrom_n pixel_scale ra dec "
    "reference_frame_id shift_x shift_y shift_rotation shift_rms night field_id"
)


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --camera, --band and --night, passed by these names."""
    for option in (
        click.option("--night", type=int, metavar="MJD", help="Only the night that began at this MJD noon."),
        click.option("--band", metavar="NAME", help="Only this band."),
        click.option("--camera", metavar="NAME", help="Only this camera."),
    ):
        function = option(function)
    return function


@click.group()
def frame() -> None:
    """List, show, reject and restore frames."""


@frame.command("list")
@pass_database
@click.option("--status", type=click.Choice(["accepted", "rejected"]), help="Only frames of this status.")
@click.option(
    "--kind", type=click.Choice(["science", "bias", "dark", "flat", "unknown"]), help="Only this kind."
)
@filter_options
@click.option("--all-columns", is_flag=True, help="Every column that a list can have.")
@format_option()
def list_frames(
    db: Any,
    status: str | None,
    kind: str | None,
    camera: str | None,
    band: str | None,
    night: int | None,
    all_columns: bool,
    fmt: str,
) -> None:
    """List frames by time. zero_point is that of the published solution."""
    from photodb.steps.judge import FrameFilter, frame_columns

    names = tuple((LIST_COLUMNS + " " + MORE_COLUMNS if all_columns else LIST_COLUMNS).split())
    columns = frame_columns(db, FrameFilter(status, camera, band, night, kind), names)
    write_table(_with_units(columns), fmt)


def _with_units(columns: dict[str, np.ndarray]) -> Any:
    from astropy.table import Table

    from photodb.steps.judge import UNITS

    table = Table(columns)
    for name in table.colnames:
        table[name].unit = UNITS[name] or None
    return table


@frame.command()
@pass_database
@click.argument("frame_name", metavar="FRAME")
@format_option()
def show(db: Any, frame_name: str, fmt: str) -> None:
    """Show all that is known of one FRAME (its id, path or end of path)."""
    from photodb.steps.judge import describe_frame

    write_record(describe_frame(db, frame_name), fmt)


@frame.command()
@pass_database
@click.argument("frames", metavar="FRAME...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; kept with the frame.")
@dry_run_option
@format_option()
def reject(db: Any, frames: tuple[str, ...], reason: str, dry_run: bool, fmt: str) -> None:
    """Reject frames given by id (12), range of ids (12-20), path or end of path."""
    from photodb.steps import judge

    ids = judge.find_frames(db, frames)
    tell(judge.reject(db, dict.fromkeys(ids, reason), dry_run=dry_run), fmt)


@frame.command()
@pass_database
@click.argument("frames", metavar="FRAME...", nargs=-1, required=True)
@dry_run_option
@format_option()
@click.pass_context
def restore(ctx: click.Context, db: Any, frames: tuple[str, ...], dry_run: bool, fmt: str) -> None:
    """Accept rejected frames again."""
    from photodb.steps import judge

    report = judge.restore(db, judge.find_frames(db, frames), dry_run=dry_run)
    tell(report, fmt)
    if report.refused:
        ctx.exit(1)


def tell(report: Any, fmt: str) -> None:
    """Say what a judgement changed: a line a frame on stdout, or a record there; the sum on stderr."""
    write_report(report, fmt)
    for frame_id, reason in report.changed.items() if fmt == "table" else ():
        click.echo(f"{frame_id}\t{report.status}\t{reason}".rstrip())
    for frame_id, reason in report.refused.items():
        fail(f"frame {frame_id} cannot be {report.status}: {reason}")
    message(_sum(report))


def _sum(report: Any) -> str:
    n = len(report.changed)
    verb = "would be" if report.dry_run else "was" if n == 1 else "were"
    told = f"{n} frame{'s' if n != 1 else ''} {verb} {report.status}"
    if report.unchanged:
        told += f", {len(report.unchanged)} so already"
    if n and not report.dry_run:
        told += "; 'photodb solve' makes a solution of what remains"
    return told
