"""Limits that the frames suggest for themselves, by camera, band, field, exposure and night; and what looks odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core.fences import MIN_VALUES, Fence, fence
from photodb.storage import judgements
from photodb.storage.engine import Database

from .judge import FrameFilter
from .limits import (
    BOTH,
    QUALITY,
    SHIFT,
    Columns,
    Limits,
    Measure,
    ShiftLimits,
    broken,
    quality_columns,
    series_rows,
    shift_columns,
)

SERIES = ("camera", "band", "field_id", "exptime")
"""Frames that agree in these can be compared."""
ODD = 0.7
"""Way from the usual value to the suggested limit from which a frame is worth a look."""
NOT_SUGGESTED = ("max_shift", "max_rotation")
"""Limits that a series cannot suggest: frames may wander, and turn over, and be good."""


@dataclass(frozen=True)
class Suggestion:
    """A limit for one number of one series of frames."""

    camera: str
    band: str
    night: int  # d, MJD of the noon that began it; -1: nights of few frames, taken together
    exptime: float  # s
    field_id: int
    measure: Measure
    fence: Fence
    rows: NDArray[np.intp]  # (n,) of the columns it was made from
    n_beyond: int
    n_unknown: int  # frames without this number

    def record(self) -> dict[str, object]:
        """Return the suggestion as the row of a table."""
        return {
            "camera": self.camera, "band": self.band, "night": self.night, "field_id": self.field_id,
            "exptime": self.exptime, "measure": self.measure.name, "unit": self.measure.unit, "n": self.fence.n,
            "usual": _rounded(self.fence.middle), "spread": _rounded(self.fence.sigma), "limit": self.fence.limit,
            "n_beyond": self.n_beyond, "note": self._note(),
        }  # fmt: skip

    def _note(self) -> str:
        unknown = f"{self.n_unknown} frames without it" if self.n_unknown else ""
        return "; ".join(text for text in (self.fence.note, unknown) if text)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def suggest(frames: Columns, measures: Sequence[Measure] = QUALITY) -> list[Suggestion]:
    """Suggest limits for every series of the frames.

    A series is one camera, band, field and exposure in one night, for moon and seeing make nights differ; nights with
    fewer than `MIN_VALUES` frames are taken together. A number that no frame has is left out.
    """
    found = []
    for rows in _series(frames):
        for measure in measures:
            values = frames[measure.column][rows]
            if measure.limit in NOT_SUGGESTED or not np.isfinite(values).any():
                continue
            made = fence(values, measure.low, measure.least, measure.share, measure.most, measure.usual)
            n_beyond = int(measure.breaks(values, made.limit).sum())
            n_unknown = int((~np.isfinite(values)).sum())
            found.append(Suggestion(*_name(frames, rows), measure, made, rows, n_beyond, n_unknown))
    return found


def _series(frames: Columns) -> list[NDArray[np.intp]]:
    series = []
    for whole in series_rows(frames, SERIES):
        part = {name: column[whole] for name, column in frames.items()}
        nights = [whole[rows] for rows in series_rows(part, ("night",))]
        series += [rows for rows in nights if len(rows) >= MIN_VALUES]
        few = [rows for rows in nights if len(rows) < MIN_VALUES]
        if few:
            series.append(np.sort(np.concatenate(few)))
    return series


def _name(frames: Columns, rows: NDArray[np.intp]) -> tuple[str, str, int, float, int]:
    nights = np.unique(frames["night"][rows])
    one = len(nights) == 1 and np.isfinite(nights[0])
    first = rows[0]
    return (
        str(frames["camera"][first]),
        str(frames["band"][first]),
        int(nights[0]) if one else -1,
        float(frames["exptime"][first]),
        int(frames["field_id"][first]),
    )


def beyond_suggested(
    frames: Columns, suggestions: Sequence[Suggestion], given: Limits | ShiftLimits | None = None
) -> dict[int, str]:
    """Return the frames beyond the suggested limits, each with its reasons; where one is given, none is suggested."""
    reasons: dict[int, list[str]] = {}
    for s in suggestions:
        if getattr(given, s.measure.limit, None) is not None:
            continue
        values = frames[s.measure.column][s.rows]
        for row in np.flatnonzero(s.measure.breaks(values, s.fence.limit)):
            told = s.measure.told(values[row], s.fence.limit, "suggested by the series")
            reasons.setdefault(int(frames["frame_id"][s.rows[row]]), []).append(told)
    return {frame_id: BOTH.join(parts) for frame_id, parts in sorted(reasons.items())}


def auto_reasons(
    db: Database,
    chosen: FrameFilter,
    given: Limits | ShiftLimits,
    tell: Callable[[str], None],
    measures: Sequence[Measure] = QUALITY,
) -> dict[int, str]:
    """Return the frames beyond the suggested limits, each with its reasons; `tell` hears of those left alone.

    Frames that somebody restored are left alone, unless a limit that is given rejects them.
    """
    frames, suggestions = _suggested(db, chosen, measures)
    asked, suggested = broken(measures, frames, given), beyond_suggested(frames, suggestions, given)
    with db.begin() as conn:
        kept = judgements.restored(conn, list(suggested)) - set(asked)
    if kept:
        tell(f"{len(kept)} frames that were restored are left alone: {', '.join(map(str, sorted(kept)))}")
    return {
        frame_id: BOTH.join(part[frame_id] for part in (asked, suggested) if frame_id in part)
        for frame_id in sorted({*asked, *suggested} - kept)
    }


def suggested_limits(
    frames: Columns, given: Limits | ShiftLimits, measures: Sequence[Measure] = QUALITY
) -> dict[str, float | NDArray | None]:
    """Return each limit by name: as given, else as suggested for each frame (n,), NaN where nothing is."""
    limits: dict[str, float | NDArray | None] = dict(asdict(given))
    for measure in measures:
        if limits[measure.limit] is None:
            limits[measure.limit] = np.full(len(frames["mjd"]), np.nan)
    for s in suggest(frames, measures):
        values = limits[s.measure.limit]
        if isinstance(values, np.ndarray):
            values[s.rows] = s.fence.limit
    return limits


def _suggested(
    db: Database, chosen: FrameFilter, measures: Sequence[Measure]
) -> tuple[dict[str, NDArray], list[Suggestion]]:
    frames = shift_columns(db, chosen) if measures is SHIFT else quality_columns(db, chosen)
    return frames, suggest(frames, measures)


def suggested_quality(db: Database, chosen: FrameFilter) -> tuple[dict[str, NDArray], list[Suggestion]]:
    """Return the quality of the frames of a filter and what they suggest."""
    return _suggested(db, chosen, QUALITY)


def review_queue(db: Database, chosen: FrameFilter) -> list[dict[str, object]]:
    """List the accepted frames that look odd and that nobody judged yet, the oddest first, each with why.

    `odd` is how far a frame is on the way from the usual value of its series (0) to the suggested limit (1), in the
    number in which it is worst; those beyond `ODD` are listed.
    """
    worst: dict[int, tuple[float, str, float]] = {}
    for frames, suggestions in (_suggested(db, chosen, measures) for measures in (QUALITY, SHIFT)):
        mjd = dict(zip(frames["frame_id"].tolist(), frames["mjd"].tolist(), strict=True))
        for s in suggestions:
            if not np.isfinite(s.fence.limit):
                continue
            values = frames[s.measure.column][s.rows]
            odd = (values - s.fence.middle) / (s.fence.limit - s.fence.middle)
            for row in np.flatnonzero(odd > ODD):
                frame_id = int(frames["frame_id"][s.rows[row]])
                if frames["status"][s.rows[row]] == "accepted" and odd[row] > worst.get(frame_id, (0.0,))[0]:
                    why = s.measure.told(values[row], s.fence.limit, "suggested by the series")
                    worst[frame_id] = (float(odd[row]), why, mjd[frame_id])
    with db.begin() as conn:
        judged = judgements.judged(conn, list(worst))
    listed = sorted((-odd, i, why, at) for i, (odd, why, at) in worst.items() if i not in judged)
    return [{"frame_id": i, "mjd": at, "odd": -odd, "why": why} for odd, i, why, at in listed]
