"""The channels of a colour frame: each measured on its own pixels, nothing interpolated.

Red and blue are every second pixel of every second row. Green is the mean of the two greens of each 2x2 cell, which
lie symmetric about the cell's centre. Pixels of a channel are two pixels of the mosaic apart; x, y, sizes, scale and
FWHM of its frame are in pixels of the channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from .cards import Exposure, filter_of
from .colour import ADVICE, PLANES, Colour, band_of_channel, colour_of, doubt, looks_mosaic, shifted
from .fits import MIN_SIDE, RawFrame
from .headers import CameraDescription
from .lonely import lonely_pixels
from .pixelstats import PixelStats, pixel_stats
from .reduce import Planes, ReducedFrame, reduce_frame
from .reducekernels import fill_from_neighbours

LEVEL_STEP = 4
"""Every so many pixels of a channel are looked at for its level."""


def reduce_channel(
    frame: RawFrame, d: CameraDescription, exposure: Exposure, colour: Colour, channel: str, planes: Planes
) -> tuple[Exposure, ReducedFrame]:
    """Reduce a colour frame whole and take a channel out of it; return the channel's exposure too.

    Raises
    ------
    FrameError : what `reduce_frame`, `check_pattern` and `split` raise.
    """
    own = channel_exposure(exposure, frame.header, d, colour, channel)
    if colour.planes:
        return own, reduce_frame(take_plane(frame, channel), d, own, planes)
    reduced = reduce_frame(frame, d, whole_exposure(exposure, d), planes)
    check_pattern(reduced, colour)
    bias = float("nan") if d.overscan_section or planes.subtract.size else exposure.soft_bias
    alone = lonely_pixels(reduced.data, _spots(reduced, colour.pattern, channel))
    reduced = replace(reduced, bad=reduced.bad | alone)
    return own, split(reduced, colour.pattern, channel, d, bias, own)


def _spots(frame: ReducedFrame, pattern: str, channel: str) -> list[tuple[int, int]]:
    """Return row and column of a channel's pixels in the 2x2 cell at the frame's first pixel."""
    cell = shifted(pattern, int(frame.x_first), int(frame.y_first))
    return [(k // 2, k % 2) for k in range(4) if cell[k] == channel]


def take_plane(frame: RawFrame, channel: str) -> RawFrame:
    """Return one plane of a cube of three as a frame."""
    return replace(frame, data=np.ascontiguousarray(frame.data[PLANES.index(channel)]))


def whole_exposure(exposure: Exposure, d: CameraDescription) -> Exposure:
    """Return the exposure to reduce a mosaic with: a pixel is saturated there where it is in every channel."""
    own = [values["saturation"] for values in d.channels.values() if "saturation" in values]
    return replace(exposure, saturation=max([exposure.saturation, *own])) if own else exposure


def channel_exposure(
    exposure: Exposure, header: Mapping[str, Any], d: CameraDescription, colour: Colour, channel: str
) -> Exposure:
    """Return the exposure as a channel sees it: its band, scale, gain and noise.

    The mean of n pixels has n times the gain (e-/ADU) of one, so that the electrons of all n are counted, and sqrt(n)
    times the read noise of one.
    """
    own = d.channels.get(channel, {})
    n = 2 if colour.pattern and channel == "G" else 1
    return replace(
        exposure,
        band=band_of_channel(channel, filter_of(header, d), d.bands),
        pixel_scale=exposure.pixel_scale * (2 if colour.pattern else 1),
        gain=own.get("gain", exposure.gain) * n,
        read_noise=own.get("read_noise", exposure.read_noise) * np.sqrt(n),
        saturation=own.get("saturation", exposure.saturation),
        soft_bias=own.get("soft_bias", exposure.soft_bias),
    )


def split(
    frame: ReducedFrame, pattern: str, channel: str, d: CameraDescription, bias: float, own: Exposure
) -> ReducedFrame:
    """Return a channel of a reduced mosaic.

    `raw` of green is the higher count of the two, so that a star counts as saturated where either is.

    Parameters
    ----------
    pattern : colours of the file's first 2x2 pixels.
    d : for the channel's limits; bias : ADU, the constant that the reduction took off, NaN where it took something
        better (overscan or a master); own : the channel's exposure.

    Raises
    ------
    FrameError : the channel is too small, or more than half of its pixels are saturated.
    """
    spots = _spots(frame, pattern, channel)
    ny, nx = (n // 2 for n in frame.data.shape)
    if min(ny, nx) < MIN_SIDE:
        raise FrameError("too_small", f"channel {channel} is {nx}x{ny} pixels; {MIN_SIDE} a side needed")
    parts: dict[str, Any] = {}
    for name in (f.name for f in fields(frame)):
        value = getattr(frame, name)
        if isinstance(value, np.ndarray) and value.shape == frame.data.shape:
            planes = [value[y : y + 2 * ny : 2, x : x + 2 * nx : 2] for y, x in spots]
            parts[name] = _together(planes, highest=name == "raw")
    if np.isfinite(bias) and own.soft_bias != bias:
        parts["data"] -= np.float32(own.soft_bias - bias)
    level = own.saturation if np.isfinite(own.saturation) else np.inf
    masked = parts["bad"] & ~(parts["raw"] >= level)
    parts["bad"] |= parts["raw"] >= level
    if masked.any():  # the reduction filled them from their neighbours, which are of other colours
        fill_from_neighbours(parts["data"], parts["bad"], *np.nonzero(masked))
    if parts["bad"].mean() > 0.5:
        raise FrameError(
            "saturated",
            f"{parts['bad'].mean():.0%} of the pixels of channel {channel} are saturated or not finite; at most 50 % "
            "allowed",
        )
    y, x = np.mean(spots, axis=0)
    return replace(
        frame,
        **parts,
        saturation=level,
        linear_limit=d.channels.get(channel, {}).get("linear_limit", frame.linear_limit),
        x_first=frame.x_first + float(x),
        y_first=frame.y_first + float(y),
        step=2,
    )


def _together(planes: list[NDArray], highest: bool) -> NDArray:
    """Return one plane of one or two: the mean of values, the highest of raw counts, either of marks."""
    if len(planes) == 1:
        return np.ascontiguousarray(planes[0])
    first, second = planes
    if first.dtype.kind != "f" or highest:
        return np.maximum(first, second)
    return (first + second) * first.dtype.type(0.5)


def check_pattern(frame: ReducedFrame, colour: Colour) -> None:
    """Refuse a mosaic whose greens do not see the same sky, unless the camera's description tells the pattern.

    Raises
    ------
    FrameError : code `bad_pattern`.
    """
    if colour.sure:
        return
    cell = shifted(colour.pattern, int(frame.x_first), int(frame.y_first))
    levels, noise = cell_levels(frame.data)
    names = [name if name != "G" or k == cell.index("G") else "g" for k, name in enumerate(cell)]
    odd = doubt(dict(zip(names, levels.tolist())), noise)
    if odd:
        fits_better = " or ".join(shifted(colour.pattern, dx, dy) for dx, dy in ((1, 0), (0, 1)))
        raise FrameError(
            "bad_pattern",
            f"the header tells {colour.pattern} ({colour.told}) but {odd}, {fits_better}; {ADVICE}",
        )


def pixels_of(frame: RawFrame, reduced: ReducedFrame, d: CameraDescription) -> PixelStats:
    """Look at the raw pixels of a frame for gain and noise; of a mosaic at one green, for a mean hides their noise."""
    if reduced.step == 1:
        return replace(pixel_stats(reduced.raw), mosaic=_mosaic(reduced.raw, d))
    x, y = (int(np.floor(v)) for v in (reduced.x_first, reduced.y_first))
    cell = colour_of(frame.header, d).pattern
    if cell[2 * (y % 2) + x % 2] != "G":
        x += 1
    whole = pixel_stats(frame.data)
    return replace(pixel_stats(np.ascontiguousarray(frame.data[y::2, x::2])), top=whole.top, pile=whole.pile)


def _mosaic(raw: NDArray, d: CameraDescription) -> str:
    """Return the mosaic that the pixels of a frame without one look like, where the description leaves it open."""
    return looks_mosaic(*cell_levels(raw)) if d.bayer == "header" and raw.dtype.kind != "f" else ""


def cell_levels(data: NDArray) -> tuple[NDArray[np.float64], float]:
    """Return the medians (4,) of the four pixels of the 2x2 cell over a frame, row by row, and their error, ADU."""
    ny, nx = (n // 2 * 2 for n in data.shape)
    parts = [data[y:ny:2, x:nx:2][::LEVEL_STEP, ::LEVEL_STEP] for y in (0, 1) for x in (0, 1)]
    levels = np.array([float(np.median(p)) for p in parts])
    spread = max(1.4826 * float(np.median(np.abs(p - level))) for p, level in zip(parts, levels))
    return levels, 1.2533 * max(spread, 1.0) / np.sqrt(parts[0].size)
