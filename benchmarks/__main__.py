"""`python -m benchmarks`: run the short benchmarks that find their data, and print the figures.

The long ones go by name: `python -m benchmarks.bench_night`, `bench_pixels`, `bench_psf`, `bench_reduce`,
`bench_associate`, `bench_coverage`.
"""

from __future__ import annotations

import sys

from . import bench_reduce, bench_run, bench_solve


def main() -> int:
    """Run the short ones one after the other."""
    bench_reduce.main([])
    bench_run.main([])
    bench_solve.main(["S", "M"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
