"""From raw counts to an image: cut to the data section, take off bias and dark, apply the flat, mark what is bad."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from .cards import Exposure, section
from .fits import MIN_SIDE, RawFrame
from .headers import CameraDescription
from .reducekernels import fill_from_neighbours, reduce_floats, reduce_integers

OVERSCAN_CLIP = 5.0
NONE_32 = np.empty((0, 0), np.float32)
NONE_BOOL = np.empty((0, 0), np.bool_)


@dataclass(frozen=True)
class Planes:
    """What masters do to the data section of a frame, ready for the pass over its pixels; shape (0, 0) is nothing."""

    subtract: NDArray[np.float32] = field(default_factory=lambda: NONE_32)  # ADU, bias and dark
    multiply: NDArray[np.float32] = field(default_factory=lambda: NONE_32)  # 1 / flat
    bad: NDArray[np.bool_] = field(default_factory=lambda: NONE_BOOL)  # hot, dead, without response

    @functools.cached_property
    def listed(self) -> tuple[NDArray, NDArray]:
        """Rows and columns of the masked pixels."""
        ys, xs = np.nonzero(self.bad)
        return ys, xs

    @property
    def nbytes(self) -> int:
        """Memory that they take."""
        return self.subtract.nbytes + self.multiply.nbytes + self.bad.nbytes

    @property
    def shape(self) -> tuple[int, ...]:
        """(ny, nx), or (0, 0) where there is nothing to apply."""
        return max(self.subtract.shape, self.multiply.shape, self.bad.shape)


NO_PLANES = Planes()


@dataclass(frozen=True)
class ReducedFrame:
    """The data section of a frame, ready to be measured."""

    raw: NDArray  # (ny, nx) counts as stored
    data: NDArray[
        np.float32
    ]  # (ny, nx) ADU, bias and dark taken off, flat; 0 where not finite, bad ones filled
    bad: NDArray[np.bool_]  # (ny, nx) saturated, not finite, or masked by a master
    saturation: float  # ADU, of raw
    linear_limit: float  # ADU, of raw; infinite if unknown
    x_first: float  # px, where the first pixel lies on the frame
    y_first: float
    step: int = 1  # px of the frame from one pixel to the next; 2 for a channel of a mosaic
    multiplied: NDArray[np.float32] | None = None  # (ny, nx) by 1 / flat; None without a flat

    @functools.cached_property
    def grain(self) -> float:
        """Step of the counts, ADU: 1 where they are whole numbers, else 0."""
        sample = self.raw[::7, ::7]
        sample = sample[np.isfinite(sample)]
        return float(sample.size > 0 and bool((sample == np.rint(sample)).all()))


def reduce_frame(
    frame: RawFrame, d: CameraDescription, exposure: Exposure, planes: Planes = NO_PLANES
) -> ReducedFrame:
    """Cut, take off bias and dark, divide by the flat, and mark saturated, non-finite and masked pixels.

    Saturation is judged on the raw counts. The overscan's level is taken off frame by frame; where there is none, the
    constant of the camera (`soft_bias`). Masked pixels that are not saturated get the median of their neighbours, so
    that neither a hot one nor a hole is taken for a star.

    Raises
    ------
    FrameError : a section leaves the frame, a master has another size, or more than half of the pixels are unusable.
    """
    area = data_area(frame, d)
    raw = frame.data[area]
    if min(raw.shape) < MIN_SIDE:
        raise FrameError(
            "too_small", f"the data section is {raw.shape[1]}x{raw.shape[0]} pixels; {MIN_SIDE} a side needed"
        )
    if planes.shape not in ((0, 0), raw.shape):
        raise FrameError(
            "master_size",
            f"the data section is {raw.shape[1]}x{raw.shape[0]} pixels, its masters {planes.shape[1]}x"
            f"{planes.shape[0]}; describe the two sizes as two cameras, or drop the masters (photodb calib list)",
        )
    level = exposure.saturation if np.isfinite(exposure.saturation) else np.inf
    data, bad = apply_planes(raw, frame_offset(frame, d, exposure), level, planes)
    if bad.mean() > 0.5:
        raise FrameError(
            "saturated", f"{bad.mean():.0%} of the pixels are saturated or not finite; at most 50 % allowed"
        )
    linear = d.linear_limit if d.linear_limit else np.inf
    multiplied = planes.multiply if planes.multiply.size else None
    return ReducedFrame(raw, data, bad, level, linear, area[1].start, area[0].start, multiplied=multiplied)


def data_area(frame: RawFrame, d: CameraDescription) -> tuple[slice, slice]:
    """Return the (row, column) slices of the data section; the whole frame where the camera names none."""
    shape = frame.data.shape
    return section(d.data_section, frame.header, shape) or (slice(0, shape[0]), slice(0, shape[1]))


def frame_offset(frame: RawFrame, d: CameraDescription, exposure: Exposure) -> float:
    """Return the bias level of one frame, ADU: of its overscan, else the constant of the camera."""
    overscan = section(d.overscan_section, frame.header, frame.data.shape)
    return overscan_level(frame.data[overscan]) if overscan else exposure.soft_bias


def overscan_level(overscan: NDArray) -> float:
    """Return the clipped mean of the overscan: the median of whole counts is half a count too coarse for a bias."""
    values = overscan[np.isfinite(overscan)].astype(np.float64)
    if not values.size:
        raise FrameError("bad_section", "no pixel of the overscan is a finite number")
    middle = np.median(values)
    off = np.abs(values - middle)
    return float(values[off <= OVERSCAN_CLIP * max(1.4826 * np.median(off), 1.0)].mean())


def apply_planes(
    raw: NDArray, offset: float, saturation: float, planes: Planes
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return data (ADU, float32) and bad of raw counts (ny, nx), in one pass over the pixels."""
    data, bad = np.empty(raw.shape, np.float32), np.empty(raw.shape, np.bool_)
    floats = raw.dtype.kind == "f"
    judge = bool(np.isfinite(saturation)) and (floats or saturation <= np.iinfo(raw.dtype).max)
    level = raw.dtype.type(saturation if floats else np.ceil(saturation)) if judge else raw.dtype.type(0)
    kernel = reduce_floats if floats else reduce_integers
    kernel(
        raw, np.float32(offset), planes.subtract, planes.multiply, planes.bad, level, judge, data, bad
    )  # fmt: skip
    if planes.bad.size:
        ys, xs = planes.listed
        unsaturated = ~(raw[ys, xs] >= saturation)
        fill_from_neighbours(data, bad, ys[unsaturated], xs[unsaturated])
    return data, bad
