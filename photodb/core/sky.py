"""Positions on the sphere: HEALPix keys, separations, and the tangent plane.

All angles are degrees, all positions ICRS. HEALPix cells are nested; the key stored with every position is of order
29, and a cell of order k is that key shifted right by 2 * (29 - k) bits.
"""

from __future__ import annotations

import numpy as np
from astropy.coordinates import Latitude, Longitude
from cdshealpix.nested import cone_search, external_neighbours, healpix_to_lonlat, lonlat_to_healpix
from numpy.typing import ArrayLike, NDArray

KEY_ORDER = 29
DEG = np.pi / 180.0
MAX_CONE_DEPTH = 24
FEW = 50_000
"""Positions up to which one thread is quicker than several."""


def healpix29(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """Return the HEALPix cell of order 29 of each position; -1 where a coordinate is not finite.

    Parameters
    ----------
    ra, dec : (n,) deg
    """
    ra = np.atleast_1d(np.asarray(ra, float))
    dec = np.atleast_1d(np.asarray(dec, float))
    key = np.full(len(ra), -1, np.int64)
    good = np.isfinite(ra) & np.isfinite(dec)
    if good.any():
        lon = Longitude(ra[good], unit="deg", copy=False)
        lat = Latitude(dec[good], unit="deg", copy=False)
        key[good] = lonlat_to_healpix(lon, lat, KEY_ORDER, num_threads=_threads(len(lon))).astype(np.int64)
    return key


def _threads(n: int) -> int:
    """Return 1 for a frame's worth of positions, which threads only slow down, else 0, for one a core."""
    return 1 if n < FEW else 0


def key_position(key: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ra, dec (deg) of the centres of cells of order 29 (0.4 mas wide); keys must not be negative."""
    cells = np.asarray(key, np.int64).astype(np.uint64)
    lon, lat = healpix_to_lonlat(cells, KEY_ORDER, num_threads=_threads(len(cells)))
    return wrap(lon.deg), np.asarray(lat.deg, float)


def cell_of(key: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Return the cell of a lower order that holds each key of order 29; -1 stays -1."""
    return np.where(key < 0, -1, key >> (2 * (KEY_ORDER - order)))


CELL_DEG = 58.6
"""Width of the cells of order 0; each order halves it."""


def cone_ranges(ra: float, dec: float, radius_deg: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ranges [lo, hi) of order-29 keys that cover a cone, merged and ascending.

    The cells are two orders finer than the cone, so that the ranges hold little more than the cone itself.

    Parameters
    ----------
    ra, dec, radius_deg : deg
    """
    depth = int(np.clip(np.floor(np.log2(CELL_DEG / max(radius_deg, 1e-7))) + 2, 0, MAX_CONE_DEPTH))
    cells, depths, _ = cone_search(
        Longitude(ra % 360.0, unit="deg"),
        Latitude(dec, unit="deg"),
        Longitude(min(radius_deg * 1.0000001 + 1e-9, 180.0), unit="deg"),
        depth,
        depth_delta=2,
    )
    shift = 2 * (KEY_ORDER - depths.astype(np.int64))
    lo = np.sort(cells.astype(np.int64) << shift)
    hi = np.sort((cells.astype(np.int64) + 1) << shift)
    first = np.concatenate(([True], lo[1:] != hi[:-1]))
    last = np.concatenate((first[1:], [True]))
    return lo[first], hi[last]


def cell_ranges(cell: int, order: int, border_order: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ranges [lo, hi) of order-29 keys that cover a cell and a border of cells of a higher order around it."""
    edge, corner = external_neighbours(
        np.array([cell], np.uint64), order, border_order - order, num_threads=1
    )
    around = np.concatenate([edge.ravel(), corner.ravel()]).astype(np.int64)
    shift = 2 * (KEY_ORDER - border_order)
    lo = np.r_[cell << (2 * (KEY_ORDER - order)), around[around >= 0] << shift]
    hi = np.r_[(cell + 1) << (2 * (KEY_ORDER - order)), (around[around >= 0] + 1) << shift]
    return lo, hi


def cone_cells(ra: float, dec: float, radius_deg: float, order: int) -> NDArray[np.int64]:
    """Return the cells of one order that touch a cone, ascending."""
    cells, _, _ = cone_search(
        Longitude(ra % 360.0, unit="deg"),
        Latitude(dec, unit="deg"),
        Longitude(min(radius_deg, 180.0), unit="deg"),
        order,
        depth_delta=3,
        flat=True,
    )
    return np.unique(cells.astype(np.int64))


def wrap(ra: ArrayLike) -> NDArray[np.float64]:
    """Return right ascensions in [0, 360); the remainder of a tiny negative number would be 360 itself."""
    turned = np.asarray(ra, float) % 360.0
    return np.where(turned < 360.0, turned, 0.0)


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
    """Return the unit vectors (n, 3) of positions."""
    a, d = np.radians(np.asarray(ra, float)), np.radians(np.asarray(dec, float))
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def middle_of(vectors: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ra and dec, deg (n,), of the directions of vectors (n, 3) of any length."""
    x, y, z = np.asarray(vectors, float).T
    return wrap(np.degrees(np.arctan2(y, x))), np.degrees(np.arctan2(z, np.hypot(x, y)))


def separation_deg(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> NDArray[np.float64]:
    """Return the angle between positions by the haversine formula, exact for small and large angles."""
    a1, d1, a2, d2 = (np.radians(np.asarray(v, float)) for v in (ra1, dec1, ra2, dec2))
    h = np.sin((d2 - d1) / 2) ** 2 + np.cos(d1) * np.cos(d2) * np.sin((a2 - a1) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1))))


def project(
    ra: ArrayLike, dec: ArrayLike, ra0: float | NDArray, dec0: float | NDArray
) -> tuple[NDArray, NDArray]:
    """Project positions on the plane tangent at (ra0, dec0); NaN for the far hemisphere.

    Returns xi (east) and eta (north) in degrees; the tangent point may be one or one for each row.
    """
    a, d = np.radians(np.asarray(ra, float)) - ra0 * DEG, np.radians(np.asarray(dec, float))
    s0, c0 = np.sin(dec0 * DEG), np.cos(dec0 * DEG)
    cos_c = s0 * np.sin(d) + c0 * np.cos(d) * np.cos(a)
    cos_c = np.where(cos_c > 1e-6, cos_c, np.nan)
    xi = np.cos(d) * np.sin(a) / cos_c
    eta = (c0 * np.sin(d) - s0 * np.cos(d) * np.cos(a)) / cos_c
    return xi / DEG, eta / DEG


def deproject(
    xi: ArrayLike, eta: ArrayLike, ra0: float | NDArray, dec0: float | NDArray
) -> tuple[NDArray, NDArray]:
    """Return ra, dec in degrees of points of the plane tangent at (ra0, dec0); inverse of `project`.

    With a tangent point for each row it moves positions by xi (east) and eta (north), at the poles too.
    """
    x, y = np.asarray(xi, float) * DEG, np.asarray(eta, float) * DEG
    s0, c0 = np.sin(dec0 * DEG), np.cos(dec0 * DEG)
    denominator = c0 - y * s0
    ra = np.arctan2(x, denominator) / DEG + ra0
    dec = np.arctan2(s0 + y * c0, np.hypot(denominator, x)) / DEG
    return wrap(ra), dec
