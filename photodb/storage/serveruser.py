"""Who runs the embedded PostgreSQL, which refuses root.

An ordinary user runs it as itself. Root runs it in a user namespace, in which root's own files look like
those of an ordinary user: no user is made and no owner or mode changes. Where namespaces are refused (some
containers) an existing unprivileged user runs it, with the data in a folder that this user can reach.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from photodb.errors import ConfigurationError

NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
FALLBACK_USERS = ("postgres", "nobody", "daemon")


@dataclass(frozen=True)
class ServerUser:
    """How to run a program of PostgreSQL: a prefix for its command, or another user."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    name: str = ""

    @property
    def owner(self) -> int:
        """The user id that owns the server's files, as seen from outside."""
        return os.geteuid() if self.uid is None else self.uid

    def command(self, argv: list[str]) -> list[str]:
        """Return the command to run."""
        return [*self.prefix, *argv]

    def popen_options(self) -> dict[str, Any]:
        """Return the options of `subprocess` that make the program run as this user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, argv: list[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as the server's user, with its messages in English and none of libpq's variables."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return subprocess.run(
            self.command(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd="/",
            env={**environment, "LC_ALL": "C"},
            **self.popen_options(),
        )

    def can_use(self, folder: Path) -> bool:
        """Tell whether this user can read, write and enter a folder."""
        if self.uid is None and not self.prefix:
            return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        return self._test("-r", folder) and self._test("-w", folder) and self._test("-x", folder)

    def can_run(self, program: Path) -> bool:
        """Tell whether this user can run a program."""
        if self.uid is None and not self.prefix:
            return os.access(program, os.X_OK)
        return self._test("-x", program)

    def _test(self, what: str, path: Path) -> bool:
        return self.run(["/bin/sh", "-c", f'test {what} "$1"', "sh", str(path)]).returncode == 0


def server_user() -> ServerUser:
    """Choose who runs the server.

    Raises
    ------
    ConfigurationError
        This is root, namespaces are refused, and no unprivileged user can be used.
    """
    if os.geteuid() != 0:
        return ServerUser()
    if namespaces_work():
        return ServerUser(prefix=NAMESPACE)
    return named_user(os.environ.get("PHOTODB_PG_USER"))


@lru_cache(maxsize=1)
def _unshare_works() -> bool:
    if shutil.which(NAMESPACE[0]) is None:
        return False
    try:
        done = subprocess.run([*NAMESPACE, "true"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def namespaces_work() -> bool:
    """Tell whether root may make a user namespace here; PHOTODB_NO_NAMESPACE=1 refuses them."""
    return os.environ.get("PHOTODB_NO_NAMESPACE", "") in ("", "0") and _unshare_works()


def named_user(name: str | None = None) -> ServerUser:
    """Return an existing unprivileged user: the named one, else the first of FALLBACK_USERS that works."""
    for candidate in (name,) if name else FALLBACK_USERS:
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        user = ServerUser(uid=entry.pw_uid, gid=entry.pw_gid, name=candidate)
        if entry.pw_uid != 0 and _can_become(user):
            return user
    tried = name or ", ".join(FALLBACK_USERS)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, user namespaces are refused here, and none of these users can "
        f"run it: {tried}. Work as an ordinary user, set PHOTODB_PG_USER to an unprivileged user, or give the "
        "archive a server with 'photodb init --url postgresql://...'"
    )


def _can_become(user: ServerUser) -> bool:
    try:
        return user.run(["/bin/sh", "-c", "exit 0"], timeout=30).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
