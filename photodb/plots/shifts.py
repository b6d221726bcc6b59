"""Shifts and rotation of frames against their reference frame, by time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from .series import Columns, Limit, Panel, series_figure


def shifts_figure(
    frames: Columns,
    limits: Mapping[str, Limit] | None = None,
    title: str = "shifts against the reference frame",
) -> Figure:
    """Draw shift in x and y, rotation and residual of the registration by time; frames that jump are ringed.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status`, `shift_x`, `shift_y`, `shift_rotation`, `shift_rms`, and where known
        `jump`, `shift`, `turn`, `shift_n`, `reason_code`, (n,) each
    limits : by the names of `photodb.steps.limits.ShiftLimits`: one, or one a frame (NaN for none)
    """
    limits = limits or {}
    panels = [
        Panel("shift_x", "shift in x (px)", lines=True),
        Panel("shift_y", "shift in y (px)", lines=True),
        Panel("shift_rotation", "rotation (deg)"),
        Panel("shift_rms", "residual rms\n(px)", limits.get("max_rms"), unit="px"),
    ]
    if limits.get("min_stars") is not None and "shift_n" in frames:
        panels.append(Panel("shift_n", "stars of the\nregistration", limits.get("min_stars"), low=True))
    far = _over(frames, "shift", limits.get("max_shift")) | _over(frames, "jump", limits.get("max_jump"))
    turned = _over(frames, "turn", limits.get("max_rotation"))
    return series_figure(frames, panels, title, {"shift_x": far, "shift_y": far, "shift_rotation": turned})


def _over(frames: Columns, column: str, limit: Limit) -> np.ndarray:
    """Tell which frames (n,) lie beyond a limit of a column."""
    if limit is None or column not in frames:
        return np.zeros(len(frames["mjd"]), bool)
    with np.errstate(invalid="ignore"):
        over: np.ndarray = frames[column] > limit
    return over
