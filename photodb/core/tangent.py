"""The map from pixels to the sky: a tangent plane with polynomial terms.

xi, eta (degrees on the plane tangent at `crval`) are polynomials of u = (x - crpix_x) / 1000 and v likewise, of order
1 (shift, scale, rotation, shear) to 3. Pixels count from 0 at the centre of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .sky import deproject, project

UNIT = 1000.0
"""Pixels in one unit of the polynomial's arguments."""


def terms(u: NDArray, v: NDArray, order: int) -> NDArray[np.float64]:
    """Return the monomials 1, u, v, u2, uv, v2, ... up to `order` as columns (n, k)."""
    return np.stack([u ** (p - q) * v**q for p in range(order + 1) for q in range(p + 1)], axis=-1)


def n_terms(order: int) -> int:
    """Count the monomials up to `order`."""
    return (order + 1) * (order + 2) // 2


@dataclass(frozen=True)
class TangentWCS:
    """A tangent-plane world coordinate system; see the module's text for its form."""

    ra0: float  # deg
    dec0: float  # deg
    x0: float  # px
    y0: float  # px
    xi: tuple[float, ...]  # deg, coefficients
    eta: tuple[float, ...]  # deg

    @property
    def order(self) -> int:
        """Order of the polynomial."""
        return round((float(np.sqrt(8 * len(self.xi) + 1)) - 3) / 2)

    @property
    def linear(self) -> NDArray[np.float64]:
        """The (2, 2) matrix of first-degree terms in degrees a pixel."""
        return np.array([self.xi[1:3], self.eta[1:3]]) / UNIT

    @property
    def scale_arcsec(self) -> float:
        """Pixel scale, arcsec a pixel (geometric mean of the axes)."""
        return float(np.sqrt(abs(np.linalg.det(self.linear))) * 3600.0)

    @property
    def rotation_deg(self) -> float:
        """Position angle of the y axis, degrees east of north."""
        return float(np.degrees(np.arctan2(self.linear[0, 1], self.linear[1, 1])))

    @property
    def mirrored(self) -> bool:
        """Whether x runs east when y runs north."""
        return bool(np.linalg.det(self.linear) > 0)

    def to_plane(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return xi, eta (deg) of pixels."""
        columns = terms(
            (np.asarray(x, float) - self.x0) / UNIT, (np.asarray(y, float) - self.y0) / UNIT, self.order
        )
        return columns @ np.asarray(self.xi), columns @ np.asarray(self.eta)

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return ra, dec (deg) of pixels."""
        return deproject(*self.to_plane(x, y), self.ra0, self.dec0)

    def to_pixel(self, ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return x, y (px) of positions by Newton's method on the linear part; NaN for the far hemisphere."""
        xi, eta = project(ra, dec, self.ra0, self.dec0)
        inverse = np.linalg.inv(self.linear)
        x = np.full(np.shape(xi), self.x0)
        y = np.full(np.shape(xi), self.y0)
        for _ in range(1 if self.order == 1 else 12):
            px, py = self.to_plane(x, y)
            dx, dy = xi - px, eta - py
            x = x + inverse[0, 0] * dx + inverse[0, 1] * dy
            y = y + inverse[1, 0] * dx + inverse[1, 1] * dy
        return x, y

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON-ready values."""
        return {
            "ra0": self.ra0,
            "dec0": self.dec0,
            "x0": self.x0,
            "y0": self.y0,
            "xi": list(self.xi),
            "eta": list(self.eta),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TangentWCS:
        """Make the WCS of what `to_dict` gave."""
        numbers = {name: float(values[name]) for name in ("ra0", "dec0", "x0", "y0")}
        return cls(**numbers, xi=tuple(values["xi"]), eta=tuple(values["eta"]))

    @classmethod
    def approximate(
        cls, ra0: float, dec0: float, x0: float, y0: float, scale_arcsec: float, rotation_deg: float = 0.0
    ) -> TangentWCS:
        """Make the plainest WCS: `(ra0, dec0)` at `(x0, y0)`, y at position angle `rotation_deg`, east to the left."""
        s = scale_arcsec / 3600.0 * UNIT
        c, sn = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
        return cls(ra0, dec0, x0, y0, (0.0, -s * c, s * sn), (0.0, s * sn, s * c))


def fit_wcs(
    x: ArrayLike,
    y: ArrayLike,
    ra: ArrayLike,
    dec: ArrayLike,
    ra0: float,
    dec0: float,
    x0: float,
    y0: float,
    order: int = 1,
) -> TangentWCS:
    """Fit a tangent-plane WCS to matched stars by plain least squares.

    Parameters
    ----------
    x, y : (n,) px
    ra, dec : (n,) deg
    ra0, dec0, x0, y0 : tangent point (deg) and the pixel from which the polynomial counts.
    order : 1 to 3; n must be at least `n_terms(order)`.

    Raises
    ------
    ValueError : fewer stars than terms.
    """
    xi, eta = project(ra, dec, ra0, dec0)
    design = terms((np.asarray(x, float) - x0) / UNIT, (np.asarray(y, float) - y0) / UNIT, order)
    if len(design) < design.shape[1]:
        raise ValueError(f"{len(design)} stars cannot fix {design.shape[1]} terms of order {order}")
    solution, *_ = np.linalg.lstsq(design, np.stack([xi, eta], axis=1), rcond=None)
    return TangentWCS(ra0, dec0, x0, y0, tuple(solution[:, 0].tolist()), tuple(solution[:, 1].tolist()))
