"""Time the global solution, columns in memory: `python benchmarks/bench_solve.py [hatp32] [S] [M]`.

Sizes S and M are those of a two-telescope survey of 1e5 and 1.1e6 measurements; hatp32 is one night of 142 frames of
600 stars. Prints wall and CPU seconds of the best of three, the fitted floors and chi2 per degree of freedom.
"""

import sys
import time

from photodb.core.zeropoints import ZeroPointSettings, solve_zero_points, warm_up
from photodb.simulate.measurements import SurveySettings, simulate_survey

SIZES = {
    "hatp32": SurveySettings(n_frames=142, n_stars=600, n_cameras=1, dither=0.3, completeness=(0.95, 1.0)),
    "S": SurveySettings(n_frames=100, n_stars=7010, n_fields=7, field_offset=1.0),
    "M": SurveySettings(n_frames=400, n_stars=34671, n_fields=12, field_offset=1.0),
}


def main(names: list[str]) -> None:
    """Time the sizes named, all of them by default."""
    warm_up()
    for name in names or list(SIZES):
        survey = simulate_survey(SIZES[name], seed=1)
        best = (float("inf"), float("inf"))
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            solution = solve_zero_points(survey.measurements, survey.frames, ZeroPointSettings(order=2))
            best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
        floors = " ".join(f"{1e3 * f.value:.2f}" for f in solution.floors)
        print(
            f"{name}: {len(survey.measurements)} measurements, {len(survey.frames)} frames: {best[0]:.2f} s wall, "
            f"{best[1]:.2f} s CPU, {solution.rounds} rounds, chi2/dof {solution.chi2_dof:.3f}, floors {floors} mmag"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
