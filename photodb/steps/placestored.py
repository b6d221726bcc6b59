"""Find the place of one frame that is stored already, from its stored detections, and write it in one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.ephemeris import altitude_of
from photodb.core.flags import Flag
from photodb.core.tangent import TangentWCS
from photodb.images.astrometry import compose
from photodb.storage import frameplaces, frames, sources
from photodb.storage.engine import Connection, Database
from photodb.storage.frameplaces import LINK, Anchor

from .doubts import renewed_doubts
from .framerows import airmass_of, centre_of, match_rows, place_values
from .framestars import FrameStars, Observed, rows_of_stars
from .place import FEW_STARS, FOUND_BLIND, Placer
from .placement import Placement, middle_of
from .unplaced import BY_HEADER, unconfirmed
from .vain import Vain
from .writeframe import associated, cells_of

TRUST = ("catalogue", "frames", "header", "approximate", "none")
SAME_PX = 0.01
"""Two places whose corners agree to this are one place."""
OUTDATED = re.compile(
    r"(; )?(position approximate: [^;]*(; load a catalogue[^;]*)?|WCS of the header: no catalogue[^;]*"
    rf"|{BY_HEADER}|no pointing in the header: [^;]*(; say --center[^;]*)?)"
)
"""Remarks of a frame that a better place makes untrue."""


@dataclass(frozen=True)
class Outcome:
    """What became of one frame."""

    frame_id: int
    path: str
    change: str  # placed, unchanged, failed, gone
    before: str = ""  # kind of astrometry
    after: str = ""
    source: str = ""  # what placed it: the catalogue's name, or a frame
    rms_arcsec: float = float("nan")
    n_stars: int = 0
    moved_arcsec: float = float("nan")  # of the centre
    reason: str = ""  # why it was not placed
    n_forced: int = 0  # forced measurements that went, to be made anew
    n_sources: int = 0  # new sources
    n_left: int = 0  # sources that lost their last detection


@dataclass
class StoredPlacer:
    """Places stored frames; `known` are places found in a trial that writes nothing."""

    placer: Placer
    dry_run: bool = False

    def __post_init__(self) -> None:
        self.known: dict[int, tuple[str, TangentWCS]] = {}
        self._vain, self._tried = Vain(), set[int]()

    def place(self, db: Database, run_id: int, frame_id: int, by_frames: bool) -> Outcome:
        """Find a frame's place and write it, all or nothing; what cannot be placed better keeps what it has.

        Parameters
        ----------
        by_frames : where no catalogue places it, place it by frames of its series or by sources of the archive.
        """
        cells = np.empty(0, np.int64)
        while True:
            with db.begin() as conn:
                if len(cells):
                    frames.lock_cells(conn, cells)
                row = frameplaces.stored_frame(conn, frame_id)
                if row is None:
                    return Outcome(frame_id, "", "gone")
                stars = frameplaces.stored_stars(conn, frame_id)
                frame = _frame_stars(row, stars)
                found = self._find(conn, row, frame, by_frames)
                outcome = _compared(row, frame, found, by_frames)
                if outcome.change != "placed" or found is None:
                    return outcome
                if self.dry_run:
                    assert found.wcs is not None
                    self.known[frame_id] = found.astrometry, found.wcs
                    return outcome
                needed = np.union1d(cells, _cells(row, found, frame))
                if len(needed) == len(cells):
                    return _write(conn, run_id, row, stars, frame, found, outcome)
            cells = needed

    def _find(
        self, conn: Connection, row: Mapping[str, Any], frame: FrameStars, by_frames: bool
    ) -> Placement | None:
        """Return the frame's place by a catalogue, else by other frames where that is asked for; None if neither."""
        anchor = self._anchor(conn, row)
        prior = frame.header_wcs
        if anchor:
            prior = compose(TangentWCS.from_dict(anchor.wcs), anchor.to_anchor, frame.nx, frame.ny)
        sure = anchor is not None and anchor.astrometry == "catalogue"
        ra, dec = self.placer.pointing(frame)
        where = middle_of(prior, frame) if prior else (ra, dec)
        vain = frame.frame_id in self._tried or self._vain.hopeless(frame, *where, self.placer.radius(frame))
        found = self.placer.by_catalogues(conn, frame, frame.xy, prior, sure, ra, dec, sure or not vain)
        if found and not (sure and found.n_stars < FEW_STARS):
            return _remarked(row, found)
        self._missed(frame, where)
        if not by_frames:
            return None
        if not anchor and row["astrometry"] not in ("catalogue", "frames"):
            found = self.placer.blindly(conn, frame)
            if found:
                return _remarked(row, found)
        if anchor and prior:
            rms, source = anchor.rms * prior.scale_arcsec, f"frame {anchor.frame_id}"
            remark = unconfirmed(conn, [anchor.frame_id])
            return Placement(-1, None, None, prior, "frames", rms, anchor.n, None, None, -1, source, remark)
        if row["astrometry"] in ("approximate", "none"):  # sources of sure places are of other frames then
            fit, known = self.placer.by_sources(conn, frame, frame.xy, ra, dec)
            if fit:
                keys = known.key[fit.stars]
                remark = unconfirmed(conn, sources.frames_of(conn, keys))
                of_fit = fit.rms_arcsec, fit.n_used, fit, keys, -1, "sources of the archive"
                return Placement(-1, None, None, fit.wcs, "frames", *of_fit, remark)
        return None

    def _missed(self, frame: FrameStars, where: tuple[float, float]) -> None:
        """Note a frame that no catalogue places: once in a command, for patterns find nothing at a second time."""
        if frame.frame_id not in self._tried:
            self._tried.add(frame.frame_id)
            self._vain.note(frame, *where)

    def _anchor(self, conn: Connection, row: Mapping[str, Any]) -> Anchor | None:
        """Return the frame that tells where this one is; in a trial, the reference frame as it would be."""
        reference = row["reference_frame_id"]
        if reference is None:
            return None
        if reference in self.known and reference != row["frame_id"]:
            kind, wcs = self.known[reference]
            if anchor := frameplaces.anchor_at(conn, row["frame_id"], reference):
                return replace(anchor, wcs=wcs.to_dict(), astrometry=kind)
        return frameplaces.anchor_of(conn, row)


