"""What is known of a position on each frame: simulated frames with masters whose truth is known, and one real night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sqlalchemy import text

from photodb.archive import Archive
from photodb.core import sky
from photodb.core.footprints import border_px
from photodb.core.tangent import TangentWCS
from photodb.errors import FrameError, NothingMatched, UsageError
from photodb.images.masterfile import from_bytes, read_mask
from photodb.steps import ask, judge
from photodb.steps.coverage import coverage_at, position_coverage
from photodb.steps.coversummary import stacked, summary_table, told
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope
from photodb.steps.refcat import load_refcat
from photodb.steps.solve import SolveSettings, solve
from photodb.storage import masters, tables
from photodb.storage.coverage import Which, frames_near
from photodb.storage.engine import Database
from tests.core.test_footprints import NX, NY, SPOTS, circle, random_wcs
from tests.helpers.raw_frames import TOML, Detector, write_raw
from tests.helpers.small_archive import DEC, RA, fill

SHAPE = (240, 300)
COLUMN = 210  # px, dead
MASK = (20, 170, 70, 220)  # left out at ingest
BRIGHT, SATURATED, FADING, BEHIND = (
    (100.0, 60.0),
    (60.0, 90.0),
    (150.0, 120.0),
    (40.0, 200.0),
)  # px, first frame
EMPTY, BESIDE, AT_COLUMN = (130.0, 190.0), (66.5, 90.0), (212.0, 100.0)
DRIFT = ((0, 0), (1, 2), (2, 1), (24, 3))  # px, by frame
WCS = TangentWCS.approximate(150.0, 20.0, (SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2, 1.0, 3.0)
CLOUD = "a cloud before the field"


def paint(light, x, y, flux, fwhm=3.2):
    gy, gx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sigma = fwhm / 2.3548
    near = np.hypot(gx - x, gy - y) < 25
    light[near] += (
        flux * np.exp(-0.5 * ((gx - x)[near] ** 2 + (gy - y)[near] ** 2) / sigma**2) / (2 * np.pi * sigma**2)
    )


@dataclass(frozen=True)
class Night:
    """An archive of four frames of one sky."""

    db: Database

    def at(self, place, **more):
        """What is known of the place that has these pixels on the first frame."""
        ra, dec = (float(v) for v in self.wcs().to_sky(*place))
        with self.db.begin() as conn:
            return coverage_at(conn, ra, dec, **more)

    def wcs(self, path="a0.fits"):
        with self.db.begin() as conn:
            query = "SELECT wcs FROM frame WHERE path LIKE '%' || :path"
            return TangentWCS.from_dict(conn.execute(text(query), {"path": path}).scalar_one())


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Calibration frames with a dead column, and four frames that drift; one star fades after the first two."""
    folder = tmp_path_factory.mktemp("raw")
    detector = Detector(shape=SHAPE, hot_rate=0.0, n_dead=0)
    detector.flat[:, COLUMN] = 0.02
    rng = np.random.default_rng(21)
    x, y = rng.uniform(5, 330, 90), rng.uniform(5, 240, 90)
    keep = np.ones(90, bool)
    for px, py in (BRIGHT, SATURATED, FADING, BEHIND, EMPTY, BESIDE):
        keep &= np.hypot(x - px, y - py) > 18
    keep &= np.abs(x - AT_COLUMN[0]) > 12
    x, y, flux = x[keep], y[keep], np.exp(rng.uniform(*np.log([8000, 150000]), keep.sum()))
    x, y = np.r_[x, BRIGHT[0], SATURATED[0], BEHIND[0]], np.r_[y, BRIGHT[1], SATURATED[1], BEHIND[1]]
    flux = np.r_[flux, 2e5, 6e6, 9e4]

    def write(name, kind, when, seconds=0.0, light=0.0):
        counts = detector.expose(rng, light, seconds)
        write_raw(folder / f"{name}.fits", counts, kind, seconds, "V", f"2024-03-01T{when}", **detector.cards)

    for k in range(4):
        write(f"z{k}", "Bias", f"18:0{k}:00")
        write(f"d{k}", "Dark", f"18:1{k}:00", seconds=60.0)
        write(f"f{k}", "Flat", f"18:3{k}:00", seconds=3.0, light=40000.0 - 6000 * k)
    for k, (dx, dy) in enumerate(DRIFT):
        light = np.full(SHAPE, 500.0)
        for px, py, f in zip(x, y, flux, strict=True):
            paint(light, px - dx, py - dy, f)
        if k < 2:
            paint(light, FADING[0] - dx, FADING[1] - dy, 20000.0)
        write(f"a{k}", "Light", f"20:0{k}:00", seconds=60.0, light=light)
    ra, dec = WCS.to_sky(x, y)
    rows = [f"s{i},{a:.7f},{d:.7f}" for i, (a, d) in enumerate(zip(ra, dec, strict=True))]
    (folder / "stars.csv").write_text("\n".join(["id,ra,dec", *rows]))
    return folder


