"""What a star list says of its frame: time, exposure, band, camera, from columns, header words or the file's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.timescales import after
from ..errors import FrameError
from .cards import LONGEST_EXPOSURE, SCALES, Exposure, angle
from .lighttime import LIGHT_SCALES, UNTOLD
from .listmaps import ListMap, Word
from .listtable import ListTable
from .times import FIRST_MJD, LAST_MJD, Rule, read_instant

COMPACT = re.compile(
    r"^(\d{4})[-_]?(\d\d)[-_]?(\d\d)[T _-]?(\d\d)[-:_]?(\d\d)[-:_]?(\d\d(?:\.\d+)?)\s*(Z|[+-]\d\d:?\d\d)?$"
)
ONE_FRAME_DAYS = 0.5 / 86400
"""Times of the rows of one frame that differ by less are one time."""
SEARCHED = "columns, header and file name tell none; say where in a column map (docs/star-lists.md)"


@dataclass(frozen=True)
class Words:
    """The words of one list, found as its map says."""

    table: ListTable
    map: ListMap
    path: Path

    def find(self, name: str) -> Any:
        """Return a word as written; None where nothing tells it.

        Raises
        ------
        FrameError : code `several_frames`, the column that holds it varies.
        """
        for place in self.map.words(name):
            value = self._look(place, name)
            if value is not None:
                return value
        return None

    def _look(self, place: Word, name: str) -> Any:
        if place.column:
            return self._constant(place.column, name)
        if place.header:
            return self.table.word(place.header)
        if place.filename:
            match = re.search(self.map.filename, self.path.name)
            return match.groupdict().get(place.filename) if match else None
        return place.value

    def _constant(self, column: str, name: str) -> Any:
        values = self.table.column(column)
        if values is None:
            return None
        values = values[values != ""] if values.dtype.kind == "U" else values[np.isfinite(values)]
        if not len(values):
            return None
        if name in ("airmass", "aperture", "gain"):
            return float(np.median(values)) if values.dtype.kind != "U" else values[0]
        different = np.unique(values)
        if len(different) == 1 or (name in ("mjd", "time", *LIGHT_SCALES) and self._one_time(different)):
            return different[len(different) // 2].item()
        shown = ", ".join(str(v) for v in different[:3])
        raise FrameError(
            "several_frames",
            f"column {column} varies ({shown}, ... {len(different)} values): a list of one frame needed",
        )

    @staticmethod
    def _one_time(values: Any) -> bool:
        return values.dtype.kind != "U" and float(values[-1] - values[0]) < ONE_FRAME_DAYS

    def text(self, name: str) -> str:
        """Return a word as text; empty where nothing tells it."""
        value = self.find(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return "" if value is None else str(value).strip()

    def number(self, name: str) -> float:
        """Return a word as a number; NaN where nothing tells it, or it is no number."""
        value = self.find(name)
        if value is None or isinstance(value, bool):
            return float("nan")
        try:
            return float(value)
        except ValueError:
            return float("nan")

    def positive(self, name: str) -> float:
        """Return a word as a number above 0, else NaN."""
        value = self.number(name)
        return value if value > 0 else float("nan")


def told_band(words: Words) -> str:
    """Return the band that a user's map tells; empty where it does not, or there is none."""
    told = words.map.frame.get("band", ()) if words.map.name.startswith("map:") else ()
    own = {place for name in ("band", "filter") for place in (Word(column=name), Word(header=name))}
    return band_of(words) if set(told) - own else ""


def exptime_of(words: Words) -> float:
    """Return the exposure, s.

    Raises
    ------
    FrameError : codes `no_exposure`, `bad_exposure`.
    """
    written = words.find("exptime")
    if written is None:
        raise FrameError("no_exposure", f"no exposure: {SEARCHED}")
    seconds = words.number("exptime") * words.map.exposure_unit
    if not 0 < seconds <= LONGEST_EXPOSURE:
        raise FrameError("bad_exposure", f"exposure {written!r}: 0 to {LONGEST_EXPOSURE:g} s needed")
    return seconds


def has_time(words: Words) -> bool:
    """Tell whether the list itself, its map or its name tells a time."""
    names = (
        "mjd",
        "time",
        "date",
        *(() if words.table.header is not None else (*LIGHT_SCALES, "hjd", "bjd")),
    )
    return any(words.find(name) is not None for name in names)


