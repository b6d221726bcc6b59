"""Register a frame with its field: with the reference frame, by way of another frame of the field, or by the sky.

Shifts count from the field's reference frame whatever stars gave them: the maps are composed. So neither a drift that
leaves the reference frame's field nor a bad first frame stops a series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photodb.core.match import IDENTITY, Affine, Curve, Registration, fit_affine
from photodb.core.tangent import TangentWCS
from photodb.images.register import finish, register_far, register_near
from photodb.storage import frames, registrations
from photodb.storage.engine import Connection
from photodb.storage.frames import ReferenceFrame
from photodb.storage.registrations import Registered

from .framestars import FrameStars

MAX_ERROR_PX = 0.3
"""A map that its stars leave less sure than this in a corner gives way to a surer one by way of another frame."""
LEAST_OVERLAP = 0.15
"""Share of the reference frame that must be on a frame, by the map of the frame before, for a search of patterns."""
OTHERS = 4
"""Other frames of a field to try."""
NEWEST = 500
"""Frames of a field among which those to try are chosen."""
FIELDS = 3
"""Fields whose other frames are tried."""
MOST_FRAMES = 200
"""Frames kept at hand with their stars."""
TRUST = ("catalogue", "frames", "header", "approximate", "none")


@dataclass(frozen=True)
class Alignment:
    """A frame registered with a field."""

    reference: ReferenceFrame  # of the field
    by: ReferenceFrame  # whose stars were matched: the reference frame, or another one
    link: Registration  # from the pixels of `by`
    registration: Registration  # from the reference frame's pixels; its rows are those of `by`
    error: float  # px, of the map in the worst corner

    @property
    def anchor(self) -> tuple[ReferenceFrame, Affine | Curve]:
        """The frame whose place on the sky is the surer one, of those two, and the map to its pixels."""
        if TRUST.index(self.reference.astrometry) < TRUST.index(self.by.astrometry):
            return self.reference, self.registration.inverse
        return self.by, self.link.inverse


@dataclass
class Aligner:
    """Registers the frames of one ingest; keeps frames with their stars, and the last maps, at hand."""

    _frames: dict[int, ReferenceFrame] = field(default_factory=dict)
    _hints: dict[tuple[int, int], Affine] = field(default_factory=dict)

    def reference(self, conn: Connection, field_id: int, camera_id: int) -> ReferenceFrame | None:
        """Return the reference frame of a field for a camera, None where it has none.

        Where it was rejected since, the best of the frames registered with it takes its place.
        """
        frame_id = frames.reference_frame_id(conn, field_id, camera_id)
        frame_id = registrations.elect(conn, field_id, camera_id) if frame_id is None else frame_id
        return None if frame_id is None else self._frame(conn, field_id, frame_id)

    def align(
        self, conn: Connection, fields: Sequence[int], frame: FrameStars
    ) -> tuple[ReferenceFrame | None, Alignment | None]:
        """Match a frame with fields, the likeliest first.

        Returns the reference frame of the first field (None if no field has one), and the alignment (None without).
        """
        references = [r for r in (self.reference(conn, f, frame.camera_id) for f in fields) if r]
        if not references:
            return None, None
        found = self._likely(references, frame)
        if found is None or found.error > MAX_ERROR_PX:
            for other in self._others(conn, references, frame):
                found = other if found is None or other.error < found.error else found
                if found.error <= MAX_ERROR_PX:
                    break
        if found:
            self._hints[found.reference.field_id, frame.camera_id] = found.registration.transform
        return (found.reference if found else references[0]), found

    def _frame(self, conn: Connection, field_id: int, frame_id: int) -> ReferenceFrame:
        if frame_id not in self._frames:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.pop(next(iter(self._frames)))
            self._frames[frame_id] = frames.frame_with_stars(conn, field_id, frame_id)
        return self._frames[frame_id]

    def _likely(self, references: list[ReferenceFrame], frame: FrameStars) -> Alignment | None:
        """Match with the reference frames by the map of the frame before, and by shift."""
        for reference in references:
            hint = self._hints.get((reference.field_id, frame.camera_id))
            found = register_near(reference.xy, frame.xy, hint)
            if found:
                return _direct(reference, found, frame)
        return None

    def _others(
        self, conn: Connection, references: list[ReferenceFrame], frame: FrameStars
    ) -> Iterator[Alignment]:
        """Give all other matches, the likeliest first: patterns on the reference frames, shifts on other frames, both.

        The patterns of a reference frame come late where the newest frame has drifted off it.
        """
        others = {r.frame_id: self._followers(conn, r, frame) for r in references[:FIELDS]}
        left = [r for r in references if _left_behind(r, others.get(r.frame_id, []), frame)]
        yield from _far([r for r in references if r not in left], frame)
        yield from self._by_way(conn, references[:FIELDS], others, frame, register_near)
        yield from _far(left, frame)
        yield from self._by_way(conn, references[:FIELDS], others, frame, register_far)

    def _by_way(
        self, conn: Connection, references: list[ReferenceFrame], others: dict[int, list[Registered]],
        frame: FrameStars, search: Callable[[NDArray, NDArray], Registration | None],
    ) -> Iterator[Alignment]:  # fmt: skip
        for reference in references:
            for other in others[reference.frame_id]:
                by = self._frame(conn, reference.field_id, other.frame_id)
                found = search(by.xy, frame.xy)
                if found:
                    yield _composed(reference, by, other, found, frame)

    def _followers(self, conn: Connection, reference: ReferenceFrame, frame: FrameStars) -> list[Registered]:
        known = registrations.registered_with(conn, reference.frame_id, but=frame.frame_id, newest=NEWEST)
        return choose_others([k for k in known if k.frame_id != reference.frame_id], frame.mjd)


def _far(references: list[ReferenceFrame], frame: FrameStars) -> Iterator[Alignment]:
    for reference in references:
        found = register_far(reference.xy, frame.xy)
        if found:
            yield _direct(reference, found, frame)


def _left_behind(reference: ReferenceFrame, others: list[Registered], frame: FrameStars) -> bool:
    """Tell whether the newest of the other frames has too little of the reference frame on it."""
    return bool(others) and _overlap(others[0].transform, reference, frame) < LEAST_OVERLAP


def _finished(by: ReferenceFrame, found: Registration, frame: FrameStars) -> Registration:
    error = np.full(len(frame.xy), np.nan) if frame.place_err is None else frame.place_err
    return finish(found, by.xy, frame.xy, by.place_err, error)


def _direct(reference: ReferenceFrame, found: Registration, frame: FrameStars) -> Alignment:
    found = _finished(reference, found, frame)
    return Alignment(reference, reference, found, found, _error(found, reference, frame))


def choose_others(known: Sequence[Registered], mjd: float, n: int = OTHERS) -> list[Registered]:
    """Choose frames to match with: the last one (`known` is newest first), the nearest in time, then a wide spread.

    Each of the spread lies farthest from those chosen and from the reference frame, by where corners fall.
    """
    if not known:
        return []
    chosen = list(dict.fromkeys([0, int(np.argmin([abs(k.mjd - mjd) for k in known]))]))
    marks = np.array([_marks(k.transform, k.size) for k in known])
    here = _marks(IDENTITY, known[0].size)
    distance = np.abs(marks - here).max(axis=1)
    for k in chosen:
        distance = np.minimum(distance, np.abs(marks - marks[k]).max(axis=1))
    while len(chosen) < min(n, len(known)) and distance.max() > 1.0:
        k = int(np.argmax(distance))
        chosen.append(k)
        distance = np.minimum(distance, np.abs(marks - marks[k]).max(axis=1))
    return [known[k] for k in chosen]


def _marks(transform: Affine, size: tuple[int, int]) -> NDArray[np.float64]:
    return transform(np.array([[0.0, 0.0], [size[0], 0.0], [0.0, size[1]]])).ravel()


def by_sky(reference: ReferenceFrame, wcs: TangentWCS, rms_px: float) -> Registration | None:
    """Return the map from a placed reference frame's pixels to a placed frame's, which no stars of both gave."""
    assert reference.wcs is not None
    grid = np.meshgrid(np.linspace(0, reference.nx - 1, 7), np.linspace(0, reference.ny - 1, 7))
    pixels = np.column_stack([g.ravel() for g in grid])
    ra, dec = TangentWCS.from_dict(reference.wcs).to_sky(pixels[:, 0], pixels[:, 1])
    there = np.column_stack(wcs.to_pixel(ra, dec))
    seen = np.isfinite(there).all(axis=1)
    if seen.sum() < 6:
        return None
    nothing = np.empty(0, np.intp)
    return Registration(fit_affine(pixels[seen], there[seen]), nothing, nothing, np.empty(0, bool), rms_px)


def _overlap(transform: Affine, reference: ReferenceFrame, frame: FrameStars) -> float:
    """Return which share of the reference frame is on a frame."""
    grid = np.meshgrid(np.linspace(0, reference.nx - 1, 12), np.linspace(0, reference.ny - 1, 12))
    there = transform(np.column_stack([g.ravel() for g in grid]))
    return float(((there > 0) & (there < [frame.nx, frame.ny])).all(axis=1).mean())


def _corners(frame: FrameStars) -> NDArray[np.float64]:
    x, y = frame.nx - 1.0, frame.ny - 1.0
    return np.array([[0.0, 0.0], [x, 0.0], [0.0, y], [x, y]])


def _error(found: Registration, by: ReferenceFrame, frame: FrameStars) -> float:
    """Return the error of a map (px) in the worst corner of a frame."""
    return found.error(by.xy, found.inverse(_corners(frame)))


def _composed(
    reference: ReferenceFrame, by: ReferenceFrame, other: Registered, link: Registration, frame: FrameStars
) -> Alignment:
    """Return the alignment by way of another frame; the squares of the residuals add up, and so do the errors."""
    link = _finished(by, link, frame)
    scale = abs(link.transform.scale)
    rms = float(np.hypot(link.rms, other.rms * scale))
    through = Registration(link.transform.after(other.transform), link.first, link.second, link.used, rms)
    error = float(np.hypot(_error(link, by, frame), scale * other.rms * np.sqrt(3.0 / max(other.n, 4))))
    return Alignment(reference, by, link, through, error)
