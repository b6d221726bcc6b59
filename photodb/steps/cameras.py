"""Make sure that every frame's camera is in the archive, completed from pixels where nobody told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from photodb.errors import FrameError
from photodb.images.describe import complete
from photodb.images.headers import CameraDescription, with_assumed
from photodb.images.measure import APERTURE_FWHM
from photodb.images.pipeline import Scanned, sample_frame
from photodb.storage import instruments
from photodb.storage.engine import Database

SAMPLE_FRAMES = 5


@dataclass(frozen=True)
class Cameras:
    """The cameras of an ingest: final descriptions and keys, by name."""

    descriptions: dict[str, CameraDescription]
    camera_ids: dict[str, int]

    def settled(self, scanned: Scanned) -> Scanned:
        """Return the file with its camera's final description."""
        return replace(scanned, description=self.descriptions[scanned.description.name])


def settle_cameras(db: Database, run_id: int, scanned: list[Scanned], assumed: list[str]) -> Cameras:
    """Register the cameras of the scanned files and say what was assumed of new ones.

    Cameras described from the same kind of header share a name; where only size or binning differ, the name gets them.
    """
    with db.begin() as conn:
        old = {c.name: c for c in instruments.list_cameras(conn)}
    descriptions: dict[str, CameraDescription] = {}
    for s in scanned:
        descriptions.setdefault(s.description.name, s.description)
    for name, description in descriptions.items():
        if name in old:
            continue
        mine = [s for s in scanned if s.description.name == name]
        descriptions[name] = _completed(description, mine)
        assumed += _told(descriptions[name], mine)
    with db.begin() as conn:
        keys = {name: c.camera_id for name, c in old.items()}
        for name, description in descriptions.items():
            if name not in old:
                keys[name] = instruments.put_camera(conn, run_id, description.to_dict())
    return Cameras(descriptions, keys)


def _completed(description: CameraDescription, scanned: list[Scanned]) -> CameraDescription:
    """Estimate gain, read noise, saturation and aperture from a few science frames, spread over the files."""
    science = [s for s in scanned if s.kind == "science"] or scanned
    chosen = [science[k] for k in np.unique(np.linspace(0, len(science) - 1, SAMPLE_FRAMES).astype(int))]
    samples = []
    for s in chosen:
        with contextlib.suppress(FrameError):  # its own row will say why
            samples.append(sample_frame(s.path, description))
    if not samples:
        return description
    description = complete(description, [s.raw for s in samples], samples[-1].header)
    fwhm = np.array([s.fwhm for s in samples])
    if description.aperture is None and np.isfinite(fwhm).any():
        typical = float(np.nanmedian(fwhm))
        how = f"{APERTURE_FWHM} times the FWHM of {len(samples)} frames, {typical:.2f} px"
        description = with_assumed(description, aperture=(round(APERTURE_FWHM * typical, 2), how))
    return description


def _told(description: CameraDescription, scanned: list[Scanned]) -> list[str]:
    """Say what was assumed of a camera that the archive did not know, and where to correct it."""
    origin = (
        "described from its header"
        if any(s.new for s in scanned)
        else "taken from the descriptions that come with photodb"
    )
    lines = [f"new camera {description.name} on {description.telescope}: {origin}"]
    for name, how in sorted(description.assumed.items()):
        value = getattr(description, name, None)
        shown = (
            f" = {value:.4g}"
            if isinstance(value, float)
            else (f" = {value}" if value not in (None, "") else "")
        )
        lines.append(f"  {name}{shown}: {how}")
    lines.append(
        f"  to correct it: photodb telescope show {description.name} > camera.toml; edit it; "
        "photodb telescope add camera.toml"
    )
    return ["\n".join(lines)]
