"""What a solution is made of: the measurements that are read, and those that may take part in the fit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.columns import Frames, Measurements
from photodb.core.flags import BAD, Flag
from photodb.core.terms import MAX_ORDER
from photodb.errors import NothingMatched, SolveError, UsageError
from photodb.storage import measurements, solutions, sourceids
from photodb.storage.engine import Database

from .rawkinds import Raw, kinds_to_read, make_raw

ENOUGH = 100
"""Stars of a frame that are enough to tell its zero point and polynomial."""


@dataclass(frozen=True)
class SolveSettings:
    """What goes into a solution, and how it is solved."""

    bands: tuple[str, ...] = ()  # names; all if empty
    order: int = 2  # of the spatial polynomial of a frame
    min_stars: int = 5  # stars shared with other frames that a frame needs
    max_mag_err: float = 0.2  # mag; fainter measurements get magnitudes, but take no part in the fit
    bright_mag_err: float = (
        0.05  # mag; stars of a larger mean error take part only where frames have few better ones
    )
    exclude_frames: tuple[int, ...] = ()  # frame_id
    exclude_sources: tuple[int, ...] = ()  # source_id: kept out of the fit, calibrated all the same
    exclude_nights: tuple[int, ...] = ()  # MJD of the local noon that began them
    draft: bool = False  # write the solution, but do not publish it
    photometry: str = "auto"  # auto, psf, aperture (the main one) or aperture:K

    def __post_init__(self) -> None:
        if not 0 <= self.order <= MAX_ORDER:
            raise UsageError(f"order {self.order}: the spatial polynomial has order 0 to {MAX_ORDER}")
        if self.min_stars < 2:
            raise UsageError(
                f"min_stars {self.min_stars}: a frame needs 2 stars in common with others at least"
            )
        if not (np.isfinite(self.max_mag_err) and self.max_mag_err > 0):
            raise UsageError(f"max_mag_err {self.max_mag_err}: must be a finite number of magnitudes above 0")
        if not re.fullmatch(r"auto|psf|aperture(:\d{1,2})?", self.photometry):
            raise UsageError(
                f"photometry {self.photometry!r}: auto, psf, aperture or aperture:K (0 the smallest) is needed"
            )


@dataclass(frozen=True)
class Selection:
    """What was read for a solution, with the dense indices of the solver."""

    frames: NDArray[Any]  # solutions.FRAME_DTYPE
    detections: NDArray[Any]  # rawkinds.PICKED: every measurement, in the kind that was picked
    sources: NDArray[Any]  # solutions.SOURCE_DTYPE
    star_source: NDArray[np.int64]  # (n_stars,) row in `sources`
    star_band: NDArray[np.int64]  # (n_stars,) band_id
    fit: NDArray[np.bool_]  # (n_detections,) may take part in the fit
    measurements: Measurements  # of every detection; those that may not take part have error NaN
    bundle: Frames
    names: dict[str, dict[int, str]]  # of bands, cameras, telescopes and fields
    cameras: NDArray[np.int64]  # camera_id by dense index
    excluded_sources: tuple[int, ...]


@dataclass(frozen=True)
class Read:
    """What was read for a solution."""

    frames: NDArray[Any]  # solutions.FRAME_DTYPE
    raw: Raw
    sources: NDArray[Any]  # solutions.SOURCE_DTYPE
    names: dict[str, dict[int, str]]
    excluded_sources: tuple[int, ...]  # those that the settings exclude, and what they were merged into


def read(db: Database, settings: SolveSettings) -> Read:
    """Read frames, measurements and sources: forced measurements where a frame has them, else its detections.

    Raises
    ------
    NothingMatched
        The settings name a band, frame, source or night that the archive does not have.
    SolveError
        Nothing is left to solve.
    """
    with db.begin() as conn:
        names = {table: solutions.names(conn, table) for table in ("band", "camera", "telescope", "field")}
        unknown = sorted(set(settings.bands) - set(names["band"].values()))
        if unknown:
            known = ", ".join(sorted(names["band"].values())) or "none"
            raise NothingMatched(f"there is no band {', '.join(unknown)}; the archive has {known}")
        _check_exclusions(conn, settings)
        excluded = tuple(sourceids.living(conn, i) for i in settings.exclude_sources)
        frames = solutions.read_frames(conn, settings.bands)
        left_out = np.isin(frames["frame_id"], settings.exclude_frames)
        frames = frames[~(left_out | np.isin(frames["night"], settings.exclude_nights))]
        if not len(frames):
            raise SolveError("there is no accepted frame to solve; see 'photodb frame list'")
        forced = frames["n_forced"] >= 0
        kinds = kinds_to_read(frames[forced], settings.photometry)
        detections = solutions.read_detections(conn, frames["frame_id"][~forced])
        measured = measurements.read_forced(conn, frames["frame_id"][forced], kinds)
        if not len(detections) and not len(measured):
            raise SolveError(f"none of the {len(frames)} accepted frames has a measurement of a source")
        both = np.concatenate([detections["source_id"], measured["source_id"]])
        sources = solutions.read_sources(conn, np.unique(both))
        corrections = measurements.read_corrections(conn, frames["frame_id"], kinds)
    raw = make_raw(frames, detections, measured, kinds, corrections, sources["source_id"])
    return Read(frames, raw, sources, names, excluded)


def _check_exclusions(conn: Any, settings: SolveSettings) -> None:
    """Refuse to leave out what is not there: a misspelt number would go unnoticed."""
    excluded = {
        "frame": settings.exclude_frames,
        "source": settings.exclude_sources,
        "night": settings.exclude_nights,
    }
    for what, numbers in excluded.items():
        absent = solutions.absent(conn, what, numbers)
        if absent:
            raise NothingMatched(
                f"cannot leave out {what} {', '.join(map(str, absent))}: the archive has none such"
            )


def select(found: Read, detections: NDArray[Any], settings: SolveSettings) -> Selection:
    """Choose what may take part in the fit and number frames, cameras, bands and stars densely.

    `detections` are the measurements of `found` in the kinds picked.
    """
    frames, sources, names = found.frames, found.sources, found.names
    frame = found.raw.frame
    source = np.searchsorted(sources["source_id"], detections["source_id"])
    bands, band = np.unique(frames["band_id"], return_inverse=True)
    cameras, camera = np.unique(frames["camera_id"], return_inverse=True)
    pairs, star = np.unique(source * bands.size + band[frame], return_inverse=True)
    mag_err = detections["mag_err"].astype(np.float64)
    fit = (detections["flags"] & int(BAD | Flag.FAINT)) == 0
    fit &= np.isfinite(detections["mag"]) & (mag_err > 0) & (mag_err <= settings.max_mag_err)
    fit &= ~np.isin(detections["source_id"], found.excluded_sources)
    fit &= _needed(star, frame, mag_err, fit, settings.bright_mag_err)
    area = frames["aperture_area"]
    guess = np.where(area > 0, 2.5 * np.log10(np.where(area > 0, area, 1.0)), 0.0)
    mag = detections["mag"].astype(np.float64)
    share = star_share(mag, mag_err, np.where(frames["electrons"], frames["exptime"], np.nan)[frame])
    error = np.where(fit, mag_err, np.nan)
    columns = Measurements(star, frame, found.raw.x, found.raw.y, mag, error, share)
    return Selection(
        frames=frames,
        detections=detections,
        sources=sources,
        star_source=pairs // bands.size,
        star_band=bands[pairs % bands.size],
        fit=fit,
        measurements=columns,
        bundle=Frames(camera, band, guess),
        names=names,
        cameras=cameras,
        excluded_sources=found.excluded_sources,
    )


def _needed(
    star: NDArray[np.integer],
    frame: NDArray[np.integer],
    mag_err: NDArray[np.float64],
    fit: NDArray[np.bool_],
    bright: float,
) -> NDArray[np.bool_]:
    """Tell which measurements the fit needs: of bright stars, and of those among the `ENOUGH` brightest of a frame.

    What the sky does to all faint stars of a frame at once is no photon noise, and thousands of them outweigh the
    bright ones: the transit of HAT-P-32 b comes out 0.2 percentage points too shallow with stars down to 5 sigma.
    """
    rows = np.flatnonzero(fit)
    count = np.bincount(star[rows], minlength=int(star.max(initial=-1)) + 1)
    typical = np.bincount(star[rows], mag_err[rows], count.size) / np.maximum(count, 1)
    order = rows[np.lexsort((typical[star[rows]], frame[rows]))]
    first = np.flatnonzero(np.r_[True, frame[order][1:] != frame[order][:-1]]) if order.size else order
    rank = np.arange(order.size) - np.repeat(first, np.diff(np.r_[first, order.size]))
    needed = (typical <= bright) & (count > 0)
    needed[star[order[rank < ENOUGH]]] = True
    return np.asarray(needed[star])


def star_share(
    mag: NDArray[np.float64], mag_err: NDArray[np.float64], exptime: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of mag_err squared that the star's own photons make, (n,); 0 where it is not known.

    Of a flux of N electrons they make (1.0857 / N^0.5)^2.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        electrons = exptime * 10 ** (-0.4 * mag)
        share = (2.5 / np.log(10)) ** 2 / (electrons * mag_err**2)
    return np.where(np.isfinite(share), np.clip(share, 0.0, 1.0), 0.0)
