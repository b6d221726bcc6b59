"""Fit a frame's place on the sky to matched stars: weighted, robust, and of no higher order than the stars bear.

Weights are 1 / (error^2 + floor^2): each star's centroid and catalogue error, and a floor that makes the median
residual what the errors say. Stars beyond `CLIP` sigmas leave the fit and may come back. A richer model (two terms of
a lens around the frame's centre, a quadratic, a cubic) is taken only where it predicts stars left out of the fit better
than the simpler one by more than chance gives, and where it is expected to be nearer to the truth at the frame's border
too. Leaving a star out goes by the hat matrix (Allen 1974, doi:10.1080/00401706.1974.10489157).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sky import deproject, project
from .tangent import UNIT, TangentWCS, n_terms, terms

CLIP = 4.0
"""Sigmas beyond which a star leaves the fit: chance throws out 1 in 3,000, both axes together."""
ROUNDS = 20
MEDIAN_CHI2 = 2 * np.log(2.0)
"""Median of chi-square with two degrees of freedom."""
LEAST_STARS = {"radial": 40, "quadratic": 30, "cubic": 60}
"""Used stars from which a model is tried; below 60 a cubic follows the catalogue's noise."""
SIMPLE = ("linear", "shaped")
ORDERS = {"linear": 1, "radial": 3, "quadratic": 2, "cubic": 3}
SURE = 3.0
"""Standard errors by which a higher order must predict better."""
MOST_LEVERAGE = 10.0
"""Variance of a corner in those of a star, above which a model is not believed there."""
MOST_UNCOVERED = 80.0
"""Variance of a quadratic at a corner in those of the mean of the stars: 26 where stars cover the frame evenly, 66
where they keep to the inner 64 % of it, more than 1,000 where they keep to a half."""


@dataclass(frozen=True)
class PlateFit:
    """A WCS and what its stars say of it."""

    wcs: TangentWCS
    used: NDArray[np.bool_]  # (n,)
    floor_arcsec: float  # an axis: what the residuals hold beyond the errors given
    corner_arcsec: float  # formal error at the worst corner, both axes together


@dataclass(frozen=True)
class _Model:
    """One way of writing the sky as a linear function of known columns."""

    design: NDArray  # (n, k) of the stars
    grid: NDArray  # (g, k) of the points where the frame's border is judged
    target: NDArray  # (n, 2) arcsec on the plane
    form: TangentWCS  # tangent point and pixel origin; for a shaped model, the shape
    name: str  # linear, shaped, radial, quadratic, cubic
    expand: NDArray  # (m, k): coefficients of all monomials (m) from the model's own

    def wcs(self, solution: NDArray) -> TangentWCS:
        """Return the WCS of a solution (k, 2) in arcsec."""
        f, degrees = self.form, solution / 3600.0
        if self.name != "shaped":
            xi, eta = (self.expand @ degrees).T
        else:
            shape = np.array([f.xi, f.eta])
            xi, eta = degrees[1:].T @ shape
            xi[0], eta[0] = xi[0] + degrees[0, 0], eta[0] + degrees[0, 1]
        return TangentWCS(f.ra0, f.dec0, f.x0, f.y0, tuple(xi.tolist()), tuple(eta.tolist()))


@dataclass(frozen=True)
class _Fitted:
    model: _Model
    solution: NDArray
    residual2: NDArray  # (n,) arcsec^2
    variance: NDArray  # (n,) arcsec^2 an axis
    used: NDArray
    floor: float

    @property
    def covariance(self) -> NDArray:
        """Return the covariance (k, k) of an axis' coefficients."""
        d = self.model.design[self.used]
        covariance: NDArray = np.linalg.pinv(d.T @ (d / self.variance[self.used, None]), hermitian=True)
        return covariance


