"""Reference catalogues: what is read as a position, and what is refused with words."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from photodb.errors import UsageError
from photodb.images.catalogs import SeenNames, open_catalogue, read_catalogue
from photodb.images.cataloguemap import BandColumns, CatalogueMap, load_map


def written(path, text: str):
    path.write_text(text)
    return path


def test_sexagesimal_positions_are_hours_and_degrees(tmp_path):
    text = "id,ra,dec\n1,02:04:10.248,-46:41:16.08\n2,31d02m33.72s,-0 30 00\n3,31.0427,46.5\n4,--,1\n"
    read = read_catalogue(written(tmp_path / "a.csv", text))
    np.testing.assert_allclose(read.stars["ra"], 31.0427, atol=1e-6)
    np.testing.assert_allclose(read.stars["dec"], [-46.6878, -0.5, 46.5], atol=1e-6)
    assert read.n_dropped == 1


def test_the_unit_of_a_column_counts(tmp_path):
    table = Table({"ra": np.radians([31.0, 32.0]), "dec": [1.0, 2.0]}, units={"ra": "rad", "dec": "deg"})
    table.write(tmp_path / "a.ecsv")
    np.testing.assert_allclose(read_catalogue(tmp_path / "a.ecsv").stars["ra"], [31.0, 32.0])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("empty.csv", "", "the file is empty"),
        ("prose.txt", "Dear reader,\nthis is: no 'table\nat all; really\n\n\n", "prose.txt"),
        ("prose.md", "Dear reader,\nthis is no table.\n", "cannot be read as a table"),
        ("broken.xml", "<VOTABLE><RESOURCE>", "cannot be read as a table"),
        ("broken.fits", "SIMPLE  =                    T", "cannot be read as a table"),
        ("words.csv", "id,ra,dec\n1,north,south\n", "column ra holds no angles: 'north'"),
        ("none.csv", "id,ra,dec\n", "none of its 0 rows"),
        ("columns.csv", "id,x,y\n1,2,3\n", "no column for ra"),
        (
            "old.csv",
            "id,RAB1950,DEB1950\n1,2,3\n",
            "--column ra=NAME and, of another equinox, --frame fk4:B1950",
        ),
        ("yaml.ecsv", "# %ECSV 1.0\n# ---\n# : [\nra dec\n1 2\n", "cannot be read as a table"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_words(tmp_path, name, text, told):
    with pytest.raises(UsageError) as error:
        read_catalogue(written(tmp_path / name, text))
    assert told in str(error.value)


def test_paths_that_are_no_files_and_roles_that_there_are_not(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_catalogue(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="a folder"):
        read_catalogue(tmp_path)
    path = written(tmp_path / "a.csv", "id,ra,dec\n1,2,3\n")
    with pytest.raises(UsageError, match=r"no role rectascension .*; known are id, ra, dec, pm_ra, pm_dec"):
        read_catalogue(path, {"rectascension": "ra"})


def stars_of(path, told=None, table=None):
    reader = open_catalogue(path, told, table)
    return np.concatenate(list(reader.pieces())), reader


@pytest.mark.parametrize(
    "ending", [".csv", ".csv.gz", ".ecsv", ".ecsv.gz", ".fits", ".fits.gz", ".vot", ".vot.gz"]
)
def test_every_format_and_unit_gives_the_same_stars(tmp_path, ending):
    table = Table({
        "id": ["a", "b", "c"], "coord_ra": np.radians([359.5, 10.25, 20.0]), "coord_dec": np.radians([-1.5, 0.0, 89.0]),
        "pmra": [1.5, 0.0, -2.0], "pmdec": [0.25, 0.0, 1.0], "g_flux": [3631e9, 36.31e9, -1.0],
        "g_fluxErr": [36e9, 1e9, 1.0],
    })  # fmt: skip
    units = {
        "coord_ra": "rad",
        "coord_dec": "rad",
        "pmra": "arcsec/yr",
        "pmdec": "arcsec/yr",
        "g_flux": "nJy",
    }
    table["coord_ra"].unit = table["coord_dec"].unit = "rad"
    table["pmra"].unit = table["pmdec"].unit = "arcsec / yr"
    table["g_flux"].unit = table["g_fluxErr"].unit = "nJy"
    path = tmp_path / f"a{ending}"
    plain = tmp_path / f"a{ending.removesuffix('.gz')}"
    table.write(plain, **({"format": "votable"} if "vot" in ending else {}))
    if ending.endswith(".gz"):
        path.write_bytes(gzip.compress(plain.read_bytes()))
    told = None
    if "csv" in ending and "ecsv" not in ending:  # nothing in such a file tells units
        roles = {
            "ra": units["coord_ra"],
            "dec": units["coord_dec"],
            "pm_ra": "arcsec/yr",
            "pm_dec": "arcsec/yr",
        }
        band = BandColumns("g", "g_flux", "g_fluxErr", "flux", unit="nJy")
        told = CatalogueMap(units=roles, bands=(band,))
    stars, reader = stars_of(path, told)
    assert [b.name for b in reader.bands] == ["g"] and reader.bands[0].kind == "flux"
    assert stars["name"].tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(stars["ra"], [359.5, 10.25, 20.0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(stars["pm_ra"], [1500, 0, -2000])
    np.testing.assert_allclose(stars["mag"][:, 0], [0.0, 5.0, np.nan], atol=1e-4)
    np.testing.assert_allclose(stars["mag_err"][:2, 0], 1.0857 * np.array([36 / 3631, 1 / 36.31]), rtol=1e-4)


def test_a_table_of_several_is_chosen(tmp_path):
    one, two = Table({"ra": [1.0], "dec": [2.0]}), Table({"RAJ2000": [3.0], "DEJ2000": [4.0]})
    note = Table({"remark": ["none of use"]})
    hdus = [fits.PrimaryHDU(), *(fits.table_to_hdu(t) for t in (note, one, two))]
    hdus[3].name = "SECOND"
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    with pytest.raises(UsageError, match=r"several tables; choose one with --table: .*2  \(ra, dec"):
        stars_of(tmp_path / "a.fits")
    assert stars_of(tmp_path / "a.fits", table=2)[0]["ra"] == 1.0
    assert stars_of(tmp_path / "a.fits", table="second")[0]["ra"] == 3.0
    with pytest.raises(UsageError, match="no table 7; tables are 1"):
        stars_of(tmp_path / "a.fits", table="7")
    fits.HDUList(hdus[:3]).writeto(tmp_path / "b.fits")
    assert stars_of(tmp_path / "b.fits")[0]["ra"] == 1.0


def test_bad_rows_are_counted_by_reason(tmp_path):
    text = (
        "id,ra,dec,V,V_err\na,10,20,12.0,0.1\nb,nan,20,12,0.1\nc,10,90.5,12,0.1\nd,400,1,12,0.1\na,11,20,12,0.1\n"
        "e,12,20,99.99,0.1\nf,1\ng,,,,\nh,13,20,11,-9\ni,14,20,x,0.1\n"
    )
    stars, reader = stars_of(written(tmp_path / "a.csv", text))
    assert stars["name"].tolist() == ["a", "e", "h", "i"]
    assert reader.dropped == {
        "without a position": 2, "declination beyond a pole": 1, "right ascension out of range": 1,
        "id there already": 1, "with another number of columns": 1,
    }  # fmt: skip
    assert reader.absurd == {"V": 1}
    np.testing.assert_array_equal(np.isnan(stars["mag"][:, 0]), [False, True, False, True])
    np.testing.assert_array_equal(np.isnan(stars["mag_err"][:, 0]), [False, True, True, True])


def test_ids_seen_in_an_earlier_piece_are_told():
    seen, rng = SeenNames(), np.random.default_rng(5)
    first = np.array([f"s{k}" for k in rng.integers(0, 40_000, 20_000)], object)
    told = np.concatenate([seen.first_times(part) for part in np.array_split(first, 7)])
    expected = np.zeros(len(first), bool)
    expected[np.unique(first, return_index=True)[1]] = True
    np.testing.assert_array_equal(told, expected)


@pytest.mark.parametrize("unit", ["", "hour", "deg"])
def test_hours_are_asked_for_never_guessed(tmp_path, unit):
    rng = np.random.default_rng(11)
    ra, dec = rng.uniform(0, 24, 50), np.degrees(np.arcsin(rng.uniform(-1, 1, 50)))
    Table({"ra": ra, "dec": dec}).write(tmp_path / "a.csv")
    told = CatalogueMap(units={"ra": unit} if unit else {})
    if not unit:
        with pytest.raises(UsageError, match="hours or degrees"):
            stars_of(tmp_path / "a.csv", told)
        return
    np.testing.assert_allclose(
        stars_of(tmp_path / "a.csv", told)[0]["ra"], ra * (15 if unit == "hour" else 1)
    )


def test_small_fields_below_24_degrees_are_no_hours(tmp_path):
    rng = np.random.default_rng(12)
    for k in range(20):
        dec = rng.uniform(-80, 80)
        ra0 = rng.uniform(0, 20)
        ra = ra0 + rng.uniform(0, 1, 40) / np.cos(np.radians(dec)) * 0.5
        if ra.max() > 24:
            continue
        Table({"ra": ra, "dec": dec + rng.uniform(0, 0.5, 40)}).write(tmp_path / f"{k}.csv")
        assert len(stars_of(tmp_path / f"{k}.csv")[0]) == 40
        Table({"ra": ra / 15, "dec": dec + rng.uniform(0, 0.5, 40)}).write(tmp_path / f"h{k}.csv")
        with pytest.raises(UsageError, match="hours or degrees"):
            stars_of(tmp_path / f"h{k}.csv")


def test_gaia_exports_tell_bands_errors_and_epoch(tmp_path):
    text = (
        "source_id,ref_epoch,ra,ra_error,dec,dec_error,parallax,parallax_error,pmra,pmdec,phot_g_mean_mag,"
        "phot_g_mean_flux_over_error\n4295806720,2016.0,44.996,0.1,0.005,0.1,0.3,0.1,11.9,-4.0,17.6,1085.7\n"
    )
    stars, reader = stars_of(written(tmp_path / "gaia.csv", text), CatalogueMap(prefix="Gaia DR3 "))
    assert [(b.name, b.system) for b in reader.bands] == [("G", "Vega")]
    assert stars["name"][0] == "Gaia DR3 4295806720" and reader.placer.epoch == 2016.0
    assert stars["mag_err"][0, 0] == pytest.approx(0.001, rel=1e-3)
    assert reader.placer.position_error() == pytest.approx(1e-4)


def test_epochs_of_single_stars_are_brought_to_one(tmp_path):
    text = "id,ra,dec,pmra,pmdec,ref_epoch\na,10,60,1000,-500,2016\nb,10,60,1000,-500,2015\nc,10,60,,,2000\n"
    stars, reader = stars_of(written(tmp_path / "a.csv", text))
    assert reader.placer.epoch == 2015.0
    moved = (stars["ra"] - 10) * np.cos(np.radians(60)) * 3600, (stars["dec"] - 60) * 3600
    np.testing.assert_allclose(moved, [[-1, 0, 0], [0.5, 0, 0]], atol=1e-4)


def test_vizier_tables_have_a_line_of_units_and_one_of_dashes(tmp_path):
    text = (
        '#Column RAJ2000\n#\nHIP\tRAJ2000\tDEJ2000\tpmRA\tVmag\te_Vmag\n \t"h:m:s"\t"d:m:s"\tmas/yr\tmag\tmag\n'
        "---\t---\t---\t---\t---\t---\n1\t00 00 00.22\t+01 05 20.4\t-5.20\t9.10\t0.01\n"
    )
    stars, reader = stars_of(written(tmp_path / "hip.tsv", text))
    assert stars["ra"][0] == pytest.approx(0.22 / 240) and stars["dec"][0] == pytest.approx(1.089)
    assert [b.column for b in reader.bands] == ["Vmag"] and stars["pm_ra"][0] == pytest.approx(-5.2)


def test_a_map_of_toml(tmp_path):
    (tmp_path / "m.toml").write_text("""
        columns = { id = "n", ra = "x", dec = "y" }
        units = { ra = "hour" }
        catalogue = { epoch = 1991.25, position_error = 0.3 }
        bands.g = { flux = "f", flux_err = "ef", unit = "nanomaggies" }
        bands.V = { mag = "v", system = "Vega" }
        """)
    told = load_map(tmp_path / "m.toml")
    stars, reader = stars_of(written(tmp_path / "a.csv", "n,x,y,f,ef,v\n7,2,5,1.0,0.01,12.5\n"), told)
    assert stars["ra"][0] == pytest.approx(30) and stars["mag"][0].tolist() == pytest.approx(
        [22.5, 12.5], abs=1e-3
    )
    assert [b.system for b in reader.bands] == ["AB", "Vega"] and reader.placer.epoch == 1991.25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[columns]\nalpha='x'", r"\[columns\]: unknown alpha; known are dec, epoch, id"),
        ("[bands.g]\nmag='g'\nflux='f'", "one of mag, flux"),
        ("[bands.g]\nflux='f'\nmag_err='f'", "mag_err does not belong to flux"),
        ("[bands.g]\nflux='f'\nunit='parsec'", "no column 'f' for band g"),
        ("[bands.g]\nflux='dec'\nunit='parsec'", "the flux dec is in parsec"),
        ("[catalogue]\nepoch='old'", "'old' is no number"),
        ("[columns", "m.toml"),
        ("[units]\nra='kg'", "column ra is in 'kg'"),
        ("[catalogue]\nframe='moon'", "no coordinate frame 'moon'; known are icrs"),
    ],
)
def test_wrong_maps_are_told(tmp_path, text, words):
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        stars_of(written(tmp_path / "a.csv", "id,ra,dec\n1,2,3\n"), load_map(tmp_path / "m.toml"))


def test_near_names_are_told(tmp_path):
    path = written(tmp_path / "a.csv", "id,ra,dec,Vmagn\n1,2,3,4\n")
    with pytest.raises(UsageError, match="no column Vmag; did you mean Vmagn"):
        read_catalogue(path, bands=["Vmag"])
    with pytest.raises(UsageError, match="more than one column is named ra"):
        read_catalogue(written(tmp_path / "b.csv", "id,ra,ra,dec\n1,2,3,4\n"))


def test_the_surveys_tables(data_dir):
    shard, reader = stars_of(data_dir("sdss_s82/refcat/188488.fits"))
    whole, _ = stars_of(data_dir("sdss_s82/stars.fits"))
    assert [b.name for b in reader.bands] == list("ugriz") and len(shard) == 753 and len(whole) == 28196
    tree = {(round(a, 5), round(d, 5)): m for a, d, m in zip(whole["ra"] % 360, whole["dec"], whole["mag"])}
    both = [
        (tree[k], m)
        for a, d, m in zip(shard["ra"], shard["dec"], shard["mag"])
        if (k := (round(a, 5), round(d, 5))) in tree
    ]
    difference = np.array([np.subtract(*pair) for pair in both])
    assert len(both) > 400 and np.nanmedian(np.abs(difference)) < 1e-3
    lyrae, _ = stars_of(data_dir("sesar_rrlyr/table3.dat.gz"))
    assert len(lyrae) == 483 and lyrae["name"][0] == "4099"
