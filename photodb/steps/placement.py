"""Where a frame is, and what told so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core.match import Registration
from photodb.core.tangent import TangentWCS
from photodb.images.astrometry import SkyFit, SkyStars
from photodb.storage.frames import ReferenceFrame
from photodb.storage.refcats import Catalogue

from .align import Alignment
from .framestars import FrameStars
from .headercheck import header_remark
from .unplaced import Neighbour

BESIDE = "position approximate: as that of the field, by a frame of another camera; load a catalogue"


@dataclass(frozen=True)
class Placement:
    """Where a frame is."""

    field_id: int  # -1: it founds a field
    reference: ReferenceFrame | None
    registration: Registration | None
    wcs: TangentWCS | None
    astrometry: str  # catalogue, frames, header, approximate, none
    rms_arcsec: float
    n_stars: int
    fit: SkyFit | None
    fit_keys: NDArray[np.int64] | None  # keys of the fitted stars, by row of fit
    catalogue_id: int  # reference catalogue of the archive; -1 if none
    source: str  # catalogue's name, for the remark
    remark: str
    alignment: Alignment | None = None  # what gave the registration, None where the sky did


def middle_of(wcs: TangentWCS, frame: FrameStars) -> tuple[float, float]:
    """Return ra, dec (deg) of the middle of a frame at a place."""
    ra, dec = wcs.to_sky([(frame.nx - 1) / 2], [(frame.ny - 1) / 2])
    return float(ra[0]), float(dec[0])


def named(catalogue: Catalogue | None) -> tuple[int, str]:
    """Return key and name of a catalogue; None is the built-in bright list."""
    return (catalogue.reference_catalogue_id, catalogue.name) if catalogue else (-1, "built-in bright list")


def beside(neighbour: Neighbour) -> Placement:
    """Return the place that another camera's frame gives: sure where that is sure, else in the same field."""
    other, found, wcs = neighbour.frame, neighbour.registration, neighbour.wcs
    rms, source = found.rms * wcs.scale_arcsec, f"frame {other.frame_id}"
    if other.astrometry in ("catalogue", "frames", "header"):
        return Placement(-1, None, None, wcs, "frames", rms, found.n_used, None, None, -1, source, "")
    return Placement(
        other.field_id, None, None, wcs, "approximate", rms, found.n_used, None, None, -1, source, BESIDE
    )


def placed(frame: FrameStars, fit: SkyFit, stars: SkyStars, kind: str, key: int, name: str) -> Placement:
    found = fit.rms_arcsec, fit.n_used, fit, stars.key[fit.stars]
    return Placement(-1, None, None, fit.wcs, kind, *found, key, name, header_remark(frame, fit))
