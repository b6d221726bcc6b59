"""UT1 and the pole from the installed tables against astropy's reader, and what they matter."""

import numpy as np
import pytest
from astropy.coordinates import EarthLocation
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core.ephemeris import UNKNOWN_ROTATION, Rotation, altitudes, place_at
from photodb.images.earthrotation import covered, rotation_at

iers.conf.auto_download = False
SITE = (0.0, 20.0, 0.0)  # on the equator, where the earth turns fastest


@pytest.fixture(scope="module")
def table():
    return iers.IERS_A.open(iers.IERS_A_FILE)


def test_values_equal_astropys(table):
    for mjd in [41684.3, 47892.5, 50082.999, 57753.5, 57753.9999, 57754.0001, 60000.123, 61400.7]:
        ours, time = rotation_at(mjd), Time(mjd, format="mjd", scale="utc")
        x, y = table.pm_xy(time)
        assert abs(ours.ut1_utc - table.ut1_utc(time).to_value("s")) < 1e-6
        assert abs(ours.x_pole - x.to_value("arcsec")) < 1e-6
        assert abs(ours.y_pole - y.to_value("arcsec")) < 1e-6


@settings(max_examples=200, deadline=None)
@given(st.floats(41684, 61700))
def test_ut1_is_never_farther_from_utc_than_the_bound(mjd):
    assert abs(rotation_at(mjd).ut1_utc) < 0.9


def test_outside_the_table_the_rotation_is_unknown():
    first, last = covered()
    assert first == 41684 and last > Time("2027-01-01").mjd
    for mjd in (first - 1, last + 1, np.nan, -5.0):
        assert rotation_at(mjd) == UNKNOWN_ROTATION


def test_what_the_bound_of_ut1_costs():
    """0.9 s at 465 m/s are 420 m, or 1.4 microseconds of light; 13.5 arcsec of altitude."""
    for mjd in (58000.1, 58000.4, 58000.8):
        a, b = place_at(mjd, *SITE), place_at(mjd, *SITE, Rotation(ut1_utc=0.9))
        moved = np.linalg.norm(np.subtract(a.barycentric, b.barycentric))
        assert moved == pytest.approx(465.1 * 0.9 / 299792458, rel=1e-3) and moved < 1.5e-6
        assert abs(a.sun_altitude - b.sun_altitude) * 3600 < 13.6
    c = place_at(58000.1, *SITE, Rotation(x_pole=0.6, y_pole=0.6))
    assert np.linalg.norm(np.subtract(place_at(58000.1, *SITE).barycentric, c.barycentric)) < 1e-7


def test_the_site_is_where_astropy_has_it_to_a_meter():
    for mjd in (48000.2, 54000.6, 60500.9):
        time = Time(mjd, format="mjd", scale="utc")
        location = EarthLocation.from_geodetic(-110.88, 31.68, 1268.0)
        with iers.earth_orientation_table.set(iers.IERS_A.open(iers.IERS_A_FILE)):
            theirs = location.get_gcrs(time).cartesian.xyz.to_value("m")
        here, centre = place_at(mjd, 31.68, -110.88, 1268.0, rotation_at(mjd)), place_at(mjd)
        ours = np.subtract(here.barycentric, centre.barycentric) * 299792458
        assert np.linalg.norm(ours - theirs) < 1.0


def test_altitudes_of_many_are_those_of_each():
    ra, dec, mjd = (
        np.array([10.0, 200.0]),
        np.array([20.0, -30.0]),
        np.array([[58000.1], [58000.2], [58000.3]]),
    )
    together = altitudes(ra, dec, mjd, 31.68, -110.88)
    assert together.shape == (3, 2)
    assert together[2, 1] == altitudes(200.0, -30.0, 58000.3, 31.68, -110.88)
