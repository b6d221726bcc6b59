"""What the archive knows of a position: the frames that cover it, and one word for each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import coverwords, sky, terms
from photodb.core.coverwords import Place
from photodb.core.flags import Flag
from photodb.core.footprints import MARGIN, border_px, pixels_of
from photodb.errors import NothingMatched, UsageError
from photodb.storage import coverage, lightcurves
from photodb.storage.coverage import Frames, Which
from photodb.storage.engine import Connection, Database

from . import covermasks
from .judge import FrameFilter, check_filter
from .position import MAX_CONE_DEG, MAX_NEIGHBOURS, check_position

Columns = dict[str, NDArray]

SIGMAS = 5.0
NEAR_MISS = 2.0
"""Near misses are frames whose circle, so many times as large, holds the position."""

SHORT = (
    "frame_id", "mjd", "night", "camera", "band", "coverage", "reason", "x", "y", "mag", "mag_err", "flux", "flux_err",
    "limit_5sigma", "instrumental_limit_5sigma", "airmass", "fwhm", "zero_point", "astrometry", "source_id",
)  # fmt: skip
MORE = (
    "telescope", "border_px", "distance_px", "distance_arcsec", "flags", "separation_arcsec", "instrumental_mag",
    "snr", "exptime", "status", "solution_status", "astrom_rms_arcsec", "pixel_scale", "path",
)  # fmt: skip


@dataclass(frozen=True)
class CoverageAnswer:
    """What is known of a position.

    Attributes
    ----------
    columns : `SHORT` and `MORE` by name, (n,) each, by time: the frames that cover the position, and with them those
        that nearly do, where these were asked for.
    radius_arcsec : how far a source may be to be taken for the one there.
    n_without_place : accepted frames of which nobody knows where they lie.
    """

    ra: float  # deg
    dec: float
    columns: Columns
    radius_arcsec: float
    n_without_place: int

    def __len__(self) -> int:
        return int((self.columns["coverage"] != coverwords.OUTSIDE).sum())


def position_coverage(
    db: Database,
    ra: float,
    dec: float,
    radius_arcsec: float | None = None,
    which: Which | None = None,
    near_misses: bool = False,
) -> CoverageAnswer:
    """Tell which frames cover a position and, of each, what is known there.

    Parameters
    ----------
    ra, dec : deg (ICRS)
    radius_arcsec : how far a source may be; by default as for light curves.
    near_misses : whether to list the frames beside the position, too.

    Raises
    ------
    NothingMatched : no frame covers it; the text tells how far the nearest is.
    UsageError : no position, or an impossible radius.
    """
    answer = frames_covering(db, ra, dec, radius_arcsec, which, near_misses)
    if not len(answer.columns["frame_id"]):
        with db.begin() as conn:
            raise NothingMatched(_nothing(conn, answer, which or Which()))
    return answer


def frames_covering(
    db: Database,
    ra: float,
    dec: float,
    radius_arcsec: float | None = None,
    which: Which | None = None,
    near_misses: bool = False,
) -> CoverageAnswer:
    """Return the same; no frame is no error."""
    check_position(ra, dec)
    which = which or Which()
    if radius_arcsec is not None and not 0 < radius_arcsec <= 3600 * MAX_CONE_DEG:
        raise UsageError(
            f"radius {radius_arcsec} arcsec: must be above 0 and at most {3600 * MAX_CONE_DEG:.0f}"
        )
    check_filter(db, FrameFilter(camera=which.camera, band=which.band))
    with db.begin() as conn:
        return coverage_at(conn, ra, dec, radius_arcsec, which, near_misses)


def coverage_at(
    conn: Connection,
    ra: float,
    dec: float,
    radius_arcsec: float | None = None,
    which: Which | None = None,
    near_misses: bool = False,
) -> CoverageAnswer:
    """Return the same in a transaction that is there, unchecked."""
    found = coverage.frames_near(conn, ra, dec, which or Which(), NEAR_MISS if near_misses else 1.0)
    frames, x, y, border = _placed(ra, dec, found)
    if not near_misses:
        found, (x, y, border) = _take(found, border >= 0), (v[border >= 0] for v in (x, y, border))
        frames = found.columns
    radius = radius_arcsec or match_radius(frames, border >= 0)
    solution_id = lightcurves.published_solution(conn)
    columns = _columns(conn, ra, dec, radius, found, (x, y, border), solution_id)
    return CoverageAnswer(ra, dec, columns, radius, coverage.without_place(conn))


def match_radius(frames: Columns, covers: NDArray[np.bool_]) -> float:
    """Return within which distance a source is taken for the one at a position, arcsec; as `lightcurves.cover`."""
    accepted = covers & (frames["status"] == "accepted")
    return lightcurves.match_radius(
        frames["astrom_rms_arcsec"][accepted], frames["pixel_scale"][accepted], frames["fwhm"][accepted],
        np.isin(frames["astrometry"][accepted], ("approximate", "none")),
    )  # fmt: skip


def _placed(ra: float, dec: float, found: Frames) -> tuple[Columns, NDArray, NDArray, NDArray]:
    """Return columns, x, y and distance from the border of frames; what lies outside of their circle is outside."""
    frames = found.columns
    x, y = pixels_of(ra, dec, found.wcs)
    border = border_px(x, y, frames["nx"], frames["ny"])
    far = sky.separation_deg(ra, dec, frames["ra"], frames["dec"]) > MARGIN * frames["radius"]
    return frames, x, y, np.where(far & (border >= 0), np.nan, border)


def _take(found: Frames, rows: NDArray[np.bool_]) -> Frames:
    kept = np.flatnonzero(rows)
    return Frames(
        {name: column[kept] for name, column in found.columns.items()},
        [found.wcs[i] for i in kept],
        [found.coefficients[i] for i in kept],
    )


def _columns(
    conn: Connection, ra: float, dec: float, radius: float, found: Frames, places: tuple, solution_id: int
) -> Columns:
    frames, (x, y, border) = found.columns, places
    sources = lightcurves.sources_in_cone(conn, ra, dec, radius / 3600)[:MAX_NEIGHBOURS]
    seen = _measurements(conn, frames, sources, solution_id)
    unseen = (frames["status"] == "accepted") & (border >= 0) & ~seen["detected"] & ~seen["forced"]
    saturated, star, bad = _in_the_way(conn, ra, dec, frames, x, y, np.flatnonzero(unseen))
    out = covermasks.left_out(conn, frames, x, y)
    place = Place(
        rejected=frames["status"] == "rejected", border=border, aperture=frames["aperture"],
        detected=seen["detected"], forced=seen["forced"], flags=seen["flags"], alone=seen["alone"],
        near_saturated=saturated, near_star=star, bad_pixels=bad, left_out=out,
    )  # fmt: skip
    word, why = coverwords.words(place)
    nothing = word == coverwords.LIMIT
    why = np.where(nothing & (frames["astrometry"] == "approximate"), "placed only approximately", why)
    why = np.where(nothing & frames["waits"].astype(bool), "not measured yet: 'photodb measure'", why)
    why = np.where(word == coverwords.REJECTED, frames["reason"], why)
    made = {**frames, **seen, **_limits(conn, found, x, y, seen, solution_id)}
    made |= {"coverage": word, "reason": why, "x": x, "y": y, **_distances(ra, dec, frames, border)}
    return {name: made[name] for name in (*SHORT, *MORE)}


def _in_the_way(
    conn: Connection, ra: float, dec: float, frames: Columns, x: NDArray, y: NDArray, rows: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell of the frames `rows` whether a saturated star, or any, is beside the place, and whether masters mask it."""
    saturated, star, bad = (np.zeros(len(x), bool) for _ in range(3))
    if len(rows):
        chosen = {name: column[rows] for name, column in frames.items()}
        saturated[rows] = covermasks.near_saturated(conn, ra, dec, chosen, x[rows], y[rows])
        star[rows] = covermasks.near_star(conn, ra, dec, chosen, x[rows], y[rows])
        bad[rows] = covermasks.bad_pixels(conn, chosen, x[rows], y[rows])
    return saturated, star, bad


