"""What a worker process may take for a frame: memory, threads and time."""

from __future__ import annotations

import contextlib
import resource
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import FrameError

SECONDS_A_FRAME = 120
MEMORY_BYTES = 8 << 30


def limit_worker() -> None:
    """Set a worker's limits: memory, and one thread a process."""
    import numba

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    if soft == resource.RLIM_INFINITY or soft > limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    numba.set_num_threads(1)


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise FrameError after `SECONDS_A_FRAME`; a thread other than the main one has no alarm and no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(SECONDS_A_FRAME)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _too_slow(_signal: int, _frame: FrameType | None) -> None:
    raise FrameError("timeout", f"the frame took longer than {SECONDS_A_FRAME} s")
