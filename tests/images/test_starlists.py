"""Star lists by themselves: each format read right, each bad list refused with its reason, damage never a traceback."""

from __future__ import annotations

import time
from pathlib import Path

import astropy.io.ascii.tests
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from photodb.core.ephemeris import place_at
from photodb.core.flags import Flag
from photodb.errors import ConfigurationError
from photodb.images import listfiles
from photodb.images.listmaptoml import load_list_map, map_from_tables
from photodb.images.pipeline import FrameFailure, PixelSettings
from photodb.images.starlists import could_be_list, measure_any, scan_any
from photodb.simulate.measurements import SurveySettings, simulate_survey
from tests.helpers.star_lists import WRITERS, frames_of, image_header, own_table, write_lists

HEAD = "x,y,ra,dec,flux,flux_err,mjd,exptime,band,telescope,camera"


@pytest.fixture(scope="module")
def frame():
    return frames_of(simulate_survey(SurveySettings(n_frames=2, n_stars=120), seed=3))[0]


def take(path, *maps, camera=None, known=()):
    """Read a list as a worker does."""
    found = scan_any(path, "hash", list(known), camera, maps)
    return found if isinstance(found, FrameFailure) else measure_any(found, PixelSettings())


def reason(path, *maps):
    """Return code and text of a list that is refused."""
    failed = take(path, *maps)
    assert isinstance(failed, FrameFailure) and failed.source_format == "list"
    return failed.code, failed.reason


def written(path, text):
    path.write_text(text)
    return path


