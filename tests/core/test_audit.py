"""Two telescopes compared: closed forms, and pulls over seeds."""

import numpy as np
import pytest

from photodb.core import auditdrift, auditmap, auditplace
from photodb.core.auditdrift import FrameShifts
from photodb.core.auditplace import CommonPlaces
from photodb.core.auditstars import CommonStars, compare_stars


def stars(rng, n=300, offset=0.0, colour_slope=0.0, mag_slope=0.0, extra=0.004):
    mag = rng.uniform(13, 18, n)
    colour = 0.2 * (mag - 15) + rng.normal(0.8, 0.4, n)  # faint stars are red
    err_a, err_b = 0.002 * 10 ** (0.2 * (mag - 13)), 0.004 * 10 ** (0.2 * (mag - 13))
    true = offset + colour_slope * (colour - 0.8) + mag_slope * (mag - 15.5) + extra * rng.normal(size=n)
    wild = rng.random(n) < 0.02
    true[wild] += rng.uniform(-0.5, 0.5, wild.sum())
    known = rng.random(n) < 0.8
    return CommonStars(
        np.arange(n),
        mag + true + err_a * rng.normal(size=n),
        err_a,
        np.full(n, 9),
        mag + err_b * rng.normal(size=n),
        err_b,
        np.full(n, 5),
        np.where(known, colour + 0.01 * rng.normal(size=n), np.nan),
        np.where(known, 0.01, np.nan),
    )


def test_offset_and_slopes_come_back_with_true_errors():
    pulls = []
    for seed in range(250):
        found = compare_stars(stars(np.random.default_rng([5, seed]), 300, 0.0, 0.03, 0.01))
        pulls.append(
            [
                (found.by_colour.value - 0.03) / found.by_colour.error,
                (found.by_mag.value - 0.01) / found.by_mag.error,
            ]
        )
    assert ((np.std(pulls, axis=0) > 0.9) & (np.std(pulls, axis=0) < 1.1)).all()
    assert (np.abs(np.mean(pulls, axis=0)) < 0.25).all()
    pulls = []
    for seed in range(250):
        found = compare_stars(stars(np.random.default_rng([6, seed]), 80, 0.032))
        pulls.append((found.offset - 0.032) / found.offset_err)
        assert found.excess < 0.02
    assert 0.9 < np.std(pulls) < 1.1
    assert abs(np.mean(pulls)) < 0.2


def test_a_colour_term_is_no_non_linearity():
    found = compare_stars(stars(np.random.default_rng(9), 2000, colour_slope=0.1))
    assert found.by_colour.value == pytest.approx(0.1, abs=5 * found.by_colour.error)
    assert abs(found.by_mag.value) < 5 * found.by_mag.error
    assert found.by_mag.error < 0.002


def test_the_same_noise_in_both_makes_no_slope_with_magnitude():
    values = []
    for seed in range(40):
        rng = np.random.default_rng([14, seed])
        mag, n = rng.uniform(15, 16.5, 2000), 2000
        a, b, none = np.full(n, 0.01), np.full(n, 0.1), np.full(n, np.nan)
        common = CommonStars(
            np.arange(n),
            mag + 0.01 * rng.normal(size=n),
            a,
            a,
            mag + 0.1 * rng.normal(size=n),
            b,
            b,
            none,
            none,
        )
        values.append(compare_stars(common).by_mag.value)
    # B's noise against the plain mean of both would lean by -0.01 / 2 / 0.19 = -26 mmag a mag
    assert abs(np.mean(values)) < 0.003


def test_what_cannot_be_fitted_says_why():
    few = compare_stars(stars(np.random.default_rng(1), 12))
    assert np.isfinite(few.offset)
    assert np.isnan([few.by_colour.value, few.by_mag.value]).all()
    assert "30 needed" in few.by_colour.why_not
    assert few.by_mag.why_not == "12 sources with magnitudes, 30 needed"
    none = compare_stars(stars(np.random.default_rng(1), 4))
    assert np.isnan([none.offset, none.offset_err]).all()
    one_colour = stars(np.random.default_rng(1))
    one_colour.colour[:] = 0.5
    assert "range over 0.00 mag, 0.3 needed" in compare_stars(one_colour).by_colour.why_not
    one_colour.colour[:] = np.nan
    assert compare_stars(one_colour).by_colour.why_not == "no colours"


