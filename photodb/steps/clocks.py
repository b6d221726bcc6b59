"""Say of each camera and night whether its clock can be right: one message for all its frames."""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from photodb.core import clock
from photodb.core.doubts import CLOCK, Doubt, words_of
from photodb.core.timescales import ordinal_of
from photodb.images.headers import CameraDescription
from photodb.storage import doubts, instruments
from photodb.storage.engine import Database

from .doubts import offset_of

DOUBTED_SHARE = 0.5
"""A clock is doubted where more than this share of a night's frames is impossible."""
NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class ClockFinding:
    """What looks wrong with a camera's clock."""

    camera: str
    nights: tuple[int, ...]  # d, MJD
    n_frames: int
    text: str

    def __str__(self) -> str:
        when = ", ".join(str(datetime.date.fromordinal(ordinal_of(night))) for night in self.nights[:3])
        more = f" and {len(self.nights) - 3} more" if len(self.nights) > 3 else ""
        nights = "night of" if len(self.nights) == 1 else "nights of"
        return f"camera {self.camera}, {nights} {when}{more} ({self.n_frames} frames): {self.text}"


@dataclass(frozen=True)
class _Night:
    night: int
    frames: NDArray
    fits: tuple[clock.Fit, ...]


def check_clocks(db: Database, run_id: int | None = None) -> list[ClockFinding]:
    """Look at the nights to which a run added frames, or at all nights with a frame whose clock is doubted."""
    with db.begin() as conn:
        cameras = instruments.list_cameras(conn)
        frames = doubts.frames_of_nights(conn, run_id)
    told = {c.name: CameraDescription.from_dict(c.description, c.name) for c in cameras}
    suspects: dict[str, list[_Night]] = defaultdict(list)
    found: list[ClockFinding] = []
    for camera, night, mine in _by_night(frames):
        found += [ClockFinding(camera, (night,), len(mine), t) for t in jumps_of(mine["path"], mine["mjd"])]
        if (mine["doubts"] & int(CLOCK) != 0).mean() > DOUBTED_SHARE:
            suspects[camera].append(_Night(night, mine, tuple(_fits(mine, told[camera]))))
    for camera, nights in suspects.items():
        found += _findings(told[camera], nights)
    return sorted(found, key=lambda f: (f.camera, f.nights))


def _by_night(frames: NDArray) -> Iterator[tuple[str, int, NDArray]]:
    """Yield camera, night and frames; they come sorted so."""
    if not len(frames):
        return
    new = (frames["camera"][1:] != frames["camera"][:-1]) | (frames["night"][1:] != frames["night"][:-1])
    for part in np.split(frames, np.flatnonzero(new) + 1):
        yield str(part["camera"][0]), int(part["night"][0]), part


def _fits(frames: NDArray, d: CameraDescription) -> list[clock.Fit]:
    placed = frames[np.isfinite(frames["ra"])]
    told = np.array([clock.told_airmass(v) for v in placed["header_airmass"]])
    if len(told) > 2 and np.ptp(told) == 0:
        told[:] = np.nan  # one and the same all night: nobody measured it
    seen = clock.Sightings(placed["mjd"], placed["ra"], placed["dec"], told)
    if d.latitude is None or d.longitude is None:
        return []
    return clock.fits(seen, d.latitude, d.longitude)


def _findings(d: CameraDescription, mine: list[_Night]) -> Iterator[ClockFinding]:
    """Join the nights that one error explains; those that none does stand alone."""
    common = [f for f in mine[0].fits if all(any(_same(f, g) for g in n.fits) for n in mine[1:])]
    for group, fits in [(mine, common)] if common else [([n], list(n.fits)) for n in mine]:
        doubted = sum(int((n.frames["doubts"] & int(CLOCK) != 0).sum()) for n in group)
        text = clock.advice(fits, d.longitude or 0.0, offset_of(d))
        yield ClockFinding(
            d.name, tuple(n.night for n in group), doubted,
            f"sun, target or airmass cannot be so: {text}. To correct it: photodb telescope show {d.name} > "
            "camera.toml; edit it; photodb telescope add camera.toml; undo the ingest and repeat it (docs/time.md)",
        )  # fmt: skip


def _same(a: clock.Fit, b: clock.Fit) -> bool:
    return (a.offset, a.mirrored) == (b.offset, b.mirrored)


def jumps_of(paths: NDArray, mjd: NDArray) -> Iterator[str]:
    """Say where a clock jumped back, told by the running numbers of the files of one folder and name."""
    series: dict[tuple[str, ...], list[tuple[int, float, str]]] = defaultdict(list)
    for path, time in dict(zip(paths, mjd)).items():  # the channels of a file are one
        name = PurePath(str(path))
        numbers = list(NUMBERS.finditer(name.name.split(".fit")[0]))
        if numbers and len(numbers[-1][0]) <= 5:  # longer ones are dates and times
            last = numbers[-1]
            key = (str(name.parent), name.name[: last.start()], name.name[last.end() :])
            series[key].append((int(last[0]), float(time), name.name))
    for rows in series.values():
        rows.sort()
        number, times = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
        k = clock.jump_back(number, times)
        if k >= 0:
            back = (times[k] - times[k + 1]) * 86400
            yield (
                f"the clock jumped back by {back:.0f} s or more between {rows[k][2]} and {rows[k + 1][2]}, told by the "
                "numbers of the files: times before or after are wrong"
            )


def doubted_frames(db: Database) -> str:
    """Say how many accepted frames are doubted, and why; empty for none."""
    with db.begin() as conn:
        counts = doubts.counts(conn)
    if not counts:
        return ""
    each = [
        f"{sum(n for bits, (n, _) in counts.items() if bits & bit)} {words_of(bit)}"
        for bit in Doubt
        if any(bits & bit for bits in counts)
    ]
    total = sum(n for n, _ in counts.values())
    return f"frames whose time or pointing is doubted: {total} ({', '.join(each)}); see 'photodb frame list --doubtful'"
