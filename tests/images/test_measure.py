"""Detection and photometry of frames whose stars are known."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from photodb.core.flags import Flag
from photodb.images.aperture import BEST_RADIUS
from photodb.images.classify import COSMIC_RAY
from photodb.images.measure import measure
from photodb.images.quality import Areas, quality
from photodb.images.reduce import ReducedFrame

from .sky_frames import star_image

GAIN = 2.0


def reduced(counts, saturation=60000.0, linear=np.inf):
    raw = np.clip(np.round(counts), 0, 65535).astype(np.uint16)
    return ReducedFrame(raw, raw.astype(np.float32), raw >= saturation, saturation, linear, 0, 0)


def pair(found, x, y, radius=2.0):
    distance, row = cKDTree(np.column_stack([found.x, found.y])).query(
        np.column_stack([x, y]), distance_upper_bound=radius
    )
    seen = np.isfinite(distance)
    return np.flatnonzero(seen), row[seen]


@pytest.fixture(scope="module", params=[2.0, 3.2, 5.5], ids=lambda f: f"fwhm{f}")
def measured(request):
    rng = np.random.default_rng(int(request.param * 10))
    everything = []
    for _ in range(4):
        counts, x, y, flux = star_image(
            rng, fwhm=request.param, spacing=8 * request.param, n=60 if request.param > 5 else 130
        )
        result = measure(reduced(counts), GAIN)
        i, j = pair(result.detections, x, y)
        everything.append((result, x[i], y[i], flux[i], j, len(x), flux))
    return request.param, everything


def test_places_are_unbiased_and_sharp(measured):
    fwhm, everything = measured
    for result, x, y, flux, j, _, _ in everything:
        found = result.detections.take(j)
        bright = flux > 15000
        assert np.hypot(found.x - x, found.y - y)[bright].max() < 0.1 * fwhm / 2
        assert abs(np.mean((found.x - x)[bright])) < 0.02
        assert result.fwhm == pytest.approx(fwhm, rel=0.06)
        assert result.ellipticity < 0.1


def test_fluxes_and_their_errors_are_true(measured):
    """Growth of a Gaussian star in a circle: 1 - exp(-r2 / 2 sigma2)."""
    _, everything = measured
    pulls, ratios = [], []
    for result, _, _, flux, j, _, _ in everything:
        found = result.detections.take(j)
        sigma = np.array(result.fwhm) / 2.3548
        for k, r in enumerate(result.radii):
            inside = flux * (1 - np.exp(-0.5 * (r / sigma) ** 2))
            bright = flux > 20000
            ratios.append(np.median(found.flux[bright, k] / inside[bright]))
        clean = found.flags == 0
        inside = flux * (1 - np.exp(-0.5 * (result.radii[4] / sigma) ** 2))
        pulls.append(((found.flux[:, 4] - inside) / found.flux_err[:, 4])[clean])
    pulls = np.concatenate(pulls)
    assert np.abs(np.array(ratios) - 1).max() < 0.06
    assert 1.4826 * np.median(np.abs(pulls - np.median(pulls))) == pytest.approx(1.0, abs=0.15)
    assert abs(np.median(pulls)) < 0.35


def test_complete_and_clean(measured):
    fwhm, everything = measured
    for result, _x, _y, flux, j, _n, every in everything:
        noise = np.sqrt(300 * GAIN + 64) * np.sqrt(4 * np.pi) * fwhm / 2.3548
        strong = every > 10 * noise
        seen = np.isin(every[strong], flux)
        assert seen.mean() > 0.97
        assert (
            len(result.detections) - len(j) <= 6
        )  # 5 sigma over 200,000 pixels, and the wings of bright stars


def test_saturated_stars_are_kept_flagged_and_first():
    counts, x, y, _ = star_image(np.random.default_rng(7), n=60, spacing=30)
    k = 10
    yy, xx = np.mgrid[0 : counts.shape[0], 0 : counts.shape[1]]
    counts = counts + 4e6 / (2 * np.pi * 1.36**2) * np.exp(
        -0.5 * ((xx - x[k]) ** 2 + (yy - y[k]) ** 2) / 1.36**2
    )
    result = measure(reduced(np.minimum(counts, 65535)), GAIN, max_stars=20)
    flags = result.detections.flags
    assert flags[0] & Flag.SATURATED
    assert np.hypot(result.detections.x[0] - x[k], result.detections.y[0] - y[k]) < 0.5
    assert result.n_saturated == 1
    assert len(flags) == 21  # the brightest 20, and the saturated one set aside
    assert (np.diff(result.detections.flux[:, BEST_RADIUS]) <= 0).all()


def test_cosmic_rays_and_hot_pixels_are_told_from_stars():
    rng = np.random.default_rng(8)
    counts, x, y, _ = star_image(rng, n=120, spacing=16)
    free = [(px, py) for px, py in rng.uniform(30, 370, (400, 2)) if np.hypot(x - px, y - py).min() > 12][:60]
    for px, py in free:
        counts[int(py), int(px)] += rng.uniform(400, 6000)
    found = measure(reduced(counts), GAIN).detections
    tree = cKDTree(np.array([(int(a), int(b)) for a, b in free]))
    hit = tree.query(np.column_stack([found.x, found.y]), distance_upper_bound=1.5)[0] < 1.5
    _, star = pair(found, x, y)
    assert hit.sum() > 40 and len(star) > 90
    assert (found.kind[hit] == COSMIC_RAY).mean() > 0.9
    assert (found.kind[star] == COSMIC_RAY).mean() < 0.015


def test_edges_blends_and_bad_pixels_are_flagged():
    counts, x, y, flux = star_image(np.random.default_rng(9), n=40, spacing=40)
    order = np.argsort(-flux)
    x, y = x[order], y[order]
    yy, xx = np.mgrid[0 : counts.shape[0], 0 : counts.shape[1]]

    def star(px, py, total):
        return total / (2 * np.pi * 1.36**2) * np.exp(-0.5 * ((xx - px) ** 2 + (yy - py) ** 2) / 1.36**2)

    counts = counts + star(2.0, 200.0, 20000) + star(x[0] + 5.5, y[0], 20000)
    found = measure(reduced(counts, linear=np.sort(counts[20:-20, 20:-20].ravel())[-3]), GAIN).detections
    assert found.flags[0] & Flag.NONLINEAR and not found.flags[10] & Flag.NONLINEAR
    edge = np.argmin(np.hypot(found.x - 2, found.y - 200))
    blend = np.argmin(np.hypot(found.x - x[0] - 5.5, found.y - y[0]))
    alone = np.argmin(np.hypot(found.x - x[5], found.y - y[5]))
    assert found.flags[edge] & Flag.EDGE
    assert found.flags[blend] & Flag.BLEND
    assert not found.flags[alone] & (Flag.EDGE | Flag.BLEND | Flag.SATURATED)


def test_quality_sees_range_and_unevenness():
    rng = np.random.default_rng(10)
    flat = rng.normal(500, 5, (300, 300)).astype(np.float32)
    even = quality(flat)
    flat[:100, :100] -= 40
    uneven = quality(flat)
    assert even.nonuniformity < 3 and uneven.nonuniformity == pytest.approx(40, abs=3)
    flat[150:156, 150:156] = 9000
    assert quality(flat).data_max == 9000
    assert quality(flat, Areas(box=(0, 0, 99, 99))).data_max < 600
    assert quality(flat).data_min < 460


def test_star_order_changes_nothing():
    """The measurement of a star does not depend on which others were asked for."""
    counts, *_ = star_image(np.random.default_rng(11), n=100, spacing=20)
    every, some = (
        measure(reduced(counts), GAIN).detections,
        measure(reduced(counts), GAIN, max_stars=30).detections,
    )
    assert np.array_equal(every.flux[:30], some.flux)


def test_errors_know_the_flat():
    from dataclasses import replace

    from photodb.images.aperture import with_flat

    multiplied = np.ones((20, 30), np.float32)
    multiplied[:, 15:] = 1.25
    plain = ReducedFrame(multiplied, multiplied, multiplied > 9, np.inf, np.inf, 0, 0)
    x, y, flux, error = (
        np.array([5.0, 20.0, 20.0]),
        np.full(3, 9.0),
        np.array([1e4, 1e4, -50.0]),
        np.full(3, 100.0),
    )
    assert (with_flat(plain, x, y, flux, error) == error).all()
    told = with_flat(replace(plain, multiplied=multiplied), x, y, flux, error)
    assert told == pytest.approx([100.0, np.sqrt(1.25e4), 100.0])