def shifts(rng, n_nights, frames, common, drift=0.0, night_noise=0.0, first=60000):
    night = np.repeat(first + np.arange(n_nights), frames)
    variance = rng.uniform(0.5, 2.0, night.size) * 0.003**2
    own = rng.normal(0, night_noise, n_nights)
    true = drift * (night - first - (n_nights - 1) / 2) + own[night - first]
    shift = true + np.sqrt(variance + common**2) * rng.normal(size=night.size)
    return FrameShifts(night + 0.9, night, shift, variance, np.zeros(night.size))


def test_variance_between_clusters_comes_back():
    found = []
    for seed in range(200):
        rng = np.random.default_rng([21, seed])
        frames = shifts(rng, 5, 12, 0.005)
        found.append(auditdrift.common_variance(frames.shift, frames.variance, frames.night)[0])
    assert np.sqrt(np.mean(found)) == pytest.approx(0.005, rel=0.05)
    assert auditdrift.common_variance(np.zeros(2), np.ones(2), np.arange(2)) == (0.0, 0)


def test_a_steady_pair_shows_no_drift_and_a_trend_has_true_errors():
    p, pulls = [], []
    for seed in range(400):
        rng = np.random.default_rng([22, seed])
        a, b = shifts(rng, 8, 10, 0.004, drift=0.002), shifts(rng, 8, 10, 0.002)
        nights, drift = auditdrift.by_night(a, b, 0.5)
        pulls.append((drift.trend - 0.002) / drift.trend_err)
        p.append(auditdrift.by_night(shifts(rng, 8, 10, 0.004), b)[1].p)
        assert nights.used.all()
        assert drift.dof == 7
    assert 0.9 < np.std(pulls) < 1.1
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_drift_between_nights_is_seen_and_grows_the_error_of_the_mean():
    rng = np.random.default_rng(23)
    a, b = shifts(rng, 10, 20, 0.002, night_noise=0.02), shifts(rng, 10, 20, 0.002)
    _, drift = auditdrift.by_night(a, b)
    assert drift.p < 1e-10
    assert 0.01 < drift.rms < 0.04
    assert np.sqrt(auditdrift.mean_variance(a)) == pytest.approx(0.02 / np.sqrt(10), rel=0.5)
    assert np.sqrt(auditdrift.mean_variance(b)) < 0.001


def test_nights_of_one_side_alone_are_compared_with_the_mean_of_the_other():
    rng = np.random.default_rng(24)
    a, b = shifts(rng, 3, 9, 0.0), shifts(rng, 3, 9, 0.0, first=60010)
    nights, drift = auditdrift.by_night(a, b, 1.0)
    assert len(nights) == 6
    assert drift.dof == 4
    assert nights.frames_a.tolist() == [9, 9, 9, 0, 0, 0]
    np.testing.assert_allclose(nights.offset, 1.0, atol=0.01)
    both = auditdrift.by_night(a, shifts(rng, 3, 9, 0.0, first=60001))
    assert both[0].used.tolist() == [False, True, True, False]
    one = auditdrift.by_night(a.take(slice(0, 9)), b.take(slice(0, 0)))[1]
    assert np.isnan([one.chi2, one.p, one.trend]).all()


def test_one_frame_a_night_takes_the_promised_error():
    frames = FrameShifts(np.arange(5.0), np.arange(5), np.zeros(5), np.full(5, 1e-6), np.full(5, 4e-6))
    assert auditdrift.frame_variance(frames) == pytest.approx(4e-6)


def map_points(rng, n_sources=1500, n=6, pattern=0.0, own=0.01):
    source = np.repeat(np.arange(n_sources), n)
    place = rng.uniform(-1, 1, (2, n_sources))
    x, y = np.clip(place[:, source] + 0.02 * rng.normal(size=(2, source.size)), -1, 1)
    error = np.full(source.size, 0.008)
    other = np.full(n_sources, 0.004)
    difference = 0.4 + pattern * np.cos(3 * x) * y + (own * rng.normal(size=n_sources))[source]
    difference += (other * rng.normal(size=n_sources))[source] + error * rng.normal(size=source.size)
    return x, y, source, difference, error, other[source]


