"""Simulated surveys of instrumental magnitudes with known truth, for testing the solver; no pixels.

Two telescopes of different size and noise floor look at overlapping fields; a fifth of the frames have
clouds; each frame has a polynomial of its own on a static one of its camera; stars follow a luminosity
function, are seen in a share of their frames, some vary, and some points are wrong by up to two magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import terms
from photodb.core.columns import Frames, Measurements


@dataclass(frozen=True)
class SurveySettings:
    """What the simulated survey is like; sizes are those of the whole survey."""

    n_frames: int = 60
    n_stars: int = 1000
    n_fields: int = 1
    n_cameras: int = 2
    order: int = 2  # of the true polynomials
    field_offset: float = 1.2  # frame half-widths between neighbouring fields; above 2.2 they are islands
    dither: float = 0.15  # frame half-widths
    coefficient: float = 0.02  # mag, scatter of each frame's coefficients, and of each camera's static ones
    clouds: float = 0.5  # mag, in a fifth of the frames
    floors: tuple[float, ...] = (0.003, 0.005)  # mag, by camera
    zero_points: tuple[float, ...] = (25.0, 23.6)  # mag, by camera
    outliers: float = 0.01
    outlier_mag: float = 2.0
    variables: float = 0.02
    brightest: float = 13.0  # mag
    faintest: float = 19.0  # mag
    bright_err: float = 0.001  # mag, photon error of the brightest stars; grows as sources on a sky
    completeness: tuple[float, float] = (0.3, 0.9)


@dataclass(frozen=True)
class Survey:
    """Measurements with their truth."""

    measurements: Measurements
    frames: Frames
    coefficients: NDArray[np.float64]  # (n_frames, k) mag, to be added to instrumental magnitudes
    star_mag: NDArray[np.float64]  # (n_stars,) mag, mean
    star_xy: NDArray[np.float64]  # (n_stars, 2) frame half-widths on the sky
    sigma: NDArray[np.float64]  # (n,) mag, true error with floor
    variable: NDArray[np.bool_]  # (n_stars,)
    outlier: NDArray[np.bool_]  # (n,)
    time: NDArray[np.float64]  # (n_frames,) d


def _magnitudes(rng: np.random.Generator, s: SurveySettings) -> NDArray[np.float64]:
    """Draw magnitudes from a luminosity function rising by 0.3 dex a magnitude."""
    u = rng.random(s.n_stars)
    low, high = 10 ** (0.3 * s.brightest), 10 ** (0.3 * s.faintest)
    return np.array(np.log10(low + u * (high - low)) / 0.3, dtype=np.float64)


def _variability(rng: np.random.Generator, kind: int, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a light curve's deviations: 0 RR Lyrae, 1 eclipsing, 2 flares."""
    phase = (time / rng.uniform(0.3, 0.8) + rng.random()) % 1.0
    if kind == 0:
        rise = 0.15
        saw = np.where(phase < rise, 1 - phase / rise, (phase - rise) / (1 - rise))
        return rng.uniform(0.5, 1.1) * (saw - 0.5)
    if kind == 1:
        return rng.uniform(0.2, 0.8) * np.where(
            np.abs(phase - 0.5) < 0.08, 1 - np.abs(phase - 0.5) / 0.08, 0.0
        )
    flares = (rng.random(time.size) < 0.06).astype(np.float64)
    return -float(rng.uniform(0.3, 1.5)) * flares


def _frame_truth(rng: np.random.Generator, s: SurveySettings) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return camera, pointing (n, 2), rotation and coefficients of the frames."""
    camera = np.arange(s.n_frames) % s.n_cameras
    where = (np.arange(s.n_frames) // s.n_cameras) % s.n_fields
    pointing = np.column_stack([where * s.field_offset, np.zeros(s.n_frames)])
    pointing = pointing + rng.uniform(-s.dither, s.dither, (s.n_frames, 2))
    rotation = np.where(camera == 1, np.deg2rad(3.0), 0.0)
    k = terms.n_terms(s.order)
    static = rng.normal(0.0, s.coefficient, (s.n_cameras, k))
    coefficients = static[camera] + rng.normal(0.0, s.coefficient, (s.n_frames, k))
    extinction = np.where(rng.random(s.n_frames) < 0.2, rng.uniform(0, s.clouds, s.n_frames), 0.0)
    zero = np.array([s.zero_points[c % len(s.zero_points)] for c in range(s.n_cameras)])
    coefficients[:, 0] = zero[camera] - extinction + rng.normal(0, 0.02, s.n_frames)
    return camera, pointing, rotation, coefficients


def simulate_survey(settings: SurveySettings | None = None, seed: int = 0) -> Survey:
    """Draw one survey; the same settings and seed give the same survey."""
    s, rng = settings or SurveySettings(), np.random.default_rng(seed)
    camera, pointing, rotation, coefficients = _frame_truth(rng, s)
    width = (s.n_fields - 1) * s.field_offset
    star_xy = np.column_stack([rng.uniform(-1, 1 + width, s.n_stars), rng.uniform(-1, 1, s.n_stars)])
    mag = _magnitudes(rng, s)
    time = np.sort(rng.uniform(0, 30, s.n_frames))
    seen_share = rng.uniform(*s.completeness, s.n_stars)
    variable = rng.random(s.n_stars) < s.variables
    change = np.zeros((s.n_stars, s.n_frames))
    for j in np.flatnonzero(variable):
        change[j] = _variability(rng, int(j) % 3, time)
    stars, frames, xs, ys = [], [], [], []
    for i in range(s.n_frames):
        offset = star_xy - pointing[i]
        cos, sin = np.cos(rotation[i]), np.sin(rotation[i])
        x, y = cos * offset[:, 0] + sin * offset[:, 1], -sin * offset[:, 0] + cos * offset[:, 1]
        here = np.flatnonzero((np.abs(x) < 1) & (np.abs(y) < 1) & (rng.random(s.n_stars) < seen_share))
        stars.append(here)
        frames.append(np.full(here.size, i))
        xs.append(x[here])
        ys.append(y[here])
    star, frame, x, y = (np.concatenate(a) for a in (stars, frames, xs, ys))
    correction = terms.evaluate(coefficients, frame, x, y)
    dimming = coefficients[:, 0].max() - coefficients[frame, 0]
    err = s.bright_err * 10 ** (0.3 * (mag[star] - s.brightest + 0.5 * dimming))
    sigma = np.hypot(err, np.array([s.floors[c % len(s.floors)] for c in range(s.n_cameras)])[camera[frame]])
    outlier = rng.random(star.size) < s.outliers
    measured = mag[star] + change[star, frame] - correction + rng.normal(0, sigma)
    measured = measured + np.where(outlier, rng.uniform(-s.outlier_mag, s.outlier_mag, star.size), 0.0)
    guess = np.array([s.zero_points[c % len(s.zero_points)] for c in range(s.n_cameras)])[camera]
    return Survey(
        Measurements(star, frame, x, y, measured, err),
        Frames(camera, np.zeros(s.n_frames, dtype=np.int64), guess),
        coefficients,
        mag,
        star_xy,
        sigma,
        variable,
        outlier,
        time,
    )
