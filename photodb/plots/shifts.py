"""Shifts and rotation of frames against their reference frame, by time."""

from __future__ import annotations

from matplotlib.figure import Figure

from .series import Columns, Panel, series_figure


def shifts_figure(
    frames: Columns, max_rms: float | None = None, title: str = "shifts against the reference frame"
) -> Figure:
    """Draw shift in x and y, rotation and residual of the registration by time.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status`, `shift_x`, `shift_y`, `shift_rotation`, `shift_rms`, (n,) each
    """
    panels = (
        Panel("shift_x", "shift in x (px)"),
        Panel("shift_y", "shift in y (px)"),
        Panel("shift_rotation", "rotation (deg)"),
        Panel("shift_rms", "residual rms (px)", max_rms),
    )
    return series_figure(frames, panels, title)
