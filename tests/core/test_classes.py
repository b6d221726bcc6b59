"""The class of a source from its detections."""

import numpy as np

from photodb.core.classes import COSMIC_RAY, EXTENDED, STAR, UNKNOWN, class_of_sources


def test_a_well_known_size_tells_and_votes_tell_elsewhere():
    size = np.array([0.01, 0.30, 0.30, np.nan, np.nan, np.nan, 0.05, 0.12])
    error = np.array([0.01, 0.02, 0.20, np.nan, np.nan, np.nan, 0.02, 0.032])
    votes = np.array([[1, 9, 0], [9, 1, 0], [9, 1, 0], [2, 3, 0], [0, 0, 0], [0, 0, 4], [0, 0, 5], [1, 1, 0]])
    told = class_of_sources(size, error, votes)
    assert told.tolist() == [STAR, EXTENDED, STAR, EXTENDED, UNKNOWN, COSMIC_RAY, COSMIC_RAY, STAR]


def test_a_draw_is_a_star():
    assert class_of_sources(np.array([np.nan]), np.array([np.nan]), np.array([[2, 2, 2]])).tolist() == [STAR]
