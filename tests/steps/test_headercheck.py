"""A header's WCS is checked by stars: turned, mirrored, of another scale, elsewhere; replaced, or said to be wrong."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.sky import deproject, separation_deg
from photodb.core.tangent import TangentWCS
from photodb.simulate.survey import simulate
from photodb.steps.astrometry import solve_astrometry
from photodb.steps.framestars import FrameStars
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.place import Placer
from photodb.steps.refcat import load_refcat

NX, NY, SCALE = 1676, 1266, 1.0
RA, DEC = 359.9, 62.0
ON_FRAME = 70


def sky(rng):
    """Return ra, dec, mag of stars within 2.5 deg, brightest first: about `ON_FRAME` on a frame's area."""
    n = round(ON_FRAME * np.pi * 2.5**2 / (NX * NY * (SCALE / 3600) ** 2))
    radius, angle = 2.5 * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    ra, dec = deproject(radius * np.cos(angle), radius * np.sin(angle), RA, DEC)
    return ra, dec, 16 + np.sort(2.5 * np.log10(rng.random(n)))


def frame_of(rng, truth, header, stars):
    """Return what a frame with this true place shows, with missing and false stars, under a header."""
    ra, dec, mag = stars
    x, y = truth.to_pixel(ra, dec)
    on = (x > 0) & (x < NX) & (y > 0) & (y < NY) & (rng.random(len(x)) > 0.15)
    n_false = round(0.2 * on.sum())
    xy = np.vstack([np.column_stack([x, y])[on], rng.uniform(0, 1, (n_false, 2)) * [NX, NY]])
    xy = xy[
        np.argsort(np.concatenate([mag[on] + rng.normal(0, 0.2, on.sum()), rng.choice(mag[on], n_false)]))
    ]
    xy = xy + rng.normal(0, 0.05, xy.shape)
    nan = float("nan")
    err = np.full(xy.shape, 0.05)
    return FrameStars(1, NX, NY, 58000.0, "", nan, nan, nan, header, False, xy, err, np.arange(len(xy)))


def wcs(ra=RA, dec=DEC, scale=SCALE, rotation=20.0):
    return TangentWCS.approximate(ra, dec, (NX - 1) / 2, (NY - 1) / 2, scale, rotation)


def mirrored(w):
    return TangentWCS(w.ra0, w.dec0, w.x0, w.y0, tuple(-v for v in w.xi), w.eta)


def off(w, degrees, angle_deg):
    a = np.radians(angle_deg)
    ra, dec = deproject(degrees * np.cos(a), degrees * np.sin(a), w.ra0, w.dec0)
    return TangentWCS(float(ra), float(dec), w.x0, w.y0, w.xi, w.eta)


HEADERS = {
    "right": (wcs(), ""),
    "off by 40 arcsec": (off(wcs(), 0.0111, 70), "off by 4"),
    "turned by 90": (wcs(rotation=110.0), "turned by 90.0 deg"),
    "upside down": (wcs(rotation=200.0), "turned by"),
    "mirrored": (mirrored(wcs()), "mirrored"),
    "scale of a bin of 2": (wcs(scale=2.0), "scale 2 times the true one"),
    "half the scale": (wcs(scale=0.5), "scale 0.5 times the true one"),
    "a degree away": (off(wcs(), 1.0, 200), "off by 36"),
    "a degree away, turned and mirrored": (mirrored(off(wcs(rotation=77.0), 1.0, -50)), "mirrored"),
}


@pytest.fixture
def catalogue(database, tmp_path):
    stars = sky(np.random.default_rng(77))
    rows = "\n".join(f"{k},{a:.8f},{d:.8f},{m:.3f},0.02" for k, (a, d, m) in enumerate(zip(*stars)))
    path = tmp_path / "stars.csv"
    path.write_text(f"id,ra,dec,V,V_err\n{rows}\n")
    load_refcat(database, path, "stars")
    return stars


def test_wrong_headers_are_replaced_and_said_to_be_wrong(database, catalogue):
    truth, placer = wcs(), Placer()
    for k, (name, (header, said)) in enumerate(HEADERS.items()):
        frame = frame_of(np.random.default_rng(k), truth, header, catalogue)
        with database.begin() as conn:
            found = placer.place(conn, frame)
        assert (found.astrometry, found.source) == ("catalogue", "stars"), name
        corners = np.array([0, NX, 0, NX]), np.array([0, 0, NY, NY])
        assert separation_deg(*found.wcs.to_sky(*corners), *truth.to_sky(*corners)).max() * 3600 < 0.1, name
        assert said in found.remark and bool(found.remark) == bool(said), (name, found.remark)
        assert found.n_stars > 0.8 * ON_FRAME * 0.85 * 0.8, name


def test_a_header_that_the_catalogue_contradicts_is_not_believed(database, catalogue):
    """Stars of another sky under a header that points into the catalogue: kept, but marked."""
    elsewhere = wcs(ra=100.0, dec=-30.0)
    rng = np.random.default_rng(5)
    other = deproject(*rng.uniform(-0.4, 0.4, (2, 400)), 100.0, -30.0)
    frame = frame_of(rng, elsewhere, wcs(), (*other, np.sort(rng.uniform(9, 15, 400))))
    with database.begin() as conn:
        found = Placer().place(conn, frame)
    assert found.astrometry == "approximate" and found.wcs == wcs()
    assert "stars of stars should be on the frame" in found.remark and "do not match" in found.remark


def test_a_header_where_no_catalogue_is_stays_as_it_is(database, catalogue):
    rng = np.random.default_rng(6)
    there = wcs(ra=100.0, dec=-30.0)
    stars = (*deproject(*rng.uniform(-0.4, 0.4, (2, 400)), 100.0, -30.0), np.sort(rng.uniform(9, 15, 400)))
    with database.begin() as conn:
        found = Placer().place(conn, frame_of(rng, there, there, stars))
    assert found.astrometry == "header" and "no catalogue or earlier frame confirms it" in found.remark


def test_what_hangs_on_a_header_says_so_until_a_catalogue_comes(database, tmp_path):
    simulate(tmp_path / "sim", n_frames=3, n_stars=120, n_telescopes=1, n_nights=1, seed=8)
    ingest(database, [tmp_path / "sim" / "frames"], IngestSettings(jobs=0))
    told = text("SELECT astrometry, reason FROM frame ORDER BY mjd")
    with database.begin() as conn:
        first, *others = conn.execute(told).all()
    assert first.astrometry == "header" and {o.astrometry for o in others} == {"frames"}
    assert all("which no catalogue confirms" in o.reason for o in others)
    load_refcat(database, tmp_path / "sim" / "refcat.csv", "truth")
    solve_astrometry(database)
    with database.begin() as conn:
        placed = conn.execute(told).all()
    assert {(f.astrometry, "confirms" in f.reason) for f in placed} == {("catalogue", False)}