def test_a_flat_map_is_flat_though_sources_differ():
    p, pulls = [], []
    for seed in range(100):
        found = auditmap.field_map(*map_points(np.random.default_rng([31, seed])))
        p.append(found.p)
        pulls.append(found.cells.significance)
    assert 0.35 < np.mean(p) < 0.65
    assert 0.9 < np.std(np.concatenate(pulls)) < 1.1


def test_a_pattern_over_the_field_comes_back():
    found = auditmap.field_map(*map_points(np.random.default_rng(32), pattern=0.03))
    cells = found.cells
    assert found.p < 1e-10
    expected = 0.03 * np.cos(3 * cells.x) * cells.y
    pull = (cells.difference - expected) / cells.difference_err
    assert pull.std() < 1.3
    assert found.rms == pytest.approx(expected.std(), rel=0.3)


def test_an_empty_map_has_no_verdict():
    x, y, source, *rest = map_points(np.random.default_rng(33), 3)
    found = auditmap.field_map(x, y, source, *rest)
    assert len(found.cells) == 0
    assert np.isnan([found.chi2, found.p, found.rms]).all()


def places(rng, n=400, error=0.05, **true):
    xi, eta = rng.uniform(-0.3, 0.3, (2, n))
    rows = auditplace.place_design(xi, eta)
    values = np.array([true.get(name, 0.0) for name in ("east", "north", "scale", "rotation")])
    east, north = (row @ values + error * rng.normal(size=n) for row in rows)
    wild = rng.random(n) < 0.02
    east[wild] += 2.0
    return CommonPlaces(np.arange(n), xi, eta, east, north, np.full(n, 0.7 * error))


def test_shift_scale_and_rotation_come_back_with_true_errors():
    pulls = []
    for seed in range(200):
        found = auditplace.compare_places(
            places(np.random.default_rng([41, seed]), east=0.3, north=-0.1, scale=0.4, rotation=0.2)
        )
        pulls.append(
            [
                (found.east - 0.3) / found.east_err,
                (found.north + 0.1) / found.north_err,
                (found.scale_ppm - 0.4e6 / 3600) / found.scale_ppm_err,
                (found.rotation - np.degrees(0.2)) / found.rotation_err,
            ]
        )
        assert found.scatter == pytest.approx(0.05, rel=0.2)
    assert ((np.std(pulls, axis=0) > 0.88) & (np.std(pulls, axis=0) < 1.12)).all()
    assert found.shift[0] == pytest.approx(np.hypot(0.3, 0.1), abs=0.02)
    assert found.significance > 50


def test_rotation_counts_from_north_through_east():
    # a source in the north that A sees farther east has a greater position angle there
    eta = np.linspace(-0.5, 0.5, 41)
    east = 0.1 * eta
    found = auditplace.compare_places(
        CommonPlaces(np.arange(41), np.zeros(41), eta, east, 0 * eta, np.full(41, 0.01))
    )
    assert found.rotation == pytest.approx(np.degrees(0.1))


def test_frames_that_wobble_make_the_mean_uncertain():
    pulls = []
    for seed in range(300):
        rng = np.random.default_rng([42, seed])
        xi, eta = rng.uniform(-0.3, 0.3, (2, 300))
        frame, star = np.repeat(np.arange(12), 300), np.tile(np.arange(300), 12)
        wobble = 0.02 * rng.normal(size=12)
        east = wobble[frame] + 0.05 * rng.normal(size=frame.size)
        north = 0.05 * rng.normal(size=frame.size)
        found, variance = auditplace.frame_places(xi[star], eta[star], east, north, frame, 12)
        shared = auditplace.frames_variance(found, variance)
        mean = np.bincount(star, east) / 12, np.bincount(star, north) / 12
        common = CommonPlaces(np.arange(300), xi, eta, *mean, np.full(300, 0.05 / np.sqrt(12)))
        compared = auditplace.compare_places(common, shared)
        pulls.append([compared.east / compared.east_err, compared.north / compared.north_err])
    assert 0.9 < np.std(pulls, axis=0)[0] < 1.15
    assert 0.85 < np.std(pulls, axis=0)[1] < 1.1


def test_frames_with_few_sources_tell_nothing():
    found, variance = auditplace.frame_places(*np.zeros((4, 3)), np.zeros(3, int), 1)
    assert np.isnan(found).all()
    assert (auditplace.frames_variance(found, variance) == 0).all()
    few = auditplace.compare_places(places(np.random.default_rng(3), 5))
    assert np.isnan([few.east, few.rotation_err]).all()
