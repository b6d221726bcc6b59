"""Star lists as frames: what a worker process does with a list of stars that somebody else measured.

`scan_any` and `measure_any` take frames and lists alike; a list gives the same `FrameResult` as a frame, with one
aperture and no measure of pixels. They never raise for a bad file.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core.ephemeris import place_at
from ..core.flags import Flag
from ..core.tangent import TangentWCS
from ..errors import FrameError
from . import cards, listfiles
from .describe import describe
from .earthrotation import rotation_at
from .fits import is_frame_name
from .headers import CameraDescription, recognise
from .listframe import Words, exposure_of, has_time, told_band
from .listmaps import ListMap, effective
from .listplace import DEFAULT_SCALE, fitted_wcs, laid_on_plane, middle
from .liststars import ListStars, sky_positions, stars_of
from .listtable import ListTable
from .measure import Measured
from .pipeline import FrameFailure, FrameResult, PixelSettings, Scanned, measure_file, scan
from .quality import Quality
from .worklimits import time_limit

OWN_EXPORT = {"solution_id", "source_id", "frame_id", "n_obs"}
"""Columns of what photodb itself writes out: no star lists."""
FRAME_WORDS = ("mjd", "exptime", "band", "telescope", "camera")
PACKED = (b"SIMPLE", b"\x1f\x8b", b"BZh", b"\x1f\x9d", b"PK")


def scan_any(
    path: Path,
    file_hash: str,
    known: list[CameraDescription],
    camera: str | None,
    maps: Sequence[ListMap] = (),
) -> Scanned | FrameFailure:
    """Recognise the camera of a frame or a star list; which of both it is, its content tells."""
    try:
        asked = any(m.takes(path) for m in maps)
        head = listfiles.read_head(path)
        if not asked and _may_be_frame(path, head):
            found = scan(path, file_hash, known, camera)
            if not (
                isinstance(found, FrameFailure) and found.code == "no_image" and looks_like_list(path, maps)
            ):
                return found
    except FrameError as error:
        return FrameFailure(path, file_hash, error.code, str(error))
    try:
        return _scan_list(path, file_hash, known, camera, maps)
    except FrameError as error:
        return FrameFailure(path, file_hash, error.code, str(error), source_format="list")


def _may_be_frame(path: Path, head: bytes) -> bool:
    with path.open("rb") as stream:
        start = stream.read(10)
    packed_text = start.startswith(b"\x1f\x8b") and not head.startswith(b"SIMPLE")
    return is_frame_name(path) or (start.startswith(PACKED) and not packed_text)


def measure_any(
    scanned: Scanned, settings: PixelSettings, scale: float | None = None
) -> FrameResult | FrameFailure:
    """Measure a frame, or take over the stars of a list; `scale` is arcsec/px where the caller tells it."""
    if not scanned.is_list:
        return measure_file(scanned, settings)
    try:
        with time_limit():
            return _take_over(scanned, scale)
    except FrameError as error:
        return FrameFailure(scanned.path, scanned.file_hash, error.code, str(error), source_format="list")


def could_be_list(path: Path, maps: Sequence[ListMap] = ()) -> bool:
    """Tell whether a file of a searched folder is a star list, by its first bytes and, where these look so, its names.

    An empty file with the name of a list counts as one: its reason will say that it is empty.
    """
    if any(m.takes(path) for m in maps):
        return True
    if not path.name.lower().removesuffix(".gz").endswith(listfiles.SUFFIXES):
        return False
    try:
        head = listfiles.read_head(path)
    except FrameError:
        return False
    if not head.strip():
        return not path.name.lower().endswith((".txt", ".dat"))
    kind = listfiles.format_of(head)
    return kind in ("sextractor", "daophot", "iraf") or (bool(kind) and looks_like_list(path, maps))


def looks_like_list(path: Path, maps: Sequence[ListMap] = ()) -> bool:
    """Tell whether a table has the columns of a star list, photodb's own or those of a map.

    Positions, brightness and a word of the frame are needed, or one of the first two and two such words: then
    something is missing, and the list's reason will say what. Catalogues and photodb's own exports have less.
    """
    try:
        table = listfiles.read_list(path)
    except FrameError:
        return False
    return (
        table.format in ("ldac", "sextractor", "daophot", "iraf")
        or _fitting(table, path, maps) is not None
        or (_looks_own(table))
    )


def _looks_own(table: ListTable) -> bool:
    has = {name.lower() for name in table.columns}
    if has & OWN_EXPORT:
        return False
    place = {"x", "y"} <= has or {"ra", "dec"} <= has
    told = sum(word in has or table.word(word) is not None for word in FRAME_WORDS)
    bright = bool({"flux", "mag"} & has)
    return (place and bright and told >= 1) or ((place or bright) and told >= 2)


def _fitting(table: ListTable, path: Path, maps: Sequence[ListMap]) -> ListMap | None:
    """Return the map that names the file, else the first without names whose columns the list has."""
    named = next((m for m in maps if m.takes(path)), None)
    return named or next(
        (
            m for m in maps
            if not m.match and m.columns
            and all(any(table.column(n) is not None for n in names) for names in m.columns.values())
        ), None,
    )  # fmt: skip


def _read(path: Path, maps: Sequence[ListMap]) -> Words:
    """Read a list with the map that fits it."""
    named = next((m for m in maps if m.takes(path)), None)
    table = listfiles.read_list(path, named)
    user = named or _fitting(table, path, maps)
    return Words(table, effective(user, table.format), path)


def _scan_list(
    path: Path, file_hash: str, known: list[CameraDescription], camera: str | None, maps: Sequence[ListMap]
) -> Scanned | FrameFailure:
    words = _read(path, maps)
    if not len(words.table):
        raise FrameError("empty", "the list has no rows")
    if not words.map.name.startswith("map:") and words.table.format in ("text", "ecsv", "ipac", "fits"):
        _check_own(words)
    description, new = _camera(words, known, camera)
    exposure = _exposure(words, description)
    used = next((m for m in maps if f"map:{m.name}" == words.map.name), None)
    return Scanned(
        path, file_hash, description, new, "science", exposure.mjd_start, _wcs_failed(words, description),
        list_map=used, is_list=True,
    )  # fmt: skip


def _wcs_failed(words: Words, d: CameraDescription) -> bool:
    """Tell whether the list hangs on the place that its image's header tells, and that says that it failed."""
    header = words.table.header
    if header is None or np.isfinite(sky_positions(words)[0]).any():
        return False
    return cards.wcs_failed(header, d)


