"""Detections, read in blocks of frames, to one mean place a source and telescope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photodb.core import sky
from photodb.core.auditplace import (
    PARAMETERS,
    CommonPlaces,
    PlaceComparison,
    compare_places,
    frame_places,
    frames_variance,
)
from photodb.core.groupmeans import group_medians
from photodb.core.robust import MAD_TO_SIGMA
from photodb.storage import audits
from photodb.storage.engine import Connection

from .auditread import Sides

CLIP = 6.0
"""Detections farther from the median of their frame, in its robust scatter, do not count."""

ERROR_FLOOR = 0.02
"""Least error of a place, px: what no promised error of a bright star falls below."""

MAX_DETECTIONS = 1_000_000
"""Detections of a side that are averaged; of more, those of frames spread over all."""

MAX_FRAMES = 40
"""Frames of a side, spread over all, that tell how much frames differ."""


@dataclass(frozen=True)
class SidePlaces:
    """Mean places of sources, by side, against the archive's own: arrays (n_sides, n_sources)."""

    places: NDArray  # audits.PLACE_DTYPE, by source_id
    weight: NDArray[np.float64]  # 1 / arcsec2; 0 where a side did not see a source
    east: NDArray[np.float64]  # arcsec
    north: NDArray[np.float64]
    n: NDArray[np.int32]
    xi: NDArray[np.float64]  # (n_sources,) deg from the middle of its field
    eta: NDArray[np.float64]
    frames: NDArray[np.float64]  # (n_sides, 4) variance of a side's parameters that its frames' sources share


def read_places(conn: Connection, sides: Sides) -> SidePlaces:
    """Average the places of every source by side; frames without a measured place take part only if all lack one."""
    known = audits.places(conn)
    shape = len(sides.names), len(known)
    sums, n = np.zeros((3, *shape)), np.zeros(shape, np.int32)
    chosen = thinned(sides, _placed_frames(sides))
    for block in audits.detection_blocks(conn, sides.frames[chosen]):
        row, frame, east, north, weight = _offsets(block, known, sides)
        flat = sides.of_frame[frame] * shape[1] + row
        for part, term in zip(sums, (weight, weight * east, weight * north)):
            part += np.bincount(flat, term, shape[0] * shape[1]).reshape(shape)
        n += np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int32)
    with np.errstate(invalid="ignore"):
        mean_east, mean_north = sums[1] / sums[0], sums[2] / sums[0]
    xi, eta = _field_plane(known)
    found = SidePlaces(known, sums[0], mean_east, mean_north, n, xi, eta, np.zeros((shape[0], PARAMETERS)))
    for side in range(shape[0]):
        found.frames[side] = _frames(conn, sides, chosen & (sides.of_frame == side), found)
    return found


def _placed_frames(sides: Sides) -> NDArray[np.bool_]:
    """Choose the frames whose places count; of a side none of whose frames was placed, all."""
    placed = ~sides.frames["approximate"]
    whole = np.bincount(sides.of_frame, placed, len(sides.names)) > 0
    return np.asarray(placed | ~whole[sides.of_frame])


