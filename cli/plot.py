"""photodb plot: noise, zero points, residuals, coverage."""

from __future__ import annotations

from typing import Any

import click

from .common import message, pass_database
from .frame import filter_options
from .qa import plot_file


@click.group()
def plot() -> None:
    """Plot noise against magnitude, zero points, residuals over the frame, or the coverage of the sky."""


@plot.command()
@pass_database
@plot_file
@click.option("--band", metavar="NAME", help="Only this band.")
def noise(db: Any, output: str, band: str | None) -> None:
    """Plot global noise against mean magnitude, with the median, the promised errors and the candidates."""
    from photodb.plots import style
    from photodb.plots.noise import noise_figure
    from photodb.steps.figures import noise_columns

    stars = noise_columns(db, band)
    message(f"wrote {style.save(noise_figure(stars), output)}: {len(stars['mag'])} stars")


@plot.command()
@pass_database
@plot_file
@filter_options
def zeropoints(db: Any, output: str, camera: str | None, band: str | None, night: int | None) -> None:
    """Plot the zero point of each frame by time, the light lost, and the scatter of bright stars."""
    from photodb.plots import style
    from photodb.plots.zeropoints import zero_points_figure
    from photodb.steps.figures import zero_point_columns

    frames = zero_point_columns(db, camera, band, night)
    message(f"wrote {style.save(zero_points_figure(frames), output)}: {len(frames['mjd'])} frames")


@plot.command()
@pass_database
@plot_file
@click.option("--camera", metavar="NAME", help="Only this camera.")
def residuals(db: Any, output: str, camera: str | None) -> None:
    """Plot the residuals of the published solution over the frame of each camera."""
    from photodb.plots import style
    from photodb.plots.residuals import residuals_figure
    from photodb.steps.figures import residual_columns

    points = residual_columns(db, camera)
    message(f"wrote {style.save(residuals_figure(points), output)}: {len(points['x'])} points")


@plot.command()
@pass_database
@plot_file
@filter_options
def coverage(db: Any, output: str, camera: str | None, band: str | None, night: int | None) -> None:
    """Plot where the accepted frames lie on the sky."""
    from photodb.plots import style
    from photodb.plots.coverage import coverage_figure
    from photodb.steps.figures import coverage_columns

    frames = coverage_columns(db, camera, band, night)
    message(f"wrote {style.save(coverage_figure(frames), output)}: {len(frames['camera'])} frames")
