"""Mean positions of sources on the sky, with their errors, scatter and proper motion, one detection after the other.

What is kept of a source are weighted sums about its mean: they can be moved by one more detection without reading the
others (West 1979, doi:10.1145/359146.359153), and give the straight line in time by least squares. Weights are inverse
squares of the positions' errors. The mean position is that at the mean epoch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .sky import wrap

YEAR = 365.25
MEAN = np.dtype(
    [
        ("ra", "f8"), ("dec", "f8"), ("position_err", "f4"), ("ra_scatter", "f4"), ("dec_scatter", "f4"),
        ("weight", "f8"), ("mjd_mean", "f8"), ("t_moment", "f8"), ("ra_t_moment", "f8"), ("dec_t_moment", "f8"),
        ("pm_ra", "f4"), ("pm_dec", "f4"), ("pm_err", "f4"), ("n_detections", "i4"), ("first_mjd", "f8"),
        ("last_mjd", "f8"),
    ]
)  # fmt: skip
"""What is known of a source's place.

Positions in deg at the epoch `mjd_mean`, errors and scatters in arcsec an axis, weight in arcsec^-2, moments about the
means in weight times d^2 and weight times arcsec d, proper motion in mas/yr (0 where none is significant; `pm_err` is
NaN where it cannot be told).
"""

FLOOR_PX = 0.05
"""Error of a position that more light does not lessen."""
NO_ERROR_PX = 0.3
"""Error of a position that comes without one."""
PM_SIGMA = 5.0
PM_DETECTIONS = 5
PM_DAYS = 20.0
"""What a proper motion needs to be believed: its own error times this, detections, and days from first to last."""
CATALOGUE_PM_ERR = -1.0
"""Stands in `pm_err` for a proper motion that a catalogue gave; it is not fitted."""
UNKNOWN_PM = 30.0
"""Proper motion (mas/yr) that a source may have unknown to us: most stars have less."""


def position_sigma(x_err: ArrayLike, y_err: ArrayLike, scale_arcsec: ArrayLike) -> NDArray[np.float64]:
    """Return the error of a position along an axis (arcsec) from its errors in px; `FLOOR_PX` is added in squares."""
    one = np.sqrt((np.asarray(x_err, float) ** 2 + np.asarray(y_err, float) ** 2) / 2)
    one = np.where(np.isfinite(one), one, NO_ERROR_PX)
    sigma: NDArray[np.float64] = np.hypot(one, FLOOR_PX) * np.asarray(scale_arcsec, float)
    return sigma


def first_means(ra: NDArray, dec: NDArray, sigma: NDArray, mjd: ArrayLike) -> NDArray:
    """Return the means (rows of `MEAN`) of sources seen once, at ra, dec (deg) with errors (arcsec)."""
    new = np.zeros(len(ra), MEAN)
    new["ra"], new["dec"], new["position_err"], new["weight"] = wrap(ra), dec, sigma, sigma**-2.0
    new["mjd_mean"] = new["first_mjd"] = new["last_mjd"] = mjd
    new["pm_err"], new["n_detections"] = np.nan, 1
    return new


def add_detection(old: NDArray, ra: NDArray, dec: NDArray, sigma: NDArray, mjd: float) -> NDArray:
    """Return the means moved by one more detection each.

    Parameters
    ----------
    old : (n,) rows with the fields of `MEAN`; ra, dec : (n,) deg; sigma : (n,) arcsec an axis; mjd : d.
    """
    new = np.empty(len(old), MEAN)
    w, before = sigma**-2.0, old["weight"]
    total = before + w
    cos_dec = np.maximum(np.cos(np.radians(old["dec"])), 1e-9)
    dx = ((ra - old["ra"] + 180) % 360 - 180) * cos_dec * 3600
    dy, dt = (dec - old["dec"]) * 3600, mjd - old["mjd_mean"]
    both = before * w / total
    new["ra"] = wrap(old["ra"] + dx * w / total / cos_dec / 3600)
    new["dec"] = np.clip(old["dec"] + dy * w / total / 3600, -90, 90)
    new["weight"], new["mjd_mean"] = total, old["mjd_mean"] + dt * w / total
    new["t_moment"] = old["t_moment"] + both * dt * dt
    new["ra_t_moment"] = old["ra_t_moment"] + both * dt * dx
    new["dec_t_moment"] = old["dec_t_moment"] + both * dt * dy
    xx = before * old["ra_scatter"].astype(float) ** 2 + both * dx * dx
    yy = before * old["dec_scatter"].astype(float) ** 2 + both * dy * dy
    new["n_detections"] = old["n_detections"] + 1
    new["first_mjd"], new["last_mjd"] = np.minimum(old["first_mjd"], mjd), np.maximum(old["last_mjd"], mjd)
    for name in ("pm_ra", "pm_dec", "pm_err"):
        new[name] = old[name]
    return _finish(new, xx, yy)


def grouped_means(group: NDArray, ra: NDArray, dec: NDArray, sigma: NDArray, mjd: NDArray) -> NDArray:
    """Return the means of groups of detections, as `add_detection` gives them one by one, a row a group.

    Parameters
    ----------
    group : (n,) ascending: equal numbers belong together. ra, dec : (n,) deg; sigma : (n,) arcsec; mjd : (n,) d.
    """
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if len(group) else np.empty(0, int)
    count = np.diff(np.r_[starts, len(group)])
    new = np.zeros(len(starts), MEAN)
    w = sigma**-2.0

    def total(values: NDArray) -> NDArray:
        return np.add.reduceat(values, starts) if len(starts) else np.empty(0)

    def spread(values: NDArray) -> NDArray:
        return np.repeat(values, count)

    ra0, dec0 = ra[starts], dec[starts]
    x = ((ra - spread(ra0) + 180) % 360 - 180) * 3600
    y = (dec - spread(dec0)) * 3600
    weight = total(w)
    mx, my, mt = total(w * x) / weight, total(w * y) / weight, total(w * (mjd - spread(mjd[starts]))) / weight
    new["ra"], new["dec"] = wrap(ra0 + mx / 3600), np.clip(dec0 + my / 3600, -90, 90)
    new["weight"], new["mjd_mean"] = weight, mjd[starts] + mt
    dx = (x - spread(mx)) * spread(np.maximum(np.cos(np.radians(new["dec"])), 1e-9))
    dy, dt = y - spread(my), mjd - spread(new["mjd_mean"])
    new["t_moment"], new["ra_t_moment"] = total(w * dt * dt), total(w * dt * dx)
    new["dec_t_moment"] = total(w * dt * dy)
    new["n_detections"] = count
    if len(starts):
        new["first_mjd"], new["last_mjd"] = np.minimum.reduceat(mjd, starts), np.maximum.reduceat(mjd, starts)
    new["pm_err"] = np.nan
    return _finish(new, total(w * dx * dx), total(w * dy * dy))


def _finish(new: NDArray, xx: NDArray, yy: NDArray) -> NDArray:
    """Fill in what follows from the sums; `xx` and `yy` are those of weight times arcsec^2 about the mean."""
    weight, n = new["weight"], new["n_detections"]
    new["ra_scatter"], new["dec_scatter"] = np.sqrt(xx / weight), np.sqrt(yy / weight)
    tt = new["t_moment"]
    fitted = (tt > 0) & (n >= 3) & (new["pm_err"] != np.float32(CATALOGUE_PM_ERR))
    safe = np.where(tt > 0, tt, 1.0)
    pm_x, pm_y = new["ra_t_moment"] / safe, new["dec_t_moment"] / safe  # arcsec/d
    left = np.maximum(xx - pm_x**2 * tt, 0) + np.maximum(yy - pm_y**2 * tt, 0)
    chi2 = np.maximum(left / np.maximum(2 * n - 4, 1), 1.0)
    with np.errstate(over="ignore"):
        error = np.minimum(np.sqrt(chi2 / safe) * 1000 * YEAR, 1e9)
    motion = np.hypot(pm_x, pm_y) * 1000 * YEAR
    sure = (
        fitted
        & (n >= PM_DETECTIONS)
        & (new["last_mjd"] - new["first_mjd"] >= PM_DAYS)
        & (motion > PM_SIGMA * error)
    )
    given = new["pm_err"] == np.float32(CATALOGUE_PM_ERR)
    new["pm_err"] = np.where(given, CATALOGUE_PM_ERR, np.where(fitted, error, np.nan))
    new["pm_ra"] = np.where(given, new["pm_ra"], np.where(sure, pm_x * 1000 * YEAR, 0.0))
    new["pm_dec"] = np.where(given, new["pm_dec"], np.where(sure, pm_y * 1000 * YEAR, 0.0))
    moving = given | sure
    scatter = np.where(moving, left, xx + yy) / np.maximum(2 * n - 2, 1)
    new["position_err"] = np.sqrt(np.maximum(scatter, 1.0) / weight)
    return new


def at_epoch(sources: NDArray, mjd: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ra, dec (deg) of sources at a time: moved by what proper motion is known.

    Parameters
    ----------
    sources : (n,) rows with ra, dec, mjd_mean, pm_ra, pm_dec.
    """
    years = (mjd - sources["mjd_mean"]) / YEAR
    cos_dec = np.maximum(np.cos(np.radians(sources["dec"])), 1e-9)
    ra = wrap(sources["ra"] + sources["pm_ra"] * years / 3.6e6 / cos_dec)
    return ra, np.clip(sources["dec"] + sources["pm_dec"] * years / 3.6e6, -90.0, 90.0)


def error_at(sources: NDArray, mjd: float) -> NDArray[np.float64]:
    """Return the error (arcsec an axis) of the places that `at_epoch` gives, what motion is unknown included."""
    years = np.abs(mjd - sources["mjd_mean"]) / YEAR
    moving = (sources["pm_ra"] != 0) | (sources["pm_dec"] != 0)
    unsure = np.where(moving, np.maximum(sources["pm_err"], 0.0), UNKNOWN_PM)
    error: NDArray[np.float64] = np.hypot(sources["position_err"], unsure * years / 1000)
    return error
