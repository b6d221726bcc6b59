"""From the numeric solution to the archive's rows: light curves, magnitudes, frame terms, components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.flags import BAD, DOUBTFUL, Flag
from photodb.core.sky import unit_vectors
from photodb.core.zeropoints_result import ZeroPointSolution
from photodb.storage.solutions import POINT_DTYPE, SOURCE_MAG_DTYPE

if TYPE_CHECKING:
    from .selection import Selection

MJD_TO_JD = 2400000.5
SECONDS_A_DAY = 86400.0


def point_rows(selection: Selection, result: ZeroPointSolution) -> NDArray[Any]:
    """Return a light-curve point for every measurement on a frame with terms, flagged ones and limits included.

    Measurements on frames without terms (nothing connects them) have none. `solution_id` is left 0.
    """
    frame = selection.measurements.frame
    rows = np.flatnonzero(np.isfinite(result.coefficients[frame, 0]))
    points = np.zeros(rows.size, POINT_DTYPE)
    detections, frame = selection.detections[rows], frame[rows]
    x, y = selection.measurements.x[rows], selection.measurements.y[rows]
    for name in ("cell", "source_id", "frame_id", "detection_id"):
        points[name] = detections[name]
    points["band_id"] = selection.star_band[selection.measurements.star[rows]]
    points["mjd"] = selection.frames["mjd"][frame]
    points["bjd_tdb"] = _bjd_tdb(selection, rows)
    correction = result.correction(frame, x, y)
    points["mag"] = detections["mag"] + correction
    points["mag_limit"], points["photometry"] = detections["mag_limit"] + correction, detections["photometry"]
    camera = selection.bundle.camera[frame]
    share = selection.measurements.star_share
    points["err_photon"] = result.photon_error(detections["mag_err"], share[rows], camera)  # type: ignore[index]
    points["err_calibration"] = result.correction_err(frame, x, y)
    points["err_floor"] = result.frame_floor[frame]
    photon, calibration = (
        points["err_photon"].astype(np.float64),
        points["err_calibration"].astype(np.float64),
    )
    points["mag_err"] = np.sqrt(photon**2 + calibration**2 + points["err_floor"].astype(np.float64) ** 2)
    points["flags"] = _flags(selection, result, rows)
    return points


def _bjd_tdb(selection: Selection, rows: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return mid-exposure at the barycentre for each source, JD TDB; NaN where the frame's time is not known so well.

    The light of the source reaches the barycentre (earth . n) seconds after, with earth in light-seconds.
    """
    frames = selection.frames[selection.measurements.frame[rows]]
    toward = unit_vectors(selection.sources["ra"], selection.sources["dec"])
    toward = toward[selection.star_source[selection.measurements.star[rows]]]
    delay = sum(frames[f"earth_{axis}"] * toward[:, i] for i, axis in enumerate("xyz"))
    return np.asarray(MJD_TO_JD + frames["mjd_tdb"] + delay / SECONDS_A_DAY)


