"""Colour cameras: which pixel of a frame saw which colour, by its header or its camera's description.

A mosaic is told by the colours of a 2x2 cell, row by row ("RGGB"). Programs that write frames mean by it the cell at
the top left of the picture, shifted by XBAYROFF and YBAYROFF; ROWORDER tells whether the first row of the file is the
top or the bottom of the picture. Here a pattern always is that of the file's first pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FrameError
from .headers import CameraDescription

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
CHANNELS = ("G", "R", "B")
"""In the order of measuring: green is the deepest and makes the best reference frame."""
PLANES = "RGB"
"""Order of the planes of a cube."""
BANDS = {"R": "TR", "G": "TG", "B": "TB"}
"""The AAVSO's names of bands made by colour cameras."""
PATTERN_CARDS = ("BAYERPAT", "COLORTYP", "CFAIMAGE")
OFFSET_CARDS = ("XBAYROFF", "YBAYROFF")
NO_MOSAIC = re.compile(r"|0|NO|NONE|FALSE|MONO.*|GR[AE]Y.*|LUM.*|L|RGB(24|48)?")
OTHER_AXES = re.compile(r"FREQ|VELO|VRAD|VOPT|WAVE|AWAV|STOKES|TIME|UTC|TAI")
"""Third axes of cubes that hold something else than colours."""
OPEN_FILTERS = re.compile(
    r"|NO(NE|FILTER)?|CLEAR|OPEN|OSC|RGB|COLOU?R|L|LUM(INANCE)?|(UV)?(IR)?(CUT|BLOCK)|ASTRO"
)
"""Filters, without blanks and signs, behind which a channel is still what the AAVSO calls TR, TG and TB."""
ADVICE = (
    'write bayer = "RGGB" (the colours of the file\'s first pixels, two of the first row and two of the second) below '
    '[[camera]] of its description, or bayer = "no" for a camera without colours; see docs/header-map.md'
)


@dataclass(frozen=True)
class Colour:
    """How a frame holds its colours: a mosaic, three planes, or neither."""

    pattern: str = ""  # colours of the file's first 2x2 cell, row by row; empty without a mosaic
    planes: bool = False
    told: str = ""  # who says so
    sure: bool = True  # whether the camera's description says so; else the pixels may contradict

    def __bool__(self) -> bool:
        return bool(self.pattern) or self.planes


NO_COLOUR = Colour()


def colour_of(header: Mapping[str, Any], d: CameraDescription) -> Colour:
    """Tell how a frame holds its colours.

    Raises
    ------
    FrameError : code `bad_pattern`, the header names a mosaic that is none of the four, or offsets without a pattern.
    """
    if is_cube(header):
        return Colour(planes=True, told="three planes")
    if d.bayer == "no":
        return NO_COLOUR
    if d.bayer != "header":
        return Colour(d.bayer, told="description")
    return _by_header(header)


def is_cube(header: Mapping[str, Any]) -> bool:
    """Tell whether the image has three planes of colours."""
    if _whole(header, "NAXIS") < 3 or _whole(header, "NAXIS3") != 3:
        return False
    return not OTHER_AXES.match(str(header.get("CTYPE3", "")).strip().upper())


def shifted(pattern: str, dx: int, dy: int) -> str:
    """Return the pattern of the cell that begins `dx`, `dy` pixels further on."""
    return "".join(pattern[2 * ((row + dy) % 2) + (column + dx) % 2] for row in (0, 1) for column in (0, 1))


def channels_of(header: Mapping[str, Any], d: CameraDescription, kind: str) -> tuple[str, ...]:
    """Return the channels that a file is measured in; ("",) for what has no colours or is no image of the sky.

    Calibration frames stay whole: masters are made and applied before the colours are taken apart.

    Raises
    ------
    FrameError : a mosaic that is not known, or a calibration frame of three planes.
    """
    colour = colour_of(header, d)
    if colour.planes and kind != "science":
        raise FrameError(
            "no_image", f"a {kind} of three planes: calibration frames are used as the camera wrote them"
        )
    return CHANNELS if colour and kind == "science" else ("",)


