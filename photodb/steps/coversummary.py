"""The coverage of a position in few words and numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photodb.core import coverwords
from photodb.core.coverwords import OUTSIDE, REJECTED, WORDS

from .coverage import CoverageAnswer

USABLE = (coverwords.MEASURED, coverwords.FORCED, coverwords.LIMIT)
APPROXIMATE = ("approximate", "none")


def stacked(limits: NDArray[np.float64]) -> float:
    """Return the limiting magnitude of several frames added with their best weights; NaN for none.

    A limit m is a flux proportional to 10^(-0.4 m) at so many sigma; inverse variances add.
    """
    good = limits[np.isfinite(limits)]
    if not good.size:
        return float("nan")
    deepest = float(good.max())
    return deepest + 1.25 * float(np.log10(np.sum(10 ** (0.8 * (good - deepest)))))


def summary_table(answer: CoverageAnswer) -> dict[str, NDArray]:
    """Return a row a band: frames by word, first and last time, nights, the deepest limit and that of all added.

    Limits are calibrated, at five sigma, of frames that tell something of the place; NaN without a solution.
    """
    frames = answer.columns
    bands = [str(b) for b in np.unique(frames["band"][frames["coverage"] != OUTSIDE])]
    rows = [_band(answer, frames["band"] == band) for band in bands]
    made: dict[str, NDArray] = {"band": np.array(bands, dtype=str)}
    return made | {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def _band(answer: CoverageAnswer, of_band: NDArray[np.bool_]) -> dict[str, float]:
    frames = answer.columns
    inside = of_band & (frames["coverage"] != OUTSIDE)
    usable = of_band & np.isin(frames["coverage"], USABLE)
    row: dict[str, float] = {"n_frames": int(inside.sum())}
    row |= {
        f"n_{word}": int((inside & (frames["coverage"] == word)).sum()) for word in WORDS if word != OUTSIDE
    }
    row["n_approximate"] = int((inside & np.isin(frames["astrometry"], APPROXIMATE)).sum())
    row["n_nights"] = len(np.unique(frames["night"][inside]))
    row["first_mjd"], row["last_mjd"] = float(frames["mjd"][inside].min()), float(frames["mjd"][inside].max())
    limits = frames["limit_5sigma"][usable]
    good = limits[np.isfinite(limits)]
    row["deepest_limit_5sigma"] = float(good.max()) if good.size else float("nan")
    row["stacked_limit_5sigma"] = stacked(limits)
    return row


def told(answer: CoverageAnswer) -> list[str]:
    """Say in sentences how many frames cover the position, and what is to be known of them."""
    lines = [_cover(answer, "it")]
    beside = int((answer.columns["coverage"] == OUTSIDE).sum())
    if beside:
        lines.append(f"{_frames(beside)} nearly: distance_arcsec tells how far it is beyond the border")
    inside = answer.columns["coverage"] != OUTSIDE
    approximate = int((inside & np.isin(answer.columns["astrometry"], APPROXIMATE)).sum())
    if approximate:
        lines.append(
            f"{_frames(approximate)} among them placed on the sky only approximately (column astrometry): whether "
            "the position is on them is a guess"
        )
    if answer.n_without_place:
        lines.append(
            f"{_frames(answer.n_without_place)} without a place on the sky could not be looked at: astrometry none in "
            "'photodb frame list'"
        )
    return lines


def _cover(answer: CoverageAnswer, what: str) -> str:
    n = len(answer)
    return (
        f"{_frames(n)} cover{'s' if n == 1 else ''} {what}: {counts(answer)}"
        if n
        else f"no frame covers {what}"
    )


def _frames(n: int) -> str:
    return f"{n} frame{'' if n == 1 else 's'}"


def counts(answer: CoverageAnswer) -> str:
    """Count the frames by word: '3 measured, 1 masked'."""
    n = [(int((answer.columns["coverage"] == word).sum()), word) for word in WORDS if word != OUTSIDE]
    return ", ".join(f"{count} {word}" for count, word in n if count)


def sentence(answer: CoverageAnswer, of_band: str = "") -> str:
    """Say in one sentence what is known of a place without a light curve; `of_band` follows its name."""
    text = _cover(answer, f"the place{of_band}")
    usable = np.isin(answer.columns["coverage"], USABLE)
    deep = []
    for band in np.unique(answer.columns["band"][usable]):
        limits = answer.columns["limit_5sigma"][usable & (answer.columns["band"] == band)]
        if np.isfinite(limits).any():
            deep.append(f"{np.nanmax(limits):.1f} in {band}")
    if deep:
        text += f" (5 sigma down to mag {', '.join(deep)})"
    if (answer.columns["coverage"] == REJECTED).all():
        text += "; all of them are rejected"
    return text
