"""Numbers on the command line: finite, and within limits."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.ParamType):
    """A finite number between two limits; `above` excludes the lower one."""

    name = "number"

    def __init__(self, low: float = -math.inf, high: float = math.inf, above: bool = False) -> None:
        self._low, self._high, self._above = low, high, above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number; refuse what is none, not finite or beyond a limit."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number", param, ctx)
        fits = math.isfinite(number) and self._low <= number <= self._high
        if not fits or (self._above and number == self._low):
            self.fail(f"{value}: {self._wanted()} is needed", param, ctx)
        return number

    def _wanted(self) -> str:
        """Say which numbers are taken."""
        told = "a finite number"
        if math.isfinite(self._low):
            told += f" {'above' if self._above else 'from'} {self._low:g}"
        return told + (f" to {self._high:g}" if math.isfinite(self._high) else "")
