"""The server's pid file: whose it is, and how to mend one that a killed server left behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PID_FILE = "postmaster.pid"
NOBODYS_PID = 2**31 - 1


def postmaster_pid(data: Path) -> int | None:
    """Return the pid of the live server of a data folder; None if there is none."""
    pid = _recorded_pid(data)
    return pid if pid is not None and _is_server_of(pid, data) else None


def mend_stale_pid(data: Path) -> None:
    """Make PostgreSQL see that the server of its pid file is dead.

    PostgreSQL takes any live process of that number for the old server: a zombie that nobody reaps, or, in a
    restarted container, a stranger. The number is replaced by one that no process has. The file stays, so
    that the new server still checks that no orphaned child uses the old one's shared memory.
    """
    pid = _recorded_pid(data)
    if pid is None or pid == NOBODYS_PID or not Path("/proc/self/stat").exists() or _is_server_of(pid, data):
        return
    path = data / PID_FILE
    with contextlib.suppress(OSError), path.open("r+") as stream:
        rest = stream.read().split("\n", 1)[1:]
        stream.seek(0)
        stream.write("\n".join([str(NOBODYS_PID), *rest]))
        stream.truncate()


def _recorded_pid(data: Path) -> int | None:
    try:
        return abs(int((data / PID_FILE).read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _is_server_of(pid: int, data: Path) -> bool:
    """Tell whether a process lives and works in the data folder, as a server does."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "ZX":
            return False
        return os.path.samefile(os.readlink(f"/proc/{pid}/cwd"), data)
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _answers(pid)
    except (PermissionError, IndexError):
        return _answers(pid)


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
