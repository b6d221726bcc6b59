"""Time `photodb run` on a folder of frames as a whole process: wall, CPU, share by stage. Run it on a quiet machine.

    python -m benchmarks.bench_run [FOLDER] [--refcat FILE] [--runs N] [--peer COMMAND]

FOLDER is by default the 142 frames of HAT-P-32 (PHOTODB_DATA or ../shared/data). `--peer` is another program's
command line on the same frames, timed in turn with ours; `{folder}` in it stands for the frames' folder. The first
run warms the caches (files, compiled kernels) and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """One run of a command."""

    wall: float  # s
    cpu: float  # s, of the whole machine meanwhile: the command, its workers and the database server


def default_folder() -> Path | None:
    """Return the folder of the HAT-P-32 frames, or None where they are absent."""
    roots = [os.environ.get("PHOTODB_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"]
    found = [Path(root) / "hatp32" for root in roots if root and (Path(root) / "hatp32").is_dir()]
    return found[0] if found else None


def timed(command: list[str], **options: object) -> Timing:
    """Run a command to its end and time it."""
    before, began = busy_seconds(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return Timing(time.perf_counter() - began, busy_seconds() - before)


def photodb(*arguments: str) -> list[str]:
    """Return the command line of photodb in this environment."""
    return [sys.executable, "-m", "photodb", *arguments]


def one_run(folder: Path, refcat: Path | None, work: Path) -> tuple[Timing, dict[str, float]]:
    """Run the whole chain in a fresh archive; return its timing and the seconds of its stages."""
    archive = str(work)
    subprocess.run(photodb("init", archive), check=True, capture_output=True)
    if refcat:
        subprocess.run(
            photodb("--archive", archive, "refcat", "load", str(refcat), "--name", "refcat"),
            check=True,
            capture_output=True,
        )
    timing = timed(photodb("--archive", archive, "run", str(folder)))
    stages = stages_of(archive)
    subprocess.run(photodb("--archive", archive, "db", "stop"), check=True, capture_output=True)
    return timing, stages


def stages_of(archive: str) -> dict[str, float]:
    """Return the seconds of every command that an archive has seen, and of its stages."""
    sql = (
        "SELECT command, extract(epoch FROM finished_at - started_at)::float8 AS s, report->'stages' AS stages "
        "FROM run"
    )
    told = subprocess.run(
        photodb("--archive", archive, "query", sql, "--format", "json"),
        check=True,
        capture_output=True,
        text=True,
    )
    rows = json.loads(told.stdout)
    rows = rows["rows"] if isinstance(rows, dict) else rows
    stages: dict[str, float] = {}
    for row in rows:
        stages[row["command"]] = float(row["s"])
        inner = row["stages"]
        inner = json.loads(inner) if isinstance(inner, str) else inner or {}
        stages |= {f"  {row['command']}: {name}": seconds for name, seconds in inner.items()}
    return stages


def busy_seconds() -> float:
    """Return the CPU seconds that this machine has spent working since it started, all processes together."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, soft, *_ = (int(v) for v in stat.readline().split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def spread(values: list[float]) -> str:
    """Write minimum, median and maximum."""
    return f"{min(values):.1f} / {statistics.median(values):.1f} / {max(values):.1f}"


def main(arguments: list[str] | None = None) -> int:
    """Time the chain and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=default_folder())
    parser.add_argument("--refcat", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer")
    options = parser.parse_args(arguments)
    if options.folder is None:
        print("bench_run: no frames here; set PHOTODB_DATA")
        return 0
    n = sum(1 for p in options.folder.iterdir() if p.is_file())
    ours, peers, stages = [], [], {}
    for k in range(options.runs + 1):
        with tempfile.TemporaryDirectory() as work:
            timing, stages = one_run(options.folder, options.refcat, Path(work) / "archive")
        peer = (
            timed(["bash", "-c", options.peer.format(folder=shlex.quote(str(options.folder)))])
            if options.peer
            else None
        )
        if k:
            ours.append(timing)
            peers += [peer] if peer else []
    print(
        f"photodb run, {n} files, {options.runs} runs after a warm one, {os.cpu_count()} cores (min / median / max)"
    )
    walls = [t.wall for t in ours]
    print(f"  wall {spread(walls)} s, {n / statistics.median(walls):.1f} frames/s")
    print(f"  CPU of all processes, the database server's among them, {spread([t.cpu for t in ours])} s")
    if peers:
        print(f"  peer: wall {spread([t.wall for t in peers])} s, CPU {spread([t.cpu for t in peers])} s")
        ratio = statistics.median(walls) / statistics.median(t.wall for t in peers)
        print(f"  photodb over peer, wall: {ratio:.2f}")
    print("  stages of the last run, s (measuring is summed over the workers):")
    for name, seconds in stages.items():
        print(f"    {name:40s} {seconds:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
