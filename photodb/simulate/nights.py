"""The nights: when each telescope exposes, and what the sky, the clouds and a tree do to each exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sky import CENTRE
from .telescopes import Telescope, altitude, hour_angle

Array = NDArray[np.float64]

FIRST_NIGHT = 60905
"""MJD of 2025-08-18, the first night: moonless after midnight, the sun below -12 deg in all exposures."""

TDB_MINUS_UTC = 69.184
"""Seconds; no leap second since 2017."""

LIGHT_SECONDS_PER_AU = 499.004784


@dataclass(frozen=True)
class Weather:
    """How much the atmosphere and the optics misbehave."""

    clouds: float = 0.4  # mag, depth of the deepest cloud
    spatial: float = 0.008  # mag, rms of each of the five spatial terms of a frame
    tree: bool = True  # whether a tree ends one night
    seeing_scatter: float = 0.08  # relative
    satellites: int = 1
    cosmic_rays: float = 8.0  # a frame, mean


@dataclass(frozen=True)
class Exposure:
    """One exposure and all that is true of it."""

    frame: int  # number over all telescopes, 0 first
    telescope: int
    night: int  # 0 first
    number: int  # within the night and telescope, 1 first
    band: str
    mjd_start: float
    exptime: float
    bjd: float  # middle, BJD_TDB - 2400000.5
    airmass: float
    flipped: bool
    rotation: float  # deg, position angle of the y axis
    shift: tuple[float, float]  # px, of the field's centre from the frame's centre
    fwhm: float  # px, at the centre of the frame
    zero_point: float  # mag: calibrated = -2.5 log10(flux_e / exptime) + zero_point + terms
    terms: tuple[float, float, float, float, float]  # mag, Legendre x, y, xx, xy, yy
    cloud: float  # mag of grey loss, contained in zero_point
    tree: float  # 0 none ... 1 the field is behind it; not contained in zero_point
    satellite: bool
    sky: float  # e-/px, mean
    sky_gradient: tuple[float, float]  # relative, from the centre to the edge in x and y

    @property
    def mjd(self) -> float:
        """Return the middle of the exposure, MJD UTC."""
        return self.mjd_start + self.exptime / 2 / 86400


def barycentric(mjd: Array, ra: float, dec: float) -> Array:
    """Return BJD_TDB - 2400000.5 of MJD UTC, from the Earth's centre (within 0.022 s of the observatory)."""
    from astropy.coordinates import get_body_barycentric
    from astropy.time import Time

    tdb = np.asarray(mjd, dtype=np.float64) + TDB_MINUS_UTC / 86400
    earth = get_body_barycentric("earth", Time(tdb, format="mjd", scale="tdb"), ephemeris="builtin")
    a, d = np.radians(ra), np.radians(dec)
    towards = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    delay = towards @ np.asarray(earth.xyz.to_value("AU"), dtype=np.float64)
    bjd: Array = (tdb + delay * LIGHT_SECONDS_PER_AU / 86400).astype(np.float64)
    return bjd


def middles(telescopes: tuple[Telescope, ...], n_nights: int) -> Array:
    """Return the middles of the first telescope's nights, MJD."""
    middle = (telescopes[0].first_hour + telescopes[0].last_hour) / 48
    return np.arange(n_nights, dtype=np.float64) + (FIRST_NIGHT + middle)


def schedule(
    telescopes: tuple[Telescope, ...],
    n_frames: int,
    n_nights: int,
    bands: tuple[str, ...],
    weather: Weather,
    rng: np.random.Generator,
) -> list[Exposure]:
    """Return `n_frames` exposures in all, shared out evenly over telescopes and nights, in order of time."""
    parts = len(telescopes) * n_nights
    exposures: list[Exposure] = []
    for part in range(parts):
        night, index = divmod(part, len(telescopes))
        number = (n_frames * (part + 1)) // parts - (n_frames * part) // parts
        exposures += _night(
            telescopes[index], index, night, number, n_nights, bands, weather, rng, len(exposures)
        )
    return exposures


