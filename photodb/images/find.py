"""Which places of a frame to measure: peaks of the matched filter, without what saturated stars and trails feign."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import detect
from .reduce import ReducedFrame
from .saturated import Saturated, feigned, find_saturated, with_bleeds
from .trails import Trail, find_trails, made_by_trails, with_trails

NEAREST = 0.6
"""Least distance of two peaks, in FWHM."""
GHOST_SHARE = 0.7
"""Share of the threshold that the counterpart of a feigned star reaches."""


@dataclass(frozen=True)
class Found:
    """The stars of a frame before they are measured."""

    frame: ReducedFrame  # its bad pixels include bleeding charge and trails
    places: NDArray  # (n, 2) x, y, px: the saturated stars, then the others, brightest first
    fwhm: float  # px
    notes: tuple[str, ...]  # what was masked


def find_stars(
    frame: ReducedFrame,
    data: NDArray[np.float32],
    sky: detect.Background,
    threshold: float,
    max_stars: int,
) -> Found:
    """Find the stars to measure: all saturated ones, and the brightest `max_stars` others.

    Parameters
    ----------
    frame : the reduced frame.
    data : (ny, nx) ADU, background taken off.
    threshold : sigmas of the matched filter.
    """
    bright = find_saturated(frame.raw, frame.bad, data, frame.saturation)
    frame = replace(frame, bad=with_bleeds(frame.bad, bright))
    fwhm = detect.star_width(data, sky.noise, frame.bad, sharpest=sharpest(frame))
    filtered, noise = detect.matched(data, sky.noise, fwhm)
    peaks = detect.listed(filtered, noise, threshold)[:, :2]
    peaks, trails = _real(peaks, data, sky, filtered, noise, bright, fwhm, threshold)
    brightest = np.argsort(-filtered[peaks[:, 1].astype(int), peaks[:, 0].astype(int)], kind="stable")
    peaks = peaks[brightest]
    peaks = peaks[detect.thin(peaks, np.full(len(peaks), NEAREST * fwhm))][:max_stars]
    places = np.concatenate([np.column_stack([bright.x, bright.y]), peaks])
    notes = tuple(f"trail of {t.length:.0f} px, {2 * t.half_width:.0f} px wide, masked" for t in trails)
    return Found(replace(frame, bad=with_trails(frame.bad, trails)), places, fwhm, notes)


def masked(
    frame: ReducedFrame, data: NDArray[np.float32], sky: detect.Background, fwhm: float
) -> ReducedFrame:
    """Return the frame with bleeding charge and trails among its bad pixels, as `find_stars` masks them."""
    bright = find_saturated(frame.raw, frame.bad, data, frame.saturation)
    frame = replace(frame, bad=with_bleeds(frame.bad, bright))
    filtered, noise = detect.matched(data, sky.noise, fwhm)
    peaks = detect.listed(filtered, noise, detect.THRESHOLD)[:, :2]
    _, trails = _real(peaks, data, sky, filtered, noise, bright, fwhm, detect.THRESHOLD)
    return replace(frame, bad=with_trails(frame.bad, trails))


def sharpest(frame: ReducedFrame) -> float:
    """Return the sharpness above which nothing is a star; no limit under a mosaic, for there it was judged before."""
    return detect.HOT_SHARPNESS if frame.step == 1 else np.inf


def _real(
    peaks: NDArray,
    data: NDArray[np.float32],
    sky: detect.Background,
    filtered: NDArray[np.float32],
    noise: NDArray[np.float32],
    bright: Saturated,
    fwhm: float,
    threshold: float,
) -> tuple[NDArray, list[Trail]]:
    """Return the peaks (n, 2) that neither saturated stars nor trails make, and the trails."""
    at = peaks[:, 1].astype(int), peaks[:, 0].astype(int)
    peaks = peaks[~feigned(peaks, bright, filtered, fwhm, GHOST_SHARE * threshold * noise[at])]
    trails = find_trails(peaks, data, sky.noise, fwhm)
    if trails:
        height = filtered[peaks[:, 1].astype(int), peaks[:, 0].astype(int)]
        peaks = peaks[~made_by_trails(peaks, height, trails, fwhm)]
    return peaks, trails
