"""photodb frame: list, show, reject and restore frames."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from .common import (
    EXIT_PARTIAL,
    POSITIVE,
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
    "reference_frame_id shift_x shift_y shift_rotation shift_rms shift_n via_frame_id night field_id doubts"
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


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --camera, --band, --night and --run, passed together as `chosen`, the words of a FrameFilter."""

    @functools.wraps(function)
    def wrapper(
        *args: Any, camera: str | None, band: str | None, night: int | None, run: int | None, **kwargs: Any
    ) -> Any:
        chosen = {"camera": camera, "band": band, "night": night, "run": run}
        return function(*args, chosen=chosen, **kwargs)

    option = click.option(
        "--run", type=POSITIVE, metavar="N", help="Only the frames that this run of ingest read."
    )
    return filter_options(option(wrapper))


@click.group()
def frame() -> None:
    """List, show, reject and restore frames."""


@frame.command("list")
@pass_database
@click.option("--status", type=click.Choice(["accepted", "rejected"]), help="Only frames of this status.")
@click.option(
    "--kind", type=click.Choice(["science", "bias", "dark", "flat", "unknown"]), help="Only this kind."
)
@selection_options
@click.option(
    "--doubtful", is_flag=True, help="Only frames whose time or pointing looks wrong; column doubts."
)
@click.option("--all-columns", is_flag=True, help="Every column that a list can have.")
@format_option()
def list_frames(
    db: Any,
    status: str | None,
    kind: str | None,
    chosen: dict[str, Any],
    doubtful: bool,
    all_columns: bool,
    fmt: str,
) -> None:
    """List frames by time. zero_point is that of the published solution."""
    from photodb.steps.judge import FrameFilter, frame_columns

    more = f" {MORE_COLUMNS}" if all_columns else " doubts" if doubtful else ""
    wanted = FrameFilter(status=status, kind=kind, doubtful=doubtful or None, **chosen)
    columns = frame_columns(db, wanted, tuple((LIST_COLUMNS + more).split()))
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
@click.argument("frames", metavar="[FRAME]...", nargs=-1)
@click.option("--run", "run_id", type=POSITIVE, metavar="N", help="What run N rejected: 'photodb runs list'.")
@click.option("--last", is_flag=True, help="What the last judgement rejected that still stands.")
@click.option("--reason-code", metavar="CODE", help="What was rejected by this code: qa, shift or by_hand.")
@dry_run_option
@format_option()
@click.pass_context
def restore(
    ctx: click.Context, db: Any, frames: tuple[str, ...], run_id: int | None, last: bool,
    reason_code: str | None, dry_run: bool, fmt: str,
) -> None:  # fmt: skip
    """Accept rejected frames again: FRAMES, or those that a run, the last judgement or a code rejected.

    Each rejection stands by itself: a frame that was rejected twice, say by its shift and by hand, stays rejected when
    only one of the two is taken back. Given by FRAME alone, all its rejections are taken back.
    """
    from photodb.steps import judge

    if not (frames or last or run_id or reason_code):
        raise click.UsageError("which frames? FRAME..., --run N, --last or --reason-code CODE", ctx)
    if last and run_id:
        raise click.UsageError("--last and --run exclude each other", ctx)
    run_id = judge.last_judgement(db) if last else run_id
    ids = judge.find_frames(db, frames) if frames else None
    report = judge.restore(db, ids, dry_run=dry_run, run_id=run_id, reason_code=reason_code)
    tell(report, fmt)
    if report.refused:
        ctx.exit(EXIT_PARTIAL)


def tell(report: Any, fmt: str) -> None:
    """Say what a judgement changed: a line a frame on stdout, or a record there; the sum on stderr."""
    write_report(report, fmt)
    for frame_id, reason in report.changed.items() if fmt == "table" else ():
        click.echo(f"{frame_id}\t{report.status}\t{reason}".rstrip())
    for frame_id, reason in report.kept.items():
        message(f"frame {frame_id} stays rejected: {reason}")
    for frame_id, reason in report.refused.items():
        fail(f"frame {frame_id} cannot be {report.status}: {reason}")
    message(_sum(report))


def _sum(report: Any) -> str:
    n = len(report.changed)
    verb = "would be" if report.dry_run else "was" if n == 1 else "were"
    told = f"{n} frame{'s' if n != 1 else ''} {verb} {report.status}"
    if report.unchanged:
        told += f", {len(report.unchanged)} so already"
    if report.kept:
        told += f", {len(report.kept)} stay rejected for other reasons"
    if n and not report.dry_run:
        told += f"; {_solve_again(report)}"
    return told


def _solve_again(report: Any) -> str:
    """Say what to do of the published solution, if it was made with the frames as they were."""
    again = "'photodb solve' makes a solution of what is accepted now"
    if report.solution_id < 0:
        return again
    if report.status == "rejected":
        if not report.n_in_solution:
            return f"the published solution {report.solution_id} used none of them and holds"
        return f"the published solution {report.solution_id} used {report.n_in_solution} of them: {again}"
    without = len(report.changed) - report.n_in_solution
    if not without:
        return f"the published solution {report.solution_id} used them all and holds"
    return f"the published solution {report.solution_id} was made without {without} of them: {again}"
