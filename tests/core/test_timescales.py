"""Time scales against astropy, and the seconds around leap seconds."""

import warnings

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core import timescales
from photodb.core.ephemeris import sun_altitudes
from photodb.images.earthrotation import leap_seconds_until

iers.conf.auto_download = False
LEAP_DAYS = (41498, 45150, 57203, 57753)  # 1972-06-30, 1982-06-30, 2015-06-30, 2016-12-31


@settings(max_examples=60, deadline=None)
@given(st.floats(41700, 61500), st.sampled_from(["tai", "tt", "tdb"]))
def test_scales_equal_astropy(mjd, scale):
    there = getattr(Time(mjd, format="mjd", scale="utc"), scale)
    assert abs(timescales.to_utc(there.jd1, there.jd2, scale) - mjd) * 86400 < 2e-5
    assert abs(timescales.tdb_of(mjd) - Time(mjd, format="mjd", scale="utc").tdb.mjd) * 86400 < 2e-5


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LEAP_DAYS), st.floats(-90000, 90000), st.floats(-5000, 5000))
def test_seconds_are_counted_through_leap_seconds(day, from_end, seconds):
    start = Time(day + 1 + from_end / 86400, format="mjd", scale="utc")
    end = start + TimeDelta(seconds, format="sec")
    assert abs(timescales.after(start.mjd, seconds) - end.mjd) * 86400 < 2e-5


def test_where_the_leap_seconds_are():
    assert [timescales.leap_of(day) for day in LEAP_DAYS] == [1.0] * 4
    assert timescales.leap_of(57754) == 0.0 and timescales.after(60000.0, 43200) == 60000.5


def test_far_years_warn_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mjd in (5001.0, 30000.0, 80000.0):
            tai_utc = 37 if mjd > 60000 else 0
            assert (timescales.tdb_of(mjd) - mjd) * 86400 == pytest.approx(32.184 + tai_utc, abs=0.01)
            assert np.isfinite(timescales.after(mjd, 1e4))


def test_the_table_tells_its_end():
    assert leap_seconds_until() == timescales.sure_until() > Time("2026-06-28").mjd
    assert timescales.sure_until() == iers.LeapSeconds.from_iers_leap_seconds().expires.mjd


@settings(max_examples=60, deadline=None)
@given(st.floats(-60, 60), st.floats(-180, 180), st.integers(44000, 62000))
def test_no_night_is_split_at_any_site(latitude, longitude, day):
    """From noon to noon of mean local time, the times with the sun down are one night, whatever UTC's midnight does."""
    noon = day + 0.5 - longitude / 360
    mjd = noon + np.arange(-1.0, 2.0, 0.01)
    dark = mjd[sun_altitudes(mjd, latitude, longitude) < -0.3]
    starts = np.flatnonzero(np.diff(dark, prepend=-1.0) > 0.05)
    for one in np.split(dark, starts[1:]):
        assert len({timescales.night_of(t, longitude) for t in one}) == 1
    assert timescales.night_of(noon + 0.25, longitude) == day


def test_nights_at_the_date_line():
    assert timescales.night_of(60000.0, 180.0) == timescales.night_of(60000.0, -180.0) + 1
    hawaii = [timescales.night_of(mjd, -156.26) for mjd in (60000.21, 60000.5, 60000.6501)]  # 19:00 to 05:30
    assert hawaii == [59999] * 3
