"""The embedded server, real ones in scratch folders: made, shared, killed, moved, refused."""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from photodb.errors import ConfigurationError, StorageError
from photodb.storage import keeper, places
from photodb.storage.engine import Database, open_database
from photodb.storage.server import EmbeddedServer
from photodb.storage.serveruser import ServerUser, named_user

SMALL = {"shared_buffers": "16MB", "fsync": "off"}
OLD_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("1[4-7]/bin"))
TOML = '[archive]\ndirectory = "."\n[postgres]\nshared_buffers = "16MB"\nfsync = "off"\n'
CLIENT = """
import sys
from pathlib import Path
from photodb.storage.engine import Database
from photodb.storage.server import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), {"shared_buffers": "16MB", "fsync": "off"}, idle_seconds=0.2)
lease = server.lease()
db = Database("test", server.conninfo(), server, lease)
with db.begin() as conn:
    print(conn.exec_driver_sql("SELECT pg_backend_pid()").scalar(), server.pid(), flush=True)
sys.stdin.readline()
db.close()
"""


def query(server, statement="SELECT 1", database="photodb"):
    with psycopg.connect(**server.conninfo(database), autocommit=True) as conn:
        cursor = conn.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def answer(db, statement):
    """Ask, as a client does that starts over; None if the old connection was just being cut."""
    try:
        with db.begin() as conn:
            return conn.exec_driver_sql(statement).scalar()
    except StorageError:
        return None


def until(condition, seconds=20):
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def client(folder):
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def seed():
    """An archive folder with a server that was made once; tests copy it, as users may."""
    folder = Path(tempfile.mkdtemp(prefix="photodb-seed-")) / "archive"
    server = EmbeddedServer(folder, SMALL)
    server.lease().close()
    server.stop()
    (folder / "photodb.toml").write_text(TOML)
    yield folder
    shutil.rmtree(folder.parent)


@pytest.fixture
def folder(seed):
    """A copy of the archive folder, in a private folder of its own."""
    parent = Path(tempfile.mkdtemp(prefix="photodb-server-"))
    shutil.copytree(seed, parent / "archive")
    yield parent / "archive"
    for home in parent.rglob("place.json"):
        EmbeddedServer(home.parent.parent, SMALL).stop(force=True)
    shutil.rmtree(parent)


@pytest.fixture
def server(folder):
    """Its server, which stops a fifth of a second after its last client."""
    return EmbeddedServer(folder, SMALL, idle_seconds=0.2)


