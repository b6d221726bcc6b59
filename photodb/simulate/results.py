"""What a comparison with known truth says: frozen results with named fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLEAR_NOISES = 5.0
"""A variable whose observed amplitude is more than so many times its noise must be found."""


@dataclass(frozen=True)
class VariableFound:
    """One injected variable: truth beside result; rank 0 and source_id -1 where it was not found."""

    star_id: int
    kind: str
    ra: float  # deg
    dec: float  # deg
    mag: float
    amplitude: float  # mag, peak to peak at the times observed
    noise: float  # mag, median true error of a point
    n_obs: int
    source_id: int
    rank: int
    score: float
    period: float  # d, true; NaN for a flare
    period_found: float  # d; NaN where none was searched
    match: (
        str  # "true", "1/2", "2", ... times the true period, "other", or "" where there is nothing to compare
    )

    @property
    def clear(self) -> bool:
        """Whether its amplitude is so far above its noise that it must be found."""
        return self.amplitude > CLEAR_NOISES * self.noise


@dataclass(frozen=True)
class FalseCandidate:
    """A candidate that is no injected variable."""

    rank: int
    source_id: int
    ra: float
    dec: float
    mag: float
    score: float
    star_id: int  # the constant star that it is; -1 if it is none
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ZeroPointError:
    """Zero points of one camera, band and component against the truth, mean difference removed."""

    camera: str
    band: str
    component: int
    n_frames: int
    rms: float  # mag
    worst: float  # mag
    worst_path: str


@dataclass(frozen=True)
class Scatter:
    """Bright constant stars of one band."""

    band: str
    n_stars: int
    median: float  # mag, median over stars of their scatter
    expected: float  # mag, the same from the true errors
    pull: float  # scatter of the points over the errors that the archive gives them


@dataclass(frozen=True)
class Comparison:
    """Everything that is compared."""

    n_frames: int
    n_accepted: int
    n_used: int
    n_tree: int
    n_tree_set_aside: int  # frames behind the tree that were rejected, or left out of the solution
    rejected: tuple[str, ...]  # name of the file and reason
    n_stars_matched: int
    position_median: float  # arcsec
    position_rms: float  # arcsec
    variables: tuple[VariableFound, ...]
    false: tuple[FalseCandidate, ...]
    zero_points: tuple[ZeroPointError, ...]
    scatter: tuple[Scatter, ...]

    @property
    def clear_variables(self) -> tuple[VariableFound, ...]:
        """Return the variables that must be found."""
        return tuple(v for v in self.variables if v.clear)

    @property
    def missed(self) -> tuple[VariableFound, ...]:
        """Return the variables that must be found and were not."""
        return tuple(v for v in self.clear_variables if not v.rank)

    @property
    def false_above(self) -> tuple[FalseCandidate, ...]:
        """Return the false candidates that stand above the last of the variables that must be found."""
        last = max((v.rank for v in self.clear_variables), default=0)
        return tuple(f for f in self.false if f.rank < last)

    @property
    def zero_point_rms(self) -> float:
        """Return the rms of all zero points against the truth, mag."""
        n = np.array([z.n_frames for z in self.zero_points])
        square = np.array([z.rms**2 for z in self.zero_points])
        return float(np.sqrt(np.sum(n * square) / np.sum(n))) if len(n) else np.nan