def band_of_channel(channel: str, written: str, bands: Mapping[str, str]) -> str:
    """Return the band of a channel: TR, TG or TB, with the filter's name added where it lets less through.

    Parameters
    ----------
    written : filter as in the header; bands : what the description makes of names, these and those of channels.
    """
    plain = re.sub(r"[^A-Z0-9]", "", written.upper())
    name = BANDS[channel] if OPEN_FILTERS.fullmatch(plain) else f"{BANDS[channel]}-{written.strip()}"
    return next((band for text, band in bands.items() if text.lower() == name.lower()), name)


def _by_header(header: Mapping[str, Any]) -> Colour:
    card, written = next(
        ((c, _text(header, c)) for c in PATTERN_CARDS if not NO_MOSAIC.fullmatch(_text(header, c))), ("", "")
    )
    dx, dy = (_whole(header, c) for c in OFFSET_CARDS)
    if not card:
        if dx or dy:
            raise FrameError("bad_pattern", f"XBAYROFF = {dx}, YBAYROFF = {dy} but no BAYERPAT: {ADVICE}")
        return NO_COLOUR
    if written not in PATTERNS:
        raise FrameError("bad_pattern", f"{card} = {written!r} is none of {', '.join(PATTERNS)}: {ADVICE}")
    told = [f"{card} = {written}"]
    if _text(header, "SWCREATE").startswith("INDIGO") and shifted("RGGB", dx, dy) == written:
        dx = dy = 0  # it tells the shift against RGGB besides the pattern
    if dx or dy:
        told.append(f"shifted by {dx}, {dy}")
    rows = _text(header, "ROWORDER")
    if rows == "BOTTOM-UP":
        # the pattern is that of the top row, which is the file's last
        pattern = shifted(written, dx, dy + _whole(header, "NAXIS2") - 1)
        told.append("rows bottom-up")
    else:
        pattern = shifted(written, dx, dy)
        told.append("rows top-down" if rows else "rows taken as top-down: no ROWORDER")
    return Colour(pattern, told=", ".join(told), sure=False)


def doubt(levels: Mapping[str, float], noise: float) -> str:
    """Say what is odd where the pixels contradict the pattern; empty where they do not.

    The two greens see the same sky; red and blue do not. Where the pattern is off by one row or column, what is taken
    for green is red and blue.

    Parameters
    ----------
    levels : ADU, median of the sky in "R", "G", "g" (the other green) and "B", bias taken off where it is known.
    noise : ADU, error of these medians.
    """
    greens, others = abs(levels["G"] - levels["g"]), abs(levels["R"] - levels["B"])
    if greens < max(10 * noise, 5 * others, 0.05 * abs(levels["G"])):
        return ""
    return (
        f"the sky differs by {greens:.4g} counts between the two greens and by {others:.4g} between red and blue: "
        "the pattern looks shifted by a row or column"
    )


def looks_mosaic(cell: np.ndarray, noise: float) -> str:
    """Return a pattern that would explain the levels of the 2x2 cell (4,) of a frame told to be mono, or "".

    Two equal levels on one diagonal and two that differ from these and each other: a Bayer mosaic.
    """
    for greens, others, pattern in (((1, 2), (0, 3), "RGGB"), ((0, 3), (1, 2), "GRBG")):
        same = abs(cell[greens[0]] - cell[greens[1]])
        spread = abs(cell[others[0]] - cell[others[1]])
        apart = abs(cell[list(greens)].mean() - cell[list(others)].mean())
        if spread > max(20 * noise, 10 * same, 0.02 * abs(cell.mean())) and apart > 10 * noise:
            return pattern
    return ""


def _text(header: Mapping[str, Any], card: str) -> str:
    return str(header.get(card, "")).strip().strip("'").strip().upper()


def _whole(header: Mapping[str, Any], card: str) -> int:
    try:
        return int(float(str(header.get(card, 0)).strip() or 0))
    except (ValueError, OverflowError):
        return 0
