"""Zero points of frames by time, with the light lost and the scatter of bright stars."""

from __future__ import annotations

from matplotlib.figure import Figure

from .series import Columns, Panel, series_figure


def zero_points_figure(frames: Columns, title: str = "zero points of the published solution") -> Figure:
    """Draw zero point, light lost against the clearest frames, and scatter of bright stars by time.

    Rejected frames far from the others lie on the edge.

    Parameters
    ----------
    frames : columns `mjd`, `camera`, `status`, `zero_point`, `gray_loss`, `scatter`, (n,) each
    """
    panels = (
        Panel("zero_point", "zero point (mag)", follow_accepted=True),
        Panel("gray_loss", "light lost (mag)", inverted=True, follow_accepted=True),
        Panel("scatter", "scatter of\nbright stars (mag)", follow_accepted=True),
    )
    return series_figure(frames, panels, title)
