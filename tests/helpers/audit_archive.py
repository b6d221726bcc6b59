"""An archive of two telescopes whose light curves and places differ by what a test asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photodb.core import sky
from photodb.core.auditplace import place_design
from photodb.core.flags import Flag
from photodb.storage import bulk, partitions, runs, tables
from photodb.storage.engine import Database
from tests.storage.rows import dtype_of

RA, DEC, HALF_WIDTH = 359.95, 62.0, 0.2  # deg
NX, NY = 801, 601
POINT = dtype_of(tables.light_curve_point)
DETECTION = dtype_of(tables.detection, {"flux_aperture": 2, "flux_aperture_err": 2})
SOURCE_MAG = [("solution_id", "i8"), ("cell", "i4"), ("source_id", "i8"), ("band_id", "i8"), ("mag", "f8"),
              ("mag_err", "f8"), ("n_obs", "i4"), ("n_used", "i4"), ("chi2_dof", "f8"), ("component", "i4"),
              ("standard_mag", "f8"), ("standard_mag_err", "f8"), ("tie_id", "i8")]  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """By what the first telescope differs from the second."""

    n_stars: int = 300
    n_frames: int = 12  # of each telescope and band
    n_nights: int = 4
    bands: tuple[str, ...] = ("V",)
    offset: float = 0.0  # mag
    slope_colour: float = 0.0
    slope_mag: float = 0.0
    pattern: float = 0.0  # mag, over the detector of the first
    drift: float = 0.0  # mag, rms between nights
    frame_noise: float = 0.0  # mag, what the stars of a frame share
    places: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # arcsec, arcsec, arcsec a degree
    place_noise: float = 0.06  # arcsec of a detection
    wobble: float = 0.01  # arcsec of a frame
    excess: float = 0.004  # mag, of a star
    colours: bool = True
    telescopes: tuple[str, str] = ("north", "south")
    dimmed: tuple[
        float, ...
    ] = ()  # mag a night, by which the first telescope sees less, and the solution knows it


def pattern(x, y):
    """The difference over the detector, of rms about a half."""
    return np.cos(4 * x) * y


def build(db: Database, truth: Truth | None = None, seed: int = 0) -> int:
    """Fill an archive and publish the solution; return its key."""
    truth, rng = truth or Truth(), np.random.default_rng([2024, seed])
    with db.begin() as conn:
        run_id = runs.start_run(conn, "solve", {}, {})
        cameras, bands, field = _instruments(conn, run_id, truth)
        xi, eta = HALF_WIDTH * rng.uniform(-1, 1, (2, truth.n_stars))
        source_id, cell = _sources(conn, run_id, field, xi, eta)
        solution = _solution(conn, run_id)
        mag = rng.uniform(12, 17, truth.n_stars)
        colour = 0.1 * (mag - 14.5) + rng.normal(0.8, 0.35, truth.n_stars)
        own = truth.excess * rng.normal(size=(len(bands), truth.n_stars))
        nights = truth.drift * rng.normal(size=truth.n_nights)
        n_obs = np.zeros((len(bands), truth.n_stars), int)
        number = 0
        for k, band_id in enumerate(bands):
            for side, camera in enumerate(cameras):
                for i in range(truth.n_frames):
                    night = i % truth.n_nights
                    frame = _frame(
                        conn,
                        truth,
                        run_id,
                        field,
                        camera,
                        band_id,
                        60000.8 + night + i / 500 + side / 5000,
                        number,
                    )
                    number += 1
                    dim = truth.dimmed[night] if truth.dimmed and side == 0 else 0.0
                    _term(conn, solution, frame, (25.0 - dim, 23.0)[side])
                    seen = np.flatnonzero(rng.random(truth.n_stars) < 0.8)
                    n_obs[k][seen] += 1
                    x, y = -xi[seen] / HALF_WIDTH, eta[seen] / HALF_WIDTH
                    error = np.hypot((0.002, 0.004)[side] * 10 ** (0.2 * (mag[seen] - 12)), 0.003)
                    shown = mag[seen] - colour[seen] * (k == 1) + truth.frame_noise * rng.normal()
                    shown = shown + error * rng.normal(size=seen.size)
                    if side == 0:
                        shown = shown + truth.offset + own[k][seen] + nights[night]
                        shown = (
                            shown
                            + truth.slope_colour * (colour[seen] - 0.8)
                            + truth.slope_mag * (mag[seen] - 14.5)
                        )
                        shown = shown + truth.pattern * pattern(x, y)
                    east, north = (
                        row @ np.array(truth.places) * (side == 0)
                        + truth.wobble * rng.normal()
                        + truth.place_noise * rng.normal(size=seen.size)
                        for row in place_design(xi[seen], eta[seen])
                    )
                    ra, dec = sky.deproject(xi[seen] + east / 3600, eta[seen] + north / 3600, RA, DEC)
                    rows = _detections(frame, source_id[seen], cell[seen], x, y, ra, dec)
                    points = _points(solution, frame, band_id, rows, shown, error)
                    partitions.ensure_partitions(conn, frame)
                    bulk.copy_in(conn, "detection", rows)
                    bulk.copy_in(conn, "light_curve_point", points)
        for k, band_id in enumerate(bands):
            if truth.colours or k == 0:
                _means(conn, solution, source_id, cell, band_id, mag - colour * (k == 1), n_obs[k])
        conn.execute(tables.solution.update().values(state="published"))
        conn.execute(tables.archive.update().values(published_solution_id=solution))
        runs.finish_run(conn, run_id, "done", {})
    return solution


def _insert(conn, table, **values):
    return int(conn.execute(table.insert().values(**values)).inserted_primary_key[0])


def _instruments(conn, run_id, truth):
    cameras = []
    for name in truth.telescopes:
        telescope = _insert(conn, tables.telescope, name=name, run_id=run_id)
        cameras.append(
            _insert(
                conn, tables.camera, telescope_id=telescope, name=f"{name}-ccd", description={}, run_id=run_id
            )
        )
    bands = [_insert(conn, tables.band, name=name) for name in truth.bands]
    return (
        cameras,
        bands,
        _insert(conn, tables.field, name="field", ra=RA, dec=DEC, radius=0.3, run_id=run_id),
    )


def _sources(conn, run_id, field, xi, eta):
    ra, dec = sky.deproject(xi, eta, RA, DEC)
    healpix = sky.healpix29(ra, dec)
    cell = sky.cell_of(healpix, tables.CELL_ORDER)
    source_id = (cell << tables.SERIAL_BITS) | np.arange(1, ra.size + 1)
    rows = np.zeros(
        ra.size,
        [("cell", "i4"), ("source_id", "i8"), ("healpix", "i8"), ("ra", "f8"), ("dec", "f8"), ("n_detections", "i4"),
         ("first_mjd", "f8"), ("last_mjd", "f8"), ("field_id", "i8"), ("run_id", "i8")],
    )  # fmt: skip
    rows["cell"], rows["source_id"], rows["healpix"], rows["ra"], rows["dec"] = (
        cell,
        source_id,
        healpix,
        ra,
        dec,
    )
    rows["n_detections"], rows["first_mjd"], rows["last_mjd"] = 20, 60000.0, 60010.0
    rows["field_id"], rows["run_id"] = field, run_id
    bulk.copy_in(conn, "source", rows)
    return source_id, cell


def _solution(conn, run_id):
    solution = _insert(
        conn, tables.solution, settings={}, poly_order=2, n_frames=1, n_sources=1, n_measurements=1, chi2=1.0,
        chi2_dof=1.0, components=[], error_floor={}, bright_scatter=0.005, state="draft", run_id=run_id,
    )  # fmt: skip
    partitions.create_solution_partition(conn, solution)
    return solution


def _frame(conn, truth, run_id, field, camera, band_id, mjd, number):
    return _insert(
        conn, tables.frame, path=f"/data/{number}.fits", data_hash=f"hash{number}", kind="science", status="accepted",
        camera_id=camera, band_id=band_id, field_id=field, mjd=mjd, mjd_start=mjd, exptime=60.0, night=int(mjd),
        nx=NX, ny=NY, ra=RA, dec=DEC, radius=0.28, pixel_scale=1.8, astrometry="catalogue",
        n_detections=int(0.8 * truth.n_stars), run_id=run_id,
    )  # fmt: skip


def _term(conn, solution, frame, zero_point):
    conn.execute(
        tables.frame_term.insert().values(
            solution_id=solution, frame_id=frame, zero_point=zero_point, zero_point_err=0.001, coefficients=[0.0] * 5,
            covariance=[0.0] * 36, component=0, chi2_dof=1.0, n_stars=100, scatter=0.004, gray_loss=0.0,
            photometric=True, status="used",
        )
    )  # fmt: skip


def _detections(frame, source_id, cell, x, y, ra, dec):
    rows = np.zeros(len(source_id), DETECTION)
    rows["frame_id"], rows["source_id"], rows["cell"] = frame, source_id, cell
    rows["detection_id"] = (frame << 20) + np.arange(len(source_id))
    rows["x"], rows["y"] = (x + 1) / 2 * (NX - 1), (y + 1) / 2 * (NY - 1)
    rows["ra"], rows["dec"], rows["x_err"], rows["y_err"] = ra, dec, 0.03, 0.03
    return rows


def _points(solution, frame, band_id, detections, mag, error):
    rows = np.zeros(len(detections), POINT)
    for name in ("frame_id", "source_id", "cell", "detection_id"):
        rows[name] = detections[name]
    rows["solution_id"], rows["band_id"], rows["mjd"] = solution, band_id, 60000.0
    rows["mag"], rows["err_photon"], rows["err_floor"] = mag, np.sqrt(error**2 - 0.003**2), 0.003
    rows["err_calibration"], rows["mag_limit"] = 0.001, np.nan
    rows["mag_err"] = np.hypot(error, 0.001)
    rows["flags"][0] = int(Flag.SATURATED)
    rows["mag"][0] -= 1
    return rows


def _means(conn, solution, source_id, cell, band_id, mag, n_obs):
    rows = np.zeros(len(source_id), SOURCE_MAG)
    rows["solution_id"], rows["source_id"], rows["cell"], rows["band_id"] = solution, source_id, cell, band_id
    rows["mag"], rows["mag_err"], rows["n_obs"], rows["n_used"] = mag, 0.002, n_obs, n_obs
    rows["chi2_dof"], rows["tie_id"] = 1.0, -1
    rows["standard_mag"] = rows["standard_mag_err"] = np.nan
    bulk.copy_in(conn, "source_mag", rows[n_obs > 0])
