"""Start, middle and length of exposures by the camera's rule: against astropy's civil and barycentric times."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.errors import ConfigurationError, FrameError, UnknownCamera
from photodb.images.cards import read_exposure
from photodb.images.describe import describe
from photodb.images.fits import read_header
from photodb.images.headers import CameraDescription, packaged, recognise
from photodb.images.instants import assumptions
from photodb.images.lighttime import at_observatory
from photodb.images.times import Rule, read_instant

iers.conf.auto_download = False
SITE = (31.68, -110.88, 1268.0)


def camera(header=None, **values):
    plain = {"telescope": "T", "name": "C", "match": {"TELESCOP": "T"}, "default_filter": "V"}
    return CameraDescription.from_dict(plain | values | {"header": header or {}})


def exposure(cards, header=None, **values):
    return read_exposure({"EXPTIME": 60.0, **cards}, camera(header, **values))


def seconds(mjd, utc):
    return (Time(mjd, format="mjd", scale="utc") - Time(utc, scale="utc")).to_value("s")


# civil times


@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime.datetime(1973, 1, 1), datetime.datetime(2027, 1, 1)), st.integers(-48, 56))
def test_written_zones_and_offsets_are_civil(moment, quarters):
    """Python's own zones are the twin: no leap second shifts a civil clock by its hours."""
    zone = datetime.timezone(datetime.timedelta(minutes=15 * quarters))
    utc = Time(moment, scale="utc")
    local = moment.replace(tzinfo=datetime.UTC).astimezone(zone)
    text = local.strftime("%Y-%m-%dT%H:%M:%S.%f")
    zoned = text + local.strftime("%z")
    for header, rule in (({"T": zoned}, Rule()), ({"T": text}, Rule("local", quarters / 4))):
        assert abs(seconds(read_instant(["T"], header, rule), utc)) < 2e-5
    split = {"D": text[:10], "T": text[11:]}
    assert abs(seconds(read_instant(["D", "T"], split, Rule("local", quarters / 4)), utc)) < 2e-5


@pytest.mark.parametrize("scale", ["tai", "tt", "tdb", "ut1"])
def test_scales_of_texts_and_numbers(scale):
    utc = Time("2015-06-30T23:59:60.25" if scale != "ut1" else "2015-06-30T23:50:00.25", scale="utc")
    with iers.earth_orientation_table.set(iers.IERS_A.open(iers.IERS_A_FILE)):
        there = getattr(utc, scale)
    # isot has milliseconds
    assert abs(seconds(read_instant(["T"], {"T": there.isot}, Rule(scale)), utc)) < 6e-4
    assert abs(seconds(read_instant(["T"], {"T": there.mjd}, Rule(scale)), utc)) < 2e-5
    assert abs(seconds(read_instant(["T"], {"T": there.jd}, Rule(scale)), utc)) < 1e-4
    assert abs(seconds(read_instant(["T"], {"T": there.tai.mjd - 19 / 86400}, Rule("gps")), utc)) < 2e-5


def test_leap_seconds_only_where_there_was_one():
    at = {"T": "2016-12-31T16:59:60.5-0700"}
    assert abs(seconds(read_instant(["T"], at, Rule()), "2016-12-31T23:59:60.5")) < 2e-5
    for wrong in ("2016-12-30T23:59:60", "2016-12-31T22:59:60", "2017-12-31T23:59:60"):
        with pytest.raises(FrameError, match="no leap second"):
            read_instant(["T"], {"T": wrong}, Rule())
    with pytest.raises(FrameError, match="TAI has no leap"):
        read_instant(["T"], {"T": "2016-12-31T23:59:60"}, Rule("tai"))
    with pytest.raises(FrameError, match="names a zone"):
        read_instant(["T"], {"T": "2016-12-31T20:00:00Z"}, Rule("tai"))
    # the middle of an exposure through the leap second: 60 s, not 59
    through = exposure({"DATE-OBS": "2016-12-31T23:59:30"}, {})
    assert abs(seconds(through.mjd, "2016-12-31T23:59:60.0")) < 2e-5


@pytest.mark.parametrize(
    ("refers", "date", "clock", "utc"),
    [
        ("clock", "2019-03-26", "02:27:31", "2019-03-26T02:27:31"),
        ("local", "2019-03-25", "02:27:31", "2019-03-26T02:27:31"),  # 19:27 at UTC-7
        ("local", "2019-03-25", "23:00:00", "2019-03-25T23:00:00"),
        ("local", "2019-03-26", "07:00:01", "2019-03-26T07:00:01"),
        ("night", "2019-03-25", "02:27:31", "2019-03-26T02:27:31"),
        ("night", "2019-03-25", "12:30:00", "2019-03-26T12:30:00"),  # 05:30 in the morning of the 26th
        ("night", "2019-03-25", "20:00:00", "2019-03-25T20:00:00"),
    ],
)
def test_a_date_of_another_day_than_its_clock(refers, date, clock, utc):
    header = {"time": ["DATE-OBS", "UT"], "date_refers": refers}
    found = exposure({"DATE-OBS": date, "UT": clock}, header, longitude=-105.0)
    assert abs(seconds(found.mjd_start, utc)) < 1e-4


