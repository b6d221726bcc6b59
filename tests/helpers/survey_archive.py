"""An archive filled from a simulated survey of magnitudes: frames, sources and detections as ingest leaves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky, terms
from photodb.core.flags import Flag
from photodb.simulate.measurements import Survey
from photodb.storage import bulk, forced, partitions, runs, tables
from photodb.storage.engine import Database
from tests.storage.rows import dtype_of

RA, DEC, HALF_WIDTH = 200.0, 35.0, 0.2  # deg; HALF_WIDTH is that of a frame
NX, NY = 801, 601
DETECTION = dtype_of(tables.detection, {"flux_aperture": 2, "flux_aperture_err": 2})


@dataclass(frozen=True)
class Filled:
    """Keys of what was written."""

    frame_id: NDArray[np.int64]  # (n_frames,)
    source_id: NDArray[np.int64]  # (n_stars,)
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    n_detections: int


def fill(
    db: Database,
    survey: Survey,
    bands: NDArray | None = None,
    flags: NDArray | None = None,
    mjd: NDArray | None = None,
) -> Filled:
    """Write a survey; `bands` are names by frame (all 'R' by default), `flags` those of the measurements."""
    n_frames = len(survey.frames)
    bands = np.full(n_frames, "R") if bands is None else bands
    mjd = 60000.0 + survey.time if mjd is None else mjd
    with db.begin() as conn:
        run_id = runs.start_run(conn, "ingest", {}, {})
        cameras, band_ids, field = _instruments(conn, run_id, sorted(set(bands.tolist())))
        ra, dec = sky.deproject(survey.star_xy[:, 0] * HALF_WIDTH, survey.star_xy[:, 1] * HALF_WIDTH, RA, DEC)
        source_id, cell = _sources(conn, run_id, field, ra, dec, survey)
        frame_id = np.array(
            [
                _frame(
                    conn,
                    run_id,
                    field,
                    cameras[int(survey.frames.camera[i])],
                    band_ids[bands[i]],
                    mjd[i],
                    i,
                    survey,
                )
                for i in range(n_frames)
            ]
        )
        n = _detections(conn, survey, frame_id, source_id, cell, flags)
        runs.finish_run(conn, run_id, "done", {})
    return Filled(frame_id, source_id, ra, dec, n)


def _instruments(conn, run_id, band_names):
    def insert(table, **values):
        return int(conn.execute(table.insert().values(**values)).inserted_primary_key[0])

    cameras = []
    for name, area in (("big", 4.9), ("small", 1.3)):
        telescope = insert(tables.telescope, name=name, aperture_area=area, run_id=run_id)
        camera = insert(
            tables.camera, telescope_id=telescope, name=f"{name}-ccd", description={}, gain=1.0, run_id=run_id
        )
        cameras.append(camera)
    bands = {name: insert(tables.band, name=name) for name in band_names}
    return cameras, bands, insert(tables.field, name="simulated", ra=RA, dec=DEC, radius=0.3, run_id=run_id)


def _sources(conn, run_id, field, ra, dec, survey):
    healpix = sky.healpix29(ra, dec)
    cell = sky.cell_of(healpix, tables.CELL_ORDER)
    source_id = (cell << tables.SERIAL_BITS) | np.arange(1, ra.size + 1)
    counts = np.bincount(survey.measurements.star, minlength=ra.size)
    rows = [
        {
            "cell": int(cell[j]),
            "source_id": int(source_id[j]),
            "healpix": int(healpix[j]),
            "ra": float(ra[j]),
            "dec": float(dec[j]),
            "n_detections": int(counts[j]),
            "first_mjd": 60000.0,
            "last_mjd": 60030.0,
            "field_id": field,
            "run_id": run_id,
        }
        for j in range(ra.size)
    ]
    conn.execute(tables.source.insert(), rows)
    return source_id, cell


def _frame(conn, run_id, field, camera, band, mjd, number, survey):
    count = int(np.count_nonzero(survey.measurements.frame == number))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) + survey_pointing(survey, number)
    ra, dec = sky.deproject(corners[:, 0] * HALF_WIDTH, corners[:, 1] * HALF_WIDTH, RA, DEC)
    values = {
        "path": f"/data/{number:04d}.fits",
        "data_hash": f"hash{number}",
        "kind": "science",
        "status": "accepted",
        "camera_id": camera,
        "band_id": band,
        "field_id": field,
        "mjd": float(mjd),
        "mjd_start": float(mjd) - 30 / 86400,
        "mjd_tdb": float(mjd) + 69.184 / 86400,
        "earth_x": 300.0,
        "earth_y": -350.0,
        "earth_z": -150.0,
        "exptime": 60.0,
        "night": int(mjd),
        "nx": NX,
        "ny": NY,
        "ra": float(ra.mean()),
        "dec": float(dec.mean()),
        "radius": float(np.hypot(1, 1) * HALF_WIDTH),
        "footprint": np.stack([ra, dec], axis=1).ravel().tolist(),
        "n_detections": count,
        "run_id": run_id,
    }
    return int(conn.execute(tables.frame.insert().values(**values)).inserted_primary_key[0])


def survey_pointing(survey, number):
    """Find the pointing of a frame from its stars, frame half-widths (rotation is neglected)."""
    m = survey.measurements
    mine = m.frame == number
    if not mine.any():
        return np.zeros(2)
    offset = survey.star_xy[m.star[mine]] - np.column_stack([m.x[mine], m.y[mine]])
    return np.median(offset, axis=0)


def _detections(conn, survey, frame_id, source_id, cell, flags):
    m = survey.measurements
    for i, key in enumerate(frame_id):
        mine = np.flatnonzero(m.frame == i)
        mine = mine[np.argsort(m.mag[mine], kind="stable")]
        rows = np.zeros(mine.size, DETECTION)
        rows["frame_id"], rows["detection_id"] = key, (int(key) << 20) + np.arange(mine.size)
        rows["cell"], rows["source_id"] = cell[m.star[mine]], source_id[m.star[mine]]
        rows["x"], rows["y"] = (m.x[mine] + 1) / 2 * (NX - 1), (m.y[mine] + 1) / 2 * (NY - 1)
        rows["mag"], rows["mag_err"] = m.mag[mine], m.mag_err[mine]
        rows["flux"] = 60.0 * 10 ** (-0.4 * rows["mag"])
        rows["flux_err"] = rows["flux"] * rows["mag_err"] / 1.0857
        rows["ra"] = rows["dec"] = rows["flux_psf"] = np.nan
        if flags is not None:
            rows["flags"] = flags[mine]
            lost = (rows["flags"] & int(Flag.NEGATIVE)) != 0
            rows["mag"][lost] = rows["mag_err"][lost] = np.nan
        partitions.ensure_partitions(conn, int(key))
        bulk.copy_in(conn, "detection", rows)
    return len(m)


FORCED = dtype_of(tables.forced, {"flux_aperture": 3, "flux_aperture_err": 3})
BRIGHT_INSTRUMENTAL = -8.0  # mag: brighter stars have the better aperture, fainter ones the better PSF


def fill_forced(db, survey, filled, seed=0, psf=True, extra=0.02):
    """Measure every frame by force: each detection, and eight sources without one whose flux is only noise.

    Radii are 2, 3 (main) and 4 px. Bright stars scatter by `extra` mag in the PSF, faint ones in the main aperture, all
    by twice that in the other apertures. PSF magnitudes are off by a polynomial of the frame, of which its correction
    takes the constant.
    """
    rng, m = np.random.default_rng(seed), survey.measurements
    offset = rng.normal(0, 0.02, (len(survey.frames), 6))
    with db.begin() as conn:
        run_id = runs.start_run(conn, "measure", {}, {})
        for i, key in enumerate(filled.frame_id):
            mine = np.flatnonzero(m.frame == i)
            mine = mine[np.argsort(m.mag[mine], kind="stable")]
            unseen = rng.permutation(np.setdiff1d(np.arange(len(filled.source_id)), m.star[mine]))[:8]
            rows = _forced_rows(rng, filled, survey, int(key), mine, unseen, extra)
            bend = terms.evaluate(offset, np.full(mine.size, i), m.x[mine], m.y[mine])
            rows["flux_psf"][: mine.size] *= 10 ** (0.4 * bend)
            if not psf:
                rows["flux_psf"] = rows["flux_psf_err"] = np.nan
            corrections = [{"kind": "psf", "mag": float(offset[i, 0]), "mag_err": 0.001, "n_stars": 50}]
            corrections += [
                {"kind": f"aperture:{k}", "mag": 0.0, "mag_err": 0.0, "n_stars": 50} for k in range(3)
            ]
            forced.insert(conn, int(key), rows, corrections)
        conn.execute(tables.frame.update().values(aperture_radii=[2.0, 3.0, 4.0], aperture_best=1))
        runs.finish_run(conn, run_id, "done", {})
    return run_id


def _forced_rows(rng, filled, survey, frame, mine, unseen, extra):
    m, n = survey.measurements, mine.size
    rows = np.zeros(n + unseen.size, FORCED)
    star = np.concatenate([m.star[mine], unseen])
    rows["frame_id"], rows["source_id"] = frame, filled.source_id[star]
    rows["cell"] = rows["source_id"] >> tables.SERIAL_BITS
    rows["detection_id"][:n], rows["detection_id"][n:] = (frame << 20) + np.arange(n), -1
    rows["flags"][n:] = int(Flag.FORCED)
    rows["x"][:n], rows["y"][:n] = (m.x[mine] + 1) / 2 * (NX - 1), (m.y[mine] + 1) / 2 * (NY - 1)
    rows["x"][n:], rows["y"][n:] = 100, 200
    bright = m.mag[mine] < BRIGHT_INSTRUMENTAL
    more = np.column_stack([extra * bright, 2 * extra + 0 * bright, extra * ~bright, 2 * extra + 0 * bright])
    mag = m.mag[mine, None] + more * rng.normal(size=(n, 4))
    flux = 60.0 * 10 ** (-0.4 * mag)
    error = flux * m.mag_err[mine, None] / 1.0857
    rows["flux_psf"][:n], rows["flux_psf_err"][:n] = flux[:, 0], error[:, 0]
    rows["flux_aperture"][:n], rows["flux_aperture_err"][:n] = flux[:, 1:], error[:, 1:]
    noise = 100.0
    rows["flux_psf"][n:], rows["flux_psf_err"][n:] = rng.normal(0, noise, unseen.size), noise
    rows["flux_aperture"][n:] = rng.normal(0, noise, (unseen.size, 3))
    rows["flux_aperture_err"][n:] = noise
    rows["psf_chi2"], rows["sky"], rows["sky_err"], rows["run_id"] = 1.0, 100.0, 10.0, 1
    return rows
