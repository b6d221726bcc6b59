"""Frames to measure the measuring with: every star's true place and flux, and the best that can be known of it.

`pixel_sky` makes a field, `standard_night` its exposures (drift, flip, cloud, another scale, a trailed frame, a
satellite), `pixel_frame` the counts of one exposure with the truth beside them, `cramer_rao` the smallest error that
any unbiased measurement of a flux can have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .frames import add_noise
from .psf_pixels import ALPHA_PER_FWHM, Shapes, add_stars, detector_psf, information, trail_offsets

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

STAR, GALAXY = 1, 2
MARGIN = 120
"""Objects so far outside the frame (px) belong to the field: drift and rotation bring them in."""
SLOPE = 0.7
"""Exponent of the number of stars brighter than a flux."""


@dataclass(frozen=True)
class PixelCamera:
    """The detector of the simulated frames."""

    nx: int = 1676
    ny: int = 1266
    gain: float = 1.5  # e-/ADU
    read_noise: float = 8.0  # e-
    bias: float = 500.0  # ADU
    saturation: float = 60000.0  # ADU, raw counts end here
    vignetting: float = 0.15  # light lost in the corners
    n_hot: int = 60
    bleeds: bool = False  # charge above the full well runs along the columns


@dataclass(frozen=True)
class PixelSky:
    """A field of stars and galaxies; arrays (n,), places as the unshifted frame would see them."""

    x: Array  # px
    y: Array
    flux: Array  # e- through a clear sky
    kind: NDArray[np.int64]
    size: Array  # px, FWHM of a galaxy before seeing; 0 for stars
    axis_ratio: Array
    angle: Array  # deg
    camera: PixelCamera

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class PixelExposure:
    """How one frame was taken."""

    frame: int = 0
    seeing: float = 1.0  # factor on the FWHM
    shift: tuple[float, float] = (0.0, 0.0)  # px
    rotation: float = 0.0  # deg
    scale: float = 1.0
    cloud: float = 0.0  # mag
    sky: float = 400.0  # e- a pixel at the centre
    gradient: tuple[float, float] = (0.06, -0.04)  # of the sky, centre to edge
    trail: tuple[float, float] = (0.0, 0.0)  # px and deg
    satellite: float = 0.0  # e- a pixel on the line's crest
    n_cosmic: int = 150


@dataclass(frozen=True)
class PixelFrame:
    """A frame and its truth; x, y, flux, kind have a row for every object of the field, seen or not."""

    raw: NDArray[np.uint16]  # (ny, nx) ADU
    x: Array  # px
    y: Array
    flux: Array  # e-, flat-fielded
    kind: NDArray[np.int64]
    shapes: Shapes
    cosmic_x: Array  # px, middle of each cosmic ray's charge
    cosmic_y: Array
    cosmic_charge: Array  # e-
    hot_x: NDArray[np.int64]
    hot_y: NDArray[np.int64]
    expected: NDArray[np.float32]  # (ny, nx) e-, before noise, cosmic rays, clipping
    flat: NDArray[np.float32]
    camera: PixelCamera
    exposure: PixelExposure
    offsets: Array = field(default_factory=lambda: np.zeros((1, 2)))

    def inside(self, border: float = 0.0) -> Bools:
        """Tell which objects lie on the frame, `border` px from its edge."""
        ny, nx = self.raw.shape
        return (
            (self.x >= border) & (self.y >= border) & (self.x <= nx - 1 - border) & (self.y <= ny - 1 - border)
        )  # fmt: skip

    @property
    def saturated(self) -> Bools:
        """Objects whose brightest pixel is clipped."""
        level = (self.camera.saturation - self.camera.bias) * self.camera.gain
        ny, nx = self.raw.shape
        found = np.zeros(len(self.x), bool)
        for k in np.flatnonzero(self.inside()):
            x, y = int(self.x[k] + 0.5), int(self.y[k] + 0.5)
            core = self.expected[max(0, y - 1) : min(ny, y + 2), max(0, x - 1) : min(nx, x + 2)]
            found[k] = core.max() >= level and self.flux[k] > level
        return found


def pixel_sky(
    seed: int,
    n_stars: int = 7500,
    camera: PixelCamera | None = None,
    *,
    faintest: float = 220.0,
    brightest: float = 1e7,
    n_galaxies: int = 40,
    n_pairs: int | None = None,
    cluster: float = 0.05,
) -> PixelSky:
    """Return a field with `n_stars` on the frame, their numbers falling with flux to the power of `SLOPE`.

    Parameters
    ----------
    faintest, brightest : e-, range of the stars' fluxes; 450 e- is about 5 sigma on an average frame.
    n_pairs : stars that get a companion of a fifth to all of their flux at 2.5 to 7 px; by default 2 %.
    cluster : share of the stars in one cluster.
    """
    camera = camera or PixelCamera()
    rng = np.random.default_rng([seed, 77])
    n_pairs = round(0.02 * n_stars) if n_pairs is None else n_pairs
    wide, high = camera.nx + 2 * MARGIN, camera.ny + 2 * MARGIN
    number = round(n_stars * (1 - cluster) * wide * high / (camera.nx * camera.ny)) - n_pairs
    members = round(n_stars * cluster)
    x = rng.uniform(-MARGIN, camera.nx + MARGIN, number)
    y = rng.uniform(-MARGIN, camera.ny + MARGIN, number)
    flux = _fluxes(rng, number + members, faintest, brightest)
    x = np.append(x, rng.normal(0.65 * camera.nx, 0.035 * camera.nx, members))
    y = np.append(y, rng.normal(0.35 * camera.ny, 0.035 * camera.nx, members))
    x, y, flux = _with_companions(rng, x, y, flux, min(n_pairs, number), faintest)
    stars, total = len(x), len(x) + n_galaxies
    x = np.append(x, rng.uniform(30, camera.nx - 30, n_galaxies))
    y = np.append(y, rng.uniform(30, camera.ny - 30, n_galaxies))
    flux = np.append(flux, 10 ** rng.uniform(np.log10(20 * faintest), np.log10(600 * faintest), n_galaxies))
    galaxy = np.arange(total) >= stars
    return PixelSky(
        x, y, flux, np.where(galaxy, GALAXY, STAR),
        size=np.where(galaxy, rng.uniform(4, 9, total), 0.0),
        axis_ratio=np.where(galaxy, rng.uniform(0.4, 0.95, total), 1.0),
        angle=rng.uniform(0, 180, total), camera=camera,
    )  # fmt: skip


def _fluxes(rng: np.random.Generator, n: int, faintest: float, brightest: float) -> Array:
    lowest = (faintest / brightest) ** SLOPE
    return faintest * rng.uniform(lowest, 1, n) ** (-1 / SLOPE)


def _with_companions(
    rng: np.random.Generator, x: Array, y: Array, flux: Array, n: int, faintest: float
) -> tuple[Array, Array, Array]:
    """Add a companion to `n` stars of 10 to 3,000 times the faintest flux."""
    fit = np.flatnonzero((flux > 10 * faintest) & (flux < 3000 * faintest))
    chosen = rng.choice(fit, min(n, len(fit)), replace=False)
    distance, angle = rng.uniform(2.5, 7, len(chosen)), rng.uniform(0, 2 * np.pi, len(chosen))
    return (
        np.append(x, x[chosen] + distance * np.cos(angle)),
        np.append(y, y[chosen] + distance * np.sin(angle)),
        np.append(flux, flux[chosen] * rng.uniform(0.2, 1, len(chosen))),
    )


def standard_night(seed: int) -> list[PixelExposure]:
    """Return 14 exposures: eight plain ones with drift and seeing .9 to 1.3, then the special ones.

    Frames 8 and 9 follow a meridian flip, 10 is cloudy, 11 has scale .7 and is turned by 37 deg, 12 is trailed, 13 is
    crossed by a satellite.
    """
    rng = np.random.default_rng([seed, 78])
    special: dict[int, dict] = {
        8: {"rotation": 180.0},
        9: {"rotation": 180.0},
        10: {"cloud": rng.uniform(1, 2)},
        11: {"rotation": 37.0, "scale": 0.7},
        12: {"trail": (rng.uniform(6, 10), rng.uniform(0, 180))},
        13: {"satellite": 300.0},
    }
    return [
        PixelExposure(
            frame=k,
            seeing=rng.uniform(0.9, 1.3),
            shift=tuple(rng.normal(0, 5, 2) + 2.0 * (k - 4)),
            sky=rng.uniform(320, 480),
            **special.get(k, {}),
        )
        for k in range(14)
    ]


def place(sky: PixelSky, exposure: PixelExposure) -> tuple[Array, Array]:
    """Return x, y of every object on the frame: turned and scaled about the middle, then shifted."""
    middle = (sky.camera.nx - 1) / 2, (sky.camera.ny - 1) / 2
    cos, sin = np.cos(np.radians(exposure.rotation)), np.sin(np.radians(exposure.rotation))
    dx, dy = exposure.scale * (sky.x - middle[0]), exposure.scale * (sky.y - middle[1])
    return (
        cos * dx - sin * dy + middle[0] + exposure.shift[0],
        sin * dx + cos * dy + middle[1] + exposure.shift[1],
    )


def pixel_frame(sky: PixelSky, exposure: PixelExposure, seed: int) -> PixelFrame:
    """Return one frame with its truth; the same seed and frame number give the same pixels."""
    camera = sky.camera
    rng = np.random.default_rng([seed, 79, exposure.frame])
    x, y = place(sky, exposure)
    flux = sky.flux * 10 ** (-0.4 * exposure.cloud)
    shapes, offsets = object_shapes(sky, exposure, x, y), trail_offsets(*exposure.trail)
    flat = flat_field(camera)
    expected = _sky_level(camera, exposure)
    near = (x > -MARGIN) & (x < camera.nx + MARGIN) & (y > -MARGIN) & (y < camera.ny + MARGIN)
    chosen = Shapes(*(getattr(shapes, n)[near] for n in ("alpha", "e1", "e2", "tail_x", "tail_y")))
    add_stars(expected, x[near], y[near], flux[near], chosen, offsets)
    if exposure.satellite:
        _add_line(expected, exposure.satellite, rng)
    expected *= flat
    hot_x, hot_y = _add_hot(expected, camera)
    image = expected.copy()
    add_noise(image, camera.read_noise, rng)
    cosmic = _add_cosmic(image, exposure.n_cosmic, rng)
    if camera.bleeds:
        _bleed(image, (camera.saturation - camera.bias) * camera.gain)
    adu = image / np.float32(camera.gain) + np.float32(camera.bias)
    raw = np.clip(np.rint(adu), 0, camera.saturation).astype(np.uint16)
    return PixelFrame(
        raw, x, y, flux, sky.kind, shapes, cosmic[:, 0], cosmic[:, 1], cosmic[:, 2], hot_x, hot_y, expected, flat,
        camera, exposure, offsets,
    )  # fmt: skip


def object_shapes(sky: PixelSky, exposure: PixelExposure, x: Array, y: Array) -> Shapes:
    """Return every object's profile on the frame: the detector's PSF, widened for galaxies."""
    psf = detector_psf(x, y, sky.camera.nx, sky.camera.ny, exposure.seeing)
    galaxy = sky.kind == GALAXY
    alpha = np.hypot(psf.alpha, sky.size * exposure.scale * ALPHA_PER_FWHM * np.sqrt(sky.axis_ratio))
    e = (1 - sky.axis_ratio**2) / (1 + sky.axis_ratio**2) * (1 - (psf.alpha / alpha) ** 2)
    twice = np.radians(2 * (sky.angle + exposure.rotation))
    return Shapes(
        alpha,
        np.where(galaxy, e * np.cos(twice), psf.e1),
        np.where(galaxy, e * np.sin(twice), psf.e2),
        np.where(galaxy, 0.0, psf.tail_x),
        np.where(galaxy, 0.0, psf.tail_y),
    )


def cramer_rao(frame: PixelFrame, which: NDArray) -> tuple[Array, Array, Array]:
    """Return the smallest errors of flux (e-), x and y (px) of the objects `which` (indices or mask).

    The flux's is that at known place and sky, (sum (flat P)^2 / V)^-1/2 with V the true variance of each pixel,
    read-out and rounding included (Cramer & Rao: Perryman et al. 1989, A&A 215, 195; King 1983,
    doi:10.1086/131139); those of x and y at known flux.
    """
    shapes = Shapes(*frame.shapes.columns()[which].T)
    variance = true_variance(frame)
    of_flux, of_x, of_y = information(
        variance, frame.flat, frame.x[which], frame.y[which], shapes, frame.offsets
    )
    flux = frame.flux[which]
    return of_flux**-0.5, of_x**-0.5 / flux, of_y**-0.5 / flux


def true_variance(frame: PixelFrame) -> NDArray[np.float32]:
    """Return the variance of every pixel, e-^2: photons, read-out noise, rounding to whole counts."""
    return frame.expected + np.float32(frame.camera.read_noise**2 + frame.camera.gain**2 / 12)


def flat_field(camera: PixelCamera) -> NDArray[np.float32]:
    """Return the camera's flat: vignetting, and 0.5 % from pixel to pixel; the same on every frame."""
    u = np.linspace(-1, 1, camera.nx, dtype=np.float32)[None, :]
    v = np.linspace(-1, 1, camera.ny, dtype=np.float32)[:, None]
    rng = np.random.default_rng([camera.nx, camera.ny])
    grain = 1 + np.float32(0.005) * rng.standard_normal((camera.ny, camera.nx), dtype=np.float32)
    return (1 - np.float32(camera.vignetting / 2) * (u * u + v * v)) * grain


