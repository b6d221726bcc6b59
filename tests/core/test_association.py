"""Which detection is which source."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodb.core.association import Places, link, movers, reach_arcsec, sharpest_mag, sharpest_means
from photodb.core.positions import add_detection, at_epoch, first_means
from photodb.core.sky import deproject, project, separation_deg

SCALE, FWHM = 1.0, 3.0
REACH = reach_arcsec(SCALE, FWHM)


def places(xy, sigma=0.05, mag=0.0, reach=REACH):
    xy = np.asarray(xy, float).reshape(-1, 2)
    return Places(xy, *(np.broadcast_to(np.asarray(v, float), len(xy)).copy() for v in (sigma, mag, reach)))


def linked(found, known, real=None, strong=None, fwhm=FWHM * SCALE):
    n = len(found.xy)
    return link(
        found,
        known,
        np.ones(n, bool) if real is None else real,
        np.ones(n, bool) if strong is None else strong,
        fwhm,
    )


def test_the_reach_of_a_frame():
    assert reach_arcsec(0.2, 3.0) == 0.6  # of what is sure
    assert reach_arcsec(5.0, np.nan) == pytest.approx(4.5)  # most of a pixel
    assert reach_arcsec(1.0, 3.0) == pytest.approx(1.65)  # half the width of its stars
    assert reach_arcsec(1.0, 40.0) == 4.0  # out of focus


def test_the_nearest_wins_and_the_other_gets_what_is_left():
    links = linked(places([[0.9, 0], [-0.2, 0]]), places([[0, 0], [1.9, 0]]))
    assert links.source.tolist() == [1, 0]
    links = linked(places([[0.9, 0], [0.2, 0]]), places([[0, 0], [-40, 0]]))
    assert links.source.tolist() == [-1, 0]
    assert links.founds.tolist() == [
        False,
        False,
    ]  # brighter, but within the reach of one that has its source


def test_what_is_one_light_founds_one_source():
    links = linked(places([[0, 0], [1.0, 0], [2.0, 0], [9, 9]]), places([]))
    assert links.founds.tolist() == [
        True,
        False,
        True,
        True,
    ]  # the third is too near only to what founds nothing


def test_cosmic_rays_and_the_faint_found_nothing():
    real, strong = np.array([False, True, True]), np.array([True, False, True])
    links = linked(places([[0, 0], [10, 0], [20, 0]]), places([[0, 0], [10, 0.1]]), real, strong)
    assert links.source.tolist() == [-1, 1, -1] and links.founds.tolist() == [False, False, True]


def test_faint_places_may_be_farther_apart_but_not_without_limit():
    assert linked(places([[2.4, 0]], 0.5), places([[0, 0]], 0.4)).source.tolist() == [0]
    assert linked(places([[2.4, 0]], 0.1), places([[0, 0]], 0.1)).source.tolist() == [-1]
    assert linked(places([[3.5, 0]], 2.0), places([[0, 0]], 2.0)).source.tolist() == [-1]


def test_a_coarse_source_takes_the_nearer_of_two_that_a_sharp_frame_tells_apart():
    coarse = places([[0, 0]], reach=4.5)
    links = linked(places([[-2.4, 0], [0.7, 0.1]]), coarse)
    assert links.source.tolist() == [-1, 0] and links.founds.tolist() == [True, False]


def test_two_sharp_sources_in_one_coarse_light_are_told():
    sharp = places([[-2.0, 0], [1.0, 0]], mag=[1.0, 0.0])
    links = linked(places([[0.2, 0]], reach=4.5), sharp, fwhm=9.0)
    assert links.source.tolist() == [1] and links.blended.tolist() == [True] and not links.founds.any()
    faint = places([[-2.0, 0], [1.0, 0]], mag=[2.0, 0.0])
    assert not linked(places([[0.2, 0]], reach=4.5), faint, fwhm=9.0).blended.any()
    assert not linked(places([[-2, 0], [1, 0]]), sharp).blended.any()


def test_empty_and_unknown_places():
    for found, known in (([], [[0, 0]]), ([[0, 0]], []), ([], [])):
        links = linked(places(found), places(known))
        assert (links.source == -1).all() and links.founds.sum() == len(found)
    assert linked(places([[0, 0]]), places([[np.nan, np.nan]])).source.tolist() == [-1]


def test_movers_are_the_nearest_one_to_one():
    found = np.array([[0.0, 0.0], [1.0, 0.0], [np.nan, 0.0], [50.0, 0.0]])
    at, star = movers(found, np.array([[0.4, 0.0], [0.5, 0.1], [20.0, 0.0]]), 1.6)
    assert (at.tolist(), star.tolist()) == ([0, 1], [0, 1])
    assert [len(v) for v in movers(found[:0], found[:1], 1.0)] == [0, 0]


def test_a_source_keeps_the_magnitude_of_its_sharpest_frames():
    one = [np.array([v]) for v in (3.0, 4, 2.0)]  # magnitude, detections and reach before
    assert sharpest_mag(*one, np.array([3.5]), 2.0) == pytest.approx(3.1)  # alike: the mean of five
    assert sharpest_mag(*one, np.array([3.5]), 1.5) == 3.5  # sharper: anew
    assert sharpest_mag(*one, np.array([3.5]), 4.0) == 3.0  # coarser: another zero point
    assert sharpest_mag(*one, np.array([np.nan]), 1.0) == 3.0
    assert sharpest_mag(np.array([np.nan]), *one[1:], np.array([3.5]), 4.0) == 3.5


def test_the_magnitude_of_all_detections_is_the_mean_on_the_sharpest_frames():
    rng = np.random.default_rng()
    mag, reach = rng.normal(0, 1, 15), np.repeat([4.0, 1.5, 1.6], 5)
    mag[7] = np.nan
    both = sharpest_means(np.r_[mag, np.nan], np.r_[reach, 1.0], np.array([0, 15]))
    assert both[0] == pytest.approx(np.nanmean(mag[5:])) and np.isnan(both[1])


def brute_force(found, known):
    """Link by looking at all pairs, the nearest first."""
    distance = np.hypot(*(found.xy[:, None, :] - known.xy[None, :, :]).transpose(2, 0, 1))
    error = 4 * np.hypot(found.sigma[:, None], known.sigma[None, :])
    reach = np.maximum(
        np.maximum(found.reach[:, None], known.reach[None, :]), np.minimum(error, 2 * found.reach[:, None])
    )
    source = np.full(len(found.xy), -1)
    left = np.where(distance <= reach, distance, np.inf)
    while left.size and np.isfinite(left).any():
        i, j = np.unravel_index(np.argmin(left), left.shape)
        source[i] = j
        left[i, :] = left[:, j] = np.inf
    return source


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**31))
def test_links_are_those_of_brute_force(n, m, seed):
    rng = np.random.default_rng(seed)
    found = places(rng.uniform(0, 25, (n, 2)), rng.uniform(0.02, 0.8, n))
    known = places(
        rng.uniform(0, 25, (m, 2)), rng.uniform(0.02, 0.8, m), reach=rng.choice([REACH, 0.6, 4.5], m)
    )
    links = linked(found, known)
    assert links.source.tolist() == brute_force(found, known).tolist()
    founders = found.xy[links.founds]
    if len(founders) > 1:
        apart = np.hypot(*(founders[:, None] - founders[None]).transpose(2, 0, 1))
        assert apart[np.triu_indices(len(founders), 1)].min() > REACH


@pytest.mark.parametrize(
    "centre", [(0.0, 0.0), (360 - 1e-9, 60.0), (123.0, 90.0), (321.0, -90.0), (0.0, -89.9)]
)
def test_no_star_of_ten_thousand_is_lost_at_ra_0_or_a_pole(centre):
    """Stars over a 2 deg field, seen again with errors of .1 arcsec, at places that are read back from ra and dec."""
    rng = np.random.default_rng()
    grid = np.stack(np.meshgrid(np.arange(50), np.arange(40)), -1).reshape(-1, 2) * 0.04 - 1.0
    plane = grid + rng.uniform(-0.01, 0.01, grid.shape)
    ra, dec = deproject(*plane.T, *centre)
    means = first_means(ra, dec, np.full(len(ra), 0.1), 60000.0)
    for k in range(5):
        noise = rng.normal(0, 0.1 / 3600, plane.shape)
        ra, dec = deproject(*(plane + noise).T, *centre)
        there = np.column_stack(project(*at_epoch(means, 60000.0 + k), *centre)) * 3600
        here = np.column_stack(project(ra, dec, *centre)) * 3600
        links = linked(places(here, 0.1), places(there, means["position_err"]))
        assert (links.source == np.arange(len(plane))).all()
        means = add_detection(means, ra, dec, np.full(len(ra), 0.1), 60000.0 + k)
    away = separation_deg(means["ra"], means["dec"], *deproject(*plane.T, *centre)) * 3600
    assert np.sqrt(np.mean(away**2) / 2) < 1.1 * 0.1 / np.sqrt(6)
