"""photodb solve: the global photometric solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .common import (
    POSITIVE,
    TerminalProgress,
    dry_run_option,
    format_option,
    message,
    pass_database,
    teller,
    write_report,
)

SHOWN = 10


@click.command()
@pass_database
@click.option(
    "--band", "bands", multiple=True, metavar="NAME", help="Only this band; may be repeated. Default: all."
)
@click.option(
    "--order",
    type=click.IntRange(0, 3),
    default=2,
    show_default=True,
    help="Order of each frame's spatial polynomial; lowered where a frame has too few stars.",
)
@click.option(
    "--min-stars", type=click.IntRange(2), default=5, show_default=True, help="Stars a frame must share."
)
@click.option(
    "--max-mag-err",
    type=float,
    default=0.2,
    show_default=True,
    help="Fainter measurements take no part in the fit.",
)
@click.option(
    "--exclude-frame", "frames", type=POSITIVE, multiple=True, metavar="ID", help="Leave a frame out."
)
@click.option(
    "--exclude-source", "sources", type=POSITIVE, multiple=True, metavar="ID", help="Keep a source out."
)
@click.option("--exclude-night", "nights", type=int, multiple=True, metavar="MJD", help="Leave a night out.")
@click.option(
    "--photometry",
    default="auto",
    show_default=True,
    metavar="auto|psf|aperture|aperture:K",
    help="Kind of photometry: the better one of each star, the PSF, the main aperture, or aperture K (0 the smallest).",
)
@click.option(
    "--draft", is_flag=True, help="Write the solution without publishing it ('photodb solution publish')."
)
@dry_run_option
@format_option()
def solve(
    db: Any,
    bands: tuple[str, ...],
    order: int,
    min_stars: int,
    max_mag_err: float,
    frames: tuple[int, ...],
    sources: tuple[int, ...],
    nights: tuple[int, ...],
    photometry: str,
    draft: bool,
    dry_run: bool,
    fmt: str,
) -> None:
    """Fit zero points and spatial terms over all frames and stars, and publish the calibrated light curves.

    The solution is written beside older ones and published in one step; the one before is kept, retired. With --band
    it holds these bands only.
    """
    from photodb.steps.solve import SolveSettings
    from photodb.steps.solve import solve as solve_step

    settings = SolveSettings(
        bands=bands,
        order=order,
        min_stars=min_stars,
        max_mag_err=max_mag_err,
        exclude_frames=frames,
        exclude_sources=sources,
        exclude_nights=nights,
        photometry=photometry,
        draft=draft,
    )
    report = solve_step(db, settings, TerminalProgress(), dry_run)
    write_report(report, fmt)
    tell(report, teller(fmt))


def tell(report: Any, say: Callable[[str], None] = click.echo) -> None:
    """Print what a solution came to; rejections and remarks on stderr."""
    _some([f"frame {i} rejected: {reason}" for i, reason in report.rejected_frames], "photodb solution show")
    _some([f"frame {i}: {reason}" for i, reason in report.lowered_frames], "photodb solution show")
    for camera, note in report.floor_notes.items():
        message(f"error floor of {camera}: {note}")
    name = (
        "dry run, nothing was written"
        if report.solution_id < 0
        else f"solution {report.solution_id} ({report.state})"
    )
    say(
        f"{name}: {report.n_frames} frames, {report.n_sources} sources ({report.n_fit_sources} in the fit), "
        f"{report.n_measurements} measurements, "
        f"chi2 per degree of freedom {report.chi2_dof:.3f}"
    )
    for c in report.components:
        bridge = f"; held together by {c['weak_bridge']} stars only" if c["weak_bridge"] else ""
        counts = f"{c['n_frames']} frames, {c['n_sources']} sources"
        say(f"  {c['name']}: {counts}, {', '.join(c['cameras'])}{bridge}")
    floors = ", ".join(f"{name} {_mmag(value)}" for name, value in report.error_floor.items())
    say(f"  error floors: {floors}; bright stars scatter by {1e3 * report.bright_scatter:.1f} mmag")
    say("  photometry: " + ", ".join(f"{name} {count}" for name, count in report.photometry.items()))
    say(f"  {len(report.rejected_sources)} sources left out of the fit as not constant")


def _mmag(value: float | None) -> str:
    return "not fitted" if value is None else f"{1e3 * value:.1f} mmag"


def _some(lines: list[str], more: str) -> None:
    for line in lines[:SHOWN]:
        message(line)
    if len(lines) > SHOWN:
        message(f"... and {len(lines) - SHOWN} more; '{more}' shows all")
