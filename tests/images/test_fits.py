"""Reading frames: the same bits however packed, and a reason for everything that is not a frame."""

import gzip
import shutil
from pathlib import Path

import astropy.io.fits.tests
import numpy as np
import pytest
from astropy.io import fits

from photodb.errors import FrameError
from photodb.images.fits import read_frame

from .sky_frames import write_frame

ODD = Path(astropy.io.fits.tests.__file__).parent / "data"


@pytest.fixture
def frame(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 65536, (120, 150))
    counts[5, 7], counts[6, 8] = 65535, 0
    return write_frame(tmp_path / "plain.fits", counts), counts


def test_plain_gzip_and_rice_give_the_same_bits_and_identity(frame, tmp_path):
    path, counts = frame
    packed = tmp_path / "packed.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with fits.open(path) as hdus:
        rice = tmp_path / "rice.fits.fz"
        fits.HDUList(
            [fits.PrimaryHDU(), fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="RICE_1")]
        ).writeto(rice)
    read = [read_frame(p) for p in (path, packed, rice, shutil.copy(path, tmp_path / "renamed.fits"))]
    for one in read:
        assert one.data.dtype == np.uint16
        assert (one.data == counts).all()
    assert len({one.data_hash for one in read}) == 1
    assert [one.hdu for one in read] == [0, 0, 1, 0]


def test_another_time_is_another_frame(tmp_path):
    counts = np.arange(120 * 150).reshape(120, 150)
    a = read_frame(write_frame(tmp_path / "a.fits", counts))
    b = read_frame(write_frame(tmp_path / "b.fits", counts, **{"DATE-OBS": "2024-03-01T22:11:00.5"}))
    assert a.data_hash != b.data_hash


def test_the_science_image_is_found_among_masks(tmp_path):
    rng = np.random.default_rng(1)
    mask, image = np.ones((80, 90), np.uint8), rng.normal(100, 5, (80, 90)).astype(np.float32)
    path = tmp_path / "many.fits"
    fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(mask, name="BPM"), fits.ImageHDU(image, name="SCI")]
    ).writeto(path)
    read = read_frame(path)
    assert read.hdu == 2 and (read.data == image).all()


def damaged(path, kind):
    raw = bytearray(path.read_bytes())
    if kind == "cut":
        raw = raw[: len(raw) // 2]
    elif kind == "empty":
        raw = bytearray()
    elif kind == "text":
        raw = bytearray(b"this is no picture\n" * 100)
    elif kind == "zeros at the end":
        raw[len(raw) // 2 :] = b"\x80\x00" * ((len(raw) - len(raw) // 2) // 2)
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize(
    ("kind", "code"),
    [("cut", "truncated"), ("empty", "empty"), ("text", "not_fits"), ("zeros at the end", "truncated")],
)
def test_damage_has_a_code(tmp_path, kind, code):
    counts = np.random.default_rng(2).integers(200, 400, (120, 150)) + 32768 - 32768
    path = write_frame(tmp_path / "x.fits", counts)
    if kind == "zeros at the end":
        counts[60:] = 0
        path = write_frame(tmp_path / "x.fits", counts)
    else:
        damaged(path, kind)
    with pytest.raises(FrameError) as error:
        read_frame(path)
    assert error.value.code == code


def test_flipped_bytes_are_told_by_the_checksum_unless_it_is_known_stale(tmp_path):
    path = write_frame(tmp_path / "x.fits", np.random.default_rng(3).integers(200, 400, (120, 150)))
    with fits.open(path, mode="update", checksum=True) as hdus:
        hdus[0].add_checksum()
    raw = bytearray(path.read_bytes())
    raw[-20000] ^= 0x40
    path.write_bytes(bytes(raw))
    with pytest.raises(FrameError, match=r"[Cc]hecksum|[Dd]atasum"):
        read_frame(path)
    assert read_frame(path, verify=False).data.shape == (120, 150)


def test_a_constant_frame_is_refused(tmp_path):
    with pytest.raises(FrameError, match="every pixel is 7"):
        read_frame(write_frame(tmp_path / "x.fits", np.full((100, 100), 7)))


@pytest.mark.parametrize("path", sorted(ODD.rglob("*.fits*")), ids=lambda p: p.name)
def test_astropys_odd_files_are_read_or_refused_with_a_reason(path):
    try:
        assert min(read_frame(path).data.shape) >= 48
    except FrameError as error:
        assert error.code and str(error)
