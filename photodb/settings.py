"""Which archive, and the settings of `photodb.toml`.

The archive is, in this order: what was given (`--archive`), the variable PHOTODB_ARCHIVE, `photodb.toml` in
the current folder. An archive is a folder that holds a `photodb.toml`, or the URL of a PostgreSQL database.
Passwords are never shown; libpq's password file and services work.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photodb.errors import ConfigurationError

FILE = "photodb.toml"
VARIABLE = "PHOTODB_ARCHIVE"
URL = re.compile(r"^postgres(ql)?(\+[a-z0-9]+)?://", re.IGNORECASE)
CREATE = "make one with 'photodb init', or name one with --archive DIR-or-URL or the variable PHOTODB_ARCHIVE"


@dataclass(frozen=True)
class ArchiveLocation:
    """Where an archive is: a folder with the embedded server, or a URL.

    Attributes
    ----------
    directory : Path or None
        Folder of the embedded server.
    url : str or None
        URL of the database, with its password if it was given; never shown.
    origin : str
        Where the location was taken from.
    server : mapping
        Settings of the embedded PostgreSQL, from `[postgres]`.
    settings : mapping
        The whole `photodb.toml`.
    """

    directory: Path | None
    url: str | None
    origin: str
    server: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return mask_password(self.url) if self.url else str(self.directory)

    def __repr__(self) -> str:
        return f"ArchiveLocation({str(self)!r}, origin={self.origin!r})"


def is_url(text: str) -> bool:
    """Tell whether a location is the URL of a database."""
    return URL.match(text) is not None


def plain_url(url: str) -> str:
    """Return a URL as libpq reads it, without SQLAlchemy's '+driver'."""
    return URL.sub("postgresql://", url)


def mask_password(text: str) -> str:
    """Replace the passwords of URLs and connection strings in a text by '***'."""
    text = re.sub(r"(postgres(?:ql)?(?:\+\w+)?://[^\s:/@?]*):[^\s]*@", r"\1:***@", text, flags=re.IGNORECASE)
    return re.sub(
        r"((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", r"\1***", text, flags=re.IGNORECASE
    )


def resolve_archive(location: str | None = None) -> ArchiveLocation:
    """Find the archive.

    Raises
    ------
    ConfigurationError
        No archive is named, or the folder or its `photodb.toml` is not one; names 'photodb init'.
    """
    if location:
        return _named(location, "--archive")
    if os.environ.get(VARIABLE):
        return _named(os.environ[VARIABLE], VARIABLE)
    if Path(FILE).exists():
        return read_file(Path(FILE))
    raise ConfigurationError(f"no archive: there is no {FILE} in {Path.cwd()}; {CREATE}")


def read_file(path: Path) -> ArchiveLocation:
    """Read an archive's `photodb.toml`; a relative folder counts from the file."""
    try:
        settings = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not a TOML file: {error}") from error
    archive = _table(settings, "archive", path)
    directory, url = archive.get("directory"), archive.get("url")
    if not all(isinstance(value, str | None) for value in (directory, url)) or (directory is None) == (
        url is None
    ):
        raise ConfigurationError(
            f'{path}: [archive] needs either directory = "..." or url = "postgresql://..."'
        )
    if url is not None and not is_url(url):
        raise ConfigurationError(
            f"{path}: url = '{mask_password(url)}' is no URL of PostgreSQL (postgresql://...)"
        )
    server = {name: str(value) for name, value in _table(settings, "postgres", path).items()}
    folder = None if directory is None else Path(os.path.abspath(path.parent / directory))
    return ArchiveLocation(folder, url and plain_url(url), str(path), server, settings)


def _named(location: str, origin: str) -> ArchiveLocation:
    if is_url(location):
        return ArchiveLocation(None, plain_url(location), origin)
    path = Path(location)
    if path.name == FILE and path.is_file():
        return read_file(path)
    if (path / FILE).is_file():
        return read_file(path / FILE)
    what = "has no" if path.is_dir() else "is not a folder with a"
    raise ConfigurationError(
        f"no archive: '{mask_password(location)}' (from {origin}) {what} {FILE}; {CREATE}"
    )


def _table(settings: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    table = settings.get(name, {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [{name}] should be a table")
    return table
