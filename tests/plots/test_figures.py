"""Figures from bundles: what they hold, and that nothing lies outside or on top of another thing."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from photodb.core.coverwords import WORDS
from photodb.core.flags import Flag
from photodb.core.tangent import TangentWCS
from photodb.errors import NothingMatched, UsageError
from photodb.plots import style
from photodb.plots.coverage import coverage_figure
from photodb.plots.depth import depth_figure
from photodb.plots.lightcurve import light_curve_figure
from photodb.plots.noise import noise_figure, running_median
from photodb.plots.quality import quality_figure
from photodb.plots.residuals import residuals_figure
from photodb.plots.shifts import shifts_figure
from photodb.plots.timeline import timeline_figure
from photodb.plots.zeropoints import zero_points_figure

rng = np.random.default_rng(3)


def frames(n_nights: int, n: int = 40) -> dict[str, np.ndarray]:
    mjd = np.concatenate([60000.8 + 3 * k + np.linspace(0, 0.2, n) for k in range(n_nights)])
    count = len(mjd)
    names = (
        "data_min data_max dynamic_range nonuniformity fwhm ellipticity n_detections light_lost background "
        "limiting_mag jump shift turn shift_n shift_x shift_y shift_rotation "
        "shift_rms zero_point gray_loss scatter"
    )
    columns = {name: rng.uniform(1, 9, count) for name in names.split()}
    status = np.where(np.arange(count) % 7 == 0, "rejected", "accepted")
    codes = np.where(
        status == "rejected", np.array(["qa", "shift", "by_hand", "torn"])[np.arange(count) % 4], ""
    )
    names = {"camera": rng.choice(["a", "b"], count), "status": status, "reason_code": codes}
    return {"mjd": mjd, **names, **columns}


def points(n: int = 80, n_bands: int = 2) -> dict[str, np.ndarray]:
    return {
        "mjd": 60000.8 + np.sort(rng.uniform(0, 0.2, n)),
        "mag": rng.normal(12, 0.02, n),
        "mag_err": np.full(n, 0.02),
        "flags": np.where(np.arange(n) % 9 == 0, 1, 0),
        "band": rng.choice(list("BVRIz")[:n_bands], n),
        "telescope": rng.choice(["a", "b"], n),
    }


def with_limits(columns: dict[str, np.ndarray], every: int) -> dict[str, np.ndarray]:
    limit = np.arange(len(columns["mjd"])) % every == 0
    flags = np.where(limit, int(Flag.FAINT | Flag.NEGATIVE), columns["flags"])
    mag = np.where(limit, np.nan, columns["mag"])
    return {**columns, "flags": flags, "mag": mag, "mag_limit": np.full(limit.size, 12.5)}


def stars(n: int = 400) -> dict[str, np.ndarray]:
    mag = rng.uniform(10, 16, n)
    expected = 0.004 * 10 ** (0.2 * (mag - 10))
    return {
        "mag": mag,
        "noise": expected * rng.lognormal(0, 0.1, n),
        "expected": expected,
        "band": rng.choice(["V", "R"], n),
        "candidate": np.arange(n) % 50 == 0,
        "quality_flag": np.where(np.arange(n) % 30 == 1, -1, 0),
    }


def footprints(n, ra, dec, bands="V", jitter=0.1):
    """Frames of half a degree around a position."""
    corners, size = [], 900.0
    for _ in range(n):
        at = TangentWCS.approximate(ra, dec, 0, 0, 2.0).to_sky(*rng.normal(0, 1800 * jitter, 2))
        wcs = TangentWCS.approximate(float(at[0]), float(at[1]), size / 2, size / 2, 2.0, rng.uniform(0, 360))
        corners.append(wcs.to_sky([0, size, size, 0], [0, 0, size, size]))
    ra_dec = np.array(corners)
    named = {"camera": rng.choice(["a", "b"], n), "band": rng.choice(list(bands), n)}
    numbers = {"radius": np.full(n, 0.3536), "limit": rng.normal(18, 0.2, n)}
    return {**named, **numbers, "ra": ra_dec[:, 0], "dec": ra_dec[:, 1]}


def together(*parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def known(n, words=WORDS, nights=2, cameras="ab"):
    """What is known of a position on n frames."""
    word = np.array(words)[np.arange(n) % len(words)]
    columns = {name: rng.normal(16, 0.1, n) for name in ("mag", "limit_5sigma")}
    columns |= {f"instrumental_{name}": column - 25 for name, column in columns.items()}
    mjd = 60000.1 + 4 * (np.arange(n) % nights) + np.sort(rng.uniform(0, 0.3, n))
    more = {"mjd": mjd, "coverage": word, "mag_err": np.full(n, 0.02), "snr": np.full(n, 2.0)}
    return {**columns, **more, "camera": rng.choice(list(cameras), n), "band": rng.choice(["V", "R"], n)}


def every_figure() -> dict[str, Figure]:
    corners = np.array([[-0.5, 0.5, 0.5, -0.5]])
    return {
        "quality one night": quality_figure(frames(1), {"min_range": 5.0, "max_nonuniformity": 7.0}),
        "quality nights": quality_figure(
            frames(30), {"min_range": np.full(1200, 5.0), "max_fwhm": 7.0}, "title"
        ),
        "quality six cameras": quality_figure({**frames(2), "camera": np.tile(list("abcdef"), 14)[:80]}),
        "quality one frame": quality_figure(frames(1, 1), {"min_limit": 3.0, "max_background": 5.0}),
        "shifts": shifts_figure(frames(2)),
        "shifts with limits": shifts_figure(frames(2), {"max_rms": 5.0, "max_jump": 4.0, "min_stars": 3}),
        "shifts one frame": shifts_figure(frames(1, 1)),
        "zero points": zero_points_figure(frames(3)),
        "noise": noise_figure(stars()),
        "light curve": light_curve_figure(points(), "source 1"),
        "five bands": light_curve_figure(points(n_bands=5), "source 1"),
        "one point": light_curve_figure(points(1, 1)),
        "limits": light_curve_figure(with_limits(points(), 4), "source 1"),
        "only limits": light_curve_figure(with_limits(points(20, 1), 1)),
        "residuals": residuals_figure(
            {
                "x": rng.uniform(-1, 1, 900),
                "y": rng.uniform(-1, 1, 900),
                "residual": rng.normal(0, 0.01, 900),
                "camera": rng.choice(["a", "b"], 900),
            }
        ),
        "outlines at the pole": coverage_figure(footprints(40, 30.0, 89.9)),
        "outlines of far fields": coverage_figure(together(footprints(9, 0, 80), footprints(9, 180, -80))),
        "depth": depth_figure(footprints(200, 359.95, 20.0, "VR"))[0],
        "depth of one frame": depth_figure(footprints(1, 0.0, -90.0))[0],
        "depth of five fields": depth_figure(
            together(*(footprints(5, 60 * k, 0, "BV") for k in range(5))), "limit"
        )[0],
        "timeline": timeline_figure(known(90), "RA 1.00000 Dec +2.00000")[0],
        "timeline of one frame": timeline_figure(known(1))[0],
        "timeline of rejected frames": timeline_figure(known(4, ("rejected",), 1))[0],
        "timeline of many cameras": timeline_figure(known(300, cameras="abcde"), "title")[0],
        "coverage": coverage_figure(
            {"camera": np.array(["a"]), "ra": corners % 360, "dec": np.array([[-1.0, -1, 1, 1]])}
        ),
    }


@pytest.mark.filterwarnings("error")
def test_every_figure_draws_without_a_warning_and_inside_its_page():
    for name, figure in every_figure().items():
        figure.canvas.draw()
        page = figure.bbox.padded(1)
        renderer = figure.canvas.get_renderer()
        for axis in figure.axes:
            if not axis.get_visible():
                continue
            box = axis.get_tightbbox(renderer)
            assert page.x0 <= box.x0 and box.x1 <= page.x1, name
            assert page.y0 <= box.y0 and box.y1 <= page.y1, name
            assert axis.get_window_extent().height > 40, name


def test_labels_of_the_time_axis_do_not_touch():
    for n_nights in (1, 2, 7, 30):
        figure = quality_figure(frames(n_nights))
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        boxes = [t.get_window_extent(renderer) for t in figure.axes[-1].get_xticklabels() if t.get_text()]
        boxes.sort(key=lambda box: box.x0)
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes)), n_nights


def test_limits_are_arrows_that_point_down_within_the_panel():
    figure = light_curve_figure(with_limits(points(40, 1), 4))
    axis = figure.axes[0]
    arrows = [line for line in axis.lines if line.get_marker() == r"$\downarrow$" and len(line.get_xdata())]
    assert sum(len(line.get_xdata()) for line in arrows) == 10
    bottom, top = axis.get_ylim()
    assert all(top <= y <= bottom for line in arrows for y in line.get_ydata())
    assert "fainter than" in [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_brighter_is_up_and_flagged_is_hollow():
    figure = light_curve_figure(points(n_bands=1))
    axis = figure.axes[0]
    bottom, top = axis.get_ylim()
    assert bottom > top
    faces = {line.get_markerfacecolor() for line in axis.lines if len(line.get_xdata())}
    assert "white" in faces
    assert faces - {"white", "none"}


def test_a_wild_point_does_not_set_the_scale():
    curve = points(80, 1)
    curve["mag"][40], curve["flags"][40] = 17.0, 0
    bottom, top = light_curve_figure(curve).axes[0].get_ylim()
    assert bottom - top < 0.5


def test_bands_run_from_blue_to_red():
    assert style.band_order(np.array(["z", "V", "B", "odd", "R"])) == ["B", "V", "R", "z", "odd"]


def test_time_axis_cuts_out_the_days_between():
    mjd = np.array([60010.1, 60000.1, 60000.2, 60010.0])
    times = style.time_axis(mjd)
    np.testing.assert_allclose(times.x, [0.24, 0.0, 0.1, 0.14])
    np.testing.assert_allclose(times.first_mjd, [60000.1, 60010.0])
    assert style.date_of(60000.5) == "2023-02-25"
    assert style.clock(60000.75) == "18:00"


def test_running_median_needs_enough_stars():
    assert len(running_median(np.arange(10.0), np.arange(10.0))[0]) == 0
    x, y = running_median(np.arange(100.0), 2 * np.arange(100.0))
    np.testing.assert_allclose(y, 2 * x)


def test_nothing_to_draw_says_so():
    empty = {name: column[:0] for name, column in frames(1).items()}
    for draw in (quality_figure, shifts_figure, zero_points_figure):
        with pytest.raises(NothingMatched):
            draw(empty)
    with pytest.raises(NothingMatched):
        noise_figure({name: column[:0] for name, column in stars().items()})


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.svg"])
def test_saving(tmp_path, name):
    path = style.save(light_curve_figure(points(5, 1)), tmp_path / name)
    assert path.stat().st_size > 1000


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.png"):
        style.save(light_curve_figure(points(5, 1)), tmp_path / "a.gif")


def test_a_rejected_frame_does_not_set_the_scale_of_zero_points():
    columns = frames(1)
    columns["zero_point"] = np.where(columns["status"] == "rejected", 3.0, 25 + 0.01 * rng.random(40))
    bottom, top = zero_points_figure(columns).axes[0].get_ylim()
    assert top - bottom < 0.1


def labels(axis) -> list[str]:
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_rejected_frames_are_marked_by_their_reason_and_those_beyond_the_limit_ringed():
    figure = quality_figure(frames(1), {"max_fwhm": 5.0})
    named = labels(figure.axes[2])
    assert named[2:] == [
        "rejected: quality", "rejected: shift", "rejected: by hand", "rejected: other", "beyond the limit"
    ]  # fmt: skip
    columns = frames(1)
    columns["fwhm"][:] = 3.0
    columns["fwhm"][[4, 9]] = 6.0, np.nan
    fwhm = next(a for a in quality_figure(columns, {"max_fwhm": 5.0}).axes if a.get_ylabel() == "FWHM (px)")
    rings = [line for line in fwhm.lines if line.get_marker() == "o" and line.get_mfc() == "none"]
    assert [len(line.get_xdata()) for line in rings] == [1]
    assert any("5\npx" in text.get_text() for text in fwhm.texts)


def test_every_camera_has_its_panel_of_counts_while_they_are_few():
    for cameras, panels in ((1, 1), (3, 3), (6, 0)):
        columns = frames(1)
        columns["camera"] = np.array(list("abcdef"))[np.arange(40) % cameras]
        found = [a for a in quality_figure(columns).axes if a.get_ylabel() == "counts (ADU)"]
        assert len(found) == panels


def test_limits_that_differ_by_night_are_drawn_over_their_night():
    columns = frames(2)
    columns["camera"] = np.full(80, "a")
    limit = np.where(columns["mjd"] < 60002, 20.0, 30.0)
    figure = quality_figure(columns, {"max_nonuniformity": limit})
    axis = next(a for a in figure.axes if "nonuniformity" in a.get_ylabel())
    heights = sorted(line[0][1] for c in axis.collections for line in c.get_segments())
    assert heights == [20.0, 30.0]


def drawn(figure):
    """The values of the panels' meshes, (ny, nx) each, the bars of colours left out."""
    found = [c.get_array() for a in figure.axes for c in a.collections if c.get_array() is not None]
    return [np.ma.filled(values, np.nan) for values in found if np.ndim(values) == 2 and values.shape[1] > 1]


