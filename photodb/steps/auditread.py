"""Points of a solution, read in blocks of sources, to one mean a source, band and telescope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core.auditdrift import FrameShifts
from photodb.core.auditstars import CommonStars
from photodb.core.groupmeans import GroupMeans, mean_magnitudes
from photodb.storage import audits
from photodb.storage.engine import Connection

MAX_LIMIT_SHARE = 0.05
"""Sources with more limits among their points than this are left out: of them only the bright moments are seen."""

MIN_FRAME_POINTS = 3
CLIP = 5.0
"""Points farther from their source's mean, in their own errors or its scatter, tell nothing of the frame."""

MEAN_DTYPE = np.dtype(
    [
        ("source_id", "i8"),
        ("band_id", "i4"),
        ("side", "i4"),
        ("mag", "f8"),
        ("err", "f8"),
        ("n", "i4"),
        ("zero_point", "f8"),  # mag, mean of its points' frames
    ]
)


@dataclass(frozen=True)
class Sides:
    """Who is compared: names of telescopes or cameras, and to which each frame belongs."""

    names: tuple[str, ...]
    frames: NDArray  # audits.FRAME_DTYPE, by frame_id
    of_frame: NDArray[np.int64]  # (n,) index into names


@dataclass(frozen=True)
class FrameSums:
    """Weighted sums over the points of each frame, (n_frames,), of what they lie beside their source's mean."""

    n: NDArray[np.int64]
    sums: NDArray[
        np.float64
    ]  # (6, n_frames): w, w r, w2, w2 q, w2 q2, promised variance; q is r of one more source

    def add(
        self, frame: NDArray, residual: NDArray, inflated: NDArray, weight: NDArray, promised: NDArray
    ) -> None:
        """Add points; `inflated` are the residuals that they would have against a mean without themselves."""
        terms = (
            weight,
            weight * residual,
            weight**2,
            weight**2 * inflated,
            (weight * inflated) ** 2,
            promised,
        )
        for row, term in zip(self.sums, terms):
            row += np.bincount(frame, term, len(self.n))
        self.n[:] += np.bincount(frame, minlength=len(self.n))

    def shifts(self, frames: NDArray, chosen: NDArray[np.bool_]) -> FrameShifts:
        """Return the shifts of the chosen frames that have enough points."""
        rows = np.flatnonzero(chosen & (self.n >= MIN_FRAME_POINTS))
        w, wr, w2, w2q, w2q2, promised = self.sums[:, rows]
        n, shift = self.n[rows], wr / w
        variance = (w2q2 - 2 * shift * w2q + shift**2 * w2) / w**2 * n / (n - 1)
        return FrameShifts(
            frames["mjd"][rows], frames["night"][rows], shift, np.maximum(variance, 1e-12), promised / n
        )


@dataclass(frozen=True)
class Means:
    """What is left of the points: rows of MEAN_DTYPE by source, band and side, and what frames have in common."""

    rows: NDArray
    frame_sums: FrameSums


def read_means(conn: Connection, solution_id: int, mags: NDArray, sides: Sides, band_id: int | None) -> Means:
    """Average the points of every source that two sides measured in one band."""
    n_frames = len(sides.frames)
    sums = FrameSums(np.zeros(n_frames, np.int64), np.zeros((6, n_frames)))
    found = [np.empty(0, MEAN_DTYPE)]
    for points in audits.point_blocks(conn, solution_id, mags):
        found.append(block_means(points, sides, band_id, sums))
    return Means(np.concatenate(found), sums)


def block_means(points: NDArray, sides: Sides, band_id: int | None, sums: FrameSums) -> NDArray:
    """Average points, which hold all of a source, to rows of MEAN_DTYPE; add what frames have in common to `sums`."""
    frame = np.searchsorted(sides.frames["frame_id"], points["frame_id"])
    known = sides.frames["frame_id"][np.minimum(frame, len(sides.frames) - 1)] == points["frame_id"]
    known &= (band_id is None) | (points["band_id"] == band_id)
    points, frame = points[known], frame[known]
    good, group, keys = _groups(points, sides.of_frame[frame])
    points, frame = points[good], frame[good]
    error = np.maximum(points["mag_err"].astype(float), 1e-5)
    means = mean_magnitudes(points["mag"], error, group, len(keys))
    _add_frames(sums, points, frame, error, group, means)
    keys["mag"], keys["err"], keys["n"] = means.mag, means.mag_err, means.n
    keys["zero_point"] = np.bincount(group, sides.frames["zero_point"][frame], len(keys)) / means.n
    return keys


