"""An invented sky: stars with a luminosity function, colours, close pairs and known variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .variables import Variable

Array = NDArray[np.float64]

CENTRE = (303.75, 35.0)
"""Centre of the field in degrees (ICRS): 20h15m +35d, in Cygnus, high at midnight in August at both sites."""

SIZE_ARCMIN = (17.5, 15.0)
"""Width and height of the area that holds stars: a little more than the wider frame sees when turned."""

BRIGHTEST, FAINTEST = 10.5, 18.0
"""Range of V magnitudes."""

SLOPE = 0.27
"""The number of stars a magnitude grows as 10^(SLOPE V)."""

PAIR_SHARE = 0.03
"""Share of the stars that get a close neighbour."""

PAIR_ARCSEC = (2.5, 6.0)
"""Separation of the close pairs."""

CLEAR_ARCSEC = 14.0
"""Around a variable no star brighter than two magnitudes below it comes nearer than this."""

BANDS = ("V", "R")
"""Bands in which every star has a magnitude."""


@dataclass(frozen=True)
class Sky:
    """The stars: n rows; `mag` is (n, 2) in the order of `BANDS`, without variability."""

    star_id: NDArray[np.int64]
    ra: Array  # deg
    dec: Array  # deg
    mag: Array
    pair: NDArray[np.int64]  # id of the neighbour in a close pair, -1 if none
    variables: dict[int, Variable]  # row -> how it varies

    def __len__(self) -> int:
        return len(self.star_id)

    @property
    def colour(self) -> Array:
        """Return V-R."""
        return self.mag[:, 0] - self.mag[:, 1]

    def magnitudes(self, band: str, bjd: float) -> Array:
        """Return the magnitude of every star in a band at BJD_TDB - 2400000.5."""
        mag = self.mag[:, BANDS.index(band)].copy()
        for row, variable in self.variables.items():
            mag[row] += variable.magnitude(np.array(bjd))
        return mag


def make_sky(n_stars: int, nights: Array, rng: np.random.Generator, n_variables: int | None = None) -> Sky:
    """Return a sky of `n_stars`; rare events happen near `nights`, the middles of the nights (MJD).

    The variables are isolated, lie well inside the field and are bright enough to be found.
    """
    mag = _magnitudes(n_stars, rng)
    colour = np.clip(rng.normal(0.45, 0.2, n_stars), -0.1, 1.4)
    east, north = (rng.uniform(-0.5, 0.5, (2, n_stars)).T * np.array(SIZE_ARCMIN) * 60).T
    pair = _make_pairs(east, north, mag, rng)
    number = default_variables(n_stars) if n_variables is None else n_variables
    variables = _choose_variables(number, east, north, mag, pair, nights, rng)
    dec = CENTRE[1] + north / 3600
    ra = (CENTRE[0] + east / 3600 / np.cos(np.radians(dec))) % 360
    return Sky(np.arange(1, n_stars + 1), ra, dec, np.column_stack([mag, mag - colour]), pair, variables)


def default_variables(n_stars: int) -> int:
    """Return how many variables a sky gets: one in sixty stars, 2 to 9."""
    return int(np.clip(n_stars // 60, 2, 9))


def _magnitudes(n: int, rng: np.random.Generator) -> Array:
    """Draw magnitudes from 10^(SLOPE m), one from each of n equal shares: small skies have bright stars."""
    share = (np.arange(n) + rng.uniform(0, 1, n)) / n
    span = 10 ** (SLOPE * (FAINTEST - BRIGHTEST)) - 1
    return rng.permutation(BRIGHTEST + np.log10(1 + share * span) / SLOPE)


def _make_pairs(east: Array, north: Array, mag: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Move one star in thirty beside another, in place; return each star's partner's id or -1."""
    n = len(mag)
    pair = np.full(n, -1)
    rows = rng.permutation(n)[: 2 * round(PAIR_SHARE * n)].reshape(2, -1)
    separation = rng.uniform(*PAIR_ARCSEC, rows.shape[1])
    angle = rng.uniform(0, 2 * np.pi, rows.shape[1])
    east[rows[1]] = east[rows[0]] + separation * np.cos(angle)
    north[rows[1]] = north[rows[0]] + separation * np.sin(angle)
    pair[rows[0]], pair[rows[1]] = rows[1] + 1, rows[0] + 1
    return pair


