"""Open a table of any format and give its columns piece by piece: text, ECSV, FITS, VOTable."""

from __future__ import annotations

import contextlib
import csv
import lzma
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
from astropy.io import fits, votable
from astropy.io.registry import IORegistryError
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import UsageError
from .tabletext import PIECE, layout, opened, text_pieces

NO_TABLE = (OSError, csv.Error, lzma.LZMAError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
            IORegistryError, ExpatError, struct.error, zlib.error, fits.VerifyError)  # fmt: skip
"""What the readers of astropy raise on files that are no tables."""

FRAME_WORDS = ("radesys", "radecsys", "equinox", "epoch", "frame", "coosys")
Pieces = Callable[[Sequence[str]], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class TableFile:
    """A table as it is written: its columns, and what it says of them."""

    path: Path
    columns: tuple[str, ...]
    n_rows: int  # -1 where only reading tells
    pieces: Pieces  # names of columns -> pieces of those columns
    units: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)  # of the coordinate frame, names in lower case
    odd_rows: list[int] = field(default_factory=list)  # rows left out for another number of columns


def open_table(
    path: Path, choice: int | str | None = None, suits: Callable[[Sequence[str]], bool] = bool
) -> TableFile:
    """Open a table.

    Parameters
    ----------
    choice : number or name of the table in a file of several: the extension of a FITS file, the n-th table (from 0), ID
        or name in a VOTable
    suits : tells by the names of its columns whether a table is of use; picks among several

    Raises
    ------
    UsageError : no such file, an empty one, no table, or several of use: they are named.
    """
    if not path.is_file():
        raise UsageError(f"{path}: {'a folder, not a file' if path.is_dir() else 'no such file'}")
    if not path.stat().st_size:
        raise UsageError(f"{path}: the file is empty")
    with _told(path):
        file = _opener(path)(path, choice, suits)
    return guarded(path, file)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell what a reader raises on damage in words, and be silent on what it only warns of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except NO_TABLE as error:
        text = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} cannot be read as a table (CSV, ECSV, FITS, VOTable): {text}") from error


