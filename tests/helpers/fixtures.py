"""A filled archive for tests that only read it: made once a module."""

from collections.abc import Iterator
from dataclasses import dataclass

from photodb.storage.engine import Database

from .small_archive import Truth, fill


@dataclass(frozen=True)
class Filled:
    """A filled archive: open, its URL, and what is in it."""

    db: Database
    url: str
    truth: Truth


def filled_archive(server) -> Iterator[Filled]:
    """Make, fill and at the end drop a database; use as the body of a module-scoped fixture."""
    name = server.create()
    try:
        with server.database(name) as db:
            yield Filled(db, server.url(name), fill(db))
    finally:
        server.drop(name)
