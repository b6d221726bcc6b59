"""A whole survey on disk: bytes, headers, sun and target, truth tables."""

import hashlib

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Angle, EarthLocation, SkyCoord, get_sun
from astropy.coordinates.builtin_frames import AltAz
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS
from click.testing import CliRunner

from photodb.cli import cli
from photodb.errors import UsageError
from photodb.simulate import Weather, plan, read_truth, simulate
from photodb.simulate.frames import positions
from photodb.simulate.nights import barycentric
from photodb.simulate.sky import CENTRE, CLEAR_ARCSEC
from photodb.simulate.telescopes import encircled_energy, psf_shape

pytestmark = pytest.mark.filterwarnings("ignore:'datfix' made the change")  # WCS() adds MJD-OBS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("survey") / "out"
    simulate(out, n_frames=24, n_stars=150, seed=5)
    return out


def _hashes(out):
    files = sorted(p for p in out.rglob("*") if p.is_file())
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    seen = []
    simulate(tmp_path / "again", n_frames=24, n_stars=150, seed=5, on_frame=seen.append)
    assert _hashes(tmp_path / "again") == _hashes(folder)
    assert len(seen) == len(set(seen)) == 24
    other = plan(n_frames=24, n_stars=150, seed=6)
    assert not np.array_equal(other.sky.ra, plan(n_frames=24, n_stars=150, seed=5).sky.ra)


def test_refuses_a_folder_that_holds_a_survey(folder):
    with pytest.raises(UsageError, match="already holds"):
        simulate(folder, n_frames=2)


@pytest.mark.parametrize(
    "wrong", [{"n_frames": 0}, {"n_stars": 3}, {"n_telescopes": 0}, {"n_nights": 99}, {"bands": ("U",)}]
)
def test_impossible_numbers_are_usage_errors(wrong):
    with pytest.raises(UsageError):
        plan(**wrong)


@pytest.mark.parametrize(
    "n_telescopes,n_nights,n_frames", [(1, 1, 1), (1, 2, 7), (2, 3, 96), (3, 2, 20), (5, 1, 3)]
)
def test_frames_are_shared_out(n_telescopes, n_nights, n_frames):
    survey = plan(n_frames=n_frames, n_stars=20, n_telescopes=n_telescopes, n_nights=n_nights)
    assert len(survey.exposures) == n_frames
    assert len({survey.path(e) for e in survey.exposures}) == n_frames
    assert [e.frame for e in survey.exposures] == list(range(n_frames))
    counts = np.unique([(e.telescope, e.night) for e in survey.exposures], axis=0, return_counts=True)[1]
    assert np.ptp(counts) <= 1


def test_sun_is_down_and_target_is_up():
    survey = plan(n_frames=40, n_stars=20, n_nights=20)
    with iers.conf.set_temp("auto_download", False):
        for index, telescope in enumerate(survey.telescopes):
            mine = [e for e in survey.exposures if e.telescope == index]
            time = Time(
                [[e.mjd_start, e.mjd_start + e.exptime / 86400] for e in mine], format="mjd", scale="utc"
            )
            site = EarthLocation.from_geodetic(telescope.longitude, telescope.latitude, telescope.elevation)
            frame = AltAz(obstime=time, location=site)
            sun = get_sun(time).transform_to(frame).alt.deg
            target = SkyCoord(*CENTRE, unit="deg").transform_to(frame)
            assert sun.max() < -12
            assert target.alt.deg.min() > 20
            airmass = np.array([e.airmass for e in mine])
            np.testing.assert_allclose(airmass, target.secz.value.mean(axis=1), rtol=0.04)


def test_flips_on_the_meridian_only_on_the_german_mount():
    survey = plan(n_frames=60, n_stars=20)
    birch = [e for e in survey.exposures if e.telescope == 1]
    assert {e.flipped for e in birch} == {False, True}
    assert not any(e.flipped for e in survey.exposures if e.telescope == 0)
    turned = [e.rotation for e in birch if e.flipped]
    np.testing.assert_allclose(turned, 183.0, atol=0.5)


def test_barycentric_time_against_astropy():
    mjd = np.array([60905.9, 60912.3])
    with iers.conf.set_temp("auto_download", False):
        site = EarthLocation.from_geodetic(-16.51, 28.3, 2390)
        time = Time(mjd, format="mjd", scale="utc", location=site)
        expected = (time.tdb + time.light_travel_time(SkyCoord(*CENTRE, unit="deg"), ephemeris="builtin")).mjd
    np.testing.assert_allclose(barycentric(mjd, *CENTRE), expected, atol=0.03 / 86400)


def test_headers_suffice_and_are_true(folder):
    truth = read_truth(folder)
    for row in truth.frames:
        header = fits.getheader(folder / row["path"])
        telescope = truth.telescopes[row["telescope"]]
        assert header["TELESCOP"] == telescope.name and header["INSTRUME"] == telescope.camera
        assert header["FILTER"] == row["band"] and header["EXPTIME"] == row["exptime"]
        assert (header["NAXIS1"], header["NAXIS2"], header["BITPIX"]) == (telescope.nx, telescope.ny, 16)
        start = header["DATE-OBS"] + (f"T{header['TIME-OBS']}" if telescope.header == "spartan" else "")
        middle = Time(start, scale="utc").mjd + header["EXPTIME"] / 2 / 86400
        assert middle == pytest.approx(row["mjd"], abs=0.002 / 86400)
        _check_pointing(header, telescope)
        modern = telescope.header == "modern"
        assert all((card in header) is modern for card in ("GAIN", "RDNOISE", "SATURATE", "CRVAL1"))


