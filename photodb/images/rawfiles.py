"""Raw files of photographic cameras: known by name, not read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

RAW_SUFFIXES = (".cr2", ".cr3", ".crw", ".nef", ".arw", ".raf", ".dng", ".orf", ".rw2", ".pef", ".srw")


def is_raw_name(path: Path) -> bool:
    """Tell whether a file's name is that of a photographic camera's raw file."""
    return path.suffix.lower() in RAW_SUFFIXES


HOW = (
    "convert it to FITS without debayering (Siril's 'convert' without -debayer does it and writes BAYERPAT), "
    "and ingest the result"
)


def raw_advice(path: Path) -> str:
    """Return what to do with a raw file; empty for other files."""
    return f"; {path.suffix} is a camera's raw file: {HOW}" if is_raw_name(path) else ""


def tell_raw_files(paths: Iterable[Path]) -> str:
    """Say how many of the files are raw files of cameras, and what to do with them; empty without any."""
    found = [p.suffix.upper() for p in paths if is_raw_name(p)]
    if not found:
        return ""
    kinds = ", ".join(sorted(set(found)))
    return f"{len(found)} of them raw files of cameras ({kinds}): {HOW.replace('it to', 'these to')}"
