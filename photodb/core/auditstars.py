"""Two telescopes on the same stars: offset, slope with magnitude, slope with colour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .columns import Bundle, Floats, Ints
from .robustfit import RobustFit, robust_fit, robust_mean

MIN_SOURCES = 10
"""Fewest sources for an offset."""

SLOPE_FACTOR = 3
"""A slope needs so many times the sources of an offset."""

MIN_COLOUR_RANGE = 0.3
MIN_MAG_RANGE = 1.0
"""Least range (mag, 5th to 95th percentile) over which a slope is fitted."""

MAX_COLOUR_ERROR = 0.15
"""Largest error of a colour, as a share of the range: a slope comes out too small by the square of it at most."""


@dataclass(frozen=True)
class CommonStars(Bundle):
    """Sources that both sides measured in one band, any order; n rows."""

    source: Ints  # (n,) index or key
    mag_a: Floats  # (n,) mag
    err_a: Floats
    n_a: Ints  # (n,) points
    mag_b: Floats
    err_b: Floats
    n_b: Ints
    colour: Floats  # (n,) mag; NaN where unknown
    colour_err: Floats

    @property
    def difference(self) -> NDArray[np.float64]:
        """A minus B, (n,) mag."""
        return np.asarray(self.mag_a - self.mag_b, np.float64)

    @property
    def error(self) -> NDArray[np.float64]:
        """Error of the difference, (n,) mag."""
        return np.hypot(self.err_a, self.err_b)

    @property
    def mag(self) -> NDArray[np.float64]:
        """Mean of both by their errors, (n,) mag: the mean whose noise is not that of the difference."""
        a, b = 1 / np.square(self.err_a), 1 / np.square(self.err_b)
        return np.asarray((a * self.mag_a + b * self.mag_b) / (a + b), np.float64)


@dataclass(frozen=True)
class Slope:
    """How a difference goes with something; NaN with the reason where it was not fitted."""

    value: float  # mag a mag
    error: float
    pivot: float  # mag, where the line crosses the offset
    span: float  # mag, 5th to 95th percentile
    n: int
    why_not: str = ""


@dataclass(frozen=True)
class StarComparison:
    """A minus B of the common stars."""

    offset: float  # mag
    offset_err: float
    scatter: float  # mag, robust, of a star
    excess: float  # mag, what of the scatter the errors do not explain
    n: int
    by_mag: Slope
    by_colour: Slope


def compare_stars(
    stars: CommonStars, common_variance: float = 0.0, min_sources: int = MIN_SOURCES
) -> StarComparison:
    """Compare two sides on their common stars.

    The offset is a robust mean. Slopes with magnitude and colour are fitted together where both can be, since faint
    stars are red: a colour term alone would otherwise look like a non-linearity too.

    Parameters
    ----------
    common_variance : mag2, of what all stars of a frame or night share, which more stars do not average out
    min_sources : fewest stars for an offset; a slope needs three times as many
    """
    n, difference, error, mag = len(stars), stars.difference, stars.error, stars.mag
    mean = robust_mean(difference, error) if n >= min_sources else _nothing(n)
    offset_err = math.sqrt(float(mean.covariance[0, 0]) + common_variance)
    coloured, why_no_colour = _with_colour(stars, SLOPE_FACTOR * min_sources)
    whole = _reach(mag, SLOPE_FACTOR * min_sources, MIN_MAG_RANGE, "magnitudes")
    by_mag, by_colour = _no_slope(mag, whole), _no_slope(stars.colour[coloured], why_no_colour)
    if not why_no_colour:
        columns = [mag[coloured], stars.colour[coloured]]
        both = not _reach(columns[0], SLOPE_FACTOR * min_sources, MIN_MAG_RANGE, "magnitudes")
        slopes = _slopes(columns if both else columns[1:], difference[coloured], error[coloured])
        by_colour = slopes[-1]
        by_mag = slopes[0] if both else by_mag
    elif not whole:
        by_mag = _slopes([mag], difference, error)[0]
    return StarComparison(
        float(mean.coefficients[0]), offset_err, mean.scatter, mean.excess, n, by_mag, by_colour
    )


def _nothing(n: int) -> RobustFit:
    return RobustFit(np.full(1, np.nan), np.full((1, 1), np.nan), math.nan, math.nan, n)


def _slopes(columns: list[NDArray], difference: NDArray, error: NDArray) -> list[Slope]:
    """Fit a plane over the columns, and return its slopes."""
    pivots = [float(np.median(column)) for column in columns]
    design = np.column_stack([np.ones(len(difference))] + [c - p for c, p in zip(columns, pivots)])
    fit = robust_fit(design, difference, error)
    return [
        Slope(float(value), float(err), pivot, spread(column), len(difference))
        for value, err, pivot, column in zip(fit.coefficients[1:], fit.errors[1:], pivots, columns)
    ]


def spread(values: NDArray) -> float:
    """Return the range from the 5th to the 95th percentile; 0 for no values."""
    return float(np.subtract(*np.percentile(values, [95, 5]))) if len(values) else 0.0


def _reach(values: NDArray, fewest: int, least: float, what: str) -> str:
    """Tell why a slope cannot be fitted over these values; empty if it can."""
    if len(values) < fewest:
        return f"{len(values)} sources with {what}, {fewest} needed"
    span = spread(values)
    return f"{what} range over {span:.2f} mag, {least:g} needed" if span < least else ""


def _with_colour(stars: CommonStars, fewest: int) -> tuple[NDArray[np.bool_], str]:
    """Choose the stars whose colour is well known; tell why they do not do, if so."""
    known = np.isfinite(stars.colour) & np.isfinite(stars.colour_err)
    if not known.any():
        return known, "no colours"
    limit = MAX_COLOUR_ERROR * max(spread(stars.colour[known]), MIN_COLOUR_RANGE)
    good = known & (stars.colour_err <= limit)
    return good, _reach(stars.colour[good], fewest, MIN_COLOUR_RANGE, "good colours")


def _no_slope(values: NDArray, why_not: str) -> Slope:
    middle = float(np.median(values)) if len(values) else math.nan
    return Slope(math.nan, math.nan, middle, spread(values), len(values), why_not)
