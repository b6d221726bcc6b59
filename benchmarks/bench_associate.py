"""Time the association of frames with an archive of 10 million sources, frame by frame.

    python -m benchmarks.bench_associate [--sources N] [--frames N] [--revisits N] [--archive DIR]

An archive is filled with sources over 500 square degrees (20,000 a square degree, in HEALPix order), then frames of
.4 x .4 deg at random places are associated, each in one transaction as ingest does: locks of the cells, the sources
around, links, new sources (1 %), moved means, commit. Each place is visited several times: the first visit finds what
has never been touched, the others what has moved already. The rate counts all of that; storing the detections' rows
is timed apart. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.positions import MEAN, first_means
from photodb.steps.associate import Seen, Sight, associate
from photodb.steps.writeframe import LOCK_MARGIN_DEG, LOCK_ORDER
from photodb.storage import bulk, frames
from photodb.storage.engine import Database, open_database
from photodb.storage.runs import start_run
from photodb.storage.sources import SOURCE
from photodb.storage.tables import CELL_ORDER, SERIAL_BITS

from .bench_run import photodb

DENSITY = 20_000
SIDE_DEG = 0.4
ERROR_ARCSEC = 0.1
REACH_ARCSEC = 1.65
BLOCK = 500_000


def fill(db: Database, n: int, rng: np.random.Generator) -> None:
    """Write n sources seen once, in HEALPix order, and their indexes' statistics."""
    side = np.sqrt(n / DENSITY)
    sine = np.sin(np.radians([-side / 2, side / 2]))
    ra = 180 + rng.uniform(-side / 2, side / 2, n)
    dec = np.degrees(np.arcsin(rng.uniform(*sine, n)))
    key = sky.healpix29(ra, dec)
    order = np.argsort(key)
    rows = np.zeros(n, [*SOURCE.descr, ("field_id", "i8"), ("approximate", "?")])
    means = first_means(ra[order], dec[order], np.full(n, ERROR_ARCSEC), 60000.0)
    for name in MEAN.names or ():
        rows[name] = means[name]
    rows["healpix"] = key[order]
    rows["cell"] = sky.cell_of(key[order], CELL_ORDER)
    rows["source_id"] = (rows["cell"].astype(np.int64) << SERIAL_BITS) | np.arange(1, n + 1)
    rows["reach"], rows["mag"], rows["field_id"] = REACH_ARCSEC, 0.0, -1
    for start in range(0, n, BLOCK):
        with db.begin() as conn:
            bulk.copy_in(conn, "source", rows[start : start + BLOCK])
    with db.autocommit() as conn:
        conn.exec_driver_sql("VACUUM ANALYZE source")
        conn.exec_driver_sql(f"ALTER SEQUENCE source_serial RESTART WITH {n + 1}")


def seen_at(rng: np.random.Generator, db: Database, ra: float, dec: float) -> Seen:
    """Make the detections of a frame: 95 % of its sources as they were drawn, and 1 % new ones."""
    half = SIDE_DEG / 2
    with db.begin() as conn:
        known = bulk.copy_out(
            conn,
            "SELECT ra, dec FROM source WHERE healpix BETWEEN %s AND %s AND ra BETWEEN %s AND %s "
            "AND dec BETWEEN %s AND %s",
            [("ra", "f8"), ("dec", "f8")],
            (*_span(ra, dec, half), ra - half, ra + half, dec - half, dec + half),
        )
    known = known[rng.random(len(known)) < 0.95]
    n_new = len(known) // 100
    x = np.r_[known["ra"], rng.uniform(ra - half, ra + half, n_new)]
    y = np.r_[known["dec"], rng.uniform(dec - half, dec + half, n_new)]
    n = len(x)
    x = x + rng.normal(0, ERROR_ARCSEC / 3600, n) / np.cos(np.radians(y))
    y = y + rng.normal(0, ERROR_ARCSEC / 3600, n)
    return Seen(
        x, y, np.full(n, ERROR_ARCSEC), rng.normal(0, 0.1, n), np.full(n, 20.0), np.zeros(n, np.int32)
    )


def _span(ra: float, dec: float, half: float) -> tuple[int, int]:
    lo, hi = sky.cone_ranges(ra, dec, 1.5 * half)
    return int(lo[0]), int(hi[-1])


