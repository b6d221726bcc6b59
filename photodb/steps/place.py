"""Give a measured frame its place: registration to its field's reference frame, then the sky.

The order of trust: a loaded catalogue by priority, the built-in bright list, frames of the same field already placed,
the header's own WCS (checked, never believed), and at last the pointing, marked approximate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from photodb.core.tangent import TangentWCS
from photodb.errors import FrameError
from photodb.images.astrometry import SkyFit, SkyStars, compose, fit_blind, fit_near
from photodb.images.solvefield import PROGRAM, SolveField
from photodb.storage import frames, sources
from photodb.storage.engine import Connection
from photodb.storage.frames import ReferenceFrame

from .align import Aligner, Alignment, by_sky
from .catalogues import Catalogues
from .framestars import FrameStars
from .headercheck import FAR_DEG, contradicts, fit_elsewhere
from .placement import Placement, beside, middle_of, named, placed
from .unplaced import by_other_cameras, by_pointing, may_found, unconfirmed
from .vain import Vain, hopeless, not_found_before

REGISTERED_SEARCH_PX = 6.0
HEADER_SEARCH_PX = 10.0
HEADER_SHIFT_ARCSEC = 90.0
SAME_FIELD = 0.5
"""Frames whose centres are within this share of a frame's radius belong to one field."""
FEW_STARS = 12
"""Below this many catalogue stars a frame that is registered keeps the reference frame's place instead."""
MIN_SOURCES = 10
WIDEST_DEG = 20.0
SOLVED = ("catalogue", "frames", "header")
AWAY = 1.2
"""In radii of a frame: how far apart two pointings are that have few stars in common."""
UNLIKE = "its stars are not those of an earlier frame of the same pointing, which no other frame matches"
FOUND_BLIND = f"found by {PROGRAM}"
BY_SKY = "shift by the sky: its stars match none of the frames of its field"


