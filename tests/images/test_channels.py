"""Channels of simulated colour frames against truth: fluxes, errors, places, saturation, sections, odd sizes."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from photodb.core.flags import Flag
from photodb.core.match import mutual_nearest
from photodb.errors import FrameError
from photodb.images import cards, channels, fits
from photodb.images.colour import Colour
from photodb.images.forced import Targets
from photodb.images.pipeline import (
    ForcedJob,
    FrameFailure,
    PixelSettings,
    force_file,
    measure_file,
    sample_frame,
    scan,
)
from photodb.images.reduce import Planes, reduce_frame
from tests.images import bayer_frames as bayer

SHAPE = (620, 760)
APERTURE = 3.0  # px of a channel


def measured(path, **changes):
    """Measure a file in all its channels, by the description made from its header."""
    scanned = scan(path, "hash", [], None)
    assert not isinstance(scanned, FrameFailure), scanned.reason
    description = replace(scanned.description, **{"aperture": APERTURE, **changes})
    return {
        c: measure_file(replace(scanned, description=description, channel=c), PixelSettings())
        for c in scanned.channels
    }


def compare(result, sky, world, channel, fwhm, shift=(0.0, 0.0)):
    """Match the channel's stars with truth by the header's WCS; return rows of found, truth."""
    x, y = result.header_wcs.to_pixel(*world.all_pix2world(sky.x + shift[0], sky.y + shift[1], 0))
    found = result.measured.detections
    i, j = mutual_nearest(np.column_stack([x, y]), np.column_stack([found.x, found.y]), 1.0)
    clean = found.flags[j] == 0
    i, j = i[clean], j[clean]
    # what the aperture holds of a Gaussian; a mosaic pixel is half of the channel's, two greens are .5 px apart
    spread = (fwhm / 2.3548 / 2) ** 2 + 0.25 / 12 + (0.0625 if channel == "G" else 0.0)
    truth = sky.true_flux(channel)[i] * (1 - np.exp(-(APERTURE**2) / 2 / spread))
    return i, j, found.x[j] - x[i], found.y[j] - y[i], truth


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG"])
def test_fluxes_errors_and_places_of_the_channels_are_true(tmp_path, pattern):
    pulls, ratios, off = ({c: [] for c in "RGB"} for _ in range(3))
    for seed in range(3):
        rng = np.random.default_rng([seed, 31])
        sky = bayer.ColourSky.make(rng, 120, SHAPE)
        path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, pattern, rng, shape=SHAPE), BAYERPAT=pattern,
                           SATURATE=62000, **bayer.wcs_cards(SHAPE))  # fmt: skip
        world = WCS(bayer.wcs_cards(SHAPE))
        for channel, result in measured(path).items():
            assert result.exposure.band == {"R": "TR", "G": "TG", "B": "TB"}[channel]
            assert (result.ny, result.nx) == (SHAPE[0] // 2, SHAPE[1] // 2)
            _, j, dx, dy, truth = compare(result, sky, world, channel, 4.0)
            found = result.measured.detections
            flux, error = found.flux[j, 2], found.flux_err[j, 2]
            pulls[channel] += list((flux - truth) / error)
            ratios[channel] += list((flux / truth)[error < 0.02 * flux])
            off[channel].append([np.median(dx), np.median(dy)])
    for channel in "RGB":
        values = np.array(pulls[channel])
        assert len(values) > 330
        assert 0.9 < values.std() < 1.1
        assert abs(np.median(ratios[channel]) - 1) < 0.003
        assert np.abs(np.mean(off[channel], axis=0)).max() < 0.01  # px of the channel
        assert np.abs(off[channel]).max() < 0.02


def test_the_three_channels_see_a_star_at_one_place(tmp_path):
    rng = np.random.default_rng(8)
    sky = bayer.ColourSky.make(rng, 60, SHAPE)
    path = bayer.write(
        tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE), **bayer.wcs_cards(SHAPE)
    )
    places = {}
    for channel, r in measured(path).items():
        found = r.measured.detections
        places[channel] = np.column_stack(r.header_wcs.to_sky(found.x, found.y))
    for other in "RB":
        i, j = mutual_nearest(places["G"] * 3600, places[other] * 3600, 1.5)
        assert len(i) > 50
        off = (places["G"][i] - places[other][j]) * 3600 / 2.4 * [np.cos(np.radians(30.0)), 1.0]
        assert np.abs(np.median(off, axis=0)).max() < 0.02  # px of the channel


@pytest.mark.parametrize("section", ["[2:741,1:600]", "[4:743,12:611]", "[1:739,2:601]", ""])
def test_sections_on_odd_pixels_and_odd_sizes(tmp_path, section):
    shape = (613, 755)
    rng = np.random.default_rng(4)
    sky = bayer.ColourSky.make(rng, 70, shape, edge=60)
    counts = bayer.mosaic(sky, "GRBG", rng, shape=shape)
    path = bayer.write(tmp_path / "a.fits", counts, BAYERPAT="GRBG", SATURATE=62000, **bayer.wcs_cards(shape))
    for channel, result in measured(path, data_section=section).items():
        i, j, dx, dy, truth = compare(result, sky, WCS(bayer.wcs_cards(shape)), channel, 4.0)
        assert len(i) > 60
        assert max(abs(np.median(dx)), abs(np.median(dy))) < 0.02
        assert abs(np.median(result.measured.detections.flux[j, 2] / truth) - 1) < 0.01
        if not section:
            assert (result.ny, result.nx) == (306, 377)


def test_saturation_is_judged_on_either_green(tmp_path):
    rng = np.random.default_rng(5)
    sky = bayer.ColourSky.make(rng, 60, SHAPE)
    bright = 7
    for channel in "RGB":
        sky.flux[channel][bright] = 1.6e5
    sky.flux["G"][bright] = 1.6e6  # green alone saturates
    path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE, full=16383), SATURATE=16383,
                       **bayer.wcs_cards(SHAPE))  # fmt: skip
    for channel, result in measured(path).items():
        x, y = result.header_wcs.to_pixel(
            *WCS(bayer.wcs_cards(SHAPE)).all_pix2world(sky.x[[bright]], sky.y[[bright]], 0)
        )
        found = result.measured.detections
        k = np.argmin(np.hypot(found.x - x, found.y - y))
        assert bool(found.flags[k] & Flag.SATURATED) == (channel == "G")
        assert np.hypot(found.x[k] - x, found.y[k] - y) < 0.4


def test_gain_noise_limits_and_bias_of_a_channel(tmp_path):
    rng = np.random.default_rng(6)
    sky = bayer.ColourSky.make(rng, 40, SHAPE)
    path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE), SATURATE=60000)
    own = {"R": {"gain": 1.1, "saturation": 3000.0, "soft_bias": 480.0}, "G": {"read_noise": 5.0}}
    found = measured(path, channels=own, read_noise=2.0, soft_bias=500.0, pixel_scale=1.2)
    assert {c: r.gain for c, r in found.items()} == {"R": 1.1, "G": 1.6, "B": 0.8}
    noise = {c: r.exposure.read_noise for c, r in found.items()}
    assert noise == {"R": 2.0, "G": pytest.approx(5 * np.sqrt(2)), "B": 2.0}
    assert all(r.exposure.pixel_scale == 2.4 for r in found.values())
    assert found["R"].background == pytest.approx(260 / 0.8 + 20, abs=12)
    assert found["B"].background == pytest.approx(330 / 0.8, abs=14)
    assert found["R"].measured.n_saturated > found["B"].measured.n_saturated == 0


def test_the_greens_tell_a_pattern_that_is_off_by_a_row(tmp_path):
    rng = np.random.default_rng(7)
    sky = bayer.ColourSky.make(rng, 40, SHAPE)
    counts = bayer.mosaic(sky, "RGGB", rng, shape=SHAPE)
    path = bayer.write(tmp_path / "a.fits", counts, ROWORDER="BOTTOM-UP")  # it is not
    failed = measured(path)["G"]
    assert isinstance(failed, FrameFailure) and failed.code == "bad_pattern" and failed.channel == "G"
    assert "RGGB" in failed.reason and 'bayer = "RGGB"' in failed.reason
    assert not isinstance(measured(path, bayer="RGGB")["G"], FrameFailure)
    twin = bayer.write(tmp_path / "b.fits", counts[::-1], ROWORDER="BOTTOM-UP")
    assert measured(twin)["R"].background == pytest.approx(
        measured(path, bayer="RGGB")["R"].background, abs=5
    )


def test_cubes_are_measured_plane_by_plane(tmp_path):
    rng = np.random.default_rng(9)
    sky = bayer.ColourSky.make(rng, 60, (300, 340), edge=25, spacing=18)
    planes = [rng.poisson(bayer.expected(sky, (300, 340), 3.0, c)) for c in "RGB"]
    path = bayer.write(tmp_path / "stack.fits", np.array(planes, np.uint16), BAYERPAT="GRBG", SATURATE=62000,
                       **bayer.wcs_cards((300, 340)))  # fmt: skip
    found = measured(path, gain=1.0)
    assert [r.exposure.band for r in found.values()] == ["TG", "TR", "TB"]
    assert len({r.data_hash for r in found.values()}) == 3
    for channel, result in found.items():
        assert (result.ny, result.nx) == (300, 340)
        x, y = result.measured.detections.x, result.measured.detections.y
        i, j = mutual_nearest(np.column_stack([sky.x, sky.y]), np.column_stack([x, y]), 1.0)
        ratio = result.measured.detections.flux[j, 2] / sky.flux[channel][i]
        assert len(i) > 50 and 0.9 < np.median(ratio) < 1.0


def test_gain_is_estimated_at_one_green(tmp_path):
    rng = np.random.default_rng(10)
    sky = bayer.ColourSky.make(rng, 40, SHAPE, flux=(8000.0, 60000.0))
    sky.level = {c: 20 * v for c, v in sky.level.items()}
    counts = bayer.mosaic(sky, "BGGR", rng, shape=SHAPE, gain=2.5, pedestal=0.0)
    path = bayer.write(tmp_path / "a.fits", counts, BAYERPAT="BGGR", EGAIN=None, GAIN=100)
    scanned = scan(path, "hash", [], None)
    sample = sample_frame(scanned, scanned.description)
    assert np.median(sample.pixels.level / sample.pixels.variance) == pytest.approx(2.5, rel=0.05)


def test_a_channel_of_a_reduced_mosaic_keeps_every_pixel(tmp_path):
    counts = np.arange(120 * 140, dtype=np.uint16).reshape(120, 140)
    path = bayer.write(tmp_path / "a.fits", counts)
    frame = fits.read_frame(path)
    d = scan(path, "hash", [], None).description
    exposure = cards.read_exposure(frame.header, d)
    reduced = reduce_frame(frame, d, exposure)
    parts = {}
    for c in "RGB":
        own = channels.channel_exposure(exposure, frame.header, d, Colour("RGGB"), c)
        parts[c] = channels.split(reduced, "RGGB", c, d, 0.0, own)
    np.testing.assert_array_equal(parts["R"].data, counts[::2, ::2])
    np.testing.assert_array_equal(parts["B"].data, counts[1::2, 1::2])
    np.testing.assert_array_equal(parts["G"].data, (counts[::2, 1::2] + counts[1::2, ::2].astype(float)) / 2)
    np.testing.assert_array_equal(parts["G"].raw, counts[1::2, ::2])
    assert [(p.x_first, p.y_first) for p in parts.values()] == [(0, 0), (0.5, 0.5), (1, 1)]
    with pytest.raises(FrameError, match="channel B is 45x60 pixels"):
        channels.split(replace(reduced, raw=reduced.raw[:, :90], data=reduced.data[:, :90], bad=reduced.bad[:, :90]),
                       "RGGB", "B", d, 0.0, own)  # fmt: skip


def test_masters_are_those_of_the_mosaic(tmp_path):
    """A flat with colours and a hot pixel's mask, applied before the split, undo what the detector did."""
    rng = np.random.default_rng(11)
    sky = bayer.ColourSky.make(rng, 60, SHAPE, edge=60)
    clean = bayer.mosaic(sky, "RGGB", rng, shape=SHAPE, pedestal=0.0)
    flat = np.ones(SHAPE, np.float32)
    flat[::2, ::2], flat[1::2, 1::2] = 0.5, 0.7
    flat *= np.linspace(0.8, 1.2, SHAPE[1], dtype=np.float32)
    bad = np.zeros(SHAPE, bool)
    bad[200, 300] = bad[201, 303] = True  # red; blue
    counts = np.rint(clean * flat + 500)
    counts[bad] = 40000
    path = bayer.write(tmp_path / "a.fits", counts.astype(np.uint16), SATURATE=62000)
    frame = fits.read_frame(path)
    d = replace(scan(path, "hash", [], None).description, soft_bias=500.0)
    exposure = cards.read_exposure(frame.header, d)
    planes = Planes(multiply=1 / flat, bad=bad)
    for channel, spot in (("R", (100, 150)), ("G", None), ("B", (100, 151))):
        _, reduced = channels.reduce_channel(frame, d, exposure, Colour("RGGB"), channel, planes)
        level = np.median(bayer.expected(sky, SHAPE, 4.0, channel)) / 0.8
        assert np.median(reduced.data) == pytest.approx(level, rel=0.01)
        assert reduced.bad.sum() == (spot is not None)
        if spot:
            assert reduced.bad[spot] and reduced.data[spot] == pytest.approx(level, rel=0.2)


def test_known_places_are_measured_on_the_channel_that_the_archive_knows(tmp_path):
    rng = np.random.default_rng(13)
    sky = bayer.ColourSky.make(rng, 60, SHAPE, flux=(40000.0, 300000.0))
    path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE), SATURATE=62000)
    scanned = scan(path, "hash", [], None)
    for channel in "RGB":
        one = replace(scanned, description=replace(scanned.description, aperture=APERTURE), channel=channel)
        result = measure_file(one, PixelSettings())
        found = result.measured.detections
        nothing = np.full(len(found), np.nan)
        targets = Targets(found.x, found.y, nothing, nothing, np.zeros(len(found)))
        job = ForcedJob(scanned, targets, None, result.measured.radii, result.gain, result.data_hash)
        again = force_file(job)
        assert not isinstance(again, FrameFailure), again.reason
        clean = found.flags == 0
        np.testing.assert_allclose(again.flux_aperture[clean, 2], found.flux[clean, 2], rtol=0.02)
        assert force_file(replace(job, data_hash="other")).code == "changed"
