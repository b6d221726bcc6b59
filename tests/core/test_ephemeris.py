"""Barycentric time and altitudes against astropy's full machinery."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_sun
from astropy.time import Time
from astropy.utils import iers

from photodb.core.ephemeris import airmass, altitude_of, place_at
from photodb.core.sky import unit_vectors

iers.conf.auto_download = False
SITE = (31.68, -110.88, 1268.0)


DATES = [44239.3, 48500.5, 51544.5, 53371.9, 57753.99, 58107.2, 60000.9, 62502.1, 66153.7]
"""1980 to 2040; one of them a day with a leap second."""
SITES = [(31.68, -110.88, 1268.0), (-89.99, 0.0, 2835.0), (0.0, 179.9, 0.0)]
PLACES = [(31.0427, 46.6878), (250.0, -30.0), (359.9999, 0.0), (0.0, 90.0), (90.0, -66.56), (266.4, -89.9)]


@pytest.mark.filterwarnings("ignore")  # astropy's, of years to come
@pytest.mark.parametrize("mjd", DATES)
@pytest.mark.parametrize("site", SITES)
def test_barycentric_time_to_twenty_microseconds(mjd, site):
    """astropy's light travel time, with the same series for the earth (`builtin`), to 20 microseconds of arithmetic."""
    location = EarthLocation.from_geodetic(site[1], site[0], site[2])
    time = Time(mjd, format="mjd", scale="utc", location=location)
    place = place_at(mjd, *site)
    for ra, dec in PLACES:
        with iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
            theirs = time.tdb + time.light_travel_time(SkyCoord(ra, dec, unit="deg"), ephemeris="builtin")
        delay = np.dot(place.barycentric, unit_vectors(ra, dec)) / 86400
        ours = Time(place.mjd_tdb, delay, format="mjd", scale="tdb")
        assert abs((ours - theirs).to_value("s")) < 2e-5


@pytest.mark.filterwarnings("ignore")
def test_heliocentric_time_too():
    location = EarthLocation.from_geodetic(SITE[1], SITE[0], SITE[2])
    for mjd in DATES:
        time = Time(mjd, format="mjd", scale="utc", location=location)
        for ra, dec in PLACES:
            with iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
                theirs = time.light_travel_time(
                    SkyCoord(ra, dec, unit="deg"), "heliocentric", ephemeris="builtin"
                )
            ours = np.dot(place_at(mjd, *SITE).heliocentric, unit_vectors(ra, dec))
            assert abs(ours - theirs.to_value("s")) < 2e-5


def test_altitudes_to_a_minute_of_arc():
    location = EarthLocation.from_geodetic(SITE[1], SITE[0], SITE[2])
    time = Time(58107.2, format="mjd")
    frame = AltAz(obstime=time, location=location)
    assert place_at(58107.2, *SITE).sun_altitude == pytest.approx(
        get_sun(time).transform_to(frame).alt.deg, abs=0.02
    )
    star = SkyCoord(31.0427, 46.6878, unit="deg").transform_to(frame).alt.to_value(u.deg)
    assert altitude_of(31.0427, 46.6878, 58107.2, *SITE[:2]) == pytest.approx(star, abs=0.02)


def test_without_a_site_the_geocentre_serves():
    here, there = place_at(58107.2, *SITE), place_at(58107.2)
    assert np.isnan(there.sun_altitude) and np.isnan(altitude_of(10, 10, 58107.2, np.nan, np.nan))
    assert np.linalg.norm(np.subtract(here.barycentric, there.barycentric)) < 0.0214


def test_airmass():
    assert airmass(90) == pytest.approx(1, abs=1e-3)
    assert airmass(30) == pytest.approx(1.993, abs=0.005)
    assert np.isnan(airmass(-5))
