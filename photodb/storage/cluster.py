"""Make the data folder of an embedded server, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from photodb.errors import StorageError
from photodb.storage import places
from photodb.storage.binaries import Binaries, find_binaries
from photodb.storage.places import Place
from photodb.storage.serveruser import ServerUser, server_user

USER = DATABASE = "photodb"
SCRATCH = "data.new-"


def make_cluster(home: Path, sync: bool = True) -> Place:
    """Make the data folder with the archive's database, choose its socket, and note both.

    The caller holds the start lock. What an interrupted attempt left is removed. Without `sync` nothing is flushed
    to the disk, for servers that do not either.

    Raises
    ------
    StorageError, ConfigurationError
        No place, no programs, no user to run them, or initdb's own words.
    """
    user = server_user()
    data = places.choose_data_folder(home, user)
    binaries = places.reachable_binaries(find_binaries(), user)
    for left_over in data.parent.glob(SCRATCH + "*"):
        shutil.rmtree(left_over, ignore_errors=True)
    if not (data / "PG_VERSION").exists():
        _make_data(data, binaries, user, sync)
    place = Place(str(data), str(places.choose_socket_folder(data, user)), user.name)
    places.write_place(home, place)
    return place


def _make_data(data: Path, binaries: Binaries, user: ServerUser, sync: bool) -> None:
    new = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=data.parent))
    try:
        places.give(new, user)
        _initdb(binaries, user, new, sync)
        new.replace(data)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _initdb(binaries: Binaries, user: ServerUser, data: Path, sync: bool) -> None:
    """Run initdb, let in the private socket only, and make the archive's database."""
    options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "-D", str(data)]
    options += [] if sync else ["--no-sync"]
    done = user.run([binaries.program("initdb"), *options])
    if done.returncode:
        raise StorageError(f"initdb failed in {data.parent}: {done.stderr.strip() or done.stdout.strip()}")
    (data / "pg_hba.conf").write_text("# behind a private folder\nlocal all all trust\n")
    create = f'printf \'CREATE DATABASE {DATABASE};\\n\' | "$1" --single -D "$2" postgres'
    done = user.run(["/bin/sh", "-c", create, "sh", binaries.program("postgres"), str(data)])
    if done.returncode or "ERROR" in done.stderr:
        raise StorageError(f"the database could not be made in {data.parent}: {done.stderr.strip()}")
