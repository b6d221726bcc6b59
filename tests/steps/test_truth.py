"""The comparison reads the archive."""

import pytest

from photodb.errors import NothingMatched
from photodb.simulate import plan
from photodb.simulate.truth import Truth, frame_table, star_table
from photodb.steps.truth import compare
from photodb.storage import comparisons


def test_without_a_solution_there_is_nothing_to_compare(database):
    survey = plan(n_frames=4, n_stars=30)
    paths = [survey.path(e) for e in survey.exposures]
    truth = Truth(
        star_table(survey.sky), frame_table(survey.exposures, survey.telescopes, paths), survey.telescopes
    )
    with pytest.raises(NothingMatched, match="photodb solve"):
        compare(database, truth)


def test_an_empty_archive_gives_empty_columns(database):
    with database.begin() as conn:
        assert len(comparisons.frames(conn, 1)) == 0
        assert len(comparisons.sources(conn, 1, "V")) == 0
        assert comparisons.candidates(conn, 1).dtype == comparisons.CANDIDATE_DTYPE
        assert len(comparisons.points(conn, 1, [1, 2], "V")) == 0