@pytest.mark.parametrize("spot", [(0.0, 90.0), (359.99, 10.0), (120.0, -89.9), (10.0, 45.0)])
def test_a_map_counts_frames_and_area_wherever_it_is(spot):
    frames = footprints(30, *spot, jitter=0.02)
    figure, left_out = depth_figure(frames)
    (counted,) = drawn(figure)
    assert left_out == "" and np.nanmax(counted) == 30
    deep, _ = depth_figure(frames, "limit")
    (limit,) = drawn(deep)
    assert np.isfinite(limit).sum() == np.isfinite(counted).sum()
    expected = 1.25 * np.log10(np.sum(10 ** (0.8 * frames["limit"])))
    assert np.nanmax(limit) == pytest.approx(expected, abs=1e-6)


def test_a_map_says_what_it_leaves_out():
    frames = together(*(footprints(6 - k, 60 * k, 0) for k in range(5)))
    frames["limit"][3] = np.nan
    figure, left_out = depth_figure(frames, "limit")
    assert "1 frames without" in left_out and "2 further pieces of sky (5 frames)" in left_out
    assert len(drawn(figure)) == 3
    with pytest.raises(NothingMatched, match="photodb solve"):
        depth_figure({**frames, "limit": np.full(20, np.nan)}, "limit")


