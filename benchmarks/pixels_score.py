"""Score measurements of simulated frames against the truth and the Cramer-Rao bound.

`know` tells what a frame (photodb.simulate.pixels) holds; the other functions take what was measured and give small
dictionaries of figures: the rows of the table that the photometry has to pass. Fluxes are compared after one common
factor, the median over bright isolated stars: the aperture's or the model's share of light is nobody's error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from photodb.images.reduce import ReducedFrame
from photodb.simulate.pixels import STAR, PixelFrame, cramer_rao

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

FLUX_BINS = ((5, 8), (8, 15), (15, 60), (60, 200), (200, 500), (500, 1e9))
FOUND_BINS = ((5, 6), (6, 8), (8, 12), (12, 30), (30, 1e9), (10, 20), (20, 1e9))
COSMIC_RAY = 3
PAIR_REACH, PAIR_SHARE = 7.0, 0.2
PAIR_CLOSEST = 2.5
"""px; a closer companion is one star with it for everybody."""
CLEAN = 0.3
"""An isolated star gets less light of others than this share of its bound, weighed as a fit weighs it."""
NEAR = 12.0
"""px; and has no neighbour of a fifth of its flux so near."""


@dataclass(frozen=True)
class Truth:
    """What is known of the objects on a frame, n rows; `row` is the object's row in the sky."""

    row: NDArray[np.int64]
    x: Array
    y: Array
    flux: Array
    star: Bools  # not a galaxy
    bound: Array  # e-, smallest error of the flux
    bound_x: Array  # px
    bound_y: Array
    snr: Array  # flux over bound
    isolated: Bools
    pair: Bools  # has a star of a fifth of its flux within 2.5 to 7 px, none nearer
    saturated: Bools
    fwhm: float  # px, median of the stars
    shape: tuple[int, int]  # (ny, nx)
    frame: PixelFrame


def know(frame: PixelFrame, border: float = 8.0) -> Truth:
    """Return the truth of the objects `border` px inside the frame."""
    row = np.flatnonzero(frame.inside(border))
    bound, bound_x, bound_y = cramer_rao(frame, row)
    ring = frame.inside(-20.0)
    clean, pair = _neighbours(frame, row, np.flatnonzero(ring), bound)
    star = frame.kind[row] == STAR
    saturated = frame.saturated[row]
    alpha = np.median(frame.shapes.alpha[row][star])
    ny, nx = frame.raw.shape
    return Truth(
        row, frame.x[row], frame.y[row], frame.flux[row], star, bound, bound_x, bound_y, frame.flux[row] / bound,
        clean & star & ~saturated & ~_near_dirt(frame, row), pair & star & ~saturated, saturated,
        float(alpha * 1.0196), (ny, nx), frame,
    )  # fmt: skip


def _neighbours(frame: PixelFrame, row: NDArray, every: NDArray, bound: Array) -> tuple[Bools, Bools]:
    """Tell which objects are isolated, and which have a close companion."""
    xy = np.column_stack([frame.x, frame.y])
    reach = 60.0
    near = cKDTree(xy[every]).query_ball_point(xy[row], reach)
    clean, pair = np.zeros(len(row), bool), np.zeros(len(row), bool)
    for k, others in enumerate(near):
        j = every[np.array(others, int)]
        j = j[j != row[k]]
        distance = np.hypot(*(xy[j] - xy[row[k]]).T)
        width = 2.0 * max(frame.shapes.alpha[row[k]], 1.0)
        light = np.sum(frame.flux[j] * (1 + (distance / width) ** 2) ** -3)
        share = frame.flux[j] / frame.flux[row[k]]
        clean[k] = light < CLEAN * bound[k] and not np.any((share > PAIR_SHARE) & (distance < NEAR))
        close = (share > PAIR_SHARE) & (distance < PAIR_REACH)
        apart = (frame.kind[j] == STAR) & (distance > PAIR_CLOSEST)
        pair[k] = close.any() and apart[close].all()
    return clean, pair


def _near_dirt(frame: PixelFrame, row: NDArray, reach: float = 9.0) -> Bools:
    """Tell which objects have a cosmic ray or hot pixel beside them."""
    dirt = np.column_stack([np.append(frame.cosmic_x, frame.hot_x), np.append(frame.cosmic_y, frame.hot_y)])
    if not len(dirt):
        return np.zeros(len(row), bool)
    return cKDTree(dirt).query(np.column_stack([frame.x[row], frame.y[row]]))[0] < reach