def _groups(points: NDArray, side: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray]:
    """Return which points count, their group, and the keys of the groups; sources of one side alone are left out."""
    if not len(points):
        return np.zeros(0, bool), np.zeros(0, np.intp), np.empty(0, MEAN_DTYPE)
    named = np.empty(len(points), [("source_id", "i8"), ("band_id", "i4"), ("side", "i4")])
    named["source_id"], named["band_id"], named["side"] = points["source_id"], points["band_id"], side
    order = np.lexsort((side, points["band_id"], points["source_id"]))
    ordered = named[order]
    group = np.empty(len(points), np.intp)
    group[order] = np.concatenate(([0], np.cumsum(ordered[1:] != ordered[:-1])))
    first = np.empty(int(group.max()) + 1, np.intp)
    first[group[::-1]] = np.arange(len(points))[::-1]
    keys = named[first]
    usable = ~points["limit"] & np.isfinite(points["mag"]) & np.isfinite(points["mag_err"])
    limits = np.bincount(group, points["limit"], len(keys)) / np.bincount(group, minlength=len(keys))
    whole = (limits <= MAX_LIMIT_SHARE) & (np.bincount(group, usable, len(keys)) > 0)
    # neighbours in the order of keys share source and band; a group counts if another one of them does
    star = np.concatenate(([0], np.cumsum(_differ(keys))))
    whole &= np.bincount(star, whole)[star] > 1
    good = usable & whole[group]
    kept = np.zeros(int(whole.sum()), MEAN_DTYPE)
    for name in ("source_id", "band_id", "side"):
        kept[name] = keys[name][whole]
    return good, (np.cumsum(whole) - 1)[group[good]], kept


def _differ(keys: NDArray) -> NDArray[np.bool_]:
    """Tell where the source or the band changes from one row to the next."""
    changed = np.diff(keys["source_id"]) != 0
    return np.asarray(changed | (np.diff(keys["band_id"]) != 0))


def _add_frames(
    sums: FrameSums, points: NDArray, frame: NDArray, error: NDArray, group: NDArray, means: GroupMeans
) -> None:
    """Add what the points of each frame lie beside their sources' means."""
    n = means.n[group]
    error = error * np.sqrt(np.fmax(1.0, means.chi2_dof[group]))
    residual = points["mag"] - means.mag[group]
    inside = (n > 1) & (np.abs(residual) < CLIP * error)
    inflated = residual[inside] * np.sqrt(n[inside] / (n[inside] - 1))
    calibration = points["err_calibration"][inside].astype(float)
    promised = np.where(np.isfinite(calibration), calibration, 0.0) ** 2
    sums.add(frame[inside], residual[inside], inflated, 1 / error[inside] ** 2, promised)


def common_bands(rows: NDArray, a: int, b: int) -> Iterator[tuple[int, NDArray, NDArray]]:
    """Yield each band that two sides have in common, with the means of A and of B, row by row of one source."""
    for band_id in np.unique(rows["band_id"]).tolist():
        mine = rows[rows["band_id"] == band_id]
        of_a, of_b = mine[mine["side"] == a], mine[mine["side"] == b]
        _, i, j = np.intersect1d(of_a["source_id"], of_b["source_id"], True, return_indices=True)
        if len(i):
            yield band_id, of_a[i], of_b[j]


def common_stars(of_a: NDArray, of_b: NDArray, colours: NDArray) -> CommonStars:
    """Bundle the stars of a pair with their colours, (n, 2): colour and its error, NaN where unknown."""
    return CommonStars(
        of_a["source_id"],
        of_a["mag"],
        of_a["err"],
        of_a["n"],
        of_b["mag"],
        of_b["err"],
        of_b["n"],
        colours[:, 0],
        colours[:, 1],
    )
