"""Pointings that are wrong in the usual ways, made wrong by astropy and told again."""

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from photodb.core.pointing import remark

TRUE = SkyCoord(31.0427, 46.6878, unit="deg")
MJD = 60000.0


def told(ra, dec, radius=0.3, true=TRUE):
    return remark(ra, dec, true.ra.deg, true.dec.deg, radius, MJD)


def test_a_pointing_on_the_frame_is_not_remarked():
    assert told(31.0427, 46.6878) == "" and told(31.3, 46.5) == ""
    assert told(np.nan, 46.0) == "" and remark(1.0, 1.0, np.nan, np.nan, 0.0, MJD) == ""


def test_the_usual_errors_are_named():
    assert 'ra_unit = "hour"' in told(TRUE.ra.deg / 15, TRUE.dec.deg)
    assert 'ra_unit = "deg"' in told(TRUE.ra.deg * 15 % 360, TRUE.dec.deg)
    assert "wrong sign" in told(TRUE.ra.deg, -TRUE.dec.deg)
    assert "12 h off" in told(TRUE.ra.deg + 180, TRUE.dec.deg)
    now = TRUE.transform_to(FK5(equinox=Time(MJD, format="mjd")))
    assert "equinox of the date" in told(now.ra.deg, now.dec.deg, radius=0.1)
    old = TRUE.transform_to(FK4(equinox="B1950"))
    assert "1950" in told(old.ra.deg, old.dec.deg)


@pytest.mark.parametrize("step", [0.5, 3.0])
def test_others_are_measured_only(step):
    said = told(TRUE.ra.deg, TRUE.dec.deg + step, radius=0.2)
    assert said.endswith(f"{60 * step:.0f} arcmin")
    assert told(TRUE.ra.deg, TRUE.dec.deg - 40).endswith("40 deg")


@given(st.floats(0, 359.99), st.floats(-89, 89))
def test_degrees_read_as_hours_are_told_everywhere(ra, dec):
    true = SkyCoord(ra, dec, unit="deg")
    said = told(ra * 15 % 360, dec, 0.05, true)
    assert said == "" or "read as" in said or "12 h" in said or "wrong sign" in said or "equinox" in said