def detection_rows(seen: Seen, frame_id: int, source_id: NDArray, cell: NDArray) -> NDArray:
    """Make rows of `detection` of the usual width."""
    names = ("x", "y", "x_err", "y_err", "flux", "flux_err", "mag", "mag_err", "flux_psf", "flux_psf_err", "psf_chi2",
             "sky", "sky_err", "peak", "fwhm", "ellipticity", "theta", "sharpness")  # fmt: skip
    dtype = [
        ("cell", "i4"),
        ("frame_id", "i8"),
        ("detection_id", "i8"),
        ("source_id", "i8"),
        ("ra", "f8"),
        ("dec", "f8"),
    ]
    dtype += [(name, "f4") for name in names] + [
        ("flux_aperture", "f4", (5,)),
        ("flux_aperture_err", "f4", (5,)),
    ]
    rows = np.zeros(len(source_id), [*dtype, ("class", "i2"), ("flags", "i4")])  # type: ignore[list-item]
    rows["frame_id"], rows["detection_id"] = frame_id, (frame_id << frames.NUMBER_BITS) + np.arange(len(rows))
    rows["source_id"], rows["cell"], rows["ra"], rows["dec"] = source_id, cell, seen.ra, seen.dec
    return rows


def one_frame(
    db: Database, run_id: int, frame_id: int, ra: float, dec: float, seen: Seen, mjd: float
) -> tuple:
    """Associate one frame in its transaction; return seconds of association and of storing rows, and new sources."""
    radius = SIDE_DEG / np.sqrt(2)
    began = time.perf_counter()
    with db.begin() as conn:
        frames.lock_cells(conn, sky.cone_cells(ra, dec, radius + LOCK_MARGIN_DEG, LOCK_ORDER))
        done = associate(conn, run_id, Sight(1, False, mjd, (ra, dec, radius), 1.0, 3.0), seen)
        linked = time.perf_counter()
        frames.insert_rows(
            conn,
            frame_id,
            detection_rows(seen, frame_id, done.source_id, done.cell),
            np.empty(0, [("x", "i4")]),
        )
        stored = time.perf_counter()
    ended = time.perf_counter()
    return linked - began + ended - stored, stored - linked, done.n_new


def main(arguments: list[str] | None = None) -> None:
    """Fill the archive and time the frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=float, default=1e7)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--revisits", type=int, default=4)
    parser.add_argument("--archive", type=Path, help="folder of the archive; kept")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.archive or Path(scratch) / "archive"
        if not (folder / "photodb.toml").exists():
            subprocess.run(photodb("init", str(folder)), check=True, capture_output=True)
        with open_database(str(folder)) as db:
            time_frames(db, int(chosen.sources), chosen.frames, chosen.revisits)
        subprocess.run(photodb("--archive", str(folder), "db", "stop"), check=True, capture_output=True)


def time_frames(db: Database, n_sources: int, n_frames: int, n_visits: int) -> None:
    """Print the rates, visit by visit."""
    rng = np.random.default_rng()
    with db.begin() as conn:
        there = conn.exec_driver_sql("SELECT count(*) FROM source").scalar_one()
        first = conn.exec_driver_sql("SELECT coalesce(max(frame_id), 0) + 1 FROM detection").scalar_one()
        run_id = start_run(conn, "benchmark", {}, {})
    if not there:
        began = time.perf_counter()
        fill(db, n_sources, rng)
        print(f"{n_sources} sources written in {time.perf_counter() - began:.0f} s")
    side = np.sqrt(n_sources / DENSITY) / 2 - SIDE_DEG
    places = np.column_stack([180 + rng.uniform(-side, side, n_frames), rng.uniform(-side, side, n_frames)])
    for visit in range(n_visits):
        taken, n, stored = [], [], []
        for k, (ra, dec) in enumerate(places):
            seen = seen_at(rng, db, ra, dec)
            frame_id = first + visit * n_frames + k
            link, store, n_new = one_frame(db, run_id, frame_id, ra, dec, seen, 60001.0 + visit)
            assert n_new < 0.03 * len(seen.ra)
            taken.append(link)
            stored.append(store)
            n.append(len(seen.ra))
        rate, whole = sum(n) / sum(taken), sum(n) / (sum(taken) + sum(stored))
        print(
            f"visit {visit + 1}: {rate:,.0f} detections/s associated, {statistics.median(taken) * 1e3:.1f} ms a "
            f"frame of {statistics.median(n):.0f} (median); rows {statistics.median(stored) * 1e3:.1f} ms more: "
            f"{whole:,.0f} detections/s"
        )


if __name__ == "__main__":
    main()
