"""Fit a transit: constant, slope in time and airmass, and a symmetric trapezoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares


@dataclass(frozen=True)
class Transit:
    """The fitted transit."""

    depth_percent: float
    mid_bjd: float
    duration_hours: float  # first to fourth contact
    rms_mmag: float
    n: int


def trapezoid(t, mid, duration, ingress):
    """Return the unit trapezoid: 1 between second and third contact, 0 outside; times in days."""
    return np.clip((duration / 2 - np.abs(t - mid)) / ingress, 0, 1)


def fit_transit(bjd, mag, airmass, mid, duration=0.13, clip=4.0) -> Transit:
    """Fit and clip twice; magnitudes brighter up, so a transit adds to them."""
    keep = np.isfinite(mag)
    t0 = np.median(bjd)

    def linear(p, k):
        shape = trapezoid(bjd, p[0], p[1], p[2])
        design = np.column_stack([np.ones_like(bjd), bjd - t0, airmass - np.median(airmass), shape])
        solution, *_ = np.linalg.lstsq(design[k], mag[k], rcond=None)
        return mag - design @ solution, solution[3]

    p = np.array([mid, duration, 0.015])
    for _ in range(3):
        low, high = [mid - 0.02, 0.09, 0.003], [mid + 0.02, 0.16, 0.03]
        fit = least_squares(
            lambda q, k=keep: linear(q, k)[0][k],
            p,
            bounds=(low, high),
            x_scale=[0.001, 0.01, 0.003],
            diff_step=1e-4,
        )
        p = fit.x
        residual, depth = linear(p, keep)
        sigma = 1.4826 * np.median(np.abs(residual[keep]))
        keep = np.isfinite(mag) & (np.abs(residual) < clip * sigma)
    residual, depth = linear(p, keep)
    n = int(keep.sum())
    return Transit(
        100 * (1 - 10 ** (-0.4 * depth)),
        p[0],
        24 * p[1],
        1000 * float(np.sqrt(np.sum(residual[keep] ** 2) / (n - 7))),
        n,
    )
