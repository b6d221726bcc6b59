"""The measurements as the solver holds them: sorted by star, then by frame, in flat columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core.columns import Frames, Measurements
from photodb.core.terms import n_terms


@dataclass(frozen=True)
class Problem:
    """Measurements in star order with the frames they are on; nothing here changes during a solution."""

    rows: NDArray[np.int64]  # (n,) where each point stands in the caller's Measurements
    start: NDArray[np.int64]  # (n_stars + 1,) offsets of the stars
    star: NDArray[np.int64]  # (n,)
    frame: NDArray[np.uint32]  # (n,)
    x: NDArray[np.float64]  # (n,) scaled
    y: NDArray[np.float64]  # (n,)
    mag: NDArray[np.float64]  # (n,) mag, instrumental
    var: NDArray[np.float64]  # (n,) mag2, photon and read noise
    share: NDArray[np.float64]  # (n,) share of the star's own photons in var; 0 where not known
    star_band: NDArray[np.int64]  # (n_stars,) -1 for a star without a point
    frames: Frames
    k: int  # terms of a frame

    @property
    def n_stars(self) -> int:
        """Stars, those without points included."""
        return self.start.size - 1

    @property
    def n_frames(self) -> int:
        """Frames, those without points included."""
        return len(self.frames)


def _check(measurements: Measurements, frames: Frames) -> None:
    """Refuse bundles that do not belong together; ValueError says how."""
    if len(measurements) == 0:
        return
    if measurements.frame.min() < 0 or measurements.frame.max() >= len(frames):
        raise ValueError(
            f"Measurements.frame runs to {measurements.frame.max()}, but there are {len(frames)} frames"
        )
    if measurements.star.min() < 0:
        raise ValueError("Measurements.star is negative")


def _star_bands(star: NDArray, band: NDArray, n_stars: int) -> NDArray[np.int64]:
    """Return the band of each star; ValueError if one star is given in two bands."""
    lowest = np.full(n_stars, np.iinfo(np.int64).max)
    highest = np.full(n_stars, -1, dtype=np.int64)
    np.minimum.at(lowest, star, band)
    np.maximum.at(highest, star, band)
    mixed = np.flatnonzero((highest >= 0) & (lowest != highest))
    if mixed.size:
        raise ValueError(f"star {mixed[0]} has points in two bands; give each source one star index a band")
    return highest


def build_problem(measurements: Measurements, frames: Frames, order: int) -> Problem:
    """Sort the usable measurements by star and frame; rows that are not finite or have no error are left out."""
    _check(measurements, frames)
    n_stars = int(measurements.star.max(initial=-1)) + 1
    usable = np.isfinite(measurements.mag) & np.isfinite(measurements.x) & np.isfinite(measurements.y)
    usable &= np.isfinite(measurements.mag_err) & (measurements.mag_err > 0)
    rows, share = np.flatnonzero(usable), measurements.star_share
    rows = rows[np.lexsort((measurements.frame[rows], measurements.star[rows]))]
    star = measurements.star[rows].astype(np.int64)
    frame = measurements.frame[rows].astype(np.uint32)
    start = np.zeros(n_stars + 1, dtype=np.int64)
    np.cumsum(np.bincount(star, minlength=n_stars), out=start[1:])
    return Problem(
        rows=rows,
        start=start,
        star=star,
        frame=frame,
        x=measurements.x[rows].astype(np.float64),
        y=measurements.y[rows].astype(np.float64),
        mag=measurements.mag[rows].astype(np.float64),
        var=measurements.mag_err[rows].astype(np.float64) ** 2,
        share=np.zeros(rows.size)
        if share is None
        else np.clip(np.nan_to_num(share[rows].astype(np.float64)), 0, 1),
        star_band=_star_bands(star, frames.band[frame], n_stars),
        frames=frames,
        k=n_terms(order),
    )
