"""From raw counts to an image: cut to the data section, take off the bias, mark what cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from .cards import Exposure, section
from .fits import MIN_SIDE, RawFrame
from .headers import CameraDescription


@dataclass(frozen=True)
class ReducedFrame:
    """The data section of a frame, ready to be measured."""

    raw: NDArray  # (ny, nx) counts as stored
    data: NDArray[np.float32]  # (ny, nx) ADU, bias taken off, bad pixels 0
    bad: NDArray[np.bool_]  # (ny, nx) saturated or not finite
    saturation: float  # ADU, of raw
    linear_limit: float  # ADU, of raw; infinite if unknown
    x_first: int  # px, first column of the section on the frame
    y_first: int


def reduce_frame(frame: RawFrame, d: CameraDescription, exposure: Exposure) -> ReducedFrame:
    """Cut, take off overscan and constant bias, and mark saturated and non-finite pixels.

    Saturation is judged on the raw counts. The overscan's median is taken off frame by frame; where there is none,
    the constant of the camera (`soft_bias`).

    Raises
    ------
    FrameError : a section leaves the frame.
    """
    shape = frame.data.shape
    area = section(d.data_section, frame.header, shape) or (slice(0, shape[0]), slice(0, shape[1]))
    overscan = section(d.overscan_section, frame.header, shape)
    bias = float(np.median(frame.data[overscan])) if overscan else exposure.soft_bias
    raw = frame.data[area]
    if min(raw.shape) < MIN_SIDE:
        raise FrameError(
            "too_small", f"the data section is {raw.shape[1]}x{raw.shape[0]} pixels; {MIN_SIDE} a side needed"
        )
    level = exposure.saturation if np.isfinite(exposure.saturation) else np.inf
    bad = raw >= level
    data = raw.astype(np.float32)
    data -= np.float32(bias)
    if raw.dtype.kind == "f":
        broken = ~np.isfinite(raw)
        bad |= broken
        data[broken] = 0.0
    if bad.mean() > 0.5:
        raise FrameError(
            "saturated", f"{bad.mean():.0%} of the pixels are saturated or not finite; at most 50 % allowed"
        )
    linear = d.linear_limit if d.linear_limit else np.inf
    return ReducedFrame(raw, data, bad, level, linear, area[1].start, area[0].start)