def _sky_level(camera: PixelCamera, exposure: PixelExposure) -> NDArray[np.float32]:
    u = np.linspace(-1, 1, camera.nx, dtype=np.float32)[None, :]
    v = np.linspace(-1, 1, camera.ny, dtype=np.float32)[:, None]
    slope = 1 + np.float32(exposure.gradient[0]) * u + np.float32(exposure.gradient[1]) * v
    return np.ascontiguousarray(np.float32(exposure.sky) * slope)


def _add_hot(image: NDArray[np.float32], camera: PixelCamera) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng([camera.nx, camera.ny, 1])
    x, y = rng.integers(0, camera.nx, camera.n_hot), rng.integers(0, camera.ny, camera.n_hot)
    image[y, x] += 10 ** rng.uniform(2.3, 4.3, camera.n_hot)
    return x, y


def _add_line(image: NDArray[np.float32], crest: float, rng: np.random.Generator, width: float = 1.6) -> None:
    """Add a satellite's line through the inner half of the frame, in place."""
    ny, nx = image.shape
    y, x = np.ogrid[:ny, :nx]
    angle = rng.uniform(0, np.pi)
    px, py = rng.uniform(0.3, 0.7, 2) * (nx, ny)
    distance = ((x - px) * np.sin(angle) - (y - py) * np.cos(angle)).astype(np.float32)
    image += np.float32(crest) * np.exp(np.float32(-0.5 / width**2) * distance * distance)


