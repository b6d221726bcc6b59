"""The pool: order kept, a worker's death answered, and no need of the caller's main module."""

import os
import signal
import subprocess
import sys

from photodb.steps.workers import Workers


def double(x):
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * x


def test_a_worker_that_dies_costs_one_job():
    with Workers(2) as workers:
        results = list(workers.map(double, range(1, 12), lambda job: ("crashed", job)))
        assert results == [2, 4, 6, 8, ("crashed", 5), 12, 14, 16, 18, 20, 22]
        assert list(workers.map(double, [1, 2], lambda job: None)) == [2, 4]


def test_no_jobs_and_no_processes():
    with Workers(0) as workers:
        assert list(workers.map(double, [3], lambda job: None)) == [6]
    with Workers(2) as workers:
        workers.start()
        assert list(workers.map(double, [], lambda job: None)) == []


def test_a_script_without_a_guard_runs_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('main runs')\n"
        "from photodb.steps.workers import Workers\n"
        "with Workers(2) as workers:\n"
        "    print(list(workers.map(abs, [-1, -2, -3], lambda job: None)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["main runs", "[1, 2, 3]"], done.stderr
