"""What a frame's header says of its place, against stars: it is checked, never believed."""

from __future__ import annotations

import numpy as np

from photodb.core.sky import separation_deg
from photodb.core.tangent import TangentWCS
from photodb.images.astrometry import SkyFit, SkyStars, fit_near, near_frame
from photodb.images.farsearch import fit_far

from .framestars import FrameStars

FAR_DEG = 1.5
"""How far from where its header points a frame is looked for."""
SCALE_REACH = 3.0
"""How far, in its own radii, a frame is looked for whose scale may be wrong too."""
MANY = 20
"""Stars that both a catalogue and the frame must have on the frame for their not matching to tell against it."""
TURNED_DEG = 1.0
OTHER_SCALE = 0.02


def fit_elsewhere(frame: FrameStars, stars: SkyStars, ra: float, dec: float, scale: float) -> SkyFit | None:
    """Fit a frame that may lie anywhere among the stars of a wide cone, or nearby with another scale.

    Parameters
    ----------
    stars : of a cone of `FAR_DEG` and the frame's own radius around (ra, dec), brightest first.
    scale : arcsec/px, as told; NaN finds nothing.
    """
    size = (frame.nx, frame.ny)
    fit = fit_far(frame.xy, stars, ra, dec, scale, *size, xy_err=frame.xy_err)
    if fit or not np.isfinite(scale):
        return fit
    reach = SCALE_REACH * 0.5 * np.hypot(*size) * scale / 3600
    near = stars.take(separation_deg(ra, dec, stars.ra, stars.dec) <= reach)
    return fit_far(frame.xy, near, ra, dec, scale, *size, any_scale=True, xy_err=frame.xy_err)


def header_remark(frame: FrameStars, fit: SkyFit) -> str:
    """Say what was wrong with the header's WCS; empty where it was right, or where there is none."""
    told, made = frame.header_wcs, fit.wcs
    if told is None:
        return ""
    x, y = frame.nx - 1, frame.ny - 1
    corners = np.array([x / 2, 0, x, x, 0]), np.array([y / 2, 0, 0, y, y])
    apart = separation_deg(*told.to_sky(*corners), *made.to_sky(*corners)) * 3600
    if not apart.max() > 5 * max(fit.rms_arcsec, made.scale_arcsec):
        return ""
    ways = _ways(told, made)
    return f"the header's WCS is off by {apart.max():.1f} arcsec{ways and f' ({ways})'} and was replaced"


def _ways(told: TangentWCS, made: TangentWCS) -> str:
    """Name what is wrong beyond a shift."""
    ways = []
    turn = (told.rotation_deg - made.rotation_deg + 180) % 360 - 180
    if told.mirrored != made.mirrored:
        ways.append("mirrored")
    elif abs(turn) > TURNED_DEG:
        ways.append(f"turned by {turn:.1f} deg")
    ratio = told.scale_arcsec / made.scale_arcsec
    if abs(ratio - 1) > OTHER_SCALE:
        ways.append(f"scale {ratio:.3g} times the true one")
    return ", ".join(ways)


def contradicts(frame: FrameStars, stars: SkyStars, name: str) -> str:
    """Say that a catalogue speaks against the header's WCS; empty where it has too few stars to tell, or agrees.

    It has enough with `MANY` stars on the frame, none fainter than the frame's own by number.
    """
    assert frame.header_wcs is not None
    rows, _ = near_frame(frame.header_wcs, stars, frame.nx, frame.ny, 0.0, len(frame.xy))
    if min(len(rows), len(frame.xy)) < MANY:
        return ""
    if fit_near(frame.xy, stars, frame.header_wcs, frame.nx, frame.ny, xy_err=frame.xy_err):
        return ""
    return (
        f"the WCS of the header is not confirmed: {len(rows)} stars of {name} should be on the frame, and its "
        f"{len(frame.xy)} stars do not match them; position approximate"
    )
