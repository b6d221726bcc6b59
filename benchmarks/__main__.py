"""`python -m benchmarks`: run every benchmark that finds its data, and print the figures."""

from __future__ import annotations

import sys

from . import bench_reduce, bench_run, bench_solve


def main() -> int:
    """Run the benchmarks one after the other."""
    bench_reduce.main([])
    bench_run.main([])
    bench_solve.main(["S", "M"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
