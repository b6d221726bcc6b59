"""Which calibration frames belong together: of one camera, size, band or exposure, and night."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from photodb.images.masterchoice import SAME_EXPOSURE


@dataclass(frozen=True)
class Group:
    """Calibration frames that make one master."""

    kind: str
    camera: str
    band: str  # of flats; empty otherwise
    rows: tuple[Any, ...]  # of `calibration_frames`

    @property
    def name(self) -> str:
        """What it is called while it is worked on."""
        return f"{self.camera} {self.night} {self.band}".rstrip()

    @property
    def night(self) -> int:
        """First night."""
        return int(self.rows[0]["night"])

    @property
    def mjd(self) -> float:
        """Mean time, MJD UTC."""
        return float(sum(row["mjd"] for row in self.rows) / len(self.rows))

    @property
    def exptime(self) -> float:
        """Mean exposure of darks, s; 0 for others."""
        if self.kind != "dark":
            return 0.0
        return float(sum(row["exptime"] for row in self.rows) / len(self.rows))

    def identity(self, fit: str, taken_off: Sequence[str]) -> str:
        """Return the hash of what the master is made of and of the kinds of masters taken off before."""
        hashes = sorted(row["data_hash"] for row in self.rows)
        parts = [self.kind, self.camera, self.band, fit, ",".join(taken_off), *hashes]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    def values(self, days: float) -> dict[str, Any]:
        """Return the columns that the group gives; the master holds `days` before and after its frames."""
        first = self.rows[0]
        return {
            "camera_id": first["camera_id"], "band_id": first["band_id"] if self.kind == "flat" else None,
            "kind": self.kind, "mjd": self.mjd, "exptime": self.exptime, "n_frames": len(self.rows),
            "nx": first["nx"], "ny": first["ny"],
            "valid_from": min(row["mjd"] for row in self.rows) - days,
            "valid_to": max(row["mjd"] for row in self.rows) + days,
        }  # fmt: skip


def group_frames(kind: str, rows: Sequence[Any], span: int = 1) -> list[Group]:
    """Group frames by camera, size, band (flats), exposure (darks, within 2 %) and up to `span` nights."""
    bins: dict[tuple[Any, ...], list[Any]] = {}
    exposures: list[float] = []
    for row in rows:
        band = (row["band"] or "") if kind == "flat" else ""
        exposure = _same(row["exptime"] or 0.0, exposures) if kind == "dark" else 0.0
        bins.setdefault((row["camera"], row["nx"], row["ny"], band, exposure), []).append(row)
    groups = []
    for (camera, _, _, band, _), mine in bins.items():
        part: list[Any] = []
        for row in sorted(mine, key=lambda r: (r["night"], r["mjd"], r["frame_id"])):
            if part and row["night"] - part[0]["night"] >= span:
                groups.append(Group(kind, camera, band, tuple(part)))
                part = []
            part.append(row)
        groups.append(Group(kind, camera, band, tuple(part)))
    return groups


def _same(exposure: float, met: list[float]) -> float:
    """Return the exposure met before that this one equals, else this one."""
    for other in met:
        if abs(exposure - other) <= SAME_EXPOSURE * max(exposure, other):
            return other
    met.append(exposure)
    return exposure
