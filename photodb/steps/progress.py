"""How a step tells how far it is; the command line draws it, the library is silent."""

from typing import Protocol


class Progress(Protocol):
    """What a step calls; every method must be cheap."""

    def start(self, total: int, label: str) -> None:
        """Begin a stretch of `total` units, for example frames."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Tell that `n` more units are done."""

    def message(self, text: str) -> None:
        """Say something worth reading, on a line of its own."""

    def finish(self) -> None:
        """End the stretch."""


class Silent:
    """A progress that says nothing."""

    def start(self, total: int, label: str) -> None:
        """Begin, silently."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Advance, silently."""

    def message(self, text: str) -> None:
        """Swallow the text."""

    def finish(self) -> None:
        """End, silently."""