def _distances(ra: float, dec: float, frames: Columns, border: NDArray) -> Columns:
    """Return how far the position lies outside of each frame; 0 inside."""
    away = np.where(border >= 0, 0.0, -border)
    rough = sky.separation_deg(ra, dec, frames["ra"], frames["dec"]) - frames["radius"]
    arcsec = np.where(np.isfinite(away), away * frames["pixel_scale"], 3600 * np.maximum(rough, 0.0))
    return {"border_px": border, "distance_px": away, "distance_arcsec": arcsec}


def _first_of_frames(rows: NDArray, frames: Columns) -> tuple[NDArray, NDArray]:
    """Return which rows to take, the first of each frame, and the number of their frame."""
    order = np.argsort(frames["frame_id"], kind="stable")
    ids, first = np.unique(rows["frame_id"], return_index=True)
    at = np.searchsorted(frames["frame_id"][order], ids)
    known = at < len(order)
    known[known] = frames["frame_id"][order][at[known]] == ids[known]
    return first[known], order[at[known]]


def _measurements(conn: Connection, frames: Columns, sources: NDArray, solution_id: int) -> Columns:
    """Return what was measured of the sources on each frame, of the nearest that has anything; flux NaN for nothing."""
    n = len(frames["frame_id"])
    made: Columns = {
        name: np.full(n, np.nan) for name in ("flux", "flux_err", "mag", "mag_err", "instrumental_mag")
    }
    made["separation_arcsec"] = np.full(n, np.nan)
    made |= {"source_id": np.full(n, -1), "flags": np.zeros(n, int), "psf": np.zeros(n, bool)}
    made |= {"detected": np.zeros(n, bool), "forced": np.zeros(n, bool), "alone": np.ones(n, bool)}
    if len(sources) and n:
        _fill_detections(conn, frames, sources, made)
        _fill_forced(conn, frames, sources, made)
        _fill_points(conn, frames, sources, solution_id, made)
        rank = {int(s): i for i, s in enumerate(sources["source_id"])}
        for i in np.flatnonzero(made["source_id"] >= 0):
            made["separation_arcsec"][i] = sources["separation_arcsec"][rank[int(made["source_id"][i])]]
    with np.errstate(invalid="ignore", divide="ignore"):
        made["snr"] = made["flux"] / made["flux_err"]
        positive = np.where(made["flux"] > 0, made["flux"] / frames["exptime"], np.nan)
        told = np.isfinite(made["instrumental_mag"])
        made["instrumental_mag"] = np.where(told, made["instrumental_mag"], -2.5 * np.log10(positive))
    return made


