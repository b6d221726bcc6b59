"""Read frames: plain, gzipped, Rice-compressed or multi-extension FITS, and nothing that only looks like one.

Every failure is a `FrameError` with a short code, so that a bad file becomes a row with a reason. The identity of a
frame is the hash of its decoded pixels and its time cards: renaming or recompressing a file changes nothing.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError, VerifyWarning
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from ..errors import FrameError
from .colour import is_cube
from .rawfiles import raw_advice

SUFFIXES = (
    ".fits",
    ".fit",
    ".fts",
    ".fits.gz",
    ".fit.gz",
    ".fts.gz",
    ".fits.fz",
    ".fit.fz",
    ".fits.z",
    ".fits.bz2",
)
NOT_SCIENCE = {"BPM", "MASK", "DQ", "VAR", "ERR", "ERROR", "WEIGHT", "WHT", "IVM", "CAT", "RMS"}
MIN_SIDE = 48
MAX_PIXELS = 400_000_000
TIME_CARDS = (
    "DATE-OBS",
    "TIME-OBS",
    "UT-OBS",
    "UTC-OBS",
    "UTSTART",
    "TAIHMS",
    "MJD-OBS",
    "JD",
    "UT",
    "TIME",
    "EXPTIME",
    "FILTER",
)

# What astropy and the decompressors below it raise on damaged files.
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    OverflowError,
    EOFError,
    RuntimeError,
    MemoryError,
    NotImplementedError,
    ImportError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    VerifyError,
    VerifyWarning,
    AstropyUserWarning,
)


@dataclass(frozen=True)
class RawFrame:
    """The pixels and header of one image of a file."""

    data: NDArray  # (ny, nx), (3, ny, nx) of three colours; integers as uint16 or int32, floats as float32
    header: fits.Header  # the image's cards, then those of the primary header that it lacks
    hdu: int
    data_hash: str  # SHA-256 of pixels, shape and time cards


def is_frame_name(path: Path) -> bool:
    """Tell whether a file's name is one of a FITS frame."""
    return path.name.lower().endswith(SUFFIXES)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises
    ------
    FrameError : the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FrameError("unreadable", f"cannot read the file: {error.strerror or error}") from error
    return digest.hexdigest()


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(10)
    except OSError as error:
        raise FrameError("unreadable", f"cannot read the file: {error.strerror or error}") from error
    if not head:
        raise FrameError("empty", "the file is empty (0 bytes)")
    if not (head.startswith((b"SIMPLE", b"\x1f\x8b", b"BZh", b"\x1f\x9d", b"PK"))):
        raise FrameError("not_fits", f"the file does not start with SIMPLE: it is not FITS{raw_advice(path)}")


def _is_image(hdu: object) -> bool:
    if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) or isinstance(
        hdu, fits.GroupsHDU
    ):
        return False
    shape = [n for n in hdu.shape if n != 1]
    return len(shape) == 2 or (len(shape) == 3 and is_cube(hdu.header))


def _choose(hdus: fits.HDUList, wanted: int | str | None) -> int:
    """Choose the image: the one wanted, else the first called SCI, else the first that is not a mask or the like."""
    if wanted is not None:
        try:
            return int(hdus.index_of(wanted))
        except KeyError as error:
            raise FrameError("no_image", f"no extension {wanted!r} (camera.hdu)") from error
    images = [k for k, hdu in enumerate(hdus) if _is_image(hdu)]
    science = [k for k in images if str(hdus[k].name).upper() not in NOT_SCIENCE]
    named = [k for k in science if str(hdus[k].name).upper() == "SCI"]
    if not science:
        shapes = ", ".join(f"{k} {type(hdu).__name__}" for k, hdu in enumerate(hdus)) or "nothing"
        raise FrameError("no_image", f"no two-dimensional image in the file (it holds {shapes})")
    return (named or science)[0]


def sound_cards(header: fits.Header) -> fits.Header:
    """Return the header without the cards that cannot be parsed, which astropy would only find when they are asked for.

    Empty values become empty text, never None.
    """
    sound = fits.Header()
    for card in header.cards:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = (
                    "" if isinstance(card.value, fits.card.Undefined) or card.value is None else card.value
                )
                sound.append((card.keyword, value, card.comment), end=True)
        except DAMAGE:
            continue
    return sound


def _merged_header(hdus: fits.HDUList, k: int) -> fits.Header:
    header = sound_cards(hdus[k].header)
    if k:
        own = set(header)
        structural = {"SIMPLE", "EXTEND", "BITPIX", "NAXIS", "CHECKSUM", "DATASUM", "COMMENT", "HISTORY", ""}
        primary = sound_cards(hdus[0].header)
        header.extend([c for c in primary.cards if c.keyword not in own | structural], end=True)
    return header


