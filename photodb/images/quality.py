"""How good a frame is, before any star is measured: dynamic range and evenness of the background.

The two criteria are those of the automatic-photometry script: the difference between the low and the high counts of
the frame (or of a box), and the spread of the medians over areas, which gives away trees, roofs and clouds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError

AREAS = 3
STEP = 4
LOW, HIGH = 0.1, 99.99
MIN_BOX = 100
"""Pixels that a box must hold to say something of the range."""


@dataclass(frozen=True)
class Quality:
    """Quality of a frame, in counts."""

    data_min: float  # ADU, 0.1 percentile
    data_max: float  # ADU, 99.99 percentile: the brightest stars, but no single hot pixel
    nonuniformity: float  # ADU, largest minus smallest median of 3x3 areas

    @property
    def dynamic_range(self) -> float:
        """data_max - data_min, ADU."""
        return self.data_max - self.data_min


def area_medians(data: NDArray, areas: int = AREAS, step: int = STEP) -> NDArray[np.float64]:
    """Return the medians (areas, areas) over equal areas, of every `step`-th pixel each way."""
    ny, nx = data.shape
    ys, xs = np.linspace(0, ny, areas + 1).astype(int), np.linspace(0, nx, areas + 1).astype(int)
    return np.array(
        [
            [np.median(data[ys[i] : ys[i + 1] : step, xs[j] : xs[j + 1] : step]) for j in range(areas)]
            for i in range(areas)
        ]
    )


def quality(data: NDArray, box: tuple[int, int, int, int] | None = None) -> Quality:
    """Measure a frame's quality.

    Parameters
    ----------
    data : (ny, nx) ADU
    box : x0, y0, x1, y1 of the part (px, inclusive) over which the dynamic range is taken; all by default.

    Raises
    ------
    FrameError : code `bad_box`, the box hardly meets the frame.
    """
    part = (
        data
        if box is None
        else data[max(0, box[1]) : max(0, box[3] + 1), max(0, box[0]) : max(0, box[2] + 1)]
    )
    if part.size < MIN_BOX:
        raise FrameError(
            "bad_box",
            f"the box {box} holds {part.size} pixels of the {data.shape[1]}x{data.shape[0]} frame; {MIN_BOX} needed",
        )
    values = np.ascontiguousarray(part).ravel()
    n = values.size
    low, high = int(LOW / 100 * (n - 1)), int(HIGH / 100 * (n - 1))
    parted = np.partition(values, [low, high])
    medians = area_medians(data)
    return Quality(float(parted[low]), float(parted[high]), float(medians.max() - medians.min()))
