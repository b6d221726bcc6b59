"""The quality of a frame measured again from its file, over other parts of it: what a worker process does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import FrameError
from . import fits
from .headers import CameraDescription
from .masterfile import NO_CORRECTION, Correction
from .pipeline import read_reduced
from .quality import Areas, Quality, quality, without_value
from .worklimits import time_limit


@dataclass(frozen=True)
class Remeasured:
    """A frame whose quality was measured again; `quality` is None where that failed, and `reason` tells why."""

    frame_id: int
    quality: Quality | None
    reason: str = ""


@dataclass(frozen=True)
class QualityJob:
    """A frame to measure again."""

    frame_id: int
    path: Path
    file_hash: str  # SHA-256 that the file must have
    description: CameraDescription
    channel: str = ""  # of a colour frame
    correction: Correction = NO_CORRECTION  # the masters it was reduced with


def measure_quality(job: QualityJob, areas: Areas) -> Remeasured:
    """Read and reduce one frame, and measure its quality over other parts of it."""
    try:
        with time_limit():
            return Remeasured(job.frame_id, _quality(job, areas))
    except FrameError as error:
        return Remeasured(job.frame_id, None, str(error))
    except MemoryError:
        return Remeasured(job.frame_id, None, "the frame needs more memory than a worker may have")


def _quality(job: QualityJob, areas: Areas) -> Quality:
    if not job.path.exists():
        raise FrameError(
            "gone", f"the file {job.path} is gone: bring it back, or ingest it from where it is now"
        )
    if fits.file_hash(job.path) != job.file_hash:
        raise FrameError("changed", f"the file {job.path} is not the one that was ingested: its bytes differ")
    _, _, reduced = read_reduced(job.path, job.description, job.correction, channel=job.channel)
    return quality(reduced.data, areas, without_value(reduced.raw))