def thinned(sides: Sides, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take every so-many-th frame of a side that has more detections than are averaged."""
    kept = chosen.copy()
    for side in range(len(sides.names)):
        rows = np.flatnonzero(chosen & (sides.of_frame == side))
        step = -(-int(sides.frames["n_detections"][rows].sum()) // MAX_DETECTIONS)
        kept[rows] = np.arange(len(rows)) % max(step, 1) == 0
    return kept


def _offsets(block: NDArray, known: NDArray, sides: Sides) -> tuple[NDArray, ...]:
    """Return source row, frame row, offsets from the source (arcsec) and weight of the detections that count."""
    row = np.searchsorted(known["source_id"], block["source_id"])
    row = np.minimum(row, max(len(known) - 1, 0))
    same = known["source_id"][row] == block["source_id"] if len(known) else np.zeros(len(block), bool)
    block, row = block[same], row[same]
    frame = np.searchsorted(sides.frames["frame_id"], block["frame_id"])
    east, north = _small_offset(block, known[row])
    scale = sides.frames["pixel_scale"][frame]
    scale = np.where(scale > 0, scale, 1.0)
    error = np.hypot(np.where(np.isfinite(block["err"]), block["err"], 0.0), ERROR_FLOOR) * scale
    near = np.ones(len(block), bool)
    for value in (east, north):
        middle = group_medians(value, frame, len(sides.frames))[frame]
        spread = MAD_TO_SIGMA * group_medians(np.abs(value - middle), frame, len(sides.frames))[frame]
        near &= np.abs(value - middle) <= CLIP * np.maximum(spread, error)
    return row[near], frame[near], east[near], north[near], 1 / error[near] ** 2


def _small_offset(block: NDArray, source: NDArray) -> tuple[NDArray, NDArray]:
    """Return the offsets east and north in arcsec, exact near the poles and at 0 h."""
    turn = np.radians(block["ra"] - source["ra"])
    dec, dec0 = np.radians(block["dec"]), np.radians(source["dec"])
    east = np.cos(dec) * np.sin(turn)
    north = np.sin(dec - dec0) + 2 * np.cos(dec) * np.sin(dec0) * np.sin(turn / 2) ** 2
    return np.degrees(east) * 3600, np.degrees(north) * 3600


def _field_plane(known: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project sources on the plane tangent at the middle of their field, deg."""
    fields, field = np.unique(known["field_id"], return_inverse=True)
    vectors = sky.unit_vectors(known["ra"], known["dec"])
    middle = np.stack([np.bincount(field, vectors[:, i], len(fields)) for i in range(3)], axis=1)
    ra0 = np.degrees(np.arctan2(middle[:, 1], middle[:, 0]))
    dec0 = np.degrees(np.arctan2(middle[:, 2], np.hypot(middle[:, 0], middle[:, 1])))
    xi, eta = np.full((2, len(known)), np.nan)
    for k in range(len(fields)):
        here = field == k
        xi[here], eta[here] = sky.project(known["ra"][here], known["dec"][here], ra0[k], dec0[k])
    return xi, eta


def _frames(
    conn: Connection, sides: Sides, mine: NDArray[np.bool_], found: SidePlaces
) -> NDArray[np.float64]:
    """Return the variance of a side's mean parameters that comes from frames as wholes."""
    rows = np.flatnonzero(mine)
    if len(rows) < 2:
        return np.zeros(PARAMETERS)
    sample = rows[np.unique(np.linspace(0, len(rows) - 1, MAX_FRAMES).round().astype(int))]
    values, variances = [], []
    for block in audits.detection_blocks(conn, sides.frames[sample]):
        row, frame, east, north, _ = _offsets(block, found.places, sides)
        side, n = sides.of_frame[frame], 0
        n = found.n[side, row]
        use = (n > 2) & np.isfinite(found.xi[row])
        grow = np.sqrt(n[use] / (n[use] - 1))
        row, side = row[use], side[use]
        numbers, number = np.unique(frame[use], return_inverse=True)
        value, variance = frame_places(
            found.xi[row],
            found.eta[row],
            (east[use] - found.east[side, row]) * grow,
            (north[use] - found.north[side, row]) * grow,
            number,
            len(numbers),
        )
        values.append(value)
        variances.append(variance)
    if not values:
        return np.zeros(PARAMETERS)
    # the mean is over all frames, of which these are a sample
    return frames_variance(np.concatenate(values), np.concatenate(variances)) * len(sample) / len(rows)


def compare_sides(
    found: SidePlaces, a: int, b: int, min_sources: int
) -> tuple[CommonPlaces, PlaceComparison]:
    """Compare the places of two sides on the sources that both saw."""
    both = np.flatnonzero((found.n[a] > 0) & (found.n[b] > 0) & np.isfinite(found.xi))
    common = CommonPlaces(
        found.places["source_id"][both],
        found.xi[both],
        found.eta[both],
        found.east[a, both] - found.east[b, both],
        found.north[a, both] - found.north[b, both],
        np.sqrt(1 / found.weight[a, both] + 1 / found.weight[b, both]),
    )
    return common, compare_places(common, found.frames[a] + found.frames[b], min_sources)
