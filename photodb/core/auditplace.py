"""Positions of two telescopes on the same sources: shift, scale and rotation of one against the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .auditdrift import common_variance
from .columns import Bundle, Floats, Ints
from .robustfit import robust_fit

PARAMETERS = 4
"""Shift east and north, scale, rotation."""

MIN_FRAME_SOURCES = 8


@dataclass(frozen=True)
class CommonPlaces(Bundle):
    """Mean places of sources that both sides saw; n rows."""

    source: Ints  # (n,) index or key
    xi: Floats  # (n,) deg east of the middle of its field
    eta: Floats  # (n,) deg north
    east: Floats  # (n,) arcsec, A minus B
    north: Floats
    error: Floats  # (n,) arcsec, of each of the two; positive


@dataclass(frozen=True)
class PlaceComparison:
    """A minus B in position; NaN with too few sources."""

    n: int
    east: float  # arcsec
    east_err: float
    north: float
    north_err: float
    scatter: float  # arcsec, robust, along each axis, of a source
    scale_ppm: float  # by how much distances of A are greater
    scale_ppm_err: float
    rotation: float  # arcsec, by which position angles of A are greater
    rotation_err: float
    reach: float  # deg, rms distance of the sources from the middle of their field

    @property
    def shift(self) -> tuple[float, float]:
        """Length of the shift and its error, arcsec."""
        length = math.hypot(self.east, self.north)
        if not length:
            return 0.0, max(self.east_err, self.north_err)
        along = math.hypot(self.east * self.east_err, self.north * self.north_err) / length
        return length, along

    @property
    def significance(self) -> float:
        """Sigma of the shift."""
        return math.hypot(self.east / self.east_err, self.north / self.north_err)


def place_design(xi: NDArray, eta: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows (n, 4) of the shift east and of the shift north; slopes are arcsec a degree."""
    one, none = np.ones(len(xi)), np.zeros(len(xi))
    return np.column_stack([one, none, xi, eta]), np.column_stack([none, one, eta, -xi])


def frame_places(
    xi: NDArray, eta: NDArray, east: NDArray, north: NDArray, frame: NDArray[np.integer], n_frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit shift, scale and rotation of each frame against the mean places of its sources.

    Returns
    -------
    (n_frames, 4) parameters and their variances from the scatter within the frame; NaN where a frame has too few.
    """
    rows = place_design(xi, eta)
    count = np.bincount(frame, minlength=n_frames)
    normal = np.zeros((n_frames, PARAMETERS, PARAMETERS))
    right, square = np.zeros((n_frames, PARAMETERS)), np.bincount(frame, east**2 + north**2, n_frames)
    for i in range(PARAMETERS):
        right[:, i] = np.bincount(frame, rows[0][:, i] * east + rows[1][:, i] * north, n_frames)
        for j in range(PARAMETERS):
            products = rows[0][:, i] * rows[0][:, j] + rows[1][:, i] * rows[1][:, j]
            normal[:, i, j] = np.bincount(frame, products, n_frames)
    found, variance = np.full((2, n_frames, PARAMETERS), np.nan)
    good = (count >= MIN_FRAME_SOURCES) & (np.linalg.matrix_rank(normal, hermitian=True) == PARAMETERS)
    inverse = np.linalg.inv(normal[good])
    found[good] = np.einsum("fij,fj->fi", inverse, right[good])
    left = square[good] - np.einsum("fi,fi->f", found[good], right[good])
    scatter2 = np.maximum(left, 1e-12) / (2 * count[good] - PARAMETERS)
    variance[good] = scatter2[:, None] * np.diagonal(inverse, axis1=1, axis2=2)
    return found, variance


def frames_variance(found: NDArray, variance: NDArray) -> NDArray[np.float64]:
    """Return the variance, (4,), of a side's mean parameters from what the sources of a frame share.

    Parameters
    ----------
    found, variance : (n, 4) of `frame_places`; rows with NaN are left out
    """
    good = np.isfinite(found).all(axis=1) & np.isfinite(variance).all(axis=1)
    found, variance = found[good], variance[good]
    if len(found) < 2:
        return np.zeros(PARAMETERS)
    one = np.zeros(len(found), int)
    each = [common_variance(found[:, i], variance[:, i], one)[0] for i in range(PARAMETERS)]
    return np.array(each) / len(found)


def compare_places(
    places: CommonPlaces, frames: NDArray[np.float64] | None = None, min_sources: int = 10
) -> PlaceComparison:
    """Compare the positions of two sides.

    Parameters
    ----------
    frames : (4,) variance of the parameters from what the sources of a frame share, of both sides together
    """
    n = len(places)
    if n < max(min_sources, 3):
        return PlaceComparison(n, *[math.nan] * 10)
    rows = np.concatenate(place_design(places.xi, places.eta))
    fit = robust_fit(rows, np.concatenate([places.east, places.north]), np.tile(places.error, 2))
    shared = np.zeros(PARAMETERS) if frames is None else frames
    values = fit.coefficients
    errors = np.sqrt(np.diag(fit.covariance) + shared)
    ppm, turn = 1e6 / 3600, math.degrees(1)
    return PlaceComparison(
        n=n,
        east=float(values[0]),
        east_err=float(errors[0]),
        north=float(values[1]),
        north_err=float(errors[1]),
        scatter=fit.scatter,
        scale_ppm=float(values[2]) * ppm,
        scale_ppm_err=float(errors[2]) * ppm,
        rotation=float(values[3]) * turn,
        rotation_err=float(errors[3]) * turn,
        reach=float(np.sqrt(np.mean(places.xi**2 + places.eta**2))),
    )