def marks(figure):
    return sum(
        len(line.get_xdata()) for axis in figure.axes for line in axis.lines if line.get_ls() == "None"
    )


def test_a_timeline_shows_every_frame_once_and_counts_them():
    frames = known(70)
    figure, left_out = timeline_figure(frames)
    inside = frames["coverage"] != "outside"
    assert marks(figure) == inside.sum() and left_out == ""
    assert sorted(labels(figure.axes[0]))[:2] == ["edge (10)", "forced: fainter than (10)"]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top


def test_a_significant_forced_flux_is_no_limit_and_nothing_calibrated_is_said():
    frames = known(20, ("forced",))
    frames["snr"][:5] = 9.0
    assert set(labels(timeline_figure(frames)[0].axes[0])) == {"forced (5)", "forced: fainter than (15)"}
    frames["mag"][:] = frames["limit_5sigma"][:] = np.nan
    assert "instrumental" in timeline_figure(frames)[0].axes[0].get_ylabel()
    with pytest.raises(NothingMatched):
        timeline_figure({name: column[:0] for name, column in frames.items()})


def test_frames_around_a_pole_are_drawn_in_their_shape():
    figure = coverage_figure(footprints(5, 0.0, 89.9))
    figure.canvas.draw()
    (axis,) = figure.axes
    assert "middle" in axis.get_xlabel()
    width, height = abs(np.subtract(*axis.get_xlim())), abs(np.subtract(*axis.get_ylim()))
    box = axis.get_window_extent()
    assert width / height == pytest.approx(box.width / box.height, rel=0.05)
    assert 0.4 < width / (60 if "arcmin" in axis.get_xlabel() else 1) < 2