def test_made_in_a_private_folder_it_touches_no_parent(tmp_path):
    parents = [tmp_path / "home", tmp_path / "home" / "nights"]
    parents[1].mkdir(parents=True)
    for parent in parents:
        parent.chmod(0o700)
    before = [(p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in [tmp_path, *parents]]
    server = EmbeddedServer(parents[1] / "archive", SMALL)
    lease = server.lease()
    try:
        assert [(p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in [tmp_path, *parents]] == before
        assert query(server, "SHOW listen_addresses") == ""
        assert query(server, "SHOW data_checksums") == "on"
        assert query(server, "SHOW jit") == "off"
        assert query(server, "SHOW shared_buffers") == "16MB"
        place = places.read_place(server.home)
        for path in (server.home, Path(place.data), Path(place.socket)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        owners = {p.stat().st_uid for p in (server.home, Path(place.data), Path(place.data) / "PG_VERSION")}
        assert len(owners) == 1
    finally:
        lease.close()
        server.stop()


def test_fsync_and_checksums_are_on_by_default():
    from photodb.storage.serverconf import server_settings

    settings = server_settings("/somewhere")
    assert settings["fsync"] == "on" and settings["full_page_writes"] == "on"


def test_a_path_of_200_characters(seed, tmp_path):
    folder = tmp_path
    while len(str(folder)) < 200:
        folder = folder / "a folder's long name"
    shutil.copytree(seed, folder / "archive")
    server = EmbeddedServer(folder / "archive", SMALL)
    lease = server.lease()
    try:
        assert query(server) == 1
        socket = Path(server.conninfo()["host"])
        assert len(str(socket)) < 60 and stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert socket.stat().st_uid == os.geteuid()
    finally:
        lease.close()
        server.stop()
    assert not socket.exists()
    socket.mkdir(mode=0o755)  # somebody else was there first: another folder is taken
    with contextlib.closing(server.lease()):
        assert query(server) == 1 and Path(server.conninfo()["host"]) != socket
    server.stop()
    socket.rmdir()


def test_many_clients_at_once_share_one_server(folder, server):
    clients = [client(folder) for _ in range(4)]
    answers = [c.stdout.readline().split() for c in clients]
    assert len({postmaster for _, postmaster in answers}) == 1
    assert len({backend for backend, _ in answers}) == 4
    for c in clients[:-1]:
        c.communicate("\n")
    assert server.running()
    clients[-1].communicate("\n")
    assert [c.returncode for c in clients] == [0] * 4
    until(lambda: not server.running())


def test_a_killed_client_does_not_keep_the_server(folder, server):
    killed = client(folder)
    killed.stdout.readline()
    assert server.running()
    killed.kill()
    killed.communicate()
    until(lambda: not server.running())  # fails when its time is up


def test_a_client_that_stays_keeps_the_server_when_another_is_killed(folder, server):
    lease = server.lease()
    killed = client(folder)
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    until(
        lambda: query(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'photodb'") == 0
    )
    with pytest.raises(StorageError, match="in use by other photodb processes"):
        server.stop()
    assert query(server) == 1
    lease.close()
    until(lambda: not server.running())


def test_the_server_is_killed_and_nothing_committed_is_lost(folder, server):
    lease = server.lease()
    with Database("test", server.conninfo(), server, lease) as db:
        with db.begin() as conn:
            conn.exec_driver_sql("CREATE TABLE kept AS SELECT 42 AS i")
        for _ in range(2):
            killed = server.pid()
            os.kill(killed, signal.SIGKILL)
            # a backend of the dead postmaster may answer once more: wait for the answer of another one's
            until(
                lambda old=killed: answer(db, "SELECT i FROM kept") == 42 and server.pid() not in (None, old)
            )
            assert server.pid() != killed and answer(db, "SELECT i FROM kept") == 42


def test_a_transaction_cut_off_by_the_server_is_a_storage_error(folder, server):
    with Database("test", server.conninfo(), server, server.lease()) as db:
        with pytest.raises(StorageError, match="run again, resumes"), db.begin() as conn:
            os.kill(server.pid(), signal.SIGKILL)
            until(lambda: conn.exec_driver_sql("SELECT 1") is None)
        until(lambda: answer(db, "SELECT 1") == 1)


def test_a_pid_file_that_names_a_stranger_is_stale(folder, server):
    with contextlib.closing(server.lease()):
        postmaster = server.pid()
    until(lambda: not server.running())
    data = Path(places.read_place(server.home).data)
    until(lambda: _lock_is_free(server.home / keeper.KEEPER_LOCK))
    lines = [str(os.getpid()), str(data), "1", "5432", "", "", "  1 1", "ready"]
    (data / "postmaster.pid").write_text("\n".join(lines))
    with contextlib.closing(server.lease()):
        assert query(server) == 1 and server.pid() not in (postmaster, os.getpid())


def test_a_killed_keeper_is_replaced(folder, server):
    with contextlib.closing(server.lease()):
        until(lambda: len(_keepers_of(folder)) == 1)
        os.kill(_keepers_of(folder)[0], signal.SIGKILL)
        until(lambda: _lock_is_free(server.home / keeper.KEEPER_LOCK))
    assert server.running()
    server.lease().close()
    until(lambda: not server.running())


def test_started_by_hand_it_stays_until_it_is_stopped(folder, server):
    server.keep()
    server.lease().close()
    until(lambda: _lock_is_free(server.home / keeper.KEEPER_LOCK))
    assert server.running() and server.kept()
    server.stop()
    assert not server.running() and not server.kept()
    server.stop()


def test_what_an_interrupted_making_left_is_removed(tmp_path):
    server = EmbeddedServer(tmp_path / "archive", SMALL)
    places.make_home(server.home)
    (server.home / "data.new-abc").mkdir()
    (server.home / "data.new-abc" / "PG_VERSION").write_text("18\n")
    server.lease().close()
    assert sorted(p.name for p in server.home.glob("data*")) == ["data"]
    server.stop()


def test_a_moved_archive_works(folder):
    moved = folder.parent / "moved"
    folder.rename(moved)
    server = EmbeddedServer(moved, SMALL)
    server.lease().close()
    assert server.conninfo()["host"].startswith(str(moved))
    server.stop()


def test_a_copy_of_a_live_archive_has_a_server_of_its_own(seed, tmp_path):
    long = tmp_path / ("long name " * 9)  # its socket lies below /tmp, known by its path
    shutil.copytree(seed, long / "original")
    original = EmbeddedServer(long / "original", SMALL)
    with contextlib.closing(original.lease()):
        shutil.copytree(long / "original", long / "copy", ignore=shutil.ignore_patterns(".s.PGSQL*"))
        copy = EmbeddedServer(long / "copy", SMALL)
        with contextlib.closing(copy.lease()):
            assert copy.conninfo()["host"] != original.conninfo()["host"]
            assert copy.pid() != original.pid() and query(copy, "SHOW data_directory").endswith(
                "copy/postgres/data"
            )
    for server in (copy, original):
        server.stop()


def test_a_copy_whose_data_lie_elsewhere_is_refused(folder, server):
    place = places.read_place(server.home)
    moved = folder.parent / "data elsewhere"
    Path(place.data).rename(moved)
    places.write_place(server.home, places.Place(str(moved), place.socket))
    shutil.copytree(folder, folder.parent / "copy")
    with pytest.raises(StorageError, match="is a copy of"):
        EmbeddedServer(folder.parent / "copy", SMALL).lease()
    shutil.rmtree(folder.parent / "copy")
    server.lease().close()
    assert query(server) == 1


def test_a_folder_open_to_others_is_refused(folder, server):
    server.home.chmod(0o755)
    with pytest.raises(StorageError, match="chmod 700"):
        server.lease()
    server.home.chmod(0o700)


def test_a_socket_folder_that_is_a_link_is_not_used(folder, server, tmp_path):
    place = places.read_place(server.home)
    (tmp_path / "link").symlink_to(place.socket)
    places.write_place(server.home, places.Place(place.data, str(tmp_path / "link")))
    server.lease().close()
    assert server.conninfo()["host"] == str(server.home) and query(server) == 1
    with pytest.raises(StorageError, match="symbolic link"):
        places.check_private(tmp_path / "link", os.geteuid())


def test_a_socket_folder_that_is_gone_is_made_anew(folder, server):
    place = places.read_place(server.home)
    places.write_place(server.home, places.Place(place.data, "/tmp/photodb-that-is-gone"))
    server.lease().close()
    assert query(server) == 1


@pytest.mark.parametrize("version", ["9", "13"])
def test_data_of_a_version_that_is_not_here(folder, server, version):
    path = Path(places.read_place(server.home).data) / "PG_VERSION"
    here = path.read_text()
    path.write_text(f"{version}\n")
    with pytest.raises(ConfigurationError, match=f"made by PostgreSQL {version}.*dump"):
        server.lease()
    path.write_text(here)


def test_damaged_data_say_what_the_server_says(folder, server):
    data = Path(places.read_place(server.home).data)
    (data / "global" / "pg_control").write_bytes(b"\0" * 8192)
    with pytest.raises(StorageError, match=r"does not start.*(PANIC|FATAL).*server\.log"):
        server.lease()
    (data / "PG_VERSION").unlink()


@pytest.mark.skipif(not OLD_POSTGRES, reason="no PostgreSQL 14 to 17 in /usr/lib/postgresql")
def test_the_machines_postgresql_serves_as_well(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTODB_PG_BIN", str(OLD_POSTGRES[-1]))
    server = EmbeddedServer(tmp_path / "archive", SMALL)
    server.lease().close()
    assert str(server.major()) == OLD_POSTGRES[-1].parent.name
    monkeypatch.delenv("PHOTODB_PG_BIN")
    server.stop()
    server.lease().close()  # found again by the version of the data
    assert query(server, "SHOW server_version").startswith(str(server.major()))
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_without_namespaces_runs_it_as_another_user(monkeypatch, tmp_path):
    reachable = Path(tempfile.mkdtemp(prefix="photodb-reach-", dir="/tmp"))
    reachable.chmod(0o755)
    monkeypatch.setenv("PHOTODB_NO_NAMESPACE", "1")
    monkeypatch.setattr(places, "REACHABLE_FOLDERS", (str(reachable),))
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedServer(private / "archive", SMALL, idle_seconds=0.2)
    lease = server.lease()
    try:
        place = places.read_place(server.home)
        assert Path(place.data).is_relative_to(reachable)
        assert query(server) == 1
        assert Path(place.data).stat().st_uid == named_user(place.user).uid != 0
        assert Path(f"/proc/{server.pid()}").stat().st_uid == named_user(place.user).uid
    finally:
        lease.close()
    until(lambda: not server.running() and _lock_is_free(server.home / keeper.KEEPER_LOCK))
    shutil.rmtree(reachable)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs binaries in reach of another user")
def test_binaries_out_of_reach_are_copied(monkeypatch):
    from photodb.storage.binaries import find_binaries

    reachable = Path(tempfile.mkdtemp(prefix="photodb-reach-", dir="/tmp"))
    reachable.chmod(0o755)
    monkeypatch.setattr(places, "REACHABLE_FOLDERS", (str(reachable),))
    monkeypatch.setattr(ServerUser, "can_run", lambda user, program: program.is_relative_to(reachable))
    copied = places.reachable_binaries(find_binaries(), named_user())
    for program in ("postgres", "psql"):
        done = named_user().run([copied.program(program), "--version"])
        assert "PostgreSQL" in done.stdout, done.stderr
    shutil.rmtree(reachable)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user(tmp_path, monkeypatch):
    user = named_user("nobody")
    folder = Path(tempfile.mkdtemp(prefix="photodb-nobody-", dir="/tmp"))
    os.chown(folder, user.uid, user.gid)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(user.gid)
        os.setuid(user.uid)
        code = 1
        try:
            server = EmbeddedServer(folder / "archive", SMALL)
            lease = server.lease()
            code = 0 if query(server) == 1 and (folder / "archive").stat().st_uid == user.uid else 2
            lease.close()
            server.stop()
        except PermissionError:
            code = 77  # the checkout is out of that user's reach
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shutil.rmtree(folder)
    if status == 77:
        pytest.skip("this checkout is out of reach of the user 'nobody'")
    assert status == 0


def test_a_running_server_is_opened_at_once(folder, server):
    with contextlib.closing(server.lease()):
        start = time.perf_counter()
        server.lease().close()
        assert time.perf_counter() - start < 0.1


def test_open_database_names_init_where_nothing_is(tmp_path):
    (tmp_path / "photodb.toml").write_text('[archive]\ndirectory = "."\n')
    with pytest.raises(ConfigurationError, match="photodb init"):
        open_database(str(tmp_path))


def _keepers_of(folder):
    return [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_keeper_of(p, folder)]


def _is_keeper_of(process, folder):
    try:
        words = (process / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return any(w.endswith("keeper.py") for w in words) and str(folder / "postgres") in words


def _lock_is_free(path):
    lock = keeper.take(path.parent, path.name, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return False
    os.close(lock)
    return True