def _check_pointing(header, telescope):
    if telescope.header == "modern":
        ra, dec = WCS(header).wcs_pix2world((telescope.nx - 1) / 2, (telescope.ny - 1) / 2, 0)
        assert float(ra) == pytest.approx(header["RA"], abs=30 / 3600)
    else:
        ra, dec = Angle(header["RA"], "hourangle").deg, Angle(header["DEC"], "deg").deg
        scale = 206.264806 * header["XPIXSZ"] / header["FOCALLEN"]
        assert scale == pytest.approx(telescope.scale, rel=1e-3)
    away = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*CENTRE, unit="deg"))
    assert 0.0 < away.arcsec < 150


def test_header_wcs_is_off_by_seconds_of_arc(folder):
    truth = read_truth(folder)
    survey = plan(n_frames=24, n_stars=150, seed=5)
    off = []
    for exposure in survey.exposures[:4]:
        wcs = WCS(fits.getheader(folder / survey.path(exposure)))
        x, y = positions(truth.telescopes[0], exposure, survey.sky)
        ra, dec = wcs.wcs_pix2world(x, y, 0)
        sky = SkyCoord(survey.sky.ra, survey.sky.dec, unit="deg")
        off.append(np.median(SkyCoord(ra, dec, unit="deg").separation(sky).arcsec))
    assert 0.3 < np.median(off) < 15


def test_truth_is_read_back_as_it_was(folder):
    truth, survey = read_truth(folder), plan(n_frames=24, n_stars=150, seed=5)
    assert truth.telescopes == survey.telescopes
    np.testing.assert_array_equal(truth.stars["ra"], survey.sky.ra)
    bjd = np.array([e.bjd for e in survey.exposures])
    for row, variable in survey.sky.variables.items():
        star = truth.stars[row]
        assert truth.variable(star) is not None and star["kind"] == variable.kind
        expected = survey.sky.mag[row, 0] + variable.magnitude(bjd)
        np.testing.assert_allclose(truth.magnitudes(star, "V", bjd), expected)
    assert (truth.stars["kind"] == "constant").sum() == 150 - len(survey.sky.variables)
    for row, exposure in zip(truth.frames, survey.exposures, strict=True):
        assert row["zero_point"] == exposure.zero_point and row["path"] == survey.path(exposure)
        assert row["term_xy"] == exposure.terms[3] and row["tree"] == exposure.tree


def test_expected_zero_point_contains_transparency_and_aperture_loss(folder):
    truth = read_truth(folder)
    row, telescope = truth.frames[0], truth.telescopes[0]
    assert truth.expected_zero_point(row, np.inf) == pytest.approx(row["zero_point"], abs=1e-9)
    middle = np.array([(telescope.nx - 1) / 2]), np.array([(telescope.ny - 1) / 2])
    loss = 2.5 * np.log10(encircled_energy(5.0, *psf_shape(telescope, row["fwhm"], *middle)))[0]
    assert truth.expected_zero_point(row, 5.0) == pytest.approx(row["zero_point"] + loss, abs=0.01)
    blurred = {**dict(zip(row.colnames, row.values())), "fwhm": 1.2 * row["fwhm"]}
    assert truth.expected_zero_point(blurred, 5.0) < truth.expected_zero_point(row, 5.0) - 0.01


def test_reference_catalogue_has_the_errors_it_says(folder):
    catalogue, stars = Table.read(folder / "refcat.csv"), read_truth(folder).stars
    assert catalogue.colnames == ["id", "ra", "dec", "V", "V_err", "R", "R_err"]
    rows = np.array([int(name[1:]) - 1 for name in catalogue["id"]])
    off = SkyCoord(catalogue["ra"], catalogue["dec"], unit="deg").separation(
        SkyCoord(stars["ra"][rows].value * u.deg, stars["dec"][rows].value * u.deg)
    )
    assert np.sqrt(np.mean(off.arcsec**2)) == pytest.approx(0.07 * np.sqrt(2), rel=0.3)
    assert np.std(catalogue["V"] - stars["V"][rows]) == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("seed", range(4))
def test_variables_are_bright_isolated_and_their_events_observed(seed):
    survey = plan(seed=seed, weather=Weather(tree=False))
    sky = survey.sky
    assert len(sky.variables) == 8
    bjd = np.array([e.bjd for e in survey.exposures])
    for row, variable in sky.variables.items():
        distance = np.hypot((sky.ra - sky.ra[row]) * np.cos(np.radians(35)), sky.dec - sky.dec[row]) * 3600
        near = (distance < CLEAR_ARCSEC) & (sky.mag[:, 0] < sky.mag[row, 0] + 2)
        assert near.sum() == 1  # the star itself
        assert np.ptp(variable.magnitude(bjd)) > 0.5 * variable.amplitude


def test_command_line(tmp_path):
    runner = CliRunner()
    arguments = [
        "simulate",
        str(tmp_path / "out"),
        "--frames",
        "3",
        "--stars",
        "40",
        "--telescopes",
        "1",
        "--seed",
        "9",
    ]
    dry = runner.invoke(cli, [*arguments, "--dry-run"])
    assert dry.exit_code == 0 and len(dry.stdout.split()) == 3
    assert not (tmp_path / "out").exists()
    done = runner.invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert sorted(p.as_posix() for p in (tmp_path / "out").rglob("*.fits")) == sorted(dry.stdout.split())
