"""The figure of an audit: complete where there is something to draw, and honest where there is not."""

import numpy as np
import pytest

from photodb.core.audit import BandAudit, PairAudit
from photodb.core.auditdrift import FrameShifts, by_night
from photodb.core.auditmap import field_map
from photodb.core.auditplace import CommonPlaces, compare_places
from photodb.core.auditstars import CommonStars, compare_stars
from photodb.errors import NothingMatched
from photodb.plots.audit import MAX_BLOCKS, audit_figure

rng = np.random.default_rng(12)


def band(n=200, coloured=True, n_nights=5, name="V"):
    mag = rng.uniform(12, 17, n)
    colour = rng.normal(0.8, 0.4, n) if coloured else np.full(n, np.nan)
    error, points = np.full(n, 0.01), np.full(n, 5)
    stars = CommonStars(
        np.arange(n),
        mag + 0.01 * rng.normal(size=n),
        error,
        points,
        mag,
        error,
        points,
        colour,
        0.01 + 0 * colour,
    )
    night = np.repeat(np.arange(n_nights), 4)
    none = np.zeros(night.size)
    frames = FrameShifts(60000.0 + night, 60000 + night, none, 1e-6 + none, none)
    nights, drift = by_night(frames, frames.take(night != 2))
    x, y = rng.uniform(-1, 1, (2, n))
    seen = field_map(x, y, np.arange(n), stars.difference, error, error)
    maps = {"a-ccd": seen, "b-ccd": seen}
    found = compare_stars(stars)
    return BandAudit(name, stars, found, -2.0, "V-R" * coloured, nights, nights.offset, drift, maps)


def pair(*bands, n=200):
    xi, eta, east, north = rng.normal(size=(4, n)) * 0.1
    places = CommonPlaces(np.arange(n), xi, eta, east, north, np.full(n, 0.1))
    return PairAudit("a", "b", bands, places, compare_places(places), 1.0)


FIGURES = {
    "all": lambda: audit_figure([pair(band())]),
    "two bands and another pair": lambda: audit_figure([pair(band(), band(coloured=False)), pair()]),
    "few": lambda: audit_figure([pair(band(4, False, 1), n=2)]),
    "nothing": lambda: audit_figure([pair(band(0, False, 0), n=0)]),
    "long names": lambda: audit_figure([pair(band(name="a rather long $name of a $band_"))]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FIGURES)
def test_it_draws_without_a_warning_and_inside_its_page(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    page, renderer = figure.bbox.padded(1), figure.canvas.get_renderer()
    for axis in (a for a in figure.axes if a.axison):
        box = axis.get_tightbbox(renderer)
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1


def test_panels_tell_what_is_missing():
    figure = FIGURES["two bands and another pair"]()
    told = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert told.count("no colours of these\nsources") == 1
    assert told.count("no band in common") == 5


def test_east_is_to_the_left():
    axis = next(a for a in FIGURES["all"]().axes if "east" in a.get_xlabel())
    left, right = axis.get_xlim()
    assert left > right


def test_many_pairs_do_not_make_an_endless_figure():
    figure = audit_figure([pair(band(40)) for _ in range(MAX_BLOCKS + 3)])
    assert len(figure.subfigs) == MAX_BLOCKS
    with pytest.raises(NothingMatched):
        audit_figure([])
