"""photodb plot: noise, zero points, residuals, coverage."""

from __future__ import annotations

from typing import Any

import click

from .common import SkyCommand, message, pass_database
from .frame import filter_options
from .position import optional_position_arguments
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


@plot.command(cls=SkyCommand)
@pass_database
@optional_position_arguments
@plot_file
@filter_options
@click.option(
    "--map",
    "depth",
    type=click.Choice(["frames", "limit"]),
    is_flag=False,
    flag_value="frames",
    help="A map of the sky a band: number of frames, or the 5 sigma limit of all together.",
)
@click.option("--at", is_flag=True, help="Before RA DEC or NAME: what is known there, frame by frame.")
def coverage(
    db: Any, ra: float | None, dec: float | None, output: str, camera: str | None, band: str | None,
    night: int | None, depth: str | None, at: bool,
) -> None:  # fmt: skip
    """Plot where the accepted frames lie on the sky; how deep it was observed; or one position by time."""
    from photodb.plots import style

    if at and ra is None:
        raise click.UsageError("--at needs RA DEC, or the NAME of an object")
    if ra is None or dec is None:
        figure, n, left_out = _sky(db, depth, camera, band, night)
    elif depth:
        raise click.UsageError("--map and a position exclude each other")
    else:
        figure, n, left_out = _timeline(db, (ra, dec), camera, band, night)
    message(
        f"wrote {style.save(figure, output)}: {n} frames" + (f"; not drawn: {left_out}" if left_out else "")
    )


def _sky(
    db: Any, depth: str | None, camera: str | None, band: str | None, night: int | None
) -> tuple[Any, int, str]:
    from photodb.plots.coverage import coverage_figure
    from photodb.plots.depth import depth_figure
    from photodb.steps.figures import coverage_columns

    frames = coverage_columns(db, camera, band, night)
    figure, left_out = depth_figure(frames, depth) if depth else (coverage_figure(frames), "")
    return figure, len(frames["camera"]), left_out


def _timeline(
    db: Any, at: tuple[float, float], camera: str | None, band: str | None, night: int | None
) -> tuple[Any, int, str]:
    from photodb.plots.timeline import timeline_figure
    from photodb.steps.coverage import position_coverage
    from photodb.storage.coverage import Which

    answer = position_coverage(db, *at, which=Which(camera, band, night))
    figure, left_out = timeline_figure(answer.columns, f"RA {at[0]:.5f} Dec {at[1]:+.5f}")
    return figure, len(answer), left_out
