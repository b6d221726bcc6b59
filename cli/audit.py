"""photodb audit: telescopes against each other on common sources."""

from __future__ import annotations

from typing import Any

import click

from .common import POSITIVE, format_option, message, pass_database, write_table

BRIEF = ("a", "b", "band", "n_sources", "raw_offset", "offset", "offset_err", "scatter", "slope_colour", "slope_mag",
         "dra", "ddec", "verdict")  # fmt: skip
"""Columns of the summary for people; the other formats have all."""


@click.command()
@pass_database
@click.argument("pair", nargs=-1, metavar="[A B]")
@click.option(
    "--by", type=click.Choice(["telescope", "camera"]), default="telescope", help="What A and B are names of."
)
@click.option("--band", metavar="NAME", help="Only this band.")
@click.option("--solution", "solution_id", type=POSITIVE, metavar="N", help="Else the published one.")
@click.option(
    "--min-sources", type=click.IntRange(3), default=10, show_default=True, help="Fewest common sources."
)
@click.option("--refcat", metavar="NAME", help="Colours from this catalogue, not from the archive's bands.")
@click.option(
    "--table",
    "which",
    type=click.Choice(["summary", "nights", "map", "stars", "places"]),
    default="summary",
    show_default=True,
    help="What is listed: pairs, nights, cells of the detectors, sources, or their positions.",
)
@click.option("--plot", type=click.Path(dir_okay=False), metavar="FILE.png", help="Draw it, too.")
@format_option()
def audit(
    db: Any,
    pair: tuple[str, ...],
    by: str,
    band: str | None,
    solution_id: int | None,
    min_sources: int,
    refcat: str | None,
    which: str,
    plot: str | None,
    fmt: str,
) -> None:
    """Compare telescopes A and B (all pairs by default) on the sources that both have seen.

    Offset of the calibrated magnitudes, slopes with colour and magnitude, differences over the field of each
    camera, drift between nights, and positions; with errors and a verdict in words. Differences are A minus B. The
    exit code does not depend on the verdict.
    """
    from photodb.steps import audit as steps
    from photodb.steps.audittables import table

    if len(pair) not in (0, 2) or len(set(pair)) != len(pair):
        raise click.UsageError(
            "name two different telescopes (or cameras with --by camera), or none for all pairs"
        )
    a, b = pair or (None, None)
    settings = steps.AuditSettings(a, b, by, band, solution_id, min_sources, refcat)
    report = steps.audit(db, settings)
    for note in report.notes + tuple(note for found in report.pairs for note in found.notes):
        message(note)
    if plot:
        from photodb.plots import style
        from photodb.plots.audit import audit_figure

        message(f"wrote {style.save(audit_figure(report.pairs, settings.thresholds), plot)}")
    brief = BRIEF if which == "summary" and fmt == "table" else ()
    write_table(table(report, which, settings.thresholds, brief), fmt)
