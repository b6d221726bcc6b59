"""One calibration frame on its way into a master: read, checked, and reduced as far as its kind asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FrameError
from .colour import colour_of
from .headers import CameraDescription
from .masterfile import Correction
from .masters import PlaneStats, refuse_plane
from .pipeline import read_reduced


@dataclass(frozen=True)
class CalibrationJob:
    """A calibration frame to make ready."""

    frame_id: int
    path: Path
    data_hash: str  # of the frame as it was ingested
    kind: str
    description: CameraDescription
    correction: Correction  # bias of a dark; bias and dark of a flat
    out: Path  # .npy file to write


@dataclass(frozen=True)
class PlaneReady:
    """A calibration frame made ready, or why it cannot take part."""

    frame_id: int
    out: Path
    refused: str = ""
    mosaic: bool = False  # whether the pixels lie under a colour mosaic


def make_plane(job: CalibrationJob) -> PlaneReady:
    """Reduce a calibration frame and write it as a plane (float32, ADU; NaN where it is masked) for `combine`."""
    try:
        frame, _, reduced = read_reduced(job.path, job.description, job.correction)
        if frame.data_hash != job.data_hash:
            raise FrameError("changed", "the file is not the one that was ingested: its pixels changed")
        mosaic = bool(colour_of(frame.header, job.description).pattern)
    except FrameError as error:
        return PlaneReady(job.frame_id, job.out, f"{job.path}: {error}")
    saturated = reduced.raw >= reduced.saturation
    data = reduced.data
    stats = PlaneStats(
        data.shape,
        float(np.median(reduced.raw[::3, ::3])),
        float(saturated.mean()),
        float((data <= 0).mean()),
    )
    why = refuse_plane(job.kind, stats, reduced.linear_limit)
    if not why:
        np.save(job.out, np.where(saturated | ~np.isfinite(reduced.raw), np.float32("nan"), data))
    return PlaneReady(job.frame_id, job.out, why and f"{job.path}: {why}", mosaic)
