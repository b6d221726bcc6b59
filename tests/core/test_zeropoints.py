"""The global solution against its dense twin, against truth and the oracle, and what must not change it."""

import dataclasses

import numpy as np
import pytest

from photodb.core import terms, zeropoints_state
from photodb.core.columns import Frames, Measurements
from photodb.core.zeropoints import ZeroPointSettings, solve_zero_points
from photodb.errors import SolveError
from photodb.simulate.measurements import SurveySettings, simulate_survey
from tests.helpers.dense_solver import dense_solution

SMALL = SurveySettings(n_frames=16, n_stars=150)
MEDIUM = SurveySettings(n_frames=40, n_stars=600)


def errors_against_truth(survey, coefficients, points):
    """Rms of zero point, surface and epoch difference against truth, gauge removed (a quadratic of the sky)."""
    m = survey.measurements
    delta = terms.evaluate(coefficients - survey.coefficients, m.frame, m.x, m.y)
    sky = survey.star_xy[m.star]
    middle = sky.mean(axis=0)
    q = terms.design(*(sky - middle).T, 2)
    gauge = np.linalg.lstsq(q[points], delta[points], rcond=None)[0]
    surface = (delta - q @ gauge)[points]
    n_stars = m.star.max() + 1
    count = np.bincount(m.star[points], minlength=n_stars)
    mean = np.bincount(m.star[points], weights=delta[points], minlength=n_stars) / np.maximum(count, 1)
    several = count[m.star[points]] > 1
    epoch = (delta[points] - mean[m.star[points]])[several]
    n = np.bincount(m.frame[points], minlength=len(survey.frames))
    zero = np.bincount(m.frame[points], weights=surface, minlength=len(survey.frames)) / n
    return np.array([np.sqrt(np.mean(e**2)) for e in (zero, surface, epoch)])


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_equals_the_dense_twin_on_all_parameters(order):
    survey = simulate_survey(dataclasses.replace(SMALL, order=order), seed=order)
    solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(order))
    expected, stars = dense_solution(survey.measurements, survey.frames, order, solution.weight, solution.tau)
    used = solution.star_n_used > 0
    assert solution.frame_used.all()
    np.testing.assert_allclose(solution.coefficients, expected, atol=2e-5)
    np.testing.assert_allclose(solution.star_mag[used], stars[used], atol=5e-5)


def test_close_to_the_oracle_over_seeds():
    ratios, chi2, floors, wrongly = [], [], [], []
    for seed in range(8):
        survey = simulate_survey(MEDIUM, seed=100 + seed)
        solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(2))
        good = ~survey.outlier & ~survey.variable[survey.measurements.star]
        weight = np.where(good, survey.sigma**-2.0, 0.0)
        oracle, _ = dense_solution(survey.measurements, survey.frames, 2, weight, np.full(2, 0.03))
        ours = errors_against_truth(survey, solution.coefficients, good)
        ratios.append(ours / errors_against_truth(survey, oracle, good))
        chi2.append(solution.chi2_dof)
        floors.append([f.value for f in solution.floors])
        wrongly.append(np.mean(solution.star_rejected[~survey.variable]))
    zero, surface, epoch = np.sqrt(np.mean(np.square(ratios), axis=0))
    assert zero < 1.10
    assert surface < 1.10
    assert epoch < 1.06
    assert abs(np.mean(chi2) - 1.0) < 0.05
    np.testing.assert_allclose(np.mean(floors, axis=0), [0.003, 0.005], rtol=0.08)
    assert np.mean(wrongly) < 0.003


def test_posterior_errors_are_true():
    pulls = []
    for seed in range(6):
        survey = simulate_survey(dataclasses.replace(MEDIUM, outliers=0.0, variables=0.0), seed=seed)
        m = survey.measurements
        solution = solve_zero_points(m, survey.frames, ZeroPointSettings(2))
        delta = terms.evaluate(solution.coefficients - survey.coefficients, m.frame, m.x, m.y)
        q = terms.design(*(survey.star_xy[m.star]).T, 2)
        delta -= q @ np.linalg.lstsq(q, delta, rcond=None)[0]
        err = solution.correction_err(m.frame, m.x, m.y)
        middle = (np.abs(m.x) < 0.5) & (np.abs(m.y) < 0.5)
        pulls.append(np.mean((delta / err)[middle] ** 2))
    assert 0.7 < np.mean(pulls) < 1.4


