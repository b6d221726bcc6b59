"""The tables `telescope`, `camera` and `band`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from photodb.storage.tables import band, camera, telescope

CAMERA_LOCK = 0x7064625F63616D5F  # 'pdb_cam_'


@dataclass(frozen=True)
class KnownCamera:
    """A camera of the archive, with its description as plain values."""

    camera_id: int
    name: str
    description: dict[str, Any]


def list_cameras(conn: Connection) -> list[KnownCamera]:
    """List the cameras, oldest first."""
    query = select(camera.c.camera_id, camera.c.name, camera.c.description).order_by(camera.c.camera_id)
    return [KnownCamera(*row) for row in conn.execute(query)]


def put_camera(conn: Connection, run_id: int, description: Mapping[str, Any]) -> int:
    """Write a camera and its telescope, new or over the old description, and return the camera's key.

    Parameters
    ----------
    description : plain values of a camera's description; `telescope` and `name` are its keys.
    """
    telescope_id = _put_telescope(conn, run_id, description)
    values = {
        "telescope_id": telescope_id,
        "name": description["name"],
        "description": dict(description),
        "assumed": dict(description.get("assumed", {})),
        "psf_grid": description.get("psf_grid", 1),
        "run_id": run_id,
        **{
            n: description.get(n) for n in ("pixel_scale", "gain", "read_noise", "saturation", "linear_limit")
        },
    }
    statement = insert(camera).values(values)
    kept = {name: statement.excluded[name] for name in values if name != "name"}
    upsert = statement.on_conflict_do_update(index_elements=["name"], set_=kept).returning(camera.c.camera_id)
    return int(conn.execute(upsert).scalar_one())


def register_camera(
    conn: Connection, run_id: int, description: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    """Write a camera unless there is one of its name; return the key and the description that holds.

    Two at once wait for each other: the second gets what the first wrote.
    """
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CAMERA_LOCK})
    query = select(camera.c.camera_id, camera.c.description).where(camera.c.name == description["name"])
    found = conn.execute(query).first()
    if found is not None:
        return found.camera_id, found.description
    return put_camera(conn, run_id, description), dict(description)


def _put_telescope(conn: Connection, run_id: int, description: Mapping[str, Any]) -> int:
    """Write the telescope; a value that the description does not tell keeps what the archive has."""
    told = {n: description.get(n) for n in ("latitude", "longitude", "elevation", "aperture_area")}
    told = {name: value for name, value in told.items() if value is not None}
    values = {"name": description["telescope"], "run_id": run_id, **told}
    values["assumed"] = {
        n: how for n, how in description.get("assumed", {}).items() if n in told or n == "site"
    }
    statement = insert(telescope).values(values)
    kept = {name: statement.excluded[name] for name in values if name != "name"}
    upsert = statement.on_conflict_do_update(index_elements=["name"], set_=kept).returning(
        telescope.c.telescope_id
    )
    return int(conn.execute(upsert).scalar_one())


def band_ids(conn: Connection, names: set[str]) -> dict[str, int]:
    """Return the keys of bands by name; those that are new are made."""
    query = select(band.c.name, band.c.band_id)
    found = {row.name: row.band_id for row in conn.execute(query)}
    missing = sorted(names - set(found))
    if missing:
        conn.execute(insert(band).values([{"name": n} for n in missing]).on_conflict_do_nothing())
        found = {row.name: row.band_id for row in conn.execute(query)}
    return found


def list_telescopes(conn: Connection) -> list[RowMapping]:
    """List cameras with their telescopes, by name: a row a camera."""
    query = (
        select(
            telescope.c.name.label("telescope"), camera.c.name.label("camera"), camera.c.camera_id,
            telescope.c.latitude, telescope.c.longitude, telescope.c.elevation, telescope.c.aperture_area,
            camera.c.pixel_scale, camera.c.gain, camera.c.read_noise, camera.c.saturation,
            camera.c.description, camera.c.assumed,
        )
        .join_from(telescope, camera)
        .order_by(telescope.c.name, camera.c.name)
    )  # fmt: skip
    return list(conn.execute(query).mappings())