@settings(max_examples=200, deadline=None)
@given(st.floats(57000, 60000), st.floats(-180, 180), st.sampled_from(["local", "night"]))
def test_the_day_is_found_at_every_longitude(mjd, longitude, refers):
    local = mjd + longitude / 360 - (0.5 if refers == "night" else 0.0)
    day = Time(np.floor(local), format="mjd").isot[:10]
    clock = Time(mjd, format="mjd").isot[11:]
    if (
        Time(f"{Time(mjd, format='mjd').isot}", scale="utc").mjd // 1 != mjd // 1
        or abs(local - round(local)) < 1e-7
    ):
        return  # rounded into the next day
    rule = Rule(date_refers=refers, date_offset=longitude / 15)
    assert (
        abs(seconds(read_instant(["D", "T"], {"D": day, "T": clock}, rule), Time(mjd, format="mjd"))) < 1e-3
    )


def test_a_date_with_a_time_of_its_own_tells_the_day_of_the_clock():
    for date in ("2017-12-19T18:33:43", "2017-12-19T18:33:43-0700", "2017-12-20T01:33:44"):
        found = read_instant(["D", "T"], {"D": date, "T": "01:33:43"}, Rule())
        assert abs(seconds(found, "2017-12-20T01:33:43")) < 1e-4


# stamps, stacks and shutters


def test_middle_and_end_stamps_and_the_shutters_lag():
    at = {"DATE-OBS": "2020-01-01T10:00:00"}
    for refers, start in (("start", 0.0), ("middle", -30.0), ("end", -60.0)):
        found = exposure(at, {"time_refers": refers}, shutter_lag=1.5)
        assert abs(seconds(found.mjd_start, "2020-01-01T10:00:00") - start - 1.5) < 2e-5
        assert (found.mjd - found.mjd_start) * 86400 == pytest.approx(30.0, abs=1e-5)
    assert assumptions(camera(shutter_lag=1.5), 60.0, 0.0) == {
        "shutter_lag": "1.5 s added to the header's time"
    }
    assert assumptions(camera(), 60.0, 0.0) == {}


def test_stacks_have_their_middle_between_start_and_end():
    at = {
        "DATE-OBS": "2020-01-01T10:00:00",
        "DATE-END": "2020-01-01T11:00:00",
        "ELAPSED": 3600.0,
        "EXPTIME": 1800.0,
    }
    for header in ({"time_end": "DATE-END"}, {"elapsed": "ELAPSED"}):
        found = exposure(at, header)
        assert abs(seconds(found.mjd, "2020-01-01T10:30:00")) < 2e-5 and found.exptime == 1800.0
        assert abs(seconds(found.mjd_start, "2020-01-01T10:00:00")) < 2e-5
    assert "1800 s of them exposed" in assumptions(camera(), 1800.0, found.elapsed)["mjd"]
    middle = exposure(at, {"elapsed": "ELAPSED", "time_refers": "end"})
    assert abs(seconds(middle.mjd, "2020-01-01T09:30:00")) < 2e-5
    same = exposure({**at, "DATE-END": "2020-01-01T10:30:00"}, {"time_end": "DATE-END"})
    assert same.elapsed == 0.0


@pytest.mark.parametrize("end", ["2020-01-01T09:00:00", "2020-01-01T10:00:30", "2020-01-03T10:00:00", "soon"])
def test_ends_that_cannot_be_are_refused(end):
    with pytest.raises(FrameError) as error:
        exposure({"DATE-OBS": "2020-01-01T10:00:00", "DATE-END": end}, {"time_end": ["DATE-END"]})
    assert error.value.code == "bad_time" and "DATE-END" in str(error.value)


@pytest.mark.parametrize(
    ("header", "values", "said"),
    [
        ({"time_scale": "hjd"}, {}, "need their scale"),
        ({"date_refers": "evening"}, {}, "clock, local, night"),
        ({"time_end": ["A", "B", "C"]}, {}, "time_end"),
        ({"time_end": "DATE-END", "elapsed": "E"}, {}, "no elapsed"),
        ({"time_end": "DATE-END", "time_refers": "middle"}, {}, "no elapsed"),
        ({}, {"shutter_lag": 100.0}, "shutter_lag"),
        ({}, {"shutter_lag": "long"}, "shutter_lag"),
    ],
)
def test_wrong_descriptions_are_refused(header, values, said):
    with pytest.raises(ConfigurationError, match=said):
        camera(header, **values)


def test_descriptions_survive_the_archive():
    made = camera({"time_end": "DATE-END", "date_refers": "night"}, shutter_lag=0.3)
    assert CameraDescription.from_dict(made.to_dict()) == made