def test_floor_is_right_with_few_stars_a_frame():
    # 60 stars on 142 frames, order 2: the bright ones carry the frames, so their leverage is large
    settings = SurveySettings(
        n_frames=142, n_stars=60, n_cameras=1, dither=0.3, completeness=(0.95, 1.0), bright_err=0.0005
    )
    floors = []
    for seed in range(5):
        survey = simulate_survey(settings, seed=seed)
        solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(2))
        floors.append(solution.floors[0].value)
        assert 0.95 < solution.chi2_dof < 1.05
    assert abs(np.median(floors) / 0.003 - 1.0) < 0.10


def test_two_frames_give_no_nonsense():
    survey = simulate_survey(SurveySettings(n_frames=2, n_stars=400, n_cameras=1, dither=0.02), seed=4)
    solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(2))
    assert solution.frame_used.all()
    assert solution.floors[0].value < 0.02
    assert 0.7 < solution.chi2_dof < 1.3
    sparse = simulate_survey(
        SurveySettings(n_frames=2, n_stars=18, n_cameras=1, dither=0.02, completeness=(1, 1)), seed=4
    )
    floor = solve_zero_points(sparse.measurements, sparse.frames, ZeroPointSettings(0)).floors[0]
    assert not floor.fitted
    assert "degrees of freedom" in floor.note
    assert floor.value == ZeroPointSettings().floors.default


def test_one_bad_point_does_not_move_a_bright_star():
    survey = simulate_survey(dataclasses.replace(MEDIUM, outliers=0.0, variables=0.0), seed=7)
    m = survey.measurements
    counts = np.bincount(m.star)
    star = next(j for j in np.argsort(survey.star_mag) if 12 <= counts[j] <= 20)
    before = solve_zero_points(m, survey.frames, ZeroPointSettings(2)).star_mag[star]
    mag = m.mag.copy()
    mag[np.flatnonzero(m.star == star)[3]] -= 2.0
    spoilt = solve_zero_points(dataclasses.replace(m, mag=mag), survey.frames, ZeroPointSettings(2))
    assert spoilt.clipped[np.flatnonzero(m.star == star)[3]]
    assert not spoilt.star_rejected[star]
    assert abs(spoilt.star_mag[star] - before) < 0.001


def test_more_outliers_hardly_matter():
    worse = []
    for seed in range(4):
        few, many = (
            simulate_survey(dataclasses.replace(MEDIUM, outliers=share), seed=seed) for share in (0.01, 0.05)
        )
        errors = []
        for survey in (few, many):
            solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(2))
            good = ~survey.outlier & ~survey.variable[survey.measurements.star]
            errors.append(errors_against_truth(survey, solution.coefficients, good)[2])
        worse.append(errors[1] / errors[0])
    assert np.mean(worse) < 1.15


def test_order_of_rows_and_names_of_stars_do_not_matter():
    survey = simulate_survey(SMALL, seed=8)
    m, rng = survey.measurements, np.random.default_rng(0)
    first = solve_zero_points(m, survey.frames, ZeroPointSettings(2))
    shuffle = rng.permutation(len(m))
    rename = rng.permutation(m.star.max() + 1)
    frame_of = rng.permutation(len(survey.frames))
    place = np.argsort(frame_of)
    mixed = m.take(shuffle)
    mixed = dataclasses.replace(mixed, star=rename[mixed.star], frame=place[mixed.frame])
    second = solve_zero_points(mixed, survey.frames.take(frame_of), ZeroPointSettings(2))
    np.testing.assert_allclose(second.coefficients[place], first.coefficients, atol=1e-6)
    np.testing.assert_allclose(second.star_mag[rename], first.star_mag, atol=1e-6)


