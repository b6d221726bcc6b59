"""Catalogues of variables as their sites export them: VSX, GCVS, Gaia; and tables with other columns."""

import numpy as np
import pytest
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

from photodb.errors import UsageError
from photodb.images.cataloguemap import CatalogueMap
from photodb.images.gcvs import place_of
from photodb.images.objectlists import open_objects

GCVS = (
    "#\n# header\n---\n"
    "010001 |R     And *|002401.95 +383437.3 |M         |  5.8    |  15.2      |   |V |53820.      |     |   409.2"
    "   |38   |S3,5e-S8,8e(M7e) |HIP   00002|           |-0.016 -0.035|2000.0  | |Hip      |M         |R     And |\n"
    "860412 |V0412 Vul  |194512.3  +231415 : |EA        | 13.4    | ( 0.6 )    |   |p |     |     | <  1.52"
    "   |     |                 |           |           |             |        | |         |          |          |\n"
    "880001 |U     Vul  |                    |DCEP      |  6.73   |   7.54     |   |V |44939.58    |     |   7.9"
    "   |     |                 |           |           |             |        | |         |          |          |\n"
)


def objects_of(path, told=None, table=None):
    reader = open_objects(path, told, table)
    return np.concatenate(list(reader.pieces())), reader


def written(path, text):
    path.write_text(text)
    return path


def test_the_text_of_the_gcvs(tmp_path):
    found, reader = objects_of(written(tmp_path / "gcvs5.txt", GCVS))
    assert found["name"].tolist() == ["R And", "V0412 Vul"]
    assert reader.dropped == {"without a position": 1}
    first, second = found
    assert first["ra"] == pytest.approx(6.008125) and first["dec"] == pytest.approx(38.577028, abs=1e-6)
    assert (first["type"], first["period"], first["epoch"], first["mag_band"]) == ("M", 409.2, 2453820.0, "V")
    assert (first["mag_max"], first["mag_min"]) == pytest.approx((5.8, 15.2))
    assert first["aliases"] == ["HIP 00002"] and first["position_error"] == 1.0
    assert second["mag_min"] == pytest.approx(14.0) and second["period"] == pytest.approx(1.52)
    assert second["position_error"] == 30.0 and np.isnan(second["epoch"])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("002401.95+383437.2", (6.008125, 38.577, 1.0)),
        ("235959.99 -003000.5", (359.999958, -0.500139, 1.0)),
        ("1234 56+123456", None),
        ("", None),
        ("120000   +1200", (180.0, 12.008333, 30.0)),
    ],
)
def test_places_without_separators(text, place):
    expected = (np.nan,) * 3 if place is None else place
    np.testing.assert_allclose(place_of(text), expected, atol=1e-5 if place is None or place[2] == 1 else 2.0)


def vsx_table():
    """Return rows as VizieR's B/vsx has them, empty cells masked."""
    return Table({
        "OID": [26543, 37, 99], "n_OID": ["AAVSO", "AAVSO", "AAVSO"], "Name": ["AF Vel", "R And", "NSV 00123"],
        "V": [0, 0, 1], "Type": ["RRAB", "M", ""], "l_max": ["", "", "<"],
        "max": MaskedColumn([10.5, 5.8, 0.0], mask=[0, 0, 1]),
        "n_max": ["V", "V", ""], "f_min": ["", "", "("], "min": MaskedColumn([12.04, 15.2, 0.3], mask=[0, 0, 0]),
        "Epoch": MaskedColumn([2456000.5, 2453820.0, 0], mask=[0, 0, 1]),
        "Period": MaskedColumn([0.527413, 409.2, 0], mask=[0, 0, 1]),
        "RAJ2000": MaskedColumn([163.26008, 6.00812, 1.0], unit="deg"),
        "DEJ2000": MaskedColumn([-49.90639, 38.57703, -2.0], unit="deg"),
    })  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "tsv", "ecsv", "fits", "vot"])
