"""The keeper: stops an embedded server when nobody has used it for a while.

One small process a running server, started with it and run as a script with the standard library only. It
waits, without polling, until no client holds the lock, also when the clients were killed; then for the idle
time; then, if nobody came, it stops the server. A keeper that was killed is replaced by the next client.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CLIENTS_LOCK = "lock"
START_LOCK = "start.lock"
KEEPER_LOCK = "keeper.lock"
KEEP_MARK = "keep"


def take(home: Path, name: str, how: int) -> int | None:
    """Lock a file of the server's folder and return it opened; None if it is taken or the folder is gone."""
    try:
        lock = os.open(home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def stop_if_idle(home: Path, seen: float, stop: list[str], options: dict[str, Any]) -> bool:
    """Stop the server if nobody came since `seen`; return whether the keeper is done."""
    null = subprocess.DEVNULL
    start = take(home, START_LOCK, fcntl.LOCK_EX)
    if start is None:
        return True
    try:
        clients = take(home, CLIENTS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if clients is None:
            return False
        try:
            if last_use(home) != seen:
                return False
            if not (home / KEEP_MARK).exists():
                subprocess.run(stop, check=False, cwd="/", stdin=null, stdout=null, stderr=null, **options)
            return True
        finally:
            os.close(clients)
    finally:
        os.close(start)


def main(home: Path, idle_seconds: float, stop: list[str], options: dict[str, Any]) -> None:
    """Wait until the server is idle, then stop it."""
    own = take(home, KEEPER_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if own is None:
        return
    done = False
    while not done:
        clients = take(home, CLIENTS_LOCK, fcntl.LOCK_EX)  # waits until nobody holds it
        if clients is None:
            return
        seen = last_use(home)
        os.close(clients)
        time.sleep(idle_seconds)
        done = stop_if_idle(home, seen, stop, options)
    os.close(own)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4]))
