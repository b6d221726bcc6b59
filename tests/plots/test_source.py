"""The figure of one source."""

import numpy as np
import pytest

from photodb.errors import NothingMatched
from photodb.plots.source import source_figure

rng = np.random.default_rng(3)


def source_points(n=60, cameras=("a", "b")):
    mjd = 60000 + np.sort(rng.uniform(0, 40, n))
    return {
        "east": rng.normal(0, 0.2, n),
        "north": rng.normal(0, 0.2, n),
        "mjd": mjd,
        "camera": rng.choice(cameras, n),
    }


def test_a_source_shows_every_detection_with_east_to_the_left():
    points = source_points()
    points["east"][0] = np.nan
    sky, east, north = source_figure(points, 0.3, 0.25).axes
    assert sky.get_xlim()[0] > 0 > sky.get_xlim()[1]
    for axis in (sky, east, north):
        drawn = [line.get_xdata() for line in axis.lines if line.get_marker() not in ("", "None", None)]
        assert sum(map(len, drawn)) == 59
    labels = [text.get_text() for text in sky.figure.legends[0].get_texts()]
    assert labels[-2:] == ["scatter 0.3 arcsec", "reach 0.25 arcsec"]
    assert (np.abs(points["north"]) < sky.get_ylim()[1]).all()


def test_a_reach_beyond_the_figure_is_left_out():
    figure = source_figure(source_points(), 0.3, 20.0)
    assert all("reach" not in text.get_text() for text in figure.legends[0].get_texts())


@pytest.mark.parametrize(
    ("days", "label"), [(0.2, "hours UTC since MJD 60000"), (40, "MJD (UTC)"), (3000, "year")]
)
def test_times_of_a_source_are_told_as_they_read_best(days, label):
    points = source_points()
    points["mjd"] = 60000.1 + np.linspace(0, days, 60)
    north = source_figure(points, 0.3, np.nan).axes[2]
    assert north.get_xlabel() == label
    assert 2 <= len(north.get_xticks()) <= 8


def test_a_source_without_places_is_not_drawn():
    points = source_points()
    points["north"][:] = np.nan
    with pytest.raises(NothingMatched, match="place on the sky"):
        source_figure(points, 0.3, 1.0)
