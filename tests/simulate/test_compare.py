"""The comparison with the truth itself, on tables that are right by construction and then made wrong."""

import numpy as np
import pytest
from astropy.table import Table

from photodb.core.flags import Flag
from photodb.errors import NothingMatched
from photodb.simulate import compare, plan
from photodb.simulate.results import Comparison, VariableFound
from photodb.simulate.truth import Truth, frame_table, star_table

FRAMES = np.dtype(
    {
        "names": ["path", "camera", "band", "frame_id", "gain", "radius", "zero_point", "component", "used"],
        "formats": ["O", "O", "O", "i8", "f8", "f8", "f8", "i4", "?"],
    }
)
CANDIDATES = np.dtype(
    {
        "names": ["source_id", "ra", "dec", "mag", "score", "period", "tags"],
        "formats": ["i8", "f8", "f8", "f8", "f8", "f8", "O"],
    }
)
POINTS = np.dtype(
    [("source_id", "i8"), ("frame_id", "i8"), ("mag", "f8"), ("mag_err", "f8"), ("flags", "i4")]
)


@pytest.fixture(scope="module")
def truth():
    survey = plan(n_frames=36, n_stars=150, seed=3)
    paths = [survey.path(e) for e in survey.exposures]
    return Truth(
        star_table(survey.sky), frame_table(survey.exposures, survey.telescopes, paths), survey.telescopes
    )


@pytest.fixture
def frames(truth):
    """What a perfect archive would hold: an offset a camera, and a wrong gain on the second."""
    made = np.zeros(len(truth.frames), FRAMES)
    for frame, row in zip(made, truth.frames, strict=True):
        telescope = truth.telescopes[row["telescope"]]
        frame["path"], frame["camera"], frame["band"] = f"/data/{row['path']}", telescope.camera, row["band"]
        frame["radius"], frame["used"] = 2 * row["fwhm"], True
        frame["gain"] = telescope.gain * (1.3 if row["telescope"] else 1.0)
        frame["zero_point"] = truth.expected_zero_point(row, 2 * row["fwhm"]) - 3 * row["telescope"]
        frame["zero_point"] += 2.5 * np.log10(frame["gain"] / telescope.gain)
    made["frame_id"] = np.arange(len(made)) + 100
    return made[::-1].copy()


def test_perfect_zero_points_have_no_error(truth, frames):
    errors = compare.compare_zero_points(truth, compare.match_frames(truth.frames, frames), frames)
    assert [e.camera for e in errors] == ["AlderCam", "BirchCCD"]
    assert sum(e.n_frames for e in errors) == (truth.frames["tree"] == 0).sum()
    assert all(e.rms < 1e-9 for e in errors)


def test_wrong_zero_points_are_seen(truth, frames):
    pairs = compare.match_frames(truth.frames, frames)
    alder = np.flatnonzero((frames["camera"] == "AlderCam") & ~np.isin(frames["frame_id"], _behind(pairs)))
    frames["zero_point"][alder[0]] += 0.1
    (first, second) = compare.compare_zero_points(truth, pairs, frames)
    n = len(alder)
    assert first.rms == pytest.approx(0.1 * np.sqrt(n - 1) / n, rel=1e-6)
    assert first.worst_path == frames["path"][alder[0]].removeprefix("/data/")
    assert second.rms < 1e-9


def _behind(pairs):
    return np.asarray(pairs["frame_id"][pairs["tree"] > 0])


def test_stars_are_matched_once_and_the_brighter_of_two_wins():
    stars = Table({"ra": [10.0, 10.0001, 11.0], "dec": [0.0, 0.0, 0.0], "V": [15.0, 12.0, 13.0]})
    sources = np.array(
        [(1, 10.0001, 0.0), (2, 10.00011, 0.0), (3, 12.0, 0.0)], [("id", "i8"), ("ra", "f8"), ("dec", "f8")]
    )
    row, distance = compare.match_stars(stars, sources)
    assert row.tolist() == [1, -1, -1]
    assert distance[0] < 1e-6
    with pytest.raises(NothingMatched, match="reference catalogue"):
        compare.match_stars(stars, sources[2:])
    with pytest.raises(NothingMatched, match="no source"):
        compare.match_stars(stars, sources[:0])


