"""The table of all magnitudes as text: a row a star and band, with noises and flag, then a column a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

import photodb
from photodb.errors import NothingMatched, UsageError
from photodb.steps.figures import band_id, published
from photodb.steps.judge import FrameFilter, frame_columns
from photodb.storage import starlists
from photodb.storage.engine import Database

STAR_COLUMNS = [
    "source_id",
    "ra",
    "dec",
    "band",
    "mean_mag",
    "mean_mag_err",
    "n_obs",
    "global_noise",
    "local_noise",
    "quality_flag",
    "bad_fraction",
]


@dataclass(frozen=True)
class TextSettings:
    """What the text file holds."""

    band: str | None = None
    min_points: int = 1
    magnitudes: bool = True


@dataclass(frozen=True)
class TextReport:
    """What was written."""

    n_stars: int
    n_frames: int
    n_points: int


@dataclass(frozen=True)
class _Content:
    solution_id: int
    stars: NDArray
    points: NDArray
    frames: dict[str, NDArray]
    bands: dict[int, str]


def export_text(
    db: Database, path: str | Path, settings: TextSettings, *, dry_run: bool = False
) -> TextReport:
    """Write the magnitudes of the published solution, brightest star first; nothing with `dry_run`.

    The file is tab-separated with one line of names; lines that begin with '#' tell the meaning of the
    columns and the time of each frame. A magnitude is `nan` where the star was not measured or the point is
    bad. The file appears whole or not at all.

    Raises
    ------
    NothingMatched : no published solution, no such band, or no star with enough points.
    UsageError : the folder of the file does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such folder; make it, then export again")
    content = _read(db, settings)
    if dry_run:
        return _report(content)
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as out:
            _write(out, content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return _report(content)


def stream_text(db: Database, out: TextIO, settings: TextSettings) -> TextReport:
    """Write the same as `export_text` to an open stream."""
    content = _read(db, settings)
    _write(out, content)
    return _report(content)


def _report(content: _Content) -> TextReport:
    good = int(content.points["good"].sum())
    return TextReport(len(content.stars), len(content.frames["frame_id"]), good)


def _read(db: Database, settings: TextSettings) -> _Content:
    """Read stars, points and the frames that the points lie on."""
    with db.begin() as conn:
        solution_id = published(conn)
        number = band_id(conn, settings.band)
        stars = starlists.stars(conn, solution_id, number)
        bands = starlists.band_names(conn)
        points = starlists.magnitudes(conn, solution_id, number) if settings.magnitudes else _no_points()
    stars = stars[stars["n_obs"] >= settings.min_points]
    if not len(stars):
        raise NothingMatched(f"no star with {settings.min_points} points or more in the published solution")
    names = ("frame_id", "mjd", "band", "camera", "path")
    frames = frame_columns(db, FrameFilter(kind="science"), names)
    seen = np.isin(frames["frame_id"], points["frame_id"])
    return _Content(solution_id, stars, points, {n: v[seen] for n, v in frames.items()}, bands)


def _no_points() -> NDArray:
    return np.empty(0, starlists.POINT_DTYPE)


def _write(out: TextIO, content: _Content) -> None:
    out.writelines(f"# {line}\n" for line in _preface(content))
    columns = [f"mag_{frame_id}" for frame_id in content.frames["frame_id"]]
    out.write("\t".join([*STAR_COLUMNS, *columns]) + "\n")
    for star, mags in zip(content.stars, _rows_of_magnitudes(content), strict=True):
        cells = [*_star_cells(star, content.bands), *(f"{mag:.4f}" for mag in mags)]
        out.write("\t".join(cells) + "\n")


def _preface(content: _Content) -> Iterator[str]:
    """Tell what the columns mean and when each frame was taken."""
    version = photodb.__version__
    yield f"photodb {version}, solution {content.solution_id}: calibrated magnitudes, brightest first"
    yield "mean_mag: mean calibrated magnitude; global_noise: scatter of the magnitudes (mag);"
    yield "local_noise: scatter after a smoothed copy is subtracted (mag); bad_fraction: share of bad points;"
    yield "quality_flag: -2 no statistics, -1 over 20 % bad points, 0 (best) to 4 by the strongest jump;"
    yield "mag_N: magnitude on frame N, nan where the star was not measured or the point is bad."
    frames = content.frames
    for frame_id, mjd, band, camera, path in zip(*frames.values(), strict=True):
        yield f"frame {frame_id}\tmjd {mjd:.8f}\tband {band}\tcamera {camera}\t{_one_line(path)}"


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _star_cells(star: NDArray, bands: dict[int, str]) -> list[str]:
    return [
        str(star["source_id"]),
        f"{star['ra']:.7f}",
        f"{star['dec']:.7f}",
        bands[int(star["band_id"])],
        f"{star['mag']:.4f}",
        f"{star['mag_err']:.4f}",
        str(star["n_obs"]),
        f"{star['global_noise']:.4f}",
        f"{star['local_noise']:.4f}",
        str(star["quality_flag"]),
        f"{star['bad_fraction']:.3f}",
    ]


def _rows_of_magnitudes(content: _Content) -> Iterator[NDArray]:
    """Give, star by star, the magnitudes on all frames; points come sorted by source and band."""
    points, frame_ids = content.points, content.frames["frame_id"]
    order = np.argsort(frame_ids)
    key = np.empty(len(points), [("source_id", "i8"), ("band_id", "i4")])
    key["source_id"], key["band_id"] = points["source_id"], points["band_id"]
    wanted = content.stars[["source_id", "band_id"]].astype(key.dtype)
    first, last = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
    for begin, end in zip(first, last, strict=True):
        own = points[begin:end]
        own = own[own["good"] & np.isin(own["frame_id"], frame_ids)]
        row = np.full(len(frame_ids), np.nan, "f4")
        row[order[np.searchsorted(frame_ids, own["frame_id"], sorter=order)]] = own["mag"]
        yield row