@dataclass
class Placer:
    """Places the frames of one ingest; keeps reference frames and catalogue stars at hand."""

    center: tuple[float, float] | None = None  # deg, where headers do not tell
    scale: float | None = None  # arcsec/px, where neither header nor camera tells
    _aligner: Aligner = field(default_factory=Aligner)
    catalogues: Catalogues = field(default_factory=Catalogues)
    blind: SolveField | None = None  # asked for frames that no catalogue places
    _unsolved: Vain = field(default_factory=Vain)

    def pointing(self, frame: FrameStars) -> tuple[float, float]:
        """Return where the frame should be (deg): its header's WCS, its pointing, or what the caller said."""
        if frame.header_wcs is not None:
            return middle_of(frame.header_wcs, frame)
        if np.isfinite([frame.ra, frame.dec]).all():
            return frame.ra, frame.dec
        return self.center or (float("nan"), float("nan"))

    def radius(self, frame: FrameStars) -> float:
        """Return the distance from the frame's centre to its corners (deg); half a degree where no scale is known.

        At most `WIDEST_DEG`, for the cells of the frame are locked one by one.
        """
        scale = self.pixel_scale(frame)
        radius = float(0.5 * np.hypot(frame.nx, frame.ny) * scale / 3600) if np.isfinite(scale) else 0.5
        return min(radius, WIDEST_DEG)

    def pixel_scale(self, frame: FrameStars) -> float:
        """Return the pixel scale told by caller, header's WCS, header or description; NaN if none does."""
        if self.scale:
            return self.scale
        if frame.header_wcs is not None and not frame.wcs_failed:
            return frame.header_wcs.scale_arcsec
        return frame.pixel_scale

    def place(self, conn: Connection, frame: FrameStars) -> Placement:
        """Find a frame's place.

        Raises
        ------
        FrameError : code `not_registered`: its field has a reference frame, it matches neither that nor the sky.
        """
        xy = frame.xy
        ra, dec = self.pointing(frame)
        near = self._fields(conn, frame, ra, dec)
        reference, alignment = self._aligner.align(conn, near, frame)
        anchor, prior = self._prior(frame, alignment)
        sure = anchor is not None and anchor.astrometry == "catalogue"
        patterns = sure or self._worth_a_search(conn, frame, prior, ra, dec)
        found = self.by_catalogues(conn, frame, xy, prior, sure, ra, dec, patterns)
        if found and found.n_stars < FEW_STARS and sure:
            found = None
        if found is None and self.blind and not (anchor and anchor.astrometry in SOLVED):
            found = self.blindly(conn, frame)
        if found is None:
            found = self._without_catalogue(conn, frame, near, reference, alignment, prior, ra, dec)
        return self._in_field(conn, frame, found, alignment)

    def _worth_a_search(
        self, conn: Connection, frame: FrameStars, prior: TangentWCS | None, ra: float, dec: float
    ) -> bool:
        """Tell whether a frame is searched for by patterns: not where that was in vain for many before it."""
        if prior is not None:
            ra, dec = middle_of(prior, frame)
        return not hopeless(not_found_before(conn, frame, ra, dec, self.radius(frame)))

    def _fields(self, conn: Connection, frame: FrameStars, ra: float, dec: float) -> list[int]:
        """List the fields to which a frame may belong, the likeliest first."""
        if np.isfinite(ra):
            return frames.fields_near(conn, ra, dec, self.radius(frame))
        return frames.fields_of_object(conn, frame.camera_id, frame.object)

    def _prior(
        self, frame: FrameStars, alignment: Alignment | None
    ) -> tuple[ReferenceFrame | None, TangentWCS | None]:
        """Return the frame that tells where this one is, and where that is; None and the header's place without."""
        if alignment:
            anchor, to_anchor = alignment.anchor
            if anchor.wcs:
                return anchor, compose(TangentWCS.from_dict(anchor.wcs), to_anchor, frame.nx, frame.ny)
        return None, frame.header_wcs

    def by_catalogues(
        self,
        conn: Connection,
        frame: FrameStars,
        xy: NDArray,
        prior: TangentWCS | None,
        sure: bool,
        ra: float,
        dec: float,
        patterns: bool = True,
    ) -> Placement | None:
        """Try the loaded catalogues by priority, then the built-in bright list; without `patterns` near the prior only.

        `sure` says that the prior comes from a frame that a catalogue placed: then stars must be where it puts them.
        """
        if prior is not None:
            ra, dec = middle_of(prior, frame)
        if not np.isfinite(ra):
            return None
        epoch = 2000.0 + (frame.mjd - 51544.5) / 365.25
        reach = 1.5 * self.radius(frame) + 0.05
        known = self.catalogues.by_priority(conn)
        for catalogue in known:
            stars = self.catalogues.stars(conn, catalogue, ra, dec, reach, epoch)
            fit = self._fit(frame, xy, stars, prior, sure, ra, dec, patterns)
            if fit:
                return placed(frame, fit, stars, "catalogue", *named(catalogue))
        for catalogue in known if patterns and prior is frame.header_wcs else ():
            stars = self.catalogues.stars(conn, catalogue, ra, dec, self.radius(frame) + FAR_DEG, epoch)
            fit = fit_elsewhere(frame, stars, ra, dec, self.pixel_scale(frame))
            if fit:
                return placed(frame, fit, stars, "catalogue", *named(catalogue))
        return None

    def blindly(self, conn: Connection, frame: FrameStars) -> Placement | None:
        """Ask a program for the frame's place, then the catalogues there; without one its own stars give the fit.

        None also where no program is to be asked.
        """
        size, here = (frame.nx, frame.ny), self.pointing(frame)
        if self.blind is None:
            return None
        vain = self._unsolved.hopeless(frame, *here, self.radius(frame))
        solved = None if vain else self.blind.solve(frame.xy, *size, self.pixel_scale(frame))
        if solved is None:
            self._unsolved.note(frame, *here)
            return None
        ra, dec = solved.wcs.ra0, solved.wcs.dec0
        found = self.by_catalogues(conn, frame, frame.xy, solved.wcs, False, ra, dec)
        fit = None if found else solved.refined(frame.xy, *size, frame.xy_err)
        if fit:  # the index's stars have no keys in the archive: no matches to keep
            found = placed(frame, fit, solved.stars, "catalogue", -1, f"the index files of {PROGRAM}")
            found = replace(found, fit=None, fit_keys=None)
        if not found:
            return None
        return replace(found, remark="; ".join(filter(None, (found.remark, FOUND_BLIND))))

    def _contradicted(self, conn: Connection, frame: FrameStars) -> str:
        """Say which catalogue speaks against the header's WCS; empty if none does."""
        ra, dec = self.pointing(frame)
        epoch = 2000.0 + (frame.mjd - 51544.5) / 365.25
        for catalogue in self.catalogues.by_priority(conn):
            stars = self.catalogues.stars(conn, catalogue, ra, dec, 1.5 * self.radius(frame) + 0.05, epoch)
            remark = contradicts(frame, stars, named(catalogue)[1])
            if remark:
                return remark
        return ""

    def _fit(
        self,
        frame: FrameStars,
        xy: NDArray,
        stars: SkyStars,
        prior: TangentWCS | None,
        sure: bool,
        ra: float,
        dec: float,
        patterns: bool = True,
    ) -> SkyFit | None:
        size = (frame.nx, frame.ny)
        if prior is not None and sure:
            return fit_near(xy, stars, prior, *size, search_px=REGISTERED_SEARCH_PX, xy_err=frame.xy_err)
        if prior is not None:
            shift = HEADER_SHIFT_ARCSEC / prior.scale_arcsec
            fit = fit_near(
                xy, stars, prior, *size, search_px=HEADER_SEARCH_PX, shift_px=shift, xy_err=frame.xy_err
            )
            if fit:
                return fit
        scale = self.pixel_scale(frame)
        return fit_blind(xy, stars, ra, dec, scale, *size, xy_err=frame.xy_err) if patterns else None

    def _without_catalogue(
        self, conn: Connection, frame: FrameStars, near: list[int], reference: ReferenceFrame | None,
        alignment: Alignment | None, prior: TangentWCS | None, ra: float, dec: float,
    ) -> Placement:  # fmt: skip
        """Place a frame by its field's frames, by its own header, or approximately."""
        if alignment:
            # as good as the frame it hangs on, which the archive names; an approximate place stays one
            anchor, link = alignment.anchor[0], alignment.link
            kind = "frames" if anchor.astrometry in SOLVED else anchor.astrometry
            rms = link.rms * prior.scale_arcsec if prior else float("nan")
            n, source = link.n_used, f"frame {anchor.frame_id}"
            remark = unconfirmed(conn, [anchor.frame_id])
            return Placement(-1, None, None, prior, kind, rms, n, None, None, -1, source, remark)
        fit, stars = self.by_sources(conn, frame, frame.xy, ra, dec)
        if fit:
            found = placed(frame, fit, stars, "frames", -1, "sources of the archive")
            told = unconfirmed(conn, sources.frames_of(conn, stars.key[fit.stars]))
            return replace(found, remark="; ".join(filter(None, (found.remark, told))))
        if frame.header_wcs is not None and not frame.wcs_failed:
            against = self._contradicted(conn, frame)
            kind = "approximate" if against else "header"
            remark = against or "WCS of the header: no catalogue or earlier frame confirms it"
            return Placement(
                -1, None, None, frame.header_wcs, kind, float("nan"), 0, None, None, -1, "header", remark
            )
        neighbour = by_other_cameras(conn, frame, near, self.pixel_scale(frame))
        if neighbour:
            return beside(neighbour)
        here = self._rivals(conn, frame, near, ra, dec)
        if len(stars) >= MIN_SOURCES or not may_found(conn, frame, here):
            field = f"reference frame {reference.frame_id}" if reference else f"{len(stars)} known sources"
            failed = "; the header says that its own astrometry failed" if frame.wcs_failed else ""
            raise FrameError(
                "not_registered",
                f"{len(frame.xy)} stars match neither the field's {field} nor any catalogue{failed}",
            )
        wcs, kind, remark = by_pointing(frame, ra, dec, self.pixel_scale(frame))
        remark = f"{remark}; {UNLIKE}" if here else remark
        return Placement(-1, None, None, wcs, kind, float("nan"), 0, None, None, -1, "pointing", remark)

    def _rivals(
        self, conn: Connection, frame: FrameStars, near: list[int], ra: float, dec: float
    ) -> list[int]:
        """List the fields that have a reference frame of this camera and should have stars in common with a frame."""
        mine = [f for f in near if frames.reference_frame_id(conn, f, frame.camera_id) is not None]
        reach = AWAY * self.radius(frame)
        return [f for f in mine if not np.isfinite(ra) or frames.field_distance(conn, f, ra, dec) <= reach]

    def by_sources(
        self, conn: Connection, frame: FrameStars, xy: NDArray, ra: float, dec: float
    ) -> tuple[SkyFit | None, SkyStars]:
        """Fit against sources that other frames gave: another camera's, or a neighbouring field's."""
        nothing = SkyStars(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))
        if not np.isfinite(ra):
            return None, nothing
        rows = sources.brightest_in_cone(conn, ra, dec, 1.3 * self.radius(frame) + 0.05, 400)
        if len(rows) < MIN_SOURCES:
            return None, nothing
        stars = SkyStars(rows["source_id"], rows["ra"], rows["dec"], rows["mag"].astype(float))
        return self._fit(frame, xy, stars, frame.header_wcs, False, ra, dec), stars

    def _in_field(
        self, conn: Connection, frame: FrameStars, found: Placement, alignment: Alignment | None
    ) -> Placement:
        """Add the field: the one of the reference it matched, else one whose centre is near, else -1.

        In a field that it did not match by stars, a frame that is placed for sure gets its shift by the sky.
        """
        if alignment:
            return replace(
                found, field_id=alignment.reference.field_id, reference=alignment.reference,
                registration=alignment.registration, alignment=alignment,
            )  # fmt: skip
        if found.wcs is None or found.astrometry == "approximate":
            return found
        ra, dec = middle_of(found.wcs, frame)
        reach = SAME_FIELD * 0.5 * np.hypot(frame.nx, frame.ny) * found.wcs.scale_arcsec / 3600
        near = frames.placed_fields_near(conn, ra, dec)
        here = [f for f in near if frames.field_distance(conn, f, ra, dec) <= reach]
        if not here:
            return found
        reference = self._aligner.reference(conn, here[0], frame.camera_id)
        moved = None
        if (
            reference
            and reference.wcs
            and {reference.astrometry, found.astrometry} <= {"catalogue", "frames"}
        ):
            moved = by_sky(reference, found.wcs, found.rms_arcsec / found.wcs.scale_arcsec)
        if moved is None:
            return replace(found, field_id=here[0])
        remark = "; ".join(filter(None, (found.remark, BY_SKY)))
        return replace(found, field_id=here[0], reference=reference, registration=moved, remark=remark)
