"""Read a catalogue's correction from a TOML file; `photodb.core.correction` says what its numbers mean."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ..core.correction import Correction
from ..errors import UsageError


def load_correction(path: Path) -> Correction:
    """Read a correction.

    Raises
    ------
    UsageError : no such file, not TOML, an unknown name or an impossible value; the file is named.
    """
    try:
        return Correction.from_dict(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from error
