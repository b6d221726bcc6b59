"""Read a star list of any format into plain columns; formats are recognised by content, not by name.

Text tables (CSV, tabs, semicolons, blanks), ECSV, IPAC, FITS tables (with the image's header where the file has it:
FITS_LDAC, or an image in another extension), and the texts of SExtractor, DAOPHOT and IRAF (`listtext`).
"""

from __future__ import annotations

import gzip
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import ascii as text_tables
from astropy.io import fits
from astropy.table import Table

from ..errors import FrameError
from . import listtext
from .fits import DAMAGE, sound_cards
from .listmaps import ListMap
from .listtable import ListTable, comments_meta, plain_column, unfolded
from .rawfiles import raw_advice

SUFFIXES = (
    ".csv",
    ".ecsv",
    ".tsv",
    ".cat",
    ".ldac",
    ".als",
    ".alf",
    ".nst",
    ".ap",
    ".mag",
    ".tbl",
    ".txt",
    ".dat",
)
HEAD_BYTES = 1 << 16
MOST_BYTES = 1 << 28
MOST_ROWS = 1 << 20
"""Rows of one frame that the archive can number."""
NO_TABLE = (*DAMAGE, UnicodeError, re.error)
DAOPHOT_HEAD = re.compile(r"^\s*NL\s+NX\s+NY\s", re.I)
STRUCTURE = {"SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "COMMENT", "HISTORY",
               "CHECKSUM", "DATASUM", "EXTNAME", ""}  # fmt: skip


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked where it is gzipped.

    Raises
    ------
    FrameError : code `unreadable`.
    """
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise FrameError("unreadable", f"cannot read the file: {error}") from error


def format_of(head: bytes) -> str:
    """Return the format that a file's first bytes show: fits, ecsv, sextractor, daophot, iraf, ipac, text; or empty."""
    if head.startswith(b"SIMPLE"):
        return "fits"
    if b"\x00" in head or not head.strip():
        return ""
    text = head.decode("utf-8", "replace").lstrip("\ufeff")
    lines = [line for line in text.splitlines() if line.strip()]
    if text.startswith("# %ECSV"):
        return "ecsv"
    if re.match(r"#K\s+IRAF\b|#N\s+\S", lines[0]) or any(line.startswith("#N ") for line in lines[:200]):
        return "iraf"
    if re.match(r"#\s*1\s+[A-Z]\w+", lines[0]):
        return "sextractor"
    if DAOPHOT_HEAD.match(lines[0]):
        return "daophot"
    return "ipac" if lines[0][0] in "|\\" else "text"


def read_list(path: Path, user: ListMap | None = None) -> ListTable:
    """Read a star list.

    Raises
    ------
    FrameError : codes `empty`, `unreadable`, `too_large`, `not_fits` (neither FITS nor text), `no_table`.
    """
    head = read_head(path)
    if not head.strip():
        raise FrameError("empty", f"the file is empty ({path.stat().st_size} bytes)")
    kind = user.format if user and user.format != "auto" else format_of(head)
    if not kind:
        raise FrameError(
            "not_fits", f"the file is neither FITS nor text: no frame and no star list{raw_advice(path)}"
        )
    if path.stat().st_size > MOST_BYTES:
        raise FrameError(
            "too_large", f"the list has {path.stat().st_size >> 20} MB; {MOST_BYTES >> 20} are the most"
        )
    readers = {
        "sextractor": listtext.sextractor, "daophot": listtext.daophot, "iraf": listtext.iraf,
        "ipac": _ipac, "ecsv": _ecsv,
    }  # fmt: skip
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if kind == "fits":
                made = _fits(path, user.hdu if user else None)
            else:
                text = _text_of(path)
                made = (
                    readers[kind](text)
                    if kind in readers
                    else _delimited(text, user.delimiter if user else "")
                )
    except NO_TABLE as error:
        line = " ".join(str(error).split())[:200]
        raise FrameError(
            "unreadable", f"cannot read the list as {kind}: {line or type(error).__name__}"
        ) from error
    if len(made) > MOST_ROWS:
        raise FrameError("too_large", f"{len(made)} rows; {MOST_ROWS} are the most of one frame")
    return made


def _text_of(path: Path) -> str:
    packed = path.read_bytes()
    raw = gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed
    if len(raw) > MOST_BYTES:
        raise FrameError("too_large", f"the list has {len(raw) >> 20} MB; {MOST_BYTES >> 20} are the most")
    return raw.decode("utf-8", "replace").lstrip("\ufeff")


