"""Rows of bulk tables for tests, with the types of the tables themselves."""

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Boolean, Integer, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, REAL

from photodb.core.sky import healpix29
from photodb.core.terms import design, n_terms, scale_pixels
from photodb.storage import forced, runs, tables
from photodb.storage.bulk import copy_in, copy_out
from photodb.storage.partitions import create_solution_partition, ensure_partitions

CODES = {
    REAL: "f4",
    DOUBLE_PRECISION: "f8",
    BigInteger: "i8",
    Integer: "i4",
    SmallInteger: "i2",
    Boolean: "?",
}
NUMBER_BITS = 20


def dtype_of(table, lengths=None):
    """Build the structured dtype of a table of numbers; `lengths` are those of its array columns."""
    fields = []
    for column in table.columns:
        if isinstance(column.type, ARRAY):
            fields.append((column.name, CODES[type(column.type.item_type)], ((lengths or {})[column.name],)))
        else:
            fields.append((column.name, CODES[type(column.type)]))
    return np.dtype(fields)


DETECTION = dtype_of(tables.detection, {"flux_aperture": 3, "flux_aperture_err": 3})
FORCED = dtype_of(tables.forced, {"flux_aperture": 3, "flux_aperture_err": 3})


def detection_rows(frame_id, n=3, sources=None, seed=()):
    """Make `n` detections of a frame, each of its source in turn ('sources': pairs of cell and source_id)."""
    rng = np.random.default_rng(seed or [frame_id])
    rows = np.zeros(n, DETECTION)
    for name in rows.dtype.names:
        if rows.dtype[name].base.kind == "f":
            rows[name] = rng.uniform(1, 2, rows[name].shape)
    rows["frame_id"] = frame_id
    rows["detection_id"] = (frame_id << NUMBER_BITS) + np.arange(n)
    rows["cell"], rows["source_id"] = (-1, -1) if sources is None else np.array(sources).T
    rows["class"] = 1
    rows["psf_size"] = rows["psf_size_err"] = np.nan
    return rows


def forced_rows(detections, run_id, seed=()):
    """Make a forced measurement of each detection that has a source."""
    rng = np.random.default_rng(seed or [int(detections["frame_id"][0]), 1])
    rows = np.zeros(len(detections), FORCED)
    for name in rows.dtype.names:
        if rows.dtype[name].base.kind == "f":
            rows[name] = rng.uniform(1, 2, rows[name].shape)
    for name in ("cell", "frame_id", "source_id", "detection_id", "x", "y"):
        rows[name] = detections[name]
    rows["run_id"] = run_id
    return rows[rows["source_id"] >= 0]


def add_forced(conn, run_id, frames):
    """Measure the sources of frames' detections by force; the first of each frame is none of its detections."""
    for frame in frames:
        select = "SELECT cell, frame_id, source_id, detection_id, x, y FROM detection WHERE frame_id = %s ORDER BY 4"
        dtype = [
            ("cell", "i4"),
            ("frame_id", "i8"),
            ("source_id", "i8"),
            ("detection_id", "i8"),
            ("x", "f4"),
            ("y", "f4"),
        ]
        rows = forced_rows(copy_out(conn, select, dtype, [frame]), run_id)
        rows["detection_id"][0] = -1
        forced.insert(conn, frame, rows, [{"kind": "psf", "mag": 0.01, "mag_err": 0.001, "n_stars": 5}])


def small_archive(db, n_frames=3, n_sources=5, order=1, seed=0, force=False):
    """Fill an archive with one ingest run and one published solution, all consistent; return their keys.

    With `force`, a run of its own measures the sources on every frame by force, and the solution is made of that.
    """
    with db.begin() as conn:
        ingest = runs.start_run(conn, "ingest", {}, {})
        frames = add_frames(conn, ingest, n_frames, n_sources, seed)
        runs.finish_run(conn, ingest, "done", {})
    measure = -1
    if force:
        with db.begin() as conn:
            measure = runs.start_run(conn, "measure", {}, {})
            add_forced(conn, measure, frames)
            runs.finish_run(conn, measure, "done", {})
    with db.begin() as conn:
        solve = runs.start_run(conn, "solve", {}, {})
        solution = add_solution(conn, solve, frames, order, seed)
        runs.finish_run(conn, solve, "done", {})
    return {"ingest": ingest, "measure": measure, "solve": solve, "solution": solution, "frames": frames}