def fit_plate(
    x: NDArray,
    y: NDArray,
    ra: NDArray,
    dec: NDArray,
    err_arcsec: NDArray,
    used: NDArray,
    start: TangentWCS,
    nx: int,
    ny: int,
    bold: bool = False,
) -> PlateFit:
    """Fit the WCS of matched stars.

    Tried are shift, rotation, scale and shear; these with the shape of `start`, where it has one; and what more terms
    the stars bear, up to a cubic.

    Parameters
    ----------
    x, y : (n,) px; ra, dec : (n,) deg
    err_arcsec : (n,) error of an axis, centroid and catalogue together; 0 where unknown.
    used : (n,) stars to begin with, at least 4.
    start : right to a few pixels.
    bold : try distortion where stars leave corners uncovered too: to find more stars with, not to keep.
    """
    ra0, dec0 = (float(v[0]) for v in start.to_sky([(nx - 1) / 2], [(ny - 1) / 2]))
    form = TangentWCS(ra0, dec0, (nx - 1) / 2, (ny - 1) / 2, (0.0,) * 3, (0.0,) * 3)
    stars = (x, y, ra, dec)
    border = _border(nx, ny)
    models = [_free(form, "linear", stars, border)]
    models += [_shaped(start, stars, border)] if start.order > 1 else []
    if bold or _uncovered(x[used], y[used], nx, ny) <= MOST_UNCOVERED:
        models += [_free(form, name, stars, border) for name, n in LEAST_STARS.items() if used.sum() >= n]
    fitted = [_fit(model, err_arcsec, used) for model in models]
    best = _choose(fitted)
    corner = 2 * _border_variance(best)[:4].max()
    return PlateFit(best.model.wcs(best.solution), best.used, best.floor, float(np.sqrt(corner)))


def _border(nx: int, ny: int) -> NDArray:
    """Return the corners, then the middles and quarters of the edges, (16, 2) px."""
    along = np.linspace(0, 1, 5)
    points = [(a, b) for a in along for b in along if a in (0, 1) or b in (0, 1)]
    points.sort(key=lambda p: not (p[0] in (0, 1) and p[1] in (0, 1)))
    return np.array(points) * [nx - 1, ny - 1]


def _uncovered(x: NDArray, y: NDArray, nx: int, ny: int) -> float:
    """Return how far stars leave the worst corner uncovered; see `MOST_UNCOVERED`."""
    columns = terms(2 * x / nx - 1, 2 * y / ny - 1, 2)
    covariance = np.linalg.pinv(columns.T @ columns, hermitian=True)
    corners = terms(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([-1.0, 1.0, -1.0, 1.0]), 2)
    return float(len(x) * np.sum((corners @ covariance) * corners, axis=1).max())


def _free(form: TangentWCS, name: str, stars: tuple[NDArray, ...], border: NDArray) -> _Model:
    x, y, ra, dec = stars
    order, expand = ORDERS[name], np.eye(n_terms(ORDERS[name]))
    if name == "radial":  # u r^2 and v r^2; the cubic monomials are u^3, u^2 v, u v^2, v^3
        expand = np.column_stack([expand[:, :3], expand[:, 6] + expand[:, 8], expand[:, 7] + expand[:, 9]])
    target = np.column_stack(project(ra, dec, form.ra0, form.dec0)) * 3600.0
    design = terms((x - form.x0) / UNIT, (y - form.y0) / UNIT, order)
    grid = terms((border[:, 0] - form.x0) / UNIT, (border[:, 1] - form.y0) / UNIT, order)
    return _Model(design @ expand, grid @ expand, target, form, name, expand)


def _shaped(start: TangentWCS, stars: tuple[NDArray, ...], border: NDArray) -> _Model:
    x, y, ra, dec = stars
    target = np.column_stack(project(ra, dec, start.ra0, start.dec0)) * 3600.0
    design = np.column_stack([np.ones(len(x)), *start.to_plane(x, y)])
    grid = np.column_stack([np.ones(len(border)), *start.to_plane(border[:, 0], border[:, 1])])
    return _Model(design, grid, target, start, "shaped", np.eye(3))


