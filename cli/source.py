"""photodb source: show one source, merge and split sources, and how it came so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from photodb.errors import NothingMatched

from .common import (
    POSITIVE,
    SkyCommand,
    dry_run_option,
    format_option,
    message,
    pass_database,
    teller,
    write_record,
    write_report,
    write_table,
)
from .lightcurve import table_of
from .numbers import Finite
from .position import online_option, position_of

SOURCE_ID = click.IntRange(0, 2**63 - 1)
TABLES = {
    "detections": "detections", "magnitudes": "published magnitudes", "neighbours": "neighbours within 3 FWHM",
    "reference_stars": "reference stars matched", "history": "merges and splits",
}  # fmt: skip
"""Lists of a source's record that people get as tables."""
HISTORY_COLUMNS = (
    "source_history_id", "happened_at", "kind", "source_id", "other_source_id", "n_detections", "n_moved", "n_swapped",
    "note", "run_id",
)  # fmt: skip

note_option = click.option("--note", default="", metavar="TEXT", help="Why; kept in the history.")


@click.group()
def source() -> None:
    """Show sources, merge those that are one star, split those that are two."""


@source.command(cls=SkyCommand)
@pass_database
@click.argument("place", metavar="ID | RA DEC | NAME", nargs=-1, required=True)
@online_option
@click.option(
    "--radius",
    type=Finite(0.0, above=True),
    metavar="ARCSEC",
    help="How far the source may be; by default what the astrometry of the frames there allows.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False),
    metavar="FILE.png",
    help="Draw where its detections lie, and when.",
)
@format_option()
def show(
    db: Any, place: tuple[str, ...], online: str | None, radius: float | None, plot: str | None, fmt: str
) -> None:
    """Show all that is known of a source: by its ID (also one that was merged into another), or the nearest to a place.

    Offsets are against the mean of the detections; magnitudes are those of the published solution, but for 'mag', which
    is instrumental. 'aside' are detections of merged sources on frames on which the source has its own.
    """
    from photodb.steps.sourceshow import describe_source

    by_id = len(place) == 1 and place[0].isdigit()
    asked = int(SOURCE_ID(place[0])) if by_id else position_of(db, place, online)
    record, seen = describe_source(db, asked, radius)
    if isinstance(asked, int) and asked != record["source_id"]:
        message(f"source {asked} was merged into {record['source_id']}, which this shows")
    if plot:
        message(f"wrote {_draw(record, seen, plot)}")
    if fmt != "table":
        write_record(record, fmt)
        return
    write_record({k: v for k, v in record.items() if k not in (*TABLES, "missed_frames")}, fmt)
    for name, title in TABLES.items():
        if record[name]:
            click.echo(f"\n{title}")
            write_table(_flat(record[name]), fmt)


