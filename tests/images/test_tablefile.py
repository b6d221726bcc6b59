"""Tables on disk: what damage does to them is told in words, whatever the format."""

import gzip

import numpy as np
import pytest
from astropy.table import Table

from photodb.errors import UsageError
from photodb.images import tabletext
from photodb.images.catalogs import open_catalogue
from photodb.images.objectlists import open_objects
from photodb.images.tablefile import open_table


def whole(ending: str, path) -> bytes:
    """Return the bytes of a small catalogue in a format."""
    rng = np.random.default_rng(1)
    table = Table({"name": [f"AB Cyg {k}" for k in range(40)], "ra": rng.uniform(100, 101, 40),
                   "dec": rng.uniform(1, 2, 40),
                   "V": rng.uniform(8, 12, 40), "V_err": np.full(40, 0.1)})  # fmt: skip
    made = path / f"whole.{ending.removesuffix('.gz')}"
    table.write(made, overwrite=True, **({"format": "votable"} if "vot" in ending else {}))
    return gzip.compress(made.read_bytes(), mtime=0) if ending.endswith(".gz") else made.read_bytes()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "ecsv", "fits", "fits.gz", "vot", "vot.gz"])
def test_damage_is_told_in_words(tmp_path, ending):
    """Cut short, bytes flipped, a stretch overwritten: read, or refused by a UsageError; never anything else."""
    good, rng = whole(ending, tmp_path), np.random.default_rng(7)
    path = tmp_path / f"a.{ending}"
    refused = 0
    for k in range(45):
        damaged = bytearray(good)
        at = int(rng.integers(0, len(good)))
        if k % 3 == 0:
            del damaged[at:]
        elif k % 3 == 1:
            for i in rng.integers(0, len(good), 5):
                damaged[i] ^= int(rng.integers(1, 256))
        else:
            damaged[at : at + 30] = bytes(rng.integers(0, 256, 30, dtype=np.uint8))
        path.write_bytes(bytes(damaged))
        for reader in (open_catalogue, open_objects):
            try:
                for _ in reader(path).pieces():
                    pass
            except UsageError:
                refused += 1
    assert refused > 0


def test_pieces_are_of_the_wanted_columns_and_hold_every_row(tmp_path, monkeypatch):
    monkeypatch.setattr(tabletext, "PIECE", 9)
    path = tmp_path / "a.csv"
    path.write_bytes(whole("csv", tmp_path))
    pieces = list(open_table(path).pieces(["dec", "name"]))
    assert [set(piece) for piece in pieces] == [{"dec", "name"}] * 5
    assert np.concatenate([piece["name"] for piece in pieces]).tolist() == [f"AB Cyg {k}" for k in range(40)]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b;c\n1;2;3\n", ("a", "b", "c")),
        ("#  a b   c\n1  2 3\n", ("a", "b", "c")),
        ("# a remark\na b\n1 2\n", ("a", "b")),
        ("\ufeffa,b\n1,2\n", ("a", "b")),
        ('"a, x",b\n"1",2\n', ("a, x", "b")),
        ("a|b\r\n1|2\r\n", ("a", "b")),
    ],
)
def test_layouts_of_text(tmp_path, text, columns):
    (tmp_path / "a.txt").write_bytes(text.encode())
    table = open_table(tmp_path / "a.txt")
    assert table.columns == columns
    (piece,) = table.pieces(columns)
    assert [piece[name].tolist() for name in columns] == [[str(k + 1)] for k in range(len(columns))]
