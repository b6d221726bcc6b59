"""photodb: raw frames of many nights and many telescopes to calibrated light curves and variable stars.

The public door is `photodb.open()`, which returns an `Archive`.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photodb.archive import Archive

try:
    __version__ = version("photodb")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["Archive", "__version__", "open"]


def open(location: str | None = None) -> Archive:
    """Open an archive: a folder made by ``photodb init``, or a PostgreSQL URL.

    Without `location`: ``PHOTODB_ARCHIVE``, else ``./photodb.toml``. See `photodb.archive.Archive` for what
    it answers.

    Examples
    --------
    >>> import photodb
    >>> with photodb.open("nights") as archive:                       # doctest: +SKIP
    ...     curve = archive.lightcurve(31.0427, 46.6878)
    """
    from photodb.archive import open_archive

    return open_archive(location)


def __getattr__(name: str) -> object:
    if name == "Archive":
        from photodb.archive import Archive

        return Archive
    raise AttributeError(f"module 'photodb' has no attribute {name!r}")
