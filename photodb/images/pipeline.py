"""One frame from file to measurements, without a database: what a worker process does.

A worker gets a file and the camera's description and gives back a `FrameResult`, or a `FrameFailure` with the reason;
it never raises for a bad file. It runs under limits of memory and time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.ephemeris import Place, place_at
from ..core.flags import Flag
from ..core.tangent import TangentWCS
from ..errors import FrameError
from . import cards, channels, fits
from .colour import NO_COLOUR, channels_of, colour_of
from .describe import describe
from .earthrotation import rotation_at
from .forced import ForcedResult, Targets, force
from .headers import CameraDescription, recognise
from .instants import assumptions
from .listmaps import ListMap
from .masterfile import NO_CORRECTION, Correction, load_planes
from .measure import Measured, frame_fwhm, measure
from .pixelstats import PixelStats
from .quality import EVERYWHERE, Areas, Quality, quality, without_value
from .reduce import ReducedFrame, reduce_frame
from .stopwatch import Stopwatch
from .worklimits import MEMORY_BYTES, time_limit


@dataclass(frozen=True)
class PixelSettings:
    """What may be chosen of the measurement."""

    max_stars: int = 2000
    threshold: float = 5.0
    areas: Areas = EVERYWHERE  # where the quality is measured; stars in masks do not register the frame
    psf: str | None = None  # moffat, gaussian, none; None: as the camera says


@dataclass(frozen=True)
class Scanned:
    """What the header alone tells of a file."""

    path: Path
    file_hash: str
    description: CameraDescription
    new: bool  # not known before: described from the header
    kind: str
    mjd_start: float
    wcs_failed: bool
    exptime: float = 0.0
    band: str = ""
    shape: tuple[int, int] = (0, 0)  # ny, nx of the data section; (0, 0) where the header does not tell
    correction: Correction = NO_CORRECTION  # the masters to apply
    channels: tuple[str, ...] = ("",)  # what the file is measured in, each a frame of its own
    channel: str = ""  # the one to measure; empty for what has no colours
    list_map: ListMap | None = None  # the column map of a star list, where one is needed
    is_list: bool = False  # a star list: no pixels


@dataclass(frozen=True)
class FrameFailure:
    """A file that cannot be used, and why."""

    path: Path
    file_hash: str
    code: str
    reason: str
    channel: str = ""
    source_format: str = "pixels"  # or list


@dataclass(frozen=True)
class FrameResult:
    """A frame measured; `measured` is None for calibration frames."""

    path: Path
    file_hash: str
    data_hash: str
    hdu: int
    camera: str
    exposure: cards.Exposure
    place: Place
    nx: int
    ny: int
    gain: float
    quality: Quality
    background: float
    measured: Measured | None
    header_wcs: TangentWCS | None
    wcs_failed: bool
    header_airmass: float
    assumed: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)
    correction: Correction = NO_CORRECTION  # the masters applied
    channel: str = ""
    source_format: str = "pixels"  # or the format of a star list
    remark: str = ""


def scan(
    path: Path, file_hash: str, known: list[CameraDescription], camera: str | None
) -> Scanned | FrameFailure:
    """Recognise the camera of a file by its header, or describe a new one.

    Parameters
    ----------
    known : descriptions to recognise; the packaged ones among them.
    camera : name of the camera where the caller says it, whatever the header.
    """
    try:
        header = fits.read_header(path)
        found = next((d for d in known if d.name == camera), None) if camera else recognise(header, known)
        made = found or describe(header)
        if made.hdu is not None:
            header = fits.read_header(path, made.hdu)
        exposure = cards.read_exposure(header, made)
        colours = channels_of(header, made, exposure.kind)
    except FrameError as error:
        return FrameFailure(path, file_hash, error.code, str(error))
    except fits.DAMAGE as error:
        return FrameFailure(
            path, file_hash, "bad_header", f"cannot read the header: {type(error).__name__}: {error}"
        )
    failed = cards.wcs_failed(header, made)
    return Scanned(
        path, file_hash, made, found is None, exposure.kind, exposure.mjd_start, failed,
        exptime=exposure.exptime, band=exposure.band, shape=cards.section_shape(header, made), channels=colours,
    )  # fmt: skip


def read_reduced(
    path: Path,
    d: CameraDescription,
    correction: Correction = NO_CORRECTION,
    lap: Callable[[str], None] = lambda _: None,
    channel: str = "",
) -> tuple[fits.RawFrame, cards.Exposure, ReducedFrame]:
    """Read a file and reduce it with its masters: the one way from a file to pixels that can be measured.

    `lap` is called with "read" and "reduce" when these are done. A channel is taken out of the frame after the
    reduction, so that masters are those of the whole mosaic; its exposure is given back.

    Raises
    ------
    FrameError : the file, its header, or a master cannot be used.
    """
    frame = fits.read_frame(path, d.hdu, verify=d.checksum == "require")
    exposure = cards.read_exposure(frame.header, d)
    lap("read")
    colour = colour_of(frame.header, d) if channel else NO_COLOUR
    if colour:
        exposure, reduced = channels.reduce_channel(
            frame, d, exposure, colour, channel, load_planes(correction)
        )
    else:
        reduced = reduce_frame(frame, d, exposure, load_planes(correction))
    lap("reduce")
    return frame, exposure, reduced


def measure_file(scanned: Scanned, settings: PixelSettings) -> FrameResult | FrameFailure:
    """Read, reduce and measure one file."""
    try:
        with time_limit():
            return _measure(scanned, settings)
    except FrameError as error:
        return failure_of(scanned, error.code, str(error))
    except MemoryError:
        return failure_of(scanned, "memory", f"the frame needs more than {MEMORY_BYTES >> 30} GB")


def failure_of(scanned: Scanned, code: str, reason: str) -> FrameFailure:
    """Return the failure of a file, or of one of its channels."""
    origin = "list" if scanned.is_list else "pixels"
    return FrameFailure(scanned.path, scanned.file_hash, code, reason, scanned.channel, origin)


def identity(frame: fits.RawFrame, channel: str) -> str:
    """Return what tells a frame from all others; the channels of a file have its pixels in common."""
    return f"{frame.data_hash}:{channel}" if channel else frame.data_hash


def _measure(scanned: Scanned, settings: PixelSettings) -> FrameResult:
    watch = Stopwatch()
    d = scanned.description
    frame, exposure, reduced = read_reduced(scanned.path, d, scanned.correction, watch.lap, scanned.channel)
    ny, nx = reduced.data.shape
    measures = quality(reduced.data, settings.areas, without_value(reduced.raw))
    watch.lap("quality")
    assumed = assumptions(d, exposure.exptime, exposure.elapsed)
    gain = exposure.gain
    if not np.isfinite(gain):
        gain, assumed["gain"] = 1.0, "1 e-/ADU taken: neither header nor description tells"
    measured = None
    wcs = None
    if exposure.kind == "science":
        measured, remarks = _measure_stars(reduced, scanned, settings, gain)
        assumed |= remarks
        watch.lap("measure")
        wcs = cards.header_wcs(frame.header, d, nx, ny, reduced.x_first, reduced.y_first, reduced.step)
    site = (_or_nan(d.latitude), _or_nan(d.longitude), d.elevation or 0.0)
    place = place_at(exposure.mjd, *site, rotation_at(exposure.mjd))
    watch.lap("header")
    return FrameResult(
        path=scanned.path,
        file_hash=scanned.file_hash,
        data_hash=identity(frame, scanned.channel),
        hdu=frame.hdu,
        camera=d.name,
        exposure=exposure,
        place=place,
        nx=nx,
        ny=ny,
        gain=gain,
        quality=measures,
        background=measured.background if measured else float(np.median(reduced.data[::4, ::4])),
        measured=measured,
        header_wcs=wcs,
        wcs_failed=cards.wcs_failed(frame.header, d),
        header_airmass=exposure.airmass,
        assumed=assumed,
        seconds=watch.laps,
        correction=scanned.correction,
        channel=scanned.channel,
    )


def _measure_stars(
    reduced: ReducedFrame, scanned: Scanned, settings: PixelSettings, gain: float
) -> tuple[Measured, dict[str, str]]:
    """Measure the stars of a science frame; returns them and what falls short."""
    d = scanned.description
    measured = measure(
        reduced,
        gain,
        aperture=d.aperture,
        max_stars=settings.max_stars,
        threshold=settings.threshold,
        psf=settings.psf or d.psf_model,
        grid=d.psf_grid,
    )
    remarks = {}
    if scanned.correction.missing:
        measured = _uncalibrated(measured)
        remarks["masters"] = scanned.correction.missing
    if measured.remark:
        remarks["psf"] = measured.remark
    settings.areas.flag(measured.detections)
    return measured, remarks


@dataclass(frozen=True)
class ForcedJob:
    """Sources to measure on a frame at their known places."""

    scanned: Scanned
    targets: Targets
    psf: dict[str, Any] | None  # as the frame's measurement gave it
    radii: tuple[float, ...]  # px
    gain: float  # e-/ADU
    data_hash: str = ""  # of the pixels that the archive knows; empty: not compared


def force_file(job: ForcedJob) -> ForcedResult | FrameFailure:
    """Read and reduce a frame of the archive again and measure sources at their known places."""
    scanned = job.scanned
    try:
        with time_limit():
            return _force(job)
    except FrameError as error:
        return failure_of(scanned, error.code, str(error))
    except MemoryError:
        return failure_of(scanned, "memory", f"the frame needs more than {MEMORY_BYTES >> 30} GB")


def _force(job: ForcedJob) -> ForcedResult:
    watch = Stopwatch()
    scanned = job.scanned
    channel = scanned.channel or job.data_hash.partition(":")[2]
    frame, _, reduced = read_reduced(
        scanned.path, scanned.description, scanned.correction, watch.lap, channel
    )
    if job.data_hash and identity(frame, channel) != job.data_hash:
        raise FrameError(
            "changed", f"{scanned.path}: the pixels are not those that were ingested; restore the file"
        )
    result = force(reduced, job.targets, job.psf, np.array(job.radii), job.gain)
    watch.lap("force")
    flags = result.flags | (Flag.UNCALIBRATED if scanned.correction.missing else 0)
    return replace(result, flags=flags.astype(np.int32), seconds=watch.laps)


def _uncalibrated(measured: Measured) -> Measured:
    found = measured.detections
    return replace(
        measured, detections=replace(found, flags=(found.flags | Flag.UNCALIBRATED).astype(np.int32))
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class Sample:
    """A frame looked at to complete its camera's description."""

    pixels: PixelStats
    header: Any
    fwhm: float  # px; NaN where no star tells


def sample_frame(scanned: Scanned, description: CameraDescription) -> Sample | FrameFailure:
    """Look at a frame's pixels to estimate gain, saturation and aperture of its camera; of a colour frame at green."""
    try:
        with time_limit():
            frame, _, reduced = read_reduced(scanned.path, description, channel=scanned.channels[0])
            fwhm = frame_fwhm(reduced) if scanned.kind == "science" else float("nan")
            return Sample(channels.pixels_of(frame, reduced, description), frame.header, fwhm)
    except FrameError as error:
        return failure_of(scanned, error.code, str(error))
