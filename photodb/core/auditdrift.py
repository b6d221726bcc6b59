"""What all stars of a frame have in common against their means: its noise, and the drift between nights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from .columns import Bundle, Floats, Ints

MIN_NIGHTS = 4
"""Fewest nights whose differences tell how much nights differ; with fewer, frames count as independent."""

MIN_SHARED_NIGHTS = 2
"""Nights of both sides from which only those count for the drift."""

MIN_DOF = 3
"""Frames beyond one a night that tell how much the frames of a night differ."""


@dataclass(frozen=True)
class FrameShifts(Bundle):
    """Frames of one side: how their points lie against the side's own mean of each source; n rows."""

    mjd: Floats  # (n,) d
    night: Ints  # (n,)
    shift: Floats  # (n,) any unit; finite
    variance: Floats  # (n,) of the shift, from the scatter within the frame; positive
    promised: Floats  # (n,) variance that the frame's calibration is said to have; 0 if unknown


@dataclass(frozen=True)
class Nights(Bundle):
    """A minus B by night; n rows in the order of time."""

    night: Ints  # (n,) MJD of the noon that began it
    mjd: Floats  # (n,) d, mean of its frames
    offset: Floats  # (n,)
    offset_err: Floats
    frames_a: Ints  # (n,) 0 where the night tells of B alone, against its own mean
    frames_b: Ints
    used: NDArray[np.bool_]  # (n,) whether it counts for the drift


@dataclass(frozen=True)
class Drift:
    """Whether the nights agree; NaN with fewer than two."""

    n_nights: int
    chi2: float  # against a constant
    dof: int
    p: float  # chance of such a chi2 or a greater one
    rms: float  # between nights, beyond the errors
    trend: float  # a day
    trend_err: float


def common_variance(shift: NDArray, variance: NDArray, cluster: NDArray[np.integer]) -> tuple[float, int]:
    """Return the variance between the members of clusters beyond their own, and its degrees of freedom.

    The moment estimate of DerSimonian & Laird (1986, doi:10.1016/0197-2456(86)90046-2), pooled; not below 0, and 0
    without any degree of freedom.
    """
    number = np.unique(cluster, return_inverse=True)[1]
    n = int(number.max(initial=-1)) + 1
    dof = len(shift) - n
    if dof <= 0:
        return 0.0, 0
    weight = 1 / np.asarray(variance, float)
    total = np.bincount(number, weight, n)
    mean = np.bincount(number, weight * shift, n) / total
    q = float((weight * (shift - mean[number]) ** 2).sum())
    scale = float((total - np.bincount(number, weight**2, n) / total).sum())
    return max(0.0, (q - dof) / scale), dof


def frame_variance(frames: FrameShifts) -> float:
    """Return the variance between frames of a night that their stars do not explain."""
    found, dof = common_variance(frames.shift, frames.variance, frames.night)
    if dof >= MIN_DOF or not len(frames):
        return found
    return max(found, float(np.mean(frames.promised)))


def mean_variance(frames: FrameShifts) -> float:
    """Return the variance of a side's mean from what frames and nights have in common; more stars do not help it."""
    if not len(frames):
        return 0.0
    between_frames = frame_variance(frames)
    night, _, shift, variance, _, _ = _by_night(frames, between_frames)
    between_nights = 0.0
    if len(night) >= MIN_NIGHTS:
        between_nights, _ = common_variance(shift, variance, np.zeros(len(night), int))
    return between_frames / len(frames) + between_nights / max(len(night), 1)


def _by_night(frames: FrameShifts, between_frames: float) -> tuple[NDArray, ...]:
    """Return night, mean time, shift, its variance, and number of frames of each night; then the row of each frame."""
    night, row = np.unique(frames.night, return_inverse=True)
    weight = 1 / (frames.variance + between_frames)
    total = np.bincount(row, weight, len(night))
    shift = np.bincount(row, weight * frames.shift, len(night)) / total
    count = np.bincount(row, minlength=len(night))
    mjd = np.bincount(row, frames.mjd, len(night)) / count
    return night, mjd, shift, 1 / total, count, row


def by_night(a: FrameShifts, b: FrameShifts, offset: float = 0.0) -> tuple[Nights, Drift]:
    """Return A minus B of each night and whether the nights agree.

    A night of one side alone is compared with the mean of the other over all nights. It counts for the drift only
    where fewer than two nights are shared.
    """
    parts = [_by_night(side, frame_variance(side)) for side in (a, b)]
    night = np.union1d(parts[0][0], parts[1][0])
    value, variance = np.full(len(night), offset), np.zeros(len(night))
    counts, times = np.zeros((2, len(night)), int), np.zeros(len(night))
    for side, (nights, mjd, shift, own, count, _) in enumerate(parts):
        row = np.searchsorted(night, nights)
        value[row] += shift if side == 0 else -shift
        variance[row] += own
        counts[side, row] = count
        times[row] += mjd * count
    shared = np.asarray((counts > 0).all(axis=0))
    used = shared if shared.sum() >= MIN_SHARED_NIGHTS else np.ones(len(night), bool)
    fixed = 1 if shared[used].all() else 2  # means that were taken off
    rows = Nights(night, times / counts.sum(axis=0), value, np.sqrt(variance), counts[0], counts[1], used)
    return rows, _drift(rows.take(used), fixed)


def _drift(nights: Nights, fixed: int) -> Drift:
    """Judge a row of nights; `fixed` degrees of freedom went into means."""
    n, dof = len(nights), len(nights) - fixed
    if dof < 1:
        return Drift(n, math.nan, max(dof, 0), math.nan, math.nan, math.nan, math.nan)
    weight = 1 / np.square(nights.offset_err)
    mean = float(np.average(nights.offset, weights=weight))
    chi2 = float((weight * (nights.offset - mean) ** 2).sum())
    between, _ = common_variance(nights.offset, np.square(nights.offset_err), np.zeros(n, int))
    trend, trend_err = _line(nights, weight, fixed)
    return Drift(n, chi2, dof, float(chi2_distribution.sf(chi2, dof)), math.sqrt(between), trend, trend_err)


def _line(nights: Nights, weight: NDArray, fixed: int) -> tuple[float, float]:
    """Fit a straight line over time; its error grows with the scatter about it."""
    dof = len(nights) - fixed - 1
    if dof < 1:
        return math.nan, math.nan
    time = nights.mjd - np.average(nights.mjd, weights=weight)
    sxx = float((weight * time**2).sum())
    slope = float((weight * time * nights.offset).sum()) / sxx
    residual = nights.offset - np.average(nights.offset, weights=weight) - slope * time
    scale = max(1.0, float((weight * residual**2).sum()) / dof)
    return slope, math.sqrt(scale / sxx)
