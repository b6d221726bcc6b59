"""Which pixel saw which colour: patterns by header and description, on odd sizes, sections and row orders."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from photodb.errors import ConfigurationError, FrameError
from photodb.images.colour import PATTERNS, band_of_channel, channels_of, colour_of, looks_mosaic, shifted
from photodb.images.describe import describe
from photodb.images.headers import CameraDescription, from_tables
from photodb.steps.instruments import _camera_toml, _telescope_toml

D = CameraDescription("t", "c", {"INSTRUME": "x"})
COMMON = {"NAXIS": 2, "NAXIS1": 100, "NAXIS2": 80, "DATE-OBS": "2024-03-01T22:10:00.5", "EXPTIME": 10.0}
NINA = {**COMMON, "BAYERPAT": "RGGB", "XBAYROFF": 0, "YBAYROFF": 0, "ROWORDER": "TOP-DOWN", "GAIN": 120, "OFFSET": 30,
        "EGAIN": 1.002, "INSTRUME": "ZWO ASI294MC Pro", "SWCREATE": "N.I.N.A. 3.1"}  # fmt: skip
SEESTAR = {**COMMON, "BAYERPAT": "GRBG    ", "GAIN": 80, "FILTER": "IRCUT", "INSTRUME": "Seestar S50",
           "TELESCOP": "S50_1623087d", "STACKCNT": 1, "FOCALLEN": 250, "XPIXSZ": 2.9}  # fmt: skip
DWARF = {"NAXIS": 2, "NAXIS1": 100, "NAXIS2": 80, "DATE-OBS": "2023-06-10T21:38:19.442", "EXP": 15.0, "GAIN": 110,
         "BAYERPAT": "GBRG", "TELESCOP": "DWARFII", "INSTRUME": "DWARFII"}  # fmt: skip
SHARPCAP = {**COMMON, "COLORTYP": "RGGB", "INSTRUME": "ZWO ASI183MC Pro", "SWCREATE": "SharpCap v4.1"}


def stored(pattern, ny, nx, dx, dy, bottom_up):
    """Colours of every pixel of a file, made from the picture that the header describes."""
    picture = np.array([[pattern[2 * ((r + dy) % 2) + (c + dx) % 2] for c in range(nx)] for r in range(ny)])
    return picture[::-1] if bottom_up else picture


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("ny", [6, 7])
@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("rows", ["TOP-DOWN", "BOTTOM-UP", None])
def test_offsets_and_the_order_of_rows(pattern, ny, dx, dy, rows):
    header = {"NAXIS2": ny, "BAYERPAT": pattern, "XBAYROFF": dx, "YBAYROFF": dy}
    header |= {"ROWORDER": rows} if rows else {}
    truth = stored(pattern, ny, 8, dx, dy, rows == "BOTTOM-UP")
    found = colour_of(header, D).pattern
    assert found == "".join(truth[:2, :2].ravel())
    for y0, x0 in ((0, 1), (1, 0), (3, 2), (1, 5)):  # a section that begins anywhere
        assert shifted(found, x0, y0) == "".join(truth[y0 : y0 + 2, x0 : x0 + 2].ravel())


@pytest.mark.parametrize(
    ("header", "pattern"),
    [(NINA, "RGGB"), (SEESTAR, "GRBG"), (DWARF, "GBRG"), (SHARPCAP, "RGGB"),
     ({**NINA, "SWCREATE": "INDIGO 2.0-300", "BAYERPAT": "GRBG", "XBAYROFF": 1}, "GRBG"),
     ({**NINA, "SWCREATE": "other", "BAYERPAT": "GRBG", "XBAYROFF": 1}, "RGGB")],
)  # fmt: skip
def test_headers_as_programs_write_them(header, pattern):
    made = describe(header)
    colour = colour_of(header, made)
    assert colour.pattern == pattern and not colour.sure
    assert "TR, TG, TB" in made.assumed["bayer"]
    assert channels_of(header, made, "science") == ("G", "R", "B")
    assert channels_of(header, made, "flat") == ("",)


def test_a_gain_that_is_a_setting_is_not_taken_for_electrons():
    assert describe(NINA).header.gain == "EGAIN"
    assert describe(SEESTAR).header.gain == "" and "80" in describe(SEESTAR).assumed["GAIN"]
    assert describe({**COMMON, "INSTRUME": "CCD", "GAIN": 1.4}).header.gain == "GAIN"
    assert describe({**COMMON, "INSTRUME": "CMOS", "GAIN": 139}).header.gain == ""


@pytest.mark.parametrize(
    "cards", [{"BAYERPAT": "XTRANS"}, {"BAYERPAT": "GGRB"}, {"COLORTYP": 2}, {"XBAYROFF": 1}]
)
def test_a_mosaic_that_is_not_known_is_refused_with_what_to_write(cards):
    header = {**COMMON, "INSTRUME": "x", **cards}
    with pytest.raises(FrameError, match=r'bayer = "RGGB".*bayer = "no"') as told:
        colour_of(header, D)
    assert told.value.code == "bad_pattern"
    with pytest.raises(FrameError, match=r"(?s)the mosaic of its colours.*\[\[camera\]\]"):
        describe(header)
    assert colour_of(header, replace(D, bayer="BGGR")).pattern == "BGGR"
    assert not colour_of(header, replace(D, bayer="no"))


@pytest.mark.parametrize("word", ["", "NONE", "MONO", "MONO16", "Gray", 0])
def test_no_mosaic(word):
    assert not colour_of({**COMMON, "BAYERPAT": word}, D)
    assert channels_of({**COMMON, "COLORTYP": word}, D, "science") == ("",)


def test_cubes_of_three_planes_are_colours_unless_the_axis_says_else():
    cube = {**SEESTAR, "NAXIS": 3, "NAXIS3": 3, "TOTALEXP": 1870.0}
    assert colour_of(cube, D).planes and not colour_of(cube, D).pattern
    made = describe(cube)
    assert made.match["NAXIS3"] == "3" and made.name.endswith("-rgb")
    assert made.header.exposure == "TOTALEXP"
    assert not colour_of({**cube, "CTYPE3": "FREQ", "BAYERPAT": ""}, D)


@pytest.mark.parametrize(
    ("written", "band"),
    [("", "TG"), ("none", "TG"), ("IRCUT", "TG"), ("UV/IR Cut", "TG"), ("LP", "TG-LP"), ("HaOIII", "TG-HaOIII")],
)  # fmt: skip
def test_bands(written, band):
    assert band_of_channel("G", written, {}) == band
    assert band_of_channel("G", written, {band: "green"}) == "green"


def test_descriptions_are_checked():
    tables = {
        "telescope": {"name": "t"},
        "camera": {"name": "c", "match": {"INSTRUME": "x"}, "bayer": "RGBG"},
    }
    with pytest.raises(ConfigurationError, match="bayer 'RGBG', one of header, no, RGGB"):
        from_tables(tables, "f")
    tables["camera"] |= {"bayer": "RGGB", "channels": {"G": {"gain": -1.0}, "X": {}}}
    with pytest.raises(ConfigurationError, match=r"channels\.X.*channels\.G\.gain -1\.0"):
        from_tables(tables, "f")
    tables["camera"]["channels"] = {"G": {"gain": 1.5, "soft_bias": 0}}
    made = from_tables(tables, "f")[0]
    assert made.channels["G"]["gain"] == 1.5
    assert CameraDescription.from_dict(made.to_dict()) == made
    assert from_tables(tomllib.loads(_telescope_toml(made) + _camera_toml(made)), "again") == [made]


def test_a_mosaic_that_nobody_tells_is_seen_in_the_pixels():
    assert looks_mosaic(np.array([500.0, 600, 601, 450]), 0.2) == "RGGB"
    assert looks_mosaic(np.array([600.0, 500, 450, 601]), 0.2) == "GRBG"
    assert looks_mosaic(np.array([500.0, 500.3, 500.1, 499.8]), 0.2) == ""  # mono
    assert looks_mosaic(np.array([500.0, 560, 500, 560]), 0.2) == ""  # columns of two amplifiers
    assert looks_mosaic(np.array([500.0, 560, 520, 590]), 0.2) == ""  # four amplifiers
