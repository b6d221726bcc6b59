"""Time scales against astropy, and the seconds around leap seconds."""

import warnings

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core import timescales
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