def _frame_stars(row: Mapping[str, Any], stars: NDArray) -> FrameStars:
    """Return what is to be placed of a stored frame: its present place stands for that of the header."""
    rows = rows_of_stars(stars["class"], stars["flags"])
    wcs = TangentWCS.from_dict(row["wcs"]) if row["wcs"] else None
    approximate = row["astrometry"] == "approximate"
    scale = row["pixel_scale"] or row["camera_scale"] or float("nan")
    if wcs and approximate and _by_pointing(wcs):
        # of a pointing only the centre is to be believed, and of a scale of exactly 1 that nobody knew it
        unknown = row["camera_scale"] is None and abs(wcs.scale_arcsec - 1) < 1e-9
        wcs, scale = None, float("nan") if unknown else scale
    ra, dec = (float("nan") if row[name] is None else row[name] for name in ("ra", "dec"))
    xy, xy_err = (
        np.column_stack([stars[n][rows] for n in names]) for names in (("x", "y"), ("x_err", "y_err"))
    )
    return FrameStars(
        row["camera_id"], row["nx"], row["ny"], row["mjd"], row["object"], ra, dec, float(scale), wcs, approximate,
        xy, xy_err, rows, row["frame_id"],
    )  # fmt: skip


def _by_pointing(wcs: TangentWCS) -> bool:
    """Tell whether a place is a mere pointing, north taken as up."""
    return wcs.order == 1 and wcs.xi[2] == 0 and wcs.eta[1] == 0 and wcs.xi[0] == wcs.eta[0] == 0


def _remarked(row: Mapping[str, Any], found: Placement) -> Placement:
    """Keep the remark on the header's WCS only where the place before was that of the header."""
    of_header = row["astrometry"] == "header" or "from the header" in row["reason"]
    blind = FOUND_BLIND if found.remark.endswith(FOUND_BLIND) else ""
    return found if of_header else replace(found, remark=blind)


def _compared(row: Mapping[str, Any], frame: FrameStars, found: Placement | None, by_frames: bool) -> Outcome:
    """Tell what a new place would change; one by frames is good enough where nothing better is found at last."""
    before, path = row["astrometry"], row["path"]
    if found is None and by_frames and before == "frames":
        return Outcome(row["frame_id"], path, "unchanged", before, before)
    if found is None or found.wcs is None:
        return Outcome(row["frame_id"], path, "failed", before, before, reason=_why(row, frame))
    after, n = found.astrometry, found.n_stars
    old = TangentWCS.from_dict(row["wcs"]) if row["wcs"] else None
    moved = _moved(old, found.wcs, frame)
    told = Outcome(
        row["frame_id"], path, "placed", before, after, found.source, found.rms_arcsec, n, float(moved[0])
    )
    if TRUST.index(after) > TRUST.index(before):
        why = f"no catalogue places it now; it keeps its place by {before}"
        return replace(told, change="failed", after=before, reason=why)
    same = before == after and (row["reference_catalogue_id"] or -1) == found.catalogue_id
    if same and moved.max() < SAME_PX * found.wcs.scale_arcsec:
        return replace(told, change="unchanged")
    return told