def add_frames(conn, run_id, n_frames, n_sources, seed=0, name=""):
    """Add frames with detections, matches and their sources; the same seed makes the same stars."""
    camera, band = _instrument(conn, run_id)
    field = insert(conn, tables.field, name="f", ra=30.0, dec=40.0, radius=1.0, run_id=run_id)
    sources = add_sources(conn, run_id, n_sources, n_frames)
    frames = []
    for i in range(n_frames):
        frame = insert(
            conn,
            tables.frame,
            path=f"{name}{i}.fits",
            data_hash=f"hash {name}{seed} {i}",
            status="accepted",
            camera_id=camera,
            band_id=band,
            field_id=field,
            mjd=58000.0 + i,
            exptime=10.0,
            nx=100,
            ny=80,
            n_detections=n_sources,
            run_id=run_id,
            astrometry="catalogue",
        )
        ensure_partitions(conn, frame)
        detections = detection_rows(frame, n_sources, sources, [seed, i, *name.encode()])
        detections["x"], detections["y"] = detections["x"] * 40, detections["y"] * 30
        copy_in(conn, "detection", detections)
        matches = np.zeros(n_sources, dtype_of(tables.astrometric_match))
        for column in ("cell", "frame_id", "detection_id"):
            matches[column] = detections[column]
        matches["reference_star_id"] = matches["reference_detection_id"] = matches["gaia_source_id"] = -1
        copy_in(conn, "astrometric_match", matches)
        frames.append(frame)
    return frames


def add_sources(conn, run_id, n, n_frames):
    """Add sources, each with one detection a frame; return pairs of cell and source_id."""
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(30, 31, n), rng.uniform(40, 41, n)
    keys = healpix29(ra, dec)
    pairs = []
    for i in range(n):
        cell = int(keys[i] >> 48)
        serial = conn.scalar(tables.source_serial.next_value())
        pairs.append((cell, cell << tables.SERIAL_BITS | serial))
        values = {
            "cell": cell,
            "source_id": pairs[-1][1],
            "healpix": int(keys[i]),
            "ra": ra[i],
            "dec": dec[i],
        }
        times = {"first_mjd": 58000.0, "last_mjd": 58000.0 + n_frames - 1}
        conn.execute(tables.source.insert().values(n_detections=n_frames, run_id=run_id, **values, **times))
    return pairs


def add_solution(conn, run_id, frames, order=1, seed=0, state="published"):
    """Add a solution over frames, with its terms, points, magnitudes and statistics."""
    rng = np.random.default_rng(seed)
    k = n_terms(order)
    numbers = {"n_frames": len(frames), "n_sources": 1, "n_measurements": 1, "chi2": 1.0, "chi2_dof": 1.0}
    more = {"settings": {}, "components": [], "error_floor": {}, "poly_order": order, "state": state}
    solution = insert(conn, tables.solution, run_id=run_id, published_at=func.now(), **numbers, **more)
    create_solution_partition(conn, solution)
    for frame in frames:
        coefficients = rng.normal(0, 0.01, k)
        coefficients[0] += 25.0
        values = {"zero_point_err": 0.01, "component": 0, "chi2_dof": 1.0, "n_stars": 1, "scatter": 0.01}
        values |= {"gray_loss": 0.0, "photometric": True, "status": "used", "covariance": [0.0] * k * k}
        keys = {"solution_id": solution, "frame_id": frame}
        terms = {"zero_point": coefficients[0], "coefficients": coefficients[1:].tolist()}
        conn.execute(tables.frame_term.insert().values(**keys, **terms, **values))
        points = _points(conn, solution, frame, coefficients, order)
        copy_in(conn, "light_curve_point", _forced_points(conn, points, coefficients, order))
    magnitudes = f"""
    INSERT INTO source_mag SELECT {solution}, cell, source_id, band_id, avg(mag), 0.01, count(*), count(*), 1, 0,
        'NaN', 'NaN', -1, '' FROM light_curve_point WHERE solution_id = {solution} GROUP BY 2, 3, 4"""
    conn.execute(text(magnitudes))
    kinds = """INSERT INTO source_photometry SELECT solution_id, cell, source_id, p.band_id, camera_id,
        min(photometry), ARRAY[-1, 0], ARRAY[0.01, 0.02], count(*), 'default' FROM light_curve_point p
        JOIN frame USING (frame_id) WHERE solution_id = :s GROUP BY 1, 2, 3, 4, 5 HAVING min(photometry) > -2"""
    conn.execute(text(kinds), {"s": solution})
    statistics = """INSERT INTO source_stat (solution_id, cell, source_id, band_id, n_obs, n_bad, bad_fraction,
        quality_flag, run_id) SELECT solution_id, cell, source_id, band_id, n_obs, 0, 0, 0, :run
        FROM source_mag WHERE solution_id = :solution"""
    conn.execute(text(statistics), {"run": run_id, "solution": solution})
    if state == "published":
        conn.execute(
            text("UPDATE solution SET state = 'retired' WHERE state = 'published' AND solution_id <> :s"),
            {"s": solution},
        )
        conn.execute(text("UPDATE archive SET published_solution_id = :s"), {"s": solution})
    return solution


