"""A systematic correction of a catalogue's positions: a shift, a slope in magnitude, a polynomial around a place.

What is added to a position, in arcsec on the sky (east is ra times cos(dec)), is

    east  = ra_arcsec  + ra_per_mag_arcsec  * (mag - mag0) + plane's east polynomial(xi, eta)
    north = dec_arcsec + dec_per_mag_arcsec * (mag - mag0) + plane's north polynomial(xi, eta)

where mag is the brightest of the star's magnitudes (a star without one gets no term in it), and xi, eta are degrees on
the plane tangent at the polynomial's place, which holds within its radius and is nothing beyond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photodb.errors import UsageError

from .sky import deproject, project, separation_deg
from .tangent import n_terms, terms

MOST_ARCSEC = 60.0
"""A correction of a shift or slope above this is a slip of units."""
WIDEST_DEG = 60.0
HIGHEST_ORDER = 3


@dataclass(frozen=True)
class PlanePolynomial:
    """A polynomial over the plane tangent at a place; terms 1, xi, eta, xi^2, xi eta, eta^2, ... to order 3."""

    ra: float  # deg
    dec: float  # deg
    radius: float  # deg, beyond which it is nothing
    east: tuple[float, ...]  # arcsec, by degrees to the power of the term
    north: tuple[float, ...]  # arcsec

    def __post_init__(self) -> None:
        _within("plane.ra", self.ra, 0.0, 360.0)
        _within("plane.dec", self.dec, -90.0, 90.0)
        _within("plane.radius", self.radius, 1e-6, WIDEST_DEG)
        counts = [n_terms(order) for order in range(HIGHEST_ORDER + 1)]
        for name in ("east", "north"):
            values = getattr(self, name)
            if len(values) not in counts:
                raise UsageError(
                    f"correction: plane.{name} has {len(values)} terms; {', '.join(map(str, counts))} are those of "
                    f"orders 0 to {HIGHEST_ORDER}: 1, xi, eta, xi^2, xi eta, eta^2, ..."
                )
            if not np.isfinite(values).all():
                raise UsageError(f"correction: plane.{name} holds {values}: finite numbers needed")

    def __call__(self, ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
        """Return east and north (n,) in arcsec at positions (deg)."""
        xi, eta = project(ra, dec, self.ra, self.dec)
        near = separation_deg(ra, dec, self.ra, self.dec) <= self.radius
        xi, eta = np.where(near, xi, 0.0), np.where(near, eta, 0.0)
        return tuple(  # type: ignore[return-value]
            np.where(near, terms(xi, eta, _order(values)) @ np.asarray(values), 0.0)
            for values in (self.east, self.north)
        )


@dataclass(frozen=True)
class Correction:
    """What is to be added to a catalogue's positions; see the module's text."""

    ra_arcsec: float = 0.0  # times cos(dec)
    dec_arcsec: float = 0.0
    ra_per_mag_arcsec: float = 0.0  # times cos(dec), a magnitude
    dec_per_mag_arcsec: float = 0.0
    mag0: float = 0.0  # mag at which the slopes give nothing
    plane: PlanePolynomial | None = None

    def __post_init__(self) -> None:
        for name in ("ra_arcsec", "dec_arcsec", "ra_per_mag_arcsec", "dec_per_mag_arcsec"):
            _within(name, getattr(self, name), -MOST_ARCSEC, MOST_ARCSEC)
        _within("mag0", self.mag0, -10.0, 40.0)

    def __bool__(self) -> bool:
        return self != Correction(mag0=self.mag0)

    def offsets(self, ra: ArrayLike, dec: ArrayLike, mag: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return what is added east and north (n,), arcsec.

        Parameters
        ----------
        ra, dec : (n,) deg, as the catalogue has them
        mag : (n,) mag; not finite where unknown
        """
        ra, dec, mag = (np.atleast_1d(np.asarray(v, float)) for v in (ra, dec, mag))
        fainter = np.where(np.isfinite(mag), mag - self.mag0, 0.0)
        east = self.ra_arcsec + self.ra_per_mag_arcsec * fainter
        north = self.dec_arcsec + self.dec_per_mag_arcsec * fainter
        if self.plane is not None:
            more = self.plane(ra, dec)
            east, north = east + more[0], north + more[1]
        return east, north

    def apply(self, ra: ArrayLike, dec: ArrayLike, mag: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return the corrected ra and dec (n,), deg; see `offsets`."""
        east, north = self.offsets(ra, dec, mag)
        ra, dec = (np.atleast_1d(np.asarray(v, float)) for v in (ra, dec))
        return deproject(east / 3600.0, north / 3600.0, ra, dec)

    def to_dict(self) -> dict[str, Any]:
        """Return what is not nothing as JSON-ready values; {} for no correction."""
        if not self:
            return {}
        values = {k: v for k, v in asdict(self).items() if v not in (0.0, None) and k != "plane"}
        if self.plane is not None:
            plane = asdict(self.plane)
            values["plane"] = plane | {"east": list(self.plane.east), "north": list(self.plane.north)}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Correction:
        """Make a correction of a mapping, as from TOML or JSON; {} is none.

        Raises
        ------
        UsageError : an unknown name, a missing or impossible value.
        """
        _only("", values, cls)
        numbers = {name: _number(name, v) for name, v in values.items() if name != "plane"}
        plane = values.get("plane")
        return cls(**numbers, plane=None if plane is None else _plane(plane))


def _plane(values: Any) -> PlanePolynomial:
    if not isinstance(values, Mapping):
        raise UsageError(f"correction: plane is {values!r}: a table with ra, dec, radius, east, north needed")
    _only("plane.", values, PlanePolynomial)
    missing = [name for name in PlanePolynomial.__dataclass_fields__ if name not in values]
    if missing:
        raise UsageError(f"correction: plane lacks {', '.join(missing)}")
    ra, dec, radius = (_number(f"plane.{name}", values[name]) for name in ("ra", "dec", "radius"))
    return PlanePolynomial(ra, dec, radius, _numbers(values, "east"), _numbers(values, "north"))


def _numbers(values: Mapping[str, Any], name: str) -> tuple[float, ...]:
    if not isinstance(values[name], list | tuple):
        raise UsageError(f"correction: plane.{name} is {values[name]!r}: a list of numbers needed")
    return tuple(_number(f"plane.{name}", v) for v in values[name])


def _only(prefix: str, values: Mapping[str, Any], cls: type) -> None:
    known = list(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    unknown = [str(name) for name in values if name not in known]
    if unknown:
        names = ", ".join(prefix + name for name in unknown)
        raise UsageError(f"correction: no {names}; known are {', '.join(prefix + name for name in known)}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"correction: {name} is {value!r}: a number needed")
    return float(value)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"correction: {name} is {value}: {low:g} to {high:g} believed")


def _order(values: tuple[float, ...]) -> int:
    return round((float(np.sqrt(8 * len(values) + 1)) - 3) / 2)
