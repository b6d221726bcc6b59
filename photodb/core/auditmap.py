"""The difference of two telescopes over the field of one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from .auditdrift import common_variance
from .columns import Bundle, Floats, Ints
from .robust import mad_sigma

MAX_BINS, MIN_BINS = 8, 3
"""Cells along each side of the detector, by the number of sources."""

MIN_CELL_SOURCES = 5
CELL_SOURCES = 10
"""Sources that a cell shall have on the average, as long as there are more than `MIN_BINS` cells a side."""

OUTLIER = 6.0
"""Points farther from the median, in units of the robust scatter of points over their errors, do not count."""


@dataclass(frozen=True)
class MapCells(Bundle):
    """Cells of a detector with enough sources; n rows."""

    column: Ints  # (n,) 0 .. bins - 1, to the right
    row: Ints  # (n,) upwards
    x: Floats  # (n,) middle of the cell, scaled to [-1, 1]
    y: Floats
    difference: Floats  # (n,) mag, against the mean of all cells
    difference_err: Floats
    n_sources: Ints

    @property
    def significance(self) -> NDArray[np.float64]:
        """Difference over error, (n,)."""
        return np.asarray(self.difference / self.difference_err, np.float64)


@dataclass(frozen=True)
class FieldMap:
    """A map and whether it is flat; NaN with fewer than two cells."""

    bins: int  # cells along each side
    cells: MapCells
    chi2: float  # against a flat map
    dof: int
    p: float
    rms: float  # mag, between cells, beyond their errors


def field_map(
    x: NDArray,
    y: NDArray,
    source: NDArray[np.integer],
    difference: NDArray,
    error: NDArray,
    other_error: NDArray,
    bins: int | None = None,
) -> FieldMap:
    """Bin differences over the detector.

    Points of one source in one cell make one value, and values of different sources of a cell scatter by more than
    their errors: so the error of a cell is true where few sources were measured often.

    Parameters
    ----------
    x, y : (n,) scaled to [-1, 1] over the detector
    source : (n,) number of the source
    difference, error : (n,) mag, A minus B of a point of one side and the mean of the other, and the point's error
    other_error : (n,) mag, error of that mean
    bins : cells along each side; by the number of sources if None
    """
    inside = (np.abs(x) <= 1) & (np.abs(y) <= 1) & np.isfinite(difference)
    inside &= _near(difference, np.hypot(error, other_error))
    x, y, source, difference, error, other_error = (
        np.asarray(v)[inside] for v in (x, y, source, difference, error, other_error)
    )
    if bins is None:
        bins = int(np.clip(np.sqrt(len(np.unique(source)) / CELL_SOURCES), MIN_BINS, MAX_BINS))
    column, row = (np.minimum((np.asarray(v) + 1) / 2 * bins, bins - 1).astype(int) for v in (x, y))
    cell, value, variance = _source_values(row * bins + column, source, difference, error, other_error)
    between, _ = common_variance(value, variance, cell)
    weight = 1 / (variance + between)
    total = np.bincount(cell, weight, bins * bins)
    count = np.bincount(cell, minlength=bins * bins)
    chosen = np.flatnonzero(count >= MIN_CELL_SOURCES)
    mean = np.bincount(cell, weight * value, bins * bins)[chosen] / total[chosen]
    mean_err = 1 / np.sqrt(total[chosen])
    if len(chosen):
        mean = mean - np.average(mean, weights=1 / mean_err**2)
    middle = (np.arange(bins) + 0.5) / bins * 2 - 1
    cells = MapCells(
        chosen % bins,
        chosen // bins,
        middle[chosen % bins],
        middle[chosen // bins],
        mean,
        mean_err,
        count[chosen],
    )
    return _judged(cells, bins)


def _near(difference: NDArray, error: NDArray) -> NDArray[np.bool_]:
    """Tell which points are no outliers."""
    if not len(difference):
        return np.zeros(0, bool)
    z = (difference - np.nanmedian(difference)) / error
    return np.asarray(np.abs(z) <= OUTLIER * max(1.0, mad_sigma(z)))


def _source_values(
    cell: NDArray, source: NDArray, difference: NDArray, error: NDArray, other_error: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Return cell, mean difference and its variance of each source in each cell."""
    number = np.unique(source, return_inverse=True)[1]
    pair, group = np.unique(cell * (int(number.max(initial=0)) + 1) + number, return_inverse=True)
    weight = 1 / np.square(error)
    total = np.bincount(group, weight, len(pair))
    value = np.bincount(group, weight * difference, len(pair)) / total
    first = np.unique(group, return_index=True)[1]
    return cell[first], value, 1 / total + np.square(other_error[first])


def _judged(cells: MapCells, bins: int) -> FieldMap:
    dof = len(cells) - 1
    if dof < 1:
        return FieldMap(bins, cells, math.nan, 0, math.nan, math.nan)
    chi2 = float(np.square(cells.significance).sum())
    between, _ = common_variance(cells.difference, np.square(cells.difference_err), np.zeros(len(cells), int))
    return FieldMap(bins, cells, chi2, dof, float(chi2_distribution.sf(chi2, dof)), math.sqrt(between))