@pytest.fixture(scope="module")
def night(server, raw, tmp_path_factory):
    name = server.create()
    camera = tmp_path_factory.mktemp("camera") / "camera.toml"
    camera.write_text(TOML.format(more=""))
    with server.database(name) as db:
        add_telescope(db, camera)
        load_refcat(db, raw / "stars.csv", "truth")
        centre = tuple(float(v) for v in WCS.to_sky(*((n - 1) / 2 for n in SHAPE[::-1])))
        settings = IngestSettings(jobs=0, masks=(MASK,), center=centre)
        report = ingest(db, sorted(raw.glob("*.fits")), settings)
        assert (report.n_accepted, report.n_masters) == (4, 3)
        with db.begin() as conn:
            frames = conn.execute(
                text("SELECT frame_id, path FROM frame WHERE kind = 'science' ORDER BY mjd")
            ).all()
        assert [f[1][-7:] for f in frames] == ["a0.fits", "a1.fits", "a2.fits", "a3.fits"]
        solve(db, SolveSettings())
        judge.reject(db, {frames[3][0]: CLOUD})
        yield Night(db)
    server.drop(name)


def words(answer):
    return answer.columns["coverage"].tolist()


def test_the_frames_are_placed_by_the_catalogue(night):
    x, y = night.wcs().to_pixel(*WCS.to_sky(*BRIGHT))
    assert np.hypot(x - BRIGHT[0], y - BRIGHT[1]) < 0.3


def test_a_bright_star_is_measured_and_the_rejected_frame_says_why(night):
    answer = night.at(BRIGHT)
    assert words(answer) == ["measured"] * 3 + ["rejected"]
    c = answer.columns
    assert c["reason"].tolist() == ["", "", "", CLOUD]
    np.testing.assert_allclose(c["x"], [BRIGHT[0] - d[0] for d in DRIFT], atol=0.4)
    np.testing.assert_allclose(c["y"], [BRIGHT[1] - d[1] for d in DRIFT], atol=0.4)
    np.testing.assert_allclose(c["flux"][:3], 2e5 * night_gain(night), rtol=0.05)
    assert np.ptp(c["mag"][:3]) < 0.02 and (c["mag_err"][:3] < 0.02).all()
    assert len(set(c["source_id"].tolist())) == 1 and (c["separation_arcsec"] < 0.5).all()
    assert (c["limit_5sigma"][:3] > c["mag"][:3] + 4).all()
    assert set(c["astrometry"].tolist()) <= {"catalogue", "frames"}


def night_gain(night):
    with night.db.begin() as conn:
        return conn.execute(text("SELECT max(gain) FROM frame WHERE kind = 'science'")).scalar_one() / 2.0


