"""A small archive with known contents, written row by row: two telescopes, two bands, two nights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photodb.core import sky
from photodb.core.flags import Flag
from photodb.core.tangent import TangentWCS
from photodb.storage import bulk, partitions, runs, tables
from photodb.storage.engine import Database
from tests.storage.rows import dtype_of

RA, DEC = 31.0427, -46.6878
SCALE_ARCSEC = 2.0
NX, NY = 200, 160
WCS = TangentWCS(RA, DEC, (NX - 1) / 2, (NY - 1) / 2, (0, SCALE_ARCSEC / 3.6, 0), (0, 0, SCALE_ARCSEC / 3.6))


@dataclass(frozen=True)
class Truth:
    """What was written."""

    solution_id: int
    frame_ids: np.ndarray  # (n_frames,)
    mjd: np.ndarray  # (n_frames,)
    band: np.ndarray  # (n_frames,) names
    camera: np.ndarray  # (n_frames,) names
    source_id: np.ndarray  # (n_stars,)
    ra: np.ndarray  # (n_stars,) deg
    dec: np.ndarray  # (n_stars,) deg
    mag: np.ndarray  # (n_stars,)
    points: np.ndarray  # (n_stars, n_frames) calibrated magnitudes


def fill(db: Database, n_frames: int = 16, n_stars: int = 30, publish: bool = True, seed: int = 1) -> Truth:
    """Write the archive; star 0 lies exactly at (RA, DEC), star 1 1.2 arcsec beside it."""
    rng = np.random.default_rng(seed)
    with db.begin() as conn:
        run_id = runs.start_run(conn, "ingest", {}, {})
        cameras, bands, field = _instruments(conn, run_id)
        ra, dec = _positions(rng, n_stars)
        source_id, cell = _sources(conn, run_id, ra, dec, n_frames)
        frames = _frames(conn, run_id, n_frames, cameras, bands, field)
        mag = np.sort(rng.uniform(10, 15, n_stars))
        solution_id = _solution(conn, run_id, frames, n_stars)
        points = _points(conn, rng, solution_id, frames, source_id, cell, mag)
        _means(conn, run_id, solution_id, source_id, cell, mag, bands, n_frames, rng)
        if publish:
            conn.execute(tables.solution.update().values(state="published"))
            conn.execute(tables.archive.update().values(published_solution_id=solution_id))
        runs.finish_run(conn, run_id, "done", {})
    names = {v: k for k, v in bands.items()}
    camera_names = {v: k for k, v in cameras.items()}
    return Truth(
        solution_id,
        frames["frame_id"],
        frames["mjd"],
        np.array([names[b] for b in frames["band_id"]]),
        np.array([camera_names[c] for c in frames["camera_id"]]),
        source_id,
        ra,
        dec,
        mag,
        points,
    )


def _insert(conn, table, **values) -> int:
    return int(conn.execute(table.insert().values(**values)).inserted_primary_key[0])


def _instruments(conn, run_id):
    cameras = {}
    for name, latitude in (("pollux", 40.0), ("castor", -30.0)):
        telescope = _insert(
            conn, tables.telescope, name=name, latitude=latitude, longitude=10.0, run_id=run_id
        )
        cameras[f"{name}-ccd"] = _insert(
            conn,
            tables.camera,
            telescope_id=telescope,
            name=f"{name}-ccd",
            description={},
            gain=1.5,
            run_id=run_id,
        )
    bands = {name: _insert(conn, tables.band, name=name) for name in ("V", "R")}
    field = _insert(conn, tables.field, name="test", ra=RA, dec=DEC, radius=0.1, run_id=run_id)
    return cameras, bands, field


def _positions(rng, n):
    offset = rng.uniform(-120, 120, (n, 2)) / 3600
    offset[0], offset[1] = 0, (1.2 / 3600, 0)
    return sky.deproject(offset[:, 0], offset[:, 1], RA, DEC)


def add_sources(conn, run_id, ra, dec, n_detections=1, **more):
    """Write sources at positions; return their ids and cells."""
    healpix = sky.healpix29(ra, dec)
    cell = sky.cell_of(healpix, tables.CELL_ORDER)
    first = conn.execute(tables.source.select()).rowcount
    source_id = (cell << tables.SERIAL_BITS) | (np.arange(len(cell)) + 1 + max(first, 0))
    rows = [
        {
            "cell": int(c),
            "source_id": int(s),
            "healpix": int(h),
            "ra": float(a),
            "dec": float(d),
            "n_detections": n_detections,
            "first_mjd": 60000.0,
            "last_mjd": 60001.0,
            "run_id": run_id,
            **more,
        }
        for c, s, h, a, d in zip(cell, source_id, healpix, ra, dec)
    ]
    conn.execute(tables.source.insert(), rows)
    return source_id, cell


def _sources(conn, run_id, ra, dec, n_frames):
    return add_sources(conn, run_id, ra, dec, n_frames)


def _frames(conn, run_id, n, cameras, bands, field):
    made = np.zeros(n, [("frame_id", "i8"), ("mjd", "f8"), ("camera_id", "i8"), ("band_id", "i8")])
    half = n // 2
    corners_x, corners_y = np.array([-1, 1, 1, -1]) * NX / 2, np.array([-1, -1, 1, 1]) * NY / 2
    ra, dec = sky.deproject(corners_x * SCALE_ARCSEC / 3600, corners_y * SCALE_ARCSEC / 3600, RA, DEC)
    for i in range(n):
        night = 60000 + (i >= half)
        made[i]["mjd"] = night + 0.8 + 0.005 * (i % half)
        made[i]["camera_id"] = list(cameras.values())[i % 2]
        made[i]["band_id"] = list(bands.values())[(i // 2) % 2]
        made[i]["frame_id"] = _insert(
            conn,
            tables.frame,
            path=f"/data/night{night}/frame{i:03d}.fits",
            data_hash=f"hash{i}",
            kind="science",
            status="accepted",
            camera_id=int(made[i]["camera_id"]),
            band_id=int(made[i]["band_id"]),
            field_id=field,
            mjd=float(made[i]["mjd"]),
            mjd_start=float(made[i]["mjd"]) - 30 / 86400,
            exptime=60.0,
            night=night,
            airmass=1.0 + 0.02 * i,
            nx=NX,
            ny=NY,
            ra=RA,
            dec=DEC,
            radius=float(np.hypot(NX, NY) / 2 * SCALE_ARCSEC / 3600),
            healpix=int(sky.healpix29([RA], [DEC])[0]),
            footprint=np.stack([ra, dec], axis=1).ravel().tolist(),
            wcs=WCS.to_dict(),
            limiting_mag=-8.0,
            astrometry="catalogue",
            astrom_rms=0.3,
            astrom_n=40,
            pixel_scale=SCALE_ARCSEC,
            shift_x=float(i),
            shift_y=-0.5 * i,
            shift_rotation=0.01 * i,
            shift_rms=0.05,
            shift_n=50,
            data_min=100.0 + i,
            data_max=9000.0 - 100 * i,
            dynamic_range=8900.0 - 101 * i,
            nonuniformity=5.0 + i,
            fwhm=3.0 + 0.01 * i,
            ellipticity=0.1,
            background=200.0,
            n_detections=30,
            run_id=run_id,
        )
    partitions.ensure_partitions(conn, int(made["frame_id"].max()))
    return made


def _solution(conn, run_id, frames, n_stars):
    solution_id = _insert(
        conn,
        tables.solution,
        settings={},
        poly_order=2,
        n_frames=len(frames),
        n_sources=n_stars,
        n_measurements=len(frames) * n_stars,
        chi2=1.0,
        chi2_dof=1.0,
        components=[],
        error_floor={},
        bright_scatter=0.005,
        state="draft",
        run_id=run_id,
    )
    terms = [
        {
            "solution_id": solution_id,
            "frame_id": int(row["frame_id"]),
            "zero_point": 25.0 + 0.001 * i,
            "zero_point_err": 0.001,
            "coefficients": [0.0] * 5,
            "covariance": [0.0] * 36,
            "component": 0,
            "chi2_dof": 1.0,
            "n_stars": n_stars,
            "scatter": 0.004,
            "gray_loss": 0.01,
            "photometric": True,
            "status": "used",
        }
        for i, row in enumerate(frames)
    ]
    conn.execute(tables.frame_term.insert(), terms)
    partitions.create_solution_partition(conn, solution_id)
    return solution_id


POINT = dtype_of(tables.light_curve_point)
DETECTION = dtype_of(tables.detection, {"flux_aperture": 3, "flux_aperture_err": 3})


def _points(conn, rng, solution_id, frames, source_id, cell, mag):
    n_stars, n_frames = len(source_id), len(frames)
    scatter = 0.01 * rng.normal(size=(n_stars, n_frames)) * (1 + 20 * (np.arange(n_stars) == 5))[:, None]
    values = (mag[:, None] + scatter).astype("f4")
    for i, row in enumerate(frames):
        points, detections = np.zeros(n_stars, POINT), np.zeros(n_stars, DETECTION)
        for rows in (points, detections):
            rows["frame_id"], rows["source_id"], rows["cell"] = row["frame_id"], source_id, cell
            rows["detection_id"] = (int(row["frame_id"]) << 20) + np.arange(n_stars)
            rows["mag"], rows["mag_err"] = values[:, i], 0.01
        points["solution_id"], points["band_id"] = solution_id, row["band_id"]
        points["mjd"], points["bjd_tdb"] = row["mjd"], 2400000.5 + row["mjd"] + 0.003
        points["flags"][:3] = 0
        if i == 3:
            points["flags"][0] = Flag.SATURATED
        detections["x"], detections["y"], detections["fwhm"], detections["sky"] = 12.5, 99.5, 3.0, 250.0
        detections["x"] += 5 * np.arange(n_stars)
        bulk.copy_in(conn, "detection", detections)
        bulk.copy_in(conn, "light_curve_point", points)
    return values


def _means(conn, run_id, solution_id, source_id, cell, mag, bands, n_frames, rng):
    mags, stats = [], []
    for band_id in bands.values():
        for s, c, m in zip(source_id, cell, mag):
            key = {"solution_id": solution_id, "cell": int(c), "source_id": int(s), "band_id": band_id}
            n_obs = {"n_obs": n_frames // 2}
            mags.append(
                {
                    **key,
                    **n_obs,
                    "mag": float(m),
                    "mag_err": 0.002,
                    "n_used": n_frames // 2,
                    "chi2_dof": 1.0,
                    "component": 0,
                    "standard_mag": float("nan"),
                    "standard_mag_err": float("nan"),
                    "tie_id": -1,
                }
            )
            noise = 0.2 if s == source_id[5] else 0.005 * 10 ** (0.2 * (m - 10)) * rng.lognormal(0, 0.1)
            stats.append(
                {
                    **key,
                    **n_obs,
                    "n_bad": 0,
                    "bad_fraction": 0.0,
                    "quality_flag": 0,
                    "global_noise": float(noise),
                    "local_noise": float(noise) / 2,
                    "sigma": float(noise),
                    "chi2_dof": 400.0 if s == source_id[5] else 1.0,
                    "candidate": bool(s == source_id[5]),
                    "score": 9.0 if s == source_id[5] else 0.0,
                    "tags": ["z_iqr>5"] if s == source_id[5] else [],
                    "run_id": run_id,
                }
            )
    conn.execute(tables.source_mag.insert(), mags)
    conn.execute(tables.source_stat.insert(), stats)
