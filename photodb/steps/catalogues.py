"""The stars that a frame may be placed by: the loaded catalogues by priority, then the built-in bright list."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from photodb.core.sky import separation_deg
from photodb.images.astrometry import SkyStars
from photodb.images.brightlist import bright_stars
from photodb.storage import refcats
from photodb.storage.engine import Connection
from photodb.storage.refcats import Catalogue

SPARE_DEG = 0.5
"""How much wider than asked a cone is fetched, so that the next frame's lies within it."""

MOST_CONES = 24


@dataclass
class Catalogues:
    """The catalogues of one ingest; keeps the last cones it has fetched."""

    only: Catalogue | None = None  # this one, and no other
    _known: list[Catalogue] | None = None
    _cones: dict[tuple[int, float, float, float, float], SkyStars] = field(default_factory=dict)

    def by_priority(self, conn: Connection) -> list[Catalogue | None]:
        """List the loaded catalogues, the first to try first, and None for the built-in list at the end."""
        if self.only is not None:
            return [self.only]
        if self._known is None:
            self._known = refcats.by_priority(conn)
        return [*self._known, None]

    def stars(
        self,
        conn: Connection,
        catalogue: Catalogue | None,
        ra: float,
        dec: float,
        need_deg: float,
        epoch: float,
    ) -> SkyStars:
        """Return the stars within at least `need_deg` of a place, brightest first, at a Julian epoch (to a month)."""
        number = catalogue.reference_catalogue_id if catalogue else -1
        month = round(epoch * 12) / 12
        for (known, when, ra0, dec0, reach), kept in self._cones.items():
            if (known, when) == (number, month) and separation_deg(ra, dec, ra0, dec0) + need_deg <= reach:
                return kept
        reach = need_deg + SPARE_DEG
        if catalogue is None:
            stars = bright_stars(ra, dec, reach)
        else:
            rows = refcats.stars_in_cone(conn, catalogue, ra, dec, reach, month)
            err = np.full(len(rows), catalogue.position_error)
            stars = SkyStars(rows["key"], rows["ra"], rows["dec"], rows["mag"], err)
        if len(self._cones) >= MOST_CONES:
            self._cones.pop(next(iter(self._cones)))
        self._cones[number, month, ra, dec, reach] = stars
        return stars
