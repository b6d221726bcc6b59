"""Times in the archive: at the barycentre for each source, beyond the tables, and never over a network."""

from __future__ import annotations

import socket
import tomllib
import warnings

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from sqlalchemy import text

from photodb.core.doubts import Doubt
from photodb.images.earthrotation import leap_seconds_until, rotation_at
from photodb.images.headers import from_tables, load_toml
from photodb.images.times import Rule, read_instant
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope, camera_toml
from photodb.steps.solve import solve

HERE = IngestSettings(jobs=0)
SITE = (31.68, -110.88, 1268.0)
CENTRE = (200.0, 35.0)
CAMERA = """
[telescope]
name = "T1"
latitude = 31.68
longitude = -110.88
elevation = 1268.0
[[camera]]
name = "C1"
match = { TELESCOPE = "T1", CAMERA = "C1" }
"""


def wide_lists(folder, mjds):
    """Write lists of stars over ten degrees."""
    folder.mkdir()
    rng = np.random.default_rng(9)
    ra, dec = CENTRE[0] + rng.uniform(-6, 6, 60), CENTRE[1] + rng.uniform(-5, 5, 60)
    mag = rng.uniform(-9, -5, 60)
    for k, mjd in enumerate(mjds):
        head = f"# mjd = {mjd!r}\n# exptime = 60\n# band = V\n# telescope = T1\n# camera = C1\n# pixel_scale = 20\n"
        rows = [f"{a},{d},{m + rng.normal(0, 0.002)},0.002" for a, d, m in zip(ra, dec, mag)]
        (folder / f"l{k}.csv").write_text(head + "ra,dec,mag,mag_err\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture
def described(database, tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(CAMERA)
    add_telescope(database, path)
    return database


def test_each_source_has_its_own_barycentric_time(described, tmp_path):
    """Ten degrees are up to 87 s of light time; JD in double precision has steps of 40 microseconds."""
    ingest(described, [wide_lists(tmp_path / "l", [60000.25, 60000.27, 60000.29, 60000.31])], HERE)
    solve(described)
    with described.begin() as conn:
        rows = conn.execute(
            text(
                "SELECT p.mjd, p.bjd_tdb, s.ra, s.dec FROM light_curve_point p JOIN source s USING (cell, source_id)"
            )
        ).all()
    assert len(rows) > 200
    location = EarthLocation.from_geodetic(SITE[1], SITE[0], SITE[2])
    with iers.conf.set_temp("auto_download", False):
        time = Time([r.mjd for r in rows], format="mjd", scale="utc", location=location)
        stars = SkyCoord([r.ra for r in rows], [r.dec for r in rows], unit="deg")
        theirs = time.tdb + time.light_travel_time(stars, ephemeris="builtin")
    ours = Time([r.bjd_tdb for r in rows], format="jd", scale="tdb")
    assert np.abs((ours - theirs).to_value("s")).max() < 6e-5
    first = np.array([r.bjd_tdb for r in rows if r.mjd == rows[0].mjd])
    assert np.ptp(first) * 86400 > 20


def test_frames_beyond_the_leap_seconds_are_taken_and_marked(described, tmp_path):
    beyond = float(np.floor(leap_seconds_until()) + 900.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = ingest(described, [wide_lists(tmp_path / "l", [beyond])], HERE)
    with described.begin() as conn:
        (row,) = conn.execute(text("SELECT doubts, reason FROM frame")).all()
    assert report.n_accepted == 1 and row.doubts & Doubt.LEAP_SECONDS
    assert "leap seconds are known until 20" in row.reason and "astropy-iers-data" in row.reason


def test_nothing_is_asked_of_a_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    leap_seconds_until.cache_clear()
    for mjd in (20000.0, 60000.0, 80000.0):
        assert np.isfinite(rotation_at(mjd).ut1_utc)
        for scale in ("tai", "tdb", "ut1", "bjd_tdb"):
            assert np.isfinite(read_instant(["T"], {"T": mjd}, Rule(scale, ra=10.0, dec=10.0)))


def test_what_a_description_tells_of_times_is_shown_and_taken_again(database, tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(
        CAMERA.replace('name = "C1"', 'name = "C1"\nshutter_lag = 0.35')
        + '[camera.header]\ntime = ["DATE-OBS", "UT"]\ntime_end = "DATE-END"\ndate_refers = "night"\n'
    )
    add_telescope(database, path)
    shown = camera_toml(database, "C1")
    (made,) = from_tables(tomllib.loads(shown), "shown")
    assert (made.shutter_lag, made.header.time_end, made.header.date_refers) == (0.35, ("DATE-END",), "night")
    assert made == load_toml(path)[0]
