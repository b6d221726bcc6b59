"""Place a frame on the sky by the stars of a catalogue: from a first guess, or by patterns.

Patterns and votes go by the brightest stars; the fit that follows takes all stars of frame and catalogue that meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.columns import Bundle
from ..core.match import Affine, Curve, Registration, mutual_nearest, refine
from ..core.patterns import believable, find_map, vote_shift
from ..core.platefit import PlateFit, fit_plate
from ..core.sky import project
from ..core.tangent import TangentWCS, fit_wcs

MIN_STARS = 6
RADIUS_PX = 2.0
BLIND_SCALES = (0.9, 1.1)
UNKNOWN_SCALES = (0.2, 5.0)
BRIGHT = 400
"""Brightest stars that patterns, votes and the first fit go by."""
DEEPER = 3
"""Catalogue stars for each of the frame's that the last fit may take: a deeper catalogue gives chance matches."""
MATCH_ROUNDS = 6
LEFT = 0.5
"""Share of the first fit's stars that the last one must hold."""


@dataclass(frozen=True)
class SkyStars(Bundle):
    """Stars of a catalogue around a frame, brightest first, at the frame's epoch."""

    key: NDArray[np.int64]  # (n,) the catalogue's own key
    ra: NDArray[np.float64]  # (n,) deg
    dec: NDArray[np.float64]  # (n,) deg
    mag: NDArray[np.float64]  # (n,) mag, any band
    err: NDArray[np.float64] | None = None  # (n,) arcsec, an axis; NaN or None where unknown


@dataclass(frozen=True)
class SkyFit:
    """A frame's place on the sky and the stars that gave it."""

    wcs: TangentWCS
    rms_arcsec: float  # of the used stars, both axes together
    detections: NDArray[np.intp]  # (n,) rows of the frame's stars
    stars: NDArray[np.intp]  # (n,) rows of the catalogue
    used: NDArray[np.bool_]  # (n,)
    dx: NDArray[np.float64]  # (n,) px, measured minus expected
    dy: NDArray[np.float64]  # (n,) px
    dra: NDArray[np.float64]  # (n,) arcsec, times cos(dec)
    ddec: NDArray[np.float64]  # (n,) arcsec
    floor_arcsec: float = 0.0  # an axis: scatter beyond the errors of centroids and catalogue
    corner_arcsec: float = 0.0  # formal error at the worst corner, both axes together

    @property
    def n_used(self) -> int:
        """Stars of the last fit."""
        return int(self.used.sum())


def compose(wcs: TangentWCS, to_old: Affine | Curve, nx: int, ny: int) -> TangentWCS:
    """Return the WCS of pixels that `to_old` maps to the pixels of `wcs`; exact: tangent point and order are kept.

    Of a map that bends, the order is at least that of the bend.
    """
    gx, gy = np.meshgrid(np.linspace(0, nx - 1, 9), np.linspace(0, ny - 1, 9))
    new = np.column_stack([gx.ravel(), gy.ravel()])
    old = to_old(new)
    ra, dec = wcs.to_sky(old[:, 0], old[:, 1])
    middle, order = ((nx - 1) / 2, (ny - 1) / 2), max(1, wcs.order, to_old.order)
    return fit_wcs(new[:, 0], new[:, 1], ra, dec, wcs.ra0, wcs.dec0, *middle, order)


