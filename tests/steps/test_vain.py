"""Searches in vain are not made for every frame of a series, and better frames are searched for all the same."""

import numpy as np

from photodb.steps.framestars import FrameStars
from photodb.steps.vain import ENOUGH, Vain, hopeless

NAN = float("nan")


def stars(n, camera=1):
    xy = np.zeros((n, 2))
    return FrameStars(camera, 800, 600, 6e4, "", NAN, NAN, 1.0, None, False, xy, xy, np.arange(n))


def test_after_enough_only_every_tenth_is_searched_for():
    searched = [n for n in range(45) if not hopeless(n)]
    assert searched == [*range(ENOUGH), 10, 20, 30, 40]


def test_only_frames_alike_speak_against_a_search():
    vain = Vain()
    for k in range(ENOUGH + 1):
        assert not vain.hopeless(stars(100), 0.01, 80.0, 0.2)
        vain.note(stars(100), 359.99, 80.0 + 1e-3 * k)
    assert vain.hopeless(stars(100), 0.01, 80.0, 0.2)  # near by the sky, not by its numbers
    assert not vain.hopeless(stars(200), 0.01, 80.0, 0.2)  # those before may have lain in cloud
    assert not vain.hopeless(stars(100, camera=2), 0.01, 80.0, 0.2)
    assert not vain.hopeless(stars(100), 0.01, 80.2, 0.2)
    assert not vain.hopeless(stars(100), NAN, NAN, 0.2)
    for _ in range(ENOUGH + 1):
        vain.note(stars(100), NAN, NAN)
    assert vain.hopeless(stars(100), NAN, NAN, 0.2)
