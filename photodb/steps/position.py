"""Positions and radii that are asked about."""

from __future__ import annotations

import numpy as np

from photodb.errors import UsageError

MAX_CONE_DEG = 180.0
MAX_NEIGHBOURS = 20
"""Sources within the radius that are looked at when the nearest has nothing."""


def check_position(ra: float, dec: float) -> None:
    """Refuse what is no place on the sky.

    Raises
    ------
    UsageError : not finite, or a declination beyond a pole.
    """
    if not (np.isfinite(ra) and np.isfinite(dec) and abs(dec) <= 90):
        raise UsageError(f"RA {ra} Dec {dec}: both must be finite, in degrees, and Dec between -90 and 90")
