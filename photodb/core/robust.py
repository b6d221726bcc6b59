"""Robust location and scale: what the solver, the statistics and the images share.

NaN is left out everywhere; an empty sample has location and scale NaN.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

MAD_TO_SIGMA = 1.482602218505602
"""Standard deviation of a normal sample over its median absolute deviation."""

IQR_TO_SIGMA = 1.0 / 1.3489795003921634
"""Standard deviation of a normal sample over its interquartile range."""


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64).ravel()
    return values[np.isfinite(values)]


def mad_sigma(values: ArrayLike) -> float:
    """Return 1.4826 times the median absolute deviation from the median."""
    values = _finite(values)
    if values.size == 0:
        return float("nan")
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def clipped_mean(values: ArrayLike, n_sigma: float = 3.0, max_rounds: int = 10) -> tuple[float, float, int]:
    """Return mean, standard deviation and number of the values left by clipping around the median.

    The first round clips by the MAD, later ones by the standard deviation; rounds end when nothing more goes.
    """
    values = _finite(values)
    if values.size == 0:
        return float("nan"), float("nan"), 0
    centre, scale, kept = float(np.median(values)), mad_sigma(values), values
    for _ in range(max_rounds):
        inside = np.abs(values - centre) <= n_sigma * scale
        if scale == 0.0 or not inside.any():
            break
        previous, kept = kept.size, values[inside]
        centre, scale = float(kept.mean()), float(kept.std(ddof=1)) if kept.size > 1 else 0.0
        if kept.size == previous:
            break
    return float(kept.mean()), float(kept.std(ddof=1)) if kept.size > 1 else 0.0, int(kept.size)


def biweight_location(values: ArrayLike, c: float = 6.0) -> float:
    """Return Tukey's biweight location, one step from the median (Beers et al. 1990, doi:10.1086/115487)."""
    values = _finite(values)
    if values.size == 0:
        return float("nan")
    centre = float(np.median(values))
    spread = float(np.median(np.abs(values - centre)))
    if spread == 0.0:
        return centre
    u = (values - centre) / (c * spread)
    weight = np.where(np.abs(u) < 1.0, (1.0 - u**2) ** 2, 0.0)
    return float(centre + np.sum(weight * (values - centre)) / np.sum(weight))


@numba.njit(cache=True)
def tukey_weight(t2, c2):  # type: ignore[no-untyped-def]
    """Return Tukey's biweight of a squared residual in units of its error; zero from c on."""
    if t2 >= c2:
        return 0.0
    u = 1.0 - t2 / c2
    return u * u