def test_a_quadratic_of_the_sky_moves_only_the_gauge():
    survey = simulate_survey(dataclasses.replace(SMALL, outliers=0.0, variables=0.0), seed=9)
    m = survey.measurements
    sky = survey.star_xy[m.star]
    bent = dataclasses.replace(m, mag=m.mag + 0.05 * sky[:, 0] ** 2 - 0.03 * sky[:, 0] * sky[:, 1])
    fixed = ZeroPointSettings(2, fit_tau=False)
    one, two = (solve_zero_points(each, survey.frames, fixed) for each in (m, bent))
    shift = one.correction(m.frame, m.x, m.y) - two.correction(m.frame, m.x, m.y)
    q = terms.design(sky[:, 0], sky[:, 1], 2)
    moved = shift - q @ np.linalg.lstsq(q, shift, rcond=None)[0]
    assert np.sqrt(np.mean(moved**2)) < 2e-5
    both = (one.weight > 0) & (two.weight > 0)
    np.testing.assert_allclose(one.residual[both], two.residual[both], atol=1e-4)


def test_islands_are_named_and_not_joined():
    settings = SurveySettings(
        n_frames=32, n_stars=600, n_fields=4, field_offset=3.0, dither=0.1, completeness=(0.9, 1)
    )
    survey = simulate_survey(settings, seed=3)
    solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(1))
    assert len(solution.components) == 4
    assert sorted(c.n_frames for c in solution.components) == [8, 8, 8, 8]
    where = (np.arange(32) // 2) % 4
    for c in range(4):
        assert np.unique(where[solution.frame_component == c]).size == 1
        inside = solution.frame_component == c
        guess = survey.frames.guess[inside].mean()
        assert abs(solution.coefficients[inside, 0].mean() - guess) < 1e-6


def test_bands_do_not_mix():
    one, two = simulate_survey(SMALL, seed=1), simulate_survey(SMALL, seed=2)
    a, b = one.measurements, two.measurements
    shifted = dataclasses.replace(b, star=b.star + a.star.max() + 1, frame=b.frame + len(one.frames))
    both = Measurements(
        *(np.concatenate([getattr(a, f.name), getattr(shifted, f.name)]) for f in dataclasses.fields(a)[:6])
    )
    frames = Frames(
        np.concatenate([one.frames.camera, two.frames.camera + 2]),
        np.concatenate([one.frames.band, two.frames.band + 1]),
        np.concatenate([one.frames.guess, two.frames.guess]),
    )
    together = solve_zero_points(both, frames, ZeroPointSettings(1))
    alone = solve_zero_points(a, one.frames, ZeroPointSettings(1))
    assert [c.band for c in together.components] == [0, 1]
    np.testing.assert_allclose(together.coefficients[:16], alone.coefficients, atol=5e-5)
    with pytest.raises(ValueError, match="two bands"):
        solve_zero_points(a, dataclasses.replace(one.frames, band=np.arange(16) % 2))


def test_poor_and_bad_frames_are_told_apart():
    survey = simulate_survey(MEDIUM, seed=11)
    m, rng = survey.measurements, np.random.default_rng(0)
    keep = np.ones(len(m), dtype=bool)
    keep[np.flatnonzero(m.frame == 3)[3:]] = False
    keep[np.flatnonzero(m.frame == 5)[8:]] = False
    mag = m.mag + np.where(m.frame == 7, rng.normal(0, 0.3, len(m)), 0.0)
    spoilt = dataclasses.replace(m, mag=mag).take(keep)
    solution = solve_zero_points(spoilt, survey.frames, ZeroPointSettings(2))
    assert np.flatnonzero(~solution.frame_used).tolist() == [3, 7]
    assert "stars in common" in solution.frame_reason[3]
    assert np.isnan(solution.coefficients[3]).all()
    assert "scatter" in solution.frame_reason[7]
    assert abs(solution.coefficients[7, 0] - survey.coefficients[7, 0]) < 0.2
    assert solution.frame_terms[5] < 6
    assert "instead of 2" in solution.frame_reason[5]


def test_a_star_seen_once_gets_a_magnitude():
    survey = simulate_survey(SMALL, seed=12)
    m = survey.measurements
    lone = m.star.max() + 1
    row = int(np.argmin(m.mag_err))
    extra = dataclasses.replace(m.take(np.array([row])), star=np.array([lone]))
    both = Measurements(
        *(
            np.concatenate([getattr(m, f.name), getattr(extra, f.name)])
            for f in dataclasses.fields(m)
            if getattr(m, f.name) is not None
        )
    )
    solution = solve_zero_points(both, survey.frames, ZeroPointSettings(2))
    assert solution.star_reason[lone] == "one point only"
    assert solution.weight[-1] == 0
    expected = m.mag[row] + solution.correction(m.frame[[row]], m.x[[row]], m.y[[row]])[0]
    assert abs(solution.star_mag[lone] - expected) < 1e-9
    assert solution.star_mag_err[lone] > m.mag_err[row]


def test_nothing_in_common_is_an_error_that_says_what_to_do():
    n = 10
    m = Measurements(np.arange(2 * n), np.repeat([0, 1], n), *np.zeros((3, 2 * n)), np.full(2 * n, 0.01))
    with pytest.raises(SolveError, match="in common"):
        solve_zero_points(m, Frames(np.zeros(2, int), np.zeros(2, int), np.zeros(2)))


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.5])
def test_a_wrong_gain_is_found_as_the_scale_of_the_photon_errors(factor):
    survey = simulate_survey(MEDIUM, seed=21)
    m = dataclasses.replace(survey.measurements, mag_err=survey.measurements.mag_err / factor)
    solution = solve_zero_points(m, survey.frames, ZeroPointSettings(2))
    np.testing.assert_allclose(solution.error_scale, factor, rtol=0.03)
    assert abs(solution.chi2_dof - 1.0) < 0.05
    np.testing.assert_allclose([f.value for f in solution.floors], [0.003, 0.005], rtol=0.25)


