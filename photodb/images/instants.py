"""When an exposure began and how long it took, by its camera's rule: stamps, gaps of stacks, lag of the shutter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.timescales import DAY, after
from ..errors import FrameError
from .headers import CameraDescription
from .times import Rule, read_instant

SHARE_BEFORE = {"start": 0.0, "middle": 0.5, "end": 1.0}
LONGEST_ELAPSED = 86400.0
SLACK_S = 2.0
"""By so much an end may come too early: both stamps may be whole seconds."""


@dataclass(frozen=True)
class Interval:
    """An exposure in time."""

    mjd_start: float  # MJD UTC
    elapsed: float  # s, gaps included


def interval_of(
    header: Mapping[str, Any],
    d: CameraDescription,
    exptime: float,
    seconds_told: float,
    ra: float,
    dec: float,
) -> Interval:
    """Return start and duration of an exposure.

    Parameters
    ----------
    exptime : s, the light collected.
    seconds_told : s, what the description's card `elapsed` holds; NaN without one.
    ra, dec : deg, of the target, for times at the barycentre or the sun.

    Raises
    ------
    FrameError : codes `no_time`, `bad_time`.
    """
    rule = rule_of(d, ra, dec)
    stamp = read_instant(list(d.header.time), header, rule)
    elapsed = exptime
    if d.header.time_end:
        end = read_instant(list(d.header.time_end), header, rule)
        elapsed = _checked((end - stamp) * DAY, exptime, f"from {d.header.time[0]} to {d.header.time_end[0]}")
    elif d.header.elapsed:
        elapsed = _checked(seconds_told, exptime, d.header.elapsed)
    start = after(stamp, d.shutter_lag - SHARE_BEFORE[d.header.time_refers] * elapsed)
    return Interval(start, elapsed)


def rule_of(d: CameraDescription, ra: float = np.nan, dec: float = np.nan) -> Rule:
    """Return how a camera's time cards are read."""
    site = tuple(np.nan if v is None else float(v) for v in (d.latitude, d.longitude, d.elevation or 0.0))
    offset = d.header.utc_offset or (d.longitude or 0.0) / 15
    return Rule(d.header.time_scale, d.header.utc_offset, d.header.date_refers, offset, ra, dec, site)  # type: ignore[arg-type]


def _checked(elapsed: float, exptime: float, what: str) -> float:
    if not np.isfinite(elapsed):
        raise FrameError("bad_time", f"{what}: no number of seconds")
    if not exptime - SLACK_S <= elapsed <= LONGEST_ELAPSED:
        raise FrameError(
            "bad_time",
            f"{what}: {elapsed:g} s passed; {exptime:g} s, as long as the exposure, to {LONGEST_ELAPSED:g} s believed",
        )
    return elapsed if elapsed > exptime + 0.01 else exptime


def assumptions(d: CameraDescription, exptime: float, elapsed: float) -> dict[str, str]:
    """Say what was done to the header's time."""
    said = {}
    if d.shutter_lag:
        said["shutter_lag"] = f"{d.shutter_lag:g} s added to the header's time"
    if elapsed > exptime:
        said["mjd"] = f"middle of {elapsed:g} s that passed, {exptime:g} s of them exposed"
    return said
