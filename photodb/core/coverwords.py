"""One word for what is known of a place on a frame, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .columns import Bundle
from .flags import Flag

MEASURED, FORCED, LIMIT, MASKED, EDGE, REJECTED, OUTSIDE = WORDS = (
    "measured", "forced", "limit", "masked", "edge", "rejected", "outside",
)  # fmt: skip
"""`measured`: detected there, with a flux. `forced`: measured at the known place without being detected. `limit`:
nothing was measured there, the frame's limiting magnitude holds. `masked`: bad or saturated pixels, a cosmic ray, or a
part of the frame that was left out. `edge`: too near to the border. `rejected`: the frame is. `outside`: the frame does
not hold the place."""

SPOILED: tuple[tuple[Flag, str], ...] = (
    (Flag.SATURATED, "saturated"),
    (Flag.BAD_PIXEL, "bad pixels"),
    (Flag.COSMIC_RAY, "cosmic ray"),
)
"""Flags that take the worth from a measurement, and what is said of them; the first counts."""


@dataclass(frozen=True)
class Place(Bundle):
    """What is known of one position on n frames."""

    rejected: NDArray[np.bool_]  # (n,) whether the frame is
    border: NDArray[np.float64]  # (n,) px, distance from the border; negative outside, NaN unknown: outside
    aperture: NDArray[np.float64]  # (n,) px, main aperture; NaN where there is none
    detected: NDArray[np.bool_]  # (n,) a source there was detected
    forced: NDArray[np.bool_]  # (n,) a source there has a forced flux
    flags: NDArray[np.int64]  # (n,) of that measurement, 0 without
    near_saturated: NDArray[np.bool_]  # (n,) a saturated star is within reach
    near_star: NDArray[np.bool_]  # (n,) a star that was detected is within a FWHM
    bad_pixels: NDArray[np.bool_]  # (n,) a master masks pixels of the aperture
    left_out: NDArray[np.bool_]  # (n,) in a part of the frame that ingest left out
    alone: NDArray[np.bool_]  # (n,) false where the source was too near to another one to be measured


def words(place: Place) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the word (n,) for each frame, and why (empty where the word says it all; of rejected frames, too).

    What is measured there counts before what would be in the way: a star in a part that was left out is measured all
    the same, but that nothing was seen there tells nothing.
    """
    n = len(place.rejected)
    word, why = np.full(n, LIMIT, "U8"), np.full(n, "", "U40")
    seen = place.detected | place.forced
    near = place.border < np.where(np.isfinite(place.aperture), place.aperture, 0.0)

    def say(where: NDArray[np.bool_], what: str, reason: str = "") -> None:
        word[where], why[where] = what, reason

    # the later line counts
    say(~place.alone & ~seen, MASKED, "too near to another source")
    say(place.forced, FORCED)
    say(~seen & near, EDGE, "the aperture leaves the frame")
    say(~seen & place.near_star, MASKED, "in the light of another star")
    say(~seen & place.near_saturated, MASKED, "beside a saturated star")
    say(~seen & place.bad_pixels, MASKED, "bad pixels")
    say(~place.detected & place.left_out, MASKED, "in a part left out (--mask)")
    say(place.detected, MEASURED)
    say(place.detected & place.left_out, MEASURED, "in a part left out (--mask)")
    say(place.detected & (place.flags & int(Flag.NONLINEAR) != 0), MEASURED, "above the linear range")
    say(seen & (place.flags & int(Flag.EDGE) != 0), EDGE, "the aperture leaves the frame")
    for flag, reason in reversed(SPOILED):
        say(seen & (place.flags & int(flag) != 0), MASKED, reason)
    say(place.rejected, REJECTED)
    say(~(place.border >= 0), OUTSIDE)
    return word, why
