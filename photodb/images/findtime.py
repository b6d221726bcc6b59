"""Find the time of an exposure in a header that nobody has described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import FrameError
from .cards import first_card, number
from .colour import is_cube
from .headers import CameraDescription
from .instants import interval_of
from .lighttime import UNTOLD
from .times import read_start

CLOCKS = (
    "UTSTART",
    "UTC-OBS",
    "UT-OBS",
    "TIME-OBS",
    "UTCSTART",
    "UT",
    "TIME-BEG",
    "UTC",
    "TAIHMS",
    "EXPSTART",
)
TIME_SYSTEMS = {
    "utc": "utc", "ut": "utc", "ut1": "ut1", "tai": "tai", "iat": "tai", "gps": "gps", "tt": "tt", "tdt": "tt",
    "et": "tt", "tdb": "tdb",
}  # fmt: skip
LIGHT_CARDS = {
    "BJD_TDB": "bjd_tdb",
    "BJD-TDB": "bjd_tdb",
    "BJDTDB": "bjd_tdb",
    "HJD_UTC": "hjd_utc",
    "HJD-UTC": "hjd_utc",
}
UNTOLD_CARDS = ("HJD", "BJD", "HJD-OBS", "BJD-OBS")
MIDDLES, ENDS = ("DATE-AVG", "DATE-MID", "MJD-AVG", "MJD-MID"), ("DATE-END", "MJD-END")
COUNTS = ("STACKCNT", "NCOMBINE", "SNAPSHOT")


def find_time(header: Mapping[str, Any]) -> tuple[tuple[str, ...], str, str]:
    """Return the cards of the exposure's time, their scale, and what they refer to: start, middle or end.

    Raises
    ------
    FrameError : no readable time.
    """
    system = str(header.get("TIMESYS", "") or "utc").strip().lower()
    if system not in TIME_SYSTEMS:
        raise FrameError(
            "bad_time", f"TIMESYS = {system.upper()}: one of {', '.join(TIME_SYSTEMS)} understood"
        )
    scale = TIME_SYSTEMS[system]
    light = [(card, LIGHT_CARDS[card]) for card in LIGHT_CARDS if number(header, card) > 0]
    candidates: list[tuple[str, ...]] = [("DATE-OBS",), ("DATE-BEG",)]
    candidates += [(day, clock) for day in ("DATE-OBS", "DATE_OBS") for clock in CLOCKS]
    candidates += [(clock,) for clock in CLOCKS] + [("JD",), ("JD-OBS",), ("MJD-OBS",)]
    starts = len(candidates)
    candidates += [(card,) for card in MIDDLES + ENDS]
    failure: FrameError | None = None
    for k, cards in enumerate(candidates):
        try:
            read_start(list(cards), header, scale)
        except FrameError as error:
            if error.code == "bad_time" or failure is None:
                failure = error
            continue
        return cards, scale, "start" if k < starts else "end" if cards[0] in ENDS else "middle"
    if light:
        return (light[0][0],), light[0][1], "middle"
    untold = first_card(header, UNTOLD_CARDS)
    if untold and (failure is None or failure.code == "no_time"):
        raise FrameError("bad_time", f"{untold} alone: {UNTOLD}; say time_scale in a description")
    raise failure or FrameError("no_time", "no time card found")


def with_middle(d: CameraDescription, header: Mapping[str, Any], refers: str) -> CameraDescription:
    """Say what the time refers to; of a stack whose end is told, the middle lies between start and end."""
    d = replace(d, header=replace(d.header, time_refers=refers))
    count = max((number(header, card) for card in COUNTS if number(header, card) > 1), default=0.0)
    if not (count or is_cube(header)) or refers != "start" or d.header.time_scale in LIGHT_CARDS.values():
        return d
    ended = replace(d, header=replace(d.header, time_end=(first_card(header, ENDS),)))
    try:
        exptime = number(header, d.header.exposure)
        interval_of(header, ended, exptime, np.nan, np.nan, np.nan)
    except FrameError:
        said = f"{d.header.exposure} taken for all of them, without gaps between"
        return replace(d, assumed={**d.assumed, "stack": f"{count:g} exposures: {said}"}) if count else d
    return ended
