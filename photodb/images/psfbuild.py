"""Make a frame's point-spread function from its isolated unsaturated stars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..core.robust import mad_sigma
from ..core.terms import N_TERMS, design, scale_pixels
from .psf import NODES_A_FWHM, Cell, PsfModel, constant_shape, empty_table, fwhm_of_size
from .psfkernels import TERMS, fit_amplitudes, fit_shapes, solve_table, tally_table

Array = NDArray[np.floating[Any]]

MOST_STARS = 250
MIN_SNR = 20.0
LEAST_STARS = (3, 15, 40)
"""Stars that shapes of order 0, 1 and 2 need."""
LEAST_TABLE = (6, 40, 100)
"""Stars that tables of order 0, 1 and 2 need."""
CORNER_ERROR = 0.05
"""Greatest error of ln(size) at a corner: stars that fill a small part of the frame hold no high order elsewhere."""
BAD_CHI2 = 4.0
"""Chi2 of its own stars above which a function is told to be bad."""
TRIED_BETAS = (4, 5, 6, 8, 10)
"""Twice the exponents of the Moffat function that are tried."""
BETA_STARS = 50
FIT_FWHM = 2.5
"""Radius of the fits in FWHM."""
ISOLATION_FWHM = 4.0
ISOLATION_SHARE = 0.03
"""No neighbour of more than this share of the flux within `ISOLATION_FWHM`."""
PARTS = 8
"""The stars are taken from PARTS x PARTS areas of the frame, the best of each first."""
ROUNDS = 4
TABLE_ERROR = (0.02, 0.01, 0.005)
"""What the nodes of the table are expected to be, in central values, by order."""


@dataclass(frozen=True)
class PsfStars:
    """Stars that may make the function, brightest first."""

    x: Array  # (n,) px, windowed centroid
    y: Array
    flux: Array  # (n,) ADU
    snr: Array  # (n,)


def isolated(x: Array, y: Array, flux: Array, rows: NDArray, fwhm: float) -> NDArray[np.bool_]:
    """Tell which of `rows` have no neighbour among all (n,) that counts."""
    tree = cKDTree(np.column_stack([x, y]))
    near = tree.query_ball_point(np.column_stack([x[rows], y[rows]]), ISOLATION_FWHM * fwhm)
    return np.array([flux[n].sum() - flux[k] < ISOLATION_SHARE * flux[k] for k, n in zip(rows, near)], bool)


def spread_out(stars: PsfStars, nx: int, ny: int, most: int) -> NDArray[np.int64]:
    """Choose up to `most` stars, the best of each part of the frame first."""
    part = (stars.y * PARTS // ny).astype(int) * PARTS + (stars.x * PARTS // nx).astype(int)
    order = np.lexsort((-stars.snr, part))
    grouped = part[order]
    rank = np.arange(len(order)) - np.searchsorted(grouped, grouped)
    return np.sort(order[np.lexsort((-stars.snr[order], rank))][:most])


def build_psf(
    data: NDArray[np.float32],
    variance: NDArray[np.float32],
    gain: float,
    stars: PsfStars,
    fwhm: float,
    model: str = "moffat",
    grid: int = 1,
) -> PsfModel | None:
    """Make the function of a frame; None where fewer than three stars serve.

    Parameters
    ----------
    data : (ny, nx) ADU, background taken off.
    variance : (ny, nx) ADU^2, of the background; 0 where a pixel cannot be used.
    gain : e-/ADU.
    stars : those that may serve: isolated, not saturated.
    fwhm : px, of the frame's stars.
    model : one of `photodb.images.psf.MODELS`.
    grid : subimages along each axis.
    """
    ny, nx = data.shape
    chosen = spread_out(stars, nx, ny, MOST_STARS)
    stars = PsfStars(stars.x[chosen], stars.y[chosen], stars.flux[chosen], stars.snr[chosen])
    if len(stars.x) < LEAST_STARS[0]:
        return None
    image = (data, variance, gain)
    twice_beta = 0 if model == "gaussian" else _best_beta(image, stars, fwhm)
    shapes = _measure_shapes(image, stars, fwhm, twice_beta)
    good = _plausible(shapes, fwhm, twice_beta)
    if good.sum() < LEAST_STARS[0]:
        return None
    step = fwhm / NODES_A_FWHM
    blank = PsfModel(model, twice_beta, step, fwhm, grid, _blank_cells(nx, ny, grid))
    where, _, _ = blank.locate(stars.x, stars.y)
    cells = []
    for k, cell in enumerate(blank.cells):
        mine = good & (where == k)
        note = ""
        if mine.sum() < LEAST_STARS[0]:
            note = f"{mine.sum()} stars in this subimage, {LEAST_STARS[0]} needed: that of the whole frame is taken"
            mine = good
        cells.append(_build_cell(image, stars, shapes, mine, cell, blank, note))
    built = PsfModel(model, twice_beta, step, fwhm, grid, tuple(cells))
    width, _ = built.shape_at(np.array([nx / 2]), np.array([ny / 2]))
    return PsfModel(model, twice_beta, step, float(width[0]), grid, tuple(cells))


def _blank_cells(nx: int, ny: int, grid: int) -> tuple[Cell, ...]:
    xs, ys = np.linspace(0, nx, grid + 1), np.linspace(0, ny, grid + 1)
    shape, table = constant_shape(0.0), empty_table()
    return tuple(
        Cell(xs[i], ys[j], round(xs[i + 1] - xs[i]), round(ys[j + 1] - ys[j]), shape, table, 0, 0, 1.0)
        for j in range(grid)
        for i in range(grid)
    )  # fmt: skip


def _best_beta(image: tuple, stars: PsfStars, fwhm: float) -> int:
    """Return twice the exponent whose profiles fit the brightest stars best."""
    best = np.argsort(-stars.snr)[:BETA_STARS]
    few = PsfStars(stars.x[best], stars.y[best], stars.flux[best], stars.snr[best])
    fits = {b: _measure_shapes(image, few, fwhm, b)[:, 5] for b in TRIED_BETAS}
    told = {b: np.nanmedian(chi2) for b, chi2 in fits.items() if np.isfinite(chi2).any()}
    return min(told, key=lambda b: told[b], default=TRIED_BETAS[2])


def _measure_shapes(image: tuple, stars: PsfStars, fwhm: float, twice_beta: int) -> Array:
    data, variance, gain = image
    size = fwhm / fwhm_of_size(twice_beta)
    return fit_shapes(data, variance, stars.x, stars.y, FIT_FWHM * fwhm, size, twice_beta, gain)


def _plausible(shapes: Array, fwhm: float, twice_beta: int) -> NDArray[np.bool_]:
    """Mark stars whose fit converged near the frame's FWHM: no galaxy, no cosmic ray, no blend."""
    width = fwhm_of_size(twice_beta) * np.exp(shapes[:, 2])
    good = (shapes[:, 6] > 0) & (shapes[:, 0] > 0) & (width > 0.5 * fwhm) & (width < 2.0 * fwhm)
    for column in (2, 3, 4):
        if good.sum() >= 5:
            value = shapes[:, column]
            spread = max(mad_sigma(value[good]), 0.02)
            good &= np.abs(value - np.median(value[good])) < 5.0 * spread
    return good