def test_an_empty_place_has_a_limit_that_a_star_of_five_sigma_has(night):
    answer = night.at(EMPTY)
    assert words(answer) == ["limit"] * 3 + ["rejected"]
    c = answer.columns
    assert np.isnan(c["flux"]).all() and (c["source_id"] == -1).all()
    with night.db.begin() as conn:
        query = (
            "SELECT r.flux_psf / r.flux_psf_err, p.mag FROM forced r "
            "JOIN light_curve_point p USING (frame_id, source_id) "
            "WHERE r.frame_id = :f AND r.flux_psf / r.flux_psf_err BETWEEN 20 AND 120"
        )
        snr, mag = np.array(conn.execute(text(query), {"f": int(c["frame_id"][0])}).all(), float).T
    noise = 10 ** (-0.4 * mag) / snr  # of the sky and, in part, of the star: the faintest come nearest
    expected = -2.5 * np.log10(5 * noise.min())
    assert expected - 0.1 < c["limit_5sigma"][0] < expected + 0.75


def test_a_star_that_faded_is_forced_there_with_a_limit_of_its_own(night):
    answer = night.at(FADING)
    assert words(answer) == ["measured", "measured", "forced", "rejected"]
    c = answer.columns
    assert abs(c["flux"][2]) < 5 * c["flux_err"][2] < 5000
    own = -2.5 * np.log10(5 * c["flux_err"][2] / c["exptime"][2])
    assert c["instrumental_limit_5sigma"][2] == pytest.approx(own, abs=1e-3)
    empty = night.at(EMPTY).columns
    assert c["limit_5sigma"][2] == pytest.approx(empty["limit_5sigma"][2], abs=0.15)


def test_bad_pixels_of_the_flat_mask_a_place(night):
    c = night.at(AT_COLUMN).columns
    assert c["coverage"].tolist()[:3] == ["masked"] * 3 and c["reason"][0] == "bad pixels"
    off = c["x"][:3] - COLUMN
    assert (off < 5).all()
    beyond = night.at((COLUMN - 20.0, 190.0)).columns
    assert "bad pixels" not in beyond["reason"].tolist()


def test_saturated_stars_and_what_is_beside_them(night):
    assert night.at(SATURATED).columns["reason"].tolist()[:3] == ["saturated"] * 3
    answer = night.at(BESIDE)
    assert words(answer)[:3] == ["masked"] * 3
    assert set(answer.columns["reason"][:3].tolist()) <= {
        "beside a saturated star",
        "bad pixels",
        "saturated",
    }


def test_no_limit_is_told_within_the_light_of_a_star(night):
    beside = night.at((BRIGHT[0] + 2.5, BRIGHT[1]), radius_arcsec=1.0)
    assert words(beside) == ["masked"] * 3 + ["rejected"]
    assert set(beside.columns["reason"][:3].tolist()) == {"in the light of another star"}
    assert words(night.at((BRIGHT[0] + 9.0, BRIGHT[1]), radius_arcsec=1.0))[:3] == ["limit"] * 3


def test_parts_left_out_at_ingest(night):
    behind = night.at(BEHIND).columns
    assert behind["coverage"].tolist()[:3] == ["measured"] * 3
    assert set(behind["reason"][:3].tolist()) == {"in a part left out (--mask)"}
    nothing = night.at((60.0, 185.0)).columns
    assert nothing["reason"].tolist()[:2] == ["in a part left out (--mask)"] * 2


def test_the_edge_is_within_the_aperture_and_outside_is_told_with_near_misses(night):
    answer = night.at((2.0, 130.0))
    assert words(answer) == ["edge", "edge", "edge"][: len(answer)]
    answer = night.at((2.0, 130.0), near_misses=True)
    c = answer.columns
    assert c["coverage"].tolist()[-1] == "outside" and len(answer) < 4
    assert c["distance_px"][-1] == pytest.approx(24 - 2.0 - 0.5, abs=0.5)
    assert c["distance_arcsec"][-1] == pytest.approx(c["distance_px"][-1] * 1.0, rel=0.01)
    assert np.isnan(c["limit_5sigma"][-1]) and (c["distance_px"][:-1] == 0).all()
    words_told = told(answer)
    assert words_told[0].endswith("cover it: " + f"{len(answer)} edge") and "nearly" in words_told[1]


