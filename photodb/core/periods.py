"""Periods by the Lomb-Scargle periodogram, with a guard against aliases and half periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_POINTS = 8
OVERSAMPLING = 8
MAX_FREQUENCIES = 200_000
SHORTEST = 0.02  # d; never search below
SIDEREAL_DAY = 0.99726957  # d


@dataclass(frozen=True)
class Period:
    """The best period of a light curve; all NaN where it was not searched or nothing was found."""

    period: float  # d
    fap: float  # false-alarm probability (Baluev 2008, doi:10.1111/j.1365-2966.2008.12689.x)
    power: float  # 0 to 1, standard normalisation
    amplitude: float  # mag, half peak to peak of the fitted harmonics
    n_harmonics: int  # of the model that was taken
    alternatives: tuple[float, ...]  # d; half, double and daily aliases with almost as much power

    @property
    def found(self) -> bool:
        """Whether a period was found at all."""
        return bool(np.isfinite(self.period))


NONE = Period(float("nan"), float("nan"), float("nan"), float("nan"), 0, ())


def frequency_grid(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies to search, 1/d: from 1.5 cycles in the span to a pseudo-Nyquist of the cadence.

    The highest frequency is half the reciprocal of the 10th percentile of the time steps, at most 1 / SHORTEST and at
    most what MAX_FREQUENCIES allows with OVERSAMPLING points a peak. Empty if the span is too short.
    """
    span = float(time[-1] - time[0])
    steps = np.diff(time)
    steps = steps[steps > 0]
    if span <= 0 or steps.size == 0:
        return np.empty(0)
    lowest, spacing = 1.5 / span, 1.0 / (OVERSAMPLING * span)
    highest = min(0.5 / max(float(np.quantile(steps, 0.1)), 1e-6), 1.0 / SHORTEST)
    n = min(int((highest - lowest) / spacing) + 1, MAX_FREQUENCIES)
    return np.asarray(lowest + spacing * np.arange(max(n, 0)), dtype=np.float64)


def best_period(mjd: NDArray, mag: NDArray, mag_err: NDArray) -> Period:
    """Find the best period of a light curve; points that are not finite are left out.

    The peak of the sine periodogram is refined, then compared with its double period under two harmonics: eclipsing
    stars show half their period in a sine. The longer is taken only if it fits better than chance allows
    (chi2 falls by over 25 and by 5 %).
    """
    mjd, mag, mag_err = (np.asarray(a, dtype=np.float64) for a in (mjd, mag, mag_err))
    good = np.isfinite(mjd) & np.isfinite(mag) & np.isfinite(mag_err) & (mag_err > 0)
    order = np.argsort(mjd[good], kind="stable")
    time, mag, mag_err = mjd[good][order], mag[good][order], mag_err[good][order]
    if time.size < MIN_POINTS:
        return NONE
    frequency = frequency_grid(time)
    if frequency.size < 2:
        return NONE
    return _search(time - time[0], mag, mag_err, frequency)


def _search(time: NDArray, mag: NDArray, mag_err: NDArray, frequency: NDArray) -> Period:
    from astropy.timeseries import LombScargle

    model = LombScargle(time, mag, mag_err)
    power = model.power(frequency, assume_regular_frequency=True)
    if not np.isfinite(power).any():
        return NONE
    peak = float(frequency[int(np.nanargmax(power))])
    step = float(frequency[1] - frequency[0])
    fine = np.linspace(max(peak - step, 0.5 * frequency[0]), peak + step, 201)
    fine_power = model.power(fine, method="slow" if time.size < 500 else "cython")
    best, height = float(fine[np.argmax(fine_power)]), float(np.max(fine_power))
    fap = float(model.false_alarm_probability(height, maximum_frequency=float(frequency[-1])))
    chosen, harmonics = _single_or_double(time, mag, mag_err, best, float(time[-1] - time[0]))
    fitted = _harmonic_fit(time, mag, mag_err, chosen, harmonics)[1]
    return Period(
        period=1.0 / chosen,
        fap=min(max(fap, 0.0), 1.0),
        power=height,
        amplitude=fitted,
        n_harmonics=harmonics,
        alternatives=_alternatives(frequency, power, best, height),
    )


def _harmonic_fit(
    time: NDArray, mag: NDArray, mag_err: NDArray, frequency: float, n: int
) -> tuple[float, float]:
    """Fit a constant and `n` harmonics; returns chi2 and half the peak-to-peak of the fit over a cycle, mag."""

    def columns(phase: NDArray) -> NDArray:
        angles = 2 * np.pi * np.outer(phase, np.arange(1, n + 1))
        return np.column_stack([np.ones(phase.size), np.cos(angles), np.sin(angles)])

    matrix = columns(time * frequency)
    c = np.linalg.lstsq(matrix / mag_err[:, None], mag / mag_err, rcond=None)[0]
    chi2 = float(np.sum(((mag - matrix @ c) / mag_err) ** 2))
    curve = columns(np.linspace(0, 1, 200, endpoint=False)) @ c
    return chi2, float(0.5 * np.ptp(curve))


def _single_or_double(
    time: NDArray, mag: NDArray, mag_err: NDArray, frequency: float, span: float
) -> tuple[float, int]:
    """Choose between a period with two harmonics and its double with four, of which the first is a special case."""
    if mag.size < 20 or 2.0 / frequency > span:
        return frequency, 1
    single, _ = _harmonic_fit(time, mag, mag_err, frequency, 2)
    double, _ = _harmonic_fit(time, mag, mag_err, 0.5 * frequency, 4)
    scale = max(double / max(mag.size - 9, 1), 1.0)
    if (single - double) / scale > 25.0 and double < 0.95 * single:
        return 0.5 * frequency, 4
    return frequency, 2


def _alternatives(frequency: NDArray, power: NDArray, best: float, height: float) -> tuple[float, ...]:
    """List half, double and daily aliases of the best frequency that have at least 80 % of its power."""
    tried = [2 * best, 0.5 * best]
    tried += [abs(best + n / SIDEREAL_DAY) for n in (-2, -1, 1, 2)]
    tried += [abs(best + n) for n in (-2, -1, 1, 2)]
    found: list[float] = []
    step = float(frequency[1] - frequency[0])
    for f in tried:
        i = round((f - frequency[0]) / step)
        near = (
            power[max(i - OVERSAMPLING // 2, 0) : i + OVERSAMPLING // 2 + 1]
            if 0 <= i < power.size
            else power[:0]
        )
        if near.size and np.nanmax(near) >= 0.8 * height and all(abs(f - 1 / p) > step for p in found):
            found.append(1.0 / f)
    return tuple(found)