def middle_of(words: Words, exptime: float, ra: float, dec: float) -> float:
    """Return the middle of the exposure, MJD UTC.

    Parameters
    ----------
    ra, dec : deg, where the frame points; for times at the barycentre.

    Raises
    ------
    FrameError : codes `no_time`, `bad_time`.
    """
    written, stamp = _written(words)
    if written is None:
        mjd = words.number("mjd")
        shown = words.find("mjd")
        if shown is None:
            mjd, shown = _from_light(words, ra, dec)
    else:
        mjd, shown = _from_text(words, written, exptime, ra, dec), stamp
    if not FIRST_MJD < mjd < LAST_MJD:
        raise FrameError(
            "bad_time", f"time {shown!r}: MJD {mjd:.3f} is outside {FIRST_MJD:.0f} to {LAST_MJD:.0f}"
        )
    return mjd


def _written(words: Words) -> tuple[Any, str]:
    """Return the time as text or number, from `time`, or `date` and `clock`; None where only `mjd` tells."""
    time, date, clock = (words.find(n) for n in ("time", "date", "clock"))
    if date is not None and clock is not None:
        joined = f"{_digits(date)}T{_digits(clock)}"
        return joined, joined
    partial = isinstance(time, str) and not COMPACT.match(time.strip()) and not _is_number(time)
    if time is None or (partial and words.find("mjd") is not None):
        return None, ""
    return time, str(time)


def _digits(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\s*\d+(\.\d*)?\s*", text)) and not COMPACT.match(text.strip())


def _from_text(words: Words, written: Any, exptime: float, ra: float, dec: float) -> float:
    scale = words.map.time_scale
    value = written
    if isinstance(written, str) and not _is_number(written):
        found = COMPACT.match(written.strip())
        if not found:
            raise FrameError(
                "bad_time", f"time {written!r} is not 2024-01-31T22:10:05, 20240131T221005, JD or MJD"
            )
        value = f"{found[1]}-{found[2]}-{found[3]}T{found[4]}:{found[5]}:{found[6]}{found[7] or ''}"
    else:
        value = float(written) + words.map.time_zero
    mjd = read_instant(["time"], {"time": value}, Rule(scale, words.map.utc_offset, ra=ra, dec=dec))
    return after(mjd, {"start": 0.5, "middle": 0.0, "end": -0.5}[words.map.time_refers] * exptime)


def _from_light(words: Words, ra: float, dec: float) -> tuple[float, Any]:
    """Return the middle told at the barycentre or the sun, by a word that names its scale, and the word's value."""
    for scale in LIGHT_SCALES:
        value = words.find(scale)
        if value is not None:
            return read_instant([scale], {scale: words.number(scale)}, Rule(scale, ra=ra, dec=dec)), value
    untold = next((word for word in ("hjd", "bjd") if words.find(word) is not None), None)
    if untold:
        raise FrameError(
            "bad_time", f"{untold} alone: {UNTOLD}; name the column {untold}_utc or {untold}_tdb, or say time = "
            f'{{ column = "{untold}" }} and scale in a column map (docs/star-lists.md)',
        )  # fmt: skip
    raise FrameError("no_time", f"no time: {SEARCHED}")


def band_of(words: Words) -> str:
    """Return the band.

    Raises
    ------
    FrameError : code `no_filter`.
    """
    text = words.text("band")
    if not text:
        raise FrameError("no_filter", f"no band: {SEARCHED}")
    return next((band for written, band in words.map.bands.items() if written.lower() == text.lower()), text)


def pointing_of(words: Words) -> tuple[float, float]:
    """Return where the frame points (deg), as the words ra_center and dec_center tell; NaN where they do not."""
    values = {name: words.find(name) for name in ("ra_center", "dec_center")}
    ra = angle(values, "ra_center", "auto", hours=True) % 360.0
    dec = angle(values, "dec_center", "auto", hours=False)
    return (ra, dec) if np.isfinite([ra, dec]).all() and abs(dec) <= 90 else (float("nan"), float("nan"))


def exposure_of(words: Words, ra: float, dec: float) -> Exposure:
    """Return the exposure of a list that tells it by itself; `ra`, `dec` (deg) is the middle of its stars, or NaN.

    Raises
    ------
    FrameError : codes `no_time`, `bad_time`, `no_exposure`, `bad_exposure`, `no_filter`, `several_frames`.
    """
    told = pointing_of(words)
    ra, dec = told if np.isfinite(told[0]) else (ra, dec)
    exptime = exptime_of(words)
    middle = middle_of(words, exptime, ra, dec)
    scale = words.positive("pixel_scale")
    return Exposure(
        kind="science",
        mjd_start=middle - exptime / 2 / 86400,
        exptime=exptime,
        band=band_of(words),
        object=words.text("object"),
        ra=ra,
        dec=dec,
        pixel_scale=scale if SCALES[0] <= scale <= SCALES[1] else float("nan"),
        gain=words.positive("gain"),
        read_noise=float("nan"),
        saturation=float("nan"),
        soft_bias=0.0,
        airmass=words.positive("airmass"),
    )