def _moved(old: TangentWCS | None, new: TangentWCS, frame: FrameStars) -> NDArray[np.float64]:
    """Return by how much the centre and the corners of a frame differ in two places (5,), arcsec."""
    if old is None:
        return np.full(5, np.inf)
    x, y = frame.nx - 1, frame.ny - 1
    at = [x / 2, 0, x, x, 0], [y / 2, 0, 0, y, y]
    return np.asarray(sky.separation_deg(*old.to_sky(*at), *new.to_sky(*at)) * 3600)


def _why(row: Mapping[str, Any], frame: FrameStars) -> str:
    n = len(frame.xy)
    if row["wcs"] is None and not np.isfinite(frame.ra):
        return "where it points is not known, or its stars match nothing there: say --center RA DEC"
    return f"its {n} stars match no catalogue and no frame that one placed; it keeps its place ({row['astrometry']})"


def _cells(row: Mapping[str, Any], found: Placement, frame: FrameStars) -> NDArray[np.int64]:
    """Return the cells of a frame's place, as it was and as it will be."""
    assert found.wcs is not None
    ra, dec, radius = (float("nan") if row[name] is None else row[name] for name in ("ra", "dec", "radius"))
    now = cells_of(*centre_of(found, frame), found.wcs.scale_arcsec)
    return np.union1d(cells_of(ra, dec, radius, row["pixel_scale"] or 0.0), now)


def _write(
    conn: Connection, run_id: int, row: Mapping[str, Any], stars: NDArray, frame: FrameStars, found: Placement,
    outcome: Outcome,
) -> Outcome:  # fmt: skip
    """Write a new place: the frame's columns, its detections' positions and sources, its matches."""
    frame_id, centre = row["frame_id"], centre_of(found, frame)
    frameplaces.keep_former(conn, frame_id, run_id)
    former = frameplaces.registration_matches(conn, frame_id)
    n_forced = frameplaces.unlink(conn, frame_id)
    links, ra, dec = associated(conn, run_id, row["field_id"], _observed(row, stars), found, centre)
    rows = np.zeros(len(stars), LINK)
    rows["detection_id"], rows["cell"], rows["source_id"] = stars["detection_id"], links.cell, links.source_id
    rows["ra"], rows["dec"], rows["flags"] = ra, dec, links.flags
    matches = match_rows(frame, found, frame_id, links)
    if found.fit is None:
        matches = _turned(former, found.wcs, links.cell)
    frameplaces.write_place(conn, frame_id, _values(row, found, centre), rows, matches)
    n_left = frameplaces.settle_left(conn, run_id, frame_id)
    frameplaces.settle_field(conn, frame_id)
    return replace(outcome, n_forced=n_forced, n_sources=links.n_new, n_left=n_left)


def _observed(row: Mapping[str, Any], stars: NDArray) -> Observed:
    """Return the stored detections as association needs them, without what the former place told."""
    flags = (stars["flags"] & ~int(Flag.UNMATCHED)).astype(np.int32)
    fwhm, exptime = (float("nan") if row[name] is None else row[name] for name in ("fwhm", "exptime"))
    return Observed(
        row["mjd"], exptime, fwhm, stars["x"], stars["y"], stars["x_err"], stars["y_err"], stars["flux"],
        stars["flux_err"], flags,
    )  # fmt: skip


def _turned(matches: NDArray, wcs: TangentWCS | None, cell: NDArray) -> NDArray:
    """Return the matches with another frame under a new place: the same pixels, other directions on the sky."""
    rows = matches.copy()
    if wcs is not None and len(rows):
        rows["dra"], rows["ddec"] = wcs.linear @ np.stack([rows["dx"], rows["dy"]]) * 3600
    number = rows["detection_id"] & ((1 << frames.NUMBER_BITS) - 1)
    rows["cell"] = cell[number]
    return rows


def _values(row: Mapping[str, Any], found: Placement, centre: tuple[float, float, float]) -> dict[str, Any]:
    """Return the columns of the frame that change; numbers as the database takes them."""
    values = place_values(found, row["nx"], row["ny"], centre)
    values["doubts"], reason, doubted = renewed_doubts(row, found.astrometry, centre)
    reason = OUTDATED.sub("", reason).removeprefix("; ")
    values["reason"] = "; ".join(filter(None, (reason, found.remark, *doubted)))
    values["airmass"] = _airmass(row, centre)
    return frames.fit_for_columns(values)


def _airmass(row: Mapping[str, Any], centre: tuple[float, float, float]) -> float:
    """Return the airmass that the header told, else that at the centre; NaN where the site is not known."""
    d, told = row["description"], row["header_airmass"]
    site = (float("nan") if d.get(name) is None else d[name] for name in ("latitude", "longitude"))
    return airmass_of(float("nan") if told is None else told, altitude_of(*centre[:2], row["mjd"], *site))