def guarded(path: Path, file: TableFile) -> TableFile:
    """Return the same table; damage that shows only as it is read is told in words, too."""

    def pieces(wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
        given = file.pieces(wanted)
        while True:
            with _told(path):
                piece = next(given, None)
            if piece is None:
                return
            yield piece

    return replace(file, pieces=pieces)


def _opener(path: Path) -> Callable[..., TableFile]:
    """Return the reader of a file, by what it holds."""
    with opened(path) as file:
        start = file.read(2000)
    if start.startswith("SIMPLE  ="):
        return _open_fits
    if "<VOTABLE" in start or start.lstrip().startswith("<?xml"):
        return _open_votable
    if start.startswith("# %ECSV"):
        return _open_ecsv
    name = path.name.lower().removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")
    return _open_text if name.endswith((".csv", ".txt", ".dat", ".tsv")) else _open_any


def _open_text(path: Path, choice: int | str | None, suits: Callable[[Sequence[str]], bool]) -> TableFile:
    told = layout(path)
    odd: list[int] = []
    _refuse_doubles(path, told.columns)
    units = {name: unit for name, unit in zip(told.columns, told.units, strict=False) if unit}
    return TableFile(
        path,
        told.columns,
        -1,
        lambda wanted: text_pieces(path, told, wanted, odd.append),
        units,
        odd_rows=odd,
    )


def _refuse_doubles(path: Path, columns: Sequence[str]) -> None:
    doubles = sorted({name for name in columns if columns.count(name) > 1 and name})
    if doubles:
        raise UsageError(f"{path}: more than one column is named {', '.join(doubles)}; rename one")


def _of_table(path: Path, table: Table, words: Mapping[str, str]) -> TableFile:
    def pieces(wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, max(len(table), 1), PIECE):
            yield {name: np.ma.asarray(table[name][start : start + PIECE]) for name in wanted}

    columns = tuple(n for n in table.colnames if getattr(table[n], "ndim", 0) == 1)
    units = {n: str(table[n].unit) for n in columns if getattr(table[n], "unit", None)}
    return TableFile(path, columns, len(table), pieces, units, words)


def _open_ecsv(path: Path, choice: int | str | None, suits: Callable[[Sequence[str]], bool]) -> TableFile:
    table = Table.read(path, format="ascii.ecsv")
    return _of_table(path, table, frame_words(table.meta))


def _open_any(path: Path, choice: int | str | None, suits: Callable[[Sequence[str]], bool]) -> TableFile:
    table = Table.read(path)
    return _of_table(path, table, frame_words(table.meta))


def frame_words(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return what a header says of the coordinate frame, its words in lower case."""
    return {
        str(k).lower(): str(v).strip()
        for k, v in meta.items()
        if str(k).lower() in FRAME_WORDS and v is not None
    }


def _open_votable(path: Path, choice: int | str | None, suits: Callable[[Sequence[str]], bool]) -> TableFile:
    document = votable.parse(path, verify="ignore")
    found = list(document.iter_tables())
    tables = [t.to_table(use_names_over_ids=True) for t in found]
    names = [(i, t.ID or t.name or "") for i, t in enumerate(found)]
    at = _chosen(path, names, [t.colnames for t in tables], choice, suits)
    systems = list(document.iter_coosys())
    refs = {f.ref for f in found[at].fields if f.ref}
    named = [s for s in systems if s.ID in refs] or systems
    words = {"coosys": named[0].system, "equinox": named[0].equinox, "epoch": named[0].epoch} if named else {}
    return _of_table(path, tables[at], {k: str(v) for k, v in words.items() if v})


def _chosen(
    path: Path,
    names: Sequence[tuple[int, str]],
    columns: Sequence[Sequence[str]],
    choice: int | str | None,
    suits: Callable[[Sequence[str]], bool],
) -> int:
    """Return which table is meant: an index into `names`."""
    told = ", ".join(
        f"{number} {name} ({', '.join(list(c)[:4])}, ...)" for (number, name), c in zip(names, columns)
    )
    if choice is not None:
        wanted = str(choice).lower()
        for i, (number, name) in enumerate(names):
            if wanted in (str(number), name.lower()):
                return i
        raise UsageError(f"{path}: no table {choice}; tables are {told or 'none'}")
    if not names:
        raise UsageError(f"{path}: holds no table")
    of_use = [i for i, c in enumerate(columns) if suits(c)]
    if len(of_use) > 1:
        raise UsageError(f"{path}: several tables; choose one with --table: {told}")
    return of_use[0] if of_use else 0


def _open_fits(path: Path, choice: int | str | None, suits: Callable[[Sequence[str]], bool]) -> TableFile:
    with fits.open(path) as file:
        found = [(i, h) for i, h in enumerate(file) if isinstance(h, fits.BinTableHDU | fits.TableHDU)]
        found = [(i, h) for i, h in found if not isinstance(h, fits.CompImageHDU)]
        names = [(i, h.name) for i, h in found]
        at = _chosen(path, names, [h.columns.names for _, h in found], choice, suits)
        number, hdu = found[at]
        flat = tuple(c.name for c in hdu.columns if _is_flat(hdu, c))
        units = {c.name: c.unit for c in hdu.columns if c.unit}
        words = frame_words(hdu.header)
        n_rows = int(hdu.header["NAXIS2"])
    return TableFile(path, flat, n_rows, lambda wanted: _fits_pieces(path, number, wanted), units, words)


def _is_flat(hdu: Any, column: Any) -> bool:
    if isinstance(hdu, fits.TableHDU):
        return True
    width = column.format.lstrip("0123456789")[:1]
    count = column.format[: len(column.format) - len(column.format.lstrip("0123456789"))]
    return width == "A" or (count in ("", "1") and width not in ("P", "Q"))


def _fits_pieces(path: Path, number: int, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Give columns piece by piece from the mapped file; empty cells (TNULL) are masked."""
    with fits.open(path) as file:
        hdu = file[number]
        for start in range(0, max(len(hdu.data), 1), PIECE):
            rows = hdu.data[start : start + PIECE]
            yield {name: _fits_column(rows, hdu.columns[name], name) for name in wanted}


def _fits_column(rows: Any, column: Any, name: str) -> NDArray | np.ma.MaskedArray:
    values = np.array(rows[name])
    null = column.null
    if values.dtype.kind in "iu" and isinstance(null, int) and not isinstance(null, bool):
        return np.ma.masked_equal(values, null)
    return values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind in "iuf" else values