def reduced(frame: PixelFrame, use_flat: bool = True) -> ReducedFrame:
    """Return the frame as the reduction would give it with perfect masters."""
    bad = frame.raw >= frame.camera.saturation
    data = frame.raw.astype(np.float32) - np.float32(frame.camera.bias)
    if use_flat:
        data /= frame.flat
    return ReducedFrame(frame.raw, data, bad, frame.camera.saturation, np.inf, 0, 0)


def match(
    truth: Truth, x: Array, y: Array, radius: float | None = None, faintest: float = 2.0
) -> NDArray[np.int64]:
    """Return for every object the row of its detection, -1 where none: brightest objects choose first, nearest wins.

    Objects below a S/N of `faintest` get none: near them a detection is chance.
    """
    found = np.full(len(truth.x), -1)
    if not len(x):
        return found
    near = cKDTree(np.column_stack([x, y])).query_ball_point(
        np.column_stack([truth.x, truth.y]), radius or max(1.5, 0.6 * truth.fwhm)
    )
    taken = np.zeros(len(x), bool)
    for k in np.argsort(-truth.flux):
        free = [j for j in near[k] if not taken[j]]
        if free and truth.snr[k] > faintest:
            found[k] = min(free, key=lambda j: (x[j] - truth.x[k]) ** 2 + (y[j] - truth.y[k]) ** 2)
            taken[found[k]] = True
    return found


def score_flux(truth: Truth, flux: Array, flux_err: Array) -> dict[str, float]:
    """Score fluxes that stand in the truth's rows (NaN where not measured); e-.

    Keys: `rms <bin>` over the bound (isolated stars, 5 sigma clipped), `core <bin>` the same by the 68 % quantile,
    `pull <bin>` the scatter over the told error, `bias <bin>` mmag of the mean, `n <bin>`; `trend low`, `trend high`
    mmag from the centre to the corners; `pair bias`, `pair rms` mmag of close pairs above S/N 50.
    """
    bright = truth.isolated & (truth.snr > 50) & np.isfinite(flux)
    bright = bright if bright.sum() >= 5 else truth.isolated & np.isfinite(flux)
    if not bright.any():
        return {}
    factor = np.median(flux[bright] / truth.flux[bright])
    error = flux / factor - truth.flux
    told: dict[str, float] = {"factor": float(factor)}
    for low, high in FLUX_BINS:
        use = truth.isolated & (truth.snr >= low) & (truth.snr < high) & np.isfinite(flux)
        if use.sum() < 5:
            continue
        name = bin_name(low, high)
        over = error[use] / truth.bound[use]
        core = np.quantile(np.abs(over), 0.6827)
        kept = np.abs(over) < 5 * core
        told[f"rms {name}"] = float(np.sqrt(np.mean(over[kept] ** 2)))
        told[f"core {name}"] = float(core)
        pulls = (error[use] / (flux_err[use] / factor))[kept]
        told[f"pull {name}"] = float(np.quantile(np.abs(pulls - np.median(pulls)), 0.6827))
        told[f"bias {name}"] = float(1085.7 * error[use][kept].sum() / truth.flux[use][kept].sum())
        told[f"n {name}"] = float(use.sum())
    return told | _trend(truth, error) | _pairs(truth, error)


def bin_name(low: float, high: float) -> str:
    """Return the name of a bin of S/N."""
    return f">{low:g}" if high > 1e8 else f"{low:g}-{high:g}"


def _trend(truth: Truth, error: Array) -> dict[str, float]:
    """Return the lowest and highest corner against the centre of the frame, mmag, of a quadratic through the stars."""
    use = truth.isolated & (truth.snr > 15) & np.isfinite(error)
    if use.sum() < 30:
        return {}
    residual = -1085.7 * error[use] / truth.flux[use]
    _, solution = _surface(truth, use, residual, np.hypot(1085.7 / truth.snr[use], 3.0), 2)
    corners = [_powers(np.array([a]), np.array([b]), 2)[0] for a in (-0.9, 0.9) for b in (-0.9, 0.9)]
    told = [float((c - _powers(np.zeros(1), np.zeros(1), 2)[0]) @ solution) for c in corners]
    return {"trend low": min(told), "trend high": max(told)}