def _fit(model: _Model, err: NDArray, used: NDArray) -> _Fitted:
    """Fit, clip, and set the floor, again and again until the used stars stand still."""
    weight, k = used.astype(float), model.design.shape[1]
    for _ in range(ROUNDS):
        root = np.sqrt(weight)[:, None]
        solution, *_ = np.linalg.lstsq(root * model.design, root * model.target, rcond=None)
        residual2 = np.sum((model.target - model.design @ solution) ** 2, axis=1)
        floor2 = _floor2(residual2[used], err[used], k)
        variance = np.maximum(err**2 + floor2, 1e-12)
        inside = residual2 <= CLIP**2 * variance
        if inside.sum() < k + 1:
            inside = used
        same = np.array_equal(inside, used)
        new = inside / variance
        settled = same and np.allclose(new, weight, rtol=1e-3)
        used, weight = inside, new
        if settled:
            break
    return _Fitted(model, solution, residual2, variance, used, float(np.sqrt(floor2)))


def _floor2(residual2: NDArray, err: NDArray, k: int) -> float:
    """Return the variance to add so that the median of the residuals over their errors is what chance gives."""
    shrunk = max(1.0 - k / len(residual2), 0.2)
    low, high = 0.0, float(residual2.max())
    for _ in range(40):
        middle = 0.5 * (low + high)
        if np.median(residual2 / (err**2 + middle + 1e-30)) > MEDIAN_CHI2 * shrunk:
            low = middle
        else:
            high = middle
    return high


def _choose(fitted: list[_Fitted]) -> _Fitted:
    """Return the simplest model that is as good as the best, of those that surely beat the simple ones."""
    variance = min(fitted, key=lambda f: f.floor).variance
    losses = [_left_out(f, variance) for f in fitted]
    plain = [k for k, f in enumerate(fitted) if f.model.name in SIMPLE]
    simple = min(plain, key=lambda k: float(losses[k].sum()))
    rich = [
        k
        for k, f in enumerate(fitted)
        if k not in plain
        and f.used.sum() >= LEAST_STARS[f.model.name]
        and _beats(losses[k], losses[simple], SURE)
        and _safe_outside(fitted[simple], f)
    ]
    if not rich:
        return fitted[simple]
    best = min(rich, key=lambda k: float(losses[k].sum()))
    rich.sort(key=lambda k: fitted[k].model.design.shape[1])
    return fitted[next(k for k in rich if k == best or not _beats(losses[best], losses[k], 1.0))]


def _beats(loss: NDArray, other: NDArray, errors: float) -> bool:
    """Tell whether a loss is below another by more than so many standard errors of the difference."""
    gain = other - loss
    return bool(gain.sum() > errors * gain.std() * np.sqrt(len(gain)))


def _left_out(f: _Fitted, variance: NDArray) -> NDArray:
    """Return each star's squared residual from the fit without it, in sigmas, at most that of a clipped one."""
    d = f.model.design
    leverage = np.where(f.used, np.sum((d @ f.covariance) * d, axis=1) / f.variance, 0.0)
    loss: NDArray = np.minimum(f.residual2 / np.maximum(1.0 - leverage, 0.05) ** 2 / variance, CLIP**2)
    return loss


def _border_variance(f: _Fitted) -> NDArray:
    """Return the variance (16,) of an axis at the frame's border, arcsec^2."""
    variance: NDArray = np.sum((f.model.grid @ f.covariance) * f.model.grid, axis=1)
    return variance


def _safe_outside(simple: _Fitted, rich: _Fitted) -> bool:
    """Tell whether the richer model is expected to be nearer to the truth than the simple one at the frame's border.

    The simple one is off by about the difference of the two less its noise, the rich one by its noise.
    """
    noise = _border_variance(rich)
    if noise.max() > MOST_LEVERAGE * np.median(rich.variance[rich.used]):
        return False
    here = rich.model.grid @ rich.solution
    a = simple.model.form
    if simple.model.name == "shaped":
        ra, dec = _sky(rich, here)
        here = np.column_stack(project(ra, dec, a.ra0, a.dec0)) * 3600.0
    difference2 = np.sum((simple.model.grid @ simple.solution - here) ** 2, axis=1)
    return bool(difference2.sum() > 4.0 * np.sum(noise - _border_variance(simple)))


def _sky(f: _Fitted, plane_arcsec: NDArray) -> tuple[NDArray, NDArray]:
    xi, eta = plane_arcsec.T / 3600.0
    return deproject(xi, eta, f.model.form.ra0, f.model.form.dec0)
