"""The settings of the embedded PostgreSQL, written at every start as `photodb.conf`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from photodb.storage.places import give
from photodb.storage.serveruser import ServerUser

MEGABYTE = 1 << 20
MOST_SHARED_BUFFERS = 4096 * MEGABYTE
SMALL_SHARED_MEMORY = 256 * MEGABYTE
INCLUDE = "include_if_exists = 'photodb.conf'"


def memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or the control group's limit."""
    amount = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            amount = min(amount, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return amount


def server_settings(socket: str) -> dict[str, str]:
    """Return the settings of a server whose socket lies in the given folder."""
    shared = min(max(memory_bytes() // 4, 128 * MEGABYTE), MOST_SHARED_BUFFERS) // MEGABYTE
    settings = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": socket,
        "unix_socket_permissions": "0700",
        "shared_buffers": f"{shared}MB",
        "maintenance_work_mem": "512MB",
        "work_mem": "32MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "fsync": "on",
        "full_page_writes": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
        "lc_messages": "C",
    }
    if _shared_memory_is_small():
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def write_configuration(data: Path, socket: str, settings: Mapping[str, str], user: ServerUser) -> None:
    """Write `photodb.conf` and have `postgresql.conf` include it."""
    chosen = {**server_settings(socket), **settings}
    lines = [f"{name} = '{_escaped(str(value))}'" for name, value in chosen.items()]
    path = data / "photodb.conf"
    path.write_text("# written by photodb at every start; settings of yours: [postgres] in photodb.toml\n")
    with path.open("a") as stream:
        stream.write("\n".join(lines) + "\n")
    give(path, user)
    main = data / "postgresql.conf"
    if INCLUDE not in main.read_text():
        with main.open("a") as stream:
            stream.write(f"\n{INCLUDE}\n")


def _shared_memory_is_small() -> bool:
    """Tell whether /dev/shm is as small as containers have it, too small for parallel queries."""
    try:
        return shutil.disk_usage("/dev/shm").total < SMALL_SHARED_MEMORY
    except OSError:
        return False


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
