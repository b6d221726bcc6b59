"""An archive in which stars are in pieces: one star, several sources, each with some of the star's detections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import text

from photodb.core.flags import Flag
from photodb.core.sky import cell_of, healpix29
from photodb.storage import forced, runs, tables
from photodb.storage.bulk import copy_in
from photodb.storage.engine import Database
from photodb.storage.partitions import ensure_partitions
from photodb.storage.sourcemeans import renew_sources
from tests.storage.rows import _instrument, add_solution, detection_rows, dtype_of, forced_rows, insert

ARCSEC = 1 / 3600


@dataclass(frozen=True)
class Pieces:
    """What was written: the sources of each star, and of each star and frame which of them saw it (-1 for none)."""

    frames: list[int]
    sources: np.ndarray  # (n_stars, n_pieces) source_id
    seen: np.ndarray  # (n_stars, n_frames)
    detections: np.ndarray  # (n_stars, n_frames) detection_id; -1 where not seen
    solution: int  # -1 if none
    runs: list[int]  # one of ingest a frame, measure, solve


def border(dec: float = 40.0) -> float:
    """Return a right ascension at which the cell of order 5 changes."""
    low, high = 30.0, 33.0
    cell = [int(cell_of(healpix29([ra], [dec]), tables.CELL_ORDER)[0]) for ra in (low, high)]
    assert cell[0] != cell[1]
    for _ in range(40):
        middle = (low + high) / 2
        same = int(cell_of(healpix29([middle], [dec]), tables.CELL_ORDER)[0]) == cell[0]
        low, high = (middle, high) if same else (low, middle)
    return high


def fill(db: Database, seed: int = 0, n_frames: int = 5, n_stars: int = 3, n_pieces: int = 2, solve: bool = True,
         force: bool = True) -> Pieces:  # fmt: skip
    """Write the archive: star 0 lies across the border of two cells; every piece has a detection at least."""
    rng = np.random.default_rng(seed)
    ra = border() + np.arange(n_stars) * 20 * ARCSEC
    east = rng.normal(0, 0.3, (n_stars, n_pieces)) * ARCSEC
    east = rng.normal(0, 0.3, (n_stars, n_pieces)) * ARCSEC
    places = np.stack([ra[:, None] + east, np.full(east.shape, 40.0)])
    places[0, 0, :2] = ra[0] - 0.3 * ARCSEC, ra[0] + 0.3 * ARCSEC
    seen = rng.integers(-1, n_pieces, (n_stars, n_frames))
    seen[:, :n_pieces] = np.arange(n_pieces)
    seen[-1] = np.maximum(seen[-1], 0)  # no frame is empty
    detections = np.full(seen.shape, -1, np.int64)
    frames, made = [], []
    for i in range(n_frames):
        with db.begin() as conn:
            run = runs.start_run(conn, "ingest", {}, {})
            if i == 0:
                sources, cells = _sources(conn, run, places)
            frames.append(_frame(conn, run, i, places, sources, cells, seen[:, i], detections[:, i], rng))
            runs.finish_run(conn, run, "done", {})
            made.append(run)
    with db.begin() as conn:
        renew_sources(conn, sources.ravel().tolist())
        conn.execute(text("UPDATE source SET run_id = :r"), {"r": made[0]})
        if force:
            made.append(runs.start_run(conn, "measure", {}, {}))
            for frame, column in zip(frames, seen.T):
                _forced(conn, made[-1], frame, sources, cells, column, rng)
            runs.finish_run(conn, made[-1], "done", {})
    solution = -1
    if solve:
        solution, run = solved(db, frames)
        made.append(run)
    return Pieces(frames, sources, seen, detections, solution, made)


def solved(db: Database, frames: list[int]) -> tuple[int, int]:
    """Add a solution of what the frames have, and its run."""
    with db.begin() as conn:
        run = runs.start_run(conn, "solve", {}, {})
        solution = add_solution(conn, run, frames)
        runs.finish_run(conn, run, "done", {})
    return solution, run


def _sources(conn, run, places):
    ra, dec = places[0].ravel(), places[1].ravel()
    keys = healpix29(ra, dec)
    cells = cell_of(keys, tables.CELL_ORDER)
    ids = []
    for i in range(len(ra)):
        ids.append(int(cells[i]) << tables.SERIAL_BITS | conn.scalar(tables.source_serial.next_value()))
        values = {
            "cell": int(cells[i]),
            "source_id": ids[-1],
            "healpix": int(keys[i]),
            "ra": ra[i],
            "dec": dec[i],
        }
        times = {"first_mjd": 58000.0, "last_mjd": 58000.0}
        conn.execute(tables.source.insert().values(n_detections=0, run_id=run, **values, **times))
    return np.array(ids).reshape(places.shape[1:]), cells.reshape(places.shape[1:])


def _frame(conn, run, number, places, sources, cells, seen, detections, rng):
    camera, band = _instrument(conn, run)
    found = np.flatnonzero(seen >= 0)
    frame = insert(
        conn, tables.frame, path=f"{number}.fits", data_hash=f"hash {number}", status="accepted", camera_id=camera,
        band_id=band, mjd=58000.0 + number, exptime=10.0, nx=100, ny=80, n_detections=len(found), run_id=run,
        astrometry="catalogue",
    )  # fmt: skip
    ensure_partitions(conn, frame)
    chosen = found, seen[found]
    rows = detection_rows(frame, len(found), np.stack([cells[chosen], sources[chosen]], axis=1), [number, 5])
    rows["x"], rows["y"] = rows["x"] * 40, rows["y"] * 30
    rows["ra"] = places[0][chosen] + rng.normal(0, 0.1, len(found)) * ARCSEC
    rows["dec"] = places[1][chosen] + rng.normal(0, 0.1, len(found)) * ARCSEC
    copy_in(conn, "detection", rows)
    matches = np.zeros(len(found), dtype_of(tables.astrometric_match))
    for column in ("cell", "frame_id", "detection_id"):
        matches[column] = rows[column]
    matches["reference_star_id"] = matches["reference_detection_id"] = matches["gaia_source_id"] = -1
    copy_in(conn, "astrometric_match", matches)
    detections[found] = rows["detection_id"]
    return frame


def _forced(conn, run, frame, sources, cells, seen, rng):
    """Measure all pieces: the one that was seen (else the first) has the flux, the others are duplicates."""
    rows = detection_rows(frame, sources.size, np.stack([cells.ravel(), sources.ravel()], axis=1), [frame, 9])
    rows = forced_rows(rows, run)
    pick = "SELECT source_id, detection_id FROM detection WHERE frame_id = :f"
    own = dict(tuple(row) for row in conn.execute(text(pick), {"f": frame}))
    rows["detection_id"] = [own.get(int(i), -1) for i in rows["source_id"]]
    best = np.zeros(sources.shape, bool)
    best[np.arange(len(sources)), np.maximum(seen, 0)] = True
    dull = ~best.ravel()
    rows["flags"] = np.where(
        dull, int(Flag.DUPLICATE), np.where(rows["detection_id"] < 0, int(Flag.FORCED), 0)
    )
    for name in ("flux_psf", "flux_psf_err"):
        rows[name][dull] = np.nan
    forced.insert(conn, frame, rows, None)