def _fit_all(
    start: TangentWCS,
    first: tuple[NDArray, NDArray],
    xy: NDArray,
    xy_err: NDArray | None,
    sky: SkyStars,
    nx: int,
    ny: int,
) -> SkyFit:
    """Match all stars by a WCS, fit it anew, and again until the pairs stand still.

    Parameters
    ----------
    first : rows of catalogue and frame that the first fit used.
    """
    seen: set[bytes] = set()
    wcs, pairs = start, set(zip(*(rows.tolist() for rows in first)))
    for k in range(MATCH_ROUNDS + 1):
        rows, expected = near_frame(wcs, sky, nx, ny, RADIUS_PX, max(BRIGHT, DEEPER * len(xy)))
        i, j = mutual_nearest(expected, xy, RADIUS_PX)
        i = rows[i]
        used = np.array([pair in pairs for pair in zip(i.tolist(), j.tolist())])
        if used.sum() < MIN_STARS:
            used = np.ones(len(i), bool)
        state = i.tobytes() + j.tobytes()
        last = state in seen or k == MATCH_ROUNDS
        seen.add(state)
        stars = (xy[j, 0], xy[j, 1], sky.ra[i], sky.dec[i], _errors(i, j, xy_err, sky, wcs.scale_arcsec))
        plate = fit_plate(*stars, used, start, nx, ny, bold=not last)
        if last:
            break
        wcs, pairs = plate.wcs, set(zip(i[plate.used].tolist(), j[plate.used].tolist()))
    return _with_residuals(plate, i, j, xy, sky)


def _errors(i: NDArray, j: NDArray, xy_err: NDArray | None, sky: SkyStars, scale: float) -> NDArray:
    """Return the errors of an axis of matched stars, arcsec: of centroid and catalogue, 0 where neither is known."""
    variance = np.zeros(len(i))
    if xy_err is not None:
        variance += np.nan_to_num(np.mean(xy_err[j] ** 2, axis=1)) * scale**2
    if sky.err is not None:
        variance += np.nan_to_num(sky.err[i]) ** 2
    return np.sqrt(variance)


def _with_residuals(plate: PlateFit, i: NDArray, j: NDArray, xy: NDArray, sky: SkyStars) -> SkyFit:
    """Return the fit with the residuals of all matches."""
    ra, dec = plate.wcs.to_sky(xy[j, 0], xy[j, 1])
    px, py = plate.wcs.to_pixel(sky.ra[i], sky.dec[i])
    dra, ddec = (off * 3600 for off in project(ra, dec, sky.ra[i], sky.dec[i]))
    rms = float(np.sqrt(np.mean((dra**2 + ddec**2)[plate.used])))
    dx, dy = xy[j, 0] - px, xy[j, 1] - py
    return SkyFit(
        plate.wcs, rms, j, i, plate.used, dx, dy, dra, ddec, plate.floor_arcsec, plate.corner_arcsec
    )


def near_frame(
    wcs: TangentWCS, sky: SkyStars, nx: int, ny: int, margin_px: float, most: int = BRIGHT
) -> tuple[NDArray, NDArray]:
    """Return rows and pixels (n, 2) of the `most` brightest of the catalogue that fall on the frame or near it."""
    pixels = np.column_stack(wcs.to_pixel(sky.ra, sky.dec))
    inside = (
        (pixels > -margin_px).all(axis=1) & (pixels[:, 0] < nx + margin_px) & (pixels[:, 1] < ny + margin_px)
    )
    rows = np.flatnonzero(inside)[:most]
    return rows, pixels[rows]


def fit_near(
    xy: NDArray,
    sky: SkyStars,
    wcs: TangentWCS,
    nx: int,
    ny: int,
    *,
    search_px: float = 8.0,
    shift_px: float = 0.0,
    min_stars: int = MIN_STARS,
    xy_err: NDArray | None = None,
) -> SkyFit | None:
    """Fit the WCS from a first guess that is right to `search_px` (or, by a vote, to a shift of `shift_px`).

    Returns None when fewer than `min_stars` stars match or chance would do as well.

    Parameters
    ----------
    xy : (n, 2) px, the frame's stars, brightest first.
    xy_err : (n, 2) px, their errors, if known.
    """
    rows, expected = near_frame(wcs, sky, nx, ny, max(search_px, shift_px))
    if len(rows) < min_stars:
        return None
    for n_stars, n_frame in (
        (BRIGHT, BRIGHT),
        (60, 30),
    ):  # then the brightest only: a frame of few stars and much noise
        p, q = expected[:n_stars], xy[:n_frame]
        starts = [Affine(np.eye(2), np.zeros(2))]
        if shift_px:
            voted = vote_shift(
                p, q, reach=shift_px, bin_size=max(3.0, shift_px / 60), n_stars=max(30, 2 * len(p))
            )
            starts = [voted, *starts] if voted else starts
        for start in starts:
            found = refine(p, q, start, search_px, final_radius=RADIUS_PX)
            if found and found.n_used >= min_stars and believable(p, q, found, RADIUS_PX, 0.9, 1.1):
                k = found.used
                guess = compose(wcs, found.transform.inverse(), nx, ny)
                fit = _fit_all(guess, (rows[found.first[k]], found.second[k]), xy, xy_err, sky, nx, ny)
                if fit.n_used >= max(min_stars, LEFT * found.n_used):
                    return fit
    return None


