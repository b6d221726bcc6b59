"""A master as the bytes of a FITS file, its way back to pixels, and what a worker keeps of the masters in use.

The file holds the pixels (extension MASTER, losslessly packed) and the mask (extension BPM, 1 is bad), so that any
FITS program can look at one that `photodb calib show` wrote out.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ..errors import FrameError
from .fits import DAMAGE
from .masters import MasterPixels
from .reduce import NO_PLANES, NONE_32, Planes

ANEW = "it was changed or damaged; take it back and build it anew (photodb runs undo, photodb calib build)"
BLOCK = 2880
HEAD_BYTES = 40 * BLOCK
"""In which the headers of a master's file end."""
END_CARD = b"END" + b" " * 77
KEPT_BYTES = 256 << 20
"""Masters that a process keeps ready; one set at least."""


@dataclass(frozen=True)
class Correction:
    """The masters of one frame, as files; small, so that it can be handed to a worker.

    A file is named after the hash of its pixels. Empty text: none.
    """

    bias: str = ""
    dark: str = ""
    flat: str = ""
    dark_scale: float = 0.0  # exposure of the frame over that of the dark
    master_ids: tuple[int, ...] = ()
    missing: str = ""  # which masters the frame should have had, and why it has not

    def __bool__(self) -> bool:
        return bool(self.bias or self.dark or self.flat)


NO_CORRECTION = Correction()


def to_bytes(pixels: MasterPixels, cards: Mapping[str, Any]) -> bytes:
    """Return a master as a FITS file."""
    header = fits.Header([(name, value) for name, value in cards.items() if value is not None])
    packed = fits.CompImageHDU(
        pixels.data, header, name="MASTER", compression_type="GZIP_2", quantize_level=0.0
    )
    mask = fits.CompImageHDU(pixels.bad.astype(np.uint8), name="BPM", compression_type="GZIP_1")
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), packed, mask]).writeto(stream)
    return stream.getvalue()


def pixel_hash(data: NDArray[np.float32], bad: NDArray[np.bool_]) -> str:
    """Return the SHA-256 of a master's pixels, mask and shape: its identity, however it was packed."""
    digest = hashlib.sha256(f"{data.shape}".encode())
    digest.update(np.ascontiguousarray(data, "<f4").tobytes())
    digest.update(np.packbits(bad).tobytes())
    return digest.hexdigest()


def from_bytes(content: bytes, data_hash: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return data and bad of a master's file.

    Raises
    ------
    FrameError : no such file, or its pixels are not those that were stored.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(io.BytesIO(content)) as hdus:
                data = np.ascontiguousarray(hdus["MASTER"].data, np.float32)
                bad = np.ascontiguousarray(hdus["BPM"].data, bool)
    except DAMAGE as error:
        raise FrameError("bad_master", f"a master cannot be read: {error}; {ANEW}") from error
    found = pixel_hash(data, bad)
    if found != data_hash:
        raise FrameError(
            "bad_master", f"a master's pixels have the hash {found[:12]}, not {data_hash[:12]}: {ANEW}"
        )
    return data, bad


def read_mask(read: Callable[[int, int], bytes], length: int) -> NDArray[np.bool_]:
    """Return the mask (ny, nx) of a master's file without reading its pixels.

    Parameters
    ----------
    read : gives the bytes [start, stop) of the file. length : of the file, bytes.

    Raises
    ------
    FrameError : no such file.
    """
    try:
        head = read(0, min(HEAD_BYTES, length))
        primary = fits.Header.fromstring(head[: head.index(END_CARD)].decode("ascii"))
        first = _padded(head.index(END_CARD) + len(END_CARD))
        table = fits.Header.fromstring(head[first : head.index(END_CARD, first)].decode("ascii"))
        size = abs(table["BITPIX"]) // 8 * table["NAXIS1"] * table["NAXIS2"] + table["PCOUNT"]
        mask = _padded(_padded(head.index(END_CARD, first) + len(END_CARD)) + size)
        if primary["NAXIS"] or mask >= length:
            raise ValueError("no extension BPM behind the pixels")
        with fits.open(io.BytesIO(head[:first] + read(mask, length))) as hdus:
            return np.ascontiguousarray(hdus["BPM"].data, bool)
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise FrameError("bad_master", f"a master's mask cannot be read: {error}; {ANEW}") from error


def _padded(size: int) -> int:
    """Return a length filled up to whole blocks of a FITS file."""
    return -(-size // BLOCK) * BLOCK


def load_planes(correction: Correction) -> Planes:
    """Read the masters of a frame and make them ready; kept, so that a process reads them once.

    Raises
    ------
    FrameError : a file is missing or damaged, or the masters differ in size.
    """
    if not correction:
        return NO_PLANES
    key = (correction.bias, correction.dark, correction.flat, correction.dark_scale)
    made = _kept.pop(key, None) or _make_planes(correction)
    _kept[key] = made  # the newest last
    while len(_kept) > 1 and sum(p.nbytes for p in _kept.values()) > KEPT_BYTES:
        del _kept[next(iter(_kept))]
    return made


_kept: dict[tuple[str, str, str, float], Planes] = {}


def _make_planes(correction: Correction) -> Planes:
    subtract, multiply, bad = NONE_32, NONE_32, np.zeros((1, 1), bool)
    try:
        if correction.bias:
            subtract, bad = _read(correction.bias)
        if correction.dark:
            dark, hot = _read(correction.dark)
            dark = dark * np.float32(correction.dark_scale)
            subtract, bad = (subtract + dark if subtract.size else dark), bad | hot
        if correction.flat:
            flat, dead = _read(correction.flat)
            multiply, bad = np.where(dead, np.float32(1), 1 / flat).astype(np.float32), bad | dead
    except ValueError as error:
        raise FrameError("master_size", f"the frame's masters differ in size: {error}") from error
    return Planes(subtract, multiply, bad)


def _read(path: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise FrameError("bad_master", f"cannot read a master: {error}") from error
    return from_bytes(content, Path(path).stem)
