"""Combining calibration frames: truth within the noise, outliers out, and a reason for what makes no master."""

import numpy as np
import pytest

from photodb.errors import FrameError, MasterError
from photodb.images.masterfile import Correction, from_bytes, load_planes, pixel_hash, to_bytes
from photodb.images.masters import MasterPixels, PlaneStats, combine, plane_variances, refuse_plane

SHAPE = (180, 220)


def planes(rng, n, level=0.0, noise=5.0, pattern=0.0):
    return [(level + pattern + rng.normal(0, noise, SHAPE)).astype(np.float32) for _ in range(n)]


@pytest.mark.parametrize("n", [2, 3, 4, 9])
def test_a_bias_is_the_pattern_within_the_noise_that_it_states(n):
    rng = np.random.default_rng(n)
    pattern = 20 * np.sin(np.arange(SHAPE[1]) / 30) + 0.1 * np.arange(SHAPE[0])[:, None]
    made = combine("bias", planes(rng, n, pattern=pattern))
    off = made.data - pattern
    assert off.std() == pytest.approx(5 / np.sqrt(n), rel=0.03)
    assert made.noise == pytest.approx(5 / np.sqrt(n), rel=0.05)
    assert abs(off.mean()) < 4 * 5 / np.sqrt(n * off.size)
    assert made.clipped < 2e-3 and made.bad.sum() == 0
    assert ("made of 2 frames" in made.remark) == (n == 2)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_cosmic_rays_are_left_out_also_of_two(n):
    rng = np.random.default_rng(10 + n)
    made_of = planes(rng, n, level=300.0)
    spots = [(20 + 10 * k, 30 + 15 * k) for k in range(n)]
    for plane, (y, x) in zip(made_of, spots):
        plane[y, x : x + 4] += 2000
    made = combine("dark", made_of)
    for y, x in spots:
        assert np.abs(made.data[y, x : x + 4] - 300).max() < 5 * 5.0
    assert not made.bad.any()
    assert n * 4 / (n * made.data.size) <= made.clipped < 2e-3


def test_variances_are_told_apart_frame_by_frame():
    rng = np.random.default_rng(4)
    sigma = np.array([2.0, 3.0, 8.0, 4.0])
    found = np.sqrt(plane_variances([rng.normal(0, s, (300, 300)) for s in sigma]))
    np.testing.assert_allclose(found, sigma, rtol=0.06)
    assert np.sqrt(plane_variances([rng.normal(0, 3, (300, 300)) for _ in range(2)])) == pytest.approx(
        [3, 3], rel=0.02
    )


def test_flats_of_a_fading_sky_are_scaled_and_weighted_and_their_stars_left_out():
    rng = np.random.default_rng(6)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = 1 - 0.5 * (((x - 110) / 220) ** 2 + ((y - 90) / 180) ** 2)
    truth *= rng.normal(1, 0.01, SHAPE)
    truth[50, 60], truth[90, 100] = 0.0, 0.2 * truth[90, 100]
    truth /= np.median(truth)
    levels = [40000.0, 22000.0, 9000.0]
    frames = [rng.poisson(truth * level).astype(np.float32) for level in levels]
    for k, frame in enumerate(frames):
        frame[100 : 100 + 5, 20 + 30 * k : 25 + 30 * k] += 8000
    made = combine("flat", frames, ["V"] * 3)
    good = ~made.bad
    assert made.bad[50, 60] and made.bad[90, 100] and made.bad.sum() == 2
    off = made.data[good] / truth[good] - 1
    assert 1.4826 * np.median(np.abs(off)) == pytest.approx(1 / np.sqrt(sum(levels)), rel=0.1)
    assert made.noise == pytest.approx(1 / np.sqrt(sum(levels)), rel=0.1)
    assert np.abs(made.data[100:105, 20:85] / truth[100:105, 20:85] - 1).max() < 0.06
    assert np.median(made.data[good]) == pytest.approx(1.0, abs=1e-4)


