"""Which master serves which frame, and what is said where none does."""

from dataclasses import replace

import pytest

from photodb.errors import ConfigurationError
from photodb.images.headers import CameraDescription
from photodb.images.masterchoice import KnownMaster, Wanted, choose, fit_of, refused

D = CameraDescription("t", "c", {"X": "1"})
FRAME = Wanted("c", "V", 60000.4, 60.0, 100, 80)


def known(master_id, kind, mjd=60000.0, days=30.0, **values):
    base = KnownMaster(
        master_id, kind, "c", "V" if kind == "flat" else "", mjd, mjd - days, mjd + days,
        120.0 if kind == "dark" else 0.0, 100, 80, 5, fit_of(D), False, str(master_id),
    )  # fmt: skip
    return replace(base, **values)


def ids(choice):
    return tuple(m.master_id for m in choice.masters)


def test_the_nearest_in_time_that_fits():
    masters = [known(1, "bias", 59995), known(2, "bias", 60001), known(3, "bias", 60000.4, camera="other"),
               known(4, "bias", 60000.4, nx=50), known(5, "bias", 60000.4, fit="data all; overscan [1:2,3:4]"),
               known(6, "flat", 59990), known(7, "flat", 60000.4, band="R"), known(8, "flat", 59000)]  # fmt: skip
    assert ids(choose(masters, D, FRAME)) == (2, 6)
    assert choose(masters, D, FRAME).missing == ()


def test_of_one_night_the_one_of_most_frames_then_the_newest():
    masters = [known(1, "bias", 60000.3, n_frames=9), known(2, "bias", 60000.4, n_frames=3)]
    assert ids(choose(masters, D, FRAME)) == (1,)
    assert ids(choose([known(1, "bias"), known(2, "bias")], D, FRAME)) == (2,)


@pytest.mark.parametrize(
    ("masters", "found", "scale"),
    [
        ([known(1, "bias"), known(2, "dark")], (1, 2), 0.5),
        ([known(1, "bias"), known(2, "dark"), known(3, "dark", 59990, exptime=60.3)], (1, 3), 60 / 60.3),
        ([known(1, "bias"), known(2, "dark", exptime=5.0)], (1,), 0.0),  # twelve times: too far
        ([known(2, "dark", exptime=60.0, with_bias=True)], (2,), 1.0),
        (
            [known(1, "bias"), known(2, "dark", exptime=60.0, with_bias=True)],
            (2,),
            1.0,
        ),  # never twice the bias
        ([known(2, "dark", with_bias=True)], (), 0.0),  # 120 s with its bias: nothing to scale
        ([known(2, "dark")], (), 0.0),
    ],
)
def test_darks_are_scaled_where_their_bias_is_known(masters, found, scale):
    choice = choose(masters, D, FRAME)
    assert ids(choice) == found
    assert choice.dark_scale == pytest.approx(scale)


@pytest.mark.parametrize(
    ("masters", "needs", "told"),
    [
        ([], {}, []),
        ([], {"needs_flat": "flag"}, ["no flat for band V: the archive has none of camera c"]),
        ([known(1, "flat", band="R"), known(2, "flat", band="VR")], {}, ["this camera's flats are of R, VR"]),
        ([known(1, "flat", band="R")], {"needs_flat": "no"}, []),
        ([known(1, "bias", 59900)], {}, ["the nearest, master 1, is 100 days away, 30 allowed"]),
        ([known(1, "bias", nx=50)], {}, ["the frame is 100x80 pixels, the masters 50x80"]),
        ([known(1, "bias", fit="else")], {}, ["made under another description"]),
        ([known(1, "dark", with_bias=True)], {}, ["no dark for 60 s: there are darks of 120 s"]),
        ([known(1, "dark", exptime=60.0, with_bias=True)], {"needs_bias": "flag"}, []),
    ],
)
def test_what_is_missing_is_told_where_it_was_wanted(masters, needs, told):
    missing = choose(masters, replace(D, **needs), FRAME).missing
    assert len(missing) == len(told)
    for (_, why), words in zip(missing, told):
        assert words in why


def test_a_camera_may_refuse_frames_without_a_master():
    d = replace(D, needs_flat="refuse", needs_bias="flag")
    choice = choose([], d, FRAME)
    assert len(choice.missing) == 2
    assert "no flat for band V" in refused(choice, d) and "no bias" not in refused(choice, d)
    assert refused(choose([known(1, "flat")], d, FRAME), d) == ""


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"needs_flat": "yes"}, "needs_flat 'yes', one of auto, no, flag, refuse"),
        ({"master_days": -1}, "master_days -1"),
        ({"build_masters": "no"}, "build_masters 'no', true or false"),
    ],
)
def test_descriptions_are_checked(values, told):
    with pytest.raises(ConfigurationError, match=told):
        CameraDescription.from_dict({**D.to_dict(), **values})
