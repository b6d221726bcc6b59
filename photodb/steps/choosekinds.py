"""Choose the kind of photometry of every light curve: the one asked for, or the better one of each star and camera."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import BAD, Flag
from photodb.core.kinds import REASONS, Choice, choose_kinds, kind_name, relate
from photodb.core.terms import evaluate, n_terms
from photodb.storage.measurements import DETECTION, source_photometry_dtype

from .rawkinds import LIMIT_SIGMA, Raw, constant_relations, magnitudes, pick, relation_terms

if TYPE_CHECKING:
    from .selection import Selection

WELL_MEASURED = 0.1
"""Largest error, mag, of a measurement that helps to relate two kinds."""

ERROR_FLOOR = 0.005
"""Mag, added to photon errors for the weights of points where kinds are compared."""

SOUND_SIGMA, SOUND_MAG = 5.0, 0.03
"""How far from its star's median a measurement may lie that helps to relate two kinds: sigmas, and mag beside errors.
"""

MOSTLY = 0.5
"""Share of a camera's measurements that a kind must have to be compared there."""


@dataclass(frozen=True)
class Picked:
    """The kinds that were picked, their relations, and why."""

    raw: Raw
    detections: NDArray[Any]  # (n,) rawkinds.PICKED
    relations: NDArray[np.float64]  # (n_frames, n_kinds, k) mag
    n_stars: NDArray[np.int64]  # (n_frames, n_kinds) that gave the relations
    source_rows: NDArray[Any]  # rows of `source_photometry`; empty where nothing was compared

    def frame_rows(self, frames: NDArray[Any], solution_id: int) -> list[dict[str, Any]]:
        """Return rows of `frame_photometry`: the relations that some measurement uses."""
        kind, used = self.detections["photometry"], []
        for c, number in enumerate(self.raw.kinds):
            mine = (kind == number) & (self.raw.main != c)
            for i in np.unique(self.raw.frame[mine]):
                row = {
                    "solution_id": solution_id,
                    "frame_id": int(frames["frame_id"][i]),
                    "photometry": number,
                }
                used.append(
                    row | {"coefficients": self.relations[i, c].tolist(), "n_stars": int(self.n_stars[i, c])}
                )
        return used

    def counts(self) -> dict[str, int]:
        """Count the light curves by kind where kinds were compared, else the measurements."""
        chosen = (self.source_rows if len(self.source_rows) else self.detections)["photometry"]
        kinds = Counter(chosen.tolist())
        return {kind_name(kind): kinds[kind] for kind in sorted(kinds)}


def pick_one(raw: Raw, photometry: str) -> Picked:
    """Pick the same kind for all measurements: the PSF, one aperture, or the main one (by default)."""
    column = raw.main.copy()
    wanted = {"psf": -1}.get(photometry)
    if photometry.startswith("aperture:"):
        wanted = int(photometry.partition(":")[2])
    if wanted in raw.kinds:
        column = np.where(raw.main >= 0, raw.kinds.index(wanted), -1)
    relations = constant_relations(raw)
    nothing = np.zeros(0, source_photometry_dtype(len(raw.kinds)))
    n_stars = np.zeros(relations.shape[:2], dtype=np.int64)
    return Picked(raw, pick(raw, column, relations), relations, n_stars, nothing)


def choose(raw: Raw, selection: Selection, terms: NDArray[np.float64], order: int) -> Picked:
    """Choose for each star and camera by the scatter of its light curve in each kind.

    Parameters
    ----------
    selection : the measurements in the main aperture.
    terms : (n_frames, k) mag, rough terms of the frames for these; NaN for frames that do not count.
    order : of the polynomial of a frame that relates two kinds.
    """
    relations = np.zeros((len(selection.frames), len(raw.kinds), n_terms(order)))
    relations[:, :, 0] = raw.corrections
    n_stars = np.zeros(relations.shape[:2], dtype=np.int64)
    column = raw.main.copy()
    rows = []
    camera = selection.bundle.camera[raw.frame]
    for number in np.unique(camera[raw.main >= 0]):
        mine = np.flatnonzero((camera == number) & (raw.main >= 0))
        compared = _Compared(raw, selection, terms, mine, order)
        relations += compared.relations
        n_stars += compared.n_stars
        chosen = compared.columns[compared.choice.kind]
        column[mine] = chosen[compared.group]
        rows.append(compared.source_rows(selection, int(selection.cameras[number]), chosen))
    nothing = np.zeros(0, source_photometry_dtype(len(raw.kinds)))
    source_rows = np.concatenate(rows) if rows else nothing
    return Picked(raw, pick(raw, column, relations), relations, n_stars, source_rows)