def test_a_place_that_only_the_drifted_frame_holds(night):
    answer = night.at((SHAPE[1] + 10.0, 130.0))
    assert words(answer) == ["rejected"]


def test_no_frame_there_tells_the_nearest(night):
    ra, dec = (float(v) for v in night.wcs("a3.fits").to_sky(SHAPE[1] - 0.5 + 120.0, 120.0))
    with pytest.raises(
        NothingMatched, match=r"nearest is frame \d+ \(RAW1\), (119|12\d|2(\.0\d*)?) arc"
    ) as error:
        position_coverage(night.db, ra, dec)
    assert error.value.exit_code == 5
    with pytest.raises(NothingMatched, match="no band B"):
        position_coverage(night.db, ra, dec, which=Which(band="B"))
    for place, radius in (((ra, 91.0), None), ((ra, dec), 0.0), ((ra, dec), np.nan)):
        with pytest.raises(UsageError):
            position_coverage(night.db, *place, radius)


def test_the_summary_counts_and_adds_limits(night):
    table = summary_table(night.at(FADING))
    row = {name: column[0] for name, column in table.items()}
    assert (row["band"], row["n_frames"], row["n_measured"], row["n_forced"], row["n_rejected"]) == (
        "V",
        4,
        2,
        1,
        1,
    )
    assert row["last_mjd"] - row["first_mjd"] == pytest.approx(3 / 1440, abs=1e-6)
    assert row["stacked_limit_5sigma"] > row["deepest_limit_5sigma"]
    assert stacked(np.array([20.0, 20.0, 20.0, 20.0, np.nan])) == pytest.approx(20 + 1.25 * np.log10(4))
    assert np.isnan(stacked(np.array([np.nan])))


def test_a_light_curve_that_finds_nothing_says_what_frames_know(night):
    ra, dec = (float(v) for v in night.wcs().to_sky(*EMPTY))
    with pytest.raises(
        NothingMatched, match=r"4 frames cover the place: 3 limit, 1 rejected \(5 sigma down to mag"
    ):
        ask.light_curve(night.db, ra, dec)


def test_python_gives_the_same_with_units(night):
    ra, dec = (float(v) for v in night.wcs().to_sky(*BRIGHT))
    table = Archive(night.db).coverage(ra, dec)
    assert table["coverage"].tolist() == ["measured"] * 3 + ["rejected"]
    assert str(table["limit_5sigma"].unit) == "mag" and str(table["x"].unit) == "pix"
    assert table.meta["n_frames"] == 4
    assert len(Archive(night.db).coverage(0.0, -80.0)) == 0


def test_only_the_mask_of_a_master_is_read_and_it_is_the_same(night):
    with night.db.begin() as conn:
        (row,) = [r for r in masters.list_masters(conn) if r["kind"] == "flat"]
        content = masters.master_content(conn, row["master_id"])
        assert masters.content_length(conn, row["master_id"]) == len(content)
        size = masters.PIECE_BYTES
        for start, stop in ((0, 10), (2880, 6000), (len(content) - 7, len(content)), (size - 3, size + 5)):
            assert masters.content_part(conn, row["master_id"], start, stop) == content[start:stop]
    read = []
    mask = read_mask(lambda a, b: read.append(b - a) or content[a:b], len(content))
    np.testing.assert_array_equal(mask, from_bytes(content, row["data_hash"])[1])
    assert mask[:, COLUMN].all()
    with pytest.raises(FrameError):
        read_mask(lambda a, b: content[a:b][::-1], len(content))
    with pytest.raises(FrameError):
        read_mask(lambda a, b: content[a:b], 6000)


