"""Frames that no catalogue places, placed by solve-field where the user asks for it."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from photodb.core.sky import separation_deg
from photodb.core.tangent import TangentWCS
from photodb.errors import ConfigurationError, UsageError
from photodb.steps.astrometry import AstrometrySettings, solve_astrometry
from photodb.steps.framestars import FrameStars
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.place import Placer
from photodb.steps.refcat import load_refcat

from ..helpers.index_files import NX, NY, SCALE, build_index, frame, make_sky

NAN = float("nan")


def as_stars(xy, header=None):
    err = np.full(xy.shape, 0.05)
    return FrameStars(1, NX, NY, 58000.0, "", NAN, NAN, SCALE, header, False, xy, err, np.arange(len(xy)))


def off_arcsec(wcs, truth):
    x, y = np.array([0, NX, 0, NX]), np.array([0, 0, NY, NY])
    return 3600 * separation_deg(*wcs.to_sky(x, y), *truth.to_sky(x, y)).max()


def test_without_a_pointing_and_with_a_header_on_the_other_side_of_the_sky(database, tmp_path):
    sky = make_sky()
    blind = build_index(sky, tmp_path)
    wrong = TangentWCS.approximate(200.0, -40.0, NX / 2, NY / 2, SCALE)
    truth, xy = frame(sky, 11)
    with database.begin() as conn:
        for header in (None, wrong):
            found = Placer(blind=blind).place(conn, as_stars(xy, header))
            assert (found.astrometry, found.catalogue_id, found.fit) == ("catalogue", -1, None)
            assert found.source == "the index files of solve-field" and "found by solve-field" in found.remark
            assert off_arcsec(found.wcs, truth) < 0.2 and found.rms_arcsec < 0.3
            assert ("was replaced" in found.remark) == (header is not None)
        unsolved = Placer(blind=blind).place(
            conn, as_stars(np.random.default_rng(1).uniform(0, 1200, (60, 2)))
        )
        assert unsolved.astrometry == "none"
    rows = "\n".join(f"{k},{a:.8f},{d:.8f},{m:.3f},0.02" for k, (a, d, m) in enumerate(zip(*sky)))
    path = tmp_path / "stars.csv"
    path.write_text(f"id,ra,dec,V,V_err\n{rows}\n")
    load_refcat(database, path, "stars")
    with database.begin() as conn:
        found = Placer(blind=blind).place(conn, as_stars(xy))
    assert found.source == "stars" and found.fit is not None and found.catalogue_id > 0
    assert found.remark == "found by solve-field" and off_arcsec(found.wcs, truth) < 0.1


def test_what_cannot_be_asked_for_is_said_before_anything_is_read(database, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.fits").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="no program solve-field"):
        ingest(database, [tmp_path / "a.fits"], IngestSettings(blind="solve-field", jobs=0))
    with pytest.raises(UsageError, match="only program known"):
        IngestSettings(blind="guess")
    with pytest.raises(UsageError, match="needs --blind"):
        replace(IngestSettings(), blind_config="engine.cfg")


def test_frames_of_the_archive_are_placed_and_others_follow(database, tmp_path):
    sky = make_sky()
    blind = build_index(sky, tmp_path)
    truth, xy = frame(sky, 11)
    for k in range(3):
        head = f"# mjd = {58000 + k / 100}\n# exptime = 60\n# band = V\n# telescope = T\n# camera = C\n"
        head += f"# nx = {NX}\n# ny = {NY}\nx,y,flux,flux_err\n"
        rows = "".join(f"{x:.4f},{y:.4f},{1e5 / (n + 1):.2f},30\n" for n, (x, y) in enumerate(xy + 3 * k))
        (tmp_path / f"list{k}.csv").write_text(head + rows)
    ingest(database, sorted(tmp_path.glob("list*.csv")), IngestSettings(jobs=0, scale=SCALE))
    asked = AstrometrySettings(scale=SCALE, blind="solve-field", blind_config=str(blind.config))
    report = solve_astrometry(database, settings=asked)
    assert (report.kinds, report.failed) == ({"catalogue": 1, "frames": 2}, [])
    with database.begin() as conn:
        query = "SELECT wcs, reason, astrom_rms FROM frame ORDER BY mjd"
        first, second, _ = conn.execute(text(query)).all()
    assert off_arcsec(TangentWCS.from_dict(first.wcs), truth) < 0.2
    assert first.reason == "found by solve-field" and second.reason == "" and second.astrom_rms < 0.1
    assert solve_astrometry(database, settings=asked).n_placed == 0
    with pytest.raises(UsageError, match="needs --blind"):
        AstrometrySettings(blind_config="engine.cfg")
