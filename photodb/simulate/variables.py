"""Shapes of variable stars in closed form: magnitude against the constant star, as a function of BJD_TDB.

Every shape is normalised so that `amplitude` is its peak-to-peak range in magnitudes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RISE = 0.2
"""Share of the period in which an RR Lyrae star of type ab rises."""

SECONDARY = 0.45
"""Depth of the secondary eclipse over that of the primary."""

INGRESS = 0.15
"""Share of a transit's duration spent in ingress, and again in egress."""


def sine(phase: Array) -> Array:
    """Return a sine of peak-to-peak 1 around 0."""
    return 0.5 * np.sin(2 * np.pi * phase)


def sawtooth(phase: Array) -> Array:
    """Return two half cosines joined smoothly: faintest at phase 0, brightest at `RISE`, peak-to-peak 1."""
    rising = phase < RISE
    angle = np.where(rising, phase / RISE, 1 + (phase - RISE) / (1 - RISE))
    return 0.5 * np.cos(np.pi * angle)


def _dip(phase: Array, centre: float, half_width: float) -> Array:
    """Return a dip of depth 1 with a flat-bottomed bell profile around `centre`."""
    distance = np.abs((phase - centre + 0.5) % 1.0 - 0.5)
    return np.exp(-((distance / half_width) ** 4))


def eclipses(phase: Array, duration: float) -> Array:
    """Return a primary eclipse of depth 1 at phase 0 and a secondary of `SECONDARY` at 0.5."""
    return _dip(phase, 0.0, duration / 2) + SECONDARY * _dip(phase, 0.5, duration / 2)


def contact(phase: Array) -> Array:
    """Return the double wave of a contact binary, minima of depth 1 and 0.85 at phases 0 and 0.5."""
    depth = np.where((phase < 0.25) | (phase >= 0.75), 1.0, 0.85)
    return depth * np.cos(2 * np.pi * phase) ** 2


def transit(phase: Array, duration: float) -> Array:
    """Return a trapezoid of depth 1, centred on phase 0, `duration` periods from first to last contact."""
    distance = np.abs((phase + 0.5) % 1.0 - 0.5)
    return np.clip((duration / 2 - distance) / (INGRESS * duration), 0.0, 1.0)


def flare(time: Array, decay: float, amplitude: float) -> Array:
    """Return a flare that begins at time 0 and decays exponentially in flux, `-amplitude` mag at its peak."""
    excess = (10 ** (0.4 * amplitude) - 1) * np.exp(-np.maximum(time, 0.0) / decay)
    return np.where(time >= 0, -2.5 * np.log10(1 + excess), 0.0)


PERIODIC: dict[str, Callable[[Array, float], Array]] = {
    "rr_lyrae": lambda phase, _: sawtooth(phase),
    "delta_scuti": lambda phase, _: sine(phase),
    "sine": lambda phase, _: sine(phase),
    "eclipsing": eclipses,
    "contact": lambda phase, _: contact(phase),
    "transit": transit,
}
"""Kind -> shape(phase in [0, 1), duration in periods)."""


@dataclass(frozen=True)
class Variable:
    """How one star varies.

    `period`, `epoch` and (for flares) `duration` are in days, `epoch` as BJD_TDB - 2400000.5; the `duration`
    of eclipses and transits is a share of the period; `amplitude` is peak to peak in magnitudes.
    """

    kind: str
    amplitude: float
    epoch: float
    period: float = np.nan
    duration: float = np.nan

    def magnitude(self, bjd: Array) -> Array:
        """Return the magnitude against the quiet star at each BJD_TDB - 2400000.5, positive where fainter."""
        time = np.asarray(bjd, dtype=np.float64) - self.epoch
        if self.kind == "flare":
            return flare(time, self.duration, self.amplitude)
        phase = (time / self.period) % 1.0
        return self.amplitude * PERIODIC[self.kind](phase, self.duration)
