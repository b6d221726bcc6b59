"""Mend the pid file that a killed server left behind."""

from __future__ import annotations

import contextlib
from pathlib import Path

from photodb.storage.keeper import PID_FILE, is_server_of, recorded_pid

NOBODYS_PID = 2**31 - 1


def mend_stale_pid(data: Path) -> None:
    """Make PostgreSQL see that the server of its pid file is dead.

    PostgreSQL takes any live process of that number for the old server: a zombie that nobody reaps, or, in a
    restarted container, a stranger. The number is replaced by one that no process has. The file stays, so
    that the new server still checks that no orphaned child uses the old one's shared memory.
    """
    pid = recorded_pid(data)
    if pid is None or pid == NOBODYS_PID or not Path("/proc/self/stat").exists() or is_server_of(pid, data):
        return
    path = data / PID_FILE
    with contextlib.suppress(OSError), path.open("r+") as stream:
        rest = stream.read().split("\n", 1)[1:]
        stream.seek(0)
        stream.write("\n".join([str(NOBODYS_PID), *rest]))
        stream.truncate()