def _check_own(words: Words) -> None:
    if len(words.table.columns) and not _looks_own(words.table):
        shown = ", ".join(list(words.table.columns)[:20])
        raise FrameError(
            "not_a_list", f"no star list in photodb's layout (columns {shown}); a column map can say what they mean: "
            "photodb ingest --list-map FILE.toml",
        )  # fmt: skip


def _by_header(words: Words) -> bool:
    """Tell whether the header of the list's image tells the frame, since the list itself gives no time."""
    return words.table.header is not None and not has_time(words)


def _camera(
    words: Words, known: list[CameraDescription], camera: str | None
) -> tuple[CameraDescription, bool]:
    """Return the list's camera and whether it is new.

    Raises
    ------
    FrameError : codes `no_camera`, `unknown_camera`.
    """
    if camera:
        return next(d for d in known if d.name == camera), False
    if _by_header(words):
        found = recognise(words.table.header, known)  # type: ignore[arg-type]
        return found or describe(words.table.header), found is None  # type: ignore[arg-type]
    telescope, name = words.text("telescope"), words.text("camera")
    if not (telescope or name):
        raise FrameError(
            "no_camera", "no telescope and no camera: a column, a word of the header or --camera NAME needed"
        )
    telescope, name = telescope or name, name or telescope
    same = [d for d in known if d.name.lower() == name.lower() and d.telescope.lower() == telescope.lower()]
    match = {"TELESCOPE": glob.escape(telescope), "CAMERA": glob.escape(name)}
    found = same[0] if same else next((d for d in known if d.match == match), None)
    clean = re.sub(r"\s+", "_", name)
    return found or CameraDescription(telescope, clean, match), found is None


def _exposure(words: Words, d: CameraDescription) -> cards.Exposure:
    """Return what the list, its map, its name or its image's header say of the exposure."""
    if not _by_header(words):
        ra, dec = sky_positions(words)
        good = np.isfinite(ra)
        made = exposure_of(words, *(middle(ra[good], dec[good]) if good.any() else (np.nan, np.nan)))
    else:
        made = cards.read_exposure(words.table.header, d)  # type: ignore[arg-type]
        airmass, gain, band = words.positive("airmass"), words.positive("gain"), told_band(words)
        made = replace(
            made,
            airmass=airmass if np.isfinite(airmass) else made.airmass,
            gain=gain if np.isfinite(gain) else made.gain,
            band=band or made.band,
            kind="science",
        )
    scale = made.pixel_scale if np.isfinite(made.pixel_scale) else d.pixel_scale or np.nan
    return replace(
        made, gain=made.gain if np.isfinite(made.gain) else d.gain or np.nan, pixel_scale=float(scale)
    )


