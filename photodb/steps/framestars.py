"""What placing a frame needs to know of it, whether it was measured just now or is in the archive already."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import Flag
from photodb.core.polish import place_errors
from photodb.core.tangent import TangentWCS
from photodb.images.classify import COSMIC_RAY
from photodb.images.pipeline import FrameResult


@dataclass(frozen=True)
class FrameStars:
    """A frame's stars, and where it should be; NaN and empty text stand for "not told"."""

    camera_id: int
    nx: int  # px
    ny: int
    mjd: float  # d, middle of the exposure, UTC
    object: str
    ra: float  # deg, pointing
    dec: float
    pixel_scale: float  # arcsec/px
    header_wcs: TangentWCS | None
    wcs_failed: bool  # whether the header says that its own astrometry failed
    xy: NDArray[np.float64]  # (n, 2) px, what may be a star, brightest first; masked parts left out
    xy_err: NDArray[np.float64]  # (n, 2) px, their errors
    rows: NDArray[np.intp]  # (n,) their rows among the frame's detections
    place_err: NDArray[np.float64] | None = None  # (n,) px an axis, NaN where a place is not to be trusted
    frame_id: int = -1  # its key, where it is stored already: it is not registered with itself


@dataclass(frozen=True)
class Observed:
    """A frame's detections as association needs them, brightest first."""

    mjd: float  # d, middle of the exposure, UTC
    exptime: float  # s
    fwhm: float  # px; NaN if unknown
    x: NDArray[np.floating]  # (n,) px
    y: NDArray[np.floating]  # (n,) px
    x_err: NDArray[np.floating]  # (n,) px
    y_err: NDArray[np.floating]  # (n,) px
    flux: NDArray[np.floating]  # (n,) e-, in the best aperture
    flux_err: NDArray[np.floating]  # (n,) e-
    flags: NDArray[np.int32]  # (n,)


def rows_of_stars(kind: NDArray, flags: NDArray) -> NDArray[np.intp]:
    """Return the rows of the detections that may be stars and lie in no mask."""
    return np.flatnonzero((kind != COSMIC_RAY) & (flags & Flag.MASKED == 0))


def stars_of_result(result: FrameResult, camera_id: int) -> FrameStars:
    """Return what is to be placed of a frame that was measured."""
    assert result.measured is not None
    found, exposure = result.measured.detections, result.exposure
    rows = rows_of_stars(found.kind, found.flags)
    return FrameStars(
        camera_id, result.nx, result.ny, exposure.mjd, exposure.object, exposure.ra, exposure.dec,
        exposure.pixel_scale, result.header_wcs, result.wcs_failed,
        np.column_stack([found.x[rows], found.y[rows]]),
        np.column_stack([_single(found.x_err)[rows], _single(found.y_err)[rows]]), rows,
        place_errors(found.x_err[rows], found.y_err[rows], found.flags[rows]),
    )  # fmt: skip


def observed(result: FrameResult) -> Observed:
    """Return the detections of a frame that was measured."""
    assert result.measured is not None
    d, best = result.measured.detections, result.measured.best
    return Observed(
        result.exposure.mjd, result.exposure.exptime, result.measured.fwhm, d.x, d.y, d.x_err, d.y_err,
        d.flux[:, best], d.flux_err[:, best], d.flags.astype(np.int32),
    )  # fmt: skip


def as_stored(result: FrameResult) -> FrameResult:
    """Return a measured frame with places and fluxes as the archive keeps them (single precision).

    What is derived of them is then the same whether it is derived now or, later, of the stored rows.
    """
    assert result.measured is not None
    d = result.measured.detections
    d = replace(
        d, x=_single(d.x), y=_single(d.y), x_err=_single(d.x_err), y_err=_single(d.y_err),
        flux=_single(d.flux), flux_err=_single(d.flux_err),
    )  # fmt: skip
    return replace(result, measured=replace(result.measured, detections=d))


def _single(values: NDArray) -> NDArray[np.float64]:
    return np.asarray(values).astype(np.float32).astype(np.float64)
