"""Describe telescopes and cameras; list them and the reference catalogues."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from astropy.table import Table

from photodb.errors import NothingMatched
from photodb.images.headers import CameraDescription, load_toml
from photodb.storage import instruments, refcats
from photodb.storage.engine import Database

from .runs import recorded_run

COLUMNS = (
    "telescope",
    "camera",
    "latitude",
    "longitude",
    "elevation",
    "pixel_scale",
    "gain",
    "read_noise",
    "saturation",
)


def add_telescope(db: Database, path: Path, *, dry_run: bool = False) -> list[CameraDescription]:
    """Write the cameras of a telescope file, new or in place of their old descriptions.

    Frames that are in the archive keep the values they were measured with; ingest them anew where that matters.

    Raises
    ------
    ConfigurationError : the file is wrong; key and limit are named.
    """
    made = load_toml(Path(path))
    if dry_run:
        return made
    with recorded_run(db, "telescope add", {"path": str(path)}, {}) as run, db.begin() as conn:
        for description in made:
            instruments.put_camera(conn, run.run_id, description.to_dict())
    return made


def telescope_table(db: Database) -> Table:
    """List the cameras with what matters of them, and what was assumed."""
    with db.begin() as conn:
        rows = instruments.list_telescopes(conn)
    table = (
        Table({name: [_or_nan(row[name]) for row in rows] for name in COLUMNS})
        if rows
        else Table(names=COLUMNS)
    )
    if rows:
        table["assumed"] = [", ".join(sorted(row["assumed"])) for row in rows]
    return table


def _or_nan(value: Any) -> Any:
    return float("nan") if value is None else value


def camera_toml(db: Database, name: str) -> str:
    """Return a camera's description as a TOML file that `photodb telescope add` takes.

    Raises
    ------
    NothingMatched : no such camera.
    """
    with db.begin() as conn:
        rows = [r for r in instruments.list_telescopes(conn) if name in (r["camera"], r["telescope"])]
    if not rows:
        raise NothingMatched(f"no camera or telescope {name!r}; see 'photodb telescope list'")
    descriptions = [CameraDescription.from_dict(r["description"], r["camera"]) for r in rows]
    return "\n".join([_telescope_toml(descriptions[0]), *(_camera_toml(d) for d in descriptions)])


def _telescope_toml(d: CameraDescription) -> str:
    lines = ["[telescope]", f"name = {json.dumps(d.telescope)}"]
    units = {
        "latitude": "degrees, north positive",
        "longitude": "degrees, east positive",
        "elevation": "metres",
        "aperture_area": "square metres",
    }
    for key, unit in units.items():
        value = getattr(d, key)
        lines.append(
            f"{key} = {value}  # {unit}{_how(d, key)}"
            if value is not None
            else f"# {key} =  # {unit}; not known"
        )
    return "\n".join(lines) + "\n"


def _camera_toml(d: CameraDescription) -> str:
    lines = ["[[camera]]", f"name = {json.dumps(d.name)}", f"match = {_inline(d.match)}"]
    for key in ("pixel_scale", "gain", "read_noise", "saturation", "linear_limit", "soft_bias", "data_section",
                "overscan_section", "hdu", "checksum", "psf_grid", "aperture", "default_filter"):  # fmt: skip
        value = getattr(d, key)
        if value not in (None, ""):
            lines.append(f"{key} = {json.dumps(value)}{'  #' + _how(d, key) if _how(d, key) else ''}")
    lines += ["", "[camera.header]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in asdict(d.header).items() if value != ""]
    for title, mapping in (("bands", d.bands), ("kinds", d.kinds)):
        if mapping:
            lines += ["", f"[camera.{title}]"]
            lines += [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in mapping.items()]
    return "\n".join(lines) + "\n"


def _how(d: CameraDescription, key: str) -> str:
    return f" {d.assumed[key]}" if key in d.assumed else ""


def _inline(values: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in values.items()) + " }"


def catalogue_table(db: Database) -> Table:
    """List the reference catalogues."""
    with db.begin() as conn:
        rows = refcats.list_catalogues(conn)
    names = ("name", "priority", "n_stars", "epoch", "path")
    table = Table({n: [r[n] for r in rows] for n in names}) if rows else Table(names=names)
    if rows:
        table["bands"] = [", ".join(r["bands"]) for r in rows]
    return table
