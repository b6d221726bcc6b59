"""Time the reduction of one frame: the fused pass beside plain numpy, in the same run. Run it on a quiet machine.

    python -m benchmarks.bench_reduce [--shape NY NX] [--repeat N]

The frame is 16-bit, with bias, dark, flat and 500 masked pixels. Reading is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from photodb.images.reduce import Planes, apply_planes

OFFSET, SATURATION, MASKED = 300.0, 60000.0, 500


def make(shape: tuple[int, int]) -> tuple[np.ndarray, Planes]:
    """Return raw counts and the planes of their masters."""
    rng = np.random.default_rng(1)
    bad = np.zeros(shape, bool)
    bad.ravel()[rng.permutation(bad.size)[:MASKED]] = True
    subtract = rng.normal(20, 5, shape).astype(np.float32)
    multiply = rng.uniform(0.8, 1.3, shape).astype(np.float32)
    return rng.integers(400, 65535, shape).astype(np.uint16), Planes(subtract, multiply, bad)


def plain(raw: np.ndarray, planes: Planes, kind: type) -> tuple[np.ndarray, np.ndarray]:
    """Reduce with numpy, one step after the other."""
    data = raw.astype(kind)
    data -= kind(OFFSET)
    data -= planes.subtract
    data *= planes.multiply
    return data, (raw >= SATURATION) | planes.bad


def median_ms(work: Callable[[], object], repeat: int) -> float:
    """Return the median time of a call, milliseconds; the first is not counted."""
    work()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def main(arguments: list[str] | None = None) -> None:
    """Print the times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", nargs=2, type=int, default=(1266, 1676), metavar=("NY", "NX"))
    parser.add_argument("--repeat", type=int, default=50)
    chosen = parser.parse_args(arguments)
    raw, planes = make(tuple(chosen.shape))
    fused = median_ms(lambda: apply_planes(raw, OFFSET, SATURATION, planes), chosen.repeat)
    print(f"fused, float32             {fused:8.2f} ms")
    for kind in (np.float32, np.float64):
        took = median_ms(lambda kind=kind: plain(raw, planes, kind), chosen.repeat)
        print(f"numpy, {kind.__name__}             {took:8.2f} ms, {took / fused:.1f} times the fused pass")


if __name__ == "__main__":
    main()
