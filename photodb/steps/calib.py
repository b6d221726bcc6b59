"""Masters: group the calibration frames of the archive, combine each group, store the master or why there is none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from photodb.errors import FrameError, MasterError, NothingMatched, UsageError
from photodb.images.calibframe import CalibrationJob, PlaneReady, make_plane
from photodb.images.headers import CameraDescription
from photodb.images.masterchoice import Choice, Wanted, fit_of
from photodb.images.masterfile import pixel_hash, to_bytes
from photodb.images.masters import LEAST_FRAMES, MasterPixels, combine
from photodb.storage import instruments, masters
from photodb.storage.engine import Database

from .mastergroups import Group, group_frames
from .progress import Progress, Silent
from .runs import recorded_run
from .shelf import CALIBRATION, MasterShelf, describe_choice
from .workers import Workers

CRASHED = "the process that read it died: out of memory, or a crash in the decompressor"


@dataclass(frozen=True)
class CalibSettings:
    """Which calibration frames make masters, and how they are grouped."""

    camera: str | None = None
    kind: str | None = None  # bias, dark, flat
    band: str | None = None
    night: int | None = None  # d, MJD of the noon that began it
    span: int = 1  # nights that one master may be made of
    days: float | None = None  # how long a master holds; None: as the camera's description says
    jobs: int = 0
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in CALIBRATION:
            raise UsageError(f"kind {self.kind!r}: one of {', '.join(CALIBRATION)} needed")
        if self.span < 1:
            raise UsageError(f"span {self.span}: 1 night or more needed")
        if self.days is not None and not self.days > 0:
            raise UsageError(f"days {self.days}: more than 0 needed")


@dataclass(frozen=True)
class BuiltMaster:
    """One master, or a group of frames that makes none."""

    master_id: int  # -1 in a dry run
    kind: str
    camera: str
    band: str
    exptime: float  # s
    night: int
    n_frames: int
    status: str  # accepted, rejected, planned
    reason: str  # why rejected, or a remark


@dataclass
class CalibReport:
    """What a build did."""

    built: list[BuiltMaster] = field(default_factory=list)
    n_known: int = 0  # groups whose master was there before
    left_out: list[str] = field(default_factory=list)  # frames, with why

    @property
    def n_rejected(self) -> int:
        """Groups that made no master."""
        return sum(b.status == "rejected" for b in self.built)

    @property
    def n_accepted(self) -> int:
        """Masters built."""
        return sum(b.status == "accepted" for b in self.built)

    @property
    def outcome(self) -> str:
        """`done`, or `partial` where a group made no master."""
        return "partial" if self.n_rejected else "done"


def build(
    db: Database, settings: CalibSettings | None = None, progress: Progress | None = None
) -> CalibReport:
    """Build masters of the calibration frames of the archive; those that are there are not built again.

    Groups that were rejected before are tried again.

    Raises
    ------
    UsageError : no such camera.
    NothingMatched : no calibration frame is of this kind, band, camera and night; it is told which there are.
    """
    settings, progress = settings or CalibSettings(), progress or Silent()
    cameras = _cameras(db)
    if settings.camera is not None:
        if settings.camera not in cameras:
            raise UsageError(
                f"no camera {settings.camera!r}; known are {', '.join(sorted(cameras)) or 'none'}"
            )
        cameras = {settings.camera: cameras[settings.camera]}
    builder = _Builder(db, cameras, settings, progress, again=True)
    if not any(builder.groups(kind) for kind in CALIBRATION):
        raise NothingMatched(_nothing(db, settings))
    if settings.dry_run:
        return builder.plan()
    with Workers(settings.jobs) as workers, recorded_run(db, "calib build", {}, asdict(settings)) as run:
        report = builder.build(run.run_id, workers)
        run.outcome = report.outcome
        run.report |= asdict(report)
    return report


def build_for_ingest(db: Database, run_id: int, workers: Workers, progress: Progress) -> CalibReport:
    """Build the masters that are missing, of all calibration frames of the archive.

    An ingest that was cut off before its masters were built so catches up; what was rejected once stays so. Cameras
    whose description says `build_masters = false` are left alone.
    """
    report = _for_ingest(db, progress).build(run_id, workers)
    for b in report.built:
        progress.message(tell(b))
    return report


def masters_pending(db: Database) -> bool:
    """Tell whether the archive holds calibration frames whose masters an ingest would build."""
    return bool(_for_ingest(db, Silent()).plan().built)


def _for_ingest(db: Database, progress: Progress) -> _Builder:
    cameras = {name: d for name, d in _cameras(db).items() if d.build_masters}
    return _Builder(db, cameras, CalibSettings(), progress, again=False)


def _cameras(db: Database) -> dict[str, CameraDescription]:
    with db.begin() as conn:
        return {
            c.name: CameraDescription.from_dict(c.description, c.name) for c in instruments.list_cameras(conn)
        }


def tell(b: BuiltMaster) -> str:
    """Say in one line what became of a group."""
    what = b.kind + (f" {b.band}" if b.kind == "flat" else f" {b.exptime:g} s" if b.kind == "dark" else "")
    of = f"{what} of {b.camera}, night {b.night}, {b.n_frames} frame{'s' * (b.n_frames != 1)}"
    remark = f" ({b.reason})" if b.reason else ""
    if b.status == "rejected":
        return f"no master {of}: {b.reason}"
    return f"would build {of}" if b.status == "planned" else f"master {b.master_id}: {of}{remark}"


def _nothing(db: Database, settings: CalibSettings) -> str:
    """Say which calibration frames there are, where none was meant."""
    asked = {"camera": settings.camera, "kind": settings.kind, "band": settings.band, "night": settings.night}
    meant = ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
    with db.begin() as conn:
        there = [row for kind in CALIBRATION for row in masters.calibration_frames(conn, kind, None)]
    if not there:
        return "no calibration frame in the archive; ingest bias, dark and flat frames first (photodb ingest)"
    found = sorted(
        {f"{r['kind']} {r['band'] or ''}".strip() if r["kind"] == "flat" else r["kind"] for r in there}
    )
    nights = sorted({r["night"] for r in there})
    shown = ", ".join(map(str, nights[:8])) + (", ..." if len(nights) > 8 else "")
    return (
        f"no calibration frame of {meant or 'any kind'}; there are {', '.join(found)} of the nights {shown}"
    )


class _Builder:
    """Builds the masters of some cameras, kind after kind: a flat needs its bias and dark."""

    def __init__(
        self, db: Database, cameras: Mapping[str, CameraDescription], settings: CalibSettings, progress: Progress,
        again: bool,
    ) -> None:  # fmt: skip
        self._db, self._cameras, self._settings, self._progress = db, cameras, settings, progress
        self._again = again
        self._report = CalibReport()

    def groups(self, kind: str) -> list[Group]:
        """Return the groups of frames of a kind that were meant."""
        if self._settings.kind not in (None, kind):
            return []
        with self._db.begin() as conn:
            rows = masters.calibration_frames(conn, kind, list(self._cameras))
        if self._settings.night is not None:
            rows = [row for row in rows if row["night"] == self._settings.night]
        if self._settings.band is not None:
            rows = [row for row in rows if kind == "flat" and row["band"] == self._settings.band]
        return group_frames(kind, rows, self._settings.span)

    def plan(self) -> CalibReport:
        """Say what would be built."""
        for kind in CALIBRATION:
            with MasterShelf(self._db, list(self._cameras)) as shelf:
                for group, _ in self._todo(kind, shelf):
                    self._note(group, -1, "planned", "")
        return self._report

    def build(self, run_id: int, workers: Workers) -> CalibReport:
        """Build what is not there."""
        for kind in CALIBRATION:
            with MasterShelf(self._db, list(self._cameras)) as shelf:
                todo = list(self._todo(kind, shelf))
                self._progress.start(len(todo), f"{kind} masters") if todo else None
                for group, identity in todo:
                    self._make(run_id, workers, shelf, group, identity)
                    self._progress.advance(1, group.name)
                self._progress.finish() if todo else None
        return self._report

    def _todo(self, kind: str, shelf: MasterShelf) -> Iterator[tuple[Group, str]]:
        """Yield the groups without a master, each with its identity."""
        with self._db.begin() as conn:
            known = {row["identity"]: row["status"] for row in masters.list_masters(conn)}
        for group in self.groups(kind):
            d = self._cameras[group.camera]
            choice = describe_choice(shelf.known, d, _asked(group), kind)
            identity = group.identity(fit_of(d), [m.kind for m in choice.masters])
            if known.get(identity) == "accepted" or (identity in known and not self._again):
                self._report.n_known += 1
            else:
                yield group, identity

    def _make(self, run_id: int, workers: Workers, shelf: MasterShelf, group: Group, identity: str) -> None:
        d = self._cameras[group.camera]
        choice = describe_choice(shelf.known, d, _asked(group), group.kind)
        correction = shelf.correction(choice)
        days = d.master_days if self._settings.days is None else self._settings.days
        values = group.values(days) | {
            "identity": identity, "fit": fit_of(d), "run_id": run_id,
            "bias_id": choice.bias and choice.bias.master_id, "dark_id": choice.dark and choice.dark.master_id,
            "with_bias": group.kind == "dark" and choice.bias is None,
        }  # fmt: skip
        left_out: dict[int, str] = {}
        content, pixels = b"", None
        with tempfile.TemporaryDirectory(prefix="photodb-planes-") as folder:
            jobs = [
                CalibrationJob(
                    row["frame_id"], Path(row["path"]), row["data_hash"], group.kind, d, correction,
                    Path(folder) / f"{row['frame_id']}.npy",
                )
                for row in group.rows
            ]  # fmt: skip
            try:
                pixels = _combined(workers, jobs, group, left_out)
                content = to_bytes(pixels, _cards(group, pixels))
                values |= _statistics(pixels, _with_level(group, d, choice))
            except (MasterError, FrameError) as error:
                values |= {"status": "rejected", "reason": str(error)}
        values["left_out"] = {str(k): why for k, why in left_out.items()}
        used = [row["frame_id"] for row in group.rows if row["frame_id"] not in left_out or pixels is None]
        with self._db.begin() as conn:
            masters.forget_rejected(conn, identity)
            master_id = masters.insert_master(conn, values, used, content)
        self._report.left_out += left_out.values()
        if master_id < 0:
            self._report.n_known += 1  # another process was faster
        else:
            self._note(group, master_id, values.get("status", "accepted"), values.get("reason") or "")

    def _note(self, group: Group, master_id: int, status: str, reason: str) -> None:
        self._report.built.append(
            BuiltMaster(
                master_id, group.kind, group.camera, group.band, group.exptime, group.night, len(group.rows), status,
                reason,
            )
        )  # fmt: skip


def _asked(group: Group) -> Wanted:
    first = group.rows[0]
    return Wanted(group.camera, group.band, group.mjd, group.exptime, first["nx"], first["ny"])


def _combined(
    workers: Workers, jobs: Sequence[CalibrationJob], group: Group, left_out: dict[int, str]
) -> MasterPixels:
    """Make the frames of a group ready, note those that cannot take part, and combine the others."""
    if len(jobs) < LEAST_FRAMES:
        return combine(group.kind, [np.empty((1, 1), np.float32)] * len(jobs))  # tells why not
    ready: list[PlaneReady] = []
    for plane in workers.map(make_plane, jobs, lambda job: PlaneReady(job.frame_id, job.out, CRASHED)):
        if plane.refused:
            left_out[plane.frame_id] = plane.refused
        else:
            ready.append(plane)
    try:
        planes = [np.load(plane.out, mmap_mode="r") for plane in ready]
        return combine(group.kind, planes, [group.band] * len(ready), mosaic=any(p.mosaic for p in ready))
    except MasterError as error:
        if not left_out:
            raise
        why = "; ".join(left_out.values())
        raise MasterError(f"{error}; left out before: {why}") from error


def _cards(group: Group, pixels: MasterPixels) -> dict[str, Any]:
    """Return the cards of a master's file."""
    return {
        "KIND": group.kind, "INSTRUME": group.camera, "FILTER": group.band or None, "EXPTIME": group.exptime,
        "MJD": group.mjd, "NFRAMES": pixels.n_frames, "MEDIAN": pixels.median, "SCATTER": pixels.scatter,
        "NOISE": pixels.noise, "CLIPPED": pixels.clipped, "CREATOR": "photodb",
    }  # fmt: skip


def _with_level(group: Group, d: CameraDescription, choice: Choice) -> str:
    """Return the remark on a flat that still holds the bias level of its detector."""
    if group.kind != "flat" or choice.masters or d.overscan_section or d.soft_bias:
        return ""
    return "nothing was taken off its frames, neither overscan nor bias: it is flatter than the truth"


def _statistics(pixels: MasterPixels, remark: str) -> dict[str, Any]:
    """Return the columns that a master's pixels give."""
    return {
        "data_hash": pixel_hash(pixels.data, pixels.bad), "n_frames": pixels.n_frames, "median": pixels.median,
        "scatter": pixels.scatter, "noise": pixels.noise, "clipped": pixels.clipped, "n_bad": int(pixels.bad.sum()),
        "status": "accepted", "reason": "; ".join(filter(None, (pixels.remark, remark))) or None,
    }  # fmt: skip
