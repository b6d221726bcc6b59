"""Bits of the `flags` columns of detections and light-curve points.

A detection never vanishes: what is wrong with it is a bit. `BAD` are the bits that keep a measurement out of
a photometric solution; the others only inform.
"""

from enum import IntFlag


class Flag(IntFlag):
    """What is known to be wrong, or worth knowing, of one measurement."""

    SATURATED = 1 << 0  # a pixel of the core at or above the camera's saturation
    EDGE = 1 << 1  # the aperture leaves the frame
    BLEND = 1 << 2  # a neighbour of more than a fifth of the flux within the aperture's reach
    COSMIC_RAY = 1 << 3  # sharper than the frame's stars
    BAD_PIXEL = 1 << 4  # masked or non-finite pixels in the aperture
    NEGATIVE = 1 << 5  # flux not positive: no magnitude
    FORCED = 1 << 6  # measured at a known position, not detected
    NONLINEAR = 1 << 7  # above the camera's linear range
    EXTENDED = 1 << 8  # broader than the frame's stars
    DUPLICATE = (
        1 << 9
    )  # another detection is nearer to the source, or the source too near to another to be fitted
    UNMATCHED = 1 << 10  # belongs to no source
    UNCALIBRATED = 1 << 11  # its frame lacked a bias, dark or flat that its camera has or asks for
    MASKED = 1 << 15  # in a part of the frame that was left out of registration and quality
    CLIPPED = 1 << 16  # left out of the solution as an outlier
    STAR_REJECTED = 1 << 17  # its star was left out of the fit of the solution (variable, or a bad chi2)
    BAD_FRAME = 1 << 18  # its frame was rejected, or has no trustworthy zero point
    LOW_SN = 1 << 19  # too faint to have taken part in the fit of the solution
    FAINT = 1 << 20  # measured, but below three times its error: the magnitude is only a limit


BAD = (
    Flag.SATURATED
    | Flag.EDGE
    | Flag.COSMIC_RAY
    | Flag.BAD_PIXEL
    | Flag.NEGATIVE
    | Flag.NONLINEAR
    | Flag.DUPLICATE
)
"""Bits of a detection that keep it out of the fit of a solution and count as 'bad points'."""

DOUBTFUL = BAD | Flag.BAD_FRAME | Flag.FAINT
"""Bits that make the magnitude of a light-curve point doubtful or a limit; the others tell how the solution treated it.

The points of a variable star carry some of them.
"""


def names(flags: int) -> list[str]:
    """List the names of the bits that are set, lowest first."""
    return [f.name.lower() for f in Flag if f & int(flags) and f.name]
