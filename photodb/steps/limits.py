"""Limits of image quality and of registration: which numbers of a frame they hold for, and which frames break them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photodb.core.fences import jumps, light_lost
from photodb.errors import UsageError
from photodb.storage import framequality
from photodb.storage.engine import Database

from .judge import FrameFilter, frame_columns

Columns = Mapping[str, NDArray]


@dataclass(frozen=True)
class Measure:
    """A number of a frame that can be limited."""

    column: str
    name: str
    unit: str
    low: bool  # whether low values are bad
    limit: str  # name of the limit
    least: float = 0.0  # a suggested limit is at least so far from the usual value,
    share: float = 0.0  # or at least this share of it,
    most: float = float("inf")  # and at most so far
    usual: float | None = None  # the usual value, where it is not the series' own

    def breaks(self, values: NDArray, limit: float | NDArray) -> NDArray[np.bool_]:
        """Tell which values lie beyond a limit; NaN breaks none."""
        with np.errstate(invalid="ignore"):
            broken: NDArray[np.bool_] = values < limit if self.low else values > limit
        return broken

    def told(self, value: float, limit: float, how: str) -> str:
        """Say what a frame has, and what was asked."""
        bound = "at least" if self.low else "at most"
        return f"{self.name} {written(value)} {self.unit}".strip() + f"; {bound} {written(limit)} {how}"


QUALITY = (
    Measure("dynamic_range", "dynamic range", "ADU", True, "min_range", share=0.3),
    Measure("nonuniformity", "background nonuniformity", "ADU", False, "max_nonuniformity", 4.0, 1.0),
    Measure("fwhm", "FWHM", "px", False, "max_fwhm", share=0.5),
    Measure("ellipticity", "ellipticity", "", False, "max_ellipticity", 0.2),
    Measure("n_detections", "stars", "", True, "min_stars", share=0.4),
    Measure("background", "background", "ADU", False, "max_background", share=0.5),
    Measure("limiting_mag", "limiting magnitude", "mag", True, "min_limit", 0.4),
    Measure("light_lost", "light lost", "mag", False, "max_loss", 0.5, most=0.75, usual=0.0),
)
SHIFT = (
    Measure("shift", "shift", "px", False, "max_shift"),
    Measure("jump", "jump of the shift", "px", False, "max_jump", 5.0),
    Measure("shift_rms", "rms of the registration", "px", False, "max_rms", 0.1, 1.0),
    Measure("turn", "rotation", "deg", False, "max_rotation"),
    Measure("shift_n", "stars of the registration", "", True, "min_stars", share=0.6),
)
BOTH = " / "
"""Between several reasons of one frame."""
LABELS = ("frame_id", "mjd", "camera", "band", "field_id", "exptime", "night", "status", "reason_code")


@dataclass(frozen=True)
class Limits:
    """Thresholds of image quality; None means no limit."""

    min_range: float | None = None  # ADU
    max_nonuniformity: float | None = None  # ADU
    max_fwhm: float | None = None  # px
    max_ellipticity: float | None = None
    min_stars: int | None = None
    max_background: float | None = None  # ADU
    min_limit: float | None = None  # mag, instrumental, of a star at 5 sigma
    max_loss: float | None = None  # mag, against the clear frames of the series

    def __post_init__(self) -> None:
        _check_finite(self)


@dataclass(frozen=True)
class ShiftLimits:
    """Thresholds of the registration; None means no limit."""

    max_shift: float | None = None  # px
    max_rms: float | None = None  # px
    max_rotation: float | None = None  # deg, from the nearest multiple of 180
    min_stars: int | None = None
    max_jump: float | None = None  # px, from the frames around it

    def __post_init__(self) -> None:
        _check_finite(self)


def _check_finite(limits: Limits | ShiftLimits) -> None:
    """Refuse a limit that nothing can break."""
    for name, limit in asdict(limits).items():
        if limit is not None and not np.isfinite(limit):
            raise UsageError(f"{name.replace('_', '-')} {limit}: a limit must be a finite number")


def written(value: float) -> str:
    """Write a number with four digits, never as a power of ten below a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def beyond_limits(db: Database, chosen: FrameFilter, limits: Limits) -> dict[int, str]:
    """Return the science frames that break a quality limit, each with its reasons; not those that ingest rejected.

    Raises
    ------
    UsageError : no limit is given. NothingMatched : no frame fits the filter.
    """
    _check_given(limits)
    return broken(QUALITY, quality_columns(db, chosen, limits.max_loss is not None), limits)