RECIPES: tuple[tuple[str, float, float, float, float, float], ...] = (
    # kind, amplitude mag, period d, duration (share of the period, or days), V from, V to
    ("rr_lyrae", 0.85, 0.4783, np.nan, 13.5, 15.2),
    ("eclipsing", 0.55, 0.6917, 0.17, 13.0, 14.8),
    ("delta_scuti", 0.09, 0.0871, np.nan, 12.6, 13.8),
    ("transit", 0.045, 1.2580, 0.105, 12.5, 13.4),
    ("contact", 0.42, 0.3561, np.nan, 14.0, 15.6),
    ("flare", 0.80, np.nan, 0.05, 13.5, 15.0),
    ("sine", 0.16, 0.2315, np.nan, 13.5, 15.0),
    ("rr_lyrae", 0.55, 0.5632, np.nan, 14.5, 16.0),
    ("eclipsing", 0.80, 0.4411, 0.20, 14.5, 16.0),
)
"""The variables in the order in which they are put into a sky."""


def _choose_variables(
    number: int,
    east: Array,
    north: Array,
    mag: Array,
    pair: NDArray[np.int64],
    nights: Array,
    rng: np.random.Generator,
) -> dict[int, Variable]:
    """Make isolated stars of suitable magnitude, near enough to the centre, vary."""
    chosen: dict[int, Variable] = {}
    inner = (np.abs(east) < 0.30 * SIZE_ARCMIN[0] * 60) & (np.abs(north) < 0.25 * SIZE_ARCMIN[1] * 60)
    for kind, amplitude, period, duration, bright, faint in (RECIPES * (1 + number // len(RECIPES)))[:number]:
        able = inner & (pair < 0) & ~np.isin(np.arange(len(mag)), list(chosen))
        row = _isolated(able, 0.5 * (bright + faint), 0.5 * (faint - bright), east, north, mag, rng)
        scatter = rng.normal(0, 0.01)
        chosen[row] = Variable(
            kind,
            amplitude,
            epoch=_epoch(kind, nights, rng),
            period=period * (1 + scatter),
            duration=duration,
        )
    return chosen


def _isolated(
    able: NDArray[np.bool_],
    centre: float,
    half: float,
    east: Array,
    north: Array,
    mag: Array,
    rng: np.random.Generator,
) -> int:
    """Return the row of an isolated star in the range of magnitudes, else the one nearest to the range."""
    distance = np.hypot(east[:, None] - east, north[:, None] - north)
    np.fill_diagonal(distance, np.inf)
    disturbed = ((distance < CLEAR_ARCSEC) & (mag[None, :] < mag[:, None] + 2)).any(axis=1)
    rows = np.flatnonzero(able & ~disturbed)
    if not len(rows):
        rows = np.flatnonzero(able) if able.any() else np.arange(len(mag))
    inside = rows[np.abs(mag[rows] - centre) <= half]
    if len(inside):
        return int(rng.choice(inside))
    return int(rows[np.argmin(np.abs(mag[rows] - centre))])


def _epoch(kind: str, nights: Array, rng: np.random.Generator) -> float:
    """Return an epoch: rare events happen in the middle half of a night, the others whenever they like."""
    if kind == "flare":
        return float(nights[len(nights) // 2] + rng.uniform(-0.08, 0.0))
    if kind == "transit":
        return float(nights[0] + rng.uniform(-0.03, 0.03))
    return float(nights[0] + rng.uniform(0, 1))
