"""Frozen bundles of columns: what passes between storage, images and the numeric core.

Every bundle is a frozen dataclass of numpy arrays with one row an entry; lengths are checked once, when the bundle
is made. House units: pixels, degrees, electrons, magnitudes, days (MJD UTC), seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


class Bundle:
    """Base of the bundles: one length for all columns, rows chosen with `take`."""

    def __post_init__(self) -> None:
        columns = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{type(self).__name__}: columns of different lengths: {lengths}")

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def take(self, rows: NDArray):  # type: ignore[no-untyped-def]
        """Return the bundle of the chosen rows (a boolean mask, indices or a slice)."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return type(self)(**{name: None if v is None else v[rows] for name, v in columns.items()})


@dataclass(frozen=True)
class Detections(Bundle):
    """The sources measured on one frame, brightest first; n rows, k apertures."""

    x: Floats  # (n,) px, 0 at the centre of the first pixel
    y: Floats  # (n,) px
    x_err: Floats  # (n,) px
    y_err: Floats  # (n,) px
    flux: Floats  # (n, k) e-
    flux_err: Floats  # (n, k) e-
    sky: Floats  # (n,) e-/px
    sky_err: Floats  # (n,) e-/px
    peak: Floats  # (n,) ADU, raw
    fwhm: Floats  # (n,) px
    ellipticity: Floats  # (n,)
    theta: Floats  # (n,) deg
    sharpness: Floats  # (n,) against the frame's median
    kind: Ints  # (n,) 0 unknown, 1 star, 2 extended, 3 cosmic ray
    flags: Ints  # (n,) bits of photodb.core.flags
    flux_psf: Floats | None = None  # (n,) e-, NaN where not fitted
    flux_psf_err: Floats | None = None  # (n,) e-
    psf_chi2: Floats | None = None  # (n,) a pixel
    psf_size: Floats | None = None  # (n,) ln of the size against that of the PSF; 0 for a star
    psf_size_err: Floats | None = None  # (n,)


@dataclass(frozen=True)
class Measurements(Bundle):
    """Instrumental magnitudes that may take part in a solution, any order; n rows.

    `frame` and `star` are dense indices (0 .. n_frames-1, 0 .. n_stars-1) into the arrays of `Frames` and of star
    keys that go with the bundle.
    """

    star: Ints  # (n,)
    frame: Ints  # (n,)
    x: Floats  # (n,) scaled to [-1, 1] over the frame
    y: Floats  # (n,)
    mag: Floats  # (n,) mag, instrumental
    mag_err: Floats  # (n,) mag, photon and read noise only
    star_share: Floats | None = (
        None  # (n,) share of mag_err squared that the star's own photons make, if known
    )


@dataclass(frozen=True)
class Frames(Bundle):
    """What the solver knows of each frame; n_frames rows, in the order of `Measurements.frame`."""

    camera: Ints  # (n_frames,) dense index of the camera: one error floor each
    band: Ints  # (n_frames,) dense index of the band: bands never share a star magnitude
    guess: Floats  # (n_frames,) mag, first guess of the zero point from aperture area (0 where unknown)
