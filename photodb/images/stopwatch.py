"""The times of the stages of a piece of work."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds of each stage, in the order of the work."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last call to a stage."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now
