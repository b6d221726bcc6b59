"""What the pixels of a few frames tell of a camera: gain, read noise, saturation, where neither file nor header do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cards import number
from .headers import CameraDescription, with_assumed

CLIPPED_VARIANCE = 0.9733
"""Variance of a normal distribution cut at three sigma."""
QUIET = 0.35
"""Quantile of the blocks' variances taken for the sky: faint stars only add."""


@dataclass(frozen=True)
class PixelStats:
    """What the pixels of a frame tell of its camera."""

    level: NDArray[np.float64]  # (b,) ADU, median of each block
    variance: NDArray[np.float64]  # (b,) ADU2, noise of each block
    top: float  # ADU, highest count
    pile: int  # pixels at the highest count
    integers: bool
    mosaic: str = ""  # pattern that the pixels look like though nobody tells one


def pixel_stats(frame: NDArray) -> PixelStats:
    """Look at the raw pixels of a frame."""
    level, variance = _blocks(frame)
    top = float(np.nanmax(frame))
    return PixelStats(level, variance, top, int((frame == top).sum()), frame.dtype.kind != "f")


def complete(
    d: CameraDescription, frames: Sequence[PixelStats], header: Mapping[str, Any]
) -> CameraDescription:
    """Fill in gain, read noise and saturation from the pixels of a few frames where neither file nor header tells.

    Parameters
    ----------
    frames : of one or more science frames of the camera.
    header : of one of them.
    """
    told = [f.mosaic for f in frames if f.mosaic]
    if len(told) > len(frames) / 2:
        how = (
            f"the pixels alternate as under a mosaic like {told[0]}, but neither header nor description tells one: "
            'measured as ONE image without colours; write bayer = "RGGB" (or the like) or bayer = "no"'
        )
        d = replace(d, assumed={**d.assumed, "bayer": how})
    if d.saturation is None and not d.header.saturation:
        d = with_assumed(d, saturation=estimate_saturation(frames))
    if d.gain is not None or d.header.gain:
        if d.read_noise is None and not d.header.read_noise:
            gain = d.gain or number(header, d.header.gain)
            d = with_assumed(d, read_noise=_noise_floor(frames, gain, d.soft_bias))
        return d
    (gain, how), (noise, noise_how) = estimate_gain(frames)
    d = with_assumed(d, gain=(gain, how))
    if d.read_noise is None and not d.header.read_noise:
        d = with_assumed(d, read_noise=(noise, noise_how))
    return d


def estimate_saturation(frames: Sequence[PixelStats]) -> tuple[float, str]:
    """Return the saturation and how it was found: a plateau at the highest count, else the type's limit."""
    top = max(f.top for f in frames)
    pile = sum(f.pile for f in frames if f.top == top)
    if not frames[0].integers:
        told = f"highest count {top:g}" + (" repeated" if pile > 4 else " times 1.5")
        return (top if pile > 4 else max(top, 1.0) * 1.5), told
    bits = int(np.ceil(np.log2(max(top, 255) + 1)))
    limit = float(2**bits - 1)
    if pile > 2:
        return top, f"{pile} pixels stand at {top:g} counts"
    if bits <= 14:
        return limit, f"counts fit in {bits} bits"
    return 0.95 * 65535.0 if limit <= 65535 else limit, "95 % of the 16-bit limit"


def _blocks(frame: NDArray, size: int = 32) -> tuple[NDArray, NDArray]:
    """Return median level and noise variance of blocks of the frame.

    The variance is that of differences of pixels two apart, clipped at three sigma (a median of whole counts would be
    too coarse), and halved.
    """
    ny, nx = (n // size * size for n in frame.shape)
    data = frame[:ny, :nx].astype(np.float32)
    tiles = data.reshape(ny // size, size, nx // size, size).swapaxes(1, 2).reshape(-1, size, size)
    level = np.median(tiles, axis=(1, 2))
    difference = (tiles[:, :, 2:] - tiles[:, :, :-2]).reshape(len(tiles), -1)
    limit = 3 * np.maximum(1.4826 * np.median(np.abs(difference), axis=1, keepdims=True), 1.0)
    for _ in range(3):
        kept = np.abs(difference) <= limit
        variance = (difference**2 * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1) / CLIPPED_VARIANCE
        limit = 3 * np.sqrt(np.maximum(variance, 1e-6))[:, None]
    return level, variance / 2


def estimate_gain(frames: Sequence[PixelStats]) -> tuple[tuple[float, str], tuple[float, str]]:
    """Return gain (e-/ADU) and read noise (e-) with how, from the growth of the noise with the level over the frames.

    The variance in counts of a photon-limited pixel is level / gain + const; where the level does not vary enough
    for a slope, gain 1 is taken and the noise floor becomes the read noise.
    """
    level = np.concatenate([f.level for f in frames])
    variance = np.concatenate([f.variance for f in frames])
    keep = np.isfinite(level) & np.isfinite(variance) & (variance > 0)
    level, variance = level[keep], variance[keep]
    if len(level) > 20:
        edges = np.quantile(level, np.linspace(0, 1, 11))
        which = np.clip(np.searchsorted(edges, level) - 1, 0, 9)
        x = np.array([np.median(level[which == k]) for k in range(10) if (which == k).any()])
        y = np.array([np.quantile(variance[which == k], QUIET) for k in range(10) if (which == k).any()])
        if len(x) > 3 and np.ptp(x) > 0:
            (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
            if slope > 5 * np.sqrt(covariance[0, 0]) and 0.005 < slope < 50:
                floor = max(float(np.min(y)), 1e-6)
                return (
                    (float(1 / slope), "from the growth of the noise with the level of the sky"),
                    (float(np.sqrt(floor) / slope), "noise of the darkest parts, sky included"),
                )
    noise = float(np.sqrt(np.median(variance))) if len(variance) else 1.0
    return (1.0, "1 taken: the sky is too even to tell"), (max(noise, 0.1), "noise of the sky, in counts")


def _noise_floor(frames: Sequence[PixelStats], gain: float, bias: float) -> tuple[float, str]:
    level, variance = frames[0].level, frames[0].variance
    sky = max(float(np.median(level)) - bias, 0.0)
    floor = float(np.median(variance)) * gain**2 - sky * gain
    return float(np.sqrt(max(floor, 1.0))), "noise of the sky less its photon noise"