# times at the barycentre and the sun


@settings(max_examples=60, deadline=None)
@given(
    st.floats(44300, 61000), st.floats(0, 359.9), st.floats(-90, 90),
    st.sampled_from(["bjd_tdb", "bjd_utc", "hjd_utc", "hjd_tt", "hjd_tdb"]),
)  # fmt: skip
def test_light_times_come_back_as_astropy_made_them(mjd, ra, dec, scale):
    centre, clock = scale.split("_")
    location = EarthLocation.from_geodetic(SITE[1], SITE[0], SITE[2])
    time = Time(mjd, format="mjd", scale="utc", location=location)
    kind = "barycentric" if centre == "bjd" else "heliocentric"
    delay = time.light_travel_time(SkyCoord(ra, dec, unit="deg"), kind, ephemeris="builtin").to_value("d")
    found = at_observatory(getattr(time, clock).mjd + delay, scale, ra, dec, SITE)
    assert (
        abs(found - mjd) * 86400 < 1e-4 or abs(abs(found - mjd) * 86400 - 1) < 0.01
    )  # UTC + delay over a leap second


def test_cards_of_light_need_scale_and_place():
    value = {"HJD": 2458107.7, "RA": "02:04:10.2", "DEC": "+46:41:16"}
    with pytest.raises(FrameError, match="need their scale"):
        exposure(value, {"time": "HJD"})
    found = exposure(value, {"time": "HJD", "time_scale": "hjd_utc", "time_refers": "middle"})
    assert 2458107.7 - 2400000.5 - 500 / 86400 < found.mjd < 2458107.7 - 2400000.5
    with pytest.raises(FrameError, match="ra and dec of the target"):
        exposure({"HJD": 2458107.7}, {"time": "HJD", "time_scale": "hjd_utc"})


def test_unknown_headers_tell_middles_ends_and_refuse_what_is_open():
    plain = {"TELESCOP": "T", "INSTRUME": "C", "EXPTIME": 60.0, "FILTER": "V", "RA": 10.0, "DEC": 10.0}
    made = describe({**plain, "DATE-AVG": "2020-01-01T10:00:00"})
    assert (made.header.time, made.header.time_refers) == (("DATE-AVG",), "middle")
    made = describe({**plain, "MJD-END": 58849.5})
    assert (made.header.time, made.header.time_refers) == (("MJD-END",), "end")
    made = describe({**plain, "BJD_TDB": 2458850.0})
    assert made.header.time_scale == "bjd_tdb" and "middle" in made.assumed["time"]
    with pytest.raises(UnknownCamera, match="HJD alone"):
        describe({**plain, "HJD": 2458850.0})
    with pytest.raises(UnknownCamera, match="TIMESYS"):
        describe({**plain, "DATE-OBS": "2020-01-01T10:00:00", "TIMESYS": "TCB"})
    stack = {**plain, "DATE-OBS": "2020-01-01T10:00:00", "STACKCNT": 20}
    assert "20 exposures" in describe(stack).assumed["stack"]
    ended = describe({**stack, "DATE-END": "2020-01-01T10:30:00"})
    assert ended.header.time_end == ("DATE-END",)
    single = describe({**stack, "STACKCNT": 1, "DATE-END": "2020-01-01T10:30:00"})
    assert single.header.time_end == ()


# real frames


def real(data_dir, name, pattern, hdu=None):
    path = sorted(data_dir(name).glob(pattern))[0]
    header = read_header(path) if hdu is None else read_header(path, hdu)
    return header, recognise(header, packaged())


@pytest.mark.real
def test_real_headers(data_dir):
    """Local time with its offset, UTC, MJD, TAI in seconds and in words, split cards: one instant each."""
    header, d = real(data_dir, "hatp32", "*.FITS")
    found = read_exposure(header, d).mjd_start
    assert abs(seconds(found, "2017-12-20T01:33:43.317")) < 1e-3
    for cards, rule in ((["DATE-OBS"], Rule()), (["DATE-OBS"], Rule("local", 5.0))):
        assert abs(read_instant(cards, header, rule) - found) * 86400 < 1e-3
    header, d = real(data_dir, "lco_kb82", "*.fz", "SCI")
    found = read_exposure(header, d).mjd_start
    assert abs(found - header["MJD-OBS"]) * 86400 < 2  # its own two times are 1.7 s apart
    split = read_instant(["DATE-OBS", "UTSTART"], header, Rule())
    assert abs(split - found) * 86400 < 1e-3
    header, d = real(data_dir, "sdss_s82", "4192/*.fit.gz")
    assert abs(read_exposure(header, d).mjd_start - read_instant(["TAI"], header, Rule("tai"))) * 86400 < 0.01
    header, d = real(data_dir, "lowell_raw", "*0100.fits")
    assert (
        abs(seconds(read_exposure(header, d).mjd_start, f"{header['DATE-OBS']}T{header['UTCSTART']}")) < 1e-3
    )
