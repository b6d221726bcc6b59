"""Describe telescopes and cameras; list them and the reference catalogues."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, Table

from photodb.errors import NothingMatched, UsageError
from photodb.images.headers import CameraDescription, load_toml, packaged
from photodb.storage import instruments, refcats
from photodb.storage.engine import Database

from .ask import unit_of
from .runs import recorded_run

CAMERA_COLUMNS = {
    "telescope": "U64",
    "camera": "U64",
    "latitude": "f8",
    "longitude": "f8",
    "elevation": "f8",
    "pixel_scale": "f8",
    "gain": "f8",
    "read_noise": "f8",
    "saturation": "f8",
    "assumed": "U120",
}
CATALOGUE_COLUMNS = {
    "name": "U64",
    "priority": "i4",
    "n_stars": "i8",
    "epoch": "f8",
    "path": "U256",
    "bands": "U120",
    "position_error": "f8",
    "correction": "U120",
}


@dataclass(frozen=True)
class AddedCamera:
    """A camera of a telescope file, and what adding it changed: `new`, `changed` or `unchanged`."""

    description: CameraDescription
    change: str


def add_telescope(db: Database, path: Path, *, dry_run: bool = False) -> list[AddedCamera]:
    """Write the cameras of a telescope file, new or in place of their old descriptions.

    Frames that are in the archive keep the values they were measured with; undo their run and ingest them anew where
    that matters.

    Raises
    ------
    UsageError : there is no such file.
    ConfigurationError : the file is wrong; key and limit are named.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file")
    made = load_toml(Path(path))
    with db.begin() as conn:
        old = {
            c.name: CameraDescription.from_dict(c.description, c.name) for c in instruments.list_cameras(conn)
        }
    added = [AddedCamera(d, _change(old.get(d.name), d)) for d in made]
    todo = [a.description for a in added if a.change != "unchanged"]
    if dry_run or not todo:
        return added
    with recorded_run(db, "telescope add", {"path": str(path)}, {}) as run, db.begin() as conn:
        for description in todo:
            instruments.put_camera(conn, run.run_id, description.to_dict())
    return added


def _change(old: CameraDescription | None, new: CameraDescription) -> str:
    if old is None:
        return "new"
    return "unchanged" if old == new else "changed"


def telescope_table(db: Database) -> Table:
    """List the cameras with what matters of them and their units, and what was assumed."""
    with db.begin() as conn:
        rows = [dict(row) for row in instruments.list_telescopes(conn)]
    for row in rows:
        row["assumed"] = ", ".join(sorted(row["assumed"]))
    return typed_table(rows, CAMERA_COLUMNS)


def typed_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    """Make a table of rows, perhaps none, with the types and units of its columns; NaN or no text for None."""
    table = Table()
    for name, kind in columns.items():
        none = "" if kind.startswith("U") else float("nan")
        cells = [none if row[name] is None else row[name] for row in rows]
        # text is as wide as its longest; the width only matters where there is none
        dtype = str if kind.startswith("U") and cells else kind
        table[name] = Column(np.array(cells, dtype=dtype), unit=unit_of(name))
    return table


def camera_toml(db: Database, name: str) -> str:
    """Return a camera's description as a TOML file that `photodb telescope add` takes.

    Raises
    ------
    NothingMatched : no such camera in the archive, nor among those that come with photodb.
    """
    with db.begin() as conn:
        rows = [r for r in instruments.list_telescopes(conn) if name in (r["camera"], r["telescope"])]
    descriptions = [CameraDescription.from_dict(r["description"], r["camera"]) for r in rows]
    origin = []
    if not rows:
        descriptions = [d for d in packaged() if name in (d.name, d.telescope)]
        origin = ["# comes with photodb; this archive holds no frame of it yet\n"]
    if not descriptions:
        known = ", ".join(sorted(d.name for d in packaged()))
        raise NothingMatched(
            f"no camera or telescope {name!r}; see 'photodb telescope list'; with photodb come {known}"
        )
    return "\n".join([*origin, _telescope_toml(descriptions[0]), *(_camera_toml(d) for d in descriptions)])


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
                "overscan_section", "hdu", "checksum", "psf_model", "psf_grid", "aperture", "default_filter",
                "needs_bias", "needs_dark", "needs_flat", "master_days", "build_masters",
                "shutter_lag", "bayer"):  # fmt: skip
        value = getattr(d, key)
        if value not in (None, ""):
            lines.append(f"{key} = {json.dumps(value)}{'  #' + _how(d, key) if _how(d, key) else ''}")
    for channel, values in d.channels.items():
        lines += ["", f"[camera.channels.{channel}]", *(f"{key} = {value}" for key, value in values.items())]
    lines += [
        "",
        "[camera.header]  # which card holds what; a number above holds where its card is not named here",
    ]
    lines += [
        f"{key} = {json.dumps(value)}" for key, value in asdict(d.header).items() if value not in ("", ())
    ]
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
    words = ({"bands": ", ".join(r["bands"]), "correction": _as_json(r["correction"])} for r in rows)
    return typed_table([{**row, **word} for row, word in zip(rows, words, strict=True)], CATALOGUE_COLUMNS)


def _as_json(values: Mapping[str, Any]) -> str:
    """Return a mapping as text; nothing for an empty one."""
    return json.dumps(dict(values)) if values else ""
