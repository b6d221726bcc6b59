"""Suggested limits on simulated nights with trees, clouds and trailed frames: what is found, and what is spared."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sqlalchemy import text

from photodb.core.fences import light_lost
from photodb.errors import FrameError
from photodb.images.aperture import BEST_RADIUS
from photodb.images.measure import measure
from photodb.images.quality import quality
from photodb.images.reduce import ReducedFrame
from photodb.simulate.frames import positions, render
from photodb.simulate.nights import Weather
from photodb.simulate.survey import plan
from photodb.steps import judge
from photodb.steps.judge import FrameFilter
from photodb.steps.limits import SHIFT, Limits, ShiftLimits, quality_columns, shift_columns
from photodb.steps.suggest import auto_reasons, beyond_suggested, review_queue, suggest, suggested_limits
from tests.helpers.small_archive import fill

SEEDS = (1, 2, 3, 4)
N_FRAMES = 40
CLEAR, CLOUDED = (
    0.1,
    0.8,
)  # mag of light lost: below nothing is wrong, above the frame is bad; between is either


def night(seed):
    """One night of a small camera: a tree takes its end, clouds its middle, two good frames are trailed."""
    weather = Weather(clouds=1.8, satellites=0, cosmic_rays=2.0)
    made = plan(n_frames=N_FRAMES, n_stars=400, n_telescopes=1, n_nights=1, seed=seed, weather=weather)
    camera = replace(made.telescopes[0], nx=320, ny=256, vignetting=(0.0,) * 5)
    cloud = np.array([e.cloud for e in made.exposures])
    tree = np.array([e.tree for e in made.exposures])
    good = np.flatnonzero((cloud < CLEAR) & (tree == 0))
    trailed = np.isin(np.arange(N_FRAMES), np.random.default_rng(seed).choice(good, 2, replace=False))
    rows, stars, kept = [], [], []
    for k, exposure in enumerate(made.exposures):
        mine = replace(camera, ellipticity=(0.7, 0.2)) if trailed[k] else camera
        counts = render(mine, exposure, made.sky, seed, 2.0).astype(np.float32)
        full = counts >= camera.full_well
        frame = ReducedFrame(counts, counts, full, camera.full_well, np.inf, 0, 0)
        try:
            found = measure(frame, camera.gain, aperture=4.0, psf="none")
        except FrameError:  # not one star: ingest rejects it
            continue
        kept.append(k)
        rows.append((quality(counts), found))
        tree_of_stars = cKDTree(np.column_stack(positions(camera, exposure, made.sky)))
        flux = found.detections.flux[:, BEST_RADIUS]
        off, star = tree_of_stars.query(np.column_stack([found.detections.x, found.detections.y]))
        clear = (off < 1) & (flux > 30 * found.detections.flux_err[:, BEST_RADIUS])
        stars.append(
            np.column_stack([np.full(clear.sum(), len(rows) - 1), star[clear], -2.5 * np.log10(flux[clear])])
        )
    exposures = [made.exposures[k] for k in kept]
    return columns(exposures, rows, np.concatenate(stars)), (tree[kept] > 0, cloud[kept], trailed[kept])


def columns(exposures, rows, stars):
    n = len(rows)
    return {
        "frame_id": np.arange(n), "mjd": np.array([e.mjd for e in exposures]), "camera": np.full(n, "c"),
        "band": np.full(n, "V"), "field_id": np.ones(n, int), "exptime": np.full(n, 60.0), "night": np.ones(n),
        "dynamic_range": np.array([q.dynamic_range for q, _ in rows]),
        "nonuniformity": np.array([q.nonuniformity for q, _ in rows]),
        "n_detections": np.array([len(m.detections) for _, m in rows]),
        "limiting_mag": np.array([-2.5 * np.log10(m.limiting_flux) for _, m in rows]),
        "light_lost": light_lost(stars[:, 0].astype(int), stars[:, 1].astype(int), stars[:, 2]),
        **{name: np.array([getattr(m, name) for _, m in rows]) for name in ("fwhm", "ellipticity", "background")},
    }  # fmt: skip


@pytest.fixture(scope="module")
def nights():
    return [night(seed) for seed in SEEDS]


def test_bad_frames_are_found_and_good_ones_spared(nights):
    """Over four nights: every frame behind the tree, every trailed one, 95 % of the clouded ones, no good one."""
    found = {"tree": [], "trailed": [], "clouded": [], "good": []}
    for frames, (tree, cloud, trailed) in nights:
        gone = np.isin(frames["frame_id"], list(beyond_suggested(frames, suggest(frames))))
        found["tree"] += gone[tree].tolist()
        found["trailed"] += gone[trailed].tolist()
        found["clouded"] += gone[(cloud > CLOUDED) & ~tree & ~trailed].tolist()
        found["good"] += gone[(cloud < CLEAR) & ~tree & ~trailed].tolist()
    counts = {name: (sum(gone), len(gone)) for name, gone in found.items()}
    assert counts["tree"] == (20, 20) and counts["trailed"] == (8, 8), counts
    assert counts["clouded"][1] > 15 and counts["clouded"][0] >= 0.95 * counts["clouded"][1], counts
    assert counts["good"][1] > 40 and counts["good"][0] == 0, counts


def test_clouds_are_measured_before_any_solution(nights):
    for frames, (tree, cloud, trailed) in nights:
        clear = ~tree & ~trailed
        lost = frames["light_lost"][clear] - np.median(frames["light_lost"][clear & (cloud < CLEAR)])
        assert np.sqrt(np.mean((lost - cloud[clear]) ** 2)) < 0.1


def test_a_clean_night_of_any_length_loses_nothing(nights):
    for frames, (tree, cloud, trailed) in nights:
        good = np.flatnonzero((cloud < CLEAR) & ~tree & ~trailed)
        for n in range(5, len(good)):
            part = {name: column[good[:n]] for name, column in frames.items()}
            assert beyond_suggested(part, suggest(part)) == {}, n


@pytest.fixture
def odd(database):
    """Eight series of twelve frames; frame 10 is blurred, frame 20 on its way there, frame 30 jumped."""
    fill(database, n_frames=96, n_stars=6)
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET fwhm = 3.2, shift_x = 0, shift_y = 0, dynamic_range = 8000"))
        conn.execute(text("UPDATE frame SET fwhm = 9 WHERE frame_id = 10"))
        conn.execute(text("UPDATE frame SET fwhm = 4.6 WHERE frame_id = 20"))
        conn.execute(text("UPDATE frame SET shift_x = 70 WHERE frame_id = 30"))
    return database


def nothing(_: str) -> None:
    """Hear nothing."""


def test_suggestions_of_an_archive_name_their_series(odd):
    frames = quality_columns(odd, FrameFilter())
    found = [s.record() for s in suggest(frames) if s.measure.column == "fwhm"]
    assert {(r["camera"], r["band"], r["night"]) for r in found} == {
        (c, b, n) for c in ("castor-ccd", "pollux-ccd") for b in "RV" for n in (60000, 60001)
    }
    assert {(r["n"], r["limit"]) for r in found} == {(12, 4.8)}
    assert sum(r["n_beyond"] for r in found) == 1
    reason = beyond_suggested(frames, suggest(frames))[10]
    assert reason == "FWHM 9 px; at most 4.8 suggested by the series"


def test_few_frames_of_several_nights_are_taken_together(odd):
    with odd.begin() as conn:
        conn.execute(text("DELETE FROM frame WHERE frame_id > 64"))
        conn.execute(text("UPDATE frame SET night = 60002 WHERE frame_id > 56"))
    frames = quality_columns(odd, FrameFilter(camera="castor-ccd", band="V"))
    found = [s.record() for s in suggest(frames) if s.measure.column == "fwhm"]
    assert [(r["night"], r["n"]) for r in found] == [(60000, 12), (-1, 4)]
    assert np.isnan(found[1]["limit"]) and found[1]["note"] == "4 frames, 10 needed"


def test_what_somebody_restored_is_left_alone_unless_a_limit_asks(odd):
    assert sorted(auto_reasons(odd, FrameFilter(), Limits(), nothing)) == [10]
    judge.reject(odd, {10: "FWHM"}, judge.BY_QUALITY, "qa apply")
    judge.restore(odd, [10])
    heard = []
    assert auto_reasons(odd, FrameFilter(), Limits(), heard.append) == {}
    assert "1 frames that were restored are left alone: 10" in heard[0]
    asked = auto_reasons(odd, FrameFilter(), Limits(max_fwhm=4.0), nothing)
    assert asked == {10: "FWHM 9 px; at most 4 asked", 20: "FWHM 4.6 px; at most 4 asked"}
    assert sorted(auto_reasons(odd, FrameFilter(), ShiftLimits(max_shift=60.0), nothing, SHIFT)) == [30]


def test_the_review_queue_begins_with_the_oddest_and_ends_with_judging(odd):
    queue = review_queue(odd, FrameFilter())
    assert [row["frame_id"] for row in queue] == [30, 10, 20]
    assert queue[0]["odd"] == pytest.approx(70 / 5) and queue[0]["why"].startswith("jump of the shift 70 px")
    assert queue[2]["odd"] == pytest.approx(1.4 / 1.6, rel=1e-3)
    judge.reject(odd, {30: "shift"})
    judge.restore(odd, [30])
    assert [row["frame_id"] for row in review_queue(odd, FrameFilter())] == [10, 20]


def test_limits_to_draw_are_given_or_suggested_for_each_frame(odd):
    frames = shift_columns(odd, FrameFilter())
    limits = suggested_limits(frames, ShiftLimits(max_rms=0.3), SHIFT)
    assert limits["max_rms"] == 0.3 and (limits["max_jump"] == 5.0).all()
    assert np.isnan(limits["max_shift"]).all()