@pytest.mark.parametrize(("sky", "star"), [(1.3, 0.4), (1.0, 1.0), (0.8, 1.6)])
def test_sky_and_star_photons_have_scales_of_their_own(sky, star):
    """Half of a bright star's variance and little of a faint one's are its own photons, wronged by another factor."""
    survey = simulate_survey(MEDIUM, seed=22)
    m = survey.measurements
    share = np.clip(0.9 / (1 + (m.mag_err / 0.02) ** 2), 0.0, 1.0)
    told2 = m.mag_err**2 * ((1 - share) / sky**2 + share / star**2)
    given = dataclasses.replace(m, mag_err=np.sqrt(told2), star_share=m.mag_err**2 * share / star**2 / told2)
    solution = solve_zero_points(given, survey.frames, ZeroPointSettings(2))
    np.testing.assert_allclose(solution.error_scale, sky, rtol=0.05)
    np.testing.assert_allclose(solution.star_scale, star, rtol=0.15)
    assert abs(solution.chi2_dof - 1.0) < 0.05
    camera = survey.frames.camera[m.frame]
    back = solution.photon_error(given.mag_err, given.star_share, camera)
    np.testing.assert_allclose(np.median(back / m.mag_err), 1.0, atol=0.05)


@pytest.mark.parametrize(
    ("order", "told"), [(2, "order 0 takes 30, order 1 takes 10 frames"), (0, "30 frames")]
)
def test_too_many_unknowns_are_told_with_what_would_fit(monkeypatch, order, told):
    monkeypatch.setattr(zeropoints_state, "MAX_DENSE", 30)
    survey = simulate_survey(SurveySettings(n_frames=40, n_stars=200), seed=1)
    settings = ZeroPointSettings(order=order)
    with pytest.raises(
        SolveError, match=r"unknowns.*at most 30: .*--exclude-night until \d+ frames"
    ) as error:
        solve_zero_points(survey.measurements, survey.frames, settings)
    assert told in str(error.value)
    assert "--band" not in str(error.value)
    assert ("--order" in str(error.value)) == (order > 0)
