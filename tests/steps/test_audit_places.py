"""Places of detections against those of their sources: at the poles, at 0 h, and of more frames than are read."""

import numpy as np
import pytest

from photodb.core import sky
from photodb.steps.auditplaces import MAX_DETECTIONS, _field_plane, _placed_frames, _small_offset, thinned
from photodb.steps.auditread import Sides
from photodb.storage.audits import FRAME_DTYPE, PLACE_DTYPE


def at(ra, dec):
    rows = np.zeros(np.size(ra), PLACE_DTYPE)
    rows["ra"], rows["dec"] = ra, dec
    return rows


@pytest.mark.parametrize("dec", [-89.999, -45.0, 0.0, 62.0, 89.999, 89.99999])
@pytest.mark.parametrize("ra", [0.0, 123.0, 359.999999])
def test_small_offsets_are_those_on_the_tangent_plane(ra, dec):
    east, north = np.random.default_rng([3, int(abs(dec) * 100)]).uniform(-3, 3, (2, 50))
    moved = at(*sky.deproject(east / 3600, north / 3600, ra, dec))
    found = _small_offset(moved, at(np.full(50, ra), np.full(50, dec)))
    np.testing.assert_allclose(found, [east, north], atol=2e-8)


def test_the_middle_of_each_field_is_its_own():
    places = at([359.9, 0.1, 100.0, 100.2], [10.0, 10.0, -20.0, -20.0])
    places["field_id"] = [1, 1, 2, 2]
    xi, eta = _field_plane(places)
    np.testing.assert_allclose(xi, [-0.0985, 0.0985, -0.094, 0.094], atol=2e-4)
    np.testing.assert_allclose(eta, 0, atol=1e-4)


def sides(n_frames, n_detections, approximate=()):
    frames = np.zeros(2 * n_frames, FRAME_DTYPE)
    frames["n_detections"] = n_detections
    frames["approximate"][list(approximate)] = True
    return Sides(("a", "b"), frames, np.repeat([0, 1], n_frames))


def test_frames_beyond_what_is_averaged_are_left_out_evenly():
    few, many = sides(10, MAX_DETECTIONS // 10), sides(30, MAX_DETECTIONS // 10)
    assert thinned(few, np.ones(20, bool)).all()
    kept = thinned(many, np.ones(60, bool))
    assert kept.reshape(2, 30).sum(axis=1).tolist() == [10, 10]
    assert np.flatnonzero(kept[:30]).tolist() == list(range(0, 30, 3))


def test_frames_without_a_measured_place_count_only_where_there_are_no_others():
    assert _placed_frames(sides(2, 5, [0, 2, 3])).tolist() == [False, True, True, True]
