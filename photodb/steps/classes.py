"""The class of every source, from the shapes of its detections in all frames of a solution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodb.core.classes import SIZE_FLOOR, class_of_sources

__all__ = ["SIZE_FLOOR", "fill_classes"]


def fill_classes(rows: NDArray[Any], shapes: NDArray[Any]) -> None:
    """Fill class and size of rows of statistics, in place.

    Parameters
    ----------
    rows : (n,) `storage.stats.STAT_DTYPE`; telescope 0 stands for all together.
    shapes : (m,) `storage.stats.SHAPE_DTYPE`, a row a source, band and telescope.
    """
    index = {tuple(key): k for k, key in enumerate(rows[["source_id", "band_id", "telescope_id"]].tolist())}
    weight, weighted, votes = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros((len(rows), 3))
    for telescope in (shapes["telescope_id"], np.zeros(len(shapes), np.int64)):
        keys = zip(shapes["source_id"].tolist(), shapes["band_id"].tolist(), telescope.tolist())
        at = np.array([index.get(key, -1) for key in keys], np.int64)
        there = at >= 0
        np.add.at(weight, at[there], shapes["weight"][there])
        np.add.at(weighted, at[there], shapes["weighted"][there])
        np.add.at(votes, at[there], shapes["votes"][there])
    told = weight > 0
    rows["psf_size"] = np.where(told, weighted / np.where(told, weight, 1.0), np.nan)
    rows["psf_size_err"] = np.where(told, np.where(told, weight, 1.0) ** -0.5, np.nan)
    rows["class"] = class_of_sources(rows["psf_size"], rows["psf_size_err"], votes)
