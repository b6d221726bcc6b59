"""Times as cameras write them, and those that must be refused."""

import pytest
from astropy.time import Time

from photodb.errors import FrameError
from photodb.images.times import read_start


@pytest.mark.parametrize(
    ("cards", "header", "scale", "offset", "truth"),
    [
        (["DATE-OBS"], {"DATE-OBS": "2017-12-20T01:33:43.317"}, "utc", 0, Time("2017-12-20T01:33:43.317")),
        (
            ["DATE-OBS"],
            {"DATE-OBS": "2017-12-19T18:33:43.317-0700"},
            "utc",
            0,
            Time("2017-12-20T01:33:43.317"),
        ),
        (["DATE-OBS"], {"DATE-OBS": "2017-12-19T18:33:43.317"}, "local", -7, Time("2017-12-20T01:33:43.317")),
        (["DATE-OBS"], {"DATE-OBS": "2017-12-20T01:33:43Z"}, "local", -7, Time("2017-12-20T01:33:43")),
        (
            ["DATE-OBS", "UT"],
            {"DATE-OBS": "2019-03-26", "UT": "02:27:31.13"},
            "utc",
            0,
            Time("2019-03-26T02:27:31.13"),
        ),
        (
            ["DATE-OBS", "TAIHMS"],
            {"DATE-OBS": "2003-10-19", "TAIHMS": "04:48:21.31"},
            "tai",
            0,
            Time("2003-10-19T04:48:21.31", scale="tai").utc,
        ),
        (
            ["TAI"],
            {"TAI": 4573255701.31},
            "tai",
            0,
            Time(4573255701.31 / 86400, format="mjd", scale="tai").utc,
        ),
        (["JD"], {"JD": 2458107.5625}, "utc", 0, Time(2458107.5625, format="jd")),
        (["MJD-OBS"], {"MJD-OBS": "58107.0625"}, "utc", 0, Time(58107.0625, format="mjd")),
        (["DATE-OBS"], {"DATE-OBS": "2016-12-31T23:59:60.5"}, "utc", 0, Time("2016-12-31T23:59:60.5")),
    ],
)
def test_reads(cards, header, scale, offset, truth):
    assert abs(read_start(cards, header, scale, offset) - truth.mjd) * 86400 < 1e-3


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({}, "no_time"),
        ({"DATE-OBS": "  "}, "no_time"),
        ({"DATE-OBS": "2019-03-26"}, "bad_time"),
        ({"DATE-OBS": "26/03/19"}, "bad_time"),
        ({"DATE-OBS": "2019-02-30T10:00:00"}, "bad_time"),
        ({"DATE-OBS": "2019-03-26T25:00:00"}, "bad_time"),
        ({"DATE-OBS": "2919-03-26T05:00:00"}, "bad_time"),
        ({"DATE-OBS": "0000-00-00T00:00:00"}, "bad_time"),
        ({"DATE-OBS": "yesterday"}, "bad_time"),
    ],
)
def test_refuses_and_names_the_card(header, code):
    with pytest.raises(FrameError, match="DATE-OBS") as error:
        read_start(["DATE-OBS"], header)
    assert error.value.code == code
