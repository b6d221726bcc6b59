"""A pool of worker processes that survives the death of a worker."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from photodb.images.pipeline import limit_worker

Job = TypeVar("Job")
Result = TypeVar("Result")
AHEAD = 4
"""Jobs a worker may be ahead of the one whose result is taken: bounds the memory."""


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
            self._running()

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
                waiting.append((job, self._running().submit(function, job)))
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
            with ProcessPoolExecutor(1, mp_context=self._context, initializer=limit_worker) as single:
                try:
                    result = single.submit(function, job).result()
                except BrokenProcessPool:
                    result = crashed(job)
            yield result

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._n, mp_context=self._context, initializer=limit_worker)
        return self._pool

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
