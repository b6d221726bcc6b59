"""`photodb ingest`: frames in."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from photodb.storage.engine import Database

from .areas import AREA_OPTIONS, AreaCommand
from .blind import BLIND_OPTIONS
from .common import EXIT_PARTIAL, TerminalProgress, dry_run_option, message, pass_database
from .numbers import Finite
from .position import Angle

MOST_TOLD = 20
LONGEST = 300
SKELETON = "[telescope]"
"""How the description to fill in begins, on a line of its own in the reason."""


SHARED = (
    click.option("--camera", help="Name of the camera, whatever the headers say."),
    click.option(
        "--jobs", type=click.IntRange(min=0), help="Worker processes; default: one a core. 0: none."
    ),
    click.option(
        "--center",
        nargs=2,
        type=(Angle("RA"), Angle("DEC")),
        metavar="RA DEC",
        help="Where the frames point (degrees or sexagesimal), if headers do not tell.",
    ),
    click.option(
        "--scale",
        type=Finite(0.0, above=True),
        metavar="ARCSEC_PER_PIXEL",
        help="Pixel scale, if headers do not tell.",
    ),
    click.option(
        "--max-stars",
        type=click.IntRange(min=1),
        default=2000,
        show_default=True,
        help="Brightest stars to keep of a frame.",
    ),
    click.option(
        "--psf",
        type=click.Choice(["moffat", "gaussian", "none"]),
        help="Model of the point-spread function; none: apertures only. Default: as the camera says (moffat).",
    ),
    click.option(
        "--list-map",
        "list_maps",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE.toml",
        help="Column map for star lists that are not in photodb's layout (docs/star-lists.md); may be repeated.",
    ),
    *BLIND_OPTIONS,
    click.option(
        "--retry", is_flag=True, help="Try again the files that were rejected before they were measured."
    ),
    *AREA_OPTIONS,
)


def frame_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `ingest` and `run` share."""
    for option in reversed(SHARED):
        function = option(function)
    return function


@click.command(cls=AreaCommand)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@frame_options
@click.option(
    "--threshold",
    type=Finite(1.0),
    default=5.0,
    show_default=True,
    help="Significance of a detection, sigmas.",
)
@dry_run_option
@pass_database
def ingest(
    db: Database, paths: tuple[Path, ...], camera: str | None, jobs: int | None,
    center: tuple[float, float] | None, scale: float | None, max_stars: int, threshold: float,
    psf: str | None, box: tuple[int, int, int, int] | None, masks: tuple[tuple[int, int, int, int], ...],
    list_maps: tuple[str, ...], blind: str | None, blind_config: str | None, retry: bool, dry_run: bool,
) -> int:  # fmt: skip
    """Read frames or star lists (files or folders): measure, register, place on the sky, associate with sources, store.

    Every file ends as accepted, or rejected with its reason; running the command again goes on where it stopped and
    takes nothing twice. Exit code 1 tells that some files were rejected.
    """
    from photodb.steps.ingest import IngestSettings
    from photodb.steps.ingest import ingest as step

    settings = IngestSettings(
        max_stars=max_stars, threshold=threshold, box=box, masks=masks, camera=camera, center=center,
        scale=scale, jobs=jobs, psf=psf, list_maps=list_maps, blind=blind,
        blind_config=blind_config, retry=retry, dry_run=dry_run,
    )  # fmt: skip
    report = step(db, paths, settings, TerminalProgress())
    if dry_run:
        message(f"would ingest {report.n_new} of {report.n_files} files; {report.n_known} are in the archive")
        return 0
    tell_rejected(report)
    tell_not_measured(report.not_measured)
    message(summary(report))
    return EXIT_PARTIAL if report.outcome == "partial" else 0


def tell_rejected(report: Any, command: str = "ingest") -> None:
    """List the rejected files with their reasons, and the descriptions to fill in, each once."""
    for path, code, reason in report.rejected[:MOST_TOLD]:
        line = reason.splitlines()[0] if reason else ""
        message(f"rejected {path} ({code}): {line if len(line) <= LONGEST else line[:LONGEST] + ' ...'}")
    if len(report.rejected) > MOST_TOLD:
        message(f"and {len(report.rejected) - MOST_TOLD} more; see 'photodb frame list --status rejected'")
    folders: dict[str, list[Path]] = {}
    for path, _, reason in report.rejected:
        _, found, rest = reason.partition(f"\n{SKELETON}")
        if found:
            folders.setdefault(f"{SKELETON}{rest}".rstrip(), []).append(Path(path).absolute().parent)
    for skeleton, parents in folders.items():
        where = shlex.quote(os.path.commonpath(parents))
        message(f"\n{skeleton}\n\nafterwards: photodb {command} --retry {where}")


def tell_not_measured(failed: Any) -> None:
    """List the frames that could not be measured at known places."""
    for frame_id, path, code, reason in failed[:MOST_TOLD]:
        message(f"not measured: frame {frame_id} {path} ({code}): {reason[:LONGEST]}")
    if len(failed) > MOST_TOLD:
        message(f"and {len(failed) - MOST_TOLD} more")


def summary(report: Any) -> str:
    """Say in a line or two what an ingest did."""
    if not report.n_new and not report.n_forced:
        return f"nothing to do: {report.n_known} of {report.n_files} files are in the archive already"
    text = f"{report.n_accepted} frames accepted, {report.n_rejected} rejected, "
    text += f"{report.n_calibration} calibration frames"
    text += f" for {report.n_masters} new masters" if report.n_masters else " set aside"
    text += f", {report.n_known} known; {report.n_detections} detections, {report.n_sources} new sources"
    text += f" ({report.n_merged} of them one star with another: merged)" if report.n_merged else ""
    text += f", {report.n_forced} measurements at known places"
    return f"{text}, in {report.seconds:.1f} s ({report.n_new / max(report.seconds, 1e-9):.1f} frames/s)"