def _pixels(hdu: fits.PrimaryHDU) -> NDArray:
    shape = hdu.shape
    if int(np.prod(shape)) > MAX_PIXELS:
        raise FrameError("too_large", f"{'x'.join(map(str, shape))} pixels, more than {MAX_PIXELS}")
    data = hdu.data
    if data is None:
        raise FrameError("no_image", "the image has no pixels")
    data = np.asarray(data).reshape([n for n in data.shape if n != 1])
    if data.ndim not in (2, 3) or min(data.shape[-2:]) < MIN_SIDE:
        raise FrameError(
            "too_small", f"the image is {'x'.join(map(str, data.shape))} pixels; {MIN_SIDE} a side needed"
        )
    if data.dtype.kind not in "iuf":
        raise FrameError("unreadable", f"pixels of type {data.dtype}")
    if data.dtype.kind == "f":
        return np.ascontiguousarray(data, dtype=np.float32)
    if data.dtype.itemsize <= 2 and data.dtype.kind == "u":
        return np.ascontiguousarray(data, dtype=np.uint16)
    if data.min() >= 0 and data.max() <= 65535:
        return np.ascontiguousarray(data, dtype=np.uint16)
    if abs(int(data.min())) > 2**31 - 1 or int(data.max()) > 2**31 - 1:
        return np.ascontiguousarray(data, dtype=np.float32)
    return np.ascontiguousarray(data, dtype=np.int32)


def _refuse_blank(data: NDArray) -> None:
    """Refuse frames without information: one value only, or rows filled with zeros at the end (a cut transfer)."""
    if data.ndim == 3:
        for plane in data:
            _refuse_blank(plane)
        return
    sample = data[:: max(1, data.shape[0] // 200), :: max(1, data.shape[1] // 200)]
    finite = sample[np.isfinite(sample)] if data.dtype.kind == "f" else sample
    if finite.size < 0.1 * sample.size:
        raise FrameError(
            "no_pixels", f"{finite.size / sample.size:.0%} of the pixels are finite numbers; 10% needed"
        )
    if finite.min() == finite.max() and (data == data.flat[0]).all():
        raise FrameError("constant", f"every pixel is {data.flat[0]}")
    tail = max(2, data.shape[0] // 50)
    if not data[-tail:].any() and data[: data.shape[0] // 4].all(axis=1).any():
        blank = int(np.argmax(data[::-1].any(axis=1)))
        raise FrameError(
            "truncated", f"the last {blank} of {data.shape[0]} rows are zero: the file was cut short"
        )


def data_hash(data: NDArray, header: fits.Header) -> str:
    """Return the identity of a frame: SHA-256 of its pixels, shape and time cards."""
    digest = hashlib.sha256(f"{data.shape}{data.dtype.str}".encode())
    digest.update("|".join(str(header.get(card, "")).strip() for card in TIME_CARDS).encode())
    digest.update(data.view(np.uint8).data if data.flags.c_contiguous else data.tobytes())
    return digest.hexdigest()


def read_header(path: Path, wanted: int | str | None = None) -> fits.Header:
    """Read only the header of a frame's image.

    Raises
    ------
    FrameError : the file is no FITS file or holds no image.
    """
    _check_magic(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
                if wanted is None and _is_image(hdus[0]):
                    return _merged_header(hdus, 0)
                return _merged_header(hdus, _choose(hdus, wanted))
    except DAMAGE as error:
        raise FrameError("unreadable", f"cannot read the file as FITS: {_one_line(error)}") from error


def read_frame(path: Path, wanted: int | str | None = None, *, verify: bool = True) -> RawFrame:
    """Read one image of a file, checksums verified where present.

    Parameters
    ----------
    path : the file.
    wanted : extension number or name; by default the one called SCI, else the first image.
    verify : refuse a frame whose CHECKSUM or DATASUM does not fit; off for cameras whose checksums are known stale.

    Raises
    ------
    FrameError : codes unreadable, empty, not_fits, no_image, too_small, too_large, truncated, checksum, constant,
        no_pixels.
    """
    _check_magic(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings(
                "error", message=".*(?:truncated|Checksum|Datasum).*", category=AstropyUserWarning
            )
            with fits.open(path, memmap=False, lazy_load_hdus=True, checksum=verify) as hdus:
                k = 0 if wanted is None and _is_image(hdus[0]) else _choose(hdus, wanted)
                data = _pixels(hdus[k])
                header = _merged_header(hdus, k)
    except AstropyUserWarning as warning:
        code = "truncated" if "truncated" in str(warning) else "checksum"
        raise FrameError(code, _one_line(warning)) from warning
    except DAMAGE as error:
        raise FrameError("unreadable", f"cannot read the file as FITS: {_one_line(error)}") from error
    _refuse_blank(data)
    return RawFrame(data, header, k, data_hash(data, header))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]