def _add_cosmic(image: NDArray[np.float32], number: int, rng: np.random.Generator) -> Array:
    """Add sharp tracks of one to some ten pixels, in place; return x, y, charge (number, 3)."""
    ny, nx = image.shape
    told = np.zeros((number, 3))
    for k in range(number):
        x, y, angle = rng.uniform(3, nx - 4), rng.uniform(3, ny - 4), rng.uniform(0, 2 * np.pi)
        length = 1 + rng.exponential(2.0)
        charge = 10 ** rng.uniform(2.9, 4.5)
        steps = np.arange(0, length, 0.5)
        part = rng.gamma(4, size=len(steps))
        part *= charge / part.sum()
        i = np.clip(np.rint(x + steps * np.cos(angle)), 0, nx - 1).astype(int)
        j = np.clip(np.rint(y + steps * np.sin(angle)), 0, ny - 1).astype(int)
        np.add.at(image, (j, i), part)
        told[k] = (i * part).sum() / charge, (j * part).sum() / charge, charge
    return told


def _bleed(image: NDArray[np.float32], well: float) -> None:
    """Let the charge above the full well run up and down its column, in place."""
    ny, _ = image.shape
    for column in np.unique(np.nonzero(image > well)[1]):
        line = image[:, column]
        full = np.flatnonzero(line > well)
        spilled = float((line[full] - well).sum())
        line[full] = well
        for start, step in ((int(full[0]) - 1, -1), (int(full[-1]) + 1, 1)):
            rest, row = spilled / 2, start
            while rest > 0 and 0 <= row < ny:
                taken = min(rest, well - float(line[row]))
                line[row] += taken
                rest -= taken
                row += step
