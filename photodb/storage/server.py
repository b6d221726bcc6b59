"""The embedded PostgreSQL of an archive: made, started when first used, stopped when idle.

In the archive's folder `postgres/` (private to its owner) lie the data, the server's log and three locks:
`lock` is held, shared, by every live client (a killed one lets go of it); `start.lock` is held while the
server is started or stopped; `keeper.lock` is held by the keeper, which stops an idle server
(`photodb.storage.keeper`). Whether the server lives is judged by connecting, never by its process id. It
listens on a socket only, in a private folder, and trusts whoever can enter that folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from psycopg.pq import PGconn, Ping

from photodb.errors import ConfigurationError, StorageError
from photodb.storage import keeper, places
from photodb.storage.binaries import Binaries, find_binaries
from photodb.storage.cluster import DATABASE, USER, make_cluster
from photodb.storage.keeper import postmaster_pid
from photodb.storage.places import Place
from photodb.storage.postmaster import mend_stale_pid
from photodb.storage.serverconf import write_configuration
from photodb.storage.serveruser import ServerUser, named_user, server_user

FOLDER = "postgres"
PORT = "5432"
START_SECONDS = 600
RETRY_SECONDS = 30
OLD_SERVER = ("lock file", "still in use")
"""What PostgreSQL says while the old server, or a child of it, is still there."""

IDLE_SECONDS = 10.0
"""How long an unused server stays up, so that a row of commands does not start and stop it each time."""


class Lease:
    """A client's hold on a running server; the server stays up until it is closed or its process dies."""

    def __init__(self, lock: int) -> None:
        self._lock: int | None = lock

    def close(self) -> None:
        """Let go of the server; a second call does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class EmbeddedServer:
    """The PostgreSQL of the archive in a folder.

    Parameters
    ----------
    archive : Path
        The archive's folder; the server lives in its `postgres/`.
    settings : mapping, optional
        Settings of PostgreSQL that go over the built-in ones, for example ``{"shared_buffers": "1GB"}``.
    idle_seconds : float, optional
        How long the server outlives its last client.
    """

    def __init__(
        self, archive: Path, settings: Mapping[str, str] | None = None, idle_seconds: float | None = None
    ) -> None:
        self.home = Path(os.path.abspath(archive)) / FOLDER
        self.settings = dict(settings or {})
        self.idle_seconds = _idle_seconds() if idle_seconds is None else idle_seconds

    # what it is

    def exists(self) -> bool:
        """Tell whether the server's data have been made."""
        place = places.read_place(self.home)
        return place is not None and (Path(place.data) / "PG_VERSION").exists()

    def conninfo(self, database: str = DATABASE) -> dict[str, str]:
        """Return libpq's parameters of a connection."""
        place = self._place()
        return {"host": place.socket, "port": PORT, "user": USER, "dbname": database}

    def major(self) -> int:
        """Return the major version of the PostgreSQL that made the data."""
        path = Path(self._place().data) / "PG_VERSION"
        try:
            return int(path.read_text().split(".")[0])
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{path} cannot be read ({error}): the server's data are damaged or not yours"
            ) from error

    def running(self) -> bool:
        """Tell whether the server answers."""
        return self.exists() and self._ping() == Ping.OK

    def pid(self) -> int | None:
        """Return the server's process id; None if it does not run."""
        return postmaster_pid(Path(self._place().data)) if self.running() else None

    def kept(self) -> bool:
        """Tell whether the server stays up without clients."""
        return (self.home / keeper.KEEP_MARK).exists()

    # what it does

    def lease(self) -> Lease:
        """Start the server if it does not run, and hold it.

        Raises
        ------
        StorageError, ConfigurationError
            It cannot be started: the server's own words, and what to do.
        """
        places.make_home(self.home)
        with self._starting():
            lock = self._lock(keeper.CLIENTS_LOCK, fcntl.LOCK_SH)
            os.utime(self.home / keeper.CLIENTS_LOCK)
            try:
                self._start()
                self._watch()
            except BaseException:
                os.close(lock)
                raise
        return Lease(lock)

    def ensure(self) -> None:
        """Start the server again if it died while clients hold it."""
        if self._ping() != Ping.OK:
            with self._starting():
                self._start()
                self._watch()

    def keep(self) -> None:
        """Start the server and keep it up until `stop`; ConfigurationError if there is none yet."""
        self._place()
        places.make_home(self.home)
        (self.home / keeper.KEEP_MARK).touch(mode=0o600)
        self.lease().close()

    def stop(self, force: bool = False) -> None:
        """Stop the server; StorageError if clients use it and `force` is not given."""
        with contextlib.suppress(FileNotFoundError):
            (self.home / keeper.KEEP_MARK).unlink()
        if not self.exists():
            return
        with self._starting():
            try:
                lock = self._lock(keeper.CLIENTS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.close(lock)
            except BlockingIOError:
                if not force:
                    raise StorageError(
                        f"the server of {self.home.parent} is in use by other photodb processes; wait for "
                        "them, or stop it all the same with 'photodb db stop --force'"
                    ) from None
            self._stop()

    # how

    def _place(self) -> Place:
        place = places.read_place(self.home)
        if place is None:
            raise ConfigurationError(
                f"there is no archive in {self.home.parent}; make one with: photodb init {self.home.parent}"
            )
        return place

    def _user(self, place: Place) -> ServerUser:
        return named_user(place.user) if place.user else server_user()

    def _binaries(self, place: Place, user: ServerUser) -> Binaries:
        major = self.major()
        try:
            return places.reachable_binaries(find_binaries(major), user)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the data in {place.data} were made by PostgreSQL {major}, and only that version can read "
                f"them: {error}. To move to another version, dump the archive with the old one ('photodb db "
                "dump') and restore it into a new archive"
            ) from error

    def _lock(self, name: str, how: int) -> int:
        lock = os.open(self.home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
        except BaseException:
            os.close(lock)
            raise
        return lock

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        try:
            lock = self._lock(keeper.START_LOCK, fcntl.LOCK_EX)
        except OSError as error:
            raise StorageError(f"cannot lock {self.home / keeper.START_LOCK}: {error.strerror}") from error
        try:
            yield
        finally:
            os.close(lock)

    def _ping(self) -> Ping:
        info = {**self.conninfo("postgres"), "connect_timeout": "5"}
        text = " ".join(f"{key}='{_quoted(value)}'" for key, value in info.items())
        return Ping(PGconn.ping(text.encode()))

    def _start(self) -> None:
        """Bring the server up; the caller holds the start lock."""
        if not self.exists():
            make_cluster(self.home, sync=self.settings.get("fsync") != "off")
        place = self._place()
        user = self._user(place)
        places.check_not_a_copy(self.home, place)
        if not places.socket_folder_is_safe(self.home, place, user.owner):
            place = self._move_socket(place, user)
        deadline = time.monotonic() + START_SECONDS
        answer = self._ping()
        while answer == Ping.REJECT and time.monotonic() < deadline:  # starting, recovering or stopping
            time.sleep(0.05)
            answer = self._ping()
        if answer != Ping.OK:
            self._run_server(place, user)

    def _run_server(self, place: Place, user: ServerUser) -> None:
        binaries = self._binaries(place, user)
        data = Path(place.data)
        write_configuration(data, place.socket, self.settings, user)
        argv = [binaries.program("pg_ctl"), "-D", place.data, "-l", str(place.log)]
        argv += ["-w", "-t", str(START_SECONDS), "start"]
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            mend_stale_pid(data)
            seen = place.log.stat().st_size if place.log.exists() else 0
            done = user.run(argv)
            if self._ping() == Ping.OK:
                return
            words = _new_words(place.log, seen) or done.stderr.strip() or done.stdout.strip()
            if time.monotonic() > deadline or not any(mark in words for mark in OLD_SERVER):
                break
            time.sleep(0.2)  # the old process is still being reaped
        raise StorageError(
            f"PostgreSQL does not start from {place.data}; it says: {words}. Its log is {place.log}"
        )

    def _stop(self) -> None:
        place = self._place()
        user = self._user(place)
        if postmaster_pid(Path(place.data)) is None:
            if self._ping() == Ping.NO_RESPONSE:
                return
            raise StorageError(f"the server of {place.data} runs in another container; stop it there")
        command = self._stop_command(place, user)
        user.run(command, timeout=START_SECONDS + 60)
        if self._ping() != Ping.NO_RESPONSE:
            raise StorageError(f"the server of {place.data} does not stop; its log is {place.log}")
        places.remove_socket_folder(place)

    def _stop_command(self, place: Place, user: ServerUser) -> list[str]:
        binaries = self._binaries(place, user)
        argv = [binaries.program("pg_ctl"), "-D", place.data, "-m", "fast"]
        return [*argv, "-w", "-t", str(START_SECONDS), "stop"]

    def _watch(self) -> None:
        """See to it that a keeper watches the server."""
        if self.kept():
            return
        try:
            os.close(self._lock(keeper.KEEPER_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            return
        place = self._place()
        user = self._user(place)
        stop = json.dumps(user.command(self._stop_command(place, user)))
        options = json.dumps(user.popen_options())
        quiet = subprocess.DEVNULL
        argv = [sys.executable, "-I", "-S", keeper.__file__, str(self.home), place.data, place.socket]
        argv += [str(self.idle_seconds), stop, options]
        with contextlib.suppress(OSError):  # without a keeper the server only stays up
            subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True)

    def _move_socket(self, place: Place, user: ServerUser) -> Place:
        """Choose a new folder for a socket whose folder is gone; a server at the old one is stopped."""
        if postmaster_pid(Path(place.data)) is not None:
            user.run(self._stop_command(place, user), timeout=START_SECONDS + 60)
        socket = places.choose_socket_folder(Path(place.data), user)
        moved = Place(place.data, str(socket), place.user)
        places.write_place(self.home, moved)
        return moved


def _idle_seconds() -> float:
    text = os.environ.get("PHOTODB_IDLE_SECONDS", "")
    try:
        return float(text) if text else IDLE_SECONDS
    except ValueError:
        raise ConfigurationError(
            f"PHOTODB_IDLE_SECONDS is '{text}'; it should be a number of seconds"
        ) from None


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _new_words(log: Path, start: int) -> str:
    """Return the server's last complaints since byte `start` of its log."""
    try:
        with log.open("rb") as stream:
            stream.seek(start)
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    words = [
        line for line in lines if any(mark in line for mark in ("FATAL", "PANIC", "HINT", "DETAIL", "ERROR"))
    ]
    return " / ".join(words[-4:])
