"""A star list as it is written: columns and words by the names that the file gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

META = re.compile(r"^#+\s*([A-Za-z][\w .-]*?)\s*[=:]\s*(.+?)\s*$")


@dataclass(frozen=True)
class ListTable:
    """A star list as written: columns by name, and what its header says."""

    format: str
    columns: Mapping[str, NDArray]  # (n,) numbers, NaN where empty, or text
    units: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    header: fits.Header | None = None  # of the image, where the file has it

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> NDArray | None:
        """Return a column by its name, whatever the case; None without it."""
        if name in self.columns:
            return self.columns[name]
        key = next((k for k in self.columns if k.lower() == name.lower()), None)
        return None if key is None else self.columns[key]

    def unit(self, name: str) -> str:
        """Return the unit written for a column; empty where none is."""
        return next((u for k, u in self.units.items() if k.lower() == name.lower()), "")

    def word(self, name: str) -> Any:
        """Return a word of the header, whatever the case; None without it."""
        for place in (self.meta, self.header or {}):
            key = next((k for k in place if str(k).lower() == name.lower()), None)
            if key is not None and str(place[key]).strip() != "":
                return place[key]
        return None


def plain_column(column: Any) -> NDArray:
    """Return a table's column as numbers (NaN where masked) or text (empty where masked)."""
    values = np.ma.asarray(column)
    if values.dtype.kind in "iufb":
        return np.ma.filled(values.astype(np.float64), np.nan)
    if values.dtype.kind == "S":
        values = np.ma.asarray(np.char.decode(np.ma.filled(values, b""), "utf-8", "replace"))
    return np.char.strip(np.ma.filled(values.astype(str), ""))


def unfolded(name: str, values: Any) -> list[tuple[str, Any]]:
    """Return a column, or each of the columns of one with several values a row: NAME (the first), NAME[1], ..."""
    if values.ndim < 2:
        return [(name, values)]
    flat = values.reshape(len(values), -1)
    return [(f"{name}[{k}]" if k else name, flat[:, k]) for k in range(flat.shape[1])]


def comments_meta(lines: list[str]) -> dict[str, Any]:
    """Return the words that comment lines `# word = value` or `# word: value` tell."""
    found = {}
    for line in lines:
        match = META.match(line)
        if match:
            found[match[1].strip()] = match[2].strip("'\" ")
    return found
