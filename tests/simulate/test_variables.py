"""Shapes of variables in closed form."""

import numpy as np
import pytest

from photodb.simulate.variables import PERIODIC, RISE, SECONDARY, Variable, eclipses, flare, transit

PHASE = np.linspace(0, 1, 20_000, endpoint=False)


@pytest.mark.parametrize("kind", sorted(PERIODIC))
def test_amplitude_is_peak_to_peak_and_the_period_repeats(kind):
    variable = Variable(kind, 0.37, epoch=60905.2, period=0.71, duration=0.12)
    time = 60905.2 + 0.71 * PHASE
    mag = variable.magnitude(time)
    assert np.ptp(mag) == pytest.approx(0.37, rel=1e-3)
    np.testing.assert_allclose(variable.magnitude(time + 7 * 0.71), mag, atol=2e-5)


def test_sawtooth_is_faintest_at_zero_and_brightest_at_the_end_of_the_rise():
    variable = Variable("rr_lyrae", 1.0, epoch=0.0, period=1.0)
    assert variable.magnitude(np.array(0.0)) == pytest.approx(0.5)
    assert variable.magnitude(np.array(RISE)) == pytest.approx(-0.5)
    assert variable.magnitude(PHASE).mean() == pytest.approx(0.0, abs=1e-4)


def test_sine_has_the_scatter_of_a_sine():
    assert Variable("sine", 0.2, 0.0, 1.0).magnitude(PHASE).std() == pytest.approx(0.1 / np.sqrt(2), rel=1e-6)


def test_eclipses_have_two_depths_and_a_flat_maximum():
    curve = eclipses(np.array([0.0, 0.25, 0.5, 0.75]), 0.16)
    np.testing.assert_allclose(curve, [1.0, 0.0, SECONDARY, 0.0], atol=1e-9)


def test_transit_is_a_trapezoid():
    curve = transit(PHASE, 0.1)
    assert curve.max() == 1.0
    assert (curve > 0).mean() == pytest.approx(0.1, abs=2e-4)  # first to last contact
    assert curve.mean() == pytest.approx(0.1 * (1 - 0.15), rel=1e-3)  # area of the trapezoid


def test_flare_decays_exponentially_in_flux():
    mag = flare(np.array([-0.01, 0.0, 0.05]), 0.05, 0.8)
    assert mag[0] == 0.0
    assert mag[1] == pytest.approx(-0.8)
    assert 10 ** (-0.4 * mag[2]) - 1 == pytest.approx((10**0.32 - 1) / np.e)
