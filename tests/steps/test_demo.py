"""The simulated nights with truth: from pixels to zero points, light curves and variable stars."""

import pytest

from photodb.simulate import read_truth
from photodb.steps.demo import DemoSettings, fill, simulate_into
from photodb.steps.progress import Silent
from photodb.steps.truth import compare

CASES = {
    "three nights": DemoSettings(seed=1),
    "another sky": DemoSettings(seed=2),
    "one night": DemoSettings(seed=3, nights=1, frames=80),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_simulated_nights_with_truth(database, tmp_path, case):
    """Zero points within 2 mmag rms; all clear variables in the first ranks, no false candidate above them."""
    simulate_into(tmp_path, CASES[case], Silent())
    report = fill(database, tmp_path, jobs=2, progress=Silent())
    assert report.why_not_solved == ""
    result = compare(database, read_truth(tmp_path))
    _check_frames_and_places(result)
    _check_photometry(result)
    assert len(result.clear_variables) >= 5
    assert result.missed == ()
    assert result.false_above == ()
    again = fill(database, tmp_path, jobs=2, progress=Silent())
    assert again.idle


def _check_frames_and_places(result):
    assert result.n_accepted >= result.n_frames - result.n_tree
    assert result.n_used == result.n_frames - result.n_tree
    assert result.n_tree_set_aside == result.n_tree > 0
    assert result.n_stars_matched > 350
    assert result.position_median < 0.07  # arcsec, the catalogue's own noise


def _check_photometry(result):
    assert result.zero_point_rms < 0.002
    for zero_point in result.zero_points:
        assert zero_point.rms < 0.002, zero_point
    for scatter in result.scatter:
        assert scatter.n_stars >= 20
        assert scatter.median < 1.2 * scatter.expected  # the band passes differ by a colour term
        assert scatter.pull == pytest.approx(1.0, abs=0.2)  # one gain is only estimated
