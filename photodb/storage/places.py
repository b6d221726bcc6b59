"""Where an embedded server keeps its data and its socket, and whether those folders are safe."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from photodb.errors import StorageError
from photodb.storage.binaries import Binaries, wheel_root
from photodb.storage.keeper import postmaster_pid
from photodb.storage.serveruser import ServerUser

LONGEST_SOCKET_FOLDER = 80
"""Bytes of a socket's folder; the whole path of a socket may have 107 (103 on macOS)."""

SOCKET_NAME = ".s.PGSQL.5432"
REACHABLE_FOLDERS = ("/var/lib/photodb", "/var/tmp/photodb")
PLACE_FILE = "place.json"


@dataclass(frozen=True)
class Place:
    """Where the data and the socket of a server are.

    Attributes
    ----------
    data, socket : str
        Their folders.
    user : str
        The user that runs the server; '' for the caller itself.
    home : str
        The server's folder when this was written; another one now if the archive was moved or copied.
    """

    data: str
    socket: str
    user: str = ""
    home: str = ""

    @property
    def log(self) -> Path:
        """The server's log."""
        return Path(self.data).parent / "server.log"


def read_place(home: Path) -> Place | None:
    """Read where the server of an archive is; None if there is none yet."""
    try:
        raw = json.loads((home / PLACE_FILE).read_text())
        return Place(str(home / raw["data"]), str(home / raw["socket"]), raw["user"], raw.get("home", ""))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{home / PLACE_FILE} cannot be read ({error}); it should hold data, socket and user"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{home / PLACE_FILE} cannot be read: {error.strerror}; is the archive yours?"
        ) from error


def write_place(home: Path, place: Place) -> None:
    """Write where the server is, whole or not at all; what lies below the archive moves with it."""
    new = home / (PLACE_FILE + ".new")
    raw = {"data": _below(home, place.data), "socket": _below(home, place.socket)}
    raw |= {"user": place.user, "home": str(home.resolve())}
    new.write_text(json.dumps(raw, indent=1) + "\n")
    new.replace(home / PLACE_FILE)


def make_home(home: Path) -> None:
    """Make the server's folder, private to its owner, or check it.

    Only the last component is private; parents are made as `mkdir -p` would, and existing ones are left
    alone.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {home}: {error.strerror}") from error
    check_private(home, os.geteuid())


def check_private(folder: Path, owner: int) -> None:
    """Check that a folder is a real one, of this owner and closed to all others.

    Raises
    ------
    StorageError
        What is wrong, and how to mend it. Behind such a folder the server trusts whoever connects.
    """
    try:
        state = folder.lstat()
    except OSError as error:
        raise StorageError(f"the folder {folder} is missing or out of reach: {error.strerror}") from error
    if not stat.S_ISDIR(state.st_mode):
        raise StorageError(
            f"{folder} is not a folder (a symbolic link is not accepted); remove it and try again"
        )
    if state.st_uid != owner:
        raise StorageError(
            f"{folder} belongs to user {state.st_uid}, not {owner}; work as its owner, or use a server by URL"
        )
    if state.st_mode & 0o077:
        raise StorageError(
            f"{folder} is open to other users (mode {stat.S_IMODE(state.st_mode):04o}); "
            f"close it with: chmod 700 '{folder}'"
        )


def choose_data_folder(home: Path, user: ServerUser) -> Path:
    """Choose the folder of the data: beside the lock, or where the server's user can reach it."""
    if user.uid is None and user.can_use(home):
        return home / "data"
    for root in REACHABLE_FOLDERS:
        folder = Path(root) / f"archive-{_short_name(home)}"
        try:
            Path(root).mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            give(folder, user)
        except OSError:
            continue
        if user.can_use(folder):
            return folder / "data"
    raise StorageError(
        f"the user that runs PostgreSQL ({user.name or 'root in a namespace'}) can reach neither {home} nor "
        f"any of {', '.join(REACHABLE_FOLDERS)}; put the archive in a folder whose parents are open to it"
    )