def fit_blind(
    xy: NDArray,
    sky: SkyStars,
    ra: float,
    dec: float,
    scale_arcsec: float,
    nx: int,
    ny: int,
    *,
    min_stars: int = MIN_STARS,
    xy_err: NDArray | None = None,
) -> SkyFit | None:
    """Fit the WCS by patterns, with any rotation and parity, around a pointing.

    Parameters
    ----------
    sky : stars within reach of the pointing, brightest first.
    scale_arcsec : pixel scale, right to 10 %; NaN if unknown (then any scale within a factor of five of 1).
    """
    if len(sky) < min_stars or len(xy) < min_stars:
        return None
    known = np.isfinite(scale_arcsec)
    unit = scale_arcsec if known else 1.0
    xi, eta = project(sky.ra, sky.dec, ra, dec)
    plane = np.column_stack([xi, eta]) * 3600.0 / unit
    reach = 0.5 * np.hypot(nx, ny)
    for widen in (1.0, 1.4, 2.2):
        near = np.flatnonzero(np.isfinite(plane).all(axis=1) & (np.hypot(*plane.T) < widen * reach))
        if len(near) < min_stars:
            continue
        found = _try_blind(
            plane[near],
            xy,
            nx * ny / (np.pi * (widen * reach) ** 2),
            BLIND_SCALES if known else UNKNOWN_SCALES,
            min_stars,
        )
        if found:
            guess = wcs_of(found.transform, unit, ra, dec, nx, ny)
            fit = fit_near(xy, sky, guess, nx, ny, search_px=4.0, min_stars=min_stars, xy_err=xy_err)
            if fit:
                return fit
    return None


def _try_blind(
    plane: NDArray, xy: NDArray, share: float, scales: tuple[float, float], min_stars: int
) -> Registration | None:
    """Compare brightest with brightest: as many of the frame's stars as the catalogue should have on the frame."""
    for n_catalogue in (20, 32, 45):
        n = min(len(plane), n_catalogue)
        for n_frame in sorted({int(np.clip(f * n * min(share, 1.0), 8, 45)) for f in (1.2, 2.2)}):
            found = find_map(
                plane[:BRIGHT],
                xy[:BRIGHT],
                radius=RADIUS_PX,
                n_stars=n,
                n_targets=n_frame,
                scale=scales,
                cells=25,
            )
            if found and found.n_used >= min_stars:
                return found
    return None


def wcs_of(to_pixels: Affine, unit_arcsec: float, ra: float, dec: float, nx: int, ny: int) -> TangentWCS:
    """Return the WCS of a map from the tangent plane (units of `unit_arcsec`) to pixels."""
    back = to_pixels.inverse()
    x0, y0 = (nx - 1) / 2, (ny - 1) / 2
    origin = back(np.array([[x0, y0]]))[0] * unit_arcsec / 3600.0
    matrix = back.matrix * unit_arcsec / 3600.0 * 1000.0
    return TangentWCS(
        ra, dec, x0, y0,
        (float(origin[0]), float(matrix[0, 0]), float(matrix[0, 1])),
        (float(origin[1]), float(matrix[1, 0]), float(matrix[1, 1])),
    )  # fmt: skip