def _pairs(truth: Truth, error: Array, least: float = 50.0) -> dict[str, float]:
    use = truth.pair & (truth.snr > least) & np.isfinite(error)
    if use.sum() < 5:
        return {}
    mag = -1085.7 * error[use] / truth.flux[use]
    middle = float(np.median(mag))
    rms = float(np.quantile(np.abs(mag - middle), 0.6827))
    return {"pair bias": middle, "pair rms": rms, "pair n": float(use.sum())}


def score_flip(mags: Array, flipped: Bools, bright: Bools) -> float:
    """Return the scatter (mmag) of the bright stars' steps across a meridian flip; mags (frames, stars)."""
    level = mags[:, bright] - np.nanmedian(mags[:, bright], axis=1, keepdims=True)
    level = level[:, np.isfinite(level[flipped]).any(axis=0) & np.isfinite(level[~flipped]).any(axis=0)]
    step = np.nanmean(level[flipped], axis=0) - np.nanmean(level[~flipped], axis=0)
    return float(1000 * np.quantile(np.abs(step - np.median(step)), 0.6827))


def score_detection(truth: Truth, x: Array, y: Array, kind: NDArray | None = None) -> dict[str, float]:
    """Score detections: x, y (px), kind (3 is a cosmic ray; none are where absent).

    Keys: `found <bin>` completeness over all unsaturated stars, blends included; `false` number and `false share` of
    detections that are no object and no flagged cosmic ray; `cosmic flagged` share of the detected cosmic rays and hot
    pixels; `cosmic left` those taken for stars; `wrongly` share of the stars above S/N 5 flagged.
    """
    kind = np.ones(len(x), int) if kind is None else np.asarray(kind)
    row = match(truth, x, y)
    told: dict[str, float] = {}
    for low, high in FOUND_BINS:
        use = truth.star & ~truth.saturated & (truth.snr >= low) & (truth.snr < high)
        if use.any():
            told[f"found {bin_name(low, high)}"] = float((row[use] >= 0).mean())
            told[f"of {bin_name(low, high)}"] = float(use.sum())
    seen = (row >= 0) & truth.star & (truth.snr > 5)
    told["wrongly"] = float((kind[row[seen]] == COSMIC_RAY).mean()) if seen.any() else 0.0
    dirt = _dirt_hits(truth, x, y)
    taken = np.zeros(len(x), bool)
    taken[row[row >= 0]] = True
    hit = dirt & ~_beside_star(truth, x, y)
    told["cosmic flagged"] = float((kind[hit] == COSMIC_RAY).mean()) if hit.any() else float("nan")
    told["cosmic left"] = float((hit & (kind != COSMIC_RAY)).sum())
    inner = _inner(truth, x, y)
    false = inner & ~taken & (kind != COSMIC_RAY) & ~_part_of_object(truth, x, y)
    told["false"] = float(false.sum())
    told["false share"] = float(false.sum() / max((inner & (kind != COSMIC_RAY)).sum(), 1))
    told["detections"] = float(inner.sum())
    return told


def false_ones(truth: Truth, x: Array, y: Array, kind: NDArray) -> NDArray[np.int64]:
    """Return the rows of the false detections."""
    taken = np.zeros(len(x), bool)
    row = match(truth, x, y)
    taken[row[row >= 0]] = True
    bad = _inner(truth, x, y) & ~taken & (kind != COSMIC_RAY) & ~_part_of_object(truth, x, y)
    return np.flatnonzero(bad)


def _inner(truth: Truth, x: Array, y: Array, border: float = 11.0) -> Bools:
    ny, nx = truth.shape
    return (x > border) & (y > border) & (x < nx - 1 - border) & (y < ny - 1 - border)


def _dirt_hits(truth: Truth, x: Array, y: Array) -> Bools:
    """Tell which detections sit on a cosmic ray or hot pixel."""
    f = truth.frame
    dirt = np.column_stack([np.append(f.cosmic_x, f.hot_x), np.append(f.cosmic_y, f.hot_y)])
    if not len(dirt) or not len(x):
        return np.zeros(len(x), bool)
    return cKDTree(dirt).query(np.column_stack([x, y]))[0] < 2.5


