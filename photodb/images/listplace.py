"""Where a star list is: the WCS that its own pixels and positions give, or a plane on which its positions are laid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.sky import deproject, project
from ..core.tangent import TangentWCS, fit_wcs, n_terms
from ..errors import FrameError

DEFAULT_SCALE = 2.0
"""arcsec/px of the plane on which a list without x, y is laid, where nothing tells a scale."""
MARGIN_PX = 10.0
WIDEST_DEG = 20.0
FIT_PX = 0.1
"""A fit as good as this takes no higher order."""
DISAGREE_PX = 2.0


def fitted_wcs(
    x: NDArray, y: NDArray, ra: NDArray, dec: NDArray, nx: int, ny: int
) -> tuple[TangentWCS, float] | None:
    """Return the WCS that the list's own x, y and ra, dec give, and its rms (arcsec); None below three such stars.

    Raises
    ------
    FrameError : code `positions`, they disagree.
    """
    both = np.isfinite(x) & np.isfinite(y) & np.isfinite(ra)
    if both.sum() < 3:
        return None
    ra0, dec0 = middle(ra[both], dec[both])
    best: tuple[TangentWCS, float] | None = None
    for order in (1, 2, 3):  # the lowest that follows the positions
        if both.sum() < max(3, (2 if order > 1 else 1) * n_terms(order)):
            break
        made, rms = _fit(x[both], y[both], ra[both], dec[both], ra0, dec0, nx, ny, order)
        if best is None or rms < 0.8 * best[1]:
            best = made, rms
        if rms < FIT_PX:
            break
    assert best is not None
    if not best[1] < DISAGREE_PX:
        raise FrameError(
            "positions", f"x, y and ra, dec disagree by {best[1]:.1f} px rms: {DISAGREE_PX:g} px are the most"
        )
    return best[0], best[1] * best[0].scale_arcsec


def _fit(
    x: NDArray, y: NDArray, ra: NDArray, dec: NDArray, ra0: float, dec0: float, nx: int, ny: int, order: int
) -> tuple[TangentWCS, float]:
    """Fit one order, clipping twice at five times the median residual; return the WCS and its rms in px."""
    keep = np.ones(len(x), bool)
    for _ in range(3):
        made = fit_wcs(x[keep], y[keep], ra[keep], dec[keep], ra0, dec0, (nx - 1) / 2, (ny - 1) / 2, order)
        if not np.isfinite(made.xi + made.eta).all() or not made.scale_arcsec > 1e-3:
            return made, float("inf")
        xi, eta = made.to_plane(x, y)
        off = (
            np.hypot(*(np.stack(project(ra, dec, ra0, dec0)) - np.stack([xi, eta])))
            * 3600
            / made.scale_arcsec
        )
        rms = float(np.sqrt(np.mean(off[keep] ** 2)))
        fresh = off <= max(5 * float(np.median(off)), 1e-6)
        if fresh.sum() < max(3, 0.7 * len(x), n_terms(order)) or (fresh == keep).all():
            break
        keep = fresh
    return made, rms


def middle(ra: NDArray, dec: NDArray) -> tuple[float, float]:
    """Return the mean direction of positions, deg."""
    a, d = np.radians(ra), np.radians(dec)
    x, y, z = (float(np.mean(v)) for v in (np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)))
    return float(np.degrees(np.arctan2(y, x)) % 360), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def laid_on_plane(ra: NDArray, dec: NDArray, scale: float) -> tuple[TangentWCS, NDArray, NDArray, int, int]:
    """Lay positions on a tangent plane, north up and east to the left; return its WCS, x, y (px) and size (px).

    Raises
    ------
    FrameError : code `positions`, the stars spread over more than one frame can see.
    """
    ra0, dec0 = middle(ra, dec)
    xi, eta = project(ra, dec, ra0, dec0)
    if not (np.isfinite(xi).all() and np.hypot(xi, eta).max() < WIDEST_DEG):
        raise FrameError(
            "positions", f"the stars spread over more than {2 * WIDEST_DEG:g} deg: no frame of one pointing"
        )
    centre = (xi.min() + xi.max()) / 2, (eta.min() + eta.max()) / 2
    ra0, dec0 = (float(v) for v in deproject(*centre, ra0, dec0))
    pixel = scale / 3600
    half = [float(np.ptp(v)) / 2 / pixel + MARGIN_PX for v in (xi, eta)]
    nx, ny = (int(np.ceil(2 * h)) + 1 for h in half)
    wcs = TangentWCS.approximate(ra0, dec0, (nx - 1) / 2, (ny - 1) / 2, scale)
    x, y = wcs.to_pixel(ra, dec)
    return wcs, x, y, nx, ny
