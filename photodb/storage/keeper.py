"""The keeper: stops an embedded server when nobody has used it for a while.

One small process a running server, started with it and run as a script with the standard library only. It
waits, without polling, until no client holds the lock, also when the clients were killed; then for the idle
time; then, if nobody came, it stops the server. A keeper that was killed is replaced by the next client.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLIENTS_LOCK = "lock"
START_LOCK = "start.lock"
KEEPER_LOCK = "keeper.lock"
KEEP_MARK = "keep"
PID_FILE = "postmaster.pid"


def take(home: Path, name: str, how: int) -> int | None:
    """Lock a file of the server's folder and return it opened; None if it is taken or the folder is gone."""
    try:
        lock = os.open(home / name, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, how)
    except OSError:
        os.close(lock)
        return None
    return lock


def last_use(home: Path) -> float:
    """Return when a client last came (s); 0 if the folder is gone."""
    try:
        return (home / CLIENTS_LOCK).stat().st_mtime
    except OSError:
        return 0.0


def postmaster_pid(data: Path) -> int | None:
    """Return the pid of the live server of a data folder; None if there is none."""
    pid = recorded_pid(data)
    return pid if pid is not None and is_server_of(pid, data) else None


def recorded_pid(data: Path) -> int | None:
    """Return the process that the data folder's pid file names; None without one."""
    try:
        return abs(int((data / PID_FILE).read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def is_server_of(pid: int, data: Path) -> bool:
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


def is_idle(home: Path, seen: float) -> bool:
    """Tell whether nobody uses the server, nor did since `seen`; the caller holds the start lock.

    Clients come by the start lock too, so that the answer holds until it is let go.
    """
    clients = take(home, CLIENTS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if clients is None:
        return not home.exists()
    os.close(clients)
    return last_use(home) == seen


def keep_watch(home: Path, data: Path, idle_seconds: float, stop: Callable[[], object]) -> None:
    """Wait until the server is idle, then stop it, unless it is to be kept or is dead already.

    The keeper's lock is let go before the start lock, so that the next client starts a keeper of its own.
    """
    own = take(home, KEEPER_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    while own is not None:
        clients = take(home, CLIENTS_LOCK, fcntl.LOCK_EX)  # waits until nobody holds it
        if clients is None:
            return
        seen = last_use(home)
        os.close(clients)
        time.sleep(idle_seconds)
        start = take(home, START_LOCK, fcntl.LOCK_EX)
        if start is None:
            return
        if is_idle(home, seen):
            if not (home / KEEP_MARK).exists() and postmaster_pid(data) is not None:
                stop()
            os.close(own)
            own = None
        os.close(start)


def main(home: str, data: str, socket: str, idle_seconds: str, stop: str, options: str) -> None:
    """Watch a server; `stop` and `options` are JSON: the command that stops it and who runs it."""
    null = subprocess.DEVNULL
    user: dict[str, Any] = json.loads(options)

    def stop_it() -> None:
        subprocess.run(json.loads(stop), check=False, cwd="/", stdin=null, stdout=null, stderr=null, **user)
        with contextlib.suppress(OSError):  # a folder below /tmp; any other holds more than the socket
            os.rmdir(socket)

    keep_watch(Path(home), Path(data), float(idle_seconds), stop_it)


if __name__ == "__main__":
    main(*sys.argv[1:7])
