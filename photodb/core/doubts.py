"""What looks wrong with a frame's time or pointing, as bits of `frame.doubts`; the frame is used all the same."""

from __future__ import annotations

from enum import IntFlag


class Doubt(IntFlag):
    """Reasons to look at a frame's clock, site or pointing; `frame.reason` says each in words."""

    SUN_UP = 1
    BELOW_HORIZON = 2
    AIRMASS = 4  # the header's does not agree with the one of its time, site and place
    OVERLAP = 8  # exposed while another frame of its camera was, on the same sky
    POINTING = 16  # it shows another place than its header says
    LEAP_SECONDS = 32  # later than the leap seconds that are known


CLOCK = Doubt.SUN_UP | Doubt.BELOW_HORIZON | Doubt.AIRMASS
"""Signs of a wrong clock or a wrong site."""


def words_of(doubts: int) -> str:
    """Return the names of the bits, as `sun_up+airmass`; empty for none."""
    return "+".join(bit.name.lower() for bit in Doubt if doubts & bit and bit.name)