def rows(n=20, **changes):
    """Return CSV text of n stars in photodb's layout, with columns changed."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 500, (2, n)).round(3)
    columns = {
        "x": x, "y": y, "ra": 150 - x / 3600, "dec": 20 + y / 3600, "flux": 1000 + 100.0 * np.arange(n),
        "flux_err": np.full(n, 50.0), "mjd": 60000.25, "exptime": 30.0, "band": "V", "telescope": "T1", "camera": "C1",
    } | changes  # fmt: skip
    columns = {k: v for k, v in columns.items() if v is not None}
    lines = [",".join(columns)]
    lines += [
        ",".join(str(v[k] if isinstance(v, np.ndarray | list) else v) for v in columns.values())
        for k in range(n)
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", list(WRITERS))
def test_every_format_is_read_right(frame, tmp_path, kind):
    maps = [load_list_map(p) for p in map(tmp_path.__class__, write_lists([frame], tmp_path / "l", kind))]
    path = next((tmp_path / "l").iterdir())
    assert could_be_list(path, maps) or path.suffix == ".fits"
    result = take(path, *maps)
    assert not isinstance(result, FrameFailure), result
    found = result.measured.detections
    assert len(found) == len(frame.x) and result.measured.best == 0 and found.flux.shape[1] == 1
    digits = {"als": 6e-5, "ap": 6e-5, "iraf": 6e-5, "csv_mag": 6e-6}.get(kind, 1e-7)
    assert np.abs(-2.5 * np.log10(found.flux[:, 0] / 60.0) - frame.mag).max() < digits
    np.testing.assert_allclose(
        found.flux_err[:, 0] / found.flux[:, 0], frame.flux_err / frame.flux, atol=6e-5
    )
    if kind != "csv_sky_only":
        assert np.abs(found.x - frame.x).max() < 1e-3 and (result.nx, result.ny) == (801, 801)
    if result.header_wcs:
        ra, dec = result.header_wcs.to_sky(found.x, found.y)
        assert np.abs(dec - frame.dec).max() * 3600 < 0.01 and np.abs(ra - frame.ra).max() * 3600 < 0.01
    assert abs(result.exposure.mjd - frame.mjd) < 0.06 / 86400 and result.exposure.exptime == 60.0
    assert result.exposure.band == "V" and frame.telescope in result.camera
    assert result.source_format != "pixels" and np.isnan(result.quality.dynamic_range)


def test_layout_by_metadata_equals_layout_by_columns(frame, tmp_path):
    for kind in ("csv", "ecsv"):
        write_lists([frame], tmp_path / kind, kind)
    a, b = (take(next((tmp_path / kind).iterdir())) for kind in ("csv", "ecsv"))
    assert a.data_hash == b.data_hash and repr(a.exposure) == repr(b.exposure)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"flux": None, "flux_err": None}, "no_column", "flux or mag"),
        ({"flux_err": None}, "no_column", "flux_err or mag_err"),
        ({"x": None, "y": None, "ra": None, "dec": None}, "no_column", "x and y, or ra and dec"),
        ({"mjd": None}, "no_time", "no time"),
        ({"mjd": "soon"}, "bad_time", "soon"),
        ({"mjd": 12.5}, "bad_time", "outside 5000"),
        ({"mjd": np.linspace(60000, 60001, 20)}, "several_frames", "mjd varies"),
        ({"exptime": None}, "no_exposure", "no exposure"),
        ({"exptime": 0}, "bad_exposure", "exposure 0"),
        ({"exptime": "long"}, "bad_exposure", "'long'"),
        ({"band": None}, "no_filter", "no band"),
        ({"band": ["V", "R"] * 10}, "several_frames", "band varies (R, V"),
        ({"telescope": None, "camera": None}, "no_camera", "--camera"),
        ({"flux": "nan"}, "no_stars", "20 of 20 rows without a flux"),
        ({"flux": "bright"}, "bad_column", "flux holds no numbers"),
        ({"flux_err": 0}, "no_stars", "without a flux and its error"),
        ({"x": "nan", "ra": "nan"}, "no_stars", "none of the 20 rows has a position"),
        ({"nx": 100, "ny": 100}, "outside", "off the frame of 100x100"),
        ({"dec": 123.0}, "units", "no place on the sky"),
        ({"ra": np.linspace(0, 300, 20), "x": None}, "positions", "spread over"),
        ({"ra": np.random.default_rng(0).uniform(149, 150, 20)}, "positions", "disagree"),
    ],
)  # fmt: skip
def test_a_bad_list_is_refused_with_its_reason(tmp_path, changes, code, said):
    found = reason(written(tmp_path / "a.csv", rows(**changes)))
    assert found[0] == code and said in found[1]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.csv", b"", "empty"),
        ("blank.cat", b"\n \n", "empty"),
        ("head.csv", HEAD.encode() + b"\n", "empty"),
        ("notes.txt", b"clouds came in at midnight\nno more frames\n", "unreadable"),
        ("catalogue.csv", b"id,ra,dec,V,V_err\n1,2,3,4,5\n", "not_a_list"),
        ("picture.dat", bytes(range(256)) * 9, "not_fits"),
        ("cut.ecsv", b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: x, data", "unreadable"),
        ("ragged.csv", rows().encode() + b"1,2,3,4,5,6,7,8,9,10,11,12,13,14\n", "unreadable"),
        ("cut.als", b" NL    NX    NY  LOWBAD\n  1  100  100\n\n  1  2.0 3.0 4.0 5.0\n 2 3.", "unreadable"),
    ],
)
def test_what_is_no_list_is_refused_where_it_is_named(tmp_path, name, content, code):
    path = tmp_path / name
    path.write_bytes(content)
    assert reason(path)[0] == code


@pytest.mark.parametrize(
    ("unit", "code"), [("electron", None), ("adu", None), ("ct / s", None), ("Jy", "units"), ("mag", "units")]
)
def test_units_of_the_flux_are_taken_or_refused(frame, tmp_path, unit, code):
    table = own_table(frame)
    table["flux"].unit = table["flux_err"].unit = unit
    table.write(tmp_path / "a.ecsv", format="ascii.ecsv")
    if code:
        assert reason(tmp_path / "a.ecsv") == (code, reason(tmp_path / "a.ecsv")[1])
        assert repr(unit) in reason(tmp_path / "a.ecsv")[1]
        return
    flux = take(tmp_path / "a.ecsv").measured.detections.flux[:, 0]
    np.testing.assert_allclose(flux, frame.flux * (60.0 if "/" in unit else 1.0))


def test_bad_rows_fall_out_with_a_count(tmp_path):
    flux = 1000 + 100.0 * np.arange(20)
    flux[3] = np.nan
    x = np.random.default_rng(1).uniform(0, 500, 20).round(3)
    x[5] = 5e5
    text = rows(flux=flux, x=x, ra=None, dec=None, nx=501, ny=501)
    result = take(written(tmp_path / "a.csv", text))
    assert len(result.measured.detections) == 18
    assert result.remark == (
        "1 of 20 rows outside the frame left out; 1 of 20 rows without a flux and its error left out"
    )


def test_flags_of_sextractor_and_of_photodb(frame, tmp_path):
    lines = ["# 1 X_IMAGE", "# 2 Y_IMAGE", "# 3 FLUX_AUTO", "# 4 FLUXERR_AUTO", "# 5 FLAGS"]
    lines += [
        f"# {k} = {v}"
        for k, v in {"mjd": 60000, "exptime": 1, "band": "V", "camera": "c", "nx": 99, "ny": 99}.items()
    ]
    bits = [0, 1, 2, 4, 8, 16, 32, 7]
    lines += [f"{k + 5} {k + 7} {1000 - k} 10 {bit}" for k, bit in enumerate(bits)]
    flags = take(written(tmp_path / "a.cat", "\n".join(lines))).measured.detections.flags
    blend, full = int(Flag.BLEND), int(Flag.SATURATED)
    assert flags.tolist() == [0, blend, blend, full, int(Flag.EDGE), int(Flag.BAD_PIXEL), 0, blend | full]
    own = take(
        written(
            tmp_path / "b.csv", rows(flags=int(Flag.SATURATED | Flag.EDGE | Flag.DUPLICATE | Flag.CLIPPED))
        )
    )
    assert set(own.measured.detections.flags.tolist()) == {int(Flag.SATURATED | Flag.EDGE)}
    assert own.measured.n_saturated == 20


def test_negative_fluxes_stay(tmp_path):
    flux = np.linspace(-50, 1000, 20)
    found = take(written(tmp_path / "a.csv", rows(flux=flux))).measured.detections
    assert len(found) == 20 and found.flux[-1, 0] == -50 and found.flags[-1] == Flag.NEGATIVE


def test_magnitudes_that_cannot_be_electrons_have_no_gain(tmp_path):
    calibrated = rows(flux=None, flux_err=None, mag=np.linspace(11, 15, 20), mag_err=0.01)
    result = take(written(tmp_path / "a.csv", calibrated))
    assert np.isnan(result.gain) and "unknown" in result.assumed["gain"]
    instrumental = rows(flux=None, flux_err=None, mag=np.linspace(-10, -6, 20), mag_err=0.01)
    assert take(written(tmp_path / "b.csv", instrumental)).gain == 1.0


def test_own_exports_catalogues_and_notes_of_a_folder_are_no_lists(tmp_path):
    for name, text in {
        "lc.csv": "mjd,band,telescope,camera,frame_id,mag,mag_err,source_id,solution_id\n1,V,T,C,1,9,1,1,1\n",
        "variables.csv": "source_id,ra,dec,band,n_obs,mag,score,period,reason\n1,2,3,V,9,12.0,3,,x\n",
        "refcat.csv": "id,ra,dec,V,V_err\n1,2,3,12.0,0.1\n",
        "stars.csv": "id,ra,dec,mag,mag_err\n1,2,3,12.0,0.1\n",
        "log.txt": "weather: clear\nseeing: 2 arcsec\n",
        "empty.txt": "",
        "program.py": HEAD,
    }.items():
        assert not could_be_list(written(tmp_path / name, text)), name
    for name, text in {
        "a.csv": rows(),
        "b.txt": rows(),
        "empty.csv": "",
        "lacking.csv": rows(mjd=None),
    }.items():
        assert could_be_list(written(tmp_path / name, text)), name


def test_a_table_with_the_header_of_its_image_needs_no_words(frame, tmp_path):
    table = fits.BinTableHDU(own_table(frame)["x", "y", "ra", "dec", "flux", "flux_err"])
    table.header.extend([c for c in image_header(frame).cards if not c.keyword.startswith("NAXIS")])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
    result = take(tmp_path / "a.fits")
    assert result.camera == f"{frame.telescope}-ccd" and result.exposure.airmass == frame.airmass
    assert abs(result.exposure.mjd - frame.mjd) < 1e-8


@pytest.mark.parametrize("scale", ["bjd_tdb", "tdb", "tai", "local"])
def test_times_of_every_scale_come_back_as_utc(tmp_path, scale):
    place = place_at(60000.25)
    ra, dec = np.radians(149.9356), np.radians(20.0749)  # the middle of the stars of `rows`
    star = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    shift = {
        "bjd_tdb": place.mjd_tdb - 60000.25 + star @ np.array(place.barycentric) / 86400,
        "tdb": place.mjd_tdb - 60000.25, "tai": 37 / 86400, "local": 2 / 24,
    }[scale]  # fmt: skip
    told = map_from_tables(
        {"list": {"match": "*.csv"}, "frame": {"time": {"column": "when"}},
         "time": {"scale": scale, "refers": "middle", "utc_offset": 2.0}}, "test",
    )  # fmt: skip
    path = written(tmp_path / "a.csv", rows(mjd=None, when=repr(float(2400000.5 + 60000.25 + shift))))
    assert abs(take(path, told).exposure.mjd - 60000.25) * 86400 < 0.01


@pytest.mark.parametrize("scale", ["bjd_tdb", "hjd_utc", "hjd_tt", "hjd_tdb", "bjd_utc"])
def test_a_column_of_light_time_needs_no_map(tmp_path, scale):
    place = place_at(60000.25)
    ra, dec = np.radians(149.9356), np.radians(20.0749)
    star = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    where = place.barycentric if scale.startswith("bjd") else place.heliocentric
    clock = {"tdb": place.mjd_tdb, "tt": 60000.25 + 69.184 / 86400, "utc": 60000.25}[scale[4:]]
    value = repr(float(2400000.5 + clock + star @ np.array(where) / 86400))
    found = take(written(tmp_path / "a.csv", rows(mjd=None, **{scale: value}))).exposure.mjd
    assert abs(found - 60000.25) * 86400 < 0.01
    nowhere = written(tmp_path / "b.csv", rows(mjd=None, ra=None, dec=None, **{scale: value}))
    assert "ra and dec" in reason(nowhere)[1]


@pytest.mark.parametrize("name", ["hjd", "bjd"])
def test_a_column_of_light_time_without_its_scale_is_refused(tmp_path, name):
    code, said = reason(written(tmp_path / "a.csv", rows(mjd=None, **{name: 2460000.75})))
    assert code == "bad_time" and "more than a minute apart" in said and f"{name}_utc" in said
    assert take(written(tmp_path / "b.csv", rows(**{name: 2460000.75}))).exposure.mjd == pytest.approx(
        60000.25
    )


@pytest.mark.parametrize("name", ["v_20230225T060000.csv", "v_2023-02-25_06-00-00.csv", "v_60000.25.csv"])
def test_the_name_of_a_file_tells_the_time(tmp_path, name):
    pattern = r"^(?P<band>[a-z])_(?P<time>[\dT_.-]+)\.csv$"
    told = map_from_tables({"list": {"match": "*.csv", "filename": pattern}, "time": {"refers": "start"},
                            "bands": {"v": "Johnson V"}}, "test")  # fmt: skip
    result = take(written(tmp_path / name, rows(mjd=None, band=None)), told)
    assert abs(result.exposure.mjd_start - 60000.25) * 86400 < 0.001 and result.exposure.band == "Johnson V"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"colums": {}}, "unknown key colums"),
        ({"columns": {"fluxx": "a"}}, "unknown key fluxx"),
        ({"columns": {"flux": 3}}, "columns.flux"),
        ({"columns": []}, "[columns] must be a table"),
        ({"frame": {"band": {"colum": "f"}}}, "unknown key colum"),
        ({"frame": {"band": {"column": "f", "header": "g"}}}, "one of value, column"),
        ({"frame": {"band": {"filename": "f"}}}, "no group (?P<f>"),
        ({"units": {"flux": "jansky"}}, "units.flux 'jansky', one of auto, e-, adu"),
        ({"units": {"first_pixel": "one"}}, "'one' is no number"),
        ({"time": {"scale": "hjd"}}, "time.scale 'hjd', one of utc, ut1"),
        ({"list": {"filename": "("}}, "no regular expression"),
        ({"flags": {"4": "full"}}, "flags.4 = 'full'"),
    ],
)
def test_a_wrong_map_is_refused_with_what_would_be_right(tables, said):
    with pytest.raises(ConfigurationError) as error:
        map_from_tables(tables, "map.toml")
    assert said in str(error.value) and "map.toml" in str(error.value)


def test_a_map_takes_lists_by_their_columns_where_it_names_no_files(tmp_path):
    told = map_from_tables({"columns": {"flux": "counts", "flux_err": "noise"}, "units": {"flux": "adu"},
                            "frame": {"gain": 2.0}}, "test")  # fmt: skip
    text = rows(flux=None, flux_err=None, counts=np.full(20, 500.0), noise=20.0)
    result = take(written(tmp_path / "a.csv", text), told)
    assert result.source_format == "map:map" and set(result.measured.detections.flux[:, 0]) == {1000.0}
    assert take(written(tmp_path / "b.csv", rows()), told).source_format == "photodb"


def test_reading_goes_by_columns_not_by_rows(tmp_path):
    """A list of 5,000 rows takes well below a second, in every text format."""
    frame = frames_of(simulate_survey(SurveySettings(n_frames=1, n_stars=9000, n_cameras=1), seed=1))[0]
    assert len(frame.x) > 3000
    for kind in ("csv", "ecsv", "als", "iraf", "sextractor"):
        write_lists([frame], tmp_path / kind, kind)
        path = next((tmp_path / kind).iterdir())
        began = time.process_time()
        table = listfiles.read_list(path)
        assert time.process_time() - began < 1.0, kind
        assert len(table) >= len(frame.x)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_damage_never_ends_in_a_traceback(frame, tmp_path, kind):
    maps = [load_list_map(p) for p in map(tmp_path.__class__, write_lists([frame], tmp_path / "l", kind))]
    path = next((tmp_path / "l").iterdir())
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    refused = 0
    for k in range(60):
        raw = bytearray(whole)
        if k % 3 == 0:
            raw = raw[: int(rng.integers(0, len(raw)))]
        else:
            spots = rng.integers(0, len(raw) if k % 2 else min(len(raw), 1500), int(rng.integers(1, 30)))
            for spot in spots:
                raw[spot] = rng.integers(0, 256) if k % 3 == 1 else rng.choice(list(b'\n\t ,;"#\\:-.eE0'))
        path.write_bytes(raw)
        could_be_list(path, maps)
        result = take(path, *maps)
        if isinstance(result, FrameFailure):
            refused += 1
            assert result.code and result.reason
        else:
            found = result.measured.detections
            assert np.isfinite(found.flux).all() and (found.flux_err > 0).all() and np.isfinite(found.x).all()
    assert refused > 5


def test_table_of_rows_with_quotes_and_other_separators(tmp_path):
    table = Table.read(rows().splitlines(), format="ascii.csv")
    for name, cut in {"a.tsv": "\t", "b.csv": ";", "c.dat": " "}.items():
        table.write(tmp_path / name, format="ascii.basic" if cut == " " else "ascii.csv", delimiter=cut)
        assert len(take(tmp_path / name).measured.detections) == 20
    table.write(tmp_path / "d.tbl", format="ascii.ipac")
    assert len(take(tmp_path / "d.tbl").measured.detections) == 20


DATA = Path(astropy.io.ascii.tests.__file__).parent / "data"


@pytest.mark.parametrize(
    "name", ["daophot.dat", "daophot2.dat", "daophot3.dat", "daophot4.dat", "sextractor.dat", "sextractor2.dat",
             "sextractor3.dat"]
)  # fmt: skip
def test_tables_of_iraf_and_sextractor_are_read_as_astropy_reads_them(name):
    """Tables that the programs wrote, as astropy's own, slower, readers see them."""
    ours = listfiles.read_list(DATA / name)
    theirs = Table.read(DATA / name, format="ascii.daophot" if "dao" in name else "ascii.sextractor")
    shift = "dao" in name  # their second aperture is NAME2, or NAME_1
    assert len(ours) == len(theirs)
    for label, values in ours.columns.items():
        stem, _, k = label.rstrip("]").partition("[")
        names = (stem, f"{stem}1") if not k else (f"{stem}{int(k) + 1}",) if shift else (f"{stem}_{k}",)
        other = theirs[next(n for n in names if n in theirs.colnames)]
        if values.dtype.kind == "f":
            empty = np.ma.getmaskarray(np.ma.asarray(other))
            np.testing.assert_array_equal(values, np.where(empty, "nan", np.ma.getdata(other)).astype(float))
        else:
            assert [str(v).strip() for v in other] == values.tolist()