def _points(conn, solution, frame, coefficients, order):
    select = "SELECT cell, source_id, detection_id, x, y, mag FROM detection WHERE frame_id = %s ORDER BY detection_id"
    dtype = [
        ("cell", "i4"),
        ("source_id", "i8"),
        ("detection_id", "i8"),
        ("x", "f8"),
        ("y", "f8"),
        ("mag", "f8"),
    ]
    found = copy_out(conn, select, dtype, [frame])
    band = conn.scalar(text("SELECT band_id FROM frame WHERE frame_id = :f"), {"f": frame})
    points = np.zeros(len(found), dtype_of(tables.light_curve_point))
    for column in ("cell", "source_id", "detection_id"):
        points[column] = found[column]
    terms = design(scale_pixels(found["x"], 100), scale_pixels(found["y"], 80), order)
    points["mag"] = found["mag"] + terms @ coefficients
    points["solution_id"], points["frame_id"], points["band_id"], points["mjd"] = (
        solution,
        frame,
        band,
        58000.0,
    )
    return points


def _forced_points(conn, points, coefficients, order):
    """Take the points of a frame that was measured by force from there: PSF fluxes, 10 mmag off in this frame."""
    solution, frame = int(points["solution_id"][0]), int(points["frame_id"][0])
    select = (
        "SELECT source_id, detection_id, x, y, flux_psf FROM forced WHERE frame_id = %s ORDER BY source_id"
    )
    dtype = [("source_id", "i8"), ("detection_id", "i8"), ("x", "f8"), ("y", "f8"), ("flux", "f8")]
    found = copy_out(conn, select, dtype, [frame])
    points["photometry"], points["mag_limit"] = -2, np.nan
    if not len(found):
        return points
    kind = {"solution_id": solution, "frame_id": frame, "photometry": -1}
    conn.execute(tables.frame_photometry.insert().values(**kind, coefficients=[0.01], n_stars=4))
    found = found[np.searchsorted(found["source_id"], points["source_id"])]
    terms = design(scale_pixels(found["x"], 100), scale_pixels(found["y"], 80), order)
    points["mag"] = -2.5 * np.log10(found["flux"] / 10.0) + terms @ coefficients + 0.01
    points["detection_id"], points["photometry"] = found["detection_id"], -1
    return points


def insert(conn, table, **values):
    """Insert one row and return its key."""
    key = next(iter(table.primary_key.columns))
    return conn.execute(table.insert().values(**values).returning(key)).scalar_one()


def _instrument(conn, run_id):
    found = conn.execute(text("SELECT camera_id, band_id FROM camera, band")).first()
    if found:
        return tuple(found)
    telescope = insert(conn, tables.telescope, name="T", run_id=run_id)
    camera = insert(
        conn, tables.camera, name="C", telescope_id=telescope, description={}, gain=1.5, run_id=run_id
    )
    return camera, insert(conn, tables.band, name="V")