def test_pieces_are_cut_at_their_borders(database, monkeypatch):
    monkeypatch.setattr(masters, "PIECE_BYTES", 100)
    content = bytes(range(256)) * 2
    with database.begin() as conn:
        fill_one_master(conn, content)
        for start, stop in ((0, 512), (99, 101), (100, 200), (250, 251), (199, 500)):
            assert masters.content_part(conn, 1, start, stop) == content[start:stop]


def fill_one_master(conn, content):
    conn.execute(tables.telescope.insert().values(telescope_id=1, name="t"))
    conn.execute(tables.camera.insert().values(camera_id=1, telescope_id=1, name="c", description={}))
    values = {"kind": "dark", "camera_id": 1, "identity": "i", "n_frames": 1, "status": "accepted"}
    assert masters.insert_master(conn, values, [], content) == 1


def test_frames_near_are_those_of_brute_force_at_poles_and_at_0_h(database):
    """200 frames at awkward places: for 70 positions the archive gives every frame that holds them."""
    rng = np.random.default_rng(8)
    frames = []
    with database.begin() as conn:
        conn.execute(tables.telescope.insert().values(telescope_id=1, name="t"))
        conn.execute(tables.camera.insert().values(camera_id=1, telescope_id=1, name="c", description={}))
        conn.execute(tables.band.insert().values(band_id=1, name="V"))
        for number in range(200):
            ra, dec = SPOTS[number % len(SPOTS)]
            ra, dec = (ra + rng.normal(0, 0.2)) % 360, float(np.clip(dec + rng.normal(0, 0.2), -90, 90))
            frames.append(random_wcs(rng, ra, dec, rng.choice([0.5, 2.0, 20.0])))
        conn.execute(tables.frame.insert(), [frame_row(i, wcs) for i, wcs in enumerate(frames)])
        for number in range(70):
            ra, dec = SPOTS[number % len(SPOTS)]
            ra, dec = (ra + rng.normal(0, 0.1)) % 360, float(np.clip(dec + rng.normal(0, 0.1), -90, 90))
            found = coverage_at(conn, ra, dec).columns["frame_id"].tolist()
            assert found == [i + 1 for i, wcs in enumerate(frames) if holds(wcs, ra, dec)]
            near = frames_near(conn, ra, dec, Which()).columns["frame_id"]
            assert set(found) <= set(near.tolist())


def holds(wcs, ra, dec):
    if sky.separation_deg(ra, dec, wcs.ra0, wcs.dec0) > 2 * circle(wcs)[2]:
        return False
    x, y = wcs.to_pixel(ra, dec)
    return bool(border_px(x, y, np.array(NX), np.array(NY)) >= 0)


def frame_row(number, wcs):
    ra, dec, radius = circle(wcs)
    return {
        "path": f"{number}", "data_hash": f"{number}", "kind": "science", "status": "accepted", "camera_id": 1,
        "band_id": 1, "mjd": 60000.0 + number, "exptime": 1.0, "night": 60000, "nx": NX, "ny": NY, "ra": float(ra),
        "dec": float(dec), "radius": float(radius), "healpix": int(sky.healpix29([ra], [dec])[0]),
        "wcs": wcs.to_dict(), "pixel_scale": wcs.scale_arcsec, "astrometry": "catalogue", "astrom_rms": 0.1,
    }  # fmt: skip


def test_frames_without_a_good_place_are_told_apart(database):
    fill(database, n_frames=4, n_stars=6)
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET astrometry = 'approximate' WHERE frame_id = 1"))
        conn.execute(
            text(
                "UPDATE frame SET astrometry = 'none', healpix = -1, wcs = NULL, ra = NULL WHERE frame_id = 2"
            )
        )
        conn.execute(text("UPDATE frame SET n_forced = 5 WHERE frame_id = 3"))
    answer = position_coverage(database, RA, DEC + 0.02)
    assert words(answer) == ["limit"] * 3
    assert answer.columns["astrometry"].tolist().count("approximate") == 1
    assert answer.columns["reason"].tolist() == [
        "not measured yet: 'photodb measure'",
        "",
        "not measured yet: 'photodb measure'",
    ]
    with database.begin() as conn:
        conn.execute(text("UPDATE frame SET n_forced = 5"))
    again = position_coverage(database, RA, DEC + 0.02).columns
    assert again["reason"].tolist() == ["placed only approximately", "", ""]
    lines = " ".join(told(answer))
    assert "1 frame among them placed on the sky only approximately" in lines
    assert "1 frame without a place on the sky" in lines