def _fill_detections(conn: Connection, frames: Columns, sources: NDArray, made: Columns) -> None:
    rows = coverage.detections_of(conn, sources)
    rows = rows[(rows["flags"] & int(Flag.DUPLICATE)) == 0]
    take, at = _first_of_frames(rows, frames)
    for name in ("flux", "flux_err", "source_id", "flags"):
        made[name][at] = rows[name][take]
    made["instrumental_mag"][at] = rows["mag"][take]
    made["detected"][at] = True


def _fill_forced(conn: Connection, frames: Columns, sources: NDArray, made: Columns) -> None:
    """Fill in forced fluxes where nothing was detected."""
    rows = coverage.forced_of(conn, sources)
    told = np.isfinite(rows["flux"]) & (rows["flux_err"] > 0)
    _, lonely = _first_of_frames(rows[~told], frames)
    made["alone"][lonely] = False
    take, at = _first_of_frames(rows[told], frames)
    made["alone"][at] = True
    take, at = take[~made["detected"][at]], at[~made["detected"][at]]
    for name in ("flux", "flux_err", "source_id", "flags", "psf"):
        made[name][at] = rows[told][name][take]
    made["forced"][at] = True


def _fill_points(
    conn: Connection, frames: Columns, sources: NDArray, solution_id: int, made: Columns
) -> None:
    """Fill in the calibrated magnitudes of the sources that were taken."""
    if solution_id < 0:
        return
    rows = coverage.points_of(conn, sources, solution_id)
    taken = dict(zip(frames["frame_id"].tolist(), made["source_id"].tolist(), strict=True))
    rows = rows[[taken.get(int(r["frame_id"]), -2) == r["source_id"] for r in rows]]
    take, at = _first_of_frames(rows, frames)
    for name in ("mag", "mag_err"):
        made[name][at] = rows[name][take]