def _of_table(table: Table, kind: str) -> ListTable:
    columns, units = {}, {}
    for name in table.colnames:
        column = table[name]
        for label, values in unfolded(name, column if hasattr(column, "mask") else np.asarray(column)):
            columns[label], units[label] = plain_column(values), str(getattr(column, "unit", "") or "")
    return ListTable(
        kind, columns, units, {str(k): v for k, v in table.meta.items() if isinstance(v, str | int | float)}
    )


def _ecsv(text: str) -> ListTable:
    return _of_table(Table.read(text.splitlines(), format="ascii.ecsv"), "ecsv")


def _ipac(text: str) -> ListTable:
    table = text_tables.read(text, format="ipac", guess=False)
    keywords = {k: v["value"] for k, v in table.meta.get("keywords", {}).items()}
    table.meta = keywords
    return _of_table(table, "ipac")


def _delimited(text: str, delimiter: str) -> ListTable:
    """Read a text table with a line of names; comment lines above it may tell words of the frame."""
    lines = [line for line in text.splitlines() if line.strip()]
    n = next((k for k, line in enumerate(lines) if not line.lstrip().startswith("#")), len(lines))
    comments, body = [line.strip() for line in lines[:n]], lines[n:]
    if comments and (not body or _is_row(body[0])):  # the names are in the last comment
        body = [comments.pop().lstrip("# "), *body]
    if not body:
        raise FrameError("empty", "the list has no line of column names and no row")
    body = [line for line in body if not line.lstrip().startswith("#")]
    cut = delimiter or next((c for c in "\t,;|" if c in body[0]), " ")
    kind = "basic" if cut == " " else "csv"
    table = text_tables.read(body, format=kind, delimiter=cut, guess=False, strict_names=False)
    return _of_table(Table(table, meta=comments_meta(comments)), "text")


def _is_row(line: str) -> bool:
    """Tell whether a line holds numbers, not names."""
    cells = [c for c in re.split(r"[\s,;|]+", line.strip()) if c]
    return any(re.fullmatch(r"[+-]?\d+\.?\d*([eE][+-]?\d+)?", c) for c in cells)


def _fits(path: Path, wanted: int | str | None) -> ListTable:
    with fits.open(path, memmap=False) as hdus:
        tables = [h for h in hdus if isinstance(h, fits.BinTableHDU | fits.TableHDU) and not _is_image(h)]
        lists = [h for h in tables if h.name == "LDAC_OBJECTS"]
        if wanted is not None:
            chosen = hdus[wanted]
        elif len(lists) > 1:
            raise FrameError(
                "several_lists", f"{len(lists)} lists in one file: say [list] hdu in a map, or split them"
            )
        else:
            chosen = (lists or [h for h in tables if h.name != "LDAC_IMHEAD"] or [None])[0]
        if chosen not in tables:
            raise FrameError("no_table", f"no table {wanted if wanted is not None else ''} in the FITS file")
        columns, units = {}, {}
        for name, unit in zip(chosen.columns.names, chosen.columns.units):
            for label, values in unfolded(name, np.asarray(chosen.data[name])):
                columns[label], units[label] = plain_column(values), unit or ""
        kind = (
            "ldac" if lists else "sextractor" if "X_IMAGE" in columns or "ALPHA_J2000" in columns else "fits"
        )
        return ListTable(kind, columns, units, dict(_own_cards(chosen.header)), _image_header(hdus, chosen))


def _own_cards(header: fits.Header) -> fits.Header:
    """Return a table's cards without those of its structure."""
    cards = sound_cards(header).cards
    kept = [c for c in cards if not (c.keyword in STRUCTURE or re.match(r"T[A-Z]{4}\d|NAXIS\d", c.keyword))]
    return fits.Header(kept)


def _is_image(hdu: Any) -> bool:
    return isinstance(hdu, fits.CompImageHDU)


def _image_header(hdus: fits.HDUList, chosen: Any) -> fits.Header:
    """Return the cards of the image of the list's image: FITS_LDAC's, an image's in the file, the table's."""
    header = fits.Header()
    found = [h for h in hdus if h.name == "LDAC_IMHEAD"]
    if found:
        cards = "".join(str(c).ljust(80) for c in np.ravel(found[0].data.field(0)[0]))
        header = sound_cards(fits.Header.fromstring(cards))
    images = [h for h in hdus if isinstance(h, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU)]
    images.sort(key=lambda h: (h.header.get("NAXIS", 0) < 2, h.name != "SCI"))
    shown = [
        sound_cards(h.header) if h.header.get("NAXIS", 0) >= 2 else _own_cards(h.header) for h in images[:1]
    ]
    for cards in (*shown, _own_cards(chosen.header), _own_cards(hdus[0].header)):
        header.extend([c for c in cards.cards if c.keyword not in header], strip=False, end=True)
    return header
