"""Frames of colour cameras through the whole chain: three bands, one source a star, nothing lost between channels."""

from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from sqlalchemy import text

from photodb.errors import NothingMatched
from photodb.steps import ask
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope, camera_toml
from photodb.steps.progress import Silent
from photodb.steps.run import RunSettings, run
from photodb.storage.rowhashes import row_hashes
from tests.images import bayer_frames as bayer

HERE = IngestSettings(jobs=0)
SHAPE = (500, 600)
N = 8
RAW = ("frame", "detection", "astrometric_match", "source", "field")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Eight drifting mosaics of one field; star 0 fades by 0.3 mag in green, half as much in red."""
    folder = tmp_path_factory.mktemp("osc")
    rng = np.random.default_rng(12)
    sky = bayer.ColourSky.make(rng, 90, SHAPE, flux=(20000.0, 400000.0), spacing=28.0, edge=50.0)
    for channel, value in (("R", 2.1e5), ("G", 3e5), ("B", 2.4e5)):
        sky.flux[channel][0] = value
    faded = {channel: sky.flux[channel].copy() for channel in "RGB"}
    for k in range(N):
        for channel, depth in (("G", 0.3), ("R", 0.15), ("B", 0.3)):
            faded[channel][0] = sky.flux[channel][0] * 10 ** (-0.4 * depth * (k >= N // 2))
        shift = (1.3 * k, -0.9 * k)
        now = bayer.ColourSky(sky.x, sky.y, faded)
        cards = bayer.wcs_cards(SHAPE)
        cards |= {"CRPIX1": cards["CRPIX1"] + shift[0], "CRPIX2": cards["CRPIX2"] + shift[1]}
        bayer.write(folder / f"{k}.fits", bayer.mosaic(now, "GRBG", rng, shape=SHAPE, shift=shift), BAYERPAT="GRBG",
                    SATURATE=62000, **cards, **{"DATE-OBS": f"2024-03-01T22:{10 + k}:00"})  # fmt: skip
    return folder, sky


def rows(db, sql, **values):
    with db.begin() as conn:
        return conn.execute(text(sql), values).all()


def hashes(db):
    with db.begin() as conn:
        return {name: value for name, value in row_hashes(conn).items() if name in RAW}


def test_a_night_becomes_three_bands_of_the_same_sources(database, night):
    folder, sky = night
    report = run(database, [folder], RunSettings(ingest=HERE))
    assert (report.ingest.n_accepted, report.ingest.n_rejected, report.why_not_solved) == (3 * N, 0, "")
    assert any("bands TR, TG, TB" in told for told in report.ingest.assumed)
    frames = rows(database, "SELECT b.name, channel, count(*), count(DISTINCT path) FROM frame JOIN band b USING "
                            "(band_id) WHERE status = 'accepted' GROUP BY 1, 2 ORDER BY 1")  # fmt: skip
    assert frames == [("TB", "B", N, N), ("TG", "G", N, N), ("TR", "R", N, N)]
    # registered to one reference frame of the camera, that of green
    first = rows(database, "SELECT channel, shift_x, shift_y FROM frame ORDER BY frame_id LIMIT 3")
    assert [r[0] for r in first] == ["G", "R", "B"]
    assert rows(database, "SELECT count(DISTINCT reference_frame_id) FROM frame") == [(1,)]
    # GRBG: red lies .5 px of the mosaic to the right of the greens' middle and above it, blue opposite
    for (_, dx, dy), truth in zip(first[1:], [(-0.25, 0.25), (0.25, -0.25)]):
        assert (dx, dy) == pytest.approx(truth, abs=0.02)
    in_three = rows(database, "SELECT count(*) FROM (SELECT source_id FROM detection JOIN frame USING (frame_id) "
                              "WHERE source_id >= 0 GROUP BY 1 HAVING count(DISTINCT channel) = 3) AS s")  # fmt: skip
    sources = rows(database, "SELECT count(*) FROM source")[0][0]
    assert in_three[0][0] >= 85 and sources <= 92
    ra, dec = WCS(bayer.wcs_cards(SHAPE)).all_pix2world(sky.x[:1], sky.y[:1], 0)
    for band, depth in (("TR", 0.15), ("TG", 0.3), ("TB", 0.3)):
        points = ask.light_curve(database, float(ra[0]), float(dec[0]), band=band).points
        mag = points["mag"][np.argsort(points["mjd"])]
        assert len(mag) == N
        assert np.median(mag[N // 2 :]) - np.median(mag[: N // 2]) == pytest.approx(depth, abs=0.02)
    assert run(database, [folder], RunSettings(ingest=HERE)).idle


class _Stop(Silent):
    """Interrupts an ingest once it has written so many frames."""

    def __init__(self, after):
        self.left = after

    def advance(self, n, name=""):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 2, 5])
def test_stopped_between_two_channels_it_resumes_where_it_was(database, another_database, night, after):
    files = sorted(night[0].iterdir())[:3]
    with pytest.raises(KeyboardInterrupt):
        ingest(database, files, HERE, _Stop(after))
    assert rows(database, "SELECT count(*) FROM frame") == [(after,)]
    report = ingest(database, files, HERE)
    assert (report.n_accepted, report.n_known) == (9 - after, after // 3)
    ingest(another_database, files, HERE)
    assert hashes(database) == hashes(another_database)
    assert ingest(database, files, HERE).n_known == 3


def test_a_channel_that_fails_is_rejected_alone_and_can_be_tried_again(database, tmp_path):
    rng = np.random.default_rng(3)
    sky = bayer.ColourSky.make(rng, 60, SHAPE)
    sky.level["B"] = 3e5  # full
    path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE), SATURATE=62000,
                       **bayer.wcs_cards(SHAPE))  # fmt: skip
    report = ingest(database, [path], HERE)
    assert (report.n_accepted, report.n_rejected, report.rejected[0][1]) == (2, 1, "saturated")
    found = rows(database, "SELECT channel, status FROM frame ORDER BY frame_id")
    assert found == [("G", "accepted"), ("R", "accepted"), ("B", "rejected")]
    assert ingest(database, [path], HERE).n_new == 0
    again = ingest(database, [path], IngestSettings(jobs=0, retry=True))
    assert (again.n_new, again.n_rejected) == (1, 1)
    assert rows(database, "SELECT count(*) FROM frame") == [(3,)]


def test_copies_are_known_and_a_description_decides(database, tmp_path, night):
    first = sorted(night[0].iterdir())[0]
    ingest(database, [first], HERE)
    copy = tmp_path / "copy.fits"
    copy.write_bytes(first.read_bytes() + bytes(2880))  # other bytes, the same frame
    report = ingest(database, [copy], HERE)
    assert (report.n_new, report.n_known) == (0, 3)
    name = rows(database, "SELECT name FROM camera")[0][0]
    assert 'bayer = "header"' in camera_toml(database, name)
    told = tmp_path / "camera.toml"
    told.write_text(camera_toml(database, name).replace('bayer = "header"', 'bayer = "no"'))
    assert add_telescope(database, told)[0].change == "changed"
    report = ingest(database, [sorted(night[0].iterdir())[1]], HERE)
    assert rows(database, "SELECT channel, nx FROM frame ORDER BY frame_id DESC LIMIT 1") == [("", SHAPE[1])]


def test_unknown_mosaics_and_raw_files_are_refused_with_what_to_do(database, tmp_path):
    rng = np.random.default_rng(5)
    sky = bayer.ColourSky.make(rng, 40, SHAPE)
    counts = bayer.mosaic(sky, "RGGB", rng, shape=SHAPE)
    xtrans = bayer.write(tmp_path / "x.fits", counts, BAYERPAT="XTRANS")
    raw = tmp_path / "IMG_1.CR2"
    raw.write_bytes(b"II*\x00raw")
    report = ingest(database, [xtrans, raw], HERE)
    reasons = {Path(p).name: (code, reason) for p, code, reason in report.rejected}
    assert 'bayer = "no"' in reasons["x.fits"][1] and "[[camera]]" in reasons["x.fits"][1]
    assert reasons["IMG_1.CR2"][0] == "not_fits" and "convert it to FITS" in reasons["IMG_1.CR2"][1]
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "IMG_2.NEF").write_bytes(b"II*\x00raw")
    (folder / "a.txt").write_text("x")
    with pytest.raises(
        NothingMatched, match=r"2 other files there \(1 of them raw files of cameras \(\.NEF\)"
    ):
        ingest(database, [folder], HERE)


def test_a_colour_camera_that_nobody_tells_is_said(database, tmp_path):
    rng = np.random.default_rng(6)
    sky = bayer.ColourSky.make(rng, 40, SHAPE)
    cards = {"BAYERPAT": None, "XBAYROFF": None, "YBAYROFF": None, "ROWORDER": None}
    path = bayer.write(tmp_path / "a.fits", bayer.mosaic(sky, "RGGB", rng, shape=SHAPE), **cards)
    report = ingest(database, [path], HERE)
    assert "measured as ONE image" in "\n".join(report.assumed)


def test_stacks_of_a_colour_camera_are_a_camera_of_their_own(database, tmp_path):
    rng = np.random.default_rng(7)
    sky = bayer.ColourSky.make(rng, 70, SHAPE)
    single = bayer.mosaic(sky, "RGGB", rng, shape=SHAPE)
    planes = [rng.poisson(bayer.expected(sky, SHAPE, 4.0, c)) for c in "RGB"]
    world = bayer.wcs_cards(SHAPE)
    bayer.write(tmp_path / "sub.fits", single, **world)
    bayer.write(tmp_path / "stack.fits", np.array(planes, np.uint16), TOTALEXP=300.0, STACKCNT=10, **world)
    report = ingest(database, [tmp_path], HERE)
    assert report.n_accepted == 6
    found = rows(database, "SELECT c.name, count(*), min(nx), min(exptime) FROM frame JOIN camera c USING "
                           "(camera_id) GROUP BY 1 ORDER BY 3")  # fmt: skip
    assert [tuple(r)[1:] for r in found] == [(3, 300, 30.0), (3, 600, 300.0)]
    assert rows(database, "SELECT count(*) < 78 FROM source") == [(True,)]
