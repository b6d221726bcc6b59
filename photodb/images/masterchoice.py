"""Which masters apply to a frame: those of its camera, size and band that hold at its time, the nearest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .headers import NEEDS, CameraDescription

SAME_EXPOSURE = 0.02
"""Exposures that differ by less count as equal."""
LARGEST_SCALE = 10.0
"""How far a dark is scaled up: its noise and its errors grow alike."""


@dataclass(frozen=True)
class KnownMaster:
    """A master of the archive, without its pixels."""

    master_id: int
    kind: str  # bias, dark, flat
    camera: str
    band: str  # of a flat; empty otherwise
    mjd: float  # d, mean time of its frames
    valid_from: float  # d
    valid_to: float
    exptime: float  # s, of a dark
    nx: int
    ny: int
    n_frames: int
    fit: str  # what the camera's description said of sections and offset
    with_bias: bool  # a dark from which no bias was taken
    data_hash: str


@dataclass(frozen=True)
class Wanted:
    """What a frame asks of masters."""

    camera: str
    band: str
    mjd: float  # d
    exptime: float  # s
    nx: int
    ny: int


@dataclass(frozen=True)
class Choice:
    """The masters of a frame; None where there is none, with the reason where one was wanted."""

    bias: KnownMaster | None = None
    dark: KnownMaster | None = None
    flat: KnownMaster | None = None
    dark_scale: float = 0.0
    missing: tuple[tuple[str, str], ...] = ()  # kind, why

    @property
    def masters(self) -> tuple[KnownMaster, ...]:
        """Those that are there, in the order in which they are applied."""
        return tuple(m for m in (self.bias, self.dark, self.flat) if m is not None)


def fit_of(d: CameraDescription) -> str:
    """Return what must not change between the making of a master and its use: the sections and the offset."""
    offset = f"overscan {d.overscan_section}" if d.overscan_section else f"soft_bias {d.soft_bias:g}"
    return f"data {d.data_section or 'all'}; {offset}"


def choose(known: Sequence[KnownMaster], d: CameraDescription, wanted: Wanted) -> Choice:
    """Choose the masters of a frame among those of the archive.

    A dark from which no bias could be taken holds the bias itself: it serves frames of its own exposure only, alone.
    Other darks are scaled by the exposure; one of the same exposure goes before a nearer one.
    """
    mine = [m for m in known if m.camera == wanted.camera]
    fitting = [m for m in mine if _fits(m, d, wanted)]
    bias = _nearest((m for m in fitting if m.kind == "bias"), wanted)
    darks = [m for m in fitting if m.kind == "dark" and _scales(m, wanted, bias is not None)]
    equal = [m for m in darks if _same(m.exptime, wanted.exptime)]
    dark = _nearest(equal or darks, wanted)
    flat = _nearest((m for m in fitting if m.kind == "flat" and m.band == wanted.band), wanted)
    scale = wanted.exptime / dark.exptime if dark and dark.exptime > 0 else 0.0
    if dark is not None and dark.with_bias:
        bias, scale = None, 1.0
    found = {"bias": bias or (dark if dark and dark.with_bias else None), "dark": dark, "flat": flat}
    missing = tuple(
        (kind, _why(kind, mine, d, wanted))
        for kind in NEEDS
        if found[kind] is None and _wanted(getattr(d, f"needs_{kind}"), kind, mine)
    )
    return Choice(bias, dark, flat, scale, missing)


def refused(choice: Choice, d: CameraDescription) -> str:
    """Return why the camera's description refuses a frame, empty if it takes it."""
    return "; ".join(
        f"{why} (needs_{kind} = \"refuse\"); build one with 'photodb calib build', then 'photodb ingest --retry'"
        for kind, why in choice.missing
        if getattr(d, f"needs_{kind}") == "refuse"
    )


def _fits(m: KnownMaster, d: CameraDescription, wanted: Wanted) -> bool:
    in_time = m.valid_from <= wanted.mjd <= m.valid_to
    return in_time and (m.nx, m.ny) == (wanted.nx, wanted.ny) and m.fit == fit_of(d)


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME_EXPOSURE * max(abs(a), abs(b))


def _scales(m: KnownMaster, wanted: Wanted, has_bias: bool) -> bool:
    if m.with_bias:
        return _same(m.exptime, wanted.exptime)
    if not has_bias and not _same(m.exptime, wanted.exptime):
        return False
    return m.exptime > 0 and wanted.exptime <= LARGEST_SCALE * m.exptime


def _nearest(masters: Iterable[KnownMaster], wanted: Wanted) -> KnownMaster | None:
    """Return the nearest in time; of those of one night the one of most frames, then the newest."""
    return min(
        masters, key=lambda m: (round(abs(m.mjd - wanted.mjd)), -m.n_frames, -m.master_id), default=None
    )


def _wanted(need: str, kind: str, mine: Sequence[KnownMaster]) -> bool:
    """Tell whether a missing master is worth a word: where asked for, or where the camera has some of the kind."""
    return need in ("flag", "refuse") or (need == "auto" and any(m.kind == kind for m in mine))


def _why(kind: str, mine: Sequence[KnownMaster], d: CameraDescription, wanted: Wanted) -> str:
    """Say which masters of the kind there are, and what keeps them from this frame."""
    there = [m for m in mine if m.kind == kind]
    what = f"no {kind} for" + (f" band {wanted.band}" if kind == "flat" else f" {wanted.exptime:g} s")
    what = "no bias" if kind == "bias" else what
    if not there:
        return f"{what}: the archive has none of camera {wanted.camera}"
    bands = sorted({m.band for m in there})
    if kind == "flat" and wanted.band not in bands:
        return f"{what}: this camera's flats are of {', '.join(bands)}"
    there = [m for m in there if kind != "flat" or m.band == wanted.band]
    sizes = sorted({f"{m.nx}x{m.ny}" for m in there})
    if f"{wanted.nx}x{wanted.ny}" not in sizes:
        return f"{what}: the frame is {wanted.nx}x{wanted.ny} pixels, the masters {', '.join(sizes)}"
    if all(m.fit != fit_of(d) for m in there):
        return f"{what}: the masters were made under another description ({there[-1].fit}; now {fit_of(d)})"
    near = min(there, key=lambda m: abs(m.mjd - wanted.mjd))
    if not any(m.valid_from <= wanted.mjd <= m.valid_to for m in there):
        away = abs(near.mjd - wanted.mjd)
        return f"{what}: the nearest, master {near.master_id}, is {away:.0f} days away, {d.master_days:g} allowed"
    exposures = ", ".join(sorted({f"{m.exptime:g} s" for m in there}))
    return f"{what}: there are darks of {exposures}; without a bias a dark serves its own exposure only"
