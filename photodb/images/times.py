"""Read an instant from header cards, strictly, by the camera's rule.

A date without a time is never midnight: it is an error. ERFA (through astropy's pyerfa) does the calendar and the
leap seconds.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any

import erfa
import numpy as np

from ..core.timescales import DAY, MJD_ZERO, ORDINAL_OF_MJD_ZERO, leap_of, to_utc
from ..errors import FrameError
from .earthrotation import leap_seconds_until, rotation_at
from .lighttime import LIGHT_SCALES, UNTOLD, at_observatory

DATE = re.compile(r"^(\d{4})-(\d{1,2})-(\d{1,2})$")
CLOCK = re.compile(r"^(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)\s*(Z|[+-]\d{2}:?\d{2})?$")
DATE_CLOCK = re.compile(r"^(\d{4}-\d{1,2}-\d{1,2})[T ](.+)$")
LIGHT_CARD = re.compile(r"^(?:HJD|BJD)")
FIRST_MJD, LAST_MJD = 5000.0, 88069.0
"""1872 and 2100: outside, a time is an error."""
GPS_MINUS_TAI = -19.0
SCALES = ("utc", "ut1", "tai", "gps", "tt", "tdb", "local", *LIGHT_SCALES)


@dataclass(frozen=True)
class Rule:
    """How to read a camera's time cards."""

    scale: str = "utc"
    utc_offset: float = 0.0  # h, local minus UTC, for scale local where the clock names none
    date_refers: str = "clock"  # of a date in a card of its own: clock, local, night
    date_offset: float = 0.0  # h, local minus UTC, for such a date
    ra: float = np.nan  # deg, for times at the barycentre or the sun
    dec: float = np.nan  # deg
    site: tuple[float, float, float] = (np.nan, np.nan, 0.0)  # deg, deg, m


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


def parse_date(text: str) -> int:
    """Return the MJD of an ISO date.

    Raises
    ------
    ValueError : not an ISO date, or not a day of the calendar.
    """
    found = DATE.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not yyyy-mm-dd")
    year, month, day = (int(g) for g in found.groups())
    if not 1800 <= year <= 2200:
        raise ValueError(f"{text!r}: a year of 1800 to 2200 needed")
    return datetime.date(year, month, day).toordinal() - ORDINAL_OF_MJD_ZERO


def to_mjd_utc(date: str, clock: str, scale: str, utc_offset_hours: float) -> float:
    """Return the MJD UTC of a date and a time of day.

    Parameters
    ----------
    date, clock : ISO text; an offset written with the clock wins over `utc_offset_hours`.
    scale : utc, ut1, tai, gps, tt, tdb or local.
    utc_offset_hours : local minus UTC, used for scale local where the clock names none.

    Raises
    ------
    ValueError : no date, no time of day, a 60th second where no leap second was, or a zone in another scale than UTC.
    """
    day = parse_date(date)
    hour, minute, second, offset = parse_clock(clock)
    of_day = hour * 3600 + minute * 60 + second
    if scale in ("utc", "local"):
        if offset is None:
            offset = utc_offset_hours if scale == "local" else 0.0
        return _civil(day, of_day - offset * 3600, second >= 60)
    if offset is not None:
        raise ValueError(f"{clock!r} names a zone, so it is UTC and not {scale.upper()}; time_scale is wrong")
    if second >= 60:
        raise ValueError(f"{clock!r}: {scale.upper()} has no leap seconds")
    return _to_utc(float(day), of_day / DAY, scale)


def _civil(day: int, seconds: float, in_leap_second: bool = False) -> float:
    """Return the MJD UTC of seconds on a day; of a 60th second its minute's 59th is given, plus one."""
    plain = seconds - in_leap_second
    day += int(np.floor(plain / DAY))
    plain -= DAY * np.floor(plain / DAY)
    length = DAY + (1.0 if leap_of(day) == 1.0 else 0.0)
    if in_leap_second and not (length > DAY and plain >= DAY - 1):
        raise ValueError("second 60, and there was no leap second")
    return float(day + (plain + in_leap_second) / length)


def _to_utc(day: float, fraction: float, scale: str) -> float:
    """Return the MJD UTC of an MJD in two parts, in a scale that runs evenly."""
    if scale == "ut1":
        return _civil(int(day), fraction * DAY - rotation_at(day + fraction).ut1_utc)
    if scale == "gps":
        scale, fraction = "tai", fraction - GPS_MINUS_TAI / DAY
    return to_utc(MJD_ZERO + day, fraction, scale)


