"""Progress on a terminal: units a second and the time left."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

import click

REDRAW_SECONDS = 0.1


class TerminalProgress:
    """Implements `photodb.steps.progress.Progress` on stderr.

    The bar is drawn only on a terminal; messages are written always, each on a line of its own.
    """

    def __init__(self, stream: TextIO | None = None, unit: str = "frames") -> None:
        self._stream = stream or sys.stderr
        self._drawing = self._stream.isatty()
        self._color = False if os.environ.get("NO_COLOR") else None
        self._unit = unit
        self._total, self._done, self._label, self._note = 0, 0, "", ""
        self._started = self._drawn = 0.0

    def start(self, total: int, label: str) -> None:
        """Begin a stretch of `total` units; 0 where the total is not known."""
        self._total, self._done, self._label, self._note = total, 0, label, ""
        self._started, self._drawn = time.monotonic(), 0.0
        self._draw()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Tell that `n` more units are done."""
        self._done += n
        self._note = note or self._note
        self._draw()

    def message(self, text: str) -> None:
        """Write a line above the bar."""
        self._clear()
        click.echo(text, file=self._stream, color=self._color)
        self._drawn = 0.0
        if self._label:
            self._draw()

    def finish(self) -> None:
        """Remove the bar and, on a terminal, leave one line with the count and the rate."""
        if self._drawing and self._label:
            self._clear()
            seconds = time.monotonic() - self._started
            told = f"{self._label}: {self._done} {self._unit} in {duration(seconds)}"
            click.echo(told, file=self._stream, color=self._color)
        self._label = ""

    def _clear(self) -> None:
        if self._drawing:
            self._stream.write("\r\x1b[2K")

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._drawing or now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        width = shutil.get_terminal_size().columns - 1
        line = progress_line(
            self._label, self._done, self._total, now - self._started, self._unit, self._note
        )
        self._clear()
        self._stream.write(line[:width])
        self._stream.flush()


def progress_line(label: str, done: int, total: int, seconds: float, unit: str, note: str) -> str:
    """Write one state of the bar: label, share, count, rate, time left, note."""
    rate = done / seconds if seconds > 0 else 0.0
    parts = [label]
    if total > 0:
        filled = min(20, 20 * done // total)
        parts.append("[" + "=" * filled + " " * (20 - filled) + f"] {done}/{total}")
    else:
        parts.append(str(done))
    if rate > 0:
        parts.append(f"{rate:.1f} {unit}/s" if rate < 100 else f"{rate:.0f} {unit}/s")
        if total > done:
            parts.append(f"{duration((total - done) / rate)} left")
    return "  ".join([*parts, note] if note else parts)


def duration(seconds: float) -> str:
    """Write a length of time for people: 4.2 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
