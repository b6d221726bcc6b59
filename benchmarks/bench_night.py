"""Time a simulated night of 464 frames of 1676x1266 with 2,000 stars, from raw files to stored rows.

    python -m benchmarks.bench_night [--folder DIR] [--frames N] [--skip-single]

The night is that for which automatic photometry was described. Three commands are timed, each in a fresh archive:
`photodb ingest` with PSF and apertures, with apertures only, and the first with one worker process instead of two.
The frames are made in DIR (1.9 GB; kept there, and made once) or in a folder that goes afterwards. The profile by stage
and the largest memory of any process of photodb are printed. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from photodb.simulate.pixel_series import write_series

from .bench_run import Timing, busy_seconds, photodb, stages_of

MEGABYTE = 1 << 10
"""kB, as /proc tells."""


class Memory(threading.Thread):
    """Watches the largest resident memory of the processes that descend from one."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.peak, self.ended = root, {}, threading.Event()  # type: ignore[var-annotated]

    def run(self) -> None:
        """Look every fifth of a second until `ended` is set."""
        while not self.ended.wait(0.2):
            for pid in descendants(self.root):
                with contextlib.suppress(OSError, IndexError):  # it has just ended
                    status = Path(f"/proc/{pid}/status").read_text()
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if b"postgres" not in command.split(b"\0")[0]:
                        self.peak[pid] = int(status.split("VmHWM:")[1].split()[0]) / MEGABYTE


def descendants(root: int) -> Iterator[int]:
    """Yield a process and all that it started, however deep."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += parents.get(pid, [])


def ingest(folder: Path, *options: str) -> tuple[Timing, dict[str, float], float]:
    """Ingest a folder in a fresh archive; return timing, stages (s), and the largest memory of a process (MB)."""
    with tempfile.TemporaryDirectory() as work:
        archive = str(Path(work) / "archive")
        subprocess.run(photodb("init", archive), check=True, capture_output=True)
        before, began = busy_seconds(), time.perf_counter()
        command = photodb("--archive", archive, "ingest", str(folder), *options)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            memory = Memory(process.pid)
            memory.start()
            code = process.wait()
            memory.ended.set()
            memory.join()
        timing = Timing(time.perf_counter() - began, busy_seconds() - before)
        if code not in (0, 1):
            raise SystemExit(f"photodb ingest ended with {code}")
        stages = stages_of(archive)
        subprocess.run(photodb("--archive", archive, "db", "stop"), check=True, capture_output=True)
    return timing, stages, max(memory.peak.values(), default=0.0)


def report(name: str, n: int, timing: Timing, stages: dict[str, float], memory: float) -> None:
    """Print what one command took."""
    rate = f"{n / timing.wall:.1f} frames/s, {1000 * timing.cpu / n:.0f} CPU ms a frame"
    print(
        f"{name}: wall {timing.wall:.1f} s, CPU of all processes {timing.cpu:.1f} s ({rate}), {memory:.0f} MB"
    )
    for stage, seconds in stages.items():
        print(f"    {stage:44s} {seconds:8.2f} s")


def main(arguments: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--frames", type=int, default=464)
    parser.add_argument("--skip-single", action="store_true", help="leave out the run with one worker")
    chosen = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_series(folder, chosen.frames)
        n = sum(1 for _ in folder.glob("*.fits"))
        first = next(iter(sorted(folder.glob("*.fits"))))
        with tempfile.TemporaryDirectory() as one:  # compiled kernels into their cache
            (Path(one) / first.name).symlink_to(first)
            ingest(Path(one))
        both = ingest(folder, "--jobs", "2")
        report("PSF and apertures, two workers", n, *both)
        report("apertures only, two workers", n, *ingest(folder, "--jobs", "2", "--psf", "none"))
        if not chosen.skip_single:
            single = ingest(folder, "--jobs", "1")
            report("PSF and apertures, one worker", n, *single)
            print(f"one worker over two: {single[0].wall / both[0].wall:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