def _number_time(value: float, card: str, rule: Rule) -> float:
    if LIGHT_CARD.match(card.upper()) and rule.scale not in LIGHT_SCALES:
        raise ValueError(f"{UNTOLD}: time_scale one of {', '.join(LIGHT_SCALES)}")
    if "TAI" in card.upper() and value > 1e9:  # seconds since MJD 0, as SDSS writes TAI
        return to_utc(MJD_ZERO, value / DAY, "tai")
    mjd = value - MJD_ZERO if value > 2e6 else value
    if not FIRST_MJD < mjd < LAST_MJD:
        return mjd
    if rule.scale in LIGHT_SCALES:
        return at_observatory(mjd, rule.scale, rule.ra, rule.dec, rule.site)
    if rule.scale == "local":
        return _civil(int(mjd), mjd % 1.0 * DAY - rule.utc_offset * 3600)
    return mjd if rule.scale == "utc" else _to_utc(np.floor(mjd), mjd % 1.0, rule.scale)


def read_instant(cards: list[str], header: Any, rule: Rule) -> float:
    """Return the MJD UTC that the header's time cards hold.

    Parameters
    ----------
    cards : one card (date and time, or JD or MJD), or two (date; time of day).
    header : mapping of cards.

    Raises
    ------
    FrameError : code `no_time` (card missing) or `bad_time`; the card and its value are named.
    """
    leap_seconds_until()
    missing = [c for c in cards if str(header.get(c, "")).strip() == ""]
    if missing:
        raise FrameError("no_time", f"card {' and '.join(missing)} missing: no start of the exposure")
    values = [header[c] for c in cards]
    shown = ", ".join(f"{c} = {v!r}" for c, v in zip(cards, values))
    try:
        mjd = _instant_of(cards, values, rule)
    except (ValueError, erfa.ErfaError) as error:
        raise FrameError("bad_time", f"{shown}: {error}") from error
    if not FIRST_MJD < mjd < LAST_MJD:
        raise FrameError("bad_time", f"{shown}: MJD {mjd:.3f} is outside {FIRST_MJD:.0f} to {LAST_MJD:.0f}")
    return mjd


def read_start(cards: list[str], header: Any, scale: str = "utc", utc_offset_hours: float = 0.0) -> float:
    """Return `read_instant` of cards that need no more than a scale and an offset."""
    return read_instant(cards, header, Rule(scale, utc_offset_hours))


def _instant_of(cards: list[str], values: list[Any], rule: Rule) -> float:
    if len(cards) == 2:
        return _two_cards(str(values[0]).strip(), str(values[1]), rule)
    if isinstance(values[0], int | float) and not isinstance(values[0], bool):
        return _number_time(float(values[0]), cards[0], rule)
    text = str(values[0]).strip()
    both = DATE_CLOCK.match(text)
    if both and rule.scale in LIGHT_SCALES:
        hour, minute, second, _ = parse_clock(both[2])
        value = parse_date(both[1]) + (hour * 3600 + minute * 60 + second) / DAY
        return at_observatory(value, rule.scale, rule.ra, rule.dec, rule.site)
    if both:
        return to_mjd_utc(both[1], both[2], rule.scale, rule.utc_offset)
    if DATE.match(text):
        raise ValueError("a date without a time of day")
    return _number_time(float(text), cards[0], rule)


def _two_cards(date: str, clock: str, rule: Rule) -> float:
    """Return the instant of a time of day on the day that the date's card means.

    A date with a time of day of its own tells the instant roughly: the day is the one that brings the clock nearest. A
    date alone is that of the clock, or the local one at that instant, or the local one on which the night began.
    """
    if rule.scale in LIGHT_SCALES:
        raise ValueError(f"{rule.scale} needs one card")
    both = DATE_CLOCK.match(date)
    found = to_mjd_utc(both[1] if both else date, clock, rule.scale, rule.utc_offset)
    if both:
        zoned = parse_clock(both[2])[3] is not None
        roughly = to_mjd_utc(both[1], both[2], "utc" if zoned else rule.scale, rule.utc_offset)
        return float(found + np.round(roughly - found))
    if rule.date_refers == "clock":
        return found
    noon = 0.5 if rule.date_refers == "night" else 0.0
    return float(found + parse_date(date) - np.floor(found + rule.date_offset / 24 - noon))
