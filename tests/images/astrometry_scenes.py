"""Frames and catalogues of known place and distortion, for the bounds of the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core.sky import separation_deg
from photodb.core.tangent import TangentWCS, fit_wcs
from photodb.images.astrometry import SkyFit, SkyStars, fit_near

NX, NY = 1676, 1266
CENTROID_PX = 0.05


@dataclass(frozen=True)
class Truth:
    """A linear WCS behind a lens: a pixel sees what the linear one has at the pixel plus `warp` of it."""

    linear: TangentWCS
    warp: object  # callable (u, v) -> (dx, dy) px; u, v are 1 at the corners' distance from the centre

    def to_sky(self, x, y) -> tuple[NDArray, NDArray]:
        """Return ra, dec (deg) of pixels."""
        reach = np.hypot(NX, NY) / 2
        dx, dy = self.warp((x - self.linear.x0) / reach, (y - self.linear.y0) / reach)
        return self.linear.to_sky(x + dx, y + dy)


def lens(corner_px):
    """Return a lens' third-order distortion of so many pixels at the corners."""
    return lambda u, v: (corner_px * u * (u**2 + v**2), corner_px * v * (u**2 + v**2))


NO_LENS = lens(0.0)


@dataclass(frozen=True)
class Scene:
    """What a frame shows, what a catalogue says, and what is true."""

    truth: Truth
    stars: SkyStars
    xy: NDArray

    def fit(self) -> SkyFit | None:
        """Fit from a guess that is right to the distortion."""
        err = np.full((len(self.xy), 2), CENTROID_PX)
        return fit_near(self.xy, self.stars, self.truth.linear, NX, NY, xy_err=err)

    def error_arcsec(self, wcs: TangentWCS) -> NDArray:
        """Return how far a WCS is from the truth on a grid over the frame, corners included."""
        x, y = (g.ravel() for g in np.meshgrid(np.linspace(0, NX - 1, 9), np.linspace(0, NY - 1, 9)))
        return separation_deg(*wcs.to_sky(x, y), *self.truth.to_sky(x, y)) * 3600

    def linear_arcsec(self, fit: SkyFit) -> NDArray:
        """Return the same of a plain linear fit to the stars that a fit used."""
        t, i, j = self.truth.linear, fit.stars[fit.used], fit.detections[fit.used]
        made = fit_wcs(*self.xy[j].T, self.stars.ra[i], self.stars.dec[i], t.ra0, t.dec0, t.x0, t.y0)
        return self.error_arcsec(made)


def scene(seed, n=100, warp=NO_LENS, noise_arcsec=0.1, false=0.3, cover=(0.0, 1.0), wrong=0.0):
    """Make a scene of `n` stars anywhere on the sky.

    Parameters
    ----------
    false : spurious detections, in shares of n; wrong : share of catalogue stars that are off by 0.5 to 1.5 arcsec.
    cover : where the stars are along both axes, in shares of the frame.
    """
    rng = np.random.default_rng([seed, 471])
    centre = rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-1, 1)))
    linear = TangentWCS.approximate(*centre, (NX - 1) / 2, (NY - 1) / 2, 1.0, rng.uniform(0, 360))
    truth = Truth(linear, warp)
    x, y = rng.uniform(*cover, n) * (NX - 1), rng.uniform(*cover, n) * (NY - 1)
    ra, dec = truth.to_sky(x, y)
    off = rng.normal(0, noise_arcsec, (2, n))
    bad = rng.random(n) < wrong
    angle, far = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.5, 1.5, n)
    off[:, bad] += (far * [np.cos(angle), np.sin(angle)])[:, bad]
    mag = rng.uniform(9, 15, n)
    order = np.argsort(mag)
    stars = SkyStars(
        np.arange(n),
        (ra + off[0] / 3600 / np.cos(np.radians(dec)))[order] % 360,
        (dec + off[1] / 3600)[order],
        mag[order],
    )
    n_false = round(false * n)
    seen = np.column_stack([x, y]) + rng.normal(0, CENTROID_PX, (n, 2))
    xy = np.vstack([seen, rng.uniform(0, 1, (n_false, 2)) * [NX, NY]])
    brightness = np.concatenate([mag + rng.normal(0, 0.2, n), rng.uniform(9, 15, n_false)])
    return Scene(truth, stars, xy[np.argsort(brightness)])
