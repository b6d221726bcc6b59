"""Corrections of catalogues from files."""

import pytest

from photodb.core.correction import Correction
from photodb.errors import UsageError
from photodb.images.correctionfile import load_correction


def test_a_file_and_what_is_none(tmp_path):
    file = tmp_path / "correction.toml"
    file.write_text("ra_arcsec = 0.05\n[plane]\nra = 10\ndec = -5\nradius = 1\neast = [0.1]\nnorth = [0]\n")
    made = load_correction(file)
    assert made.ra_arcsec == 0.05 and made.plane is not None and made.plane.north == (0.0,)
    assert Correction.from_dict(made.to_dict()) == made
    for text in ("ra_arcsec = ", "shift = 1", "\x00"):
        file.write_text(text)
        with pytest.raises(UsageError, match=r"correction\.toml: "):
            load_correction(file)
    with pytest.raises(UsageError, match=r"nothing\.toml"):
        load_correction(tmp_path / "nothing.toml")