def test_in_the_flat_of_a_mosaic_each_colour_has_the_median_one():
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = 1 - 0.4 * ((x - 110) / 220) ** 2 - 0.3 * ((y - 90) / 180) ** 2
    colour = np.tile([[0.4, 1.0], [1.0, 0.6]], (SHAPE[0] // 2, SHAPE[1] // 2))
    frames = []
    for level, red in ((40000, 1.0), (30000, 1.2), (20000, 1.5)):  # the sky reddens as it fades
        light = colour.copy()
        light[::2, ::2] *= red
        frames.append(rng.poisson(level * light * truth).astype(np.float32))
    made = combine("flat", frames, mosaic=True)
    assert not made.bad.any() and made.clipped < 2e-3
    for part in ((slice(a, None, 2), slice(b, None, 2)) for a in (0, 1) for b in (0, 1)):
        ratio = made.data[part] / (truth[part] / np.median(truth[part]))
        assert np.median(ratio) == pytest.approx(1.0, abs=5e-4) and ratio.std() < 0.007


def test_hot_pixels_are_masked_and_a_varying_level_is_not():
    rng = np.random.default_rng(8)
    slope = np.linspace(0, 200, SHAPE[1])[None, :]
    made_of = planes(rng, 4, pattern=slope)
    for plane in made_of:
        plane[40, 50], plane[41, 90] = 4000, slope[0, 90] + 40
    made = combine("dark", made_of)
    assert made.bad[40, 50] and made.bad.sum() == 1  # what is 8 sigma up is warm: it can be taken off
    assert made.data[41, 90] - slope[0, 90] == pytest.approx(40, abs=15)


def flat_with_zeros(rng):
    frame = rng.poisson(20000, SHAPE).astype(np.float32)
    frame[:80] = 0
    return frame


@pytest.mark.parametrize(
    ("kind", "made_of", "bands", "told"),
    [
        ("bias", lambda rng: planes(rng, 1), None, r"1 bias frame, 2 needed"),
        ("flat", lambda rng: [], None, r"0 flat frames, 2 needed"),
        ("dark", lambda rng: [*planes(rng, 2), planes(rng, 1)[0][:100]], None, r"2 sizes, 220x100, 220x180"),
        ("flat", lambda rng: planes(rng, 2, 9000), ["V", "R"], r"bands R, V: a flat is made of one band"),
        ("flat", lambda rng: planes(rng, 2, -3), None, r"median -3 ADU without its bias"),
        (
            "flat",
            lambda rng: [flat_with_zeros(rng) for _ in range(3)],
            None,
            r"44% of the flat's pixels are zero or without response, at most 20%",
        ),
        ("flat", lambda rng: planes(rng, 2, 50.0), None, r"noise is \d.\d% a pixel, at most 5%"),
    ],
)
def test_what_makes_no_master_is_told_with_value_and_limit(kind, made_of, bands, told):
    with pytest.raises(MasterError, match=told):
        combine(kind, made_of(np.random.default_rng(1)), bands)


@pytest.mark.parametrize(
    ("kind", "stats", "told"),
    [
        ("flat", PlaneStats(SHAPE, 30000, 0.03, 0.0), "3.0% of its pixels are saturated, at most 1%"),
        ("bias", PlaneStats(SHAPE, 0, 0.5, 0.0), "50.0% of its pixels are saturated"),
        ("flat", PlaneStats(SHAPE, 30000, 0.0, 0.11), "11.0% of its pixels are 0 or less"),
        (
            "flat",
            PlaneStats(SHAPE, 52000, 0.0, 0.0),
            "its level of 52000 counts is above the linear limit of 50000",
        ),
        ("dark", PlaneStats(SHAPE, 0, 0.0, 0.5), ""),
        ("flat", PlaneStats(SHAPE, 30000, 0.001, 0.001), ""),
    ],
)
def test_single_frames_are_refused_with_value_and_limit(kind, stats, told):
    why = refuse_plane(kind, stats, 50000.0)
    assert why.startswith(told) if told else why == ""


def stored(folder, kind, data, bad):
    """Put a master into a folder as a worker finds it; return its file."""
    data = np.asarray(data, np.float32)
    content = to_bytes(MasterPixels(data, bad, 3, 0.0, 0.0, 1.0, 0.0, ""), {"KIND": kind})
    path = folder / f"{pixel_hash(data, bad)}.fits"
    path.write_bytes(content)
    return str(path)


def test_masters_come_back_bit_for_bit_and_damage_is_told(tmp_path):
    rng = np.random.default_rng(2)
    data, bad = rng.normal(0, 5, SHAPE).astype(np.float32), rng.random(SHAPE) < 0.01
    path = tmp_path / stored(tmp_path, "bias", data, bad)
    content = path.read_bytes()
    back, mask = from_bytes(content, path.stem)
    np.testing.assert_array_equal(back, data)
    np.testing.assert_array_equal(mask, bad)
    with pytest.raises(FrameError, match="have the hash") as caught:
        from_bytes(content, "0" * 64)
    assert caught.value.code == "bad_master"
    for broken in (content[:4000], b"", bytes(3000)):
        with pytest.raises(FrameError, match="build it anew"):
            from_bytes(broken, path.stem)


def test_planes_are_made_of_the_masters_and_read_once(tmp_path):
    rng = np.random.default_rng(3)
    none = np.zeros(SHAPE, bool)
    hot, dead = none.copy(), none.copy()
    hot[3, 4], dead[5, 6] = True, True
    bias, dark = rng.normal(10, 1, SHAPE), rng.normal(20, 1, SHAPE)
    flat = rng.uniform(0.5, 1.5, SHAPE)
    correction = Correction(
        stored(tmp_path, "bias", bias, none), stored(tmp_path, "dark", dark, hot),
        stored(tmp_path, "flat", flat, dead), 0.25,
    )  # fmt: skip
    made = load_planes(correction)
    np.testing.assert_allclose(made.subtract, bias + 0.25 * dark, rtol=1e-6)
    np.testing.assert_allclose(made.multiply[~dead], 1 / flat[~dead], rtol=1e-6)
    assert made.multiply[5, 6] == 1 and made.bad[3, 4] and made.bad[5, 6] and made.bad.sum() == 2
    for file in tmp_path.iterdir():
        file.unlink()
    assert load_planes(correction) is made
    with pytest.raises(FrameError, match="cannot read a master"):
        load_planes(Correction(bias=correction.bias))
