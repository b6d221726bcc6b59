"""Time `photodb coverage` in an archive of many frames: `python -m benchmarks.bench_coverage [FRAMES]`.

100 fields of as many frames each (100,000 frames in all by default), two cameras, one field in twenty seen by a camera
of ten times the field of view; a source measured on every second frame of one field. Prints, of each question, the
frames that cover the place and the wall and CPU seconds of the best of three (CPU of this process, not of PostgreSQL).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text

from photodb.core import sky
from photodb.core.tangent import TangentWCS
from photodb.errors import NothingMatched
from photodb.steps.archive import init_embedded
from photodb.steps.coverage import position_coverage
from photodb.storage import partitions, tables
from photodb.storage.engine import Connection, Database, open_database
from photodb.storage.server import EmbeddedServer

N_FIELDS, SIDE = 100, 2048  # px
PLACE = (10.0, 20.0)


def fill(conn: Connection, n_frames: int) -> None:
    """Write the archive."""
    conn.execute(text("INSERT INTO telescope (telescope_id, name) VALUES (1, 't')"))
    for number, name in ((1, "a"), (2, "b")):
        row = {"camera_id": number, "telescope_id": 1, "name": name, "description": {}}
        conn.execute(tables.camera.insert().values(row))
    conn.execute(text("INSERT INTO band (band_id, name) VALUES (1, 'V'), (2, 'R')"))
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, N_FIELDS), np.degrees(np.arcsin(rng.uniform(-1, 1, N_FIELDS)))
    ra[0], dec[0] = PLACE
    each = n_frames // N_FIELDS
    for k in range(N_FIELDS):
        scale = 20.0 if k % 20 == 5 else 2.0
        rows = [_frame(rng, k * each + i, ra[k], dec[k], scale) for i in range(each)]
        conn.execute(tables.frame.insert(), rows)
    conn.execute(text("ANALYZE frame"))
    _source(conn, each)


def _frame(rng: np.random.Generator, number: int, ra: float, dec: float, scale: float) -> dict[str, Any]:
    at = sky.deproject(*rng.normal(0, 0.02, 2), ra, dec)
    middle = (SIDE - 1) / 2
    plain = TangentWCS.approximate(float(at[0]), float(at[1]), middle, middle, scale, rng.uniform(0, 5))
    bend = [tuple(v) for v in rng.normal(0, 1e-5, (2, 7))]
    wcs = TangentWCS(plain.ra0, plain.dec0, middle, middle, plain.xi + bend[0], plain.eta + bend[1])
    corners = np.column_stack(wcs.to_sky([0, SIDE - 1, SIDE - 1, 0], [0, 0, SIDE - 1, SIDE - 1]))
    return {
        "path": f"/data/{number}.fits", "data_hash": f"{number:064d}", "file_hash": f"{number:064d}", "kind": "science",
        "status": "accepted" if number % 50 else "rejected", "reason": "" if number % 50 else "cloud",
        "camera_id": 1 + number % 2, "band_id": 1 + number % 4 // 2, "mjd": 60000 + number / 1000, "exptime": 60.0,
        "night": 60000 + number // 1000, "nx": SIDE, "ny": SIDE, "ra": float(at[0]), "dec": float(at[1]),
        "radius": float(sky.separation_deg(*at, *corners.T).max()), "healpix": int(sky.healpix29(*at)[0]),
        "footprint": corners.ravel().tolist(), "wcs": wcs.to_dict(), "astrometry": "catalogue", "astrom_rms": 0.2,
        "pixel_scale": scale, "fwhm": 3.0, "limiting_mag": -5.0, "aperture_radii": [2, 3, 4, 6, 9], "n_forced": 100,
        "psf": {"cells": rng.normal(size=200).tolist()},
    }  # fmt: skip


_FORCED = """
INSERT INTO forced SELECT :cell, f, :source, -1, 1000, 1000, 100, 10, 1, ARRAY[100, 100], ARRAY[10, 10], 5, 1, 64, 1
FROM generate_series(1, :last, 2) AS f
"""


def _source(conn: Connection, each: int) -> None:
    """Write a source at the place, measured on every second frame of its field."""
    key = sky.healpix29(*PLACE)
    cell = int(sky.cell_of(key, tables.CELL_ORDER)[0])
    source_id = cell << tables.SERIAL_BITS | 1
    known = {"cell": cell, "source_id": source_id, "healpix": int(key[0]), "n_detections": each}
    place = {"ra": PLACE[0], "dec": PLACE[1], "first_mjd": 60000.0, "last_mjd": 60001.0}
    conn.execute(tables.source.insert().values(**known, **place))
    for frame_id in range(1, each + 1, tables.FRAMES_PER_PARTITION):
        partitions.ensure_partitions(conn, frame_id)
    conn.execute(text(_FORCED), {"cell": cell, "source": source_id, "last": each})


QUESTIONS: dict[str, tuple[tuple[float, float], dict[str, Any]]] = {
    "a source": (PLACE, {}),
    "no source": ((PLACE[0] + 0.1, PLACE[1] + 0.1), {}),
    "near misses": (PLACE, {"near_misses": True}),
    "nothing": ((200.0, 89.0), {}),
}


def ask(db: Database) -> None:
    """Ask each question three times and print the best."""
    for name, (place, options) in QUESTIONS.items():
        best, n = (float("inf"), float("inf")), 0
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                n = len(position_coverage(db, *place, **options))
            except NothingMatched:
                n = 0
            best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
        print(f"{name}: {n} frames cover it: {best[0]:.3f} s wall, {best[1]:.3f} s CPU")


def main(arguments: list[str]) -> None:
    """Fill an archive in a scratch folder and ask."""
    n_frames = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory(prefix="photodb-bench-") as scratch:
        folder = Path(scratch) / "archive"
        init_embedded(folder)
        try:
            with open_database(str(folder)) as db:
                with db.begin() as conn:
                    fill(conn, n_frames)
                ask(db)
        finally:
            EmbeddedServer(folder).stop(force=True)


if __name__ == "__main__":
    main(sys.argv[1:])