def _night(
    telescope: Telescope,
    index: int,
    night: int,
    n: int,
    n_nights: int,
    bands: tuple[str, ...],
    weather: Weather,
    rng: np.random.Generator,
    first: int,
) -> list[Exposure]:
    """Return the exposures of one telescope in one night; `first` is the number of the first frame."""
    start = _starts(telescope, night, n)
    middle = start + telescope.exptime / 2 / 86400
    airmass = 1 / np.sin(np.radians(altitude(telescope, middle, *CENTRE)))
    flipped = (hour_angle(telescope, middle, CENTRE[0]) > 0) & telescope.flips
    cloud = weather.clouds * _clouds(index, night, n_nights, n, rng)
    terms = np.array(telescope.vignetting) + rng.normal(0, weather.spatial, (n, 5)) * (1 + 2 * cloud[:, None])
    shift = _drift(n, flipped, rng)
    rotation = telescope.rotation + rng.normal(0, 0.05) + np.linspace(0, 0.05, n) + 180.0 * flipped
    fwhm = _seeing(telescope, airmass, weather, rng)
    zero_point = telescope.zero_point - telescope.extinction * (airmass - 1) - cloud + rng.normal(0, 0.02)
    zero_point += rng.normal(0, 0.004, n)
    sky = _sky_level(telescope, airmass, cloud, rng)
    tree = _tree(n) if weather.tree and index == 0 and night == min(1, n_nights - 1) else np.zeros(n)
    trail = n // 3 if weather.satellites and index == 0 and night == 0 else -1
    gradient = rng.normal(0, 0.02, 2) + rng.normal(0, 0.004, (n, 2))
    bjd = barycentric(middle, *CENTRE) if n else middle
    return [
        Exposure(
            frame=first + i,
            telescope=index,
            night=night,
            number=i + 1,
            band=bands[i % len(bands)],
            mjd_start=float(start[i]),
            exptime=telescope.exptime,
            bjd=float(bjd[i]),
            airmass=float(airmass[i]),
            flipped=bool(flipped[i]),
            rotation=float(rotation[i]),
            shift=(float(shift[i, 0]), float(shift[i, 1])),
            fwhm=float(fwhm[i]),
            zero_point=float(zero_point[i]),
            terms=tuple(terms[i].tolist()),
            cloud=float(cloud[i]),
            tree=float(tree[i]),
            satellite=i == trail,
            sky=float(sky[i]),
            sky_gradient=(float(gradient[i, 0]), float(gradient[i, 1])),
        )
        for i in range(n)
    ]


def _starts(telescope: Telescope, night: int, n: int) -> Array:
    """Return the starts, evenly spread over the night, MJD UTC to the millisecond of the headers."""
    last = telescope.last_hour - telescope.exptime / 3600
    hours = np.linspace(telescope.first_hour, last, n)
    return FIRST_NIGHT + night + np.round(hours * 3.6e6) / 8.64e7


def _clouds(index: int, night: int, n_nights: int, n: int, rng: np.random.Generator) -> Array:
    """Return the loss in clouds over its greatest depth: bumps in one night of each telescope, else none."""
    phase, width = rng.uniform(0.2, 0.6), rng.uniform(0.06, 0.12)
    ragged = rng.uniform(0.7, 1.0, n)
    if night != (n_nights - 1 if index % 2 == 0 else 0):
        return np.zeros(n)
    t = np.linspace(0, 1, n)
    bumps = np.exp(-(((t - phase) / width) ** 2)) + 0.5 * np.exp(-(((t - phase - 0.25) / (0.7 * width)) ** 2))
    loss = np.minimum(bumps, 1.0) * ragged
    return np.where(loss > 0.01, loss, 0.0)


def _drift(n: int, flipped: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    """Return the shift of the field's centre: an offset a night, a drift, a jitter; turned by a flip."""
    offset, speed = rng.normal(0, 7, 2), rng.normal(0, 12, 2)
    walk = np.cumsum(rng.normal(0, 0.4, (n, 2)), axis=0)
    shift = offset + speed * np.linspace(-0.5, 0.5, n)[:, None] + walk
    return np.where(flipped[:, None], -shift + rng.normal(0, 4, 2), shift)


def _seeing(telescope: Telescope, airmass: Array, weather: Weather, rng: np.random.Generator) -> Array:
    """Return the FWHM in pixels: slow and quick changes, and the airmass to the power 0.6."""
    n = len(airmass)
    slow = weather.seeing_scatter * np.sin(
        np.linspace(0, 2 * np.pi, n) * rng.uniform(0.5, 1.5) + rng.uniform(0, 6)
    )
    quick = rng.normal(0, 0.4 * weather.seeing_scatter, n)
    arcsec = telescope.seeing * np.sqrt(0.5 + 0.5 * airmass**1.2) * np.exp(slow + quick)
    return arcsec / telescope.scale


def _sky_level(telescope: Telescope, airmass: Array, cloud: Array, rng: np.random.Generator) -> Array:
    """Return the sky in e-/px: brighter towards the horizon and under clouds."""
    mag = telescope.sky_mag - 0.25 * (airmass - 1) - 0.5 * cloud + rng.normal(0, 0.05)
    rate = 10 ** (-0.4 * (mag - telescope.zero_point)) * telescope.scale**2
    return rate * telescope.exptime


def _tree(n: int) -> Array:
    """Return how far the tree has come: it takes the last eighth of the night, of six frames one."""
    behind = max(n // 8, 1) if n >= 6 else 0
    tree = np.zeros(n)
    if behind:
        tree[n - behind :] = np.linspace(0.4, 1.0, behind) if behind > 1 else 0.7
    return tree