def _beside_star(truth: Truth, x: Array, y: Array) -> Bools:
    """Tell which detections have a real object above S/N 4 within two FWHM, or lie in a saturated star."""
    seen = truth.snr > 4
    tree = cKDTree(np.column_stack([truth.x[seen], truth.y[seen]]))
    close = tree.query(np.column_stack([x, y]))[0] < 2 * truth.fwhm
    return close | _in_saturated(truth, x, y)


def _in_saturated(truth: Truth, x: Array, y: Array) -> Bools:
    """Tell which detections lie where a saturated star's pixels are clipped."""
    if not truth.saturated.any() or not len(x):
        return np.zeros(len(x), bool)
    clipped = np.argwhere(truth.frame.raw >= truth.frame.camera.saturation - 1)[:, ::-1]
    return (
        cKDTree(clipped).query(np.column_stack([x, y]))[0] < 1.5 if len(clipped) else np.zeros(len(x), bool)
    )


def _part_of_object(truth: Truth, x: Array, y: Array) -> Bools:
    """Tell which detections are the clipped part of a saturated star; all else unmatched is false."""
    stars = np.flatnonzero(truth.saturated)
    if not len(stars) or not len(x):
        return np.zeros(len(x), bool)
    near = cKDTree(np.column_stack([truth.x[stars], truth.y[stars]])).query(np.column_stack([x, y]))[0]
    return _in_saturated(truth, x, y) & (near < 3 * truth.fwhm)


def score_centroids(truth: Truth, x: Array, y: Array) -> dict[str, float]:
    """Score places: error over the bound for isolated stars by S/N, and the floor (px) of the brightest.

    What is smooth over the field (a cubic) is the asymmetry of the PSF, which a plate solution takes up: it is taken
    off and told as `pull px`, its rms.
    """
    row = match(truth, x, y)
    use = truth.isolated & (row >= 0) & (truth.snr > 8)
    if use.sum() < 30:
        return {}
    told: dict[str, float] = {}
    over, offsets = [], []
    for measured, true, bound in ((x, truth.x, truth.bound_x), (y, truth.y, truth.bound_y)):
        difference = measured[row[use]] - true[use]
        smooth, _ = _surface(truth, use, difference, np.hypot(bound[use], 0.01), 3)
        over.append((difference - smooth) / bound[use])
        offsets.append(smooth)
    both, snr = np.array(over), truth.snr[use]
    for low, high in ((8, 15), (15, 60), (60, 200), (200, 500)):
        chosen = (snr >= low) & (snr < high)
        if chosen.sum() >= 5:
            told[f"place {low}-{high}"] = float(np.quantile(np.abs(both[:, chosen]), 0.6827))
    top = snr > 200
    if top.sum() >= 5:
        errors = both[:, top] * np.stack([truth.bound_x[use][top], truth.bound_y[use][top]])
        told["floor px"] = float(np.quantile(np.abs(errors), 0.6827))
    told["pull px"] = float(np.sqrt(np.mean(np.array(offsets) ** 2)))
    return told


def _powers(u: Array, v: Array, order: int) -> Array:
    return np.stack([u**i * v**j for i in range(order + 1) for j in range(order + 1 - i)], axis=1)


def _surface(truth: Truth, use: Bools, values: Array, error: Array, order: int) -> tuple[Array, Array]:
    """Fit a robust polynomial in scaled x, y through `values`; return it at the objects, and its coefficients."""
    ny, nx = truth.shape
    terms = _powers(2 * truth.x[use] / (nx - 1) - 1, 2 * truth.y[use] / (ny - 1) - 1, order)
    kept, solution = np.ones(len(terms), bool), np.zeros(terms.shape[1])
    for _ in range(4):
        solution = np.linalg.lstsq(terms[kept] / error[kept, None], values[kept] / error[kept], rcond=None)[0]
        pull = (values - terms @ solution) / error
        kept = np.abs(pull) < 4 * np.quantile(np.abs(pull), 0.6827)
    return terms @ solution, solution


def average(scores: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over the frames that have it."""
    names = list(dict.fromkeys(name for s in scores for name in s))
    return {name: float(np.mean([s[name] for s in scores if name in s])) for name in names}


def write_table(title: str, told: dict[str, float]) -> str:
    """Return the figures as lines of text."""
    lines = [f"{name:16s} {value:10.4g}" for name, value in told.items()]
    return "\n".join([title, *("  " + line for line in lines)])
