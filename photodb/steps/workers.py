"""A pool of worker processes that survives the death of a worker."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from photodb.images.worklimits import limit_worker

Job = TypeVar("Job")
Result = TypeVar("Result")
AHEAD = 4
"""Jobs a worker may be ahead of the one whose result is taken: bounds the memory."""


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's main module: workers need none of it, and a script without a guard would run again in each."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _submit(pool: ProcessPoolExecutor, function: Callable[[Job], Result], job: Job) -> Future[Result]:
    """Hand a job to a pool; where the pool is broken already, the future says so."""
    try:
        with _without_main():  # handing over a job may start a process
            return pool.submit(function, job)
    except BrokenProcessPool as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        return failed


class Workers:
    """Runs a function over jobs in other processes and gives the results in the jobs' order.

    A job that kills its worker (out of memory, a crash in a decompressor) gets the answer of `crashed`; the others go
    on in a new pool. With `n` = 0 everything runs in this process.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["photodb.images.pipeline"])
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def start(self) -> None:
        """Start the processes now, so that they import while the caller does something else."""
        if self._n:
            for _ in range(self._n):
                _submit(self._running(), abs, 0)

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job], crashed: Callable[[Job], Result]
    ) -> Iterator[Result]:
        """Yield the result of each job, in order."""
        if not self._n:
            yield from map(function, jobs)
            return
        waiting: deque[tuple[Job, Future[Result]]] = deque()
        todo = iter(jobs)
        exhausted = False
        while True:
            while not exhausted and len(waiting) < AHEAD * self._n:
                job = next(todo, None)
                if job is None:
                    exhausted = True
                    break
                waiting.append((job, _submit(self._running(), function, job)))
            if not waiting:
                return
            job, future = waiting.popleft()
            try:
                yield future.result()
            except BrokenProcessPool:
                lost = [job, *(j for j, _ in waiting)]
                waiting.clear()
                self._drop()
                yield from self._one_by_one(function, lost, crashed)

    def _one_by_one(
        self, function: Callable[[Job], Result], jobs: list[Job], crashed: Callable[[Job], Result]
    ) -> Iterator[Result]:
        """Run the jobs of a broken pool each alone, to find the one that breaks it."""
        for job in jobs:
            with self._new_pool(1) as single:
                try:
                    result = _submit(single, function, job).result()
                except BrokenProcessPool:
                    result = crashed(job)
            yield result

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = self._new_pool(self._n)
        return self._pool

    def _new_pool(self, n: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(n, mp_context=self._context, initializer=limit_worker)

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)  # not waiting races with the exit of Python
            self._pool = None
