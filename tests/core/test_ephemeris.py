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


@pytest.mark.parametrize("mjd", [51544.5, 58107.2, 60000.9])
@pytest.mark.parametrize(("ra", "dec"), [(31.0427, 46.6878), (250.0, -30.0)])
def test_barycentric_time_to_a_tenth_of_a_millisecond(mjd, ra, dec):
    location = EarthLocation.from_geodetic(SITE[1], SITE[0], SITE[2])
    time = Time(mjd, format="mjd", scale="utc", location=location)
    theirs = time.tdb + time.light_travel_time(SkyCoord(ra, dec, unit="deg"))
    place = place_at(mjd, *SITE)
    ours = place.mjd_tdb + np.dot(place.barycentric, unit_vectors(ra, dec)) / 86400
    assert abs(ours - theirs.mjd) * 86400e3 < 0.1


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