def _limits(
    conn: Connection, found: Frames, x: NDArray, y: NDArray, seen: Columns, solution_id: int
) -> Columns:
    """Return the magnitude of a star at five sigma at the place, calibrated and instrumental; NaN where unknown.

    By the error of the forced flux where there is one and nothing is seen, else by the frame's limiting magnitude.
    """
    frames = found.columns
    faint = seen["forced"] & (seen["flux"] < SIGMAS * seen["flux_err"])
    with np.errstate(invalid="ignore", divide="ignore"):
        own = -2.5 * np.log10(SIGMAS * seen["flux_err"] / frames["exptime"])
    instrumental = np.where(faint, own, frames["limiting_mag"])
    correction = frames["zero_point"] + _spatial(found.coefficients, frames, x, y)
    corrections = coverage.psf_corrections(conn, solution_id, frames["frame_id"]) if solution_id >= 0 else {}
    to_main = [corrections.get(i, []) for i in frames["frame_id"].tolist()]
    by_psf = np.where(faint, seen["psf"], frames["with_psf"].astype(bool))
    correction = correction + np.where(by_psf, _spatial([c[1:] for c in to_main], frames, x, y), 0.0)
    correction = correction + np.where(by_psf, [c[0] if c else 0.0 for c in to_main], 0.0)
    inside = np.isfinite(correction) & (border_px(x, y, frames["nx"], frames["ny"]) >= 0)
    return {
        "limit_5sigma": np.where(inside, instrumental + correction, np.nan),
        "instrumental_limit_5sigma": np.where(inside, instrumental, np.nan),
    }


def _spatial(coefficients: list[list[float]], frames: Columns, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Return the spatial terms of frames at a place of each, mag (n,); 0 without any."""
    width = terms.n_terms(terms.MAX_ORDER)
    table = np.zeros((len(coefficients), width))
    for row, told in zip(table, coefficients, strict=True):
        row[1 : 1 + len(told)] = told
    known = np.isfinite(x) & np.isfinite(y)
    u = terms.scale_pixels(np.where(known, x, 0.0), frames["nx"])
    v = terms.scale_pixels(np.where(known, y, 0.0), frames["ny"])
    return np.where(known, terms.evaluate(table, np.arange(len(table)), u, v), np.nan)


def _nothing(conn: Connection, answer: CoverageAnswer, which: Which) -> str:
    """Say that no frame covers a position, and how far the nearest is."""
    asked = [f"{name} {value}" for name, value in vars(which).items() if value is not None]
    told = f"no frame{' of ' + ', '.join(asked) if asked else ''} covers RA {answer.ra:.5f} Dec {answer.dec:+.5f}"
    near = coverage.nearest_frames(conn, answer.ra, answer.dec, which)
    if len(near):
        frames, _, _, border = _placed(answer.ra, answer.dec, near)
        away = _distances(answer.ra, answer.dec, frames, border)["distance_arcsec"]
        i = int(np.argmin(away))  # by its circle a frame may seem nearer than it is, by less than its size
        told += (
            f"; the nearest is frame {frames['frame_id'][i]} ({frames['camera'][i]}), {angle(away[i])} away"
        )
    if answer.n_without_place:
        told += f"; {answer.n_without_place} frames have no place on the sky"
    return told + "; see 'photodb frame list'"


def angle(arcsec: float) -> str:
    """Write an angle for people."""
    for unit, size in (("deg", 3600.0), ("arcmin", 60.0)):
        if arcsec >= size:
            return f"{arcsec / size:.3g} {unit}"
    return f"{arcsec:.3g} arcsec"