def _take_over(scanned: Scanned, scale: float | None) -> FrameResult:
    """Make the result of a list."""
    d = scanned.description
    words = _read(scanned.path, [scanned.list_map] if scanned.list_map else [])
    exposure = _exposure(words, d)
    nx, ny = _size(words)
    stars = stars_of(words, exposure.exptime, exposure.gain, nx, ny)
    stars, wcs, nx, ny, told = _placed(stars, words, exposure, d, nx, ny, scale)
    measured = _summary(stars, words, exposure.gain)
    assumed = told | (
        {} if stars.electrons else {"gain": "unknown: errors of the star's own photons are not told apart"}
    )
    unknown = float("nan")
    latitude, longitude = (unknown if v is None else v for v in (d.latitude, d.longitude))
    place = place_at(exposure.mjd, latitude, longitude, d.elevation or 0.0, rotation_at(exposure.mjd))
    gain = exposure.gain if np.isfinite(exposure.gain) else (1.0 if stars.electrons else unknown)
    return FrameResult(
        path=scanned.path, file_hash=scanned.file_hash, data_hash=_identity(stars, exposure, d), hdu=0, camera=d.name,
        exposure=exposure, place=place, nx=nx, ny=ny, gain=gain, quality=Quality(unknown, unknown, unknown),
        background=measured.background, measured=measured, header_wcs=wcs, wcs_failed=_wcs_failed(words, d),
        header_airmass=exposure.airmass, assumed=assumed, source_format=words.map.name,
        remark="; ".join(stars.remarks),
    )  # fmt: skip


def _size(words: Words) -> tuple[int, int]:
    """Return the size of the frame in px; 0 where nothing tells it."""
    told = [words.positive(name) for name in ("nx", "ny")]
    if not np.isfinite(told).all() and words.table.header is not None:
        told = [cards.number(words.table.header, card) for card in ("NAXIS1", "NAXIS2")]
    nx, ny = (int(v) if 1 < v < 1e6 else 0 for v in told)
    return (nx, ny) if nx and ny else (0, 0)


def _placed(
    stars: ListStars,
    words: Words,
    exposure: cards.Exposure,
    d: CameraDescription,
    nx: int,
    ny: int,
    scale: float | None,
) -> tuple[ListStars, TangentWCS | None, int, int, dict[str, str]]:
    """Return the stars with x and y, the WCS that the list itself gives, the frame's size, and what was assumed."""
    found = stars.detections
    told: dict[str, str] = {}
    if np.isfinite(found.x).all():
        if not nx:
            nx, ny = (int(np.ceil(max(float(v.max()), 0.0))) + 1 for v in (found.x, found.y))
            told["size"] = f"{nx}x{ny} px, from the stars' positions"
        nx, ny = max(nx, 2), max(ny, 2)
        fit = fitted_wcs(found.x, found.y, stars.ra, stars.dec, nx, ny)
        if fit:
            return stars, fit[0], nx, ny, told
        header = words.table.header
        if header is not None and not np.isfinite(stars.ra).any():
            return stars, cards.header_wcs(header, d, nx, ny, 0, 0), nx, ny, told
        if not np.isfinite(stars.ra).all():
            return stars, None, nx, ny, told
    chosen = scale or (exposure.pixel_scale if np.isfinite(exposure.pixel_scale) else DEFAULT_SCALE)
    wcs, x, y, nx, ny = laid_on_plane(stars.ra, stars.dec, chosen)
    told["x, y"] = f"the list has none: laid on a tangent plane of {chosen:g} arcsec/px"
    return replace(stars, detections=replace(found, x=x, y=y)), wcs, nx, ny, told


def _summary(stars: ListStars, words: Words, gain: float) -> Measured:
    found = stars.detections
    faint = np.argsort(np.abs(found.flux[:, 0]))[: max(1, len(found) // 4)]
    radius = words.positive("aperture")  # NaN where the list does not tell
    factor = gain if np.isfinite(gain) else 1.0
    return Measured(
        detections=found,
        radii=(radius,),
        fwhm=_median(found.fwhm),
        ellipticity=_median(found.ellipticity),
        background=_median(found.sky) / factor,
        background_rms=float("nan"),
        n_saturated=int((found.flags & Flag.SATURATED != 0).sum()),
        limiting_flux=5 * float(np.median(found.flux_err[faint, 0])),
        best=0,
    )


def _median(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(np.median(good)) if good.size else float("nan")


def _identity(stars: ListStars, exposure: cards.Exposure, d: CameraDescription) -> str:
    """Return the identity of a list: SHA-256 of camera, time, band, positions and fluxes."""
    found = stars.detections
    words = f"list|{d.name}|{exposure.mjd_start:.8f}|{exposure.exptime:.4f}|{exposure.band}"
    digest = hashlib.sha256(words.encode("utf-8", "backslashreplace"))
    for values in (found.x, found.y, found.flux, found.flux_err, stars.ra, stars.dec):
        digest.update(np.ascontiguousarray(values, np.float64).tobytes())
    return digest.hexdigest()
