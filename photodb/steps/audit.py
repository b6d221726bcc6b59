"""Audit telescopes against each other on the sources that they have in common."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photodb.core import auditdrift
from photodb.core.audit import BandAudit, PairAudit, Thresholds
from photodb.core.auditmap import FieldMap, field_map
from photodb.core.auditstars import MIN_SOURCES, CommonStars, compare_stars
from photodb.core.bands import band_order
from photodb.core.groupmeans import group_medians
from photodb.core.robustfit import robust_mean
from photodb.core.terms import scale_pixels
from photodb.errors import NothingMatched
from photodb.storage import audits, lightcurves, solutions
from photodb.storage.engine import Connection, Database

from .auditcolours import NONE, Colours, catalogue_colours, own_colours
from .auditplaces import SidePlaces, compare_sides, read_places
from .auditraw import read_raw_means
from .auditread import Means, Sides, common_bands, common_stars, read_means
from .auditwhy import nothing_in_common
from .figures import band_id

MAX_MAP_POINTS = 300_000
MAP_ERROR = 0.05
"""Largest error, mag, of a point that goes into a map."""


@dataclass(frozen=True)
class AuditSettings:
    """What is compared, and from where on a difference is worth a word."""

    a: str | None = None  # names of two telescopes or cameras; all pairs by default
    b: str | None = None
    by: str = "telescope"  # or camera
    band: str | None = None
    solution_id: int | None = None  # the published one by default
    min_sources: int = MIN_SOURCES
    refcat: str | None = None  # where colours come from; the archive's own bands by default
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class AuditReport:
    """What was found, pair by pair."""

    solution_id: int  # -1 without a solution: instrumental magnitudes
    pairs: tuple[PairAudit, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """What was read once for all pairs."""

    instrumental: bool  # whether there was no solution
    sides: Sides
    means: Means
    mags: NDArray
    maps: NDArray
    places: SidePlaces
    colours: dict[int, Colours]  # by band_id
    bands: dict[int, str]
    cameras: dict[int, str]


def audit(db: Database, settings: AuditSettings | None = None) -> AuditReport:
    """Compare every pair of telescopes that share sources; nothing is written.

    Raises
    ------
    NothingMatched : no such telescope, band, solution or catalogue; no two telescopes with common sources: the text
        tells what there is.
    """
    settings = settings or AuditSettings()
    with db.begin() as conn:
        solution_id = _solution(conn, settings.solution_id)
        sides = read_sides(conn, solution_id, settings)
        read = _read(conn, solution_id, sides, settings)
        wanted = _pairs(sides, settings)
        pairs = tuple(pair for a, b in wanted if (pair := _audit_pair(read, a, b, settings)) is not None)
        if not pairs:
            raise NothingMatched(nothing_in_common(sides, read.places, wanted, settings.by))
    return AuditReport(solution_id, pairs, tuple(_notes(solution_id)))


def _solution(conn: Connection, solution_id: int | None) -> int:
    if solution_id is not None:
        return int(solutions.get(conn, solution_id)["solution_id"])
    return lightcurves.published_solution(conn)


def _notes(solution_id: int) -> Iterator[str]:
    if solution_id < 0:
        yield (
            "no solution is published: instrumental magnitudes are compared, frames brought together by their medians. "
            "Their offset (raw_offset) is arbitrary and taken off; slopes and positions hold; nights and maps need "
            "'photodb solve'"
        )


def read_sides(conn: Connection, solution_id: int, settings: AuditSettings) -> Sides:
    """Return the telescopes or cameras that have frames, by name."""
    frames = audits.frames(conn, solution_id)
    key = frames[f"{settings.by}_id"]
    every = solutions.names(conn, settings.by)
    chosen = [name for name in (settings.a, settings.b) if name is not None]
    unknown = [name for name in chosen if name not in every.values()]
    if unknown:
        raise NothingMatched(
            f"no {settings.by} {unknown[0]} in the archive; there is {', '.join(sorted(every.values())) or 'none'}"
        )
    ids = sorted(set(np.unique(key).tolist()), key=lambda number: every[number])
    if chosen:
        frames = frames[np.isin(key, [number for number in ids if every[number] in chosen])]
        ids = sorted((n for n in ids if every[n] in chosen), key=lambda number: chosen.index(every[number]))
    key = frames[f"{settings.by}_id"]
    place = {number: index for index, number in enumerate(ids)}
    of_frame = np.array([place[number] for number in key.tolist()], np.int64)
    return Sides(tuple(every[number] for number in ids), frames, of_frame)


def _pairs(sides: Sides, settings: AuditSettings) -> list[tuple[int, int]]:
    found = list(itertools.combinations(range(len(sides.names)), 2))
    if found:
        return found
    missing = [name for name in (settings.a, settings.b) if name is not None and name not in sides.names]
    if missing:
        raise NothingMatched(f"{settings.by} {missing[0]} has no accepted frame; see 'photodb frame list'")
    there_is = (
        f"accepted frames come from one {settings.by} only ({sides.names[0]})"
        if sides.names
        else ("the archive holds no accepted frames")
    )
    more = "; '--by camera' compares the cameras of one telescope" if settings.by == "telescope" else ""
    raise NothingMatched(f"{there_is}: there is nothing to compare{more}")


def _read(conn: Connection, solution_id: int, sides: Sides, settings: AuditSettings) -> _Read:
    _pairs(sides, settings)
    chosen = band_id(conn, settings.band)
    bands = solutions.names(conn, "band")
    mags = audits.source_mags(conn, solution_id)
    if solution_id < 0:
        means = read_raw_means(conn, sides, chosen)
    else:
        means = read_means(conn, solution_id, mags, sides, chosen)
    n_points = int(mags["n_obs"].sum())
    maps = audits.map_points(conn, solution_id, MAP_ERROR, n_points, MAX_MAP_POINTS)
    places = read_places(conn, sides)
    colours = _colours(conn, mags, means, places.places, bands, sides, settings)
    return _Read(
        solution_id < 0, sides, means, mags, maps, places, colours, bands, solutions.names(conn, "camera")
    )


def _colours(
    conn: Connection,
    mags: NDArray,
    means: Means,
    places: NDArray,
    bands: dict[int, str],
    sides: Sides,
    settings: AuditSettings,
) -> dict[int, Colours]:
    """Return the colours for each band in common: the archive's own, else those of a catalogue."""
    order = band_order(bands.values())
    found: dict[int, Colours] = {}
    if settings.refcat is None:
        for number in np.unique(means.rows["band_id"]).tolist():
            found[number] = own_colours(mags, bands, order, bands[number])
    common = np.unique(means.rows["source_id"])
    enough = len(common) // 2
    if all(len(colours.source_id) > enough for colours in found.values()) and found:
        return found
    epoch = 2000.0 + (float(np.mean(sides.frames["mjd"])) - 51544.5) / 365.25
    shared = places[np.isin(places["source_id"], common)]
    listed = catalogue_colours(conn, shared, epoch, settings.refcat)
    for number in np.unique(means.rows["band_id"]).tolist():
        if len(found.get(number, NONE).source_id) <= enough and len(listed.source_id):
            found[number] = listed
    return found


