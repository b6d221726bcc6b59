"""Reference catalogues: what is read as a position, and what is refused with words."""

import numpy as np
import pytest
from astropy.table import Table

from photodb.errors import UsageError
from photodb.images.catalogs import read_catalogue


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
