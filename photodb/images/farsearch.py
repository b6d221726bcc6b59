"""Place a frame whose header points elsewhere, or has another scale, by a search in a catalogue around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.farpatterns import find_far
from ..core.sky import project
from .astrometry import MIN_STARS, RADIUS_PX, SkyFit, SkyStars, fit_near, wcs_of

DEPTHS = (1.0, 2.5, 0.5)
"""Catalogue stars for each of the frame's on the same area that are tried: the lists need not be equally deep."""
NEAR_SCALES = (0.9, 1.1)
OTHER_SCALES = ((1.0, 0.7, 1.45), (0.5, 0.7, 1.45), (2.0, 0.7, 1.45))
"""Factor of the scale told, and the range around it: together a third to three times."""
LEAST_ON_FRAME = 8
"""Catalogue stars that must lie on an area like the frame's, on average."""


def fit_far(
    xy: NDArray,
    sky: SkyStars,
    ra: float,
    dec: float,
    scale_arcsec: float,
    nx: int,
    ny: int,
    *,
    any_scale: bool = False,
    xy_err: NDArray | None = None,
) -> SkyFit | None:
    """Fit the WCS of a frame that lies anywhere among the stars, with any rotation and parity.

    Parameters
    ----------
    xy : (n, 2) px, the frame's stars, brightest first; xy_err their errors, if known.
    sky : stars of a large area around (ra, dec), brightest first.
    scale_arcsec : pixel scale, right to 10 %, or with `any_scale` to a factor of three.
    """
    ranges = OTHER_SCALES if any_scale else ((1.0, *NEAR_SCALES),)
    if not np.isfinite(scale_arcsec) or min(len(xy), len(sky)) < MIN_STARS:
        return None
    xi, eta = project(sky.ra, sky.dec, ra, dec)
    here = np.flatnonzero(np.isfinite(xi))
    for factor, low, high in ranges:
        unit = scale_arcsec * factor
        plane = np.column_stack([xi[here], eta[here]]) * 3600.0 / unit
        if len(plane) < LEAST_ON_FRAME * max(1.0, np.prod(np.ptp(plane, axis=0)) / (nx * ny)):
            continue
        for depth in DEPTHS[:1] if any_scale else DEPTHS:
            found = find_far(xy, plane, radius=RADIUS_PX, scale=(low, high), depth=depth)
            if found:
                guess = wcs_of(found.transform.inverse(), unit, ra, dec, nx, ny)
                fit = fit_near(xy, sky, guess, nx, ny, search_px=6.0, xy_err=xy_err)
                if fit:
                    return fit
    return None
