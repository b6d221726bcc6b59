"""Statistics, candidates and periods of an archive with known variables."""

import dataclasses

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.core.footprints import count_coverage
from photodb.core.sky import project
from photodb.errors import NothingMatched
from photodb.simulate.measurements import SurveySettings, simulate_survey
from photodb.steps.periods import period_at, period_of_source
from photodb.steps.solve import SolveSettings, solve
from photodb.steps.stats import stats
from photodb.steps.variables import variables
from photodb.storage import stats as stats_rows
from photodb.storage.tables import INDEX_COLUMNS
from tests.helpers import survey_archive

SURVEY = SurveySettings(
    order=1,
    n_frames=60,
    n_stars=150,
    variables=0.0,
    completeness=(1.0, 1.0),
    dither=0.02,
    outliers=0.002,
    faintest=17.0,
)
PERIOD = 0.41


@pytest.fixture(scope="module")
def survey():
    """A survey with a pulsator (star 0 by brightness rank 12) on known nights."""
    made = simulate_survey(SURVEY, seed=3)
    star = int(np.argsort(made.star_mag)[12])
    rng = np.random.default_rng(1)
    time = np.sort(np.concatenate([night + rng.uniform(0.3, 0.6, 20) for night in range(3)]))
    wave = 0.15 * np.sin(2 * np.pi * time / PERIOD)
    m = made.measurements
    mag = m.mag + np.where(m.star == star, wave[m.frame], 0.0)
    return dataclasses.replace(made, measurements=dataclasses.replace(m, mag=mag), time=time), star


@pytest.fixture
def solved(database, survey):
    filled = survey_archive.fill(database, survey[0])
    solve(database, SolveSettings(order=1))
    return database, filled, survey[1]


def test_the_pulsator_is_the_first_candidate_with_its_period(solved):
    db, filled, star = solved
    report = stats(db)
    assert report.n_candidates >= 1
    found = variables(db)
    assert found["source_id"][0] == filled.source_id[star]
    assert found["band"][0] == "R"
    assert found["period"][0] == pytest.approx(PERIOD, rel=0.01)
    assert "pass:iqr" in found["reason"][0]
    assert (np.diff(found["score"]) <= 0).all()
    assert len(found) <= 2
    everything = variables(db, all_stars=True)
    assert len(everything) == np.unique(everything["source_id"]).size == report.n_sources
    assert everything["source_id"][0] == filled.source_id[star]
    assert len(variables(db, min_epochs=61)) == 0
    with pytest.raises(NothingMatched, match="no band V in the archive; bands: R"):
        variables(db, band="V")
    assert len(variables(db, all_stars=True, limit=7)) == 7


def test_rows_are_complete_for_all_and_for_each_telescope(solved):
    db, filled, star = solved
    stats(db)
    names = ", ".join(name for name, _, _ in INDEX_COLUMNS)
    query = text(
        f"SELECT telescope_id, n_obs, n_bad, bad_fraction, quality_flag, z, tags, reference_star, {names} "
        "FROM source_stat WHERE source_id = :s ORDER BY telescope_id"
    )
    with db.begin() as conn:
        rows = conn.execute(query, {"s": int(filled.source_id[star])}).mappings().all()
        references = conn.scalar(text("SELECT count(*) FROM source_stat WHERE reference_star"))
    assert len(rows) == 3
    assert rows[0]["telescope_id"] == 0
    assert rows[0]["n_obs"] == rows[1]["n_obs"] + rows[2]["n_obs"]
    assert all(np.isfinite(rows[0][name]) for name, _, _ in INDEX_COLUMNS)
    assert rows[0]["z"]["iqr"] > 5
    assert rows[0]["global_noise"] == pytest.approx(0.15 / np.sqrt(2), rel=0.3)
    assert not rows[0]["reference_star"]
    assert references == 20


def test_stats_again_replace_and_change_nothing(solved):
    db, _, _ = solved
    stats(db)
    query = text(
        "SELECT md5(string_agg(t::text, ' ' ORDER BY source_id, telescope_id)) FROM "
        "(SELECT source_id, telescope_id, iqr, score, z, tags, period FROM source_stat) t"
    )
    with db.begin() as conn:
        first = conn.scalar(query)
    stats(db)
    with db.begin() as conn:
        assert conn.scalar(query) == first


def test_bad_points_and_missing_ones_lower_the_quality(database, survey):
    made, _ = survey
    m = made.measurements
    flags = np.zeros(len(m), dtype=np.int32)
    spoilt, missing = (int(j) for j in np.argsort(made.star_mag)[[20, 21]])
    flags[np.flatnonzero(m.star == spoilt)[::3]] = Flag.SATURATED
    keep = np.ones(len(m), dtype=bool)
    keep[np.flatnonzero(m.star == missing)[::3]] = False
    made = dataclasses.replace(made, measurements=m.take(keep))
    filled = survey_archive.fill(database, made, flags=flags[keep])
    solve(database, SolveSettings(order=1))
    stats(database)
    query = text(
        "SELECT n_obs, n_bad, bad_fraction, quality_flag FROM source_stat "
        "WHERE source_id = :s AND telescope_id = 0"
    )
    with database.begin() as conn:
        for star in (spoilt, missing):
            row = conn.execute(query, {"s": int(filled.source_id[star])}).one()
            assert row.quality_flag == -1
            assert row.bad_fraction == pytest.approx(1 / 3, abs=0.08)
            assert row.n_obs + row.n_bad <= 60


def test_periods_by_position_and_by_source(solved):
    db, filled, star = solved
    found, _ = period_at(db, filled.ra[star], filled.dec[star], 2.0)
    assert found["period"][0] == pytest.approx(PERIOD, rel=0.01)
    again, notes = period_of_source(db, int(filled.source_id[star]))
    assert notes == ()
    assert again["period"][0] == found["period"][0]
    assert again["n_obs"][0] == 60
    with pytest.raises(NothingMatched, match="there is no source 12345"):
        period_of_source(db, 12345)


def test_without_solution_or_statistics_it_says_so(database, survey):
    with pytest.raises(NothingMatched, match="photodb solve"):
        variables(database)
    survey_archive.fill(database, survey[0])
    solve(database)
    with pytest.raises(NothingMatched, match="photodb stats"):
        variables(database)


def test_coverage_counts_frames_that_hold_a_position():
    frames = np.zeros(3, stats_rows.FRAME_DTYPE)
    for i, ra0 in enumerate((359.9, 0.1, 40.0)):
        corners = np.array([[-0.2, -0.1], [0.2, -0.1], [0.2, 0.1], [-0.2, 0.1]])
        frames[i]["ra"], frames[i]["dec"], frames[i]["radius"] = ra0, 30.0, 0.2237
        frames[i]["footprint"] = np.column_stack(
            [(ra0 + corners[:, 0] / np.cos(np.radians(30.0))) % 360, 30.0 + corners[:, 1]]
        ).ravel()
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(-0.6, 0.6, 500) % 360, rng.uniform(29.8, 30.2, 500)
    expected = np.zeros(500, dtype=int)
    for frame in frames[:2]:
        x, y = project(ra, dec, frame["ra"], frame["dec"])
        expected += (np.abs(x) < 0.2) & (np.abs(y) < 0.1)
    counted = count_coverage(frames, ra, dec)
    assert np.mean(counted == expected) > 0.98  # footprints are not quite rectangles of the tangent plane
    assert counted.max() == 2
    frames["footprint"][1, 0] = np.nan
    assert count_coverage(frames, ra, dec).max() == 1
