"""Frames of catalogues: what is understood, declared and brought to ICRS."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, ICRS, Galactic, SkyCoord
from astropy.io import fits
from astropy.io.votable import tree
from astropy.table import Table
from astropy.time import Time

from photodb.core.sky import separation_deg
from photodb.errors import UsageError
from photodb.images.catalogs import open_catalogue
from photodb.images.catalogueframe import declared_frame, sky_frame, to_icrs
from photodb.images.cataloguemap import CatalogueMap

RNG = np.random.default_rng(2)
TRUTH = SkyCoord(
    RNG.uniform(0, 360, 50) * u.deg, np.degrees(np.arcsin(RNG.uniform(-1, 1, 50))) * u.deg, frame=ICRS()
)
FRAMES = {
    "fk4:B1950": FK4(equinox="B1950", obstime=Time(2000.0, format="jyear")),
    "fk5:J1975": FK5(equinox="J1975"),
    "galactic": Galactic(),
}


def write_table(path, name, **columns):
    there = TRUTH.transform_to(FRAMES[name])
    Table(
        {"id": np.arange(50), "ra": there.spherical.lon.deg, "dec": there.spherical.lat.deg, **columns}
    ).write(path)


def places(path, told=None):
    stars = np.concatenate(list(open_catalogue(path, told).pieces()))
    return 3600 * separation_deg(stars["ra"], stars["dec"], TRUTH.ra.deg, TRUTH.dec.deg)


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_is_told_is_brought_to_icrs(tmp_path, name):
    write_table(tmp_path / "a.csv", name)
    assert places(tmp_path / "a.csv", CatalogueMap(frame=name)).max() < 1e-3
    assert np.median(places(tmp_path / "a.csv")) > 100


@pytest.mark.parametrize("words", [{"EQUINOX": 1950.0}, {"RADESYS": "FK4"}, {"RADESYS": "FK4", "EQUINOX": 1950.0},
                                   {"EPOCH": 1950.0}])  # fmt: skip
def test_a_frame_that_fits_declares_is_honoured(tmp_path, words):
    there = TRUTH.transform_to(FRAMES["fk4:B1950"])
    hdu = fits.table_to_hdu(Table({"ra": there.ra.deg, "dec": there.dec.deg}))
    hdu.header.update(words)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    assert places(tmp_path / "a.fits").max() < 1e-3


def test_a_frame_that_ecsv_or_votable_declare_is_honoured(tmp_path):
    there = TRUTH.transform_to(FRAMES["fk4:B1950"])
    table = Table({"ra": there.ra.deg, "dec": there.dec.deg}, meta={"EQUINOX": "B1950"})
    table.write(tmp_path / "a.ecsv")
    assert places(tmp_path / "a.ecsv").max() < 1e-3
    document = tree.VOTableFile.from_table(table)
    for system, equinox in (("eq_FK4", "B1950"), ("FK4", None), ("ICRS", None)):
        document.coordinate_systems[:] = [
            tree.CooSys(ID="c", system=system, equinox=equinox, epoch="J2000.0")
        ]
        document.to_xml(str(tmp_path / "a.vot"))
        off = places(tmp_path / "a.vot")
        assert off.max() < 1e-3 if system != "ICRS" else np.median(off) > 100


def test_an_unknown_declaration_is_refused_and_a_told_frame_counts(tmp_path):
    table = Table(
        {"id": np.arange(50), "ra": TRUTH.ra.deg, "dec": TRUTH.dec.deg}, meta={"RADESYS": "ECLIPTIC"}
    )
    table.write(tmp_path / "a.ecsv")
    with pytest.raises(UsageError, match=r"'ECLIPTIC'; say what they are with --frame"):
        places(tmp_path / "a.ecsv")
    assert places(tmp_path / "a.ecsv", CatalogueMap(frame="icrs")).max() < 1e-9


def test_columns_named_1950_are_not_taken_for_2000(tmp_path):
    write_table(tmp_path / "a.csv", "fk4:B1950")
    text = (tmp_path / "a.csv").read_text().replace("id,ra,dec", "id,RA1950,DE1950")
    (tmp_path / "b.csv").write_text(text)
    chosen = {"ra": "RA1950", "dec": "DE1950"}
    with pytest.raises(UsageError, match="another equinox; say so with --frame fk4:B1950"):
        places(tmp_path / "b.csv", CatalogueMap(chosen))
    assert places(tmp_path / "b.csv", CatalogueMap(chosen, frame="B1950")).max() < 1e-3


def test_proper_motions_turn_with_the_frame():
    """Positions of two epochs, each transformed by itself, tell the motion."""
    pm = np.array([1500.0, -800.0, 20.0]), np.array([-900.0, 300.0, 4000.0])
    now = np.full(3, 2000.0)
    lon, lat = np.array([30.0, 200.0, 350.0]), np.array([5.0, -60.0, 20.0])
    _, _, east, north = to_icrs(sky_frame("galactic"), lon, lat, *pm, now)
    np.testing.assert_allclose(np.hypot(east, north), np.hypot(*pm), rtol=1e-3)
    motion = {"pm_l_cosb": pm[0] * u.mas / u.yr, "pm_b": pm[1] * u.mas / u.yr}
    later = SkyCoord(Galactic(l=lon * u.deg, b=lat * u.deg, **motion)).transform_to(ICRS())
    np.testing.assert_allclose(east, later.pm_ra_cosdec.to_value(u.mas / u.yr), atol=1)
    np.testing.assert_allclose(north, later.pm_dec.to_value(u.mas / u.yr), atol=1)


@pytest.mark.parametrize(
    ("text", "told"),
    [("fk4", "fk4:B1950"), ("B1950", "fk4:B1950"), ("1950", "fk4:B1950"), ("FK5", "fk5:J2000"), ("J2000", "fk5:J2000"),
     ("fk4:1900", "fk4:B1900"), ("galactic", "galactic"), ("ICRS", "icrs")],
)  # fmt: skip
def test_words_for_frames(text, told):
    assert str(sky_frame(text)) == told


@pytest.mark.parametrize("text", ["", "moon", "fk4:1066", "fk6", "J20000"])
def test_words_that_are_no_frame(text):
    with pytest.raises(UsageError, match=r"frame|equinox"):
        sky_frame(text)


def test_a_header_without_a_word_declares_nothing():
    assert declared_frame({}) is None and declared_frame({"epoch": "J2015.5"}) is None