def choose_socket_folder(data: Path, user: ServerUser) -> Path:
    """Choose a private folder of a short path for the socket: beside the data, else one below /tmp.

    The one below /tmp is named after the data, so that the archive's URL stays; if somebody else has taken that
    name, it is a new one.
    """
    beside = data.parent
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_FOLDER and _holds_sockets(beside):
        return beside
    root = Path("/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir())
    folder = root / f"photodb-{user.owner}-{_short_name(beside)}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        try:
            check_private(folder, user.owner)
            return folder
        except StorageError:
            folder = Path(tempfile.mkdtemp(prefix="photodb-", dir=root))
    give(folder, user)
    return folder


def remove_socket_folder(place: Place) -> None:
    """Remove a socket's folder below /tmp when its server has stopped; one that holds anything else stays."""
    with contextlib.suppress(OSError):
        Path(place.socket).rmdir()


def check_not_a_copy(home: Path, place: Place) -> None:
    """Check that an archive whose data lie elsewhere is not a copy, which would share them with its original."""
    elsewhere = not Path(place.data).is_relative_to(home)
    if elsewhere and place.home != str(home.resolve()) and (Path(place.home) / PLACE_FILE).exists():
        raise StorageError(
            f"{home} is a copy of {place.home}, but the data are in {place.data}, which copying left out; "
            "copy an archive with 'photodb db dump' and 'photodb db restore'"
        )


def socket_folder_is_safe(home: Path, place: Place, owner: int) -> bool:
    """Tell whether the recorded socket folder still serves.

    One below /tmp may be gone or taken by somebody else, or, recorded by another folder, be that of the archive of
    which this is a copy, unless this archive's own server works there. One in the archive is there or wrong:
    StorageError if it is not private.
    """
    folder = Path(place.socket)
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER or not os.path.lexists(folder):
        return False
    moved = not folder.is_relative_to(home) and place.home != str(home.resolve())
    if moved and postmaster_pid(Path(place.data)) is None:
        return False
    if folder.is_relative_to(home):
        check_private(folder, owner)
        return True
    with contextlib.suppress(StorageError):
        check_private(folder, owner)
        return True
    return False


def give(path: Path, user: ServerUser) -> None:
    """Make the server's user the owner of a file or folder of ours."""
    if user.uid is not None:
        os.chown(path, user.uid, -1 if user.gid is None else user.gid)


def reachable_binaries(binaries: Binaries, user: ServerUser) -> Binaries:
    """Return binaries that the server's user can run, copied to where it can reach them if need be."""
    if user.can_run(binaries.folder / "postgres"):
        return binaries
    source = binaries.folder.parent
    for root in REACHABLE_FOLDERS:
        target = Path(root) / f"postgresql-{binaries.major}-{_age(binaries.folder / 'postgres')}"
        copied = Binaries(target / "wheel" / source.name / "bin", binaries.major)
        try:
            if not target.exists():
                _copy_tree(source, target)
        except OSError:
            continue
        if user.can_run(copied.folder / "postgres"):
            return copied
    raise StorageError(
        f"the user '{user.name}' that runs PostgreSQL cannot run {binaries.folder}/postgres, and it could "
        f"not be copied to {' or '.join(REACHABLE_FOLDERS)}; install PostgreSQL from your system's packages"
    )


def _copy_tree(source: Path, target: Path) -> None:
    """Copy the programs and, where they are of the wheel, its libraries, with their places to one another."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        new = Path(scratch) / "new"
        shutil.copytree(source, new / "wheel" / source.name, symlinks=True)
        root = wheel_root()
        libraries = source.parent.parent / f"{source.parent.name}.libs"
        if root == source.parent and libraries.is_dir():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
        for folder in [new, *(p for p in new.rglob("*") if p.is_dir())]:
            folder.chmod(0o755)
        new.replace(target)


def _short_name(path: Path) -> str:
    """Return a short name that belongs to one path."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]


def _below(home: Path, path: str) -> str:
    return str(Path(path).relative_to(home)) if Path(path).is_relative_to(home) else path


def _age(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size:x}{int(state.st_mtime):x}"


def _holds_sockets(folder: Path) -> bool:
    """Tell whether a socket can be made in a folder; some shared file systems refuse."""
    path = folder / ".s.test"
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            path.unlink(missing_ok=True)
            probe.bind(str(path))
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
