"""The fused pass against its plain float64 twin, and what is judged on raw counts."""

import numpy as np
import pytest
from astropy.io import fits

from photodb.errors import FrameError
from photodb.images.cards import read_exposure
from photodb.images.fits import RawFrame
from photodb.images.headers import CameraDescription
from photodb.images.reduce import (
    NONE_32,
    NONE_BOOL,
    Planes,
    ReducedFrame,
    apply_planes,
    overscan_level,
    reduce_frame,
)

D = CameraDescription("t", "c", {"X": "1"})


def exposure(d=D, **cards):
    header = fits.Header({"DATE-OBS": "2024-01-01T00:00:00", "EXPTIME": 10.0, "FILTER": "V", **cards})
    return header, read_exposure(header, d)


def raw_frame(data, header):
    return RawFrame(data, header, 0, "")


def counts(rng, dtype, shape=(90, 120)):
    values = rng.integers(500, 60000, shape)
    values[3, 4], values[5, 6], values[7, 8] = 65535, 65534, 0
    made = values.astype(dtype)
    if made.dtype.kind == "f":
        made[20, 30], made[40, 50], made[60, 70] = np.nan, np.inf, -np.inf
    return made


def plain(raw, offset, saturation, planes):
    """Do it in float64, one step after the other."""
    finite = np.isfinite(raw)
    data = np.where(finite, raw, 0).astype(float) - offset
    bad = ~finite | (np.where(finite, raw, 0).astype(float) >= saturation)
    if planes.subtract.size:
        data = data - planes.subtract
    if planes.multiply.size:
        data = data * planes.multiply
    if planes.bad.size:
        bad |= planes.bad
    return np.where(finite, data, 0), bad


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("parts", ["", "s", "m", "sm", "smb", "b"])
@pytest.mark.parametrize("saturation", [np.inf, 50000.0, 49999.5, 65535.0, 70000.0])
def test_the_fused_pass_equals_the_plain_one(dtype, parts, saturation):
    rng = np.random.default_rng(5)
    whole = counts(rng, dtype)
    raw = whole[4:80, 3:110]  # a section: rows are not adjacent
    planes = Planes(
        rng.normal(100, 20, raw.shape).astype(np.float32) if "s" in parts else NONE_32,
        rng.uniform(0.5, 2, raw.shape).astype(np.float32) if "m" in parts else NONE_32,
        rng.random(raw.shape) < 0.01 if "b" in parts else NONE_BOOL,
    )
    data, bad = apply_planes(raw, 321.25, saturation, planes)
    expected, broken = plain(raw, 321.25, saturation, planes)
    np.testing.assert_array_equal(bad, broken)
    here = ~planes.bad if planes.bad.size else np.ones(raw.shape, bool)
    np.testing.assert_allclose(data[here], expected[here], rtol=3e-7, atol=0.02)
    assert data.dtype == np.float32 and np.isfinite(data).all()


def test_masked_pixels_get_their_neighbours_median_and_saturated_ones_keep_their_counts():
    raw = np.full((60, 60), 1000, np.uint16)
    raw[30, 30], raw[10, 10] = 9000, 65535
    masked = np.zeros(raw.shape, bool)
    masked[30, 30] = masked[10, 10] = True
    data, bad = apply_planes(raw, 0.0, 60000.0, Planes(NONE_32, NONE_32, masked))
    assert data[30, 30] == 1000 and data[10, 10] == 65535 and bad.sum() == 2


def test_saturation_is_judged_on_raw_counts_and_65535_reads_65535():
    header, told = exposure(SATURATE=65535)
    d = CameraDescription.from_dict({**D.to_dict(), "header": {"saturation": "SATURATE"}})
    told = read_exposure(header, d)
    raw = np.full((60, 60), 2000, np.uint16)
    raw[5, 5], raw[6, 6] = 65535, 65534
    flat = np.full(raw.shape, 0.5, np.float32)
    reduced = reduce_frame(raw_frame(raw, header), d, told, Planes(NONE_32, flat, NONE_BOOL))
    assert reduced.raw[5, 5] == 65535 and reduced.bad[5, 5] and reduced.bad.sum() == 1
    assert reduced.data[6, 6] == np.float32(65534 * 0.5)
    unflattened = reduce_frame(raw_frame(raw, header), d, told)
    assert unflattened.data[5, 5] == 65535.0


def test_masters_of_another_size_are_refused_with_both_sizes():
    header, told = exposure()
    with pytest.raises(FrameError, match=r"60x70 pixels, its masters 50x40") as caught:
        reduce_frame(
            raw_frame(np.ones((70, 60), np.uint16), header), D, told,
            Planes(np.zeros((40, 50), np.float32), NONE_32, NONE_BOOL),
        )  # fmt: skip
    assert caught.value.code == "master_size"


def test_the_overscan_is_finer_than_whole_counts_and_blind_to_cosmic_rays():
    rng = np.random.default_rng(3)
    off = []
    for level in rng.uniform(1000, 1001, 20):
        counts = np.round(rng.normal(level, 2.0, (500, 20))).astype(np.uint16)
        counts[17, 3] = 40000
        off.append(overscan_level(counts) - level)
    assert np.abs(off).max() < 0.1  # 4.5 sigma of the mean of 10,000; a median would be off by up to 0.5


def test_the_grain_is_the_step_of_whole_counts():
    def of(raw):
        return ReducedFrame(raw, np.zeros(raw.shape, np.float32), raw < 0, np.inf, np.inf, 0, 0).grain

    counts = np.arange(50 * 60, dtype=np.uint16).reshape(50, 60)
    holes = counts.astype(np.float32)
    holes[:3] = np.nan
    assert (of(counts), of(holes), of(counts * np.float32(0.37)), of(holes[:3])) == (1.0, 1.0, 0.0, 0.0)
