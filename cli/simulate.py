"""photodb simulate: frames of an invented sky with known truth."""

from __future__ import annotations

from pathlib import Path

import click

from .common import TerminalProgress, dry_run_option, message


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--frames", default=96, show_default=True, help="Frames in all, over all telescopes and nights."
)
@click.option("--stars", default=500, show_default=True, help="Stars in the field.")
@click.option(
    "--telescopes", default=2, show_default=True, help="Telescopes, each with its own camera and site."
)
@click.option("--nights", default=3, show_default=True, help="Nights.")
@click.option("--bands", default="V", show_default=True, help="Bands in turn, separated by commas: V, R.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same bytes."
)
@dry_run_option
def simulate(
    out: Path, frames: int, stars: int, telescopes: int, nights: int, bands: str, seed: int, dry_run: bool
) -> None:
    """Write simulated frames to OUT/frames, the truth to OUT/truth, a catalogue to OUT/refcat.csv."""
    from photodb.simulate import plan, write_survey

    survey = plan(
        n_frames=frames,
        n_stars=stars,
        n_telescopes=telescopes,
        n_nights=nights,
        bands=tuple(band.strip() for band in bands.split(",") if band.strip()),
        seed=seed,
    )
    if dry_run:
        for exposure in survey.exposures:
            click.echo(str(out / survey.path(exposure)))
        message(f"would write {len(survey.exposures)} frames of {len(survey.sky)} stars; nothing was written")
        return
    progress = TerminalProgress()
    progress.start(len(survey.exposures), "simulate")
    write_survey(survey, out, on_frame=lambda path: progress.advance(1, path))
    progress.finish()
    click.echo(str(out / "frames"))
    message(
        f"{len(survey.exposures)} frames of {len(survey.sky)} stars, {len(survey.sky.variables)} variable; "
        f"truth in {out / 'truth'}, catalogue in {out / 'refcat.csv'}"
    )