def _audit_pair(read: _Read, a: int, b: int, settings: AuditSettings) -> PairAudit | None:
    """Compare two sides; None where they have no source in common."""
    places, place = compare_sides(read.places, a, b, settings.min_sources)
    names = read.sides.names[a], read.sides.names[b]
    bands: list[BandAudit] = []
    notes: list[str] = []
    for number, of_a, of_b in common_bands(read.means.rows, a, b):
        if read.instrumental:
            _take_offset(of_a, of_b)
        stars = common_stars(of_a, of_b, read.colours.get(number, NONE).of(of_a["source_id"]))
        bands.append(_audit_band(read, number, a, b, stars, of_a, of_b, settings))
        notes += _band_notes(read, number, a, b, bands[-1], names)
    if not bands and not len(places):
        return None
    scale = read.sides.frames["pixel_scale"][np.isin(read.sides.of_frame, (a, b))]
    finest = float(np.nanmin(scale)) if np.isfinite(scale).any() else np.nan
    order = band_order(band.band for band in bands)
    bands.sort(key=lambda band: order.index(band.band))
    return PairAudit(*names, tuple(bands), places, place, finest, tuple(notes))


def _take_offset(of_a: NDArray, of_b: NDArray) -> None:
    """Bring instrumental magnitudes of A to those of B, as a zero point would."""
    mean = robust_mean(of_a["mag"] - of_b["mag"], np.hypot(of_a["err"], of_b["err"])).coefficients[0]
    of_a["zero_point"], of_b["zero_point"] = -np.nan_to_num(mean), 0.0
    of_a["mag"] += of_a["zero_point"]


