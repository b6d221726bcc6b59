"""photodb demo: simulate two telescopes, run the chain, print truth beside result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import TerminalProgress, dry_run_option, format_option, message, teller, write_report
from .demo_text import times, truth_beside_result, what_next

if TYPE_CHECKING:
    from photodb.steps.demo import DemoReport


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path("photodb-demo"))
@click.option("--frames", default=96, show_default=True, help="Frames in all.")
@click.option("--stars", default=500, show_default=True, help="Stars in the field.")
@click.option("--telescopes", default=2, show_default=True, help="Telescopes.")
@click.option("--nights", default=3, show_default=True, help="Nights.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Another seed, another sky."
)
@click.option("--jobs", type=click.IntRange(1), help="Processes that read frames; by default one a core.")
@click.option("--url", help="Make the archive in this PostgreSQL instead of an embedded one.")
@dry_run_option
@format_option()
def demo(
    directory: Path,
    frames: int,
    stars: int,
    telescopes: int,
    nights: int,
    seed: int,
    jobs: int | None,
    url: str | None,
    dry_run: bool,
    fmt: str,
) -> None:
    """Simulate telescopes, fill an archive in DIRECTORY (./photodb-demo), compare with the truth."""
    from photodb.steps.demo import DemoSettings, check_folder, run_demo
    from photodb.storage.engine import open_database

    settings = DemoSettings(frames, stars, telescopes, nights, seed)
    if dry_run:
        reused = check_folder(directory, settings)
        made = settings.plan()
        write_report(settings, fmt, directory=directory, reused=reused, dry_run=True)
        message(
            f"would {'take up' if reused else 'make'} a demonstration in {directory}: "
            f"{len(made.exposures)} frames of {len(made.sky)} stars; nothing was written"
        )
        return
    report = run_demo(directory, settings, url, jobs, TerminalProgress())
    with open_database(str(directory)) as db:
        plots = write_plots(db, report)
    write_report(report, fmt, plots=plots)
    for text in (truth_beside_result(report.comparison), times(report), what_next(report, plots)):
        teller(fmt)(text)


def write_plots(db: Any, report: DemoReport) -> list[Path]:
    """Write the plots below the folder of the demonstration; return their paths."""
    from photodb.plots import coverage, lightcurve, noise, quality, residuals, shifts, style, zeropoints
    from photodb.steps import ask, figures, judge, limits, suggest

    folder = report.directory / "plots"
    folder.mkdir(exist_ok=True)
    every = judge.FrameFilter(kind="science")
    found = limits.quality_columns(db, every)
    drawn = {
        "noise": noise.noise_figure(figures.noise_columns(db)),
        "zeropoints": zeropoints.zero_points_figure(figures.zero_point_columns(db)),
        "residuals": residuals.residuals_figure(figures.residual_columns(db)),
        "coverage": coverage.coverage_figure(figures.coverage_columns(db)),
        "quality": quality.quality_figure(
            found, suggest.suggested_limits(found, limits.Limits()), "image quality"
        ),
        "shifts": shifts.shifts_figure(limits.shift_columns(db, every)),
    }
    for v in report.comparison.variables:
        if v.rank:
            points = ask.light_curve(db, v.ra, v.dec).points
            name = f"curve-{v.rank:02d}-{v.kind}"
            drawn[name] = lightcurve.light_curve_figure(points, f"{v.kind}, rank {v.rank}")
    return [Path(style.save(figure, folder / f"{name}.png")) for name, figure in drawn.items()]
