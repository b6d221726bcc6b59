"""Descriptions of cameras: files that teach what is wrong, recognition, and description from a header."""

import numpy as np
import pytest
from astropy.io import fits

from photodb.errors import ConfigurationError, FrameError, UnknownCamera
from photodb.images import cards
from photodb.images.describe import describe
from photodb.images.fits import read_frame
from photodb.images.headers import CameraDescription, load_toml, packaged, recognise
from photodb.images.pixelstats import complete, estimate_gain, estimate_saturation, pixel_stats

TOML = """
[telescope]
name = "T"
latitude = 30.0
aperture_diameter = 0.5
[[camera]]
name = "A"
match = { TELESCOP = "T*", FILTER = "g" }
gain = 1.5
[[camera]]
name = "B"
match = { TELESCOP = "T*" }
[camera.header]
time = ["DATE-OBS", "UT"]
[bands]
"g'" = "g"
"""


def test_a_file_gives_its_cameras(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(TOML)
    a, b = load_toml(path)
    assert (a.name, a.gain, b.header.time) == ("A", 1.5, ("DATE-OBS", "UT"))
    assert a.aperture_area == pytest.approx(np.pi / 16)
    assert CameraDescription.from_dict(a.to_dict()) == a
    header = {"TELESCOP": "T2", "FILTER": "g"}
    assert recognise(header, [b, a]) == a  # more cards fit
    assert recognise({"TELESCOP": "T2", "FILTER": "r"}, [a, b]) == b
    assert recognise({"TELESCOP": "other"}, [a, b]) is None
    assert cards.band_of({"FILTER": "G'"}, a, "science") == "g"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "T"', "", "name missing"),
        ("gain = 1.5", "gain = -1", "gain -1 must be a positive number"),
        ("gain = 1.5", "gian = 1", "unknown key gian; known are"),
        ("latitude = 30.0", "latitude = 130.0", "latitude 130.0 is outside"),
        ('time = ["DATE-OBS", "UT"]', 'time_scale = "hjd"', "time_scale 'hjd', one of utc, ut1, tai"),
        ("[telescope]", "[telescope", "t.toml"),
        ('time = ["DATE-OBS", "UT"]', "gain = 3.25", "gain must be the name of a card"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, told):
    path = tmp_path / "t.toml"
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=told.replace(".", r"\.")):
        load_toml(path)


def test_packaged_descriptions_are_sound():
    names = [d.name for d in packaged()]
    assert len(names) == len(set(names)) >= 8


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "camera", "mjd_start", "exptime", "band"),
    [
        ("hatp32/HATP-32171220013343.FITS", "Cecilia-Main", 58107.0650846875, 60.0, "clear"),
        ("lco_kb82/ogg0m404-kb82-20170815-1159-e91.fits.fz", "kb82", 57981.63095737, 11.938, "rp"),
        ("sdss_s82/4192/fpC-004192-g4-0300.fit.gz", "SDSS-g4", 52931.19987627, 53.907456, "g"),
        ("lowell_raw/20190326.0126.fits", "nasa42", 58568.10244363, 300.0, "VR"),
    ],
)
def test_real_headers(data_dir, name, camera, mjd_start, exptime, band):
    frame = read_frame(data_dir(name))
    found = recognise(frame.header, packaged())
    assert found is not None and found.name == camera
    exposure = cards.read_exposure(frame.header, found)
    assert exposure.mjd_start == pytest.approx(mjd_start, abs=1e-8)
    assert (exposure.exptime, exposure.band, exposure.kind) == (exptime, band, "science")


@pytest.mark.real
def test_an_unknown_camera_is_described_from_its_header(data_dir):
    frame = read_frame(data_dir("hatp32/HATP-32171220013343.FITS"))
    made = complete(describe(frame.header), [pixel_stats(frame.data)], frame.header)
    assert made.longitude == pytest.approx(-110.88)  # written positive westward: else the sun would be up
    assert made.saturation == 4095
    assert {"gain", "saturation", "longitude", "time"} <= set(made.assumed)
    assert cards.read_exposure(frame.header, made).mjd_start == pytest.approx(58107.0650846875, abs=1e-9)


def test_a_header_that_does_not_suffice_gets_a_skeleton():
    header = fits.Header({"TELESCOP": "T", "DATE-OBS": "2024-01-01", "FILTER": "V"})
    with pytest.raises(UnknownCamera) as error:
        describe(header)
    text = str(error.value)
    for part in (
        "exposure",
        "start of the exposure",
        "TELESCOP, DATE-OBS, FILTER",
        "[telescope]",
        'TELESCOP = "T"',
        "photodb telescope add",
    ):
        assert part in text


def test_gain_and_saturation_from_pixels():
    rng = np.random.default_rng(5)
    level = np.linspace(200, 3000, 640)[None, :] * np.ones((480, 1))
    counts = rng.poisson(level * 2.5) / 2.5 + rng.normal(0, 4, level.shape)
    (gain, how), _ = estimate_gain([pixel_stats(np.round(counts).astype(np.uint16))])
    assert gain == pytest.approx(2.5, rel=0.05) and "noise" in how
    (gain, how), (noise, _) = estimate_gain(
        [pixel_stats(np.round(rng.normal(300, 6, (480, 640))).astype(np.uint16))]
    )
    assert gain == 1.0 and "too even" in how and noise == pytest.approx(6, rel=0.05)
    full = np.full((100, 100), 900, np.uint16)
    full[:2, :9] = 4095
    assert estimate_saturation([pixel_stats(full)])[0] == 4095
    full[full == 4095] = 3000
    full[0, 0] = 3100
    assert estimate_saturation([pixel_stats(full)]) == (4095.0, "counts fit in 12 bits")


@pytest.mark.parametrize(
    ("value", "unit", "hours", "degrees"),
    [("10:00:00", "auto", True, 150), ("-01 30 00", "auto", False, -1.5), ("-00:30:00", "auto", False, -0.5),
     (31.3, "auto", True, 31.3), (2.0, "hour", True, 30.0), ("31.3", "deg", True, 31.3)],
)  # fmt: skip
def test_angles(value, unit, hours, degrees):
    assert cards.angle({"X": value}, "X", unit, hours) == pytest.approx(degrees)


def test_sections_count_from_one_and_must_fit():
    assert cards.section("[18:20,1:5]", {}, (10, 30)) == (slice(0, 5), slice(17, 20))
    assert cards.section("TRIMSEC", {"TRIMSEC": "[1:30,1:10]"}, (10, 30)) == (slice(0, 10), slice(0, 30))
    assert cards.section("", {}, (10, 30)) is None
    with pytest.raises(FrameError, match="leaves the frame of 30x10"):
        cards.section("[1:31,1:10]", {}, (10, 30))
