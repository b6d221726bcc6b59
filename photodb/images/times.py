"""Read the start of an exposure from header cards, strictly, by the camera's rule.

A date without a time is never midnight: it is an error. ERFA (through astropy's pyerfa) does the calendar and the
leap seconds.
"""

from __future__ import annotations

import re
from typing import Any

import erfa

from ..errors import FrameError

DATE = re.compile(r"^(\d{4})-(\d{1,2})-(\d{1,2})$")
CLOCK = re.compile(r"^(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)\s*(Z|[+-]\d{2}:?\d{2})?$")
DATE_CLOCK = re.compile(r"^(\d{4}-\d{1,2}-\d{1,2})[T ](.+)$")
MJD_ZERO = 2400000.5
FIRST_MJD, LAST_MJD = 5000.0, 88069.0
"""1872 and 2100: outside, a time is an error."""


def parse_clock(text: str) -> tuple[int, int, float, float | None]:
    """Return hour, minute, second and the offset from UTC in hours (None if not written).

    Raises
    ------
    ValueError : not a time of day.
    """
    found = CLOCK.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not hh:mm:ss")
    hour, minute, second = int(found[1]), int(found[2]), float(found[3])
    if hour > 23 or minute > 59 or second >= 61:
        raise ValueError(f"{text!r} is not a time of day")
    zone = found[4]
    if zone is None:
        return hour, minute, second, None
    if zone == "Z":
        return hour, minute, second, 0.0
    digits = zone[1:].replace(":", "")
    offset = int(digits[:2]) + int(digits[2:]) / 60
    return hour, minute, second, -offset if zone[0] == "-" else offset


def parse_date(text: str) -> tuple[int, int, int]:
    """Return year, month and day of an ISO date.

    Raises
    ------
    ValueError : not an ISO date, or not a day of the calendar.
    """
    found = DATE.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not yyyy-mm-dd")
    year, month, day = (int(g) for g in found.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31 and 1800 <= year <= 2200):
        raise ValueError(f"{text!r} is not a date")
    return year, month, day


def to_mjd_utc(date: str, clock: str, scale: str, utc_offset_hours: float) -> float:
    """Return the MJD UTC of a date and a time of day.

    Parameters
    ----------
    date, clock : ISO text; an offset written with the clock wins over `utc_offset_hours`.
    scale : utc, tai, tt or local.
    utc_offset_hours : local minus UTC, used for scale local where the clock names none.
    """
    year, month, day = parse_date(date)
    hour, minute, second, offset = parse_clock(clock)
    if scale in ("tai", "tt"):
        jd1, jd2 = erfa.dtf2d(scale.upper(), year, month, day, hour, minute, second)
        return _atomic_to_utc(jd1, jd2, scale)
    jd1, jd2 = erfa.dtf2d("UTC", year, month, day, hour, minute, second)
    if offset is None:
        offset = utc_offset_hours if scale == "local" else 0.0
    return float(jd1 - MJD_ZERO + jd2 - offset / 24.0)


def _atomic_to_utc(jd1: float, jd2: float, scale: str) -> float:
    """Return the MJD UTC of a two-part date in TAI or TT."""
    if scale == "tt":
        jd1, jd2 = erfa.tttai(jd1, jd2)
    jd1, jd2 = erfa.taiutc(jd1, jd2)
    return float(jd1 - MJD_ZERO + jd2)


def _number_time(value: float, card: str, scale: str) -> float:
    if "TAI" in card.upper() and value > 1e9:  # seconds since MJD 0, as SDSS writes TAI
        return _atomic_to_utc(MJD_ZERO, value / 86400.0, "tai")
    mjd = value - MJD_ZERO if value > 2e6 else value
    return _atomic_to_utc(MJD_ZERO, mjd, scale) if scale in ("tai", "tt") else mjd


def read_start(cards: list[str], header: Any, scale: str = "utc", utc_offset_hours: float = 0.0) -> float:
    """Return the MJD UTC that the header's time cards hold.

    Parameters
    ----------
    cards : one card (date and time, or JD or MJD), or two (date; time of day).
    header : mapping of cards.

    Raises
    ------
    FrameError : code `no_time` (card missing) or `bad_time`; the card and its value are named.
    """
    missing = [c for c in cards if str(header.get(c, "")).strip() == ""]
    if missing:
        raise FrameError("no_time", f"card {' and '.join(missing)} missing: no start of the exposure")
    values = [header[c] for c in cards]
    shown = ", ".join(f"{c} = {v!r}" for c, v in zip(cards, values))
    try:
        mjd = _start_of(cards, values, scale, utc_offset_hours)
    except (ValueError, erfa.ErfaError) as error:
        raise FrameError("bad_time", f"{shown}: {error}") from error
    if not FIRST_MJD < mjd < LAST_MJD:
        raise FrameError("bad_time", f"{shown}: MJD {mjd:.3f} is outside {FIRST_MJD:.0f} to {LAST_MJD:.0f}")
    return mjd


def _start_of(cards: list[str], values: list[Any], scale: str, offset: float) -> float:
    if len(cards) == 2:
        date = str(values[0]).strip()
        both = DATE_CLOCK.match(date)
        return to_mjd_utc(both[1] if both else date, str(values[1]), scale, offset)
    if isinstance(values[0], int | float) and not isinstance(values[0], bool):
        return _number_time(float(values[0]), cards[0], scale)
    text = str(values[0]).strip()
    both = DATE_CLOCK.match(text)
    if both:
        return to_mjd_utc(both[1], both[2], scale, offset)
    if DATE.match(text):
        raise ValueError("a date without a time of day")
    return _number_time(float(text), cards[0], scale)
