"""Candidates of variable stars: indices against those of neighbours in magnitude, passes, vetoes and a score.

z = (ln index - local line) / local spread. The neighbours of a star are those within a quarter of a magnitude, grown
to at least 20 and cut to the nearest 200; the line (index against magnitude) and the spread (MAD) are found with 5
sigma clipping. Logarithms keep the tail of the scatter indices from inflating the spread of small samples; the spread
is never taken below the scatter that sampling alone gives to an index of n points, 0.7 / sqrt(n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from photodb.core.robust import MAD_TO_SIGMA
from photodb.core.variability.registry import NAMES

Z_INDICES = ("iqr", "mad", "clipped_sigma", "sigma", "inverse_von_neumann", "chi2_dof", "s_b", "stetson_j")
"""Indices for which a z is computed and stored."""

_LINEAR = {"stetson_j"}  # may be negative
MIN_NEIGHBOURS, MAX_NEIGHBOURS, HALF_WIDTH, CLIP = 20, 200, 0.25, 5.0
FEWEST_STARS = 8
"""With fewer stars in a sample nothing can be said of neighbours: no z."""

MIN_CHI2, BRIGHTEST_SHARE = 1.5, 0.005


@dataclass(frozen=True)
class Verdict:
    """What is said of each star of one sample (a band, perhaps a telescope)."""

    z: dict[str, NDArray[np.float64]]  # by index, (n,)
    tags: list[list[str]]  # every pass and veto
    candidate: NDArray[np.bool_]
    score: NDArray[np.float64]  # highest z among the passed criteria; 0 if none


@numba.njit(cache=True)
def _line(x, v, inside):  # type: ignore[no-untyped-def]
    """Least-squares line of the points inside; slope 0 where x hardly spreads."""
    n = np.sum(inside)
    mx, mv = np.mean(x[inside]), np.mean(v[inside])
    sxx = np.sum((x[inside] - mx) ** 2)
    slope = np.sum((x[inside] - mx) * (v[inside] - mv)) / sxx if sxx > 1e-3 * n else 0.0
    return mv - slope * mx, slope


@numba.njit(cache=True)
def _local_z(mag, value, floor, sound, z):  # type: ignore[no-untyped-def]
    """Write z of each star; `mag` ascending, `value` finite."""
    n = mag.size
    for i in range(n):
        low, high = i, i + 1
        while True:
            left = mag[i] - mag[low - 1] if low > 0 else np.inf
            right = mag[high] - mag[i] if high < n else np.inf
            nearest = min(left, right)
            if nearest == np.inf or high - low >= MAX_NEIGHBOURS:
                break
            if high - low > MIN_NEIGHBOURS and nearest > HALF_WIDTH:
                break
            if left <= right:
                low -= 1
            else:
                high += 1
        x, v = mag[low:high] - mag[i], value[low:high]
        inside = sound[low:high].copy()
        inside[i - low] = False
        if np.sum(inside) < 5:
            continue
        residual = v - np.median(v[inside])
        spread = MAD_TO_SIGMA * np.median(np.abs(residual[inside]))
        for _ in range(5):
            keep = (np.abs(residual) <= CLIP * max(spread, 1e-9)) & inside
            if np.sum(keep) < 5:
                break
            a, b = _line(x, v, keep)
            residual = v - a - b * x
            spread = MAD_TO_SIGMA * np.median(np.abs(residual[keep] - np.median(residual[keep])))
        z[i] = residual[i - low] / max(spread, floor[i])


def local_z(
    mag: NDArray,
    index: NDArray,
    n_obs: NDArray,
    logarithmic: bool = True,
    sound: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return z of an index against neighbours in magnitude, (n,); NaN where the index is, or with too few stars.

    Only the stars of `sound` (all by default) serve as neighbours.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (
            np.log(np.where(index > 0, index, np.nan)) if logarithmic else np.asarray(index, dtype=np.float64)
        )
    good = np.flatnonzero(np.isfinite(value) & np.isfinite(mag))
    z = np.full(mag.size, np.nan)
    if good.size < FEWEST_STARS:
        return z
    good = good[np.argsort(mag[good], kind="stable")]
    floor = 0.7 / np.sqrt(np.maximum(n_obs[good], 1.0))
    out = np.full(good.size, np.nan)
    usable = np.ones(good.size, dtype=np.bool_) if sound is None else sound[good]
    _local_z(
        np.ascontiguousarray(mag[good], np.float64), np.ascontiguousarray(value[good]), floor, usable, out
    )
    z[good] = out
    return z


def _passes(
    z: dict[str, NDArray], n3_runs: NDArray
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Return each criterion with who passes it and the z that it lends to the score."""
    iqr, mad, clipped, sigma = z["iqr"], z["mad"], z["clipped_sigma"], z["sigma"]
    eta = z["inverse_von_neumann"]
    with np.errstate(invalid="ignore"):
        return {
            "iqr": (iqr > 5.0, iqr),
            "iqr+mad": ((iqr > 3.4) & (mad > 4.1), np.fmax(iqr, mad)),
            "eta+iqr+mad": ((eta > 5.0) & (iqr > 3.0) & (mad > 3.0), np.fmax(eta, iqr)),
            "eta+clipped": ((eta > 7.0) & (clipped > 3.5), np.fmax(eta, clipped)),
            "clipped": (clipped > 30.0, clipped),
            "runs+sigma": ((n3_runs >= 2) & (sigma > 5.0), sigma),
            "j+eta": ((z["stetson_j"] > 8.0) & (eta > 4.0), eta),
        }


def _vetoes(mag: NDArray, chi2_dof: NDArray) -> dict[str, NDArray[np.bool_]]:
    """Return each veto that follows from the indices, with whom it stops."""
    brightest = np.zeros(mag.size, dtype=bool)
    brightest[np.argsort(mag, kind="stable")[: int(BRIGHTEST_SHARE * mag.size)]] = True
    return {"low_chi2": ~(chi2_dof >= MIN_CHI2), "brightest": brightest}


def judge(
    indices: NDArray[np.float64],
    n_obs: NDArray[np.integer],
    vetoes: dict[str, NDArray[np.bool_]] | None = None,
    sound: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Judge the stars of one sample from their indices, (n, n_indices) in the order of the registry.

    `vetoes` are further ones by name, for example stars mostly at the edge of frames, blended ones, and ones whose
    outlying points lie mostly on bad frames. Only the stars of `sound` (all by default) serve as neighbours.
    """
    column = {name: indices[:, i] for i, name in enumerate(NAMES)}
    mag, n = column["median_mag"], indices.shape[0]
    z = {name: local_z(mag, column[name], n_obs, name not in _LINEAR, sound) for name in Z_INDICES}
    runs = np.nan_to_num(column["n3"]) * np.maximum(n_obs - 2, 0)
    passes = _passes(z, np.round(runs))
    against = _vetoes(mag, column["chi2_dof"]) | (vetoes or {})
    passed = np.any([who for who, _ in passes.values()], axis=0)
    vetoed = np.any(list(against.values()), axis=0)
    score = np.zeros(n)
    for who, height in passes.values():
        score = np.where(who, np.fmax(score, height), score)
    tags = [
        [f"pass:{name}" for name, (who, _) in passes.items() if who[i]]
        + [f"veto:{name}" for name, who in against.items() if who[i]]
        for i in range(n)
    ]
    return Verdict(z, tags, passed & ~vetoed, score)