def beyond_shift_limits(db: Database, chosen: FrameFilter, limits: ShiftLimits) -> dict[int, str]:
    """Return the science frames whose registration breaks a limit, each with its reasons; errors as above."""
    _check_given(limits)
    return broken(SHIFT, shift_columns(db, chosen), limits)


def _check_given(limits: Limits | ShiftLimits) -> None:
    if all(limit is None for limit in asdict(limits).values()):
        raise UsageError("no limit given; see --help for the limits that there are")


def broken(
    measures: Sequence[Measure], frames: Columns, limits: Limits | ShiftLimits, how: str = "asked"
) -> dict[int, str]:
    """Return the frames that break a limit: 'dynamic range 5321 ADU; at least 7000 asked', several joined by ' / '."""
    reasons: dict[int, list[str]] = {}
    for measure in measures:
        limit = getattr(limits, measure.limit)
        if limit is None:
            continue
        values = frames[measure.column]
        for row in np.flatnonzero(measure.breaks(values, limit)):
            reasons.setdefault(int(frames["frame_id"][row]), []).append(measure.told(values[row], limit, how))
    return {frame_id: BOTH.join(parts) for frame_id, parts in sorted(reasons.items())}


def quality_columns(db: Database, chosen: FrameFilter, loss: bool = True) -> dict[str, NDArray]:
    """Return what tells of the quality of measured science frames, by time: `LABELS` and the columns of `QUALITY`.

    `light_lost` compares the stars of a frame with the same stars on the others of its camera, band and field; it is
    NaN where `loss` is false.
    """
    names = [*LABELS, "data_min", "data_max", *(m.column for m in QUALITY if m.column != "light_lost")]
    frames = _measured(db, chosen, names)
    frames["light_lost"] = np.full(len(frames["mjd"]), np.nan)
    if loss:
        _fill_loss(db, frames)
    return frames


def shift_columns(db: Database, chosen: FrameFilter) -> dict[str, NDArray]:
    """Return the registration of measured science frames, by time: `LABELS`, the columns of `SHIFT` and the shifts."""
    names = [*LABELS, "shift_x", "shift_y", "shift_rotation", "shift_rms", "shift_n"]
    frames = _measured(db, chosen, names)
    frames["shift_rms"][~np.isfinite(frames["shift_n"])] = np.nan  # a reference frame against itself
    frames["shift"] = np.hypot(frames["shift_x"], frames["shift_y"])
    turn = np.abs(frames["shift_rotation"]) % 180
    frames["turn"] = np.minimum(turn, 180 - turn)
    frames["jump"] = np.full(len(frames["mjd"]), np.nan)
    for rows in series_rows(frames, ("camera", "field_id", "night")):
        frames["jump"][rows] = jumps(frames["shift_x"][rows], frames["shift_y"][rows])
    return frames


def _measured(db: Database, chosen: FrameFilter, names: Sequence[str]) -> dict[str, NDArray]:
    """Return columns of the science frames that have detections, whatever was judged of them."""
    columns = tuple(dict.fromkeys([*names, "n_detections"]))
    frames = frame_columns(db, replace(chosen, kind="science"), columns)
    measured = frames["n_detections"] > 0
    return {name: column[measured] for name, column in frames.items()}


def series_rows(frames: Columns, by: Sequence[str]) -> list[NDArray[np.intp]]:
    """Return the rows of each series of frames that agree in the columns `by`, in the order of the frames."""
    if not len(frames[by[0]]):
        return []
    number = np.zeros(len(frames[by[0]]), np.int64)
    for name in by:
        number = np.unique(np.stack([number, _numbered(frames[name])]), axis=1, return_inverse=True)[
            1
        ].ravel()
    return [np.flatnonzero(number == k) for k in range(number.max() + 1)]


def _numbered(column: NDArray) -> NDArray[np.int64]:
    return np.unique(column, return_inverse=True)[1].astype(np.int64).ravel()


def _fill_loss(db: Database, frames: dict[str, NDArray]) -> None:
    for rows in series_rows(frames, ("camera", "band", "field_id")):
        ids = frames["frame_id"][rows]
        with db.begin() as conn:
            stars = framequality.bright_magnitudes(conn, ids)
        if not len(stars):
            continue
        order = np.argsort(ids)
        frame = order[np.searchsorted(ids[order], stars["frame_id"])]
        lost = light_lost(frame, _numbered(stars["source_id"]), stars["mag"])
        frames["light_lost"][rows[: len(lost)]] = lost
