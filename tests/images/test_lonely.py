"""Hot pixels and cosmic rays under a mosaic, and stars in focus, which on a channel look like them."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from photodb.core.match import mutual_nearest
from photodb.images.classify import COSMIC_RAY
from photodb.images.lonely import lonely_pixels
from photodb.images.pipeline import PixelSettings, measure_file, scan
from tests.images import bayer_frames as bayer

SHAPE = (620, 760)
SPOTS = {"R": [(0, 0)], "G": [(0, 1), (1, 0)], "B": [(1, 1)]}


@pytest.mark.parametrize("fwhm", [1.8, 2.4, 4.0, 8.0])
def test_hits_are_marked_and_stars_are_not(fwhm):
    marked, hits, wrong, stars = 0, 0, 0, 0
    for seed in range(3):
        rng = np.random.default_rng([seed, 40])
        sky = bayer.ColourSky.make(rng, 120, SHAPE, edge=45)
        counts = bayer.mosaic(sky, "RGGB", rng, shape=SHAPE, fwhm=fwhm).astype(np.float32)
        y, x = rng.integers(5, SHAPE[0] - 5, 150), rng.integers(5, SHAPE[1] - 5, 150)
        far = np.hypot(x[:, None] - sky.x, y[:, None] - sky.y).min(axis=1) > 3 * fwhm
        y, x = y[far], x[far]
        counts[y, x] += 10 ** rng.uniform(3.0, 4.5, len(x))  # 40 sigma and more
        truth = np.zeros(SHAPE, bool)
        truth[y, x] = True
        found = np.logical_or.reduce([lonely_pixels(counts, spots) for spots in SPOTS.values()])
        marked, hits = marked + (found & truth).sum(), hits + len(x)
        wrong, stars = wrong + (found & ~truth).sum(), stars + 120
    assert marked > 0.97 * hits
    assert wrong <= 0.01 * stars


@pytest.mark.parametrize(("fwhm", "one_pixel"), [(2.0, 0.045), (2.4, 0.016)])
def test_stars_in_focus_are_stars(tmp_path, fwhm, one_pixel):
    """Of narrow stars red and blue fluxes depend on the place between pixels; green ones, on two pixels, do not."""
    for seed in range(2):
        rng = np.random.default_rng([seed, 41])
        sky = bayer.ColourSky.make(rng, 120, SHAPE, flux=(60000.0, 300000.0))
        path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE, fwhm=fwhm),
                           SATURATE=62000, **bayer.wcs_cards(SHAPE))  # fmt: skip
        scanned = scan(path, "hash", [], None)
        description = replace(scanned.description, aperture=2.4)
        for channel in scanned.channels:
            result = measure_file(replace(scanned, description=description, channel=channel), PixelSettings())
            found = result.measured.detections
            assert (found.kind == COSMIC_RAY).sum() == 0 and len(found) <= 123
            assert "defocus" in result.assumed["psf"]
            sky_places = WCS(bayer.wcs_cards(SHAPE)).all_pix2world(sky.x, sky.y, 0)
            x, y = result.header_wcs.to_pixel(*sky_places)
            i, j = mutual_nearest(np.column_stack([x, y]), np.column_stack([found.x, found.y]), 1.0)
            assert len(i) >= 118
            ratio = found.flux[j, 2] / sky.true_flux(channel)[i]
            assert abs(np.median(ratio) - 1) < 0.02
            assert np.std(ratio) < (0.012 if channel == "G" else one_pixel)