def test_vsx_as_vizier_exports_it(tmp_path, ending):
    path = tmp_path / f"vsx.{ending}"
    if ending == "vot":
        from_table(vsx_table()).to_xml(str(path))
    elif ending == "tsv":
        vsx_table().write(path, format="ascii.tab")
    else:
        vsx_table().write(path)
    found, reader = objects_of(path)
    assert found["name"].tolist() == ["AF Vel", "R And", "NSV 00123"] and not reader.dropped
    assert found["type"].tolist() == ["RRAB", "M", ""]
    np.testing.assert_allclose(found["ra"], [163.26008, 6.00812, 1.0])
    np.testing.assert_allclose(found["period"], [0.527413, 409.2, np.nan])
    np.testing.assert_allclose(found["epoch"], [2456000.5, 2453820.0, np.nan])
    np.testing.assert_allclose(found["mag_min"][:2], [12.04, 15.2], rtol=1e-6)
    assert found["mag_band"].tolist()[:2] == ["V", "V"]


def test_vsx_as_its_own_search_exports_it(tmp_path):
    text = (
        "Name,AUID,Coords,Const.,Type,Period,Mag.\n"
        "AF Vel,000-BBS-123,10 53 02.42 -49 54 23.0,Vel,RRAB,0.527413,10.5 - 12.0 V\n"
        'R And,000-BBB-888,"6.00812,38.57703",And,M,409.2,5.8 - 15.2 V\n'
    )
    found, _ = objects_of(written(tmp_path / "search.csv", text))
    np.testing.assert_allclose(found["ra"], [163.26008, 6.00812], atol=1e-5)
    np.testing.assert_allclose(found["dec"], [-49.90639, 38.57703], atol=1e-5)
    assert found["aliases"][0] == ["000-BBS-123"]


def test_gaia_exports(tmp_path):
    text = (
        "source_id,ra,dec,pmra,pmdec,ref_epoch,pf,p1_o,best_classification,frequency\n"
        "5360400626025377536,163.26,-49.9,0.5,-1.5,2016.0,0.5274,null,RRab,null\n12,10,10,0,0,2016.0,,0.31,RRc,\n"
        "13,11,10,,,2016.0,,,ECL,2.0\n"
    )
    found, reader = objects_of(written(tmp_path / "g.csv", text), CatalogueMap(prefix="Gaia DR3 "))
    assert found["name"].tolist() == ["Gaia DR3 5360400626025377536", "Gaia DR3 12", "Gaia DR3 13"]
    assert found["aliases"][1] == ["12"] and reader.placer.epoch == 2016.0
    np.testing.assert_allclose(found["period"], [0.5274, 0.31, 0.5])


def test_what_is_no_catalogue_of_objects_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"no column of names; .*say --column name=NAME"):
        objects_of(written(tmp_path / "a.csv", "n,ra,dec\nx,1,2\n"))
    assert (
        objects_of(written(tmp_path / "a.csv", "n,ra,dec\nx,1,2\n"), CatalogueMap({"name": "n"}))[0]["name"][
            0
        ]
        == "x"
    )
    with pytest.raises(UsageError, match="no role colour"):
        objects_of(tmp_path / "a.csv", CatalogueMap({"colour": "n"}))
    with pytest.raises(
        UsageError, match="none of its 2 rows is an object: 1 without a position, 1 without a name"
    ):
        objects_of(written(tmp_path / "b.csv", "name,ra,dec\n,1,2\nx,,\n"))
    found, reader = objects_of(written(tmp_path / "c.csv", "name,ra,dec\nx,1,2\nx,3,4\n"))
    assert len(found) == 1 and reader.dropped == {"id there already": 1}


def test_the_lyrae_of_stripe_82(data_dir):
    found, _ = objects_of(data_dir("sesar_rrlyr/table3.dat.gz"))
    assert len(found) == 483 and found["name"][0] == "4099"