def _audit_band(
    read: _Read,
    number: int,
    a: int,
    b: int,
    stars: CommonStars,
    of_a: NDArray,
    of_b: NDArray,
    settings: AuditSettings,
) -> BandAudit:
    frames = read.sides.frames
    mine = [(read.sides.of_frame == side) & (frames["band_id"] == number) for side in (a, b)]
    shifts = [read.means.frame_sums.shifts(frames, chosen) for chosen in mine]
    common = sum(auditdrift.mean_variance(side) for side in shifts)
    found = compare_stars(stars, common, settings.min_sources)
    nights, drift = auditdrift.by_night(shifts[0], shifts[1], found.offset)
    raw = found.offset - float(np.median(of_a["zero_point"] - of_b["zero_point"]))
    zero = [_zero_points(frames[chosen], nights.night) for chosen in mine]
    raw_nights = np.asarray(nights.offset - (zero[0] - zero[1]), np.float64)
    maps = _maps(read, number, (a, b), stars)
    colour = read.colours.get(number, NONE).name
    joint = _share_component(read, number, a, b)
    return BandAudit(read.bands[number], stars, found, raw, colour, nights, raw_nights, drift, maps, joint)


def _share_component(read: _Read, number: int, a: int, b: int) -> bool:
    """Tell whether one component of the solution holds frames of both sides in a band."""
    frames = read.sides.frames
    inside = (frames["band_id"] == number) & (frames["component"] >= 0)
    sides = [set(frames["component"][inside & (read.sides.of_frame == side)].tolist()) for side in (a, b)]
    return bool(sides[0] & sides[1])


def _zero_points(frames: NDArray, nights: NDArray) -> NDArray[np.float64]:
    """Return the median zero point of each night; NaN for a night without a frame."""
    frames = frames[np.isfinite(frames["zero_point"]) & np.isin(frames["night"], nights)]
    return group_medians(frames["zero_point"], np.searchsorted(nights, frames["night"]), len(nights))


def _maps(read: _Read, number: int, pair: tuple[int, int], stars: CommonStars) -> dict[str, FieldMap]:
    """Map A minus B over the detector of each camera of the pair: its points against the other's means."""
    points = read.maps[read.maps["band_id"] == number]
    row = np.minimum(np.searchsorted(stars.source, points["source_id"]), max(len(stars) - 1, 0))
    same = stars.source[row] == points["source_id"] if len(stars) else np.zeros(len(points), bool)
    points, row = points[same], row[same]
    frame, known = _frame_rows(read.sides, points["frame_id"])
    points, row, frame = points[known], row[known], frame[known]
    found: dict[str, FieldMap] = {}
    for side, sign, other, other_err in (
        (pair[0], 1, stars.mag_b, stars.err_b),
        (pair[1], -1, stars.mag_a, stars.err_a),
    ):
        own = read.sides.frames[frame]
        for camera in np.unique(read.sides.frames["camera_id"][read.sides.of_frame == side]).tolist():
            here = (own["camera_id"] == camera) & (own["nx"] > 1) & (own["ny"] > 1)
            some, at = points[here], row[here]
            found[read.cameras[camera]] = field_map(
                scale_pixels(some["x"].astype(float), own["nx"][here]),
                scale_pixels(some["y"].astype(float), own["ny"][here]),
                at,
                sign * (some["mag"] - other[at]),
                np.maximum(some["mag_err"].astype(float), 1e-5),
                other_err[at],
            )
    return found


def _frame_rows(sides: Sides, frame_id: NDArray) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the row of each frame, and whether it is one of those compared."""
    row = np.minimum(np.searchsorted(sides.frames["frame_id"], frame_id), len(sides.frames) - 1)
    return row, sides.frames["frame_id"][row] == frame_id


def _band_notes(
    read: _Read, number: int, a: int, b: int, band: BandAudit, names: tuple[str, str]
) -> Iterator[str]:
    """Say what the numbers of a band do not show."""
    what = f"{names[0]} and {names[1]}, band {band.band}"
    if band.joint:
        yield f"{what}: {_taken_off(band)}"
    elif not read.instrumental:
        yield (
            f"{what}: no component of the solution holds both: their zero points are independent, and the offset is "
            "arbitrary; slopes and maps hold"
        )
    for slope, name in ((band.found.by_colour, "colour"), (band.found.by_mag, "magnitude")):
        if slope.why_not:
            yield f"{what}: no slope with {name}: {slope.why_not}"


def _taken_off(band: BandAudit) -> str:
    """Say what of the offset the zero points of a solution took away."""
    raw = band.raw_nights[band.told_nights]
    nights = f" ({raw.min():+.3f} to {raw.max():+.3f} on {len(raw)} nights)" if len(raw) > 1 else ""
    return (
        "the zero points of the solution hold the offset near zero; what they took off is raw_offset "
        f"{band.raw_offset:+.3f} mag{nights}, by night in '--table nights'"
    )