def _flat(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose cells are plain: what is nested becomes words."""
    return [
        {
            name: " ".join(f"{k} {v:.3f}" for k, v in cell.items()) if isinstance(cell, Mapping) else cell
            for name, cell in row.items()
        }
        for row in rows
    ]


def _draw(record: Mapping[str, Any], seen: Mapping[str, Any], path: str) -> Any:
    import numpy as np

    from photodb.plots import style
    from photodb.plots.source import source_figure
    from photodb.steps.sourceshow import offsets

    east, north = offsets(seen)
    scatter = float(np.hypot(record["ra_scatter"], record["dec_scatter"]))
    points = {"east": east, "north": north, "mjd": seen["mjd"], "camera": seen["camera"]}
    where = f"RA {record['ra']:.6f} Dec {record['dec']:+.6f}"
    figure = source_figure(points, scatter, record["reach"], f"source {record['source_id']}   {where}")
    return style.save(figure, path)


@source.command("list")
@pass_database
@click.option("--blend", is_flag=True, help="Only those that are blended with a neighbour on some frame.")
@click.option("--moving", is_flag=True, help="Only those with a proper motion.")
@click.option(
    "--merged", is_flag=True, help="Those that were merged into others, instead of the living ones."
)
@click.option(
    "--min-detections", type=click.IntRange(0), default=0, metavar="N", help="Only those seen so often."
)
@click.option("--limit", type=POSITIVE, default=1000, show_default=True)
@format_option()
def list_(
    db: Any, blend: bool, moving: bool, merged: bool, min_detections: int, limit: int, fmt: str
) -> None:
    """List sources; 'photodb cone RA DEC RADIUS_DEG' lists those around a place. 'mag' is instrumental."""
    from photodb.steps.sourceshow import list_sources

    columns = list_sources(db, blend, moving, merged, min_detections, limit)
    write_table(table_of({name: column[:limit] for name, column in columns.items()}), fmt)
    if len(columns["source_id"]) > limit:
        message(f"there are more than {limit}; --limit shows more")


@source.command()
@pass_database
@click.argument("keep", metavar="KEEP", type=SOURCE_ID)
@click.argument("others", metavar="ID...", type=SOURCE_ID, nargs=-1, required=True)
@note_option
@click.option("--force", is_flag=True, help="Even if they were detected side by side, or are far apart.")
@dry_run_option
@format_option()
def merge(
    db: Any, keep: int, others: tuple[int, ...], note: str, force: bool, dry_run: bool, fmt: str
) -> None:
    """Merge sources that are one star into KEEP, which keeps its id; the others' ids lead to it from then on.

    Refused where two were detected on the same frame: those are two stars. 'photodb runs undo' takes it back.
    """
    from photodb.steps import sourcechange

    report = sourcechange.merge(db, keep, others, note, force, dry_run)
    _tell(report, fmt, f"nothing to merge: they are one source, {report.source_id}, already")


@source.command()
@pass_database
@click.argument("source_id", metavar="ID", type=SOURCE_ID)
@click.option("--detections", metavar="ID,...", help="These detections (detection_id).")
@click.option("--frames", metavar="FRAME,...", help="Those on these frames: ids, ranges (12-20) or paths.")
@click.option(
    "--by", type=click.Choice(["position"]), help="Those of the smaller of two clusters of positions."
)
@click.option("--camera", metavar="NAME", help="Those of this camera.")
@click.option("--after", "after_mjd", type=Finite(), metavar="MJD", help="Those later than this.")
@note_option
@dry_run_option
@format_option()
def split(
    db: Any, source_id: int, detections: str | None, frames: str | None, by: str | None, camera: str | None,
    after_mjd: float | None, note: str, dry_run: bool, fmt: str,
) -> None:  # fmt: skip
    """Make some detections of a source a source of their own.

    --by position is refused where one place, or one that moves, explains the positions as well.
    """
    from photodb.steps import sourcechange

    ids = tuple(SOURCE_ID(word.strip()) for word in (detections or "").split(",") if word.strip())
    names = tuple(word.strip() for word in (frames or "").split(",") if word.strip())
    rule = sourcechange.SplitRule(ids, names, by == "position", camera, after_mjd)
    report = sourcechange.split(db, source_id, rule, note, dry_run)
    if report.why:
        message(report.why)
    _tell(report, fmt, f"nothing to split: these detections were split off source {report.source_id} before")
    if report.changes and not dry_run:
        message("'photodb measure --missing' measures both where they have no measurement yet")


def _tell(report: Any, fmt: str, nothing: str) -> None:
    """Say what changed: a line a source on stdout, or a record there; what to do next on stderr."""
    write_report(report, fmt)
    say = teller(fmt)
    for change in report.changes:
        merged = change.kind == "merged"
        would = "would be " if report.dry_run else ""
        into = "merged into" if merged else "split off"
        told = f"source {change.source_id} {would}{into} {change.other_source_id}: {change.n_detections} detections"
        if change.n_left:
            told += f", {change.n_left} left aside (the kept one has its own on their frames)"
        if change.n_moved + change.n_swapped:
            told += f", {change.n_moved + change.n_swapped} forced measurements"
        say(told)
    if not report.changes:
        message(nothing)
    elif report.solution_id >= 0 and not report.dry_run:
        message(
            f"the published solution {report.solution_id} has them as they were: 'photodb solve' makes a new one"
        )


@source.command()
@pass_database
@click.argument("source_id", metavar="[ID]", type=SOURCE_ID, required=False)
@format_option()
def history(db: Any, source_id: int | None, fmt: str) -> None:
    """List merges and splits, oldest first: of one source, with all that was merged into it, or of all."""
    from photodb.steps import sourcechange

    rows = sourcechange.history(db, source_id)
    write_table([{name: row[name] for name in HISTORY_COLUMNS} for row in rows], fmt)


@source.command("pairs")
@pass_database
@click.option(
    "--radius",
    type=Finite(0.0, above=True),
    metavar="ARCSEC",
    help="How near they are; by default what the frames that saw them tell apart, or three times the errors.",
)
@format_option()
def list_pairs(db: Any, radius: float | None, fmt: str) -> None:
    """List pairs of sources that may be one star: too near to tell apart, and never detected side by side."""
    from photodb.steps.sourceshow import PAIR_COLUMNS, find_pairs

    rows = find_pairs(db, radius)
    if not rows:
        raise NothingMatched("no pair of sources is so near without being seen side by side")
    write_table(rows, fmt, columns=PAIR_COLUMNS)
    many = f"{len(rows)} pairs" if len(rows) > 1 else "1 pair"
    message(f"{many}; 'photodb source merge KEEP OTHER' merges one")
