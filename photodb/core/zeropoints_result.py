"""Settings and results of the global photometric solution."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photodb.core import terms
from photodb.core.zeropoints_floors import Floor, FloorSettings


@dataclass(frozen=True)
class ZeroPointSettings:
    """Everything that steers the global solution."""

    order: int = 2  # of the spatial polynomial of a frame, 0 to 3
    min_stars: int = 5  # stars shared with other frames that a frame needs
    stars_per_term: float = 2.0  # stars that a frame needs for each of its terms; else its order is lowered
    tukey_c: float = 5.0  # biweight: residuals beyond this many sigma have no weight
    annealing: tuple[float, ...] = (0.3, 0.1, 0.03)  # mag, error floors of the graduated start
    tau: float = 0.02  # mag, prior scatter of a coefficient, or its start where `fit_tau`
    fit_tau: bool = True  # fit the prior scatter for each camera
    fit_error_scale: bool = True  # fit a factor on the photon errors of each camera
    max_frame_scatter: float = 0.1  # mag, excess scatter above which a frame is rejected
    max_clipped: float = (
        0.3  # share of a frame's stars clipped above which it is rejected: half behind a tree, say
    )
    floors: FloorSettings = field(default_factory=FloorSettings)
    max_rounds: int = 20
    stop_norm: float = 0.1  # sigma, total S-norm of the last update


@dataclass(frozen=True)
class Component:
    """Frames and stars that hang together; its magnitudes compare with those of no other component."""

    number: int
    band: int  # index of its band
    cameras: tuple[int, ...]  # indices of its cameras
    n_frames: int
    n_stars: int
    n_measurements: int
    weak_bridge: int  # stars of its thinnest bridge where those are few; 0 if it is well joined


@dataclass(frozen=True)
class ZeroPointSolution:
    """A global photometric solution: m_calibrated = m_instrumental + sum_k coefficients[frame, k] phi_k(x, y).

    Frames that were rejected for their scatter keep terms, fitted to the stars of the solution, so that their points
    can be looked at; frames that nothing connects have NaN.
    """

    settings: ZeroPointSettings
    coefficients: NDArray[np.float64]  # (n_frames, k) mag; the first is the zero point
    covariance: NDArray[np.float64]  # (n_frames, k, k) mag2, gauge removed
    frame_terms: NDArray[np.int64]  # (n_frames,) terms that were fitted
    frame_used: NDArray[np.bool_]  # (n_frames,)
    frame_reason: list[str]  # (n_frames,) why rejected, or a remark
    frame_component: NDArray[np.int64]  # (n_frames,) -1 if none
    frame_chi2: NDArray[np.float64]  # (n_frames,) chi2 per measurement used
    frame_n_stars: NDArray[np.int64]  # (n_frames,)
    frame_scatter: NDArray[np.float64]  # (n_frames,) mag, robust scatter of bright residuals
    frame_floor: NDArray[np.float64]  # (n_frames,) mag, camera's floor with the frame's own excess
    gray_loss: NDArray[np.float64]  # (n_frames,) mag
    photometric: NDArray[np.bool_]  # (n_frames,)
    star_mag: NDArray[np.float64]  # (n_stars,) mag
    star_mag_err: NDArray[np.float64]  # (n_stars,) mag
    star_n_obs: NDArray[np.int64]  # (n_stars,) usable points on used frames
    star_n_used: NDArray[np.int64]  # (n_stars,) points with weight in the fit
    star_chi2: NDArray[np.float64]  # (n_stars,) chi2 per degree of freedom of all usable points
    star_component: NDArray[np.int64]  # (n_stars,) -1 if none
    star_reason: list[str]  # (n_stars,) why left out of the fit; empty if it took part
    star_rejected: NDArray[np.bool_]  # (n_stars,) left out as not constant
    weight: NDArray[np.float64]  # (n,) final weight of each measurement, 1/mag2; 0 if it did not take part
    residual: NDArray[np.float64]  # (n,) mag, calibrated minus star; NaN without a calibrated magnitude
    clipped: NDArray[np.bool_]  # (n,) beyond the biweight of its star
    floors: tuple[Floor, ...]  # by camera
    tau: NDArray[np.float64]  # (n_cameras,) mag, prior scatter of a coefficient
    error_scale: NDArray[np.float64]  # (n_cameras,) factor on the errors of sky and read noise
    star_scale: NDArray[
        np.float64
    ]  # (n_cameras,) factor on the errors of star photons: root of assumed over true gain
    components: tuple[Component, ...]
    chi2: float
    dof: float
    bright_scatter: float  # mag
    rounds: int
    last_norm: float  # sigma, S-norm of the last update

    @property
    def chi2_dof(self) -> float:
        """Chi2 per degree of freedom of the measurements that took part."""
        return self.chi2 / self.dof if self.dof > 0 else float("nan")

    @property
    def n_measurements(self) -> int:
        """Measurements that took part."""
        return int(np.count_nonzero(self.weight > 0))

    def photon_error(self, mag_err: ArrayLike, star_share: ArrayLike, camera: NDArray) -> NDArray[np.float64]:
        """Return photon errors as scaled by the fit, (n,) mag, from those given and the star photons' share in them."""
        sky2, star2 = self.error_scale[camera] ** 2, self.star_scale[camera] ** 2
        share = np.clip(np.nan_to_num(np.asarray(star_share, float)), 0, 1)
        return np.asarray(mag_err, float) * np.sqrt(sky2 + share * (star2 - sky2))

    def correction(self, frame: NDArray[np.integer], x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return what to add to instrumental magnitudes at scaled positions, (n,); NaN without a zero point."""
        return terms.evaluate(self.coefficients, frame, x, y)

    def correction_err(self, frame: NDArray[np.integer], x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return the error of `correction`, gauge removed, (n,) mag."""
        return np.sqrt(np.maximum(terms.variance(self.covariance, frame, x, y), 0.0))