def _build_cell(
    image: tuple, stars: PsfStars, shapes: Array, mine: NDArray, cell: Cell, blank: PsfModel, note: str
) -> Cell:
    rows = np.flatnonzero(mine)
    u, v = scale_pixels(stars.x - cell.x0, cell.nx), scale_pixels(stars.y - cell.y0, cell.ny)
    highest = 0 if blank.model == "gaussian" else 2
    enough = order = min(highest, _order_for(len(rows), LEAST_STARS))
    measured = u[rows], v[rows], shapes[rows], stars.snr[rows]
    coefficients, kept = _fit_polynomials(*measured, order)
    while order and _corner_error(measured, kept, coefficients, order) > CORNER_ERROR:
        order -= 1
        coefficients, kept = _fit_polynomials(*measured, order)
    rows = rows[kept]
    if blank.model == "moffat" and order < 2:
        text = f"{len(rows)} stars, {LEAST_STARS[2]} needed for a quadratic: the shape is of order {order}"
        if order < enough:
            text = f"{len(rows)} stars in a small part of the frame: the shape is of order {order}"
        note = "; ".join(filter(None, [note, text]))
    table, chi2, rows = _build_table(image, stars, u, v, rows, coefficients, order, blank)
    if chi2 > BAD_CHI2:
        note = "; ".join(filter(None, [note, f"its stars are not alike: chi2 {chi2:.1f}; prefer apertures"]))
    return Cell(cell.x0, cell.y0, cell.nx, cell.ny, coefficients, table, order, len(rows), chi2, note)