class _Compared:
    """The kinds of one camera, compared over its stars."""

    def __init__(
        self, raw: Raw, selection: Selection, terms: NDArray[np.float64], mine: NDArray[np.intp], order: int
    ) -> None:
        self.raw, self.mine = raw, mine
        reference = int(np.bincount(raw.main[mine]).argmax())
        share = np.isfinite(raw.flux[mine]).mean(axis=0)
        others = [c for c in range(len(raw.kinds)) if c != reference and share[c] > MOSTLY]
        self.columns = np.array([reference, *others])
        self.star, self.group = np.unique(selection.measurements.star[mine], return_inverse=True)
        self.relations = np.zeros((len(selection.frames), len(raw.kinds), n_terms(order)))
        self.n_stars = np.zeros(self.relations.shape[:2], dtype=np.int64)
        self.choice = self._compare(selection, terms, order)

    def _compare(self, selection: Selection, terms: NDArray[np.float64], order: int) -> Choice:
        raw, mine = self.raw, self.mine
        frame, x, y = raw.frame[mine], raw.x[mine], raw.y[mine]
        mags, errors, good = [], [], np.isfinite(terms[frame, 0])
        flags = raw.rows["flags"][mine] & ~int(Flag.NEGATIVE)
        good &= (flags & int(BAD)) == 0
        for c in self.columns:
            mag, error, clear = self._of_kind(int(c))
            mags.append(mag)
            errors.append(error)
            good &= clear
        zero = evaluate(np.nan_to_num(terms), frame, x, y)
        sound = good & self._sound(mags[0] + zero, errors[0], good)
        for i, c in enumerate(self.columns[1:], start=1):
            variance = errors[0] ** 2 + errors[i] ** 2
            usable = sound & (variance < 2 * WELL_MEASURED**2)
            difference = np.where(usable, mags[0] - mags[i], np.nan)
            found = relate(difference, variance, self.group, frame, x, y, len(selection.frames), order)
            self.relations[:, c], self.n_stars[:, c] = found.coefficients, found.n_stars
            mags[i] = mags[i] + evaluate(found.coefficients, frame, x, y)
        values = np.column_stack(mags)[good] + zero[good, None]
        weight = 1.0 / (errors[0][good] ** 2 + ERROR_FLOOR**2)
        blended = np.bincount(self.group, (flags & int(Flag.BLEND)) != 0, self.star.size)
        crowded = blended > 0.5 * np.bincount(self.group, minlength=self.star.size)
        return choose_kinds(values, weight, self.group[good], selection.star_band[self.star], crowded)

    def _sound(
        self, mag: NDArray[np.float64], error: NDArray[np.float64], good: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell which calibrated magnitudes are near the median of their star: no half of a frame behind a tree."""
        rows = np.flatnonzero(good)
        order = rows[np.lexsort((mag[rows], self.group[rows]))]
        edges = np.searchsorted(self.group[order], np.arange(self.star.size + 1))
        middle = np.full(self.star.size, np.nan)
        some = np.flatnonzero(np.diff(edges))
        low, high = (edges[some] + edges[some + 1] - 1) // 2, (edges[some] + edges[some + 1]) // 2
        middle[some] = 0.5 * (mag[order[low]] + mag[order[high]])
        with np.errstate(invalid="ignore"):
            near = np.abs(mag - middle[self.group]) < SOUND_SIGMA * np.hypot(error, SOUND_MAG)
        return np.asarray(near)

    def _of_kind(self, c: int) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
        """Return magnitude with the frame's own correction, error, and whether it is more than a limit."""
        raw, mine = self.raw, self.mine
        column = np.full(len(raw.rows), c)
        flux, flux_err, mag, mag_err = (values[mine] for values in magnitudes(raw, column))
        term = relation_terms(raw, column, constant_relations(raw))[mine]
        with np.errstate(invalid="ignore"):
            clear = np.isfinite(mag) & (flux >= LIMIT_SIGMA * flux_err) & (mag_err > 0)
        return mag + term, mag_err, clear

    def source_rows(self, selection: Selection, camera_id: int, chosen: NDArray[np.integer]) -> NDArray[Any]:
        """Return rows of `source_photometry`."""
        n_kinds = len(self.raw.kinds)
        rows = np.zeros(self.star.size, source_photometry_dtype(n_kinds))
        source = selection.sources[selection.star_source[self.star]]
        rows["cell"], rows["source_id"] = source["cell"], source["source_id"]
        rows["band_id"], rows["camera_id"] = selection.star_band[self.star], camera_id
        rows["photometry"] = np.array([*self.raw.kinds, DETECTION])[chosen]
        rows["kinds"] = np.array(self.raw.kinds)
        rows["scatter"] = np.nan
        rows["scatter"][:, self.columns] = self.choice.scatter
        rows["n_obs"] = self.choice.n_obs
        rows["reason"] = np.array(REASONS, dtype=object)[self.choice.reason]
        return rows