@pytest.mark.parametrize(
    "found,true,name",
    [
        (0.5, 0.5, "true"),
        (0.2501, 0.5, "1/2"),
        (1.003, 0.5, "2"),
        (0.508, 0.5, "other"),
        (0.61, 0.5, "other"),
        (np.nan, 0.5, ""),
        (1.0, np.nan, ""),
    ],
)
def test_periods(found, true, name):
    assert compare.period_match(found, true, 10.0) == name


def test_mixture_of_errors_has_the_scatter_of_its_draws():
    rng = np.random.default_rng(2)
    sigma = np.array([0.004, 0.009])
    draws = rng.normal(0, sigma[rng.integers(0, 2, 400_000)])
    assert compare.robust_sigma_of_mixture(sigma) == pytest.approx(compare.robust_sigma(draws), rel=0.01)
    assert compare.robust_sigma_of_mixture(sigma[:1]) == pytest.approx(0.004, rel=1e-4)


def test_variables_ranks_and_false_candidates(truth, frames):
    pairs = compare.match_frames(truth.frames, frames)
    source_of = {row: row + 1000 for row in range(len(truth.stars))}
    variable = np.flatnonzero(truth.stars["kind"] != "constant")
    order = [variable[0], 0 if 0 not in variable else 1, variable[1]]
    candidates = np.array(
        [(r + 1000, 1.0, 2.0, 14.0, 9.0 - i, 0.5, ["iqr"]) for i, r in enumerate(order)], CANDIDATES
    )
    points = {
        "V": np.array([(r + 1000, f, 14.0, 0.01, 0) for r in variable for f in pairs["frame_id"]], POINTS)
    }
    points["V"]["flags"][:3] = int(Flag.SATURATED)
    found = compare.compare_variables(truth, pairs, source_of, candidates, points, {})
    assert len(found) == len(variable)
    by_id = {v.star_id: v for v in found}
    assert [by_id[int(truth.stars["id"][r])].rank for r in (order[0], order[2])] == [1, 3]
    assert found[0].rank == 1 and found[0].n_obs < len(pairs)
    false = compare.false_candidates(truth, source_of, candidates)
    assert [(f.rank, f.star_id) for f in false] == [(2, order[1] + 1)]
    result = Comparison(*[0] * 5, (), 0, 0.0, 0.0, found[:2] if found[1].rank else found, false, (), ())
    clear = [v for v in result.variables if v.clear]
    last = max((v.rank for v in clear), default=0)
    assert len(result.false_above) == sum(f.rank < last for f in false)
    assert result.missed == tuple(v for v in clear if v.rank == 0)


def test_clear_means_above_five_times_the_noise():
    common = {
        "star_id": 1,
        "kind": "sine",
        "ra": 0,
        "dec": 0,
        "mag": 14,
        "n_obs": 9,
        "source_id": 1,
        "rank": 0,
    }
    common |= {"score": 0, "period": 1, "period_found": 1, "match": "true"}
    assert VariableFound(amplitude=0.051, noise=0.01, **common).clear
    assert not VariableFound(amplitude=0.049, noise=0.01, **common).clear


def test_scatter_of_true_errors_is_as_expected(truth, frames):
    """Points drawn with the true errors of each star and frame: scatter as expected, pull 1."""
    pairs = compare.match_frames(truth.frames, frames)
    rng = np.random.default_rng(8)
    source_of = {row: row + 1 for row in np.flatnonzero(truth.stars["V"] < 14.5).tolist()}
    points = []
    for row, source_id in source_of.items():
        error = truth.errors(truth.stars[row], pairs)
        mag = truth.stars["V"][row] + rng.normal(0, error)
        points += [(source_id, f, m, e, 0) for f, m, e in zip(pairs["frame_id"], mag, error, strict=True)]
    result = compare.compare_scatter(truth, pairs, source_of, np.array(points, POINTS), "V")
    assert result.n_stars >= 8
    assert result.median == pytest.approx(result.expected, rel=0.15)
    assert result.pull == pytest.approx(1.0, abs=0.12)