def _order_for(n: int, least: tuple[int, ...]) -> int:
    """Return the highest order that n stars allow; -1 for none."""
    return sum(n >= k for k in least) - 1


def _fit_polynomials(
    u: Array, v: Array, shapes: Array, snr: Array, order: int
) -> tuple[Array, NDArray[np.bool_]]:
    """Fit ln(size), e1 and e2 over the frame, outliers refused; returns (3, TERMS) and which stars were kept."""
    terms = design(u, v, order)
    weight = _weight(snr)
    kept = np.ones(len(u), bool)
    out = np.zeros((3, TERMS))
    for _ in range(5):
        root = np.sqrt(weight * kept)
        found = np.linalg.lstsq(terms * root[:, None], shapes[:, 2:5] * root[:, None], rcond=None)[0]
        off = (shapes[:, 2:5] - terms @ found) * np.sqrt(weight)[:, None]
        scale = np.array([max(mad_sigma(off[kept, k]), 0.5) for k in range(3)])
        new = np.asarray((np.abs(off) < 4.0 * scale).all(axis=1))
        if new.sum() < max(N_TERMS[order] + 1, LEAST_STARS[order]) or np.array_equal(new, kept):
            break
        kept = new
    out[:, : terms.shape[1]] = found.T
    return out, kept


def _weight(snr: Array) -> Array:
    return np.asarray(1.0 / (1.0 / np.maximum(snr, 1.0) ** 2 + 0.01**2))


def _corner_error(
    measured: tuple[Array, ...], kept: NDArray[np.bool_], coefficients: Array, order: int
) -> float:
    """Return the greatest error of the polynomials at the corners, by the stars' own scatter."""
    u, v, shapes, snr = (m[kept] for m in measured)
    terms, root = design(u, v, order), np.sqrt(_weight(snr))
    off = (shapes[:, 2:5] - terms @ coefficients[:, : terms.shape[1]].T) * root[:, None]
    scatter = max(1.0, *(mad_sigma(off[:, k]) for k in range(3)))
    far = design([-1.0, 1.0, -1.0, 1.0], [-1.0, -1.0, 1.0, 1.0], order)
    leverage = far @ np.linalg.pinv(terms * root[:, None])
    return float(scatter * np.sqrt((leverage**2).sum(axis=1).max()))


def _build_table(
    image: tuple,
    stars: PsfStars,
    u: Array,
    v: Array,
    rows: NDArray,
    shapes: Array,
    highest: int,
    blank: PsfModel,
) -> tuple[Array, float, NDArray]:
    """Fill the table from what the profile leaves; stars that fit much worse than the others are refused."""
    data, variance, gain = image
    order = -1 if blank.model == "gaussian" else min(highest, _order_for(len(rows), LEAST_TABLE))
    n_terms = N_TERMS[max(order, 0)]
    table = empty_table(n_terms)
    ridge = np.repeat([e**-2.0 for e in TABLE_ERROR], [1, 2, 3])[:n_terms]
    chi2 = np.ones(len(rows))
    for turn in range(ROUNDS if order >= 0 else 1):
        x, y, uu, vv = stars.x[rows], stars.y[rows], u[rows], v[rows]
        sums = table.sum(axis=(1, 2)) * blank.step**2
        where = (shapes, table, sums, blank.step, blank.twice_beta)
        fits = fit_amplitudes(data, variance, x, y, uu, vv, FIT_FWHM * blank.fwhm, *where, gain)
        good = np.isfinite(fits[:, 0]) & (fits[:, 0] > 0)
        rows, fits = rows[good], fits[good]
        a, b, chi2 = tally_table(
            data, variance, x[good], y[good], uu[good], vv[good], fits, *where, gain, n_terms
        )
        if order < 0:
            break
        kept = chi2 < max(3.0, 4.0 * np.median(chi2)) if turn else np.ones(len(rows), bool)
        if kept.sum() >= LEAST_TABLE[order] and not kept.all():
            rows = rows[kept]
            continue
        table = table + solve_table(a, b, ridge)
    return table, float(np.median(chi2)) if len(chi2) else float("nan"), rows
