"""Make sure that every frame's camera is in the archive, completed from pixels where nobody told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from photodb.images.aperture import APERTURE_FWHM
from photodb.images.headers import CameraDescription, with_assumed
from photodb.images.pipeline import FrameFailure, Sample, Scanned, sample_frame
from photodb.images.pixelstats import complete
from photodb.storage import instruments
from photodb.storage.engine import Database

from .workers import Workers

SAMPLE_FRAMES = 5
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Cameras:
    """The cameras of an ingest: final descriptions and keys, by name."""

    descriptions: dict[str, CameraDescription]
    camera_ids: dict[str, int]
    names: dict[Key, str]  # final name of each description met

    def settled(self, scanned: Scanned) -> Scanned:
        """Return the file with its camera's final description."""
        return replace(scanned, description=self.descriptions[self.names[key_of(scanned.description)]])


def key_of(d: CameraDescription) -> Key:
    """Return what tells descriptions apart: the name, and the cards that the header must have."""
    return d.name, tuple(sorted(d.match.items()))


def settle_cameras(
    db: Database, run_id: int, scanned: list[Scanned], assumed: list[str], workers: Workers
) -> Cameras:
    """Register the cameras of the scanned files and say what was assumed of new ones.

    A camera of the archive keeps its description. Two cameras that would bear one name but differ in size or binning
    get these into the name. Of two ingests that meet a new camera at once, the second takes what the first registered.
    """
    with db.begin() as conn:
        old = {
            c.name: (c.camera_id, CameraDescription.from_dict(c.description, c.name))
            for c in instruments.list_cameras(conn)
        }
    files: dict[Key, list[Scanned]] = {}
    for s in scanned:
        files.setdefault(key_of(s.description), []).append(s)
    cameras = Cameras({}, {}, {})
    taken = {key_of(d): name for name, (_, d) in old.items()}
    for key, mine in files.items():
        if key in taken:
            name = taken[key]
            cameras.camera_ids[name], cameras.descriptions[name] = old[name]
        else:
            made = replace(
                mine[0].description, name=_free_name(mine[0].description, set(old) | set(cameras.camera_ids))
            )
            name = _register(db, run_id, _completed(made, mine, workers), mine, assumed, cameras)
        cameras.names[key] = name
    return cameras


def _free_name(d: CameraDescription, used: set[str]) -> str:
    """Return the description's name, with binning, size or a number added where another camera has it."""
    if d.name not in used:
        return d.name
    binning = d.match.get("XBINNING") or d.match.get("CCDSUM", "").replace(" ", "x")
    size = "x".join(d.match[c] for c in ("NAXIS1", "NAXIS2") if c in d.match)
    options = [f"{d.name}-bin{binning}"] if binning else []
    options += [f"{d.name}-{size}"] if size else []
    options += [f"{d.name}-{k}" for k in range(2, len(used) + 3)]
    return next(name for name in options if name not in used)


def _register(
    db: Database,
    run_id: int,
    made: CameraDescription,
    mine: list[Scanned],
    assumed: list[str],
    cameras: Cameras,
) -> str:
    with db.begin() as conn:
        camera_id, values = instruments.register_camera(conn, run_id, made.to_dict())
    final = CameraDescription.from_dict(values, made.name)
    if final == made:
        assumed += _told(made, mine)
    cameras.camera_ids[made.name], cameras.descriptions[made.name] = camera_id, final
    return made.name


def _completed(d: CameraDescription, scanned: list[Scanned], workers: Workers) -> CameraDescription:
    """Estimate gain, read noise, saturation and aperture from a few science frames, spread over the files."""
    pixels = [s for s in scanned if not s.is_list]
    if not pixels:
        return d
    science = [s for s in pixels if s.kind == "science"] or pixels
    chosen = [science[k] for k in np.unique(np.linspace(0, len(science) - 1, SAMPLE_FRAMES).astype(int))]
    look = partial(sample_frame, description=d)

    def crashed(s: Scanned) -> FrameFailure:
        return FrameFailure(s.path, s.file_hash, "crashed", "")

    # a file that cannot be sampled is passed over: its own row will say why
    samples = [s for s in workers.map(look, chosen, crashed) if isinstance(s, Sample)]
    if not samples:
        return d
    d = complete(d, [s.pixels for s in samples], samples[-1].header)
    fwhm = np.array([s.fwhm for s in samples])
    if d.aperture is None and np.isfinite(fwhm).any():
        typical = float(np.nanmedian(fwhm))
        how = f"{APERTURE_FWHM} times the FWHM of {len(samples)} frames, {typical:.2f} px"
        d = with_assumed(d, aperture=(round(APERTURE_FWHM * typical, 2), how))
    return d


def _told(description: CameraDescription, scanned: list[Scanned]) -> list[str]:
    """Say what was assumed of a camera that the archive did not know, and where to correct it."""
    header = any(s.new for s in scanned)
    listed = all(s.is_list for s in scanned)
    origin = (
        "named by its star lists"
        if listed and header
        else "described from its header"
        if header
        else "taken from the descriptions that come with photodb"
    )
    lines = [f"new camera {description.name} on {description.telescope}: {origin}"]
    for name, how in sorted(description.assumed.items()):
        value = getattr(description, name, None)
        shown = f"{value:.4g}" if isinstance(value, float) else str(value or "")
        lines.append(f"  {name}{' = ' + shown if shown else ''}: {how}")
    lines.append(
        f"  to correct it: photodb telescope show {description.name} > camera.toml; edit it; "
        "photodb telescope add camera.toml"
    )
    return ["\n".join(lines)]
