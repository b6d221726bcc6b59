"""A whole simulated survey: sky, nights, frames, truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from ..errors import UsageError
from .frames import render
from .headers import make_header
from .nights import Exposure, Weather, middles, schedule
from .sky import BANDS, Sky, make_sky
from .telescopes import Telescope, telescopes
from .truth import write_truth

MAX_NIGHTS = 20
"""After more nights the field would no longer be up all night."""


@dataclass(frozen=True)
class Plan:
    """What will be simulated."""

    sky: Sky
    telescopes: tuple[Telescope, ...]
    exposures: list[Exposure]
    weather: Weather
    seed: int

    def path(self, exposure: Exposure) -> str:
        """Return where a frame goes, below the folder of the survey; the name is unique."""
        camera = self.telescopes[exposure.telescope].camera.lower()
        name = f"{camera}-n{exposure.night + 1}-{exposure.number:03d}.fits"
        return f"frames/{camera}/night{exposure.night + 1}/{name}"


def plan(
    *,
    n_frames: int = 96,
    n_stars: int = 500,
    n_telescopes: int = 2,
    seed: int = 1,
    n_nights: int = 3,
    bands: tuple[str, ...] = ("V",),
    n_variables: int | None = None,
    weather: Weather | None = None,
) -> Plan:
    """Return the plan of a survey; the same arguments give the same plan.

    `n_frames` counts all frames, shared out over the telescopes and nights. Raises `UsageError` for numbers
    that make no survey.
    """
    _check(n_frames, n_stars, n_telescopes, n_nights, bands)
    weather = weather or Weather()
    instruments = telescopes(n_telescopes)
    sky = make_sky(n_stars, middles(instruments, n_nights), np.random.default_rng([seed, 1]), n_variables)
    exposures = schedule(instruments, n_frames, n_nights, bands, weather, np.random.default_rng([seed, 2]))
    return Plan(sky, instruments, exposures, weather, seed)


def simulate(
    out: str | Path,
    *,
    n_frames: int = 96,
    n_stars: int = 500,
    n_telescopes: int = 2,
    seed: int = 1,
    n_nights: int = 3,
    bands: tuple[str, ...] = ("V",),
    n_variables: int | None = None,
    weather: Weather | None = None,
    on_frame: Callable[[str], None] | None = None,
) -> Plan:
    """Write frames below OUT/frames, the truth below OUT/truth and OUT/refcat.csv; return the plan.

    The same arguments give the same bytes. `on_frame` is called with each path that was written. Raises
    `UsageError` where OUT already holds frames.
    """
    survey = plan(
        n_frames=n_frames,
        n_stars=n_stars,
        n_telescopes=n_telescopes,
        seed=seed,
        n_nights=n_nights,
        bands=bands,
        n_variables=n_variables,
        weather=weather,
    )
    return write_survey(survey, out, on_frame)


def write_survey(
    survey: Plan, out: str | Path, on_frame: Callable[[str], None] | None = None, overwrite: bool = False
) -> Plan:
    """Write a planned survey; see `simulate`. The truth is written last, and so marks a complete survey."""
    out = Path(out)
    if not overwrite and ((out / "frames").exists() or (out / "truth").exists()):
        raise UsageError(f"{out} already holds a simulated survey; name another folder, or remove it first")
    paths = [survey.path(exposure) for exposure in survey.exposures]
    for exposure, path in zip(survey.exposures, paths, strict=True):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_frame(survey, exposure, out / path)
        if on_frame:
            on_frame(path)
    write_truth(out, survey.sky, survey.telescopes, survey.exposures, paths, survey.seed)
    return survey


def write_frame(survey: Plan, exposure: Exposure, path: Path) -> None:
    """Render one frame and write it as 16-bit FITS."""
    telescope = survey.telescopes[exposure.telescope]
    pixels = render(telescope, exposure, survey.sky, survey.seed, survey.weather.cosmic_rays)
    header = make_header(telescope, exposure, np.random.default_rng([survey.seed, 5, exposure.frame]))
    fits.PrimaryHDU(pixels, header).writeto(path, overwrite=True)


def _check(n_frames: int, n_stars: int, n_telescopes: int, n_nights: int, bands: tuple[str, ...]) -> None:
    limits = {"frames": (n_frames, 1, 100_000), "stars": (n_stars, 20, 20_000)}
    limits |= {"telescopes": (n_telescopes, 1, 20), "nights": (n_nights, 1, MAX_NIGHTS)}
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise UsageError(f"{value} {name}: between {low} and {high} can be simulated")
    unknown = [band for band in bands if band not in BANDS]
    if unknown or not bands:
        raise UsageError(
            f"bands {', '.join(unknown) or '(none)'}: the simulated stars have {', '.join(BANDS)}"
        )
