"""Dynamic range and uniformity: boxes, masks, and pixels that stand alone."""

import numpy as np
import pytest

from photodb.errors import FrameError, UsageError
from photodb.images.quality import Areas, area_medians, quality

rng = np.random.default_rng(1)


def star(image, x, y, peak, sigma=1.3):
    yy, xx = np.mgrid[: image.shape[0], : image.shape[1]]
    image += peak * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / sigma**2)


def sky(ny=300, nx=400):
    return rng.normal(500, 5, (ny, nx)).astype(np.float32)


def test_hot_and_dead_pixels_do_not_rule_the_range():
    clean = sky()
    for k in range(12):
        star(clean, 20 + 30 * k, 150, 3000)
    before = quality(clean)
    hot = clean.copy()
    rows, columns = (
        rng.integers(0, 300, 600),
        rng.integers(0, 400, 600),
    )  # one in two hundred, some side by side
    hot[rows, columns] = 60000
    hot[rows[:300] // 2, columns[:300]] = 0
    after = quality(hot)
    assert 1500 < before.data_max < 3600
    assert after.data_max == pytest.approx(before.data_max, rel=0.1)
    assert after.data_min == pytest.approx(before.data_min, abs=8)


@pytest.mark.parametrize("size", [10, 30, 100])
def test_a_cosmic_ray_does_not_rule_a_small_box(size):
    image = sky()
    image[105, 103:108] = 40000  # five pixels in a row support each other
    found = quality(image, Areas(box=(100, 100, 99 + size, 99 + size)))
    assert found.data_max < 560


def test_a_star_in_a_small_box_sets_its_range():
    image = sky()
    star(image, 120, 120, 8000)
    found = quality(image, Areas(box=(100, 100, 140, 140)))
    assert 4000 < found.dynamic_range < 8100
    assert quality(image, Areas(box=(200, 200, 240, 240))).dynamic_range < 60


def test_masks_are_left_out_of_range_and_uniformity():
    image = sky()
    image[:80, :100] += 900
    assert quality(image).nonuniformity == pytest.approx(900, rel=0.05)
    found = quality(image, Areas(masks=((0, 0, 99, 79), (300, 200, 399, 299))))
    assert found.nonuniformity < 3 and found.dynamic_range < 60
    assert np.isnan(area_medians(image, ignore=np.arange(300)[:, None] < 100 + 0 * image)[0]).all()


def test_the_masks_edges_belong_to_it():
    areas = Areas(masks=((10, 20, 30, 40),))
    x, y = np.array([10.0, 30.4, 31.0, 9.4, 20]), np.array([20.0, 40.0, 30.0, 30.0, 41.0])
    assert areas.inside_masks(x, y).tolist() == [True, True, False, False, False]
    out = areas.left_out((50, 50))
    assert out.sum() == 21 * 21 and out[20, 10] and out[40, 30]
    assert areas.left_out((15, 50)) is None


def test_pixels_without_a_value_are_left_out():
    image = sky()
    broken = np.zeros(image.shape, bool)
    broken[50:60] = True
    image[broken] = 0
    assert quality(image).data_min == 0
    assert quality(image, broken=broken).data_min > 470


def test_small_frames_use_every_pixel():
    image = rng.normal(500, 5, (36, 36)).astype(np.float32)
    exact = [np.median(image[12 * i : 12 * i + 12, 12 * j : 12 * j + 12]) for i in range(3) for j in range(3)]
    np.testing.assert_allclose(area_medians(image).ravel(), exact)


def test_nothing_left_is_an_error_with_the_numbers():
    with pytest.raises(FrameError, match="holds 0 unmasked pixels of the 400x300 frame; 100 needed"):
        quality(sky(), Areas(box=(10, 10, 40, 40), masks=((0, 0, 50, 50),)))
    with pytest.raises(FrameError, match="box"):
        quality(sky(), Areas(box=(500, 500, 600, 600)))


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 5, 5, 9), (-1, 0, 5, 5)])
def test_a_box_holds_pixels(box):
    with pytest.raises(UsageError, match="X0 < X1"):
        Areas(masks=(box,))
