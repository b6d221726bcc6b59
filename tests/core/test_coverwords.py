"""The word for a place, case by case."""

import numpy as np
import pytest

from photodb.core.coverwords import Place, words
from photodb.core.flags import Flag

PLAIN = {
    "rejected": False, "border": 50.0, "aperture": 4.0, "detected": False, "forced": False, "flags": 0,
    "near_saturated": False, "near_star": False, "bad_pixels": False, "left_out": False, "alone": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ({}, "limit"),
        ({"detected": True}, "measured"),
        ({"forced": True}, "forced"),
        ({"border": 3.9}, "edge"),
        ({"border": 3.9, "aperture": np.nan}, "limit"),
        ({"border": -0.1}, "outside"),
        ({"border": np.nan}, "outside"),
        ({"border": 0.0, "detected": True, "flags": Flag.EDGE}, "edge"),
        ({"border": 3.0, "detected": True}, "measured"),
        ({"bad_pixels": True}, "masked"),
        ({"bad_pixels": True, "border": 1.0}, "masked"),
        ({"near_saturated": True}, "masked"),
        ({"detected": True, "near_saturated": True}, "measured"),
        ({"near_star": True}, "masked"),
        ({"near_star": True, "forced": True}, "forced"),
        ({"left_out": True}, "masked"),
        ({"left_out": True, "forced": True}, "masked"),
        ({"left_out": True, "detected": True}, "measured"),
        ({"detected": True, "flags": Flag.SATURATED}, "masked"),
        ({"forced": True, "flags": Flag.BAD_PIXEL | Flag.EDGE}, "masked"),
        ({"detected": True, "flags": Flag.COSMIC_RAY}, "masked"),
        ({"detected": True, "flags": Flag.NONLINEAR | Flag.BLEND}, "measured"),
        ({"forced": True, "flags": Flag.FORCED | Flag.NEGATIVE}, "forced"),
        ({"alone": False}, "masked"),
        ({"alone": False, "detected": True}, "measured"),
        ({"rejected": True, "detected": True, "flags": Flag.SATURATED}, "rejected"),
        ({"rejected": True, "border": -2.0}, "outside"),
    ],
)
def test_one_word(what, word):
    place = Place(**{name: np.array([value]) for name, value in (PLAIN | what).items()})
    found, why = words(place)
    assert found.tolist() == [word]
    assert bool(why[0]) == (word in ("masked", "edge") or "left_out" in what or what.get("flags") == 132)


def test_what_spoils_most_is_told():
    both = int(Flag.SATURATED | Flag.BAD_PIXEL | Flag.COSMIC_RAY)
    place = Place(**{n: np.array([v]) for n, v in (PLAIN | {"detected": True, "flags": both}).items()})
    assert words(place)[1].tolist() == ["saturated"]
