"""The shelf of masters: which ones a frame gets, and their files where workers can read them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from photodb.images.headers import CameraDescription
from photodb.images.masterchoice import Choice, KnownMaster, Wanted, choose, refused
from photodb.images.masterfile import Correction
from photodb.images.pipeline import FrameFailure, Scanned, failure_of
from photodb.storage import masters
from photodb.storage.engine import Database

CALIBRATION = ("bias", "dark", "flat")


class MasterShelf:
    """The archive's masters while frames are reduced; their files lie in a scratch folder as long as it is open."""

    def __init__(self, db: Database, cameras: Sequence[str] | None = None) -> None:
        self._db = db
        self._scratch = tempfile.TemporaryDirectory(prefix="photodb-masters-")
        with db.begin() as conn:
            rows = masters.list_masters(conn, cameras)
        self.known = [known_master(row) for row in rows if row["status"] == "accepted"]

    def __enter__(self) -> MasterShelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scratch.cleanup()

    def equip(self, scanned: Iterable[Scanned]) -> tuple[list[Scanned], list[FrameFailure]]:
        """Give each file its masters; those that their camera refuses without one become failures.

        What is no single plane of pixels (stacks in three colours) is no raw frame, and gets none.
        """
        ready: list[Scanned] = []
        failures: list[FrameFailure] = []
        for s in scanned:
            if s.shape == (0, 0):
                ready.append(s)
                continue
            choice = choose(self.known, s.description, wanted(s))
            why = refused(choice, s.description)
            if why:
                failures.append(failure_of(s, "no_master", why))
            else:
                ready.append(replace(s, correction=self.correction(choice)))
        return ready, failures

    def correction(self, choice: Choice) -> Correction:
        """Return what a worker needs to apply a choice; the files are written when they are first asked for."""
        files = {m.kind: self._file(m) for m in choice.masters}
        return Correction(
            bias=files.get("bias", ""),
            dark=files.get("dark", ""),
            flat=files.get("flat", ""),
            dark_scale=choice.dark_scale,
            master_ids=tuple(m.master_id for m in choice.masters),
            missing="; ".join(why for _, why in choice.missing),
        )

    def of_frames(self, frame_ids: Sequence[int]) -> dict[int, Correction]:
        """Return the masters that were applied to frames of the archive, for reducing these once more."""
        with self._db.begin() as conn:
            rows = masters.masters_of_frames(conn, frame_ids)
        by_id = {m.master_id: m for m in self.known}
        return {row["frame_id"]: self._again(row, [by_id[k] for k in row["master_ids"]]) for row in rows}

    def _again(self, row: Any, applied: Sequence[KnownMaster]) -> Correction:
        used = {m.kind: m for m in applied}
        dark = used.get("dark")
        scale = 0.0 if dark is None else 1.0 if dark.with_bias else row["exptime"] / dark.exptime
        correction = self.correction(Choice(used.get("bias"), dark, used.get("flat"), scale))
        return replace(correction, missing=row["missing"])

    def _file(self, m: KnownMaster) -> str:
        path = Path(self._scratch.name) / f"{m.data_hash}.fits"
        if not path.exists():
            with self._db.begin() as conn:
                path.write_bytes(masters.master_content(conn, m.master_id))
        return str(path)


def wanted(s: Scanned) -> Wanted:
    """Return what a scanned file asks of masters."""
    ny, nx = s.shape
    return Wanted(s.description.name, s.band, s.mjd_start + s.exptime / 2 / 86400.0, s.exptime, nx, ny)


def known_master(row: Any) -> KnownMaster:
    """Make a master of its row."""
    return KnownMaster(
        master_id=row["master_id"], kind=row["kind"], camera=row["camera"], band=row["band"] or "", mjd=row["mjd"],
        valid_from=row["valid_from"], valid_to=row["valid_to"], exptime=row["exptime"] or 0.0, nx=row["nx"],
        ny=row["ny"], n_frames=row["n_frames"], fit=row["fit"], with_bias=row["with_bias"],
        data_hash=row["data_hash"],
    )  # fmt: skip


def describe_choice(known: Sequence[KnownMaster], d: CameraDescription, asked: Wanted, kind: str) -> Choice:
    """Choose what is taken off a calibration frame itself: the bias of a dark, bias and dark of a flat."""
    kinds = {"bias": (), "dark": ("bias",), "flat": ("bias", "dark")}[kind]
    return choose([m for m in known if m.kind in kinds], d, asked)