def test_merged_sources_are_followed(database):
    truth = fill(database, n_frames=4, n_stars=6)
    old, new = (int(truth.source_id[i]) for i in (0, 1))
    with database.begin() as conn:
        for table in ("detection", "light_curve_point"):
            conn.execute(text(f"DELETE FROM {table} WHERE source_id = :s"), {"s": new})
    place = float(truth.ra[1]), float(truth.dec[1]), 0.5
    assert words(position_coverage(database, *place)) == ["limit"] * 4
    with database.begin() as conn:
        conn.execute(text("UPDATE source SET merged_into = :n WHERE source_id = :o"), {"n": new, "o": old})
    columns = position_coverage(database, *place).columns
    assert columns["coverage"].tolist() == ["measured"] * 4
    assert set(columns["source_id"].tolist()) == {new}
    np.testing.assert_allclose(columns["mag"], truth.points[0], atol=1e-5)


@pytest.mark.real
def test_real_frames_of_a_drifting_night(database, data_dir):
    """Six frames of HAT-P-32 over a drift of 275 px: the star is seen on all, and the corners come and go."""
    folder = data_dir("hatp32")
    paths = sorted(folder.glob("*.FITS"))[::28]
    report = ingest(database, paths, IngestSettings(jobs=0, psf="none", max_stars=400))
    assert report.n_accepted == 6
    solve(database, SolveSettings())
    answer = position_coverage(database, 31.0427, 46.6878)
    c = answer.columns
    assert words(answer) == ["measured"] * 6
    assert (c["x"][0], c["y"][0]) == (pytest.approx(423.2, abs=1.0), pytest.approx(285.8, abs=1.0))
    assert np.ptp(c["x"]) + np.ptp(c["y"]) > 150
    with database.begin() as conn:
        query = "SELECT d.x, d.y FROM detection d JOIN frame f USING (frame_id) WHERE source_id = :s ORDER BY f.mjd"
        seen = np.array(conn.execute(text(query), {"s": int(c["source_id"][0])}).all(), float)
    assert np.hypot(seen[:, 0] - c["x"], seen[:, 1] - c["y"]).max() < 0.6
    assert np.ptp(c["mag"]) < 0.1 and (c["limit_5sigma"] > c["mag"] + 3).all()
    with database.begin() as conn:
        solutions = conn.execute(text("SELECT wcs, nx, ny FROM frame ORDER BY mjd")).all()
        n_inside = []
        for x, y in ((1, 1), (648, 1), (648, 498), (1, 498), (325, -30)):
            ra, dec = (float(v) for v in TangentWCS.from_dict(solutions[0][0]).to_sky(x, y))
            inside = []
            for wcs, nx, ny in solutions:
                at = TangentWCS.from_dict(wcs).to_pixel(ra, dec)
                inside.append(-0.5 <= at[0] <= nx - 0.5 and -0.5 <= at[1] <= ny - 0.5)
            found = coverage_at(conn, ra, dec)
            assert len(found) == sum(inside)
            n_inside.append(len(found))
            if inside[0]:
                assert found.columns["coverage"][0] == "edge"
    assert min(n_inside) < 6 and max(n_inside) == 6


def test_an_empty_archive_says_so(database):
    with pytest.raises(NothingMatched, match=r"no frame covers RA 10.00000 Dec \+10.00000; see"):
        position_coverage(database, 10.0, 10.0)