def _flags(selection: Selection, result: ZeroPointSolution, rows: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the detections' flags with what the solution adds."""
    flags = selection.detections["flags"][rows].astype(np.int64)
    star, frame = selection.measurements.star[rows], selection.measurements.frame[rows]
    rejected = np.zeros(selection.star_source.size, dtype=bool)
    rejected[: result.star_rejected.size] = result.star_rejected
    good = (flags & int(BAD)) == 0
    faint = good & ~selection.fit[rows] & np.isfinite(selection.detections["mag"][rows])
    faint &= ~_excluded(selection, rows) & ((flags & int(Flag.FAINT)) == 0)
    flags |= np.where(result.clipped[rows], int(Flag.CLIPPED), 0)
    flags |= np.where(rejected[star], int(Flag.STAR_REJECTED), 0)
    flags |= np.where(~result.frame_used[frame], int(Flag.BAD_FRAME), 0)
    flags |= np.where(faint, int(Flag.LOW_SN), 0)
    return flags.astype(np.int32)


def _excluded(selection: Selection, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    return np.isin(selection.detections["source_id"][rows], selection.excluded_sources)


def source_mag_rows(selection: Selection, result: ZeroPointSolution, points: NDArray[Any]) -> NDArray[Any]:
    """Return a magnitude for every source and band with a detection on a frame that was looked at.

    Stars outside the fit have the mean of their good points, or the median of the flagged ones, and say why.
    """
    n, solved = selection.star_source.size, result.star_mag.size
    rows = np.zeros(n, SOURCE_MAG_DTYPE)
    source = selection.sources[selection.star_source]
    rows["cell"], rows["source_id"], rows["band_id"] = (
        source["cell"],
        source["source_id"],
        selection.star_band,
    )
    rows["standard_mag"] = rows["standard_mag_err"] = np.nan
    rows["tie_id"], rows["component"] = -1, -1
    rows["mag"] = rows["mag_err"] = rows["chi2_dof"] = np.nan
    rows["reason"] = ""
    for name, column in (
        ("mag", result.star_mag),
        ("mag_err", result.star_mag_err),
        ("chi2_dof", result.star_chi2),
        ("component", result.star_component),
        ("n_used", result.star_n_used),
    ):
        rows[name][:solved] = column
    rows["reason"][:solved] = result.star_reason
    star = _stars_of(selection, points)
    good = _good(points)
    rows["n_obs"] = np.bincount(star[good], minlength=n)
    _fill_without_fit(rows, points, star, good, selection, result)
    return rows


def _stars_of(selection: Selection, points: NDArray[Any]) -> NDArray[np.int64]:
    """Return the star (source and band) of each point."""
    bands = np.unique(selection.star_band)
    keys = selection.star_source * bands.size + np.searchsorted(bands, selection.star_band)
    source = np.searchsorted(selection.sources["source_id"], points["source_id"])
    return np.searchsorted(keys, source * bands.size + np.searchsorted(bands, points["band_id"]))


def _good(points: NDArray[Any]) -> NDArray[np.bool_]:
    return (
        ((points["flags"] & int(DOUBTFUL)) == 0) & np.isfinite(points["mag"]) & np.isfinite(points["mag_err"])
    )


def _fill_without_fit(
    rows: NDArray[Any],
    points: NDArray[Any],
    star: NDArray[np.integer],
    good: NDArray[np.bool_],
    selection: Selection,
    result: ZeroPointSolution,
) -> None:
    """Fill in the magnitudes of stars that gave the solver nothing: too faint, excluded, or only flagged points."""
    left = np.flatnonzero(~np.isfinite(rows["mag"]))
    by_star = np.argsort(star, kind="stable")
    edges = np.searchsorted(star[by_star], np.arange(rows.size + 1))
    component = dict(zip(selection.frames["frame_id"].tolist(), result.frame_component.tolist()))
    for j in left:
        mine = by_star[edges[j] : edges[j + 1]]
        usable, flagged = mine[good[mine]], mine[np.isfinite(points["mag"][mine])]
        if usable.size:
            w = points["mag_err"][usable].astype(np.float64) ** -2
            rows["mag"][j] = np.sum(w * points["mag"][usable]) / w.sum()
            rows["mag_err"][j] = w.sum() ** -0.5
            excluded = rows["source_id"][j] in selection.excluded_sources
            rows["reason"][j] = "excluded by the settings" if excluded else "too faint for the fit"
        elif flagged.size:
            rows["mag"][j] = np.median(points["mag"][flagged])
            rows["reason"][j] = "only flagged points"
        else:
            rows["reason"][j] = rows["reason"][j] or "no calibrated point"
        if mine.size:
            rows["component"][j] = component[int(points["frame_id"][mine[0]])]


def frame_term_rows(
    selection: Selection, result: ZeroPointSolution, solution_id: int
) -> list[dict[str, Any]]:
    """Return the rows of `frame_term`."""
    rows = []
    for i, frame_id in enumerate(selection.frames["frame_id"].tolist()):
        covariance = result.covariance[i]
        used = bool(result.frame_used[i])
        rows.append(
            {
                "solution_id": solution_id,
                "frame_id": frame_id,
                "zero_point": float(result.coefficients[i, 0]),
                "zero_point_err": float(np.sqrt(max(covariance[0, 0], 0.0))),
                "coefficients": result.coefficients[i, 1:].tolist(),
                "covariance": covariance.ravel().tolist(),
                "component": int(result.frame_component[i]),
                "chi2_dof": float(result.frame_chi2[i]),
                "n_stars": int(result.frame_n_stars[i]),
                "scatter": float(result.frame_scatter[i]),
                "gray_loss": float(result.gray_loss[i]),
                "photometric": bool(result.photometric[i]),
                "status": "used" if used else "rejected",
                "reason": result.frame_reason[i],
            }
        )
    return rows


def components_of(
    selection: Selection, result: ZeroPointSolution, mags: NDArray[Any]
) -> list[dict[str, Any]]:
    """Describe the connected components, each with a name of its own; `mags` are the rows of `source_mag`.

    `n_sources` have a magnitude, `n_fit_sources` of them tie the frames together.
    """
    found: list[dict[str, Any]] = []
    with_mag = np.isfinite(mags["mag"])
    for component in result.components:
        frames = selection.frames[result.frame_component == component.number]
        band = selection.names["band"][int(frames["band_id"][0])]
        fields = sorted({selection.names["field"].get(int(f), "") for f in frames["field_id"]} - {""})
        place = "+".join(fields) if 0 < len(fields) <= 3 else f"{len(fields)} fields"
        found.append(
            {
                "component": component.number,
                "name": f"{band} {place}",
                "band": band,
                "fields": fields,
                "telescopes": sorted({selection.names["telescope"][int(t)] for t in frames["telescope_id"]}),
                "cameras": sorted({selection.names["camera"][int(c)] for c in frames["camera_id"]}),
                "n_frames": component.n_frames,
                "n_sources": int(np.count_nonzero(with_mag & (mags["component"] == component.number))),
                "n_fit_sources": component.n_stars,
                "n_measurements": component.n_measurements,
                "weak_bridge": component.weak_bridge,
            }
        )
    for entry in found:
        same = [other for other in found if other["name"].split(" #")[0] == entry["name"]]
        if len(same) > 1:
            for number, other in enumerate(same, start=1):
                other["name"] += f" #{number}"
    return found


def floors_of(
    selection: Selection, result: ZeroPointSolution
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the fitted error floor by camera (None where it could not be fitted), and notes where there are any."""
    names = [selection.names["camera"][int(c)] for c in selection.cameras]
    floors = {name: f.value if f.fitted else None for name, f in zip(names, result.floors)}
    notes = {}
    for name, f in zip(names, result.floors):
        if f.note:
            notes[name] = f.note if f.fitted else f"{f.note}; {f.value:g} mag is assumed"
    return floors, notes
