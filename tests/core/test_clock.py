"""Errors of clocks and longitudes, told from where sun and target would be: nights of known truth."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from photodb.core import clock
from photodb.core.doubts import CLOCK, Doubt, words_of
from photodb.core.ephemeris import airmasses, altitudes, place_at, sun_altitudes

HATP32 = (31.0427, 46.6878)
SITE = (31.68, -110.88)
NIGHT = np.linspace(58107.065, 58107.36, 30)  # 18:34 to 01:38 by the clock on the wall, UTC-7


def sightings(mjd, ra, dec, latitude, longitude, with_airmass, error_hours=0.0):
    told = airmasses(altitudes(ra, dec, mjd, latitude, longitude))
    told = told if with_airmass else np.full(len(mjd), np.nan)
    return clock.Sightings(mjd + error_hours / 24, np.full(len(mjd), ra), np.full(len(mjd), dec), told)


def offsets(found, mirrored=False):
    return {f.offset for f in found if f.mirrored == mirrored}


def test_local_time_read_as_utc_is_told_by_sun_and_target_alone():
    seen = sightings(NIGHT, *HATP32, *SITE, with_airmass=False, error_hours=-7)
    found = clock.fits(seen, *SITE)
    assert -7 in offsets(found) and 0 not in offsets(found)
    said = clock.advice(found, SITE[1])
    assert "looks 7 h behind UTC" in said and 'time_scale = "local"' in said and "utc_offset = -7" in said


def test_the_airmass_leaves_one_answer():
    seen = sightings(NIGHT, *HATP32, *SITE, with_airmass=True, error_hours=-7)
    found = clock.fits(seen, *SITE)
    assert offsets(found) == {-7.0} and found[0].misfit < 1e-6
    assert "would do" not in clock.advice(found, SITE[1])


def test_summer_time_is_told_by_the_airmass_only():
    night = sightings(NIGHT, *HATP32, *SITE, with_airmass=True, error_hours=1)
    assert 1.0 in offsets(clock.fits(night, *SITE)) and 0.0 not in offsets(clock.fits(night, *SITE))
    assert "utc_offset = -6" in clock.advice(clock.fits(night, *SITE), SITE[1], utc_offset=-7.0)


def test_a_longitude_that_counts_west_is_told():
    seen = sightings(NIGHT, *HATP32, *SITE, with_airmass=True)
    found = clock.fits(seen, SITE[0], -SITE[1])
    assert 0.0 in offsets(found, mirrored=True) and 0.0 not in offsets(found)
    assert "longitude = -110.88" in clock.advice(found, -SITE[1])


def test_what_nothing_explains_is_said():
    south = clock.Sightings(NIGHT, np.full(30, 10.0), np.full(30, -80.0), np.full(30, np.nan))
    assert clock.fits(south, *SITE) == []
    assert "no sign of the longitude" in clock.advice([], SITE[1])
    assert clock.fits(south, np.nan, 10.0) == []
    nothing = clock.Sightings(*(np.empty(0),) * 4)
    assert clock.fits(nothing, *SITE) == []


@settings(max_examples=40, deadline=None)
@given(
    latitude=st.floats(-45, 45),
    longitude=st.floats(-180, 180),
    from_midnight=st.floats(-3, 3),
    day=st.integers(45000, 64000),
    from_zenith=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    error=st.integers(-28, 28).map(lambda half: half / 2),
    with_airmass=st.booleans(),
)
def test_the_true_error_is_always_among_the_answers(
    latitude, longitude, from_midnight, day, from_zenith, error, with_airmass
):
    mjd = day - longitude / 360 + from_midnight / 24 + np.array([0.0, 0.02])
    zenith = place_at(mjd[0], latitude, longitude).sidereal_angle
    ra, dec = zenith + from_zenith[0], latitude + from_zenith[1]
    assume((sun_altitudes(mjd, latitude, longitude) < -6).all())
    assume((altitudes(ra, dec, mjd, latitude, longitude) > 10).all())
    seen = sightings(mjd, ra, dec, latitude, longitude, with_airmass, error)
    assert error in offsets(clock.fits(seen, latitude, longitude))


def test_airmasses_that_are_none():
    assert np.isnan([clock.told_airmass(v) for v in (1.0, 0.0, -2.0, 99.0, np.nan)]).all()
    assert clock.told_airmass(1.01) == 1.01
    assert clock.airmass_limit(1.5) == 0.2 and clock.airmass_limit(5.0) == 0.5


@pytest.mark.parametrize(
    ("number", "minutes", "after"),
    [
        ([1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5], -1),
        ([1, 2, 3, 4, 5, 6], [60, 61, 62, 3, 4, 5], 2),
        ([1, 2, 3, 4, 5, 6], [60, 61, 2, 3, 1, 5], -1),  # two jumps: numbers that do not count in time
        ([1, 2, 3, 4], [60, 61, 2, 3], -1),  # too few
        ([1, 2, 2, 4, 5, 6], [60, 61, 62, 3, 4, 5], -1),  # numbers that are none
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 2.5, 4, 5], -1),  # half a minute: another order of writing
    ],
)
def test_a_clock_that_jumps_back(number, minutes, after):
    assert clock.jump_back(np.array(number), 60000 + np.array(minutes) / 1440) == after


def test_words_of_doubts():
    assert words_of(0) == "" and words_of(Doubt.SUN_UP | Doubt.POINTING) == "sun_up+pointing"
    assert int(CLOCK) == 7
