"""Corrections of catalogues against closed forms, and what they refuse."""

import numpy as np
import pytest

from photodb.core.correction import Correction
from photodb.core.sky import project, separation_deg
from photodb.errors import UsageError

PLANE = {"ra": 0.0, "dec": 80.0, "radius": 2.0, "east": [0.1, 0.2, 0.0], "north": [0.0, 0.0, -0.3]}


@pytest.mark.parametrize("dec", [0.0, 60.0, -89.9, 90.0])
def test_a_constant_shift_has_its_length_everywhere(dec):
    ra, d = Correction(ra_arcsec=0.3, dec_arcsec=-0.4).apply([359.99999, 10.0], [dec, dec], [10.0, np.nan])
    assert separation_deg(ra, d, [359.99999, 10.0], [dec, dec]) * 3600 == pytest.approx(0.5, abs=1e-6)
    assert ((ra >= 0) & (ra < 360)).all()


def test_a_slope_in_magnitude_leaves_stars_without_one():
    tilt = Correction(ra_per_mag_arcsec=0.02, dec_per_mag_arcsec=-0.01, mag0=12.0)
    east, north = tilt.offsets([1.0] * 3, [2.0] * 3, [14.0, 12.0, np.nan])
    assert east == pytest.approx([0.04, 0, 0]) and north == pytest.approx([-0.02, 0, 0])


def test_a_polynomial_around_a_place_across_right_ascension_zero():
    made = Correction.from_dict({"plane": PLANE})
    ra, dec = np.array([359.0, 1.0, 0.0, 90.0]), np.array([80.2, 80.2, 79.0, 10.0])
    xi, eta = project(ra[:3], dec[:3], 0.0, 80.0)
    east, north = made.offsets(ra, dec, np.full(4, 10.0))
    assert east == pytest.approx([*(0.1 + 0.2 * xi), 0.0]) and north == pytest.approx([*(-0.3 * eta), 0.0])


def test_there_and_back():
    made = Correction.from_dict({"dec_arcsec": 1, "mag0": 14.5, "ra_per_mag_arcsec": 0.01, "plane": PLANE})
    assert Correction.from_dict(made.to_dict()) == made and made
    assert Correction.from_dict({}) == Correction() and not Correction() and Correction().to_dict() == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ra": 1.0}, "no ra; known are ra_arcsec"),
        ({"ra_arcsec": "east"}, "ra_arcsec is 'east': a number"),
        ({"ra_arcsec": True}, "a number needed"),
        ({"dec_arcsec": float("nan")}, "dec_arcsec is nan: -60 to 60 believed"),
        ({"dec_arcsec": 3600}, "-60 to 60"),
        ({"plane": 3}, "a table with ra, dec, radius"),
        ({"plane": {"ra": 1.0}}, "lacks dec, radius, east, north"),
        ({"plane": PLANE | {"east": [0.1, 0.2]}}, "2 terms; 1, 3, 6, 10"),
        ({"plane": PLANE | {"east": [float("inf")]}}, "finite numbers"),
        ({"plane": PLANE | {"north": 0.1}}, "a list of numbers"),
        ({"plane": PLANE | {"dec": 95.0}}, "plane.dec is 95.0: -90 to 90"),
        ({"plane": PLANE | {"order": 2}}, "no plane.order"),
    ],
)
def test_what_makes_no_sense_is_refused(values, said):
    with pytest.raises(UsageError, match=said):
        Correction.from_dict(values)
